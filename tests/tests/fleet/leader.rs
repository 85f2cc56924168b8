//! What becomes of the fleet when its leader dies, sleeps, is cut off, has no room or goes in peace.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use molt_tests::verify::fleet::journal;

use crate::clocks::Sleep;
use crate::harness::{pause, scratch, skip, until};
use crate::load::{POLICY, scene_of, under_load};
use crate::scene::{COORDINATORS, ETCDS, Machines, PROGRESS, Scene, Size, Variables};
use crate::service::term;
use crate::{full, sleep};

/// How long a leader's word holds.
const TTL: Duration = Duration::from_secs(3);

#[test]
fn the_fleet_outlives_its_leaders() {
    let folder = scratch();
    let sleeps = match COORDINATORS.map(|name| Sleep::new(folder.path(), name)) {
        [Some(first), Some(second)] => Some([first, second]),
        _ => None,
    };
    let disks = COORDINATORS.map(|name| (name, full::DISK)).into();
    let mut machines = Machines { disks, ..Machines::default() };
    let stops = Stops::new(folder.path());
    for (number, name) in COORDINATORS.into_iter().enumerate() {
        let sleeps = sleeps.as_ref().map(|sleeps| sleeps[number].variables());
        let variables = [sleeps.unwrap_or_default(), stops.variables()].concat();
        machines.variables.insert(name, variables);
    }
    let scene = scene_of(Size::Whole, &machines);
    under_load(&scene, |load| {
        sleep::leader(&scene, sleeps.as_ref(), load);
        if scene.net.can_cut() {
            let (cut, term) = scene.leader();
            let name = scene.coordinators[cut].name();
            load.fault(
                "the leader is cut off from its store",
                || {
                    scene.net.part(name, &ETCDS);
                    scene.next_leader(term);
                },
                || scene.net.heal(),
            );
            let (deaf, term) = scene.leader();
            let name = scene.coordinators[deaf].name();
            load.fault(
                "the store's answers do not reach the leader",
                || {
                    ETCDS.iter().for_each(|etcd| scene.net.cut_one_way(etcd, name));
                    scene.next_leader(term);
                },
                || scene.net.heal(),
            );
        }
        let (killed, term) = scene.leader();
        load.fault(
            "the leader is killed between its intent to land and the push",
            || {
                stops.hold(|| {
                    scene.coordinators[killed].kill();
                });
                scene.next_leader(term);
            },
            // Its successor has to carry on what it did not begin.
            || {
                let before = load.counts().get("landing").copied();
                let landed = || (load.counts().get("landing").copied() > before).then_some(());
                until("what was intended lands", landed);
                scene.coordinators[killed].start();
            },
        );
        full::leaders_disk(&scene, load);
    });
}

/// A `git` that stops before a push to the base where it is told to.
struct Stops {
    program: PathBuf,
    told: PathBuf,
    stopped: PathBuf,
}

impl Stops {
    fn new(folder: &Path) -> Self {
        let [program, told, stopped] = ["git", "stop", "stopped"].map(|name| folder.join(name));
        let text = format!(
            "#!/bin/sh\ncase \" $* \" in *\" push \"*:refs/heads/main*)\n\
             [ ! -e {told:?} ] || {{ : >{stopped:?}; exec sleep 5; }} ;;\nesac\nexec git \"$@\"\n"
        );
        std::fs::write(&program, text).expect("a program");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("a program");
        Self { program, told, stopped }
    }

    /// What makes a coordinator use it.
    fn variables(&self) -> Variables {
        vec![("MOLT_GIT", self.program.clone().into())]
    }

    /// Waits until a push to the base has stopped, and lets all later ones pass.
    fn hold(&self, then: impl FnOnce()) {
        std::fs::write(&self.told, "").expect("a sign");
        until("a landing is intended", || self.stopped.exists().then_some(()));
        then();
        std::fs::remove_file(&self.told).expect("the sign");
    }
}

