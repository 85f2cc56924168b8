//! T-LATE, and answers that never come: what a leader sent when it still led arrives when another
//! one leads, or was done and nobody told it.

use std::time::Duration;

use molt_store::rig::{Counts, Direction, Fault};

use crate::harness::until;
use crate::load::{scene, under_load};
use crate::scene::{Scene, Size};
use crate::service::revision;

/// Longer than any answer usually takes, shorter than a leader's word holds.
const LATE: Duration = Duration::from_millis(500);

#[test]
fn what_arrives_late_or_unheard_changes_nothing() {
    let scene = scene(Size::Proxied);
    under_load(&scene, |load| {
        first_leads(&scene);
        load.fault(
            "what the leader commits is held, and let through after its successor's commits",
            || {
                lose_the_lead(&scene, (Direction::Requests, Fault::Hold));
                assert!(sum(&scene, Direction::Requests, |counts| counts.held) > 0);
            },
            || {
                let passed = || sum(&scene, Direction::Requests, |counts| counts.passed);
                let before = passed();
                heal(&scene);
                until("what was held arrives", || (passed() > before).then_some(()));
            },
        );
        first_leads(&scene);
        load.fault(
            "the leader does not hear what became of its commits",
            || {
                lose_the_lead(&scene, (Direction::Answers, Fault::Swallow));
                assert!(sum(&scene, Direction::Answers, |counts| counts.swallowed) > 0);
            },
            || heal(&scene),
        );
        first_leads(&scene);
        load.fault(
            "every answer of the store is late",
            || {
                set(&scene, (Direction::Answers, Fault::Delay(LATE)));
                let delayed = || sum(&scene, Direction::Answers, |counts| counts.delayed);
                until("answers are late", || (delayed() > 0).then_some(()));
                let before = load.counts();
                until("work goes on", || (load.counts() != before).then_some(()));
            },
            || heal(&scene),
        );
    });
}

/// Makes the coordinator lead that has the proxies.
fn first_leads(scene: &Scene) {
    let (leads, term) = scene.leader();
    if leads != 0 {
        scene.coordinators[leads].stop().exits(0);
        assert_eq!(scene.next_leader(term).0, 0, "there is no other");
        scene.coordinators[leads].start();
    }
}

/// Breaks the leader's way to its store until the other one leads and has committed something.
fn lose_the_lead(scene: &Scene, how: (Direction, Fault)) {
    let (_, term) = scene.leader();
    set(scene, how);
    let (next, _) = scene.next_leader(term);
    assert_eq!(next, 1, "the other one leads");
    let commits = || revision(scene.coordinators[next].address());
    let before = until("it answers", commits);
    until("it commits", || commits().filter(|now| *now > before));
}

fn set(scene: &Scene, (direction, fault): (Direction, Fault)) {
    scene.etcd().proxies.iter().for_each(|proxy| proxy.set(direction, fault));
}

fn heal(scene: &Scene) {
    scene.etcd().proxies.iter().for_each(molt_store::rig::Proxy::heal);
}

fn sum(scene: &Scene, direction: Direction, what: impl Fn(Counts) -> u64) -> u64 {
    scene.etcd().proxies.iter().map(|proxy| what(proxy.counts(direction))).sum()
}
