//! Base and fence move together or not at all, whatever the remote is.
//!
//! Shared with the suites of other forges.

use std::thread;

use molt_forge::{Forge, ForgeError, Landed, Landing, Withdrawn};

use super::fixture::Fixture;
use super::leader::{Leader, git, main_branch};

const MAIN: &str = "refs/heads/main";
const FENCE: &str = "refs/molt/fence";

fn land(leader: &Leader, landing: &Landing) -> Landed {
    leader.forge.land(landing).unwrap()
}

/// The move of the fence that kills `landing`, made by `leader`.
fn withdraw(leader: &Leader, landing: &Landing) -> Withdrawn {
    let record = leader.record("withdrawn");
    let step = leader.forge.next_fence(landing.fence.expected.as_ref(), &record).unwrap();
    leader.forge.withdraw(&step).unwrap()
}

#[test]
fn a_landing_moves_base_and_fence_and_the_chain_can_be_read() {
    let (fixture, leader) = Fixture::new();
    assert_eq!(leader.forge.fence().unwrap(), None);
    let first = leader.landing("i1");
    assert!(matches!(land(&leader, &first), Landed::Moved));
    assert_eq!(leader.base(), first.candidate);
    assert_eq!(leader.forge.fence().unwrap().as_ref(), Some(&first.fence.next));

    let other = fixture.leader(2);
    let second = other.landing("i2");
    assert!(matches!(land(&other, &second), Landed::Moved));
    let now = leader.forge.read_back(&main_branch()).unwrap();
    assert_eq!(now.base, Some(second.candidate), "another leader's landing is seen");
    assert_eq!(now.fence, Some(second.fence.next));
    let chain = git(&fixture.remote(), &["log", "--format=%s", FENCE]);
    let line = |term| format!(r#"{{"epoch":1,"n":4{term},"term":{term},"intent":"i{term}"}}"#);
    assert_eq!(chain, format!("{}\n{}", line(2), line(1)));
}

#[test]
fn a_redo_is_the_same_landing_and_lands_once() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let again = leader.forge.next_fence(None, &leader.record("i1")).unwrap();
    assert_eq!(again, landing.fence);
    assert!(matches!(land(&leader, &landing), Landed::Moved));
    assert!(matches!(land(&leader, &landing), Landed::Moved), "a repeat tells the truth");
    let commits = git(&fixture.remote(), &["rev-list", "--count", MAIN]);
    assert_eq!(commits, "2");
}

