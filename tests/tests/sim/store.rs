//! The store behind the network, as one coordinator sees it.
//!
//! The records, the head and the compares are those of `MemoryStore`. Around it stands what etcd
//! has beside them: the keys by which a leader shows itself, read by candidates and compared in
//! the transaction that takes the lead (ADR 0013). Who is silent is counted by the product's own
//! `Vigil`. A commit is a parcel: it may arrive after its sender gave up, or died.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use molt_store::tenure::Vigil;
use molt_store::{
    CampaignError, Candidate, Commit, CommitError, Facts, Head, Leadership, LoadError, MemoryStore,
    Record, Store, Tenure, TenureError,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::bug::{Bug, is_on};
use crate::net::{Net, Place};
use crate::referee::Referee;

/// How long an answer of the store is waited for; that of a commit not so long that its barrier
/// would come when nobody holds the lead any more.
const PATIENCE: Duration = Duration::from_secs(3);
const COMMIT_PATIENCE: Duration = Duration::from_secs(1);

/// The store itself, with what all coordinators share of it.
#[derive(Clone)]
pub(crate) struct Shelf {
    records: MemoryStore,
    keys: Arc<Mutex<Keys>>,
}

/// What a candidate reads: who leads, and what moves while it shows itself.
#[derive(Debug, Clone, Default)]
struct Keys {
    tenant: Option<Tenant>,
    sign: Sign,
    full: bool,
}

#[derive(Debug, Clone)]
struct Tenant {
    name: String,
    address: String,
    resigned: bool,
}

/// Revisions of the three keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sign {
    leader: u64,
    renewal: u64,
    head: u64,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        Self { records: MemoryStore::new(), keys: Arc::default() }
    }

    /// The records, for who looks at them from outside of the run.
    pub(crate) fn records(&self) -> &MemoryStore {
        &self.records
    }

    /// Whether it takes no change, as a full etcd.
    pub(crate) fn set_full(&self, full: bool) {
        self.keys().full = full;
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        if self.keys().full {
            return Err(CommitError::Unavailable("fault: no space".into()));
        }
        let head = done(self.records.commit(leadership, expected, commit))?;
        self.keys().sign.head += 1;
        Ok(head)
    }

    fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        if self.keys().full {
            return Err(TenureError::Unavailable("fault: no space".into()));
        }
        done(self.records.renew(leadership))?;
        self.keys().sign.renewal += 1;
        Ok(())
    }

    fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        done(self.records.resign(leadership))?;
        let mut keys = self.keys();
        keys.sign.leader += 1;
        if let Some(tenant) = &mut keys.tenant {
            tenant.resigned = true;
        }
        Ok(())
    }

    /// Takes the lead if nothing moved since `seen` was read; `None`: something did.
    fn take(&self, candidate: &Candidate, seen: Sign) -> Result<Option<Leadership>, CampaignError> {
        let mut keys = self.keys();
        if keys.full {
            return Err(CampaignError::Unavailable("fault: no space".into()));
        }
        if keys.sign != seen && !is_on(Bug::CandidateComparesNothing) {
            return Ok(None);
        }
        let leadership = done(self.records.campaign(candidate))?;
        let Candidate { name, address, .. } = candidate.clone();
        keys.tenant = Some(Tenant { name, address, resigned: false });
        keys.sign.leader += 1;
        Ok(Some(leadership))
    }
}

/// The result of a call to the memory, which never waits.
fn done<T>(call: impl Future<Output = T>) -> T {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("the memory answers at once"),
    }
}

/// The store as the coordinator `me` reaches it.
pub(crate) struct Remote {
    me: usize,
    shelf: Shelf,
    net: Net,
    referee: Referee,
    vigil: Mutex<Vigil<Sign>>,
    ttl: Duration,
}

impl Remote {
    pub(crate) fn new(me: usize, shelf: Shelf, net: Net, referee: Referee, ttl: Duration) -> Self {
        Self { me, shelf, net, referee, vigil: Mutex::new(Vigil::new(ttl)), ttl }
    }

