//! How a run is stopped, and that then nobody of it is left.

use std::time::Duration;

use molt_agent::clock::boottime;
use molt_agent::run::{Class, RunError, RunState, Standing, Status, Stream};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    Place, STUBBORN, UNTIL_GO, assert_silent, ended, group_of, kill_hard, supervisor_of,
};

#[tokio::test]
async fn at_its_timeout_all_are_gone_before_the_record_says_so() {
    let place = Place::new();
    let mut spec = place.spec(STUBBORN);
    spec.limits.timeout_ms = Some(400);
    let run = place.start(&spec);
    let generations = [place.process("outer.pid"), place.process("inner.pid")];
    let record = ended(&run).await;
    assert_eq!((record.status.clone(), record.class), (Status::Signaled(9), Class::Timeout));
    assert!(record.group_gone && record.duration_ms >= 700, "{record:?}");
    for process in generations {
        assert!(!process.is_alive().unwrap());
    }
    assert_silent(&place);
    let remarks = place.logged(&run, Stream::Supervisor);
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].starts_with("SIGTERM") && remarks[1].starts_with("SIGKILL"));
    assert!(remarks[0].ends_with("timeout after 400ms"), "{remarks:?}");
}

#[tokio::test]
async fn who_moved_to_another_process_group_is_stopped_too() {
    let place = Place::new();
    let script = "set -m; sh -c 'echo $$ > inner.pid; exec sleep 300' & echo $$ > outer.pid; wait";
    let run = place.start(&place.spec_of(&["bash", "-c", script]));
    let (outer, inner) = (place.process("outer.pid"), place.process("inner.pid"));
    assert_ne!(group_of(&outer), group_of(&inner), "the test needs two groups");
    run.stop("enough").await.unwrap();
    let record = ended(&run).await;
    assert_eq!((record.class, record.by.as_deref()), (Class::Killed, Some("enough")));
    assert!(!inner.is_alive().unwrap());
    run.stop("again").await.unwrap();
}

#[tokio::test]
async fn what_a_run_leaves_behind_may_finish_its_work() {
    let place = Place::new();
    let run = place.start(&place.spec("(sleep 0.2; echo late) & echo early"));
    let record = ended(&run).await;
    assert_eq!((record.class, record.stragglers), (Class::Passed, 0));
    assert_eq!(place.logged(&run, Stream::Stdout), ["early", "late"]);
}

#[tokio::test]
async fn what_a_run_leaves_behind_for_long_is_stopped() {
    let place = Place::new();
    let script = "sh -c 'trap \"\" TERM; echo $$ > inner.pid; while :; do sleep 0.01; done' &
        while [ ! -s inner.pid ]; do sleep 0.01; done";
    let run = place.start(&place.spec(script));
    let inner = place.process("inner.pid");
    let record = ended(&run).await;
    assert_eq!((record.class, record.exit_code()), (Class::Passed, 0));
    assert!(record.stragglers >= 1 && record.group_gone);
    assert!(!inner.is_alive().unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_that_left_the_run_neither_holds_it_up_nor_is_signalled() {
    let place = Place::new();
    let script = "setsid sh -c 'echo $$ > away.pid; exec sleep 300' &
        while [ ! -s away.pid ]; do sleep 0.01; done; echo bye";
    let run = place.start(&place.spec(script));
    let record = ended(&run).await;
    let away = place.process("away.pid");
    let lives = away.is_alive().unwrap();
    kill_hard(&away);
    assert!(lives, "it was none of the run's");
    assert_eq!((record.class, record.lines), (Class::Passed, 1));
}

#[tokio::test]
async fn a_deadline_stops_unless_it_was_moved_later() {
    let place = Place::new();
    let mut spec = place.spec(UNTIL_GO);
    let first = boottime().plus(Duration::from_secs(1));
    spec.deadline = Some(first);
    let renewed = place.start(&spec);
    let mut other = place.spec("exec sleep 300");
    other.deadline = Some(first);
    let left_alone = place.start(&other);

    let later = first.plus(Duration::from_secs(60));
    assert_eq!(renewed.extend(later).await.unwrap(), Some(later));
    assert_eq!(renewed.extend(first).await.unwrap(), Some(later), "never earlier");
    let record = ended(&left_alone).await;
    assert_eq!((record.class, record.status), (Class::Deadline, Status::Signaled(15)));
    assert!(boottime() >= first);
    let Standing::Live(report) = renewed.status().await.unwrap() else { panic!("it has ended") };
    assert_eq!((report.state, report.deadline), (RunState::Running, Some(later)));
    place.touch("go");
    assert_eq!(ended(&renewed).await.class, Class::Passed);
    let refused = renewed.extend(later).await.expect_err("it has ended");
    assert!(matches!(refused, RunError::Refused { .. }), "{refused}");
}

#[tokio::test]
async fn a_memory_limit_is_on_what_is_resident() {
    let place = Place::new();
    let mut spec = place.spec("head -c 200000000 /dev/zero | tail | sleep 300");
    spec.limits.memory_bytes = Some(64 << 20);
    let record = ended(&place.start(&spec)).await;
    assert_eq!(record.class, Class::Oom, "{record:?}");
    assert!(record.peak_memory.unwrap() > 64 << 20);
    assert!(record.by.unwrap().contains("67108864"));
}

#[tokio::test]
async fn a_supervisor_that_is_told_to_end_ends_its_run_first() {
    let place = Place::new();
    let run = place.start(&place.spec(STUBBORN));
    let inner = place.process("inner.pid");
    kill(Pid::from_raw(supervisor_of(&run).pid), Signal::SIGTERM).unwrap();
    let record = ended(&run).await;
    assert_eq!(record.class, Class::Killed);
    assert!(record.by.unwrap().contains("SIGTERM") && !inner.is_alive().unwrap());
    assert_silent(&place);
}
