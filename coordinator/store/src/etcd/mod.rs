//! A store in etcd, for a fleet of machines.
//!
//! All keys of a fleet are below `/molt/v1/<fleet>/`: `head`, `leader`, `renewal`, and the records
//! below `r/`. Every commit is one transaction that compares the revisions of `leader` and `head`
//! and moves `head`; whoever leads has written `leader` last. How long a silent leader is waited
//! for, the candidates count themselves (ADR 0013): no lease of etcd's is involved.
//!
//! * `options`: how an etcd is reached, and as whom.
//! * `keys`, `text`: what is stored where, and what it looks like.
//! * `member`, `members`: one channel for each member, probes, and whom to ask next.
//! * `failure`: what a failed call has done: nothing, nothing for ever, or who knows.
//! * `seat`: campaigns, renewals, resignations.
//! * `write`, `load`: commits, and reading everything back.
//! * `history`: the leader keeps etcd's history short.
//! * `examine`, `version`: what `doctor` shows, and which versions are refused.
//!
//! Not here: settling an unknown outcome ([`settle`](crate::settle())), which is the same for
//! every store.

mod examine;
mod failure;
mod history;
mod keys;
mod load;
mod member;
mod members;
mod options;
mod seat;
mod text;
mod version;
mod write;

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::commit::Commit;
use crate::head::{CommitId, Head};
use crate::record::Record;
use crate::store::{
    CampaignError, Candidate, CommitError, Durability, Facts, Leadership, LoadError, Store, Tenure,
    TenureError,
};
use crate::tenure::Vigil;
use keys::Keys;
use members::Members;
use seat::Sign;

pub use examine::{Alarm, Examined, Leader, MemberState, Report, examine};
pub use failure::{Class, Failure, Refusal};
pub use keys::{Fleet, FleetError, MAX_FLEET_BYTES};
pub use options::{DEFAULT_TTL, EtcdOptions, History, OptionsError, Tls};
pub use version::Verdict;

/// How many heads a handle knows the revisions of. One is enough for a leader that has one commit
/// under way; the others are for late calls in tests.
const KNOWN_HEADS: usize = 16;

/// A store in etcd. Cheap to ask, safe to share: its tasks end when it is dropped.
#[derive(Debug)]
pub struct EtcdStore {
    inner: Arc<Inner>,
    /// Keeps the history short while this handle leads.
    gardener: Mutex<JoinSet<()>>,
}

/// What the store shares with its tasks.
struct Inner {
    keys: Keys,
    members: Members,
    options: EtcdOptions,
    /// Tells the campaigns of this handle from those of every other.
    instance: String,
    known: Mutex<Known>,
}

/// What this handle has learnt. Nothing in it is needed: it saves round trips.
struct Known {
    /// The last term that this handle was given, and the revision of `leader` that proves it.
    seat: Option<(u64, i64)>,
    /// Heads and the revisions that they were written at.
    heads: VecDeque<(CommitId, i64)>,
    vigil: Vigil<Sign>,
}

