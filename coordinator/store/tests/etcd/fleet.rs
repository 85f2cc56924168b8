//! What the tests share: etcds, fleets in them, and a leader who commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::Client;
use molt_store::etcd::{EtcdOptions, EtcdStore, Fleet};
use molt_store::rig::{Cluster, Options};
use molt_store::{
    Candidate, Change, Commit, CommitError, CommitId, Head, Json, Key, Leadership, Record, Settled,
    Store, settle,
};
use tokio::time::sleep;

pub(crate) const TTL: Duration = Duration::from_millis(600);

pub(crate) async fn cluster(count: usize) -> Arc<Cluster> {
    Arc::new(Cluster::start(count, Options::default()).await.unwrap())
}

/// Options for a fleet that nobody used before.
pub(crate) fn fresh_fleet(cluster: &Cluster) -> EtcdOptions {
    fresh_fleet_at(cluster.endpoints())
}

pub(crate) fn fresh_fleet_at(endpoints: Vec<String>) -> EtcdOptions {
    static FLEETS: AtomicU64 = AtomicU64::new(0);
    let name = format!("f{}", FLEETS.fetch_add(1, Ordering::Relaxed));
    options_at(endpoints, &name)
}

pub(crate) fn options_at(endpoints: Vec<String>, fleet: &str) -> EtcdOptions {
    EtcdOptions::new(endpoints, Fleet::parse(fleet).unwrap()).ttl(TTL).any_version()
}

pub(crate) async fn connect(options: &EtcdOptions) -> EtcdStore {
    EtcdStore::connect(options.clone()).await.unwrap()
}

/// A client beside the store, for what operators and strangers do.
pub(crate) async fn beside(cluster: &Cluster) -> Client {
    Client::connect([cluster.members()[0].endpoint()], None).await.unwrap()
}

pub(crate) fn record(key: &str, value: &str) -> Record {
    Record { key: Key::parse(key).unwrap(), value: Json::parse(value).unwrap() }
}

/// A leader, and where its records stand.
pub(crate) struct Leader {
    pub(crate) store: EtcdStore,
    pub(crate) leadership: Leadership,
    pub(crate) head: Head,
}

impl Leader {
    pub(crate) async fn of(options: &EtcdOptions) -> Self {
        let store = connect(options).await;
        let leadership = store.campaign(&Candidate::new("first", "first:1")).await.unwrap();
        let (head, _) = store.load(&leadership).await.unwrap();
        Self { store, leadership, head }
    }

    pub(crate) fn batch(&self, records: &[Record]) -> Commit {
        let changes = records.iter().cloned().map(Change::Put).collect();
        Commit::new(&self.leadership, Json::empty_object(), changes).unwrap()
    }

    /// Commits once, without settling.
    pub(crate) async fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        let batch = self.batch(records);
        self.head = self.store.commit(&self.leadership, &self.head, batch).await?;
        Ok(())
    }

    /// Settles the commit `lost` on the head, through `store`. Answers whether it was applied.
    pub(crate) async fn settle(&mut self, store: &dyn Store, lost: CommitId) -> bool {
        let pause = |_| sleep(Duration::from_millis(50));
        let settled = settle(store, &self.leadership, &self.head, lost, pause).await.unwrap();
        let (head, applied) = match settled {
            Settled::Applied(head) => (head, true),
            Settled::Lost(head) => (head, false),
        };
        self.head = head;
        applied
    }

    /// Commits until it is known to be applied. Answers how many calls failed on the
    /// way, those that settle included.
    pub(crate) async fn insist(&mut self, records: &[Record]) -> u32 {
        let mut failed = 0;
        loop {
            let batch = self.batch(records);
            let id = batch.id();
            match self.store.commit(&self.leadership, &self.head, batch).await {
                Ok(head) => {
                    self.head = head;
                    return failed;
                }
                Err(CommitError::Unknown(_)) => {
                    let again = AtomicU32::new(1);
                    let pause = |_| {
                        again.fetch_add(1, Ordering::Relaxed);
                        sleep(Duration::from_millis(50))
                    };
                    let settled = settle(&self.store, &self.leadership, &self.head, id, pause);
                    let settled = settled.await.unwrap();
                    failed += again.into_inner();
                    match settled {
                        Settled::Applied(head) => {
                            self.head = head;
                            return failed;
                        }
                        Settled::Lost(head) => self.head = head,
                    }
                }
                Err(CommitError::Unavailable(_)) => failed += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What is stored, read back.
    pub(crate) async fn records(&self) -> Vec<Record> {
        let (head, records) = self.store.load(&self.leadership).await.unwrap();
        assert_eq!(head, self.head);
        records
    }
}

/// An error with all that lies below it, in one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