    /// Sends a call there, and its answer back. `None`: no answer within the patience.
    async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        act: impl FnOnce(&Shelf, &Referee) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let (me, net) = (Place::Coordinator(self.me), self.net.clone());
        let (shelf, referee) = (self.shelf.clone(), self.referee.clone());
        let deed = move || {
            let result = act(&shelf, &referee);
            let back = move || drop(answer.send(result));
            net.send((Place::Store, me), what, Box::new(back));
        };
        self.net.send((me, Place::Store), what, Box::new(deed));
        let patience = if what == "commit" { COMMIT_PATIENCE } else { PATIENCE };
        let waited = tokio::time::timeout(patience, async {
            match answered.await {
                Ok(result) => result,
                // It is lost, which nobody tells.
                Err(_) => std::future::pending().await,
            }
        });
        waited.await.ok()
    }
}

#[async_trait]
impl Store for Remote {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        let unheard = || CampaignError::Unavailable("fault: no answer".into());
        let looked = self.call("look", |shelf, _| shelf.keys().clone()).await;
        let Keys { tenant, sign, .. } = looked.ok_or_else(unheard)?;
        if let Some(tenant) = tenant {
            let silent = {
                let mut vigil = self.vigil.lock().unwrap_or_else(PoisonError::into_inner);
                vigil.is_silent(sign, Instant::now())
            };
            if !(silent || tenant.resigned) {
                let Tenant { name, address, .. } = tenant;
                return Err(CampaignError::Held { name, address, charter: String::new() });
            }
        }
        let (me, asking, began) = (self.me, candidate.clone(), self.net.now());
        let taken = self.call("take", move |shelf, referee| {
            let taken = shelf.take(&asking, sign);
            if let Ok(Some(leadership)) = &taken {
                referee.elected(leadership.term(), me);
            }
            taken
        });
        match taken.await.ok_or_else(unheard)?? {
            Some(leadership) => {
                self.referee.heard(me, began);
                Ok(leadership)
            }
            None => Err(CampaignError::Unavailable("somebody moved first".into())),
        }
    }

    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError> {
        let leadership = leadership.clone();
        let loaded = self.call("load", move |shelf, _| done(shelf.records.load(&leadership)));
        match loaded.await {
            Some(loaded) => loaded,
            None => Err(LoadError::Unavailable("fault: no answer".into())),
        }
    }

    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        let (me, leadership, expected) = (self.me, leadership.clone(), expected.clone());
        let (began, sent) = (self.net.now(), self.referee.ran(me));
        let committed = self.call("commit", move |shelf, referee| {
            let result = shelf.commit(&leadership, &expected, commit.clone());
            match &result {
                Ok(head) => referee.committed(me, leadership.term(), sent, head, &commit),
                Err(why) => referee.refused(expected.number, why),
            }
            result
        });
        match committed.await {
            Some(result) => {
                if result.is_ok() {
                    self.referee.heard(me, began);
                }
                result
            }
            None => Err(CommitError::Unknown("fault: no answer".into())),
        }
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let (began, leadership) = (self.net.now(), leadership.clone());
        let renewed = self.call("renew", move |shelf, referee| {
            let result = shelf.renew(&leadership);
            if result.is_ok() {
                referee.renewed();
            }
            result
        });
        match renewed.await {
            Some(result) => {
                if result.is_ok() {
                    self.referee.heard(self.me, began);
                }
                result
            }
            None => Err(TenureError::Unavailable("fault: no answer".into())),
        }
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let term = leadership.term();
        let leadership = leadership.clone();
        let resigned = self.call("resign", move |shelf, referee| {
            let result = shelf.resign(&leadership);
            if result.is_ok() {
                referee.resigned(term);
            }
            result
        });
        match resigned.await {
            Some(result) => result,
            None => Err(TenureError::Unavailable("fault: no answer".into())),
        }
    }

    fn facts(&self) -> Facts {
        Facts { tenure: Tenure::Lease { ttl: self.ttl }, ..self.shelf.records.facts() }
    }
}
