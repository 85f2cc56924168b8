//! Answers of GitHub's that are lost, and what ancestry says afterwards.

use molt_forge::github::{Cause, GithubError, Operation};
use molt_forge::{Forge, ForgeError, Landed, Settled, Unheard, Withdrawn};

use super::fixture::Fixture;
use crate::sim::{Kind, When};

const GRAPHQL: &str = "POST /graphql";

fn is_unanswered(why: &Unheard) -> bool {
    matches!(why, Unheard::Github(GithubError { cause: Cause::Unanswered { .. }, .. }))
}

#[test]
fn an_answer_lost_after_the_effect_settles_as_landed() {
    let (fixture, leader) = Fixture::new();
    let next = fixture.leader(2);
    let landing = leader.landing("i1");
    fixture.plan(GRAPHQL, When::After, Kind::Drop);
    let lost = leader.forge.land(&landing).expect("it is not certain");
    assert!(matches!(&lost, Landed::Unknown { why } if is_unanswered(why)), "{lost:?}");
    assert_eq!(fixture.asked(Operation::GRAPHQL), 1, "it was sent again");
    for leader in [&leader, &next] {
        let settled = leader.forge.settle(&landing).expect("the refs are there");
        assert_eq!(settled, Settled::Landed, "only the intent is needed");
    }
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Moved)), "a redo tells the truth");
    let commits = fixture.github.git(fixture.repository, &["rev-list", "--count", "main"]);
    assert_eq!(commits, "2");
}

#[test]
fn an_answer_lost_before_the_effect_is_open_until_it_is_withdrawn() {
    let (fixture, leader) = Fixture::new();
    let next = fixture.leader(2);
    let landing = leader.landing("i1");
    fixture.plan(GRAPHQL, When::Before, Kind::Drop);
    let lost = leader.forge.land(&landing).expect("it is not certain");
    assert!(matches!(lost, Landed::Unknown { .. }), "{lost:?}");
    assert_eq!(next.forge.settle(&landing).expect("it can be read"), Settled::Open);

    let expected = landing.fence.expected.as_ref();
    let step = next.forge.next_fence(expected, &next.record("withdrawn")).expect("a step");
    fixture.plan(GRAPHQL, When::After, Kind::Html);
    let lost = next.forge.withdraw(&step).expect("it is not certain");
    assert!(matches!(lost, Withdrawn::Unknown { .. }), "{lost:?}");
    assert!(matches!(next.forge.withdraw(&step), Ok(Withdrawn::Moved)));
    let settled = leader.forge.settle(&landing).expect("it can be read");
    let Settled::Dead(now) = settled else { panic!("not dead: {settled:?}") };
    assert_eq!(now.base.as_ref(), Some(&landing.expected_base));
    assert_eq!(now.fence, Some(step.next));
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Refused { .. })));
    assert_eq!(leader.base(), landing.expected_base);
}

#[test]
fn where_no_token_was_to_be_had_nothing_is_in_doubt() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let refused = Kind::Status { status: 401, message: "Bad credentials", headers: Vec::new() };
    fixture.plan(GRAPHQL, When::Before, refused);
    let token = "POST /app/installations/{installation_id}/access_tokens";
    fixture.plan(token, When::Before, Kind::Html);
    let error = leader.forge.land(&landing).expect_err("there is no token");
    assert!(matches!(error, ForgeError::Github { .. }), "{error:?}");
    assert_eq!(fixture.asked(Operation::GRAPHQL), 1, "it was sent without a token");
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Moved)));
}
