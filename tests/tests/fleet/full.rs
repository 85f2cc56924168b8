//! T-NOSPACE, T-COMPACT, and disks that are full: no room for what the fleet does.

use std::time::Duration;

use crate::harness::{pause, until};
use crate::load::{Load, hold};
use crate::operator::Operator;
use crate::scene::{COORDINATORS, ETCDS, Scene};

/// Room for what a run writes to etcd, and soon filled.
pub(crate) const QUOTA: u64 = 32 << 20;

/// Room for the folder of a coordinator or a host, in MiB, and soon filled.
pub(crate) const DISK: u32 = 64;

/// What is acknowledged for a change that is stored, and for nothing else.
const CHANGES: [&str; 7] = ["claim", "release", "add", "task", "done", "submit", "landing"];

/// How often somebody tries to change something while there is no room.
const LOOKS: u32 = 3;

/// For how long there is no room: longer than a leader's word holds.
const LONG: Duration = Duration::from_secs(4);

/// Every change is refused clearly, nothing expires, and it goes on when there is room.
pub(crate) fn etcd(scene: &Scene, load: &Load<'_>) {
    let operator = Operator::of(&scene.etcd().cluster);
    let kim = scene.agent("kim", "h2");
    let ask = |arguments: &[&str]| scene.host("h2").enter(|| kim.run(arguments));
    ask(&["claim", "d"]).exits(0);
    load.fault(
        "etcd is full",
        || {
            operator.fill();
            // The leader still is one.
            let refused = ask(&["release", "d", "--json"]).exits(10);
            assert!(refused.out.contains("database space exceeded"), "{refused:?}");
            let changed = || {
                let counts = load.counts();
                CHANGES.map(|kind| counts.get(kind).copied())
            };
            let before = changed();
            for _ in 0..LOOKS {
                pause(LONG / LOOKS);
                let refused = ask(&["release", "d", "--json"]).exits(10).document();
                assert_eq!(refused["code"], "unavailable", "{refused}");
            }
            assert_eq!(changed(), before, "nothing is acknowledged");
        },
        || operator.make_room(),
    );
    until("what was refused is done", || (ask(&["release", "d"]).code == 0).then_some(()));
}

/// The history goes while everybody works, and every member is restarted, its leader last.
pub(crate) fn history(scene: &Scene, load: &Load<'_>) {
    let etcd = scene.etcd();
    let operator = Operator::of(&etcd.cluster);
    load.fault(
        "etcd forgets its history, and its members are restarted one by one",
        || {
            let leads = etcd.leader();
            for next in 1..=ETCDS.len() {
                operator.forget_history();
                etcd.restart((leads + next) % ETCDS.len());
                let before = load.counts();
                until("work goes on", || (load.counts() != before).then_some(()));
            }
        },
        || operator.forget_history(),
    );
}

/// Nothing lands while the leader cannot make candidates, nothing is sent away for it, and all the
/// rest goes on: its state is in etcd.
pub(crate) fn leaders_disk(scene: &Scene, load: &Load<'_>) {
    let Some(disk) = scene.disk(COORDINATORS[scene.leader().0]) else { return };
    load.fault(
        "the leader's disk is full",
        || {
            disk.fill();
            // One may have its candidate already.
            pause(LONG / 4);
            let of = |kind| load.counts().get(kind).copied();
            let (landings, claims) = (of("landing"), of("claim"));
            pause(LONG / 2);
            assert_eq!(of("landing"), landings, "nothing lands");
            assert!(of("claim") > claims, "claims go on");
        },
        || disk.make_room(),
    );
}

/// What a host holds ends in order although it cannot write that down, and is given back when it
/// can.
pub(crate) fn hosts_disk(scene: &Scene, load: &Load<'_>) {
    let Some(disk) = scene.disk("h1") else { return };
    let [ben, uma] =
        [("ben", "h1"), ("uma", "h2")].map(|(name, host)| (scene.agent(name, host), host));
    let end = scene.path("end-full");
    let holder = hold(scene, (&ben.0, ben.1), "full", Some(&end));
    until("it is held", || scene.journal_tells("held", "full").then_some(()));
    load.fault(
        "the disk of a host is full",
        || {
            let before = load.troubles();
            load.without_room();
            disk.fill();
            load.trouble_after(before);
            std::fs::write(&end, "").expect("a sign");
            let said = holder.end();
            println!("it ended with {}: {}", said.code, said.err);
            assert!([0, 125].contains(&said.code), "{said:?}");
        },
        || disk.make_room(),
    );
    hold(scene, (&uma.0, uma.1), "full", None).end().exits(0);
}
