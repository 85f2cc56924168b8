//! The cases. Each says in its name what must hold.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::Harness;
use crate::commit::{Commit, MAX_CHANGES, MAX_COMMIT_BYTES, MAX_VALUE_BYTES};
use crate::head::{CommitId, FORMAT, Format, Head};
use crate::record::{Change, Json, Key, MAX_KEY_BYTES, Record};
use crate::settle::{SettleError, Settled, commit_and_settle, settle};
use crate::store::{
    CampaignError, Candidate, CommitError, Leadership, LoadError, Store, Tenure, TenureError,
};

type Case = for<'a> fn(&'a mut dyn Harness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Lists cases by name; one that is not listed is dead code and does not pass the lints.
macro_rules! cases {
    ($($name:ident)*) => {
        pub(super) const ALL: &[(&str, Case)] = &[
            $((stringify!($name), |harness| Box::pin($name(harness)))),*
        ];
    };
}

cases! {
    a_fresh_store_has_head_zero_and_no_records
    a_commit_moves_the_head_by_one
    a_barrier_moves_the_head_and_nothing_else
    values_come_back_byte_for_byte
    records_are_loaded_in_the_order_of_their_keys
    a_key_has_its_last_value_and_none_after_delete
    deleting_a_missing_key_is_no_error
    a_stale_head_is_refused_and_changes_nothing
    a_head_of_the_same_number_by_another_commit_is_refused
    the_same_commit_sent_again_is_refused
    of_two_racing_commits_one_is_applied
    a_deposed_leader_is_refused_even_with_the_right_head
    a_deposed_leader_loads_nothing
    a_commit_delayed_past_a_takeover_does_not_overwrite
    a_commit_delayed_past_a_barrier_does_not_overwrite
    terms_grow_also_across_restarts
    a_campaign_changes_neither_head_nor_records
    a_renewal_changes_nothing_and_is_refused_to_the_deposed
    who_resigned_is_deposed_and_the_next_candidate_leads_at_once
    a_leader_on_a_lease_is_waited_for_while_it_shows_itself
    a_leader_on_a_lease_is_succeeded_after_a_ttl_and_not_before
    a_restart_keeps_head_and_records
    the_largest_commit_is_applied_whole
    the_longest_key_works
    settling_an_applied_commit_finds_it
    settling_a_lost_commit_shuts_it_out
    settling_after_a_takeover_answers_deposed
    settling_beside_another_writer_answers_overtaken
    an_answered_commit_needs_no_barrier
    a_format_rises_and_never_falls
    a_program_too_old_is_refused_and_disturbs_nobody
}

fn candidate(name: &str) -> Candidate {
    Candidate::new(name, format!("{name}.example:7400"))
}

fn key(text: &str) -> Key {
    Key::parse(text).expect("a key")
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("json")
}

fn record(name: &str, value: &str) -> Record {
    Record { key: key(name), value: json(value) }
}

fn put(name: &str, value: &str) -> Change {
    Change::Put(record(name, value))
}

