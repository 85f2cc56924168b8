//! What becomes of the fleet when its etcds die, hang, lose each other or are full.

use std::time::Duration;

use crate::full;
use crate::harness::{pause, until};
use crate::load::{Load, scene_of, under_load};
use crate::scene::{ETCDS, Machines, Scene, Size};

/// How long the etcd that leads hangs.
const HANG: Duration = Duration::from_secs(10);

/// After this long no call may fail because of one dead member.
const NOTICED: Duration = Duration::from_secs(1);

#[test]
fn the_fleet_outlives_its_etcds() {
    let machines = Machines { quota: Some(full::QUOTA), ..Machines::default() };
    let scene = scene_of(Size::Whole, &machines);
    let report = under_load(&scene, |load| {
        let etcd = scene.etcd();
        let follower = (etcd.leader() + 1) % ETCDS.len();
        load.fault(
            "an etcd that follows is killed",
            || {
                etcd.cluster.members()[follower].kill().expect("it runs");
                pause(NOTICED);
                let (troubles, before) = (load.troubles(), load.counts());
                pause(2 * NOTICED);
                assert_eq!(load.troubles(), troubles, "a dead member is not noticed any more");
                assert!(load.counts() != before, "and work goes on");
            },
            || etcd.restart(follower),
        );
        let hangs = etcd.leader();
        load.fault(
            "the etcd that leads hangs",
            || {
                etcd.cluster.members()[hangs].freeze().expect("it runs");
                assert_ne!(etcd.leader(), hangs, "another one leads");
                pause(HANG);
            },
            || etcd.cluster.members()[hangs].thaw().expect("it is there"),
        );
        let killed = etcd.leader();
        load.fault(
            "the etcd that leads is killed",
            || {
                etcd.cluster.members()[killed].kill().expect("it runs");
                assert_ne!(etcd.leader(), killed, "another one leads");
            },
            || etcd.restart(killed),
        );
        if scene.net.can_cut() {
            parted(&scene, load);
        }
        full::history(&scene, load);
        full::etcd(&scene, load);
    });
    assert_eq!(report.fact("lost in silence"), 0, "no session was lost");
}

fn parted(scene: &Scene, load: &Load<'_>) {
    let etcd = scene.etcd();
    let alone = etcd.leader();
    let others: Vec<&str> = ETCDS.into_iter().filter(|name| *name != ETCDS[alone]).collect();
    load.fault(
        "the etcd that leads does not hear the others",
        || {
            others.iter().for_each(|other| scene.net.cut_one_way(other, ETCDS[alone]));
            until("another one leads", || (etcd.leader() != alone).then_some(()));
        },
        || scene.net.heal(),
    );
}