/// A leader that is cut off from its store answers nothing any more before its successor does.
#[test]
fn a_cut_off_leader_is_silent_before_its_successor_speaks() {
    let scene = Scene::new(Size::Whole, &[("molt.toml", POLICY)], &[]);
    if !scene.net.can_cut() {
        return skip("leader::a_cut_off_leader_is_silent_before_its_successor_speaks");
    }
    for round in 0..3 {
        let (old, first) = scene.leader();
        let new = 1 - old;
        let addresses = [old, new].map(|which| scene.coordinators[which].address());
        let over = AtomicBool::new(false);
        let (last_old, first_new, answers) = std::thread::scope(|scope| {
            let over = &over;
            let last_old = scope.spawn(move || last_answer(addresses[0], over));
            scene.net.part(scene.coordinators[old].name(), &ETCDS);
            until("the successor answers", || term(addresses[1]).filter(|term| *term > first));
            let first_new = journal::now().expect("a clock");
            pause(TTL);
            over.store(true, Ordering::Relaxed);
            let (last_old, answers) = last_old.join().expect("the old one was asked");
            (last_old, first_new, answers)
        });
        let margin = i128::from(first_new) - i128::from(last_old);
        println!("round {round}: {answers} answers, silent {} ms before", margin / 1_000_000);
        assert!(answers > 0, "the old leader was heard at all");
        assert!(margin > 0, "the old leader answered after its successor");
        scene.net.heal();
        until("the old leader stands by", || {
            (scene.coordinators[old].term().is_none()).then_some(())
        });
    }
}

/// Asks one coordinator all the time: when its last answer was asked for, and how many came.
fn last_answer(address: &str, over: &AtomicBool) -> (u64, u64) {
    let (mut last, mut answers) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        if term(address).is_some() {
            last = journal::now().expect("a clock");
            answers += 1;
        }
    }
    (last, answers)
}

/// Agents who know a cut-off leader first find its successor, for as long as it stays cut off.
#[test]
fn agents_leave_a_leader_that_is_cut_off() {
    let mut scene = Scene::new(Size::Whole, &[("molt.toml", POLICY)], &[]);
    if !scene.net.can_cut() {
        return skip("leader::agents_leave_a_leader_that_is_cut_off");
    }
    scene.add_hosts(&[("h1", 0)]);
    let ann = scene.agent("ann", "h1");
    scene.host("h1").enter(|| ann.run(&["claim", "b"]).exits(0));
    let (old, term) = scene.leader();
    scene.net.part(scene.coordinators[old].name(), &ETCDS);
    scene.next_leader(term);
    let began = journal::now().expect("a clock");
    let mut answers = Vec::new();
    scene.host("h1").enter(|| {
        until("a claim is granted", || {
            let said = ann.run(&["claim", "a", "--json"]);
            answers.push(said.code);
            (said.code == 0).then_some(())
        });
    });
    let took = Duration::from_nanos(journal::now().expect("a clock") - began);
    println!("granted {took:?} after the successor began; exits {answers:?}");
    assert!(took < PROGRESS, "granted {took:?} after the successor began; exits {answers:?}");
}

/// Who goes in peace hands the lead over.
#[test]
fn a_clean_stop_is_followed_within_a_second() {
    let scene = Scene::new(Size::Whole, &[("molt.toml", POLICY)], &[]);
    for round in 0..3 {
        let (old, before) = scene.leader();
        let began = journal::now().expect("a clock");
        scene.coordinators[old].stop().exits(0);
        let address = scene.coordinators[1 - old].address().to_owned();
        until("the next one serves", || term(&address).filter(|term| *term > before));
        let took = Duration::from_nanos(journal::now().expect("a clock") - began);
        println!("round {round}: the next one served after {took:?}");
        assert!(took < Duration::from_secs(1), "the next one served after {took:?}");
        scene.coordinators[old].start();
    }
}
