//! Members that die or freeze, commits that are late, answers that are lost.

use std::time::Duration;

use etcd_client::Client;
use molt_store::rig::{Direction, Fault, Proxy};
use molt_store::{CampaignError, Candidate, CommitError, Settled, Store, settle};
use tokio::time::{Instant, sleep};

use crate::fleet::{
    Leader, beside, cluster, connect, fresh_fleet, fresh_fleet_at, options_at, record,
};

/// Commits one after another for `time`. Answers how many were made, and how many calls failed.
async fn load_for(leader: &mut Leader, time: Duration) -> (u32, u32) {
    let end = Instant::now() + time;
    let (mut made, mut failed) = (0, 0);
    while Instant::now() < end {
        failed += leader.insist(&[record("often", &made.to_string())]).await;
        made += 1;
    }
    (made, failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_member_down_no_call_fails_after_a_second() {
    let cluster = cluster(3).await;
    let mut leader = Leader::of(&fresh_fleet(&cluster)).await;
    load_for(&mut leader, Duration::from_millis(300)).await;
    // The store stays with one member: whichever that is, it dies in one of the rounds.
    for member in cluster.members() {
        let leads = cluster.leader().await.unwrap() == member.number();
        member.kill().unwrap();
        // Without its leader, etcd first has to elect another.
        let grace = if leads { 3000 } else { 1000 };
        let (_, early) = load_for(&mut leader, Duration::from_millis(grace)).await;
        let (made, late) = load_for(&mut leader, Duration::from_secs(2)).await;
        println!("member {} (leader: {leads}): {early} early, {made} made", member.number());
        assert_eq!(late, 0, "{made} made");
        assert!(made > 20, "{made} made");
        member.restart().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_used_follower_frozen_another_is_used() {
    let cluster = cluster(3).await;
    let etcd_leader = cluster.leader().await.unwrap();
    let follower = cluster.members().iter().find(|member| member.number() != etcd_leader).unwrap();
    // The store uses the first that answers.
    let mut endpoints = cluster.endpoints();
    endpoints.swap(0, follower.number());
    let mut leader = Leader::of(&fresh_fleet_at(endpoints)).await;
    let (before, failed) = load_for(&mut leader, Duration::from_secs(2)).await;
    assert_eq!(failed, 0);
    follower.freeze().unwrap();
    let (_, noticed) = load_for(&mut leader, Duration::from_secs(3)).await;
    let (after, late) = load_for(&mut leader, Duration::from_secs(2)).await;
    println!("{before} commits before, {noticed} calls failed, {after} commits after");
    // The one call that was under way pays for all.
    assert_eq!((noticed, late), (1, 0));
    assert!(after * 2 > before, "{before} commits before, {after} after");
    follower.thaw().unwrap();
    let (_, failed) = load_for(&mut leader, Duration::from_secs(1)).await;
    assert_eq!(failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_of_etcd_costs_nobody_the_lead() {
    let ttl = Duration::from_secs(6);
    let cluster = cluster(3).await;
    let frozen = &cluster.members()[cluster.leader().await.unwrap()];
    // The store uses the first that answers.
    let mut endpoints = cluster.endpoints();
    endpoints.swap(0, frozen.number());
    let options = fresh_fleet_at(endpoints).ttl(ttl);
    let mut leader = Leader::of(&options).await;
    let standby = connect(&options).await;
    frozen.freeze().unwrap();
    let thaw = Instant::now() + Duration::from_secs(4);
    let end = thaw + Duration::from_secs(3);
    let (mut is_frozen, mut made, mut held) = (true, 0, 0);
    while Instant::now() < end {
        leader.insist(&[record("a", &made.to_string())]).await;
        made += 1;
        leader.store.renew(&leader.leadership).await.unwrap();
        match standby.campaign(&Candidate::new("second", "second:1")).await {
            Err(CampaignError::Held { .. }) => held += 1,
            Err(CampaignError::Unavailable(_)) => {}
            other => panic!("the lead was lost: {other:?}"),
        }
        if is_frozen && Instant::now() >= thaw {
            frozen.thaw().unwrap();
            is_frozen = false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(made > 20 && held > 20, "{made} commits, {held} times held");
    assert_eq!(leader.records().await, [record("a", &(made - 1).to_string())]);
}

async fn raft_index(client: &mut Client) -> u64 {
    client.status().await.unwrap().raft_index()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_after_newer_ones_changes_nothing() {
    let cluster = cluster(1).await;
    let proxy = Proxy::start(cluster.members()[0].address()).await.unwrap();
    let mut leader = Leader::of(&options_at(vec![proxy.endpoint()], "late")).await;
    leader.commit(&[record("a", "\"old\"")]).await.unwrap();
    let direct = connect(&options_at(cluster.endpoints(), "late")).await;

    const LATE: Duration = Duration::from_secs(5);
    // Longer than the store waits, so that the commit arrives while nobody expects it any more.
    proxy.set(Direction::Requests, Fault::Delay(LATE));
    let sent = Instant::now();
    let late = leader.batch(&[record("a", "\"late\""), record("b", "1")]);
    let id = late.id();
    let answer = leader.store.commit(&leader.leadership, &leader.head, late).await;
    assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
    assert!(!leader.settle(&direct, id).await, "the barrier came first");
    let newer = leader.batch(&[record("a", "\"new\"")]);
    leader.head = direct.commit(&leader.leadership, &leader.head, newer).await.unwrap();

    let mut client = beside(&cluster).await;
    let before = raft_index(&mut client).await;
    assert!(sent.elapsed() < LATE, "too slow to be sooner than the late commit");
    // Nobody else writes: what the log of etcd gains is the late commit.
    while raft_index(&mut client).await == before {
        assert!(sent.elapsed() < Duration::from_secs(20), "the late commit never arrived");
        sleep(Duration::from_millis(20)).await;
    }
    let (head, records) = direct.load(&leader.leadership).await.unwrap();
    assert_eq!((head, records), (leader.head, vec![record("a", "\"new\"")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_again_and_a_lost_commit_is_shut_out() {
    let cluster = cluster(1).await;
    for (direction, arrives) in [(Direction::Answers, true), (Direction::Requests, false)] {
        let proxy = Proxy::start(cluster.members()[0].address()).await.unwrap();
        // There is another way, but a commit is not sent again by itself.
        let endpoints = [vec![proxy.endpoint()], cluster.endpoints()].concat();
        let leader = Leader::of(&fresh_fleet_at(endpoints)).await;
        let batch = leader.batch(&[record("a", "1")]);
        let id = batch.id();
        proxy.set(direction, Fault::Swallow);
        let answer = leader.store.commit(&leader.leadership, &leader.head, batch).await;
        assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
        assert!(proxy.counts(direction).swallowed > 0);
        let Leader { store, leadership, head } = &leader;
        let pause = |_| async { panic!("the barrier goes the other way at once") };
        let settled = settle(store, leadership, head, id, pause).await.unwrap();
        assert_eq!(matches!(settled, Settled::Applied(_)), arrives, "{settled:?}");
        let (_, records) = store.load(leadership).await.unwrap();
        assert_eq!(!records.is_empty(), arrives, "{records:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_out_of_reach_is_unavailable_and_comes_back() {
    let cluster = cluster(1).await;
    let mut leader = Leader::of(&fresh_fleet(&cluster)).await;
    leader.commit(&[record("a", "1")]).await.unwrap();
    let member = &cluster.members()[0];
    member.kill().unwrap();
    // The first call may have been under way when the connection broke. After it, nothing is.
    let _may_be_unknown = leader.store.renew(&leader.leadership).await;
    let answer = leader.commit(&[record("a", "2")]).await;
    assert!(matches!(answer, Err(CommitError::Unavailable(_))), "{answer:?}");
    member.restart().await.unwrap();
    leader.commit(&[record("a", "3")]).await.unwrap();
    assert_eq!(leader.records().await, [record("a", "3")]);
}
