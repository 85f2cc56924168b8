//! The demonstration, interrupted: whatever it started and wrote goes with it.

use std::path::Path;
use std::process::Command;

use crate::harness::{Running, Signal, command, programs, scratch, until};

/// The processes whose command line names `folder`, or the coordinator at `address`.
fn processes_of(folder: &Path, address: &str) -> Vec<String> {
    let listed = Command::new("ps").args(["-axww", "-o", "pid=,args="]).output();
    let listed = listed.expect("ps starts").stdout;
    let folder = folder.to_str().expect("a path of text");
    let of_demo = |line: &&str| {
        (line.contains(folder) || line.contains(address)) && !line.contains(" demo --scratch ")
    };
    String::from_utf8_lossy(&listed).lines().filter(of_demo).map(str::to_owned).collect()
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let scratch = scratch();
        let stage = scratch.path().join("stage");
        let mut demo = command(programs::coordinator(), scratch.path());
        demo.args(["demo", "--scratch"]).arg(&stage);
        let mut demo = Running::start(demo, &scratch.path().join("said"));
        until("its agents are at work", || {
            if let Some(said) = demo.ended() {
                panic!("it ended with {}: {}{}", said.code, said.out, said.err);
            }
            demo.output().contains("  claimed ").then_some(())
        });
        let address = std::fs::read_to_string(stage.join("ready")).expect("it is served");
        let started = processes_of(&stage, &address);
        demo.signal(signal);
        let ended = demo.end();
        assert!(started.len() >= 4, "a coordinator and three daemons, not {started:?}");
        assert_ne!(ended.code, 0, "it was not told to its end: {}", ended.out);
        assert!(ended.err.contains("interrupted"), "{}", ended.err);
        assert_eq!(processes_of(&stage, &address), Vec::<String>::new(), "{signal}");
        assert!(!stage.exists(), "its scratch folder is gone");
    }
}
