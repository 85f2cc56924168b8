//! Many commits through a faulty store, with the truth kept beside it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::commit::Commit;
use crate::faulty::Faulty;
use crate::head::{CommitId, Head};
use crate::record::{Change, Json, Key, Record};
use crate::seeded::Rng;
use crate::settle::{SettleError, Settled, commit_and_settle};
use crate::store::{CampaignError, Candidate, Leadership, LoadError, Store};

/// How often one step may be tried before the workload says that it never ends.
const PATIENCE: u32 = 10_000;
/// How long a candidate pauses while another one leads.
const STANDBY: Duration = Duration::from_millis(20);

/// A leader who commits, settles, loses the lead and takes it again, and who knows at every
/// point exactly what the store must hold.
pub struct Workload<'a> {
    store: &'a Faulty,
    rng: Rng,
    records: BTreeMap<Key, Json>,
    summary: Summary,
}

/// What a workload went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Commits acknowledged, or found applied by settling.
    pub applied: u64,
    /// Commits shut out by a barrier.
    pub lost: u64,
    /// Commits refused as `Unavailable`.
    pub refused: u64,
    /// Commits whose outcome was learnt from what the next leadership loaded.
    pub found_by_load: u64,
    /// Leaderships.
    pub terms: u64,
}

/// A commit that a deposed leader knows nothing about.
struct InDoubt {
    id: CommitId,
    changes: Vec<Change>,
}

impl<'a> Workload<'a> {
    /// A workload on a fresh store, repeatable by its seed.
    pub fn new(store: &'a Faulty, seed: u64) -> Self {
        Self { store, rng: Rng::new(seed), records: BTreeMap::new(), summary: Summary::default() }
    }

    /// Gets `commits` commits applied, then lets everything that is still on its way arrive.
    ///
    /// # Panics
    ///
    /// Panics at the first answer that is not as the contract of [`Store`] says: an acknowledged
    /// commit that is missing or there twice, a number left out, a part of a commit that was not
    /// acknowledged.
    pub async fn run(mut self, commits: u64) -> Summary {
        let (mut leadership, mut head) = self.lead(&Head::fresh(), None).await;
        while self.summary.applied < commits {
            let changes = self.changes();
            let batch = Commit::new(&leadership, self.ledger(), changes.clone())
                .expect("a commit within the limits");
            let doubt = InDoubt { id: batch.id(), changes };
            let next = head.after(&batch);
            let pause = |attempts| async move {
                assert!(attempts < PATIENCE, "a commit was never settled");
            };
            match commit_and_settle(self.store, &leadership, &head, batch, pause).await {
                Ok(Settled::Applied(found)) => {
                    assert_eq!(found, next, "an applied commit makes the head that it says");
                    self.apply(doubt.changes);
                    head = found;
                }
                Ok(Settled::Lost(found)) => {
                    assert_eq!(found.number, head.number + 1, "numbers are dense");
                    assert_eq!(found.ledger, head.ledger, "a barrier keeps the ledger");
                    self.summary.lost += 1;
                    head = found;
                }
                Err(SettleError::Unavailable(_)) => self.summary.refused += 1,
                Err(SettleError::Deposed { .. }) => {
                    (leadership, head) = self.lead(&head, Some(doubt)).await;
                }
                Err(SettleError::Overtaken { head }) => {
                    panic!("nobody else writes, but head is {head:?}")
                }
            }
        }
        self.finish(head).await
    }

    /// Takes the lead and compares what is loaded with what must be there.
    async fn lead(&mut self, last: &Head, doubt: Option<InDoubt>) -> (Leadership, Head) {
        let mut doubt = doubt;
        for _ in 0..PATIENCE {
            let leadership = match self.store.campaign(&Candidate::new("w", "w:1")).await {
                Ok(leadership) => leadership,
                Err(CampaignError::Unavailable(_)) => continue,
                Err(CampaignError::Held { .. }) => {
                    sleep(STANDBY).await;
                    continue;
                }
                Err(error) => panic!("campaign: {error}"),
            };
            let (head, records) = match self.store.load(&leadership).await {
                Ok(loaded) => loaded,
                Err(LoadError::Unavailable(_) | LoadError::Deposed { .. }) => continue,
                Err(error) => panic!("load: {error}"),
            };
            self.summary.terms += 1;
            match doubt.take() {
                Some(doubt) if doubt.id == head.id => {
                    assert_eq!(head.number, last.number + 1, "numbers are dense");
                    self.summary.found_by_load += 1;
                    self.apply(doubt.changes);
                }
                Some(_not_applied) => {
                    // A barrier of the last leadership may have moved the head, but only once.
                    let by_barrier = Head { number: last.number + 1, id: head.id, ..last.clone() };
                    assert!(head == *last || head == by_barrier, "{last:?} became {head:?}");
                }
                None => assert_eq!(head, *last, "no commit, but the head moved"),
            }
            self.assert_records(&records);
            return (leadership, head);
        }
        panic!("the lead was never won");
    }

    /// Lets the delayed commits arrive; none of them may change anything any more.
    async fn finish(mut self, head: Head) -> Summary {
        self.store.deliver_all().await;
        let inner = self.store.inner().clone();
        let reader = Candidate::new("reader", "reader:1");
        let mut campaign = inner.campaign(&reader).await;
        while let Err(CampaignError::Held { .. }) = campaign {
            sleep(STANDBY).await;
            campaign = inner.campaign(&reader).await;
        }
        let leadership = campaign.expect("a campaign without faults");
        let (found, records) = inner.load(&leadership).await.expect("a load without faults");
        assert_eq!(found, head, "a commit that was settled arrived after all");
        self.assert_records(&records);
        self.summary.terms += 1;
        self.summary
    }

    fn assert_records(&self, found: &[Record]) {
        let expected: Vec<_> = self
            .records
            .iter()
            .map(|(key, value)| Record { key: key.clone(), value: value.clone() })
            .collect();
        assert_eq!(found, expected, "the records are those of the acknowledged commits");
    }

    fn apply(&mut self, changes: Vec<Change>) {
        self.summary.applied += 1;
        for change in changes {
            match change {
                Change::Put(Record { key, value }) => self.records.insert(key, value),
                Change::Delete { key } => self.records.remove(&key),
            };
        }
    }

    fn ledger(&mut self) -> Json {
        Json::encode(&self.rng.bits()).expect("a number has a json form")
    }

    /// A few keys that change often, so that a late commit would show, and one that is new.
    fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for n in 0..8 {
            let key = Key::parse(format!("often/{n}")).expect("a key");
            match self.rng.below(4) {
                0 => changes.push(Change::Delete { key }),
                1 => {
                    let value = self.ledger();
                    changes.push(Change::Put(Record { key, value }));
                }
                _ => {}
            }
        }
        let key = Key::parse(format!("once/{:016x}", self.rng.bits())).expect("a key");
        changes.push(Change::Put(Record { key, value: Json::empty_object() }));
        changes
    }
}
