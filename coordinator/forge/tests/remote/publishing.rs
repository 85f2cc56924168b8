//! Changes, candidates, reports, and remotes that have nothing to give.

use std::fs;

use molt_forge::{Branch, Forge, ForgeError, GitForge, Proposed, Report};

use super::fixture::Fixture;
use super::leader::{git, main_branch, program};

#[test]
fn changes_are_published_moved_and_read() {
    let (_fixture, leader) = Fixture::new();
    assert_eq!(leader.forge.changes().unwrap(), []);
    let one = leader.commit(None, "one");
    let other = leader.commit(None, "rewritten");
    let change = "17".parse().unwrap();
    leader.forge.publish_change(&change, &one).unwrap();
    leader.forge.publish_change(&change, &one).unwrap();
    leader.forge.publish_change(&change, &other).unwrap();
    let second = "chg_0001".parse().unwrap();
    leader.forge.publish_change(&second, &one).unwrap();
    let expected = [Proposed { change, head: other }, Proposed { change: second, head: one }];
    assert_eq!(leader.forge.changes().unwrap(), expected);
}

#[test]
fn a_candidate_is_retired_only_if_it_is_the_one() {
    let (_fixture, leader) = Fixture::new();
    let (one, other) = (leader.commit(None, "one"), leader.commit(None, "other"));
    let id = "car_0001".parse().unwrap();
    leader.forge.publish_candidate(&id, &one).unwrap();
    let error = leader.forge.retire_candidate(&id, &other).unwrap_err();
    assert!(matches!(error, ForgeError::Declined { .. }), "{error}");
    assert_eq!(leader.at_remote("refs/molt/train/car_0001"), Some(one.clone()));
    leader.forge.retire_candidate(&id, &one).unwrap();
    assert_eq!(leader.at_remote("refs/molt/train/car_0001"), None);
}

#[test]
fn a_branch_is_made_once_and_stays_where_somebody_moved_it() {
    let (_fixture, leader) = Fixture::new();
    let (one, other) = (leader.commit(None, "one"), leader.commit(None, "other"));
    let (branch, name) = ("molt/ann/car_0001".parse().unwrap(), "refs/heads/molt/ann/car_0001");
    leader.forge.retire_branch(&branch, &one).unwrap();
    leader.forge.publish_branch(&branch, &one).unwrap();
    leader.forge.publish_branch(&branch, &one).unwrap();
    assert_eq!(leader.at_remote(name), Some(one.clone()));
    leader.forge.publish_branch(&branch, &other).unwrap();
    assert_eq!(leader.at_remote(name), Some(one.clone()), "it is somebody's by now");
    leader.forge.retire_branch(&branch, &other).unwrap();
    assert_eq!(leader.at_remote(name), Some(one.clone()));
    leader.forge.retire_branch(&branch, &one).unwrap();
    assert_eq!(leader.at_remote(name), None);
    let below = "molt/ann/car_0001/x".parse().unwrap();
    leader.forge.publish_branch(&branch, &one).unwrap();
    let refused = leader.forge.publish_branch(&below, &one).unwrap_err();
    assert!(!matches!(refused, ForgeError::MissingCommit { .. }), "{refused}");
}

#[test]
fn a_report_replaces_the_one_before() {
    let (fixture, leader) = Fixture::new();
    let mut report = Report {
        change: "17".parse().unwrap(),
        head: leader.base(),
        title: "queued".to_owned(),
        text: "waits for nobody".to_owned(),
        time: 1_700_000_000,
    };
    leader.forge.report(&report).unwrap();
    report.title = "landed".to_owned();
    leader.forge.report(&report).unwrap();
    let log = git(&fixture.remote(), &["log", "--format=%B", "refs/molt/reports/17"]);
    let head = report.head;
    let expected =
        format!("landed\n\nwaits for nobody\n\nMolt-Head: {head}\nMolt-Time: 1700000000");
    assert_eq!(log, expected);
}

#[test]
fn an_empty_repository_a_missing_branch_and_a_gone_remote_are_told_apart() {
    let empty = Fixture::empty().leader(1).forge.base(&main_branch()).unwrap_err();
    assert!(matches!(empty, ForgeError::NoCommits { .. }), "{empty}");

    let (fixture, leader) = Fixture::new();
    let release: Branch = "release".parse().unwrap();
    let missing = leader.forge.base(&release).unwrap_err();
    assert!(matches!(missing, ForgeError::MissingBranch { branch, .. } if branch == release));
    // A pattern of git's matches tails too: `heads/x/refs/heads/release` is not the branch.
    let tail = format!("{}:refs/heads/x/refs/heads/release", leader.base());
    git(&leader.git_dir, &["push", "--quiet", "origin", &tail]);
    assert!(leader.forge.base(&release).is_err());

    let landing = leader.landing("i1");
    fs::rename(fixture.remote(), fixture.path("moved.git")).unwrap();
    let gone = leader.forge.base(&main_branch()).unwrap_err();
    assert!(matches!(gone, ForgeError::RemoteGone { .. }), "{gone}");
    let gone = leader.forge.land(&landing).unwrap_err();
    assert!(matches!(gone, ForgeError::RemoteGone { .. }), "nothing was sent: {gone}");
    let gone = leader.forge.publish_change(&"1".parse().unwrap(), &landing.candidate).unwrap_err();
    assert!(matches!(gone, ForgeError::RemoteGone { .. }), "{gone}");
}

#[test]
fn a_description_says_what_is_promised_and_no_secret() {
    let forge = GitForge::new(program(), "/", "https://me:s3cret@host/a.git");
    let words = forge.describe().to_string();
    assert_eq!(words, "git at https://***@host/a.git: base and fence move together");
}
