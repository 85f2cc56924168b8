//! T-SLEEP and clocks that jump: machines that were suspended, and wall clocks that somebody set.
//!
//! Suspended is: every program stopped, and after it the clocks that count suspend have gone on
//! and the others have not.

use std::path::Path;
use std::time::Duration;

use molt_tests::verify::fleet::journal;
use serde_json::Value;

use crate::clocks::{Sleep, WallClock};
use crate::harness::{Agent, Running, Signal, is_alive, pause, send, until};
use crate::load::{Load, hold};
use crate::scene::{COORDINATORS, ETCDS, Scene};
use crate::service::term;

/// How soon after it woke up a host has told everything to end that it may not hold any more: a
/// look of its supervisors and the grace.
const SOON: Duration = Duration::from_secs(3);

/// Between two looks at the audit, each a whole export.
const LOOK: Duration = Duration::from_millis(200);

/// How long a leader's word holds.
const TTL: Duration = Duration::from_secs(3);

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// Now, and how long it is since then, on the clock that counts suspend.
fn since(began: Option<u64>) -> (u64, Duration) {
    let now = journal::now().expect("a clock");
    (now, Duration::from_nanos(now - began.unwrap_or(now)))
}

/// The wall clock of a host is set, and nothing comes of it.
pub(crate) fn jumps(scene: &Scene, wall: &WallClock, load: &Load<'_>) {
    let before = load.troubles();
    for (name, ahead, minutes) in [
        ("a host's wall clock jumps an hour ahead", "+3600", 60),
        ("a host's wall clock jumps an hour back", "+0", 0),
        ("a host's wall clock jumps an hour behind", "-3600", -60),
    ] {
        let jump = || {
            wall.jump_to(ahead);
            let seen = || {
                let (jumped, right) = (minute(scene, "h1")?, minute(scene, "h2")?);
                let apart = (jumped - right - minutes).rem_euclid(DAY);
                (apart < 2 || DAY - apart < 2).then_some(())
            };
            until("runs have the new time", seen);
        };
        load.fault(name, jump, || {});
    }
    assert_eq!(load.troubles(), before, "nobody notices");
    assert!(scene.events("lost").is_empty(), "nobody's session ends for a clock on a wall");
}

/// The minute of the day, by the wall, in which the last run of a host ended.
fn minute(scene: &Scene, host: &str) -> Option<i64> {
    let ends = scene.host(host).runs().into_iter().filter_map(|run| {
        let path = run.join("exit.json");
        Some((path.metadata().ok()?.modified().ok()?, path))
    });
    let (_, last) = ends.max()?;
    let record: Value = serde_json::from_slice(&std::fs::read(last).ok()?).ok()?;
    // `2026-01-31T09:30:00.125Z`
    let time = record["finished"].as_str()?.get(11..16)?;
    let (hour, minute) = time.split_once(':')?;
    Some(hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?)
}

/// The host that sleeps, with a lock and with a place in a line that is granted meanwhile.
const ASLEEP: &str = "h2";

/// The host that is cut off, with a lock and a wall clock that goes back.
const CUT_OFF: &str = "h1";

/// The host whose agent gets what they lose.
const AWAKE: &str = "h3";

/// A host sleeps for longer than its sessions live; beside it one is cut off for as long.
pub(crate) struct Nap<'a> {
    scene: &'a Scene,
    load: &'a Load<'a>,
    asleep: Agent,
    cut_off: Agent,
    awake: Agent,
}

/// Who waits in line when the host falls asleep, and who has what that one was granted in its
/// sleep.
struct Line {
    sleeper: Running,
    successor: Running,
}

impl<'a> Nap<'a> {
    pub(crate) fn new(scene: &'a Scene, load: &'a Load<'a>) -> Self {
        let [asleep, cut_off, awake] = [("kim", ASLEEP), ("joe", CUT_OFF), ("max", AWAKE)]
            .map(|(name, host)| scene.agent(name, host));
        Self { scene, load, asleep, cut_off, awake }
    }

    /// Waits until this has become of a lock so many times.
    fn until(&self, what: &str, (key, lock): (&str, &str), times: usize) {
        until(&format!("{lock} {what} {times} times"), || {
            pause(LOOK);
            let events = self.scene.events(what);
            (events.iter().filter(|event| event[key] == lock).count() >= times).then_some(())
        });
    }

    fn granted(&self, lock: &str, times: usize) {
        self.until("lock_granted", ("lock", lock), times);
    }

    /// Starts a holder for the agent that is awake.
    fn next(&self, lock: &str, until: Option<&Path>) -> Running {
        hold(self.scene, (&self.awake, AWAKE), lock, until)
    }

