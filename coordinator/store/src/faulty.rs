//! Any store, made to misbehave by a seeded plan.
//!
//! The wrapper does what a network and a crashing server do to calls, and never what the
//! contract of [`Store`] forbids: each answer it gives is one that a right store may give. Time
//! plays no part. A delay is a number of yields; a commit that is on its way for long is handed
//! to the store at some later call, or by [`Faulty::deliver_all`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::commit::Commit;
use crate::head::Head;
use crate::record::Record;
use crate::seeded::Rng;
use crate::store::{
    CampaignError, Candidate, CommitError, Facts, Leadership, LoadError, Store, TenureError,
};

/// How often each fault happens, in a thousand calls. What is left goes well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odds {
    /// A call is answered `Unavailable` and has no effect.
    pub unavailable: u64,
    /// A commit never arrives; the answer is `Unknown`.
    pub lost: u64,
    /// A commit arrives later, perhaps after others; the answer is `Unknown`.
    pub held: u64,
    /// A commit arrives, but its answer is lost: `Unknown`. For a campaign: `Unavailable`.
    pub unheard: u64,
    /// A commit arrives twice, the second time at once or later; the first answer counts.
    pub repeated: u64,
    /// Another candidate takes the lead just before the commit arrives.
    pub usurped_before: u64,
    /// Another candidate takes the lead just after the commit arrived; its answer is lost.
    pub usurped_after: u64,
}

impl Odds {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        unavailable: 0,
        lost: 0,
        held: 0,
        unheard: 0,
        repeated: 0,
        usurped_before: 0,
        usurped_after: 0,
    };
    /// Two calls in five go wrong, each fault often enough for a run of a few hundred commits.
    pub const ROUGH: Self = Self {
        unavailable: 80,
        lost: 60,
        held: 80,
        unheard: 80,
        repeated: 60,
        usurped_before: 20,
        usurped_after: 20,
    };
}

/// How many faults a wrapper has done, so that a test can tell that it tested something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls answered `Unavailable` without effect.
    pub unavailable: u64,
    /// Commits that never arrived.
    pub lost: u64,
    /// Commits held back.
    pub held: u64,
    /// Effects whose answer was lost.
    pub unheard: u64,
    /// Commits sent twice.
    pub repeated: u64,
    /// Leads taken by another candidate.
    pub usurped: u64,
    /// Held or repeated commits that were applied when they arrived late.
    pub late_applied: u64,
    /// Held or repeated commits that were refused when they arrived late.
    pub late_refused: u64,
}

/// A store that does to its callers what its plan says.
pub struct Faulty {
    inner: Arc<dyn Store>,
    odds: Odds,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    under_way: Vec<Sent>,
    tally: Tally,
}

/// A commit on its way.
#[derive(Clone)]
struct Sent {
    leadership: Leadership,
    expected: Head,
    commit: Commit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Unavailable,
    Lost,
    Held,
    Unheard,
    Repeated,
    UsurpedBefore,
    UsurpedAfter,
}

impl Faulty {
    /// Wraps `inner`; the same seed makes the same faults for the same calls.
    pub fn new(inner: Arc<dyn Store>, odds: Odds, seed: u64) -> Self {
        let state = State { rng: Rng::new(seed), under_way: Vec::new(), tally: Tally::default() };
        Self { inner, odds, state: Mutex::new(state) }
    }

    /// The store beneath.
    pub fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    /// What has gone wrong so far.
    pub fn tally(&self) -> Tally {
        self.state().tally
    }

