//! The suite on a store in memory whose leader is waited for, in time that the tests drive.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use molt_store::conformance::{Harness, Workload, run_all};
use molt_store::faulty::{Faulty, Odds};
use molt_store::{CampaignError, Candidate, MemoryStore, Store};
use tokio::time::{Instant, advance, sleep};

const TTL: Duration = Duration::from_secs(15);

struct Leased(MemoryStore);

#[async_trait]
impl Harness for Leased {
    async fn store(&mut self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn second(&mut self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn restart(&mut self) {}

    async fn unseat(&mut self) {
        advance(TTL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn leased_memory_conforms() {
    run_all(|| Leased(MemoryStore::leased(TTL))).await;
}

#[tokio::test(start_paused = true)]
async fn leased_memory_loses_nothing_through_faults() {
    for seed in 0..50 {
        println!("workload of seed {seed}");
        let faulty = Faulty::new(Arc::new(MemoryStore::leased(TTL)), Odds::ROUGH, seed);
        let summary = Workload::new(&faulty, seed).run(100).await;
        assert!(summary.applied >= 100, "{summary:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_is_waited_for_to_the_instant() {
    let store = MemoryStore::leased(TTL);
    let leadership = store.campaign(&Candidate::new("a", "a:1")).await.expect("a free seat");
    sleep(TTL / 2).await;
    store.renew(&leadership).await.expect("a renewal by the leader");
    let shown = Instant::now();
    let second = Candidate::new("b", "b:1");
    while let Err(CampaignError::Held { name, .. }) = store.campaign(&second).await {
        assert_eq!(name, "a");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(shown.elapsed(), TTL);
    store.renew(&leadership).await.expect_err("the first leader is deposed");
}
