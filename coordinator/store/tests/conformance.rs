//! The one suite on every backend, plain, restarted at every step, and through faults; and the
//! proof that the suite notices a store that breaks its promise.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use molt_store::conformance::{Harness, Summary, Workload, run_all};
use molt_store::embedded::Options;
use molt_store::faulty::{Faulty, Odds, Tally};
use molt_store::{
    CampaignError, Candidate, Commit, CommitError, EmbeddedStore, Facts, Head, Leadership,
    LoadError, MemoryStore, Record, Store, TenureError,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

struct MemoryHarness(MemoryStore);

#[async_trait]
impl Harness for MemoryHarness {
    async fn store(&mut self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn second(&mut self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn restart(&mut self) {}

    async fn unseat(&mut self) {}
}

struct EmbeddedHarness {
    folder: TempDir,
    store: Option<Arc<EmbeddedStore>>,
}

impl EmbeddedHarness {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), store: None }
    }
}

#[async_trait]
impl Harness for EmbeddedHarness {
    async fn store(&mut self) -> Arc<dyn Store> {
        let folder = self.folder.path();
        let open = || Arc::new(EmbeddedStore::open(folder, Options::default()).unwrap().0);
        self.store.get_or_insert_with(open).clone()
    }

    async fn second(&mut self) -> Arc<dyn Store> {
        self.store().await
    }

    async fn restart(&mut self) {
        let store = self.store.take().expect("a store that was opened");
        Arc::into_inner(store).expect("a store that nobody else holds");
    }

    async fn unseat(&mut self) {}
}

/// An embedded store that is opened before and closed after every single call.
struct Restarting {
    folder: PathBuf,
    turn: tokio::sync::Mutex<()>,
}

impl Restarting {
    fn at(folder: &TempDir) -> Arc<Self> {
        Arc::new(Self { folder: folder.path().to_owned(), turn: tokio::sync::Mutex::new(()) })
    }

    fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(&self.folder, Options::default()).unwrap().0
    }
}

#[async_trait]
impl Store for Restarting {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        let _turn = self.turn.lock().await;
        self.open().campaign(candidate).await
    }

    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError> {
        let _turn = self.turn.lock().await;
        self.open().load(leadership).await
    }

    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        let _turn = self.turn.lock().await;
        self.open().commit(leadership, expected, commit).await
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let _turn = self.turn.lock().await;
        self.open().renew(leadership).await
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let _turn = self.turn.lock().await;
        self.open().resign(leadership).await
    }

    fn facts(&self) -> Facts {
        self.open().facts()
    }
}

struct RestartingHarness {
    store: Arc<Restarting>,
    _folder: TempDir,
}

impl RestartingHarness {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { store: Restarting::at(&folder), _folder: folder }
    }
}