/// Why a store was not opened. Nothing in etcd has changed.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The options make no sense.
    #[error("etcd cannot be reached as configured")]
    Options(#[from] OptionsError),
    /// No member answers: try again.
    #[error("no member of etcd answers")]
    Unreachable(#[source] Failure),
    /// The members answer, but not to us.
    #[error("etcd refuses our credentials")]
    Credentials(#[source] Failure),
    /// A member is of a version that loses writes, or of another cluster.
    #[error("member of etcd at {endpoint} must not be used: {reason}")]
    Barred {
        /// The member.
        endpoint: String,
        /// Why.
        reason: String,
    },
}

impl EtcdStore {
    /// Reaches etcd and looks every member over that answers. One member is enough; those that
    /// come later are let in later.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub async fn connect(options: EtcdOptions) -> Result<Self, ConnectError> {
        let keys = Keys::of(&options.fleet);
        let mut members = Members::new(&options, keys.leader())?;
        let failures = members.greet().await;
        for member in members.each() {
            if let Some(reason) = member.barred() {
                return Err(ConnectError::Barred {
                    endpoint: member.endpoint().to_owned(),
                    reason,
                });
            }
        }
        if !members.each().iter().any(member::Member::is_in) {
            return Err(out_of_reach(&failures, &options));
        }
        members.watch();
        let inner = Arc::new(Inner::new(keys, members, options));
        Ok(Self { inner, gardener: Mutex::new(JoinSet::new()) })
    }

    /// Reads the head and all records as of one moment, whether or not somebody leads; `None` if
    /// the fleet has no keys. It takes no lead and writes nothing.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]; it is never `Deposed`.
    pub async fn snapshot(&self) -> Result<Option<(Head, Vec<Record>)>, LoadError> {
        self.inner.snapshot().await
    }

    /// Looks at the members, their alarms, and what is stored for the fleet.
    pub async fn examine(&self) -> Report {
        self.inner.examine().await
    }

    /// Lets the next candidate lead at once, whoever leads now, as if the leader had resigned.
    ///
    /// # Errors
    ///
    /// Fails as [`Store::resign`] does.
    #[cfg(feature = "test-util")]
    pub async fn unseat(&self) -> Result<(), TenureError> {
        self.inner.unseat().await
    }
}

/// Says why no member is in. A member that does not like our certificate says so by an alert, or
/// closes the connection after the handshake, and then its reason does not reach us.
fn out_of_reach(failures: &[Failure], options: &EtcdOptions) -> ConnectError {
    let rights = Class::Refused(Refusal::Rights);
    if failures.iter().any(|failure| failure.class() == rights) {
        return ConnectError::Credentials(Failure::all(failures, rights));
    }
    let mut failure = Failure::all(failures, Class::NotSent);
    let shut = |failure: &Failure| {
        failure.class() == Class::Unknown || failure.reason.contains("fatal alert")
    };
    failure.reason += match &options.tls {
        Some(_) if !failures.iter().any(shut) => "",
        Some(tls) if tls.identity.is_none() => "; it may want a certificate from us",
        Some(_) => "; it may not trust our certificate",
        None => "",
    };
    ConnectError::Unreachable(failure)
}

impl Inner {
    fn new(keys: Keys, members: Members, options: EtcdOptions) -> Self {
        let vigil = Vigil::new(options.ttl);
        let known = Mutex::new(Known { seat: None, heads: VecDeque::new(), vigil });
        let instance = format!("{:016x}", RandomState::new().hash_one(()));
        Self { keys, members, options, instance, known }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes at which revision a head was written.
    fn remember_head(&self, id: CommitId, revision: i64) {
        let heads = &mut self.known().heads;
        heads.push_back((id, revision));
        if heads.len() > KNOWN_HEADS {
            heads.pop_front();
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Known {
    /// The revision of `leader` under this leadership, if this handle campaigned for it.
    fn seat_of(&self, leadership: &Leadership) -> Option<i64> {
        self.seat.filter(|(term, _)| *term == leadership.term()).map(|(_, revision)| revision)
    }

    /// The revision that a head was written at, if this handle has seen it.
    fn revision_of(&self, head: &Head) -> Option<i64> {
        let mut heads = self.heads.iter().rev();
        heads.find(|(id, _)| *id == head.id).map(|(_, revision)| *revision)
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        let (leadership, revision) = self.inner.campaign(candidate).await?;
        let mut gardener = self.gardener.lock().unwrap_or_else(PoisonError::into_inner);
        *gardener = JoinSet::new();
        gardener.spawn(history::keep_short(self.inner.clone(), revision));
        Ok(leadership)
    }

    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError> {
        self.inner.load(leadership).await
    }

    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        self.inner.commit(leadership, expected, &commit).await
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.inner.renew(leadership).await
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.inner.resign(leadership).await
    }

    fn facts(&self) -> Facts {
        let ttl = self.inner.options.ttl;
        Facts { backend: "etcd", durability: Durability::Quorum, tenure: Tenure::Lease { ttl } }
    }
}