fn commit(leadership: &Leadership, changes: Vec<Change>) -> Commit {
    Commit::new(leadership, json(r#"{"now":1}"#), changes).expect("a commit within the limits")
}

async fn no_pause(_attempts: u32) {}

/// A store with its first leader, at the fresh head.
async fn led(harness: &mut dyn Harness) -> (Arc<dyn Store>, Leadership, Head) {
    let store = harness.store().await;
    let leadership = store.campaign(&candidate("first")).await.expect("a free seat");
    let (head, _) = store.load(&leadership).await.expect("a load by the leader");
    (store, leadership, head)
}

async fn takeover(harness: &mut dyn Harness) -> (Arc<dyn Store>, Leadership) {
    harness.unseat().await;
    let store = harness.second().await;
    let leadership = store.campaign(&candidate("second")).await.expect("a seat set free");
    (store, leadership)
}

async fn assert_holds(store: &dyn Store, leadership: &Leadership, head: &Head, records: &[Record]) {
    let found = store.load(leadership).await.expect("a load by the leader");
    assert_eq!(found, (head.clone(), records.to_vec()));
}

fn assert_moved(answer: Result<Head, CommitError>, to: &Head) {
    match answer {
        Err(CommitError::Moved { head }) => assert_eq!(head, *to),
        other => panic!("expected `Moved`, got {other:?}"),
    }
}

fn assert_deposed(answer: &Result<Head, CommitError>) {
    assert!(matches!(answer, Err(CommitError::Deposed { .. })), "{answer:?}");
}

async fn a_fresh_store_has_head_zero_and_no_records(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let fresh =
        Head { number: 0, id: CommitId::ORIGIN, format: FORMAT, ledger: Json::empty_object() };
    assert_eq!(head, fresh);
    assert_holds(&*store, &leader, &fresh, &[]).await;
}

async fn a_commit_moves_the_head_by_one(harness: &mut dyn Harness) {
    let (store, leader, mut head) = led(harness).await;
    for number in 1..=3 {
        let batch = commit(&leader, vec![put("a", &number.to_string())]);
        let (id, ledger) = (batch.id(), batch.ledger().clone());
        head = store.commit(&leader, &head, batch).await.expect("a commit on the head");
        assert_eq!(head, Head { number, id, format: FORMAT, ledger });
    }
    assert_holds(&*store, &leader, &head, &[record("a", "3")]).await;
}

async fn a_barrier_moves_the_head_and_nothing_else(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let first = commit(&leader, vec![put("a", "1")]);
    let head = store.commit(&leader, &head, first).await.expect("a commit on the head");
    let barrier = Commit::barrier(&leader, &head);
    let id = barrier.id();
    let after = store.commit(&leader, &head, barrier).await.expect("a barrier on the head");
    assert_eq!(after, Head { number: 2, id, ..head });
    assert_holds(&*store, &leader, &after, &[record("a", "1")]).await;
}

async fn values_come_back_byte_for_byte(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let odd = [
        ("a", "{ \"spaced\" : [ 1 ,2 ] }\n"),
        ("b", "\"\\u0000 \\\" ü 🦀\""),
        ("c", "1.50e+3"),
        ("d", "null"),
        ("e", "{\"twice\":1,\"twice\":2}"),
    ];
    let changes = odd.iter().map(|(name, value)| put(name, value)).collect();
    let batch = Commit::new(&leader, json("{ \"now\" : 1 }"), changes).expect("a commit");
    let head = store.commit(&leader, &head, batch).await.expect("a commit on the head");
    assert_eq!(head.ledger.as_str(), "{ \"now\" : 1 }");
    let records: Vec<_> = odd.iter().map(|(name, value)| record(name, value)).collect();
    assert_holds(&*store, &leader, &head, &records).await;
}

async fn records_are_loaded_in_the_order_of_their_keys(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let mut names = ["b", "a/b", "a", "B", "a-b", "a/10", "a/9", "~", "a/b/c", "a0"];
    let changes = names.iter().map(|name| put(name, "1")).collect();
    let head = store.commit(&leader, &head, commit(&leader, changes)).await.expect("a commit");
    names.sort_unstable();
    let records: Vec<_> = names.iter().map(|name| record(name, "1")).collect();
    assert_holds(&*store, &leader, &head, &records).await;
}

async fn a_key_has_its_last_value_and_none_after_delete(harness: &mut dyn Harness) {
    let (store, leader, mut head) = led(harness).await;
    let delete = |name| Change::Delete { key: key(name) };
    for changes in [
        vec![put("a", "1"), put("b", "1"), put("c", "1")],
        vec![put("a", "2"), delete("b"), delete("c")],
        vec![put("b", "3")],
    ] {
        let batch = commit(&leader, changes);
        head = store.commit(&leader, &head, batch).await.expect("a commit on the head");
    }
    assert_holds(&*store, &leader, &head, &[record("a", "2"), record("b", "3")]).await;
}

async fn deleting_a_missing_key_is_no_error(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let batch = commit(&leader, vec![Change::Delete { key: key("never") }, put("a", "1")]);
    let head = store.commit(&leader, &head, batch).await.expect("a delete of nothing");
    assert_holds(&*store, &leader, &head, &[record("a", "1")]).await;
}

async fn a_stale_head_is_refused_and_changes_nothing(harness: &mut dyn Harness) {
    let (store, leader, stale) = led(harness).await;
    let batch = commit(&leader, vec![put("a", "1"), put("b", "1")]);
    let head = store.commit(&leader, &stale, batch).await.expect("a commit on the head");
    let late =
        commit(&leader, vec![put("a", "9"), Change::Delete { key: key("b") }, put("c", "9")]);
    assert_moved(store.commit(&leader, &stale, late).await, &head);
    let records = [record("a", "1"), record("b", "1")];
    assert_holds(&*store, &leader, &head, &records).await;
}

async fn a_head_of_the_same_number_by_another_commit_is_refused(harness: &mut dyn Harness) {
    let (store, leader, fresh) = led(harness).await;
    let (one, other) = (commit(&leader, vec![put("a", "1")]), commit(&leader, Vec::new()));
    let imagined = fresh.after(&other);
    let head = store.commit(&leader, &fresh, one).await.expect("a commit on the head");
    assert_eq!(head.number, imagined.number);
    let next = commit(&leader, vec![put("a", "2")]);
    assert_moved(store.commit(&leader, &imagined, next).await, &head);
    assert_holds(&*store, &leader, &head, &[record("a", "1")]).await;
}

async fn the_same_commit_sent_again_is_refused(harness: &mut dyn Harness) {
    let (store, leader, fresh) = led(harness).await;
    let batch = commit(&leader, vec![put("a", "1")]);
    let head = store.commit(&leader, &fresh, batch.clone()).await.expect("the first sending");
    assert_moved(store.commit(&leader, &fresh, batch).await, &head);
    assert_holds(&*store, &leader, &head, &[record("a", "1")]).await;
}

async fn of_two_racing_commits_one_is_applied(harness: &mut dyn Harness) {
    let (store, leader, mut head) = led(harness).await;
    for round in 0..20 {
        let one = commit(&leader, vec![put("a", &format!("{round}.1"))]);
        let other = commit(&leader, vec![put("a", &format!("{round}.2"))]);
        let answers =
            tokio::join!(store.commit(&leader, &head, one), store.commit(&leader, &head, other));
        let value;
        (head, value) = match answers {
            (Ok(won), lost) => {
                assert_moved(lost, &won);
                (won, format!("{round}.1"))
            }
            (lost, Ok(won)) => {
                assert_moved(lost, &won);
                (won, format!("{round}.2"))
            }
            neither => panic!("neither commit was applied: {neither:?}"),
        };
        assert_holds(&*store, &leader, &head, &[record("a", &value)]).await;
    }
}

async fn a_deposed_leader_is_refused_even_with_the_right_head(harness: &mut dyn Harness) {
    let (store, old, head) = led(harness).await;
    let (second, new) = takeover(harness).await;
    for late in [commit(&old, vec![put("a", "1")]), Commit::barrier(&old, &head)] {
        assert_deposed(&store.commit(&old, &head, late).await);
    }
    assert_holds(&*second, &new, &head, &[]).await;
}

async fn a_deposed_leader_loads_nothing(harness: &mut dyn Harness) {
    let (store, old, _) = led(harness).await;
    takeover(harness).await;
    let answer = store.load(&old).await;
    assert!(matches!(answer, Err(LoadError::Deposed { .. })), "{answer:?}");
}

async fn a_commit_delayed_past_a_takeover_does_not_overwrite(harness: &mut dyn Harness) {
    let (store, old, head) = led(harness).await;
    let delayed = commit(&old, vec![put("a", "\"old\"")]);
    let (second, new) = takeover(harness).await;
    let batch = commit(&new, vec![put("a", "\"new\"")]);
    let newer = second.commit(&new, &head, batch).await.expect("a commit by the new leader");
    assert_deposed(&store.commit(&old, &head, delayed).await);
    assert_holds(&*second, &new, &newer, &[record("a", "\"new\"")]).await;
}

async fn a_commit_delayed_past_a_barrier_does_not_overwrite(harness: &mut dyn Harness) {
    let (store, leader, fresh) = led(harness).await;
    let delayed = commit(&leader, vec![put("a", "\"old\"")]);
    let barrier = Commit::barrier(&leader, &fresh);
    let head = store.commit(&leader, &fresh, barrier).await.expect("a barrier on the head");
    let batch = commit(&leader, vec![put("a", "\"new\"")]);
    let head = store.commit(&leader, &head, batch).await.expect("a commit on the head");
    assert_moved(store.commit(&leader, &fresh, delayed).await, &head);
    assert_holds(&*store, &leader, &head, &[record("a", "\"new\"")]).await;
}

async fn terms_grow_also_across_restarts(harness: &mut dyn Harness) {
    let mut last = 0;
    for round in 0..4 {
        let store = harness.store().await;
        let leadership = store.campaign(&candidate("again")).await.expect("a free seat");
        assert!(leadership.term() > last, "term {} after {last}", leadership.term());
        last = leadership.term();
        drop(store);
        harness.unseat().await;
        if round % 2 == 1 {
            harness.restart().await;
        }
    }
    let store = harness.store().await;
    let far = candidate("elsewhere").above(last + 1000);
    let leadership = store.campaign(&far).await.expect("a free seat");
    assert!(leadership.term() > last + 1000, "term {} above another store's", leadership.term());
}

async fn a_campaign_changes_neither_head_nor_records(harness: &mut dyn Harness) {
    let (store, old, head) = led(harness).await;
    let batch = commit(&old, vec![put("a", "1")]);
    let head = store.commit(&old, &head, batch).await.expect("a commit on the head");
    let (second, new) = takeover(harness).await;
    assert_holds(&*second, &new, &head, &[record("a", "1")]).await;
}

async fn a_renewal_changes_nothing_and_is_refused_to_the_deposed(harness: &mut dyn Harness) {
    let (store, old, head) = led(harness).await;
    let batch = commit(&old, vec![put("a", "1")]);
    let head = store.commit(&old, &head, batch).await.expect("a commit on the head");
    for _ in 0..2 {
        store.renew(&old).await.expect("a renewal by the leader");
    }
    assert_holds(&*store, &old, &head, &[record("a", "1")]).await;
    let next = commit(&old, vec![put("a", "2")]);
    let head = store.commit(&old, &head, next).await.expect("a commit after a renewal");
    let (second, new) = takeover(harness).await;
    let answer = store.renew(&old).await;
    assert!(matches!(answer, Err(TenureError::Deposed { .. })), "{answer:?}");
    second.renew(&new).await.expect("a renewal by the new leader");
    assert_holds(&*second, &new, &head, &[record("a", "2")]).await;
}

async fn who_resigned_is_deposed_and_the_next_candidate_leads_at_once(harness: &mut dyn Harness) {
    let (store, old, head) = led(harness).await;
    let batch = commit(&old, vec![put("a", "1")]);
    let head = store.commit(&old, &head, batch).await.expect("a commit on the head");
    store.resign(&old).await.expect("the leader may go");
    assert_deposed(&store.commit(&old, &head, commit(&old, vec![put("a", "2")])).await);
    for answer in [store.renew(&old).await, store.resign(&old).await] {
        assert!(matches!(answer, Err(TenureError::Deposed { .. })), "{answer:?}");
    }
    // Nobody is unseated here: the seat is free.
    let second = harness.second().await;
    let new = second.campaign(&candidate("second")).await.expect("a free seat");
    assert!(new.term() > old.term(), "term {} after {}", new.term(), old.term());
    assert_holds(&*second, &new, &head, &[record("a", "1")]).await;
    let answer = store.resign(&old).await;
    assert!(matches!(answer, Err(TenureError::Deposed { .. })), "the new leader stays: {answer:?}");
    second.renew(&new).await.expect("the new leader leads");
}

fn assert_held(answer: &Result<Leadership, CampaignError>) {
    match answer {
        Err(CampaignError::Held { name, address, .. }) => {
            assert_eq!((name.as_str(), address.as_str()), ("first", "first.example:7400"));
        }
        other => panic!("expected `Held`, got {other:?}"),
    }
}

async fn a_leader_on_a_lease_is_waited_for_while_it_shows_itself(harness: &mut dyn Harness) {
    let (store, leader, mut head) = led(harness).await;
    let Tenure::Lease { ttl } = store.facts().tenure else { return };
    let second = harness.second().await;
    for round in 0..20 {
        if round % 2 == 0 {
            store.renew(&leader).await.expect("a renewal by the leader");
        } else {
            let batch = commit(&leader, vec![put("a", &round.to_string())]);
            head = store.commit(&leader, &head, batch).await.expect("a commit on the head");
        }
        assert_held(&second.campaign(&candidate("second")).await);
        sleep(ttl / 10).await;
    }
    assert_holds(&*store, &leader, &head, &[record("a", "19")]).await;
}

async fn a_leader_on_a_lease_is_succeeded_after_a_ttl_and_not_before(harness: &mut dyn Harness) {
    let (store, old, fresh) = led(harness).await;
    let Tenure::Lease { ttl } = store.facts().tenure else { return };
    let second = harness.second().await;
    let batch = commit(&old, vec![put("a", "1")]);
    let head = store.commit(&old, &fresh, batch).await.expect("a commit on the head");
    assert_held(&second.campaign(&candidate("second")).await);
    sleep(ttl / 2).await;
    let last_heard = Instant::now();
    store.renew(&old).await.expect("a renewal by the leader");
    let new = loop {
        match second.campaign(&candidate("second")).await {
            Ok(new) => break new,
            held => assert_held(&held),
        }
        sleep(ttl / 20).await;
    };
    assert!(last_heard.elapsed() >= ttl, "the lead was taken after {:?}", last_heard.elapsed());
    assert_deposed(&store.commit(&old, &head, commit(&old, vec![put("a", "2")])).await);
    assert_holds(&*second, &new, &head, &[record("a", "1")]).await;
}

async fn a_restart_keeps_head_and_records(harness: &mut dyn Harness) {
    let (store, leader, mut head) = led(harness).await;
    let mut records = Vec::new();
    for n in 100..150 {
        let name = format!("k/{n}");
        records.push(record(&name, "1"));
        let batch = commit(&leader, vec![put(&name, "1")]);
        head = store.commit(&leader, &head, batch).await.expect("a commit on the head");
    }
    drop(store);
    harness.unseat().await;
    harness.restart().await;
    let store = harness.store().await;
    let leader = store.campaign(&candidate("next")).await.expect("a free seat");
    assert_holds(&*store, &leader, &head, &records).await;
    let batch = commit(&leader, vec![Change::Delete { key: key("k/100") }]);
    let head = store.commit(&leader, &head, batch).await.expect("a commit on the kept head");
    assert_holds(&*store, &leader, &head, &records[1..]).await;
}

async fn the_largest_commit_is_applied_whole(harness: &mut dyn Harness) {
    let (store, leader, mut head) = led(harness).await;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    // As many changes as there may be, then as many bytes, in values of the full length.
    let share = MAX_COMMIT_BYTES / MAX_CHANGES - 100;
    let wide: Vec<_> =
        (0..MAX_CHANGES).map(|n| record(&format!("w/{n:03}"), &text(share))).collect();
    let values = MAX_COMMIT_BYTES / MAX_VALUE_BYTES - 1;
    let deep: Vec<_> =
        (0..values).map(|n| record(&format!("d/{n:03}"), &text(MAX_VALUE_BYTES))).collect();
    for records in [&wide, &deep] {
        let changes = records.iter().cloned().map(Change::Put).collect();
        let batch = commit(&leader, changes);
        head = store.commit(&leader, &head, batch).await.expect("a commit at the limit");
    }
    let all: Vec<_> = deep.into_iter().chain(wide).collect();
    assert_holds(&*store, &leader, &head, &all).await;
}

async fn the_longest_key_works(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let name = "k".repeat(MAX_KEY_BYTES);
    let batch = commit(&leader, vec![put(&name, "1")]);
    let head = store.commit(&leader, &head, batch).await.expect("a commit on the head");
    assert_holds(&*store, &leader, &head, &[record(&name, "1")]).await;
}

async fn settling_an_applied_commit_finds_it(harness: &mut dyn Harness) {
    let (store, leader, fresh) = led(harness).await;
    let batch = commit(&leader, vec![put("a", "1")]);
    let id = batch.id();
    let head = store.commit(&leader, &fresh, batch).await.expect("a commit on the head");
    let settled = settle(&*store, &leader, &fresh, id, no_pause).await.expect("an outcome");
    assert_eq!(settled, Settled::Applied(head.clone()));
    assert_holds(&*store, &leader, &head, &[record("a", "1")]).await;
}

async fn settling_a_lost_commit_shuts_it_out(harness: &mut dyn Harness) {
    let (store, leader, fresh) = led(harness).await;
    let lost = commit(&leader, vec![put("a", "1")]);
    let settled = settle(&*store, &leader, &fresh, lost.id(), no_pause).await.expect("an outcome");
    let Settled::Lost(head) = settled else { panic!("never sent, but {settled:?}") };
    assert_eq!((head.number, &head.ledger), (1, &fresh.ledger));
    assert_moved(store.commit(&leader, &fresh, lost).await, &head);
    assert_holds(&*store, &leader, &head, &[]).await;
}

async fn settling_after_a_takeover_answers_deposed(harness: &mut dyn Harness) {
    let (store, old, fresh) = led(harness).await;
    let lost = commit(&old, vec![put("a", "1")]);
    let (second, new) = takeover(harness).await;
    let answer = settle(&*store, &old, &fresh, lost.id(), no_pause).await;
    assert!(matches!(answer, Err(SettleError::Deposed { .. })), "{answer:?}");
    assert_holds(&*second, &new, &fresh, &[]).await;
}

async fn settling_beside_another_writer_answers_overtaken(harness: &mut dyn Harness) {
    let (store, leader, fresh) = led(harness).await;
    let lost = commit(&leader, vec![put("a", "1")]);
    let beside = commit(&leader, vec![put("b", "1")]);
    let moved = store.commit(&leader, &fresh, beside).await.expect("a commit on the head");
    let answer = settle(&*store, &leader, &fresh, lost.id(), no_pause).await;
    assert!(
        matches!(&answer, Err(SettleError::Overtaken { head }) if *head == moved),
        "{answer:?}"
    );
}

async fn an_answered_commit_needs_no_barrier(harness: &mut dyn Harness) {
    let (store, leader, fresh) = led(harness).await;
    let batch = commit(&leader, vec![put("a", "1")]);
    let expected = fresh.after(&batch);
    let settled = commit_and_settle(&*store, &leader, &fresh, batch, no_pause).await;
    assert_eq!(settled.expect("an answer"), Settled::Applied(expected));
}

async fn a_format_rises_and_never_falls(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let higher = Format { written: FORMAT.written + 1, ..FORMAT };
    let raise = commit(&leader, Vec::new()).raising_format(higher);
    let head = store.commit(&leader, &head, raise).await.expect("a commit on the head");
    assert_eq!(head.format, higher);
    let lower = commit(&leader, Vec::new()).raising_format(FORMAT);
    let head = store.commit(&leader, &head, lower).await.expect("a commit on the head");
    assert_eq!(head.format, higher);
    let (second, new) = takeover(harness).await;
    assert_holds(&*second, &new, &head, &[]).await;
}

async fn a_program_too_old_is_refused_and_disturbs_nobody(harness: &mut dyn Harness) {
    let (store, leader, head) = led(harness).await;
    let format = Format { min_writer: FORMAT.written + 1, ..FORMAT };
    let raise = commit(&leader, Vec::new()).raising_format(format);
    let head = store.commit(&leader, &head, raise).await.expect("a commit on the head");
    match harness.second().await.campaign(&candidate("old")).await {
        Err(CampaignError::Format { program, format: found }) => {
            assert_eq!((program, found), (FORMAT.written, format));
        }
        other => panic!("expected `Format`, got {other:?}"),
    }
    let batch = commit(&leader, vec![put("a", "1")]);
    let head = store.commit(&leader, &head, batch).await.expect("the leader still leads");
    assert_holds(&*store, &leader, &head, &[record("a", "1")]).await;
    harness.unseat().await;
    let new = Candidate { program: FORMAT.written + 1, ..candidate("new") };
    harness.second().await.campaign(&new).await.expect("a program that is new enough");
}
