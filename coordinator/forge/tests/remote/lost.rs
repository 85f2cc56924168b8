//! Answers that are lost, and what ancestry says afterwards.

use std::time::Duration;

use molt_forge::{Forge, GitForge, Landed, Landing, Settled, Withdrawn};

use super::fixture::Fixture;
use super::leader::Leader;

/// Ends a push with an error after it has had its effect.
const AFTER: &str = r#"case "$*" in
  *" push "*) "$GIT" "$@" >/dev/null 2>&1; echo "fatal: the remote end hung up" >&2; exit 1;;
  *) exec "$GIT" "$@";;
esac"#;

/// Ends a push with an error before it has any effect.
const BEFORE: &str = r#"case "$*" in
  *" push "*) echo "fatal: the remote end hung up" >&2; exit 1;;
  *) exec "$GIT" "$@";;
esac"#;

/// Passes the whole answer on, but not the exit code.
const CONTRARY: &str = r#"case "$*" in
  *" push "*) "$GIT" "$@"; exit 1;;
  *) exec "$GIT" "$@";;
esac"#;

fn broken(fixture: &Fixture, leader: &Leader, body: &str) -> GitForge {
    GitForge::new(fixture.wrapper("broken-git", body), &leader.git_dir, "origin")
}

fn settle(leader: &Leader, landing: &Landing) -> Settled {
    leader.forge.settle(landing).unwrap()
}

#[test]
fn an_answer_lost_after_the_effect_settles_as_landed() {
    for body in [AFTER, CONTRARY] {
        let (fixture, leader) = Fixture::new();
        let next = fixture.leader(2);
        let landing = leader.landing("i1");
        let lost = broken(&fixture, &leader, body).land(&landing).unwrap();
        assert!(matches!(lost, Landed::Unknown { .. }), "{lost:?}");
        assert_eq!(settle(&leader, &landing), Settled::Landed);
        assert_eq!(settle(&next, &landing), Settled::Landed, "only the intent is needed");
    }
}

#[test]
fn an_answer_lost_before_the_effect_is_open_until_it_is_withdrawn() {
    let (fixture, leader) = Fixture::new();
    let next = fixture.leader(2);
    let landing = leader.landing("i1");
    let lost = broken(&fixture, &leader, BEFORE).land(&landing).unwrap();
    assert!(matches!(lost, Landed::Unknown { .. }), "{lost:?}");
    assert_eq!(settle(&leader, &landing), Settled::Open);
    assert_eq!(settle(&next, &landing), Settled::Open, "the candidate is not needed");

    let record = next.record("withdrawn");
    let step = next.forge.next_fence(landing.fence.expected.as_ref(), &record).unwrap();
    let lost = broken(&fixture, &leader, AFTER).withdraw(&step).unwrap();
    assert!(matches!(lost, Withdrawn::Unknown { .. }), "{lost:?}");
    assert!(matches!(leader.forge.withdraw(&step).unwrap(), Withdrawn::Moved));
    let Settled::Dead(now) = settle(&leader, &landing) else { panic!("not dead") };
    assert_eq!(now.base.as_ref(), Some(&landing.expected_base));
    assert_eq!(now.fence, Some(step.next));
    assert!(matches!(leader.forge.land(&landing).unwrap(), Landed::Refused { .. }));
}

#[test]
fn a_remote_that_dies_in_the_middle_answers_nothing_and_moves_nothing() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    fixture.hook("pre-receive", "kill -9 $PPID");
    let lost = leader.forge.land(&landing).unwrap();
    assert!(matches!(lost, Landed::Unknown { .. }), "{lost:?}");
    fixture.unhook("pre-receive");
    assert_eq!(settle(&leader, &landing), Settled::Open);
}

#[test]
fn a_push_that_takes_too_long_is_unknown() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let pid = fixture.path("pid");
    fixture.hook("pre-receive", &format!("echo $$ > '{}'; exec sleep 600", pid.display()));
    let hasty = leader.forge.clone().with_limit(Duration::from_secs(2));
    let lost = hasty.land(&landing).unwrap();
    assert!(matches!(lost, Landed::Unknown { .. }), "{lost:?}");
    assert_eq!(settle(&leader, &landing), Settled::Open);
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(ends(pid.trim()), "what git had started lives on");
}

/// Whether a process is gone soon, or only waits for its parent to notice.
fn ends(pid: &str) -> bool {
    (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let ps = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output();
        let state = String::from_utf8(ps.unwrap().stdout).unwrap();
        state.trim().is_empty() || state.trim_start().starts_with('Z')
    })
}

#[test]
fn later_landings_do_not_hide_an_earlier_one() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let lost = broken(&fixture, &leader, AFTER).land(&landing).unwrap();
    assert!(matches!(lost, Landed::Unknown { .. }), "{lost:?}");
    let next = fixture.leader(2);
    assert!(matches!(next.forge.land(&next.landing("i2")).unwrap(), Landed::Moved));
    assert_eq!(settle(&leader, &landing), Settled::Landed);
}

#[test]
fn a_base_that_was_rewritten_after_a_landing_needs_a_person() {
    let (_fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    assert!(matches!(leader.forge.land(&landing).unwrap(), Landed::Moved));
    let rewritten = leader.commit(Some(&landing.expected_base), "rewritten");
    leader.push_by_hand(&rewritten);
    let Settled::Rewritten(now) = settle(&leader, &landing) else { panic!("not rewritten") };
    assert_eq!(now.base, Some(rewritten));
    assert_eq!(now.fence, Some(landing.fence.next));
}
