//! What GitHub refuses: nothing moved, and who can mend it is told.

use molt_forge::github::{Cause, Operation};
use molt_forge::{Forge, ForgeError, GitForge, HeadMove, HeadMoved, Landed, Oid};
use serde_json::json;

use super::fixture::{Fixture, in_full};
use super::leader::{git, main_branch, program};
use crate::sim::{Kind, When};

const FENCE: &str = "refs/molt/fence";

#[test]
fn a_rule_in_the_way_is_told_in_githubs_words() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let rule = json!({ "type": "update", "ruleset_id": 1 });
    fixture.github.set_rules(fixture.repository, "main", vec![rule]);
    let error = leader.forge.land(&landing).expect_err("a rule forbids it");
    let ForgeError::Declined { reason, .. } = &error else { panic!("{error:?}") };
    assert!(reason.contains("Repository rule violations found"), "{reason}");
    assert_eq!(leader.base(), landing.expected_base);
    assert_eq!(leader.at_remote(FENCE), None, "the fence moved without the base");
    fixture.github.set_rules(fixture.repository, "main", Vec::new());
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Moved)));
}

#[test]
fn a_rule_that_keeps_a_head_where_it_is_is_told_and_a_lost_answer_is_made_again() {
    let (fixture, leader) = Fixture::new();
    let base = leader.base();
    let head = fixture.github.push_commit(fixture.repository, "topic", &[("a", "1\n")]);
    git(&leader.git_dir, &["fetch", "--quiet", "origin"]);
    let branch = "topic".parse().expect("a branch");
    let from: Oid = head.parse().expect("an id");
    let step = HeadMove { branch, from: from.clone(), to: base, pushed: from };
    let rule = json!({ "type": "update", "ruleset_id": 1 });
    fixture.github.set_rules(fixture.repository, "topic", vec![rule]);
    let moved = leader.forge.move_head(&step).expect("it is certain");
    let HeadMoved::Declined { reason } = &moved else { panic!("{moved:?}") };
    assert!(reason.contains("Repository rule violations found"), "{reason}");
    fixture.github.set_rules(fixture.repository, "topic", Vec::new());
    for when in [When::Before, When::After] {
        fixture.plan("POST /graphql", when, Kind::Drop);
        let moved = leader.forge.move_head(&step).expect("it is not certain");
        assert!(matches!(moved, HeadMoved::Unknown { .. }), "{when:?}: {moved:?}");
    }
    assert!(matches!(leader.forge.move_head(&step), Ok(HeadMoved::Moved)));
    assert_eq!(fixture.asked(Operation::GRAPHQL), 3, "what had moved was not asked for again");
}

#[test]
fn whoever_shows_no_token_is_denied() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let stranger = GitForge::new(program(), &leader.git_dir, &fixture.url());
    for error in [
        stranger.base(&main_branch()).expect_err("it is private"),
        stranger
            .publish_candidate(&"car_0001".parse().expect("an id"), &landing.candidate)
            .expect_err("nobody may write"),
        stranger.land(&landing).expect_err("nobody may land"),
    ] {
        assert!(matches!(error, ForgeError::RemoteDenied { .. }), "{error:?}");
    }
    assert_eq!(leader.base(), landing.expected_base);
    assert_eq!(leader.at_remote("refs/molt/train/car_0001"), None);
}

#[test]
fn an_app_that_may_only_read_lands_nothing() {
    let fixture = Fixture::granted(&[("metadata", "read"), ("contents", "read")]);
    let leader = fixture.leader(1);
    let landing = leader.landing("i1");
    let error = leader.forge.land(&landing).expect_err("it may not write");
    assert!(matches!(error, ForgeError::RemoteDenied { .. }), "{error:?}");
    assert_eq!(leader.base(), landing.expected_base);
}

#[test]
fn a_suspended_app_is_told_apart_from_trouble() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    fixture.github.suspend_installation(true);
    let error = leader.forge.land(&landing).expect_err("it is suspended");
    let ForgeError::GithubDenied { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source.cause, Cause::Suspended { .. }), "{}", in_full(&error));
    fixture.github.suspend_installation(false);
    assert_eq!(leader.base(), landing.expected_base);
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Moved)));
}

#[test]
fn a_github_without_graphql_and_one_that_is_asked_too_much_moved_nothing() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let missing = Kind::Status { status: 404, message: "Not Found", headers: Vec::new() };
    fixture.plan("POST /graphql", When::Before, missing);
    let error = leader.forge.land(&landing).expect_err("there is no GraphQL");
    assert!(matches!(error, ForgeError::NoUpdateRefs { .. }), "{error:?}");

    let headers = vec![("Retry-After", "60".to_owned())];
    let limited = Kind::Status { status: 429, message: "slow down", headers };
    fixture.plan("POST /graphql", When::Before, limited);
    for _ in 0..2 {
        let error = leader.forge.land(&landing).expect_err("it was too much");
        let ForgeError::Github { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(source.cause, Cause::Cooldown { .. }), "{}", in_full(&error));
    }
    assert_eq!(fixture.asked(Operation::GRAPHQL), 2, "it asked in spite of the limit");
    assert_eq!(leader.at_remote("refs/heads/main"), Some(landing.expected_base));
    assert_eq!(leader.at_remote(FENCE), None);
}
