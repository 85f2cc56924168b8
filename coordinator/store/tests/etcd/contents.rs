//! Keys that are not ours, a full database, a history that goes away.

use std::time::Duration;

use etcd_client::{AlarmAction, AlarmOptions, AlarmType, Client, CompactionOptions, GetOptions};
use molt_store::etcd::{Alarm, History, MemberState, Verdict, examine};
use molt_store::rig::{Cluster, Direction, Fault, Options, Proxy};
use molt_store::{
    CampaignError, Candidate, CommitError, FORMAT, Format, LoadError, Record, Store, TenureError,
};
use tokio::time::{Instant, sleep, timeout};

use crate::fleet::{Leader, TTL, beside, cluster, connect, fresh_fleet, options_at, record, whole};

async fn all_keys(client: &mut Client, prefix: &str) -> Vec<String> {
    let answer = client.get(prefix, Some(GetOptions::new().with_prefix())).await.unwrap();
    answer.kvs().iter().map(|pair| pair.key_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_read_what_is_stored() {
    let cluster = cluster(1).await;
    let mut leader = Leader::of(&options_at(cluster.endpoints(), "read")).await;
    leader.commit(&[record("claim/clm_1", r#"{"holder":"a1"}"#)]).await.unwrap();
    leader.store.renew(&leader.leadership).await.unwrap();
    let mut client = beside(&cluster).await;
    let mut texts = Vec::new();
    for key in all_keys(&mut client, "/molt/").await {
        let answer = client.get(key.as_str(), None).await.unwrap();
        texts.push((key, answer.kvs()[0].value_str().unwrap().to_owned()));
    }
    let seat = &texts[1].1;
    let Format { written, min_reader, min_writer } = FORMAT;
    let begins = format!(r#"{{"term":1,"name":"first","address":"first:1","program":{written},"#);
    assert!(seat.starts_with(&begins), "{seat}");
    let format =
        format!(r#"{{"written":{written},"min_reader":{min_reader},"min_writer":{min_writer}}}"#);
    let head = format!(r#"{{"number":1,"id":"1-1","format":{format},"ledger":{{}}}}"#);
    let expected = [
        ("/molt/v1/read/head".to_owned(), head),
        ("/molt/v1/read/leader".to_owned(), seat.clone()),
        ("/molt/v1/read/r/claim/clm_1".to_owned(), r#"{"holder":"a1"}"#.to_owned()),
        ("/molt/v1/read/renewal".to_owned(), r#"{"term":1}"#.to_owned()),
    ];
    assert_eq!(texts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_ours_are_named_and_nothing_is_written() {
    let cluster = cluster(1).await;
    let mut client = beside(&cluster).await;
    for (number, stray) in ["a", "heads", "r0", "zoo", "r/record"].into_iter().enumerate() {
        let fleet = format!("stray{number}");
        let key = format!("/molt/v1/{fleet}/{stray}");
        client.put(key.as_str(), "{}", None).await.unwrap();
        let options = options_at(cluster.endpoints(), &fleet);
        let store = connect(&options).await;
        let answer = store.campaign(&Candidate::new("c", "c:1")).await;
        let Err(error @ CampaignError::Damaged { .. }) = answer else {
            panic!("{stray}: {answer:?}")
        };
        assert!(whole(&error).contains(&key), "{}", whole(&error));
        assert_eq!(all_keys(&mut client, &format!("/molt/v1/{fleet}/")).await, [key.as_str()]);
        if stray != "r/record" {
            let verdict = store.examine().await.verdict();
            assert!(matches!(&verdict, Verdict::Refuse(text) if text.contains(&key)), "{verdict}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_named() {
    let cluster = cluster(1).await;
    let mut client = beside(&cluster).await;
    let mut leader = Leader::of(&options_at(cluster.endpoints(), "odd")).await;
    leader.commit(&[record("good", "1")]).await.unwrap();
    for (name, value) in
        [("r/a", "{"), ("r/a", "\u{fffd}"), ("r/a b", "1"), ("r/a/", "1"), ("q", "1")]
    {
        let key = format!("/molt/v1/odd/{name}");
        client.put(key.as_str(), value, None).await.unwrap();
        let answer = leader.store.load(&leader.leadership).await;
        let Err(error @ LoadError::Damaged { .. }) = answer else { panic!("{name}: {answer:?}") };
        assert!(whole(&error).contains(&key), "{}", whole(&error));
        client.delete(key.as_str(), None).await.unwrap();
    }
    leader.records().await;
    // A head or a seat that nobody can read stops every candidate.
    for name in ["head", "leader"] {
        let fleet = format!("odd-{name}");
        let key = format!("/molt/v1/{fleet}/{name}");
        client.put(key.as_str(), "{}", None).await.unwrap();
        let store = connect(&options_at(cluster.endpoints(), &fleet)).await;
        let answer = store.campaign(&Candidate::new("c", "c:1")).await;
        let Err(error @ CampaignError::Damaged { .. }) = answer else { panic!("{answer:?}") };
        assert!(whole(&error).contains(&key), "{}", whole(&error));
    }
}

/// Who loses the `leader` key loses the lead, but terms go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_key_that_is_gone_deposes_and_terms_grow_on() {
    let cluster = cluster(1).await;
    let options = options_at(cluster.endpoints(), "gone");
    let mut leader = Leader::of(&options).await;
    leader.commit(&[record("a", "1")]).await.unwrap();
    beside(&cluster).await.delete("/molt/v1/gone/leader", None).await.unwrap();
    let answer = leader.commit(&[record("a", "2")]).await;
    assert!(matches!(answer, Err(CommitError::Deposed { .. })), "{answer:?}");
    let next = Leader::of(&options).await;
    assert!(next.leadership.term() > leader.leadership.term());
    assert_eq!(next.records().await, [record("a", "1")]);
}

/// Makes room as an operator does: compact, defragment, disarm.
async fn make_room(client: &mut Client) {
    let newest = client.get("x", None).await.unwrap().header().unwrap().revision();
    let physical = CompactionOptions::new().with_physical();
    client.compact(newest, Some(physical)).await.unwrap();
    client.defragment().await.unwrap();
    let alarms = client.alarm(AlarmAction::Get, AlarmType::None, None).await.unwrap();
    for alarm in alarms.alarms() {
        let mut which = AlarmOptions::new();
        which.with_member(alarm.member_id());
        client.alarm(AlarmAction::Deactivate, alarm.alarm(), Some(which)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_etcd_refuses_and_goes_on_when_there_is_room() {
    let options = Options { quota_bytes: Some(4 << 20), ..Options::default() };
    let cluster = Cluster::start(1, options).await.unwrap();
    let options = fresh_fleet(&cluster);
    let mut leader = Leader::of(&options).await;
    let standby = connect(&options).await;
    let big = |n: u32| record("big", &format!("\"{n}{}\"", "x".repeat(200_000)));
    let mut written = 0;
    let refusal = loop {
        match leader.commit(&[big(written + 1)]).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "the quota does not bind");
    };
    assert!(matches!(refusal, CommitError::Unavailable(_)), "{refusal:?}");
    assert!(whole(&refusal).contains("database space exceeded"), "{}", whole(&refusal));
    for _ in 0..3 {
        let answer = leader.commit(&[record("small", "1")]).await;
        assert!(matches!(answer, Err(CommitError::Unavailable(_))), "{answer:?}");
    }
    let answer = leader.store.renew(&leader.leadership).await;
    assert!(matches!(answer, Err(TenureError::Unavailable(_))), "{answer:?}");
    // Nobody takes the lead from a leader who cannot be heard because nobody can.
    let full = Instant::now();
    while full.elapsed() < TTL * 3 {
        let answer = standby.campaign(&Candidate::new("second", "second:1")).await;
        assert!(answer.is_err(), "the lead was taken");
        sleep(TTL / 10).await;
    }
    let report = leader.store.examine().await;
    assert!(matches!(report.alarms[..], [Alarm::Full { .. }]), "{report}");
    let alarm =
        |found: &Verdict| matches!(found, Verdict::Refuse(text) if text.contains("NOSPACE"));
    assert!(report.findings.iter().any(alarm), "{report}");
    assert_eq!(leader.records().await, [big(written)], "what was acknowledged is there");

    make_room(&mut beside(&cluster).await).await;
    leader.commit(&[record("small", "1")]).await.unwrap();
    leader.store.renew(&leader.leadership).await.unwrap();
    assert_eq!(leader.records().await, [big(written), record("small", "1")]);
}

async fn fill(leader: &mut Leader, count: usize, value: &str) -> Vec<Record> {
    let records: Vec<_> = (0..count).map(|n| record(&format!("k/{n:06}"), value)).collect();
    for batch in records.chunks(100) {
        leader.commit(batch).await.unwrap();
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_begins_again_when_its_moment_is_compacted_away() {
    let cluster = cluster(1).await;
    let proxy = Proxy::start(cluster.members()[0].address()).await.unwrap();
    let mut leader = Leader::of(&options_at(vec![proxy.endpoint()], "pages")).await;
    let value = format!("\"{}\"", "x".repeat(2000));
    let records = fill(&mut leader, 3000, &value).await;
    let bytes = 3000 * 2000;
    let before = proxy.counts(Direction::Answers).passed;

    let (loaded, ()) = tokio::join!(leader.store.load(&leader.leadership), async {
        // Some of the first pages are there: take their moment away before the next.
        proxy.until(Direction::Answers, |counts| counts.passed > before + bytes / 4).await;
        proxy.set(Direction::Answers, Fault::Hold);
        let mut client = beside(&cluster).await;
        let newest = client.put("elsewhere", "", None).await.unwrap().header().unwrap().revision();
        client.compact(newest, None).await.unwrap();
        proxy.heal();
    });
    let (head, found) = loaded.unwrap();
    assert_eq!(head, leader.head);
    assert!(found == records, "{} of {} records", found.len(), records.len());
    let passed = proxy.counts(Direction::Answers).passed - before;
    assert!(passed > bytes + bytes / 5, "{passed} bytes: the load did not begin again");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_too_long_for_one_answer_are_halved() {
    let cluster = cluster(1).await;
    let mut leader = Leader::of(&fresh_fleet(&cluster)).await;
    let value = format!("\"{}\"", "x".repeat(250_000));
    let mut records = Vec::new();
    for n in 0..300 {
        let record = record(&format!("k/{n:03}"), &value);
        leader.commit(std::slice::from_ref(&record)).await.unwrap();
        records.push(record);
    }
    assert!(leader.records().await == records);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_keeps_the_history_short_and_no_commit_fails() {
    let cluster = cluster(1).await;
    let history = History {
        every: Duration::from_millis(30),
        keep: Duration::from_millis(60),
        keep_revisions: 100_000,
    };
    let mut leader = Leader::of(&fresh_fleet(&cluster).history(history)).await;
    let mut client = beside(&cluster).await;
    let old = client.put("elsewhere", "", None).await.unwrap().header().unwrap().revision();
    let compacted = async {
        for n in 0.. {
            leader.commit(&[record("a", &n.to_string())]).await.unwrap();
            let options = GetOptions::new().with_revision(old);
            match client.get("elsewhere", Some(options)).await {
                Ok(_) => sleep(Duration::from_millis(10)).await,
                Err(error) => return error.to_string(),
            }
        }
        unreachable!("numbers do not end")
    };
    let error = timeout(Duration::from_secs(20), compacted).await.expect("no compaction");
    assert!(error.contains("compacted"), "{error}");
    leader.store.load(&leader.leadership).await.unwrap();

    // Who has lost the lead compacts no more.
    leader.store.unseat().await.unwrap();
    sleep(history.every * 5).await;
    let kept = client.put("elsewhere", "", None).await.unwrap().header().unwrap().revision();
    client.put("elsewhere", "", None).await.unwrap();
    sleep(history.keep * 5).await;
    client.get("elsewhere", Some(GetOptions::new().with_revision(kept))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn examining_shows_members_leader_and_head() {
    let cluster = cluster(3).await;
    let options = fresh_fleet(&cluster);
    let mut leader = Leader::of(&options).await;
    leader.commit(&[record("a", "1")]).await.unwrap();
    cluster.members()[2].kill().unwrap();
    let report = examine(&options).await.unwrap();
    println!("{report}");
    let reached = |state: &MemberState| matches!(state, MemberState::Reached { .. });
    let states: Vec<_> = report.members.iter().map(|member| reached(&member.state)).collect();
    assert_eq!(states, [true, true, false]);
    let led = report.leader.clone().unwrap();
    assert_eq!((led.name.as_str(), led.term), ("first", leader.leadership.term()));
    assert_eq!(report.head, Some(1));
    let gone = cluster.members()[2].endpoint();
    let finding = report.findings.iter().find(|found| found.to_string().contains(&gone));
    assert!(matches!(finding, Some(Verdict::Warn(_))), "{report}");
    assert!(report.to_string().contains(&format!("{gone}: no answer")), "{report}");
}