    pub(crate) fn take(self, wall: &WallClock, sleep: &Sleep) {
        let [go, end, never] = ["go", "end", "never"].map(|name| self.scene.path(name));
        let napping = hold(self.scene, (&self.asleep, ASLEEP), "nap", Some(&never));
        let far = hold(self.scene, (&self.cut_off, CUT_OFF), "far", Some(&never));
        let former = self.next("late", Some(&go));
        for lock in ["nap", "far", "late"] {
            self.granted(lock, 1);
        }
        // It waits in line and does not hear that it is its turn.
        let sleeper = hold(self.scene, (&self.asleep, ASLEEP), "late", None);
        self.until("waits", ("line", "late"), 1);
        send(sleeper.pid(), Signal::SIGSTOP);
        std::fs::write(&go, "").expect("a sign");
        former.end().exits(0);
        self.granted("late", 2);

        let mut successor = None;
        self.load.fault(
            "a host sleeps, and another one is cut off while its clock goes back an hour",
            || {
                let (began, _) = since(None);
                let frozen = self.scene.host(ASLEEP).freeze();
                self.scene.net.part(CUT_OFF, &COORDINATORS);
                wall.jump_to("-7200");
                let next = ["nap", "far"].map(|lock| self.next(lock, None));
                successor = Some(self.next("late", Some(&end)));
                for next in next {
                    next.end().exits(0);
                }
                self.granted("late", 3);
                let said = far.end().exits(121);
                assert!(said.err.contains("deadline"), "{said:?}");
                // It does not hear of anybody: its clock alone tells it what is over.
                self.scene.net.part(ASLEEP, &COORDINATORS);
                sleep.has_slept(since(Some(began)).1);
                self.wake(&frozen, sleeper.pid());
            },
            || self.scene.net.heal(),
        );
        let said = napping.end().exits(121);
        assert!(said.err.contains("deadline"), "{said:?}");
        let successor = successor.expect("it was started");
        self.wake_late(Line { sleeper, successor }, &end);
    }

    /// Wakes everything up but those that hold something, and who is to be woken last: they must
    /// be gone soon, and are, although they cannot do anything for it.
    fn wake(&self, frozen: &[i32], last: i32) {
        let host = self.scene.host(ASLEEP);
        let holders = host.holders();
        assert!(!holders.is_empty(), "somebody slept with a lock");
        let woken = |pid: &i32| *pid != last && !holders.contains(pid);
        let others: Vec<i32> = frozen.iter().copied().filter(woken).collect();
        let (began, _) = since(None);
        host.thaw(&others);
        until("nobody holds anything any more", || {
            (!holders.iter().any(|holder| is_alive(*holder))).then_some(())
        });
        let (_, took) = since(Some(began));
        println!("{} holders were gone {took:?} after their host woke up", holders.len());
        assert!(took < SOON, "holders were gone {took:?} after their host woke up");
    }

    /// Whoever slept through its turn and its session's end does not take the turn when the
    /// session is back: it stands in line again, behind its successor.
    fn wake_late(&self, line: Line, end: &Path) {
        let joined = self.scene.events("joined");
        let own = joined.iter().find(|event| event["name"] == "kim").expect("it joined");
        let session = own["session"].as_str().expect("a session");
        self.until("resumed", ("session", session), 1);
        // It and its successor have waited.
        self.until("waits", ("line", "late"), 2);
        send(line.sleeper.pid(), Signal::SIGCONT);
        self.until("waits", ("line", "late"), 3);
        std::fs::write(end, "").expect("a sign");
        line.successor.end().exits(0);
        line.sleeper.end().exits(0);
    }
}

/// A leader that slept does not answer as if nothing had happened.
pub(crate) fn leader(scene: &Scene, sleeps: Option<&[Sleep; 2]>, load: &Load<'_>) {
    let (old, before) = scene.leader();
    let coordinator = &scene.coordinators[old];
    load.fault(
        "the leader sleeps for longer than its word holds",
        || {
            let (began, _) = since(None);
            coordinator.freeze();
            scene.next_leader(before);
            pause(TTL);
            if scene.net.can_cut() {
                // It does not hear from its store that it leads no more.
                scene.net.part(coordinator.name(), &ETCDS);
            }
            if let Some(sleeps) = sleeps {
                sleeps[old].has_slept(since(Some(began)).1);
            }
            coordinator.thaw();
            for _ in 0..20 {
                let answer = term(coordinator.address());
                assert_ne!(answer, Some(before), "it answers from before it slept");
                pause(Duration::from_millis(20));
            }
        },
        || scene.net.heal(),
    );
}
