use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use molt_store::{Candidate, MemoryStore, Store};

use super::*;

const WORK: &str = "restore of a backup";

fn records(of: impl IntoIterator<Item = (usize, usize)>) -> BTreeMap<Key, Json> {
    let record = |(n, bytes): (usize, usize)| {
        let value = format!("\"{}\"", "x".repeat(bytes));
        (Key::parse(format!("task/{n:06}")).unwrap(), Json::parse(value).unwrap())
    };
    of.into_iter().map(record).collect()
}

async fn led(store: &MemoryStore) -> Led {
    let leadership = store.campaign(&Candidate::new("a", "a:1")).await.unwrap();
    Led { place: "memory".to_owned(), store: Arc::new(store.clone()), leadership }
}

/// Drops `work` after so many commits: it rests after each.
fn interrupt(work: impl Future<Output = Result<usize, TransferError>>, commits: usize) {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..commits {
        assert!(work.as_mut().poll(&mut context).is_pending(), "it was to be interrupted");
    }
}

/// One run of `work`; how many records it changed.
async fn run(
    led: &Led,
    work: &str,
    begun: Begun,
    goal: &BTreeMap<Key, Json>,
) -> Result<usize, TransferError> {
    let mut filling = begin(led, work, begun).await?;
    filling.fill(goal, molt_store::FORMAT, &mut |_| {}).await?;
    let changed = filling.changed;
    let ledger = Ledger { counter: 7, ..Ledger::default() };
    filling.finish(goal, &ledger, molt_store::FORMAT).await?;
    Ok(changed)
}

async fn stands(store: &MemoryStore) -> (State, BTreeMap<Key, Json>) {
    let led = led(store).await;
    let (head, records) = led.load().await.unwrap();
    (state("memory", &head, records.len()).unwrap(), as_map(&records))
}

#[tokio::test]
async fn wherever_it_is_interrupted_it_is_no_board_and_goes_on() {
    let goal = records((0..1000).map(|n| (n, 10)));
    for commits in 0..=goal.len().div_ceil(MAX_CHANGES) {
        let store = MemoryStore::new();
        interrupt(run(&led(&store).await, WORK, Begun::GoOn, &goal), commits);
        let (state, there) = stands(&store).await;
        match commits {
            0 => assert_eq!(state, State::Empty),
            _ => assert_eq!(state, State::Unfinished(WORK.to_owned())),
        }
        assert_eq!(there.len(), goal.len().min(commits * MAX_CHANGES));
        let changed = run(&led(&store).await, WORK, Begun::GoOn, &goal).await.unwrap();
        assert_eq!(changed, goal.len() - there.len(), "what is there is not written again");
        assert_eq!(stands(&store).await, (State::Board(goal.len()), goal.clone()));
    }
}

#[tokio::test]
async fn other_work_is_refused_or_given_up_and_a_board_is_never_touched() {
    let (store, goal) = (MemoryStore::new(), records((0..500).map(|n| (n, 10))));
    interrupt(run(&led(&store).await, WORK, Begun::GoOn, &goal), 2);
    let before = stands(&store).await;
    let other = records((200..700).map(|n| (n, 20)));
    let refused = run(&led(&store).await, "move", Begun::GoOn, &other).await.unwrap_err();
    assert!(matches!(&refused, TransferError::Begun { begun, .. } if begun == WORK), "{refused}");
    assert_eq!(stands(&store).await, before);

    run(&led(&store).await, "move", Begun::BeginAgain, &other).await.unwrap();
    let after = (State::Board(other.len()), other.clone());
    assert_eq!(stands(&store).await, after, "nothing of what was given up is left");
    for begun in [Begun::GoOn, Begun::BeginAgain] {
        let refused = run(&led(&store).await, "move", begun, &goal).await.unwrap_err();
        assert!(matches!(refused, TransferError::NotEmpty { .. }), "{refused}");
        assert_eq!(stands(&store).await, after);
    }
}

#[tokio::test]
async fn who_lost_the_lead_writes_nothing_more() {
    let (store, goal) = (MemoryStore::new(), records((0..500).map(|n| (n, 10))));
    let old = led(&store).await;
    let mut filling = begin(&old, WORK, Begun::GoOn).await.unwrap();
    let _new = led(&store).await;
    let lost = filling.fill(&goal, molt_store::FORMAT, &mut |_| {}).await.unwrap_err();
    assert!(matches!(lost, TransferError::Deposed { .. }), "{lost}");
    assert_eq!(stands(&store).await.0, State::Empty);
}

#[test]
fn a_difference_makes_one_of_the_other() {
    let from = records([(1, 1), (2, 1), (3, 1)]);
    let to = records([(2, 1), (3, 9), (4, 1)]);
    let mut made = from.clone();
    let changes = difference(&from, &to);
    assert_eq!(changes.len(), 3);
    for change in changes {
        match change {
            Change::Put(Record { key, value }) => made.insert(key, value),
            Change::Delete { key } => made.remove(&key),
        };
    }
    assert_eq!(made, to);
    assert!(difference(&to, &made).is_empty());
}

#[test]
fn chunks_are_within_the_limits_and_lose_nothing() {
    let large = (0..30).map(|n| (n, 200_000));
    let goal = records(large.chain((30..1000).map(|n| (n, 100))));
    let changes = difference(&BTreeMap::new(), &goal);
    let chunks = in_chunks(changes.clone(), 100);
    assert!(chunks.len() >= 6 + 970 / MAX_CHANGES, "{}", chunks.len());
    for chunk in &chunks {
        let bytes: usize = chunk.iter().map(Change::bytes).sum();
        assert!(chunk.len() <= MAX_CHANGES && bytes + 100 <= MAX_COMMIT_BYTES);
    }
    assert_eq!(chunks.concat(), changes);
}
