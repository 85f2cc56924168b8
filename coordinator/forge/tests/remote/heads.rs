//! The branch of a change's head moves from a named commit and from no other.
//!
//! Shared with the suites of other forges.

use molt_forge::{Forge, HeadMove, HeadMoved, Oid};

use super::fixture::Fixture;
use super::leader::{Leader, git};

const TOPIC: &str = "refs/heads/topic/a";

/// A branch on a new commit, and another commit that is not ahead of it.
fn topic(leader: &Leader) -> (Oid, Oid) {
    let base = leader.base();
    git(&leader.git_dir, &["fetch", "--quiet", "origin", "refs/heads/main"]);
    let (from, to) = (leader.commit(Some(&base), "theirs"), leader.commit(Some(&base), "ours"));
    push(leader, &from);
    leader.forge.publish_candidate(&"car_0001".parse().unwrap(), &to).unwrap();
    (from, to)
}

/// Pushes a commit to the branch, as a person might.
fn push(leader: &Leader, commit: &Oid) {
    git(&leader.git_dir, &["push", "--quiet", "origin", &format!("+{commit}:{TOPIC}")]);
}

fn step(leader: &Leader, from: &Oid, to: &Oid, pushed: &Oid) -> HeadMoved {
    let (branch, from, to) = ("topic/a".parse().unwrap(), from.clone(), to.clone());
    leader.forge.move_head(&HeadMove { branch, from, to, pushed: pushed.clone() }).unwrap()
}

#[test]
fn a_head_moves_anywhere_and_back_and_a_redo_is_the_same() {
    let (_fixture, leader) = Fixture::new();
    let (from, to) = topic(&leader);
    for _ in 0..2 {
        assert!(matches!(step(&leader, &from, &to, &from), HeadMoved::Moved));
        assert_eq!(leader.at_remote(TOPIC), Some(to.clone()));
    }
    assert!(matches!(step(&leader, &to, &from, &from), HeadMoved::Moved));
    assert_eq!(leader.at_remote(TOPIC), Some(from));
}

#[test]
fn what_somebody_pushed_meanwhile_is_not_lost() {
    let (fixture, leader) = Fixture::new();
    let (from, to) = topic(&leader);
    let theirs = leader.commit(Some(&from), "pushed meanwhile");
    push(&leader, &theirs);
    for (start, end) in [(&from, &to), (&to, &from)] {
        let moved = step(&leader, start, end, &from);
        let HeadMoved::Elsewhere { now } = &moved else { panic!("{moved:?}") };
        assert_eq!(now.as_ref(), Some(&theirs));
    }
    assert_eq!(leader.at_remote(TOPIC), Some(theirs));
    git(&fixture.remote(), &["update-ref", "-d", TOPIC]);
    assert!(matches!(step(&leader, &from, &to, &from), HeadMoved::Elsewhere { now: None }));
}
