//! The members together: whom to ask, whom next, and when to stop.
//!
//! `etcd-client` balances calls over its endpoints and keeps dead ones in the rotation. Here each
//! endpoint has a channel of its own, a probe tells every second which of them answer, and calls
//! stay with one member while it does. What may be sent twice is the caller's to say.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use etcd_client::{Error, GetOptions, GetResponse, KvClient, Txn, TxnResponse};
use molt_retry::{Delays, Policy};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::failure::{Class, Failure};
use super::member::Member;
use super::options::{EtcdOptions, OptionsError, Versions};
use super::version::{self, Verdict};

/// How long a call may take.
pub(super) const CALL: Duration = Duration::from_secs(2);
/// How long a page of a load may take.
pub(super) const PAGE: Duration = Duration::from_secs(5);
/// How often every member is probed, and how long it may take to answer.
const PROBE: Duration = Duration::from_secs(1);

/// Whether a call may be sent again while it is unknown what its first sending did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// No: it changes something, and doing it twice is not the same.
    Once,
    /// Yes: it reads, or it says again what was said.
    Again,
}

/// All members that were named, and the tasks that probe them.
pub(super) struct Members {
    cluster: Arc<Cluster>,
    current: AtomicUsize,
    probes: JoinSet<()>,
}

/// What the probes share with the calls.
struct Cluster {
    members: Vec<Member>,
    /// A key that we may read.
    sample: String,
    versions: Versions,
    id: OnceLock<u64>,
}

impl Members {
    /// The members that the options name, none of them asked yet.
    pub(super) fn new(options: &EtcdOptions, sample: String) -> Result<Self, OptionsError> {
        let members = options
            .channels()?
            .into_iter()
            .map(|(endpoint, channel)| Member::new(endpoint, channel, options.user.as_ref()))
            .collect();
        let versions = options.versions;
        let cluster = Arc::new(Cluster { members, sample, versions, id: OnceLock::new() });
        Ok(Self { cluster, current: AtomicUsize::new(0), probes: JoinSet::new() })
    }

    /// Each of them, in the order in which they were named.
    pub(super) fn each(&self) -> &[Member] {
        &self.cluster.members
    }

    /// Asks all of them once, at the same time, and answers what those said that did not answer
    /// well.
    pub(super) async fn greet(&self) -> Vec<Failure> {
        let mut greetings = JoinSet::new();
        for which in 0..self.each().len() {
            let cluster = self.cluster.clone();
            greetings.spawn(async move { cluster.visit(which, CALL).await });
        }
        let answers = greetings.join_all().await;
        answers.into_iter().filter_map(Result::err).collect()
    }

    /// Probes all of them from now on.
    pub(super) fn watch(&mut self) {
        for which in 0..self.each().len() {
            let cluster = self.cluster.clone();
            self.probes.spawn(async move { cluster.keep_visiting(which).await });
        }
    }

    /// Reads `key`, or what `options` makes of it.
    pub(super) async fn get(
        &self,
        within: Duration,
        key: impl Into<Vec<u8>>,
        options: GetOptions,
    ) -> Result<GetResponse, Failure> {
        let key = key.into();
        self.call(Sending::Again, within, |mut kv| {
            let (key, options) = (key.clone(), options.clone());
            async move { kv.get(key, Some(options)).await }
        })
        .await
    }

    /// Runs `txn`.
    pub(super) async fn txn(&self, sending: Sending, txn: Txn) -> Result<TxnResponse, Failure> {
        self.call(sending, CALL, |mut kv| {
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        })
        .await
    }

