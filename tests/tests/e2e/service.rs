//! The service's own life: it stops gracefully, it is alone with its state, it
//! is nobody's but this machine's.

use std::path::Path;

use crate::harness::Fleet;

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n";

#[test]
fn asked_to_stop_it_drains_and_exits_0() {
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let granted = ann.json(&["claim", "docs"], 0);
    // Somebody who waits must not keep it from stopping, and keeps the place.
    let waits = bob.start(&["claim", "docs", "--wait", "30s", "--json"]);
    fleet.coordinator.events.wait("bob waits", |event| event["what"] == "queued");
    let before = fleet.coordinator.digest();
    let stopped = fleet.coordinator.stop().exits(0);
    assert_eq!(stopped.err, "");
    fleet.coordinator.start();
    let status = ann.json(&["status"], 0);
    assert_eq!(status["data"]["claims"][0]["fence"], granted["data"]["fence"]);
    assert_eq!(fleet.coordinator.digest(), before);
    ann.json(&["release"], 0);
    waits.end().exits(0);
    fleet.verify();
}

#[test]
fn a_second_one_on_the_same_state_is_told_who_has_it() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let before = fleet.coordinator.digest();
    let mut second = fleet.coordinator.command(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    second.arg(fleet.coordinator.data()).arg("--remote").arg(fleet.remote.path());
    let second = second.output().expect("it starts");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(10), "{said}");
    let pid = fleet.coordinator.pid();
    assert!(said.contains(&format!("{pid}")), "pid {pid} is not in: {said}");
    assert_eq!(fleet.coordinator.digest(), before);
}

#[test]
fn nobody_but_this_machine_is_served() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7420"] {
        let mut open = fleet.coordinator.command(&["serve", "--listen", address, "--data"]);
        open.arg(fleet.path("other")).arg("--remote").arg(fleet.remote.path());
        let open = open.output().expect("it starts");
        assert_eq!(open.status.code(), Some(2));
        assert_eq!(
            String::from_utf8_lossy(&open.stderr),
            format!(
                "molt-coordinator: cannot serve: --listen: {address} is not loopback: \
                 without [tls] only loopback is served\n"
            )
        );
    }
}

#[test]
fn spans_under_which_two_holders_could_overlap_are_refused() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let mut serve = fleet.coordinator.command(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    serve.arg(fleet.path("other")).arg("--remote").arg(fleet.remote.path());
    let serve = serve.args(["--delay", "1s"]).output().expect("it starts");
    assert_eq!(serve.status.code(), Some(2));
    let said = String::from_utf8_lossy(&serve.stderr);
    assert!(said.contains("a lost holder could still run when the next begins"), "{said}");
}

/// Copies the files of a folder that has no folders in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in from.read_dir().expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

#[test]
fn a_state_that_was_put_back_is_found_out_and_grants_nothing() {
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &["--heartbeat", "200ms"]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    bob.json(&["join"], 0);
    fleet.coordinator.stop().exits(0);
    let (data, kept) = (fleet.coordinator.data(), fleet.path("kept"));
    copy(&data, &kept);
    fleet.coordinator.start();
    ann.json(&["release"], 0);
    let lost = ann.json(&["claim", "docs"], 0)["data"]["fence"].clone();
    fleet.coordinator.stop().exits(0);
    copy(&kept, &data);
    fleet.coordinator.start();

    let reason = bob.run(&["claim", "docs"]).exits(10).err;
    let lost = lost.as_str().expect("a fence");
    assert!(reason.contains("the board was rolled back: it stands at fence "), "{reason}");
    assert!(reason.contains(&format!("but fence {lost} was granted")), "{reason}");
    let before = fleet.coordinator.digest();
    assert_eq!(fleet.coordinator.run(&["revoke", "ses_0002", "--reason", "x"]).code, 10);
    let closed = fleet.coordinator.status()["closed"].clone();
    assert!(closed.as_str().expect("a reason").contains(&format!("fence {lost}")), "{closed}");
    assert_eq!(fleet.coordinator.digest(), before, "nothing is decided");

    // Once a person gives it up, no fence of before ever passes again.
    fleet.coordinator.stop().exits(0);
    fleet.coordinator.start_with(&["--raise-epoch", "the disk died"]);
    ann.json(&["release"], 0);
    let fence = bob.json(&["claim", "docs"], 0)["data"]["fence"].clone();
    assert!(fence.as_str().expect("a fence").starts_with("1."), "{fence}");
    fleet.coordinator.stop().exits(0);
    fleet.coordinator.start();
    bob.json(&["release"], 0);
    let fence = bob.json(&["claim", "docs"], 0)["data"]["fence"].clone();
    assert!(fence.as_str().expect("a fence").starts_with("1."), "the epoch stays: {fence}");
}

#[test]
fn a_log_that_was_cut_short_opens_and_what_it_lost_is_found_out() {
    let policy = format!("{POLICY}[scope.src]\npaths = [\"src/**\"]\n");
    let mut fleet = Fleet::new(&[("molt.toml", &policy)], &["--heartbeat", "200ms"]);
    let host = fleet.host("h1");
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    fleet.coordinator.events.wait("its host is seen", |event| event["what"] == "host_seen");
    let granted = ann.json(&["claim", "src"], 0);
    fleet.coordinator.kill();
    let log = fleet.coordinator.data().join("board.sqlite-wal");
    let length = log.metadata().expect("the log").len();
    let file = std::fs::File::options().write(true).open(&log).expect("the log");
    file.set_len(length - 100).expect("it is cut");
    fleet.coordinator.start();

    let greeting = fleet.coordinator.greeting();
    let before = granted["rev"].as_u64().expect("a revision") - 1;
    assert!(greeting.contains(&format!("revision {before},")), "{greeting}");
    assert!(greeting.contains("bytes of an unfinished commit"), "{greeting}");
    let audit = fleet.path("audit.jsonl");
    let name = audit.to_str().expect("a path of text");
    fleet.coordinator.run(&["audit", "export", name]).exits(0);
    fleet.coordinator.run(&["audit", "verify", name]).exits(0);
    let told = ann.run(&["claim", "src"]).exits(10).err;
    let fence = granted["data"]["fence"].as_str().expect("a fence");
    assert!(told.contains(&format!("fence {fence} was granted")), "{told}");
}
