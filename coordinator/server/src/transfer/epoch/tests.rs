use std::sync::Arc;

use molt_domain::board::{Actor, Event, Kind, Reply};
use molt_domain::claim::{Mode, Otherwise, Wanted};
use molt_domain::id::SessionId;
use molt_domain::lock;
use molt_domain::policy::Spans;
use molt_domain::session::{Credentials, Root};
use molt_store::{Candidate, Head, MemoryStore, Record, Store};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::Clock;
use crate::engine::{Engine, Handle};
use crate::fixture::{joins, reads_base};

fn claims(scope: &str) -> Command {
    Command::Claim(Wanted {
        scopes: vec![scope.parse().unwrap()],
        globs: Vec::new(),
        why: "to see".to_owned(),
        task: None,
        mode: Mode::Exclusive,
        risk: None,
        tests: Vec::new(),
        max: None,
        otherwise: Otherwise::Refuse,
    })
}

fn locks(name: &str) -> Command {
    let what = "make".to_owned();
    Command::AcquireLock { lock: name.parse().unwrap(), what, otherwise: Otherwise::Refuse }
}

fn by(session: SessionId, command: Command) -> Request {
    let credentials = Credentials { session, secret: "ann".to_owned(), epoch: 1 };
    Request { caller: Caller::Session(credentials), ..Request::own(command) }
}

async fn done(handle: &Handle, request: Request) -> Reply {
    handle.submit(request, |reply, _| reply.clone()).await.unwrap()
}

/// What is stored of a fleet where `ann` holds the scope `a` and the lock `l`; and her session.
async fn fleet() -> (Whole, SessionId) {
    let candidate = Candidate::new("test", "nowhere");
    let store = Arc::new(MemoryStore::default());
    let opened =
        Engine::open(store.clone(), &candidate, Spans::default(), Clock::Machine).await.unwrap();
    let (engine, handle, _) = opened;
    let running = engine.start(CancellationToken::new());
    done(&handle, Request::own(reads_base())).await;
    let joined = done(&handle, Request::own(joins("ann"))).await;
    let Reply::Session { id, .. } = joined else { panic!("a session, not {joined:?}") };
    done(&handle, by(id, claims("a"))).await;
    done(&handle, by(id, locks("l"))).await;
    drop(handle);
    running.await.unwrap().unwrap();
    let leadership = store.campaign(&candidate).await.unwrap();
    let (head, records) = store.load(&leadership).await.unwrap();
    (Whole::verify("the store", head, records, Spans::default()).unwrap(), id)
}

fn order() -> Order {
    Order { operator: "olga".to_owned(), reason: "the disk died".to_owned(), wall: 9 }
}

/// The successor as it is read back from a store.
fn read_back(whole: &Whole, next: &Successor) -> Whole {
    let ledger = Json::encode(&next.ledger).unwrap();
    let head = Head { ledger, ..whole.head.clone() };
    let record = |(key, value): (&Key, &Json)| Record { key: key.clone(), value: value.clone() };
    let records = next.records.iter().map(record).collect();
    Whole::verify("the other store", head, records, Spans::default()).unwrap()
}

fn lock_of(board: &Board) -> lock::State {
    board.tables().locks.values().next().expect("the lock").state.clone()
}

/// The last event of the audit, and who caused it.
fn last_event(whole: &Whole) -> (Actor, Event) {
    let (key, value) = whole
        .records
        .iter()
        .rfind(|(key, _)| key.as_str().starts_with("audit/"))
        .expect("an audit");
    let entries: Vec<audit::Entry> = value.decode().unwrap();
    let last = entries.last().unwrap_or_else(|| panic!("{key} is empty"));
    (last.actor.clone(), last.event.clone())
}

#[tokio::test]
async fn a_restored_fleet_keeps_its_claims_and_trusts_nobody() {
    let (whole, ann) = fleet().await;
    let next = succeed(&whole, &order(), Since::Unknown).unwrap();
    assert_eq!(next.silenced, 1);
    let there = read_back(&whole, &next);
    assert_eq!(there.digest(), next.digest);
    let mut board = there.board;
    let now = Now { board: board.ledger().time, wall: 10 };
    let claim = board.tables().claims.values().next().expect("the claim");
    assert!(claim.is_held(), "{claim:?}");
    let closed = now.board.plus(board.spans().delay);
    let lock::State::Delayed { until, last: Some(_) } = lock_of(&board) else {
        panic!("the lock is {:?}", lock_of(&board))
    };
    assert!(until >= closed, "the lock opens at {until:?}, before {closed:?}");

    // What she has of before passes no more, and her fences are all lower than new ones.
    for command in [claims("b"), claims("a"), locks("other")] {
        let refused = board.decide(&by(ann, command), now).unwrap_err();
        assert_eq!(refused.kind(), Kind::Lost, "{refused}");
    }
    let resumed = board.decide(&by(ann, Command::Resume { root: Root::Use }), now).unwrap();
    let Reply::Session { epoch: 2, .. } = resumed.reply else { panic!("{:?}", resumed.reply) };
    board.set_ledger(board.ledger().clone().at(resumed.fence));
    resumed.changes.into_iter().for_each(|change| drop(board.apply(change)));
    let credentials = Credentials { session: ann, secret: "ann".to_owned(), epoch: 2 };
    let caller = Caller::Session(credentials);
    let granted = board.decide(&Request { caller, ..Request::own(claims("b")) }, now).unwrap();
    assert_eq!(granted.fence.epoch, 1);
    assert!(granted.fence.n > LIFE, "no id of the lost time is given again: {}", granted.fence);
}

#[tokio::test]
async fn a_moved_fleet_is_the_same_under_a_higher_epoch() {
    let (whole, ann) = fleet().await;
    let next = succeed(&whole, &order(), Since::Nothing).unwrap();
    assert_eq!((next.digest.clone(), next.silenced), (whole.digest(), 0));
    let there = read_back(&whole, &next);
    assert_eq!(there.records.len(), whole.records.len() + 1, "one more record of the audit");
    let (before, after) = (whole.ledger.fence(), there.ledger.fence());
    assert_eq!(after.epoch, before.epoch + 1);
    assert!(after.n > before.n, "no id is given twice");
    let now = Now { board: there.ledger.time.plus(Spans::default().heartbeat), wall: 10 };
    let granted = there.board.decide(&by(ann, claims("b")), now).unwrap();
    assert!(granted.fence > after, "{}", granted.fence);
    assert!(matches!(lock_of(&there.board), lock::State::Held(_)));
}

#[tokio::test]
async fn the_audit_names_who_began_the_epoch_and_why() {
    let (whole, _) = fleet().await;
    for since in [Since::Nothing, Since::Unknown] {
        let next = succeed(&whole, &order(), since).unwrap();
        let there = read_back(&whole, &next);
        let (actor, event) = last_event(&there);
        assert_eq!(actor, Actor::Operator("olga".to_owned()));
        let reason = "the disk died".to_owned();
        assert_eq!(event, Event::EpochRaised { epoch: 1, reason });
        assert!(there.ledger.time >= whole.ledger.time);
    }
    let silent = Order { reason: " ".to_owned(), ..order() };
    let refused = succeed(&whole, &silent, Since::Nothing).unwrap_err();
    assert!(matches!(refused, TransferError::Refused(_)), "{refused}");
}

#[test]
fn a_new_life_begins_above_the_old_one() {
    for (n, expected) in [(0, LIFE), (1, LIFE), (LIFE - 1, LIFE), (LIFE, 2 * LIFE)] {
        assert_eq!(next_life(n), expected);
    }
}