    /// Hands over every commit that is still on its way.
    pub async fn deliver_all(&self) {
        let under_way = std::mem::take(&mut self.state().under_way);
        for sent in under_way {
            self.deliver_late(sent).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> Fault {
        let odds = self.odds;
        let mut state = self.state();
        let mut point = state.rng.below(1000);
        for (chance, fault) in [
            (odds.unavailable, Fault::Unavailable),
            (odds.lost, Fault::Lost),
            (odds.held, Fault::Held),
            (odds.unheard, Fault::Unheard),
            (odds.repeated, Fault::Repeated),
            (odds.usurped_before, Fault::UsurpedBefore),
            (odds.usurped_after, Fault::UsurpedAfter),
        ] {
            if point < chance {
                return fault;
            }
            point -= chance;
        }
        Fault::None
    }

    /// Lets other tasks run, and some of the commits under way arrive, in any order.
    async fn meanwhile(&self) {
        let (yields, arriving) = {
            let mut state = self.state();
            let yields = state.rng.below(3);
            let mut arriving = Vec::new();
            while !state.under_way.is_empty() && state.rng.happens(300) {
                let count = u64::try_from(state.under_way.len()).unwrap_or(u64::MAX);
                let which = usize::try_from(state.rng.below(count)).unwrap_or(0);
                arriving.push(state.under_way.swap_remove(which));
            }
            (yields, arriving)
        };
        for sent in arriving {
            self.deliver_late(sent).await;
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    async fn deliver(&self, sent: Sent) -> Result<Head, CommitError> {
        self.inner.commit(&sent.leadership, &sent.expected, sent.commit).await
    }

    async fn deliver_late(&self, sent: Sent) {
        let answer = self.deliver(sent).await;
        let mut state = self.state();
        match answer {
            Ok(_) => state.tally.late_applied += 1,
            Err(_) => state.tally.late_refused += 1,
        }
    }

    async fn usurp(&self) {
        let usurper = Candidate::new("usurper", "nowhere");
        if self.inner.campaign(&usurper).await.is_ok() {
            self.state().tally.usurped += 1;
        }
    }

    async fn misdeliver(&self, sent: Sent, fault: Fault) -> Result<Head, CommitError> {
        match fault {
            Fault::None => self.deliver(sent).await,
            Fault::Unavailable => {
                self.state().tally.unavailable += 1;
                Err(CommitError::Unavailable("fault: out of reach".into()))
            }
            Fault::Lost => {
                self.state().tally.lost += 1;
                Err(CommitError::Unknown("fault: the commit was lost".into()))
            }
            Fault::Held => {
                let mut state = self.state();
                state.tally.held += 1;
                state.under_way.push(sent);
                Err(CommitError::Unknown("fault: the commit is late".into()))
            }
            Fault::Unheard => {
                self.state().tally.unheard += 1;
                // A refusal that is lost leaves the caller as ignorant as a lost `Ok`.
                let _unheard = self.deliver(sent).await;
                Err(CommitError::Unknown("fault: no answer".into()))
            }
            Fault::Repeated => {
                self.state().tally.repeated += 1;
                let answer = self.deliver(sent.clone()).await;
                // What the store could not take must not be applied by the second sending.
                if !matches!(answer, Err(CommitError::Unavailable(_))) {
                    self.state().under_way.push(sent);
                }
                answer
            }
            Fault::UsurpedBefore => {
                self.usurp().await;
                self.deliver(sent).await
            }
            Fault::UsurpedAfter => {
                let _unheard = self.deliver(sent).await;
                self.usurp().await;
                Err(CommitError::Unknown("fault: the leader fell".into()))
            }
        }
    }
}

#[async_trait]
impl Store for Faulty {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        self.meanwhile().await;
        match self.draw() {
            Fault::Unavailable | Fault::Lost => {
                self.state().tally.unavailable += 1;
                Err(CampaignError::Unavailable("fault: out of reach".into()))
            }
            Fault::Unheard => {
                self.state().tally.unheard += 1;
                self.inner.campaign(candidate).await?;
                Err(CampaignError::Unavailable("fault: no answer".into()))
            }
            _ => self.inner.campaign(candidate).await,
        }
    }

    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError> {
        self.meanwhile().await;
        match self.draw() {
            Fault::Unavailable | Fault::Lost => {
                self.state().tally.unavailable += 1;
                Err(LoadError::Unavailable("fault: out of reach".into()))
            }
            Fault::UsurpedBefore => {
                self.usurp().await;
                self.inner.load(leadership).await
            }
            _ => self.inner.load(leadership).await,
        }
    }

    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        self.meanwhile().await;
        let fault = self.draw();
        let sent = Sent { leadership: leadership.clone(), expected: expected.clone(), commit };
        let answer = self.misdeliver(sent, fault).await;
        self.meanwhile().await;
        answer
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.meanwhile().await;
        match self.draw() {
            Fault::Unavailable | Fault::Lost => {
                self.state().tally.unavailable += 1;
                Err(TenureError::Unavailable("fault: out of reach".into()))
            }
            Fault::UsurpedBefore => {
                self.usurp().await;
                self.inner.renew(leadership).await
            }
            _ => self.inner.renew(leadership).await,
        }
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.meanwhile().await;
        self.inner.resign(leadership).await
    }

    fn facts(&self) -> Facts {
        self.inner.facts()
    }
}
