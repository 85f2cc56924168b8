//! What a run leaves: its record, its log, its folder.

use molt_agent::run::{self, Class, Run, Standing, Status, Stream};
use molt_agent::supervisor::{self, SpawnError};

use crate::support::{Place, UNTIL_GO, ended, program, supervisor_of, until};

#[tokio::test]
async fn output_and_exit_code_are_recorded() {
    let place = Place::new();
    let spec = place.spec(r"echo out; echo err >&2; printf 'bad \377\npart'; exit 7");
    let run = place.start(&spec);
    let record = ended(&run).await;
    assert_eq!((record.status.clone(), record.class), (Status::Exited(7), Class::Failed));
    assert_eq!((record.exit_code(), record.lines, record.stragglers), (7, 4, 0));
    assert!(record.group_gone && record.peak_memory.unwrap() > 0);
    assert_eq!((&record.argv, &record.cwd, &record.log), (&spec.argv, &spec.cwd, &spec.log));
    assert_eq!(place.logged(&run, Stream::Stdout), ["out", "bad \u{fffd}", "part"]);
    assert_eq!(place.logged(&run, Stream::Stderr), ["err"]);
    assert_eq!(run.status().await.unwrap(), Standing::Ended(Box::new(record.clone())));
    assert_eq!(run::list(&place.state()).unwrap(), std::slice::from_ref(&run));
    assert_eq!(ended(&Run::find(&place.state(), &spec.id).unwrap()).await, record);
}

#[tokio::test]
async fn a_flood_of_output_is_logged_whole() {
    let place = Place::new();
    let run = place.start(&place.spec("yes 0123456789 | head -n 30000"));
    let record = ended(&run).await;
    assert_eq!((record.class, record.lines), (Class::Passed, 30_000));
    let lines = place.logged(&run, Stream::Stdout);
    assert!(lines.len() == 30_000 && lines.iter().all(|line| line == "0123456789"));
}

#[tokio::test]
async fn signals_from_outside_and_crashes_are_told_apart() {
    let place = Place::new();
    for (script, signal, class) in
        [("kill -9 $$", 9, Class::Killed), ("kill -SEGV $$", 11, Class::Failed)]
    {
        let record = ended(&place.start(&place.spec(script))).await;
        assert_eq!((record.status.clone(), record.class), (Status::Signaled(signal), class));
        assert_eq!(i32::from(record.exit_code()), 128 + signal);
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_not_a_failed_run() {
    let place = Place::new();
    place.touch("plain");
    let plain = place.path("plain");
    for (argv, code) in [("no-such-program", 127), (plain.to_str().unwrap(), 126)] {
        let record = ended(&place.start(&place.spec_of(&[argv]))).await;
        assert_eq!((record.class, record.exit_code()), (Class::Infra, code), "{record:?}");
        assert!(record.by.unwrap().contains(argv));
    }
}

#[tokio::test]
async fn a_log_is_never_overwritten() {
    let place = Place::new();
    let spec = place.spec("touch ran");
    std::fs::create_dir_all(spec.log.parent().unwrap()).unwrap();
    std::fs::write(&spec.log, "kept\n").unwrap();
    let run = place.create(&spec);
    let refused = supervisor::spawn(program(), run.folder().path()).expect_err("the log exists");
    assert!(matches!(refused, SpawnError::Supervisor { .. }), "{refused}");
    assert!(refused.to_string().contains(spec.log.to_str().unwrap()), "{refused}");
    assert_eq!(std::fs::read_to_string(&spec.log).unwrap(), "kept\n");
    assert!(!place.path("ran").exists());
    let record = ended(&run).await;
    assert_eq!((record.class, record.status), (Class::Infra, Status::NotStarted(125)));
}

#[tokio::test]
async fn a_run_is_started_once() {
    let place = Place::new();
    let run = place.start(&place.spec(UNTIL_GO));
    let folder = run.folder().path();
    for _ in 0..2 {
        let refused = supervisor::spawn(program(), folder).expect_err("it was started");
        assert!(matches!(refused, SpawnError::Started { .. }), "{refused}");
        place.touch("go");
        assert_eq!(ended(&run).await.class, Class::Passed);
    }
    assert!(Run::create(&place.state(), &run.spec().unwrap()).is_err(), "the name is taken");
}

#[tokio::test]
async fn every_follower_sees_every_line_whenever_it_comes() {
    let place = Place::new();
    let run = place.start(&place.spec(&format!("seq 500; {UNTIL_GO}; seq 500")));
    let follow = async |seen: &mut Vec<String>| {
        run.follow(|line| {
            if line.text == "begun" {
                place.touch("go");
            }
            seen.push(line.text);
        })
        .await
        .unwrap()
    };
    let (mut first, mut second, mut late) = (Vec::new(), Vec::new(), Vec::new());
    let (one, other) = tokio::join!(follow(&mut first), follow(&mut second));
    let after = follow(&mut late).await;
    assert_eq!((first.len(), &one), (1002, &other));
    assert_eq!(first, place.logged(&run, Stream::Stdout));
    assert_eq!((&second, &late, after), (&first, &first, one));
}

#[tokio::test]
async fn a_long_path_is_no_obstacle() {
    let place = Place::new();
    let deep = place.path(&format!("{}/{}", "d".repeat(100), "e".repeat(100)));
    let run = place.create_in(&deep, &place.spec(UNTIL_GO));
    supervisor::spawn(program(), run.folder().path()).unwrap();
    assert!(matches!(run.status().await.unwrap(), Standing::Live(_)));
    let elsewhere = std::fs::read_to_string(run.folder().path().join("sock.path")).unwrap();
    let socket: std::path::PathBuf = serde_json::from_str(&elsewhere).unwrap();
    assert!(socket.exists());
    run.stop("enough").await.unwrap();
    assert_eq!(ended(&run).await.class, Class::Killed);
    let supervisor = supervisor_of(&run);
    until("the supervisor's end", || (!supervisor.is_alive().unwrap()).then_some(()));
    assert!(!socket.exists());
}
