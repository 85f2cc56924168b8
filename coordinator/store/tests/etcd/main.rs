//! The store in etcd: the suite on real etcds, and what each fault of theirs comes to.
//!
//! * this file: the suite, on one member and on three, plain and through faults.
//! * `faults`: members that die or freeze, commits that are late, answers that are lost.
//! * `contents`: keys that are not ours, a full database, a history that goes away.
//! * `access`: passwords, certificates, endpoints that do not belong together.
//! * `fleet`: what the tests share.

#![cfg(feature = "etcd")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod contents;
mod faults;
mod fleet;

use std::sync::Arc;

use async_trait::async_trait;
use fleet::{cluster, connect, fresh_fleet};
use molt_store::Store;
use molt_store::conformance::{Harness, Workload, run_all};
use molt_store::etcd::{EtcdOptions, EtcdStore};
use molt_store::faulty::{Faulty, Odds};
use molt_store::rig::Cluster;

struct EtcdHarness {
    cluster: Arc<Cluster>,
    options: EtcdOptions,
    first: Option<Arc<EtcdStore>>,
    second: Option<Arc<EtcdStore>>,
}

impl EtcdHarness {
    fn new(cluster: &Arc<Cluster>) -> Self {
        let (cluster, options) = (cluster.clone(), fresh_fleet(cluster));
        Self { cluster, options, first: None, second: None }
    }
}

#[async_trait]
impl Harness for EtcdHarness {
    async fn store(&mut self) -> Arc<dyn Store> {
        if self.first.is_none() {
            self.first = Some(Arc::new(connect(&self.options).await));
        }
        self.first.clone().unwrap()
    }

    async fn second(&mut self) -> Arc<dyn Store> {
        if self.second.is_none() {
            self.second = Some(Arc::new(connect(&self.options).await));
        }
        self.second.clone().unwrap()
    }

    async fn restart(&mut self) {
        (self.first, self.second) = (None, None);
        for member in self.cluster.members() {
            member.restart().await.unwrap();
        }
    }

    async fn unseat(&mut self) {
        connect(&self.options).await.unseat().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_conforms() {
    let cluster = cluster(1).await;
    run_all(|| EtcdHarness::new(&cluster)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_conform() {
    let cluster = cluster(3).await;
    run_all(|| EtcdHarness::new(&cluster)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_loses_nothing_through_faults() {
    let cluster = cluster(1).await;
    for seed in 3000..3006 {
        println!("workload of seed {seed}");
        let store = Arc::new(connect(&fresh_fleet(&cluster)).await);
        let faulty = Faulty::new(store, Odds::ROUGH, seed);
        let summary = Workload::new(&faulty, seed).run(100).await;
        let tally = faulty.tally();
        assert!(summary.applied >= 100, "{summary:?}");
        assert!(tally.late_refused > 0 && tally.usurped > 0, "{tally:?}");
    }
}
