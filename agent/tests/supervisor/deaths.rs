//! What happens when the starter or the supervisor of a run is killed.

use std::io::Read;
use std::process::Stdio;

use molt_agent::run::record::{SupervisorRecord, Witnesses};
use molt_agent::run::{
    self, Class, DEFAULT_ALLOW, ProcessIdentity, ReapError, Run, RunError, Standing, Status, Stream,
};
use molt_agent::supervisor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    Place, STUBBORN, UNTIL_GO, again, assert_silent, ended, kill_hard, program, role,
    supervisor_of, until,
};

/// Plays the part of a program that starts a run with its own environment.
#[test]
fn starter() {
    let Some(folder) = role() else { return };
    let run = Run::open(folder.as_ref()).unwrap();
    let mut spec = run.spec().unwrap();
    spec.environment.extend(run::scrubbed_environment(DEFAULT_ALLOW));
    let text = serde_json::to_vec(&spec).unwrap();
    std::fs::write(run.folder().path().join("spec.json"), text).unwrap();
    supervisor::spawn(program(), run.folder().path()).unwrap();
    // Waits to be killed, but never longer than its test lives.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[tokio::test]
async fn a_run_survives_its_starter_and_gets_no_secrets() {
    let place = Place::new();
    let run = place.create(&place.spec(&format!("env; {UNTIL_GO}")));
    let mut starter = again("deaths::starter", run.folder().path().to_str().unwrap())
        .env("MOLT_SEEN", "yes")
        .env("MOLT_ACCESS_TOKEN", "hidden")
        .env("UV_INDEX_URL", "https://user:hidden@host/simple")
        .env("UNLISTED", "hidden")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let child = until("the run's start", || run.folder().supervisor().unwrap()?.child);
    let supervisor = supervisor_of(&run);
    let starter_pid = i32::try_from(starter.id()).unwrap();
    until("the first process's end", || {
        let above = run::ancestors(supervisor.pid).unwrap();
        above.iter().all(|process| process.identity.pid != starter_pid).then_some(())
    });
    starter.kill().unwrap();
    starter.wait().unwrap();
    kill(Pid::from_raw(supervisor.pid), Signal::SIGHUP).unwrap();
    assert!(matches!(run.status().await.unwrap(), Standing::Live(_)));
    assert!(supervisor.is_alive().unwrap() && child.is_alive().unwrap());
    place.touch("go");
    let record = ended(&run).await;
    assert_eq!(record.class, Class::Passed, "{record:?}");
    let lines = place.logged(&run, Stream::Stdout);
    assert!(lines.contains(&"MOLT_SEEN=yes".to_owned()) && lines.ends_with(&["done".to_owned()]));
    assert!(!lines.iter().any(|line| line.contains("hidden")), "{lines:?}");
}

#[tokio::test]
async fn after_a_killed_supervisor_the_next_one_cleans_up() {
    let place = Place::new();
    let run = place.start(&place.spec(STUBBORN));
    let folder = run.folder().path();
    let generations = [place.process("outer.pid"), place.process("inner.pid")];
    let refused = run::reap(folder).expect_err("its supervisor lives");
    assert!(matches!(refused, ReapError::Supervised { .. }), "{refused}");

    kill_hard(&supervisor_of(&run));
    assert_eq!(run.status().await.unwrap(), Standing::Lost);
    assert!(matches!(run.wait().await, Err(RunError::SupervisorLost { .. })));
    assert!(!run::is_over(folder).unwrap());
    assert!(generations.iter().all(|process| process.is_alive().unwrap()));

    let record = run::reap(folder).unwrap();
    assert_eq!((record.class, record.status.clone()), (Class::Killed, Status::Unknown));
    assert_eq!((record.by.as_deref(), record.group_gone), (Some("supervisor lost"), true));
    assert!(!generations.iter().any(|process| process.is_alive().unwrap()));
    assert_silent(&place);
    assert_eq!(run::reap(folder).unwrap(), record, "once");
    assert!(run::is_over(folder).unwrap());
    assert_eq!(ended(&run).await, record);
}

#[tokio::test]
async fn a_run_that_was_never_started_is_reaped_as_such() {
    let place = Place::new();
    let run = place.create(&place.spec("touch ran"));
    assert_eq!(run.status().await.unwrap(), Standing::Lost);
    assert!(run::is_over(run.folder().path()).unwrap());
    let record = run::reap(run.folder().path()).unwrap();
    assert_eq!((record.class, record.status), (Class::Infra, Status::NotStarted(125)));
    assert!(supervisor::spawn(program(), run.folder().path()).is_err(), "too late");
    assert!(!place.path("ran").exists());
}

/// A folder whose supervisor and processes have the pids of those of `victim`,
/// but started at other times: what reused pids look like.
fn impostor(place: &Place, victim: &Run) -> Run {
    let run = place.create(&place.spec("true"));
    let mut record: SupervisorRecord = victim.folder().supervisor().unwrap().unwrap();
    let mut child = record.child.take().unwrap();
    record.supervisor.start.push('0');
    child.start.push('0');
    let witnesses = Witnesses { seen: [child.clone()].into() };
    record.child = Some(child);
    let write = |name: &str, text: String| {
        std::fs::write(run.folder().path().join(name), text).unwrap();
    };
    write("supervisor.json", serde_json::to_string(&record).unwrap());
    write("members.json", serde_json::to_string(&witnesses).unwrap());
    run
}

#[tokio::test]
async fn who_has_a_reused_pid_is_never_signalled() {
    let place = Place::new();
    let victim = place.start(&place.spec(UNTIL_GO));
    let child = victim.folder().supervisor().unwrap().unwrap().child.unwrap();

    // The supervisor's pid belongs to another: nothing is left of the run.
    let first = impostor(&place, &victim);
    assert_eq!(run::reap(first.folder().path()).unwrap().class, Class::Killed);
    assert!(matches!(victim.status().await.unwrap(), Standing::Live(_)));

    // Nobody has that pid, but processes are in its session: no witness, no kill.
    let supervisor = supervisor_of(&victim);
    kill_hard(&supervisor);
    until("the pid to be free", || {
        ProcessIdentity::of(supervisor.pid).unwrap().is_none().then_some(())
    });
    let second = impostor(&place, &victim);
    let refused = run::reap(second.folder().path()).expect_err("nothing proves it");
    assert!(
        matches!(&refused, ReapError::Unproven { pids, .. } if pids.contains(&child.pid)),
        "{refused}"
    );
    assert!(!run::is_over(second.folder().path()).unwrap());
    assert!(child.is_alive().unwrap());

    // The true folder has the witness.
    run::reap(victim.folder().path()).unwrap();
    assert!(!child.is_alive().unwrap());
}
