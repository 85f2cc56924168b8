//! Another repository that has the name of ours by now: nothing of ours is for whoever that is.

use molt_forge::github::Cause;
use molt_forge::{Branch, Forge, ForgeError, Report};

use super::fixture::{Fixture, in_full};

#[test]
fn nothing_is_pushed_to_another_repository_that_took_the_name() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let car = "car_0001".parse().expect("an id");
    leader.forge.publish_candidate(&car, &landing.candidate).expect("it is ours");
    fixture.github.rename_repository(fixture.repository, "acme/gadget");
    let other = fixture.github.add_repository("acme/widget", false, &[("README.md", "# other\n")]);
    let before = fixture.github.git(other, &["for-each-ref"]);
    let branch: Branch = "molt/ann/car_0001".parse().expect("a branch");
    let report = Report {
        change: "1".parse().expect("an id"),
        head: landing.candidate.clone(),
        title: "private".to_owned(),
        text: String::new(),
        time: 0,
    };
    for refused in [
        leader.forge.publish_branch(&branch, &landing.candidate),
        leader.forge.retire_branch(&branch, &landing.candidate),
        leader.forge.publish_candidate(&car, &landing.candidate),
        leader.forge.publish_change(&"1".parse().expect("an id"), &landing.candidate),
        leader.forge.report(&report),
        leader.forge.withdraw(&landing.fence).map(drop),
        leader.forge.land(&landing).map(drop),
    ] {
        let error = refused.expect_err("it is somebody else's");
        let ForgeError::Github { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(source.cause, Cause::Replaced { .. }), "{}", in_full(&error));
    }
    assert_eq!(fixture.github.git(other, &["for-each-ref"]), before);
    let theirs = fixture.github.git(other, &["cat-file", "--batch-check", "--batch-all-objects"]);
    assert!(!theirs.contains(landing.candidate.as_str()), "an object of ours is there: {theirs}");
}