#[async_trait]
impl Harness for RestartingHarness {
    async fn store(&mut self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn second(&mut self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn restart(&mut self) {}

    async fn unseat(&mut self) {}
}

#[tokio::test]
async fn memory_conforms() {
    run_all(|| MemoryHarness(MemoryStore::new())).await;
}

#[tokio::test]
async fn embedded_conforms() {
    run_all(EmbeddedHarness::new).await;
}

#[tokio::test]
async fn embedded_conforms_when_restarted_at_every_step() {
    run_all(RestartingHarness::new).await;
}

#[tokio::test]
async fn a_store_through_a_wrapper_without_faults_conforms() {
    struct Wrapped(MemoryStore);

    #[async_trait]
    impl Harness for Wrapped {
        async fn store(&mut self) -> Arc<dyn Store> {
            Arc::new(Faulty::new(Arc::new(self.0.clone()), Odds::NONE, 0))
        }

        async fn second(&mut self) -> Arc<dyn Store> {
            self.store().await
        }

        async fn restart(&mut self) {}

        async fn unseat(&mut self) {}
    }

    run_all(|| Wrapped(MemoryStore::new())).await;
}

#[expect(clippy::print_stderr, reason = "a failing test shows its seed")]
async fn workload(store: Arc<dyn Store>, seed: u64, commits: u64) -> (Summary, Tally) {
    eprintln!("workload of seed {seed}");
    let faulty = Faulty::new(store, Odds::ROUGH, seed);
    let summary = Workload::new(&faulty, seed).run(commits).await;
    (summary, faulty.tally())
}

#[tokio::test]
async fn memory_loses_nothing_through_faults() {
    let (mut lost, mut refused, mut found) = (0, 0, 0);
    let mut total = Tally::default();
    for seed in 0..200 {
        let (summary, tally) = workload(Arc::new(MemoryStore::new()), seed, 100).await;
        assert!(summary.applied >= 100, "{summary:?}");
        lost += summary.lost;
        refused += summary.refused;
        found += summary.found_by_load;
        total.late_applied += tally.late_applied;
        total.late_refused += tally.late_refused;
        total.usurped += tally.usurped;
    }
    // Each way through the faults was taken.
    assert!(lost > 0 && refused > 0 && found > 0, "{lost} {refused} {found}");
    assert!(total.late_applied > 0 && total.late_refused > 0 && total.usurped > 0, "{total:?}");
}

#[tokio::test]
async fn embedded_loses_nothing_through_faults() {
    for seed in 1000..1010 {
        let folder = TempDir::new().unwrap();
        let (store, _) = EmbeddedStore::open(folder.path(), Options::default()).unwrap();
        let (summary, tally) = workload(Arc::new(store), seed, 100).await;
        assert!(summary.applied >= 100, "{summary:?}");
        assert!(tally.late_refused > 0, "{tally:?}");
    }
}

#[tokio::test]
async fn embedded_loses_nothing_through_faults_and_restarts() {
    let folder = TempDir::new().unwrap();
    let (summary, tally) = workload(Restarting::at(&folder), 2000, 60).await;
    assert!(summary.applied >= 60, "{summary:?}");
    assert!(tally.late_refused > 0, "{tally:?}");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_run() {
    let first = workload(Arc::new(MemoryStore::new()), 7, 100).await;
    let again = workload(Arc::new(MemoryStore::new()), 7, 100).await;
    assert_eq!(first, again);
    assert_ne!(first, workload(Arc::new(MemoryStore::new()), 8, 100).await);
}

/// How a broken store breaks its promise.
#[derive(Clone, Copy)]
enum Flaw {
    /// It compares the leader alone, not the head.
    HeadNotCompared,
    /// Once in a while it acknowledges a commit and drops the last of its changes.
    ChangeDropped,
    /// Once in a while it says `Unavailable` although the commit was applied.
    AppliedButRefused,
}

struct Broken {
    inner: MemoryStore,
    flaw: Flaw,
    calls: std::sync::atomic::AtomicU64,
}

#[async_trait]
impl Store for Broken {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        self.inner.campaign(candidate).await
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
        let turn = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 20 == 19;
        match self.flaw {
            Flaw::HeadNotCompared => {
                match self.inner.commit(leadership, expected, commit.clone()).await {
                    Err(CommitError::Moved { head }) => {
                        self.inner.commit(leadership, &head, commit).await
                    }
                    answer => answer,
                }
            }
            Flaw::ChangeDropped if turn && !commit.changes().is_empty() => {
                let head = expected.after(&commit);
                let kept = commit.changes()[1..].to_vec();
                let less = Commit::new(leadership, commit.ledger().clone(), kept).unwrap();
                let applied = self.inner.commit(leadership, expected, less).await?;
                Ok(Head { id: applied.id, ..head })
            }
            Flaw::AppliedButRefused if turn => {
                self.inner.commit(leadership, expected, commit).await?;
                Err(CommitError::Unavailable("flaw".into()))
            }
            Flaw::ChangeDropped | Flaw::AppliedButRefused => {
                self.inner.commit(leadership, expected, commit).await
            }
        }
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.inner.renew(leadership).await
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.inner.resign(leadership).await
    }

    fn facts(&self) -> Facts {
        self.inner.facts()
    }
}

#[tokio::test]
async fn the_workload_notices_a_broken_store() {
    for flaw in [Flaw::HeadNotCompared, Flaw::ChangeDropped, Flaw::AppliedButRefused] {
        for seed in 0..10 {
            let (inner, calls) = (MemoryStore::new(), 0.into());
            let broken = Arc::new(Broken { inner, flaw, calls });
            let mut task = JoinSet::new();
            task.spawn(workload(broken, seed, 100));
            let outcome = task.join_next().await.expect("one task");
            let error = outcome.expect_err("the workload did not notice the flaw");
            assert!(error.is_panic());
        }
    }
}

#[tokio::test]
async fn the_cases_notice_a_broken_store() {
    struct BrokenHarness(Arc<Broken>);

    #[async_trait]
    impl Harness for BrokenHarness {
        async fn store(&mut self) -> Arc<dyn Store> {
            self.0.clone()
        }

        async fn second(&mut self) -> Arc<dyn Store> {
            self.0.clone()
        }

        async fn restart(&mut self) {}

        async fn unseat(&mut self) {}
    }

    let mut task = JoinSet::new();
    task.spawn(run_all(|| {
        let (inner, calls) = (MemoryStore::new(), 0.into());
        BrokenHarness(Arc::new(Broken { inner, flaw: Flaw::HeadNotCompared, calls }))
    }));
    let panic = task.join_next().await.expect("one task").expect_err("the cases did not notice");
    let message = panic.into_panic();
    let message = message.downcast_ref::<String>().expect("a message");
    for name in ["a_stale_head_is_refused_and_changes_nothing", "past_a_barrier", "sent_again"] {
        assert!(message.contains(name), "{message}");
    }
}
