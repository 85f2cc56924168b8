//! The checks of the histories, checked: each bug that can be seeded is caught, and by the
//! invariant that it breaks.
//!
//! Run with `--features seeded-bugs`.

#[expect(
    unreachable_pub,
    dead_code,
    clippy::expect_used,
    reason = "a room that two tests share; it stops at what it did not expect"
)]
mod fleet;

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

use molt_domain::fault::Bug;
use molt_fault::with;

/// Histories that a bug may hide in.
const SEEDS: u64 = 40;
/// Commands of each.
const COMMANDS: usize = 6_000;

/// The beginnings of the invariants that a bug breaks: any of them may see it first.
fn caught_by(bug: Bug) -> &'static [&'static str] {
    match bug {
        Bug::ChildrenForgotten | Bug::PartialGrant | Bug::OfferBarged => {
            &["1 held claims do not conflict", "5 no circle"]
        }
        Bug::GlobsForgotten | Bug::SharedWithAnybody => &["1 held claims do not conflict"],
        Bug::HandoverKeepsFence => &["2 fences only grow"],
        Bug::AcceptedUnasked => {
            &["2 only the holder changes a claim", "2 a claim moves by its holder's word"]
        }
        Bug::TaskStaysBehind => &["9 a task is claimed exactly"],
        Bug::FenceReused => &["2 fences only grow"],
        Bug::StaleEpochPasses => &["10 calls of an older epoch"],
        Bug::OvertakenForever => &["5 bounded overtaking"],
        Bug::CircleAllowed => &["5 no circle"],
        Bug::DelaySkipped => &["6 one holder of a lock"],
        Bug::SlotPlusOne => &["7 a pool never exceeds"],
        Bug::BuiltTwice => &["8 a build runs once"],
        Bug::TaskOutlivesClaim => &["9 a task is claimed exactly"],
        Bug::LateResultTaken => &["10 late results"],
        Bug::RefusalChanges => &["a refused call changes nothing"],
        Bug::RepeatedTwice => &["3 one effect"],
        Bug::AuditDropped => &["11 every change"],
        Bug::ResumedTooLate => &["4 a lost session"],
        Bug::GateSkipped => &["M1 every gate passed"],
        // What an older candidate was tested for may lack a gate of the tree that lands.
        Bug::StaleCandidateLands => &["M1 what lands was tested", "M1 every gate passed"],
        Bug::RoleIgnored => &["13 roles limit verbs"],
        Bug::RevokedTokenPasses => &["13 tokens end"],
        Bug::EveryHostCounts => &["13 provers alone"],
        Bug::TwoLandings => &["M3 one landing", "M4 the train"],
        Bug::UnapprovedRuns => &["14 nothing unapproved"],
        Bug::BarrierPassed => &["14 a barrier"],
        Bug::FormatIgnored => &["15 older programs"],
        Bug::SharesOverlap => &["16 no two shares meet"],
        Bug::PlanIgnored => &["16 work is taken from one's own share first"],
        Bug::AnnouncementUnheard | Bug::NeighboursForgotten => &["17 announcements reach"],
        Bug::LateReportTaken => &["10 late reports"],
        Bug::SignsIgnored => &["18 signs of life"],
        Bug::IdleNeverAsked => &["18 the holder of an idle claim"],
        Bug::StaleSigns => &["18 nothing else gives a lost session more time"],
        Bug::ExpiredCursorPasses => &["10 an expired cursor"],
        Bug::HeadMovedKeepsCar => &["19 the car of a pull request has its head"],
        Bug::OwnMoveIsNewHead => &["19 what we moved is no new head"],
        Bug::DeclinedForEver => &["M5 a forge declines a change twice at most"],
        Bug::CommentHeardTwice => &["19 a comment is heard once"],
        Bug::CancelledEnters => &["19 what was cancelled does not enter"],
        Bug::OverrideCoversAll => &["20 an override covers"],
        Bug::ShownIsNoCar => {
            &["19 a pull request has one car", "19 the car of a pull request has its head"]
        }
        Bug::AnybodyApproves => {
            &["14 a person approves", "20 a person overrides", "10 calls of", "2 only who shows"]
        }
    }
}

/// The first history that shows a bug, and what of it did, in words.
fn caught(bug: Bug) -> Option<String> {
    let caught = (0..SEEDS).find_map(|seed| {
        let (step, broken, _) = with(bug, || fleet::live(seed, COMMANDS)).err()?;
        Some((seed, step, broken))
    });
    let (seed, step, broken) = caught?;
    let right = caught_by(bug).iter().any(|name| broken.invariant.starts_with(name));
    assert!(right, "{bug:?} was taken for another bug: {broken}");
    Some(format!("{bug:?} seed {seed} step {step:>5}: {}", broken.invariant))
}

#[test]
fn every_seeded_bug_is_caught_by_the_invariant_that_it_breaks() {
    let (bugs, missed) = (Mutex::new(Bug::ALL.iter()), Mutex::new(Vec::new()));
    let next = || bugs.lock().expect("no other search failed").next();
    let search = || {
        // A bug is switched on for the thread alone.
        while let Some(bug) = next() {
            match caught(*bug) {
                Some(how) => println!("{how}"),
                None => missed.lock().expect("no other search failed").push(*bug),
            }
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let searches: Vec<_> = (0..cores).map(|_| scope.spawn(search)).collect();
        for search in searches {
            search.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let missed = missed.into_inner().expect("no search failed");
    assert_eq!(missed, [], "bugs that no check saw in {SEEDS} histories of {COMMANDS} commands");
}

#[test]
fn without_a_bug_the_same_histories_are_sound() {
    if let Err((step, broken, _)) = fleet::live(0, COMMANDS) {
        panic!("step {step}: {broken}");
    }
}