    /// Calls a member, and another where that is safe. A call that nobody could take, because no
    /// member is reached or none has a leader to propose to, is tried again for a while: that is
    /// how long an election takes.
    pub(super) async fn call<T, F, Fut>(
        &self,
        sending: Sending,
        within: Duration,
        mut call: F,
    ) -> Result<T, Failure>
    where
        F: FnMut(KvClient) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let mut delays = Delays::from(Policy::STORE_MEMBER);
        loop {
            let mut failures = Vec::new();
            for which in self.order() {
                let member = &self.each()[which];
                let failure = match member.call(within, &mut call).await {
                    Ok(answer) => {
                        self.current.store(which, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(failure) => failure,
                };
                match failure.class() {
                    Class::Refused(_) | Class::TooLong => return Err(failure),
                    Class::NotSent | Class::Unknown => member.put_out(&failure),
                }
                if failure.class() == Class::Unknown && sending == Sending::Once {
                    return Err(failure);
                }
                failures.push(failure);
            }
            let Some(delay) = delays.next_delay() else {
                return Err(self.give_up(&failures));
            };
            sleep(delay).await;
        }
    }

    /// Whom to ask in which order: the one that answered last while it is in, then those that are
    /// in by how fast they answer, then the others.
    fn order(&self) -> Vec<usize> {
        let current = self.current.load(Ordering::Relaxed);
        let mut order: Vec<_> =
            (0..self.each().len()).filter(|&which| self.each()[which].barred().is_none()).collect();
        // Probes go on meanwhile: each member is looked at once.
        order.sort_by_cached_key(|&which| {
            let member = &self.each()[which];
            let is_in = member.is_in();
            (!is_in, which != current, if is_in { member.round_trip() } else { Duration::ZERO })
        });
        order
    }

    fn give_up(&self, failures: &[Failure]) -> Failure {
        let unknown = failures.iter().any(|failure| failure.class == Class::Unknown);
        if !failures.is_empty() {
            return Failure::all(failures, if unknown { Class::Unknown } else { Class::NotSent });
        }
        let barred = self.each().iter().map(|member| Failure {
            endpoint: member.endpoint().to_owned(),
            reason: member.barred().unwrap_or_default(),
            class: Class::NotSent,
        });
        Failure::all(&barred.collect::<Vec<_>>(), Class::NotSent)
    }
}

impl Cluster {
    async fn keep_visiting(&self, which: usize) {
        let mut turns = interval(PROBE);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            if self.members[which].barred().is_some() {
                return;
            }
            // What it says is kept in its health; there is nobody else to tell.
            let _kept = self.visit(which, PROBE).await;
        }
    }

    /// Reads one key through the whole cluster, and looks a member over before letting it in.
    async fn visit(&self, which: usize, within: Duration) -> Result<(), Failure> {
        let member = &self.members[which];
        let sample = self.sample.clone();
        let options = GetOptions::new().with_count_only();
        member.probe(within, |mut kv| async move { kv.get(sample, Some(options)).await }).await?;
        if member.is_in() || member.barred().is_some() {
            return Ok(());
        }
        self.look_over(member, within).await?;
        member.admit();
        Ok(())
    }

    /// Bars a member of another cluster, or of a version that must not be used.
    async fn look_over(&self, member: &Member, within: Duration) -> Result<(), Failure> {
        let ask = |mut client: etcd_client::Client| async move {
            let status = client.status().await?;
            let list = client.member_list().await?;
            Ok((status, list.members().len()))
        };
        let (status, members) = match member.ask(within, ask).await {
            Ok(answer) => answer,
            // Who may not ask is not told; that is no reason to do without the member.
            Err(failure) if matches!(failure.class, Class::Refused(_)) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let id = status.header().map_or(0, etcd_client::ResponseHeader::cluster_id);
        let first = *self.id.get_or_init(|| id);
        if id != first {
            member.bar(format!("it is of cluster {id:x}, the others are of {first:x}"));
            return Ok(());
        }
        let judged = version::judge(status.version(), members);
        match (judged, self.versions) {
            (Verdict::Refuse(reason), Versions::Checked) => member.bar(reason),
            (Verdict::Refuse(reason) | Verdict::Warn(reason), _) => {
                tracing::warn!(endpoint = member.endpoint(), reason, "old etcd");
            }
            (Verdict::Fine, _) => {}
        }
        Ok(())
    }
}