#[test]
fn a_base_that_moved_refuses_both() {
    let (_fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let by_hand = leader.commit(Some(&landing.expected_base), "by hand");
    leader.push_by_hand(&by_hand);
    let Landed::Refused { base_now, fence_now } = land(&leader, &landing) else {
        panic!("it landed");
    };
    assert_eq!((base_now, fence_now), (Some(by_hand), None));
    assert_eq!(leader.at_remote(FENCE), None, "the fence moved without the base");
}

#[test]
fn a_base_that_was_set_back_or_a_fence_that_was_deleted_refuses_both() {
    // Both pushes would be fast forwards: only the expected ids stop them.
    let (fixture, leader) = Fixture::new();
    let first = leader.landing("i1");
    assert!(matches!(land(&leader, &first), Landed::Moved));
    let second = leader.landing("i2");
    leader.push_by_hand(&first.expected_base);
    let Landed::Refused { base_now, .. } = land(&leader, &second) else { panic!("it landed") };
    assert_eq!(base_now, Some(first.expected_base));
    assert_eq!(leader.at_remote(FENCE), Some(first.fence.next.commit));

    leader.push_by_hand(&first.candidate);
    git(&leader.git_dir, &["push", "--quiet", "origin", &format!(":{FENCE}")]);
    let Landed::Refused { fence_now, .. } = land(&leader, &second) else { panic!("it landed") };
    assert_eq!(fence_now, None);
    assert_eq!(leader.base(), first.candidate);
    fixture.set_back_by_hand();
}

#[test]
fn a_deposed_leader_cannot_land() {
    let (fixture, old) = Fixture::new();
    let landing = old.landing("i1");
    let new = fixture.leader(2);
    assert!(matches!(withdraw(&new, &landing), Withdrawn::Moved));
    let Landed::Refused { base_now, fence_now } = land(&old, &landing) else {
        panic!("a deposed leader landed");
    };
    assert_eq!(base_now, Some(landing.expected_base.clone()));
    assert_eq!(fence_now.unwrap().record, new.record("withdrawn"));
    assert_eq!(old.base(), landing.expected_base);
}

#[test]
fn seeded_fault_a_lease_on_the_base_alone_lets_a_deposed_leader_land() {
    let (fixture, old) = Fixture::new();
    let landing = old.landing("i1");
    assert!(matches!(withdraw(&fixture.leader(2), &landing), Withdrawn::Moved));
    let lease = format!("--force-with-lease={MAIN}:{}", landing.expected_base);
    let refspec = format!("{}:{MAIN}", landing.candidate);
    git(&old.git_dir, &["push", "--quiet", &lease, "origin", &refspec]);
    assert_eq!(old.base(), landing.candidate, "so the fence in the push is what stops it");
}

#[test]
fn of_a_withdrawal_and_a_landing_only_the_first_happens() {
    let (fixture, old) = Fixture::new();
    let new = fixture.leader(2);
    let landing = old.landing("i1");
    assert!(matches!(land(&old, &landing), Landed::Moved));
    let Withdrawn::Refused { fence_now } = withdraw(&new, &landing) else {
        panic!("a landing was withdrawn after it had happened");
    };
    assert_eq!(fence_now, Some(landing.fence.next));

    let second = old.landing("i2");
    assert!(matches!(withdraw(&new, &second), Withdrawn::Moved));
    assert!(matches!(withdraw(&new, &second), Withdrawn::Moved), "a repeat tells the truth");
    assert!(matches!(land(&old, &second), Landed::Refused { .. }));
    assert!(matches!(land(&new, &new.landing("i3")), Landed::Moved), "the next one lands");
}

#[test]
fn of_two_leaders_at_once_exactly_one_lands() {
    let (fixture, one) = Fixture::new();
    let two = fixture.leader(2);
    for round in 0..5 {
        let landings = [one.landing(&format!("r{round}")), two.landing(&format!("r{round}"))];
        let outcomes = thread::scope(|scope| {
            let race = |leader, landing| scope.spawn(move || Forge::land(leader, landing));
            let racers = [race(&one.forge, &landings[0]), race(&two.forge, &landings[1])];
            racers.map(|racer| racer.join().unwrap())
        });
        let won = outcomes.each_ref().map(|outcome| matches!(outcome, Ok(Landed::Moved)));
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}: {outcomes:?}");
        let winner = &landings[usize::from(won[1])];
        let now = one.forge.read_back(&main_branch()).unwrap();
        assert_eq!(now.base.as_ref(), Some(&winner.candidate), "round {round}");
        assert_eq!(now.fence.as_ref(), Some(&winner.fence.next), "round {round}");
    }
}

#[test]
fn a_landing_that_is_not_what_it_says_is_never_sent() {
    let (_fixture, leader) = Fixture::new();
    let good = leader.landing("i1");
    let alien = leader.commit(None, "alien");
    for candidate in [alien.clone(), good.expected_base.clone()] {
        let error = leader.forge.land(&Landing { candidate, ..good.clone() }).unwrap_err();
        assert!(matches!(error, ForgeError::NotDescendant { .. }), "{error}");
    }
    let mut foreign = [good.clone(), good.clone(), good.clone()];
    foreign[0].fence.expected = Some(alien.clone());
    foreign[1].fence.next.record.term = 9;
    foreign[2].fence.next.commit = "1".repeat(40).parse().unwrap();
    for landing in foreign {
        let error = leader.forge.land(&landing).unwrap_err();
        assert!(matches!(error, ForgeError::ForeignFence { .. }), "{error}");
        let error = leader.forge.withdraw(&landing.fence).unwrap_err();
        assert!(matches!(error, ForgeError::ForeignFence { .. }), "{error}");
    }
    let missing = "1".repeat(40).parse().unwrap();
    let error = leader.forge.land(&Landing { candidate: missing, ..good.clone() }).unwrap_err();
    assert!(matches!(error, ForgeError::MissingCommit { .. }), "{error}");
    assert!(matches!(land(&leader, &good), Landed::Moved));
}

#[test]
fn a_fence_that_is_none_of_ours_stops_everything() {
    let (_fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let refspec = format!("{}:{FENCE}", leader.base());
    git(&leader.git_dir, &["push", "--quiet", "origin", &refspec]);
    let error = leader.forge.land(&landing).unwrap_err();
    let ForgeError::UnreadableFence { commit, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*commit, landing.expected_base);
    assert_eq!(leader.base(), landing.expected_base);
    assert!(leader.forge.fence().is_err());
}
