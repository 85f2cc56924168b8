//! A GitHub that moves no refs together: the base moves alone, and only forward.

use molt_forge::github::Operation;
use molt_forge::{Forge, ForgeError, HeadMove, HeadMoved, Landed, Oid, Settled, Withdrawn};
use serde_json::json;

use super::fixture::Fixture;
use crate::sim::{Kind, When};

const MOVE: &str = "PATCH /repos/{owner}/{repo}/git/refs/{ref}";

#[test]
fn a_landing_moves_the_base_and_says_that_it_has_no_fence() {
    let fixture = Fixture::granted(&[("metadata", "read"), ("contents", "write")]);
    let leader = fixture.leader_alone(1);
    let words = leader.forge.describe().to_string();
    assert!(words.ends_with("the base moves alone, so landings have no fence"), "{words}");
    let landing = leader.landing("i1");
    for _ in 0..2 {
        assert!(matches!(leader.forge.land(&landing), Ok(Landed::Moved)), "a redo as well");
    }
    assert_eq!((leader.base(), fixture.asked(Operation::MOVE_REF)), (landing.candidate.clone(), 1));
    assert_eq!(leader.forge.fence().expect("it can be read"), None);
    assert_eq!(leader.forge.settle(&landing).expect("it can be read"), Settled::Landed);
    assert_eq!(fixture.asked(Operation::GRAPHQL), 0);
}

#[test]
fn no_head_is_moved_that_cannot_be_moved_from_where_it_stands() {
    let fixture = Fixture::granted(&[("metadata", "read"), ("contents", "write")]);
    let leader = fixture.leader_alone(1);
    let head = fixture.github.push_commit(fixture.repository, "topic", &[("a", "1\n")]);
    let (branch, to) = ("topic".parse().expect("a branch"), leader.base());
    let from: Oid = head.parse().expect("an id");
    let step = HeadMove { branch, from: from.clone(), to, pushed: from };
    let moved = leader.forge.move_head(&step).expect("it is certain");
    assert!(matches!(moved, HeadMoved::Declined { .. }), "{moved:?}");
    assert_eq!(leader.at_remote("refs/heads/topic"), Some(step.from));
}

#[test]
fn a_base_that_stands_elsewhere_refuses_it() {
    let fixture = Fixture::granted(&[("metadata", "read"), ("contents", "write")]);
    let leader = fixture.leader_alone(1);
    let first = leader.landing("i1");
    assert!(matches!(leader.forge.land(&first), Ok(Landed::Moved)));
    let second = leader.landing("i2");
    let aside = leader.commit(Some(&first.candidate), "by hand");
    for elsewhere in [&aside, &first.expected_base] {
        leader.push_by_hand(elsewhere);
        let refused = leader.forge.land(&second).expect("it is certain");
        let Landed::Refused { base_now, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(base_now.as_ref(), Some(elsewhere));
        assert_eq!(leader.base(), *elsewhere, "it was moved forward from elsewhere");
    }
    fixture.set_back_by_hand();
}

#[test]
fn a_withdrawal_stops_whoever_looks_after_it() {
    let fixture = Fixture::granted(&[("metadata", "read"), ("contents", "write")]);
    let (old, new) = (fixture.leader_alone(1), fixture.leader_alone(2));
    let landing = old.landing("i1");
    let step = new.forge.next_fence(None, &new.record("withdrawn")).expect("a step");
    assert!(matches!(new.forge.withdraw(&step), Ok(Withdrawn::Moved)));
    let refused = old.forge.land(&landing).expect("it is certain");
    let Landed::Refused { fence_now, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(fence_now.as_ref(), Some(&step.next));
    assert_eq!(old.base(), landing.expected_base);
}

#[test]
fn a_lost_answer_is_settled_and_a_rule_in_the_way_is_told() {
    let fixture = Fixture::granted(&[("metadata", "read"), ("contents", "write")]);
    let leader = fixture.leader_alone(1);
    let landing = leader.landing("i1");
    let rule = json!({ "type": "update", "ruleset_id": 1 });
    fixture.github.set_rules(fixture.repository, "main", vec![rule]);
    let error = leader.forge.land(&landing).expect_err("a rule forbids it");
    assert!(matches!(error, ForgeError::Declined { .. }), "{error:?}");
    fixture.github.set_rules(fixture.repository, "main", Vec::new());

    fixture.plan(MOVE, When::Before, Kind::Drop);
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Unknown { .. })));
    assert_eq!(leader.forge.settle(&landing).expect("it can be read"), Settled::Open);
    fixture.plan(MOVE, When::After, Kind::Drop);
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Unknown { .. })));
    assert_eq!(leader.forge.settle(&landing).expect("it can be read"), Settled::Landed);
}
