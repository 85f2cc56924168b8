use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use molt_domain::board::{Command, Request};
use molt_domain::policy::Spans;
use molt_store::{Candidate, CommitError, MemoryStore};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::{Ended, Engine, Failure, Handle};
use crate::fixture::{self, Door, Kept};

/// Lets commits wait until they are let through.
struct Gated {
    /// How many commits may pass.
    gate: Semaphore,
    /// How many have arrived.
    arrived: Semaphore,
    is_full: AtomicBool,
}

#[tonic::async_trait]
impl Door for Gated {
    async fn commit(&self) -> Result<(), CommitError> {
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        match self.is_full.load(Ordering::Relaxed) {
            true => Err(CommitError::Unavailable("no room".into())),
            false => Ok(()),
        }
    }
}

/// An engine before whose store the test stands.
struct Ground {
    store: Arc<Kept<Gated>>,
    handle: Handle,
    running: JoinHandle<Result<(), Ended>>,
    stop: CancellationToken,
}

type Answer = JoinHandle<Result<(u64, usize), Failure>>;

impl Ground {
    async fn new() -> Self {
        let door = Gated {
            gate: Semaphore::new(1),
            arrived: Semaphore::new(0),
            is_full: AtomicBool::new(false),
        };
        let store = Arc::new(Kept { store: MemoryStore::default(), door });
        let candidate = Candidate::new("test", "nowhere");
        let opened =
            Engine::open(Arc::clone(&store) as _, &candidate, Spans::default(), Clock::Machine);
        let (engine, handle, _) = opened.await.unwrap();
        let stop = CancellationToken::new();
        let running = engine.start(stop.clone());
        handle.own(fixture::reads_base()).await.unwrap();
        let ground = Self { store, handle, running, stop };
        ground.arrived().await;
        ground
    }

    /// Waits until a commit has come to the store.
    async fn arrived(&self) {
        self.store.door.arrived.acquire().await.unwrap().forget();
    }

    fn let_through(&self, commits: usize) {
        self.store.door.gate.add_permits(commits);
    }

    /// Asks for a session; answered with the commit's number and how many sessions there are.
    fn join(&self, name: &str) -> Answer {
        let request = Request::own(fixture::joins(name));
        let handle = self.handle.clone();
        asked(async move {
            let count = handle.submit(request, |_, at| (at.rev, at.board.tables().sessions.len()));
            count.await
        })
    }

    /// Asks for something that is refused whatever is there.
    fn refused(&self) -> Answer {
        let command = Command::RevokeSession {
            session: "ses_0abc".parse().unwrap(),
            reason: "to see".to_owned(),
        };
        let caller = molt_domain::board::Caller::Operator("ops".to_owned());
        let request = Request { caller, ..Request::own(command) };
        let handle = self.handle.clone();
        asked(async move { handle.submit(request, |_, at| (at.rev, 0)).await })
    }

    fn sessions(&self) -> Answer {
        let handle = self.handle.clone();
        asked(async move { handle.read(|at| (at.rev, at.board.tables().sessions.len())).await })
    }

    async fn end(self) {
        self.let_through(100);
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// Asks without waiting for the answer.
#[expect(clippy::disallowed_methods, reason = "the test waits for it")]
fn asked(call: impl Future<Output = Result<(u64, usize), Failure>> + Send + 'static) -> Answer {
    tokio::spawn(call)
}

/// Lets every other task go as far as it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_decided_on_top_of_a_commit_waits_for_both() {
    let ground = Ground::new().await;
    let first = ground.join("first");
    ground.arrived().await;
    let (second, third) = (ground.join("second"), ground.join("third"));
    settle().await;
    assert!(!first.is_finished() && !second.is_finished(), "nobody is told before the store");
    ground.let_through(1);
    assert_eq!(first.await.unwrap().unwrap(), (2, 1));
    ground.arrived().await;
    settle().await;
    assert!(!second.is_finished(), "its own commit is still on its way");
    ground.let_through(1);
    let mut both = [second.await.unwrap().unwrap(), third.await.unwrap().unwrap()];
    both.sort_unstable();
    assert_eq!(both, [(3, 2), (3, 3)], "worded on the board right after each, in one commit");
    ground.end().await;
}

#[tokio::test]
async fn a_commit_that_fails_takes_what_is_on_top_of_it_along() {
    let ground = Ground::new().await;
    let first = ground.join("first");
    ground.arrived().await;
    let second = ground.join("second");
    let refused = ground.refused();
    settle().await;
    assert!(!refused.is_finished(), "a refusal may rest on what is not committed");
    ground.store.door.is_full.store(true, Ordering::Relaxed);
    ground.let_through(1);
    for answer in [first, second, refused] {
        let failure = answer.await.unwrap().unwrap_err();
        let Failure::Unavailable(reason) = failure else { panic!("{failure}") };
        assert_eq!(reason, "the store: no room", "each is told the reason");
    }
    ground.store.door.is_full.store(false, Ordering::Relaxed);
    ground.let_through(1);
    assert_eq!(ground.join("again").await.unwrap().unwrap(), (2, 1), "nothing was left behind");
    ground.end().await;
}

#[tokio::test]
async fn readers_see_what_is_committed_and_nothing_else() {
    let ground = Ground::new().await;
    let first = ground.join("first");
    ground.arrived().await;
    let reader = ground.sessions();
    settle().await;
    let second = ground.join("second");
    settle().await;
    assert!(!reader.is_finished(), "there is something on its way");
    ground.let_through(1);
    assert_eq!(reader.await.unwrap().unwrap(), (2, 1), "before what came after it is decided");
    first.await.unwrap().unwrap();
    ground.let_through(1);
    assert_eq!(second.await.unwrap().unwrap(), (3, 2));
    ground.end().await;
}

#[tokio::test]
async fn who_stops_is_answered_first() {
    let ground = Ground::new().await;
    let first = ground.join("first");
    ground.arrived().await;
    let second = ground.join("second");
    settle().await;
    ground.stop.cancel();
    settle().await;
    let late = ground.join("late");
    ground.let_through(2);
    assert_eq!(first.await.unwrap().unwrap().0, 2);
    assert_eq!(second.await.unwrap().unwrap().0, 3);
    assert!(matches!(late.await.unwrap(), Err(Failure::Unavailable(_))));
    ground.running.await.unwrap().unwrap();
}
