//! What becomes of what a host holds when the host sleeps, is cut off, frozen, full or loses its
//! daemon, or its clock on the wall is set.

use std::time::Duration;

use crate::clocks::{Sleep, WallClock};
use crate::harness::{Said, lines, pause, scratch, skip, until};
use crate::load::{scene_of, under_load};
use crate::scene::{COORDINATORS, Machines, Scene, Size};
use crate::sleep::Nap;
use crate::{full, sleep};

/// Shorter than the margin by which a holder stops early.
const SHORT: Duration = Duration::from_secs(2);

#[test]
fn the_fleet_outlives_its_hosts() {
    let folder = scratch();
    let clocks = (WallClock::new(folder.path()), Sleep::new(folder.path(), "h2"));
    let (Some(wall), Some(asleep)) = clocks else {
        return skip("machines::the_fleet_outlives_its_hosts");
    };
    let variables = [("h1", wall.variables()), ("h2", asleep.variables())].into();
    let disks = vec![("h1", full::DISK)];
    let scene = scene_of(Size::Whole, &Machines { variables, disks, quota: None });
    if !scene.net.can_cut() {
        return skip("machines::the_fleet_outlives_its_hosts");
    }
    let report = under_load(&scene, |load| {
        sleep::jumps(&scene, &wall, load);
        Nap::new(&scene, load).take(&wall, &asleep);
        load.fault(
            "what a host says reaches nobody",
            || {
                let before = load.troubles();
                COORDINATORS.iter().for_each(|to| scene.net.cut_one_way("h1", to));
                load.trouble_after(before);
            },
            || scene.net.heal(),
        );
        load.fault("a daemon is killed", || scene.host("h1").kill_daemon(), || {});
        load.fault(
            "a host freezes for less than its margin",
            || {
                let frozen = scene.host("h2").freeze();
                assert!(!frozen.is_empty(), "somebody is at work there");
                pause(SHORT);
                scene.host("h2").thaw(&frozen);
            },
            || {},
        );
        full::hosts_disk(&scene, load);
    });
    assert!(report.fact("lost in silence") > 0, "a host slept for long enough");
}

/// A gate each of whose runs ends when that one is told to.
const SLOW: &str = r#"version = 1
[scope.work]
paths = ["work/**"]
[gate.slow]
run = "echo run >>RUNS; n=$(wc -l <RUNS); while [ ! -e RUNS.$((n)) ]; do sleep 0.05; done"
timeout = "2m"
[merge]
required = ["slow", "scope"]
"#;

/// A host that comes back with the result of a run that went to another host is not believed.
#[test]
fn a_late_result_of_a_lost_host_changes_nothing() {
    let scratch = scratch();
    let runs = scratch.path().join("runs");
    let policy = SLOW.replace("RUNS", &runs.to_string_lossy());
    let let_end = |run: u32| {
        std::fs::write(runs.with_extension(run.to_string()), "").expect("the sign to end");
    };
    let files = [("molt.toml", policy.as_str()), ("work/begin", "fine\n")];
    let spans = [("session_ttl", "4s"), ("margin", "1s"), ("leader_ttl", "1s")];
    let mut scene = Scene::new(Size::Single, &files, &spans);
    if !scene.net.can_cut() {
        return skip("machines::a_late_result_of_a_lost_host_changes_nothing");
    }
    scene.add_hosts(&[("h1", 0), ("h3", 1)]);
    let lea = scene.agent("lea", "h1");
    let car = scene.host("h1").enter(|| {
        lea.run(&["claim", "work"]).exits(0);
        lea.commit(&[("work/one", "fine\n")], "one");
        let submitted: Said = lea.run(&["submit", "--json"]).exits(0);
        submitted.document()["data"]["id"].as_str().expect("a car").to_owned()
    });
    until("the run is under way on h3", || (lines(&runs).len() == 1).then_some(()));
    scene.net.part("h3", &COORDINATORS);
    scene.add_hosts(&[("h4", 1)]);
    until("the run is under way on h4", || (lines(&runs).len() == 2).then_some(()));

    let_end(1);
    let log = scene.path("state-h3/logs/daemon.log");
    let told = |words: &str| lines(&log).iter().any(|line| line.contains(words));
    until("the run on h3 has come to its end", || told("ended").then_some(()));
    assert!(!told("dropped"), "nobody has heard of it");
    scene.net.heal();
    until("its result was refused", || told("attempt 2 is on h4").then_some(()));
    assert!(scene.events("job_finished").is_empty(), "nothing that h3 says counts");
    let_end(2);
    scene.host("h1").enter(|| {
        lea.run(&["gate", "wait", &car, "--wait", "30s"]).exits(0);
    });
    let finished = scene.events("job_finished");
    assert_eq!(finished.len(), 1, "{finished:?}");
    assert_eq!(finished[0]["host"], "h4");
    assert_eq!(finished[0]["attempt"], 2);
}
