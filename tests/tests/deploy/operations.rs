//! The operators' page: its commands are commands, its files are there, its first fleet works.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::page::{self, blocks, typed, words};
use crate::programs;
use crate::tree::{Fault, Tree, root};

const PAGE: &str = "docs/operations.md";

#[test]
fn the_operators_commands_are_commands() {
    let faults: &[Fault] = &[
        (PAGE, "certs dev --out", "certs dev --into", "unexpected argument '--into'"),
        (PAGE, "tokens issue --role agent", "tokens issue --role angel", "angel"),
        (PAGE, "# molt-coordinator migrate", "# molt-coordinator emigrate", "emigrate"),
        (PAGE, "`deploy/config/agent.env`", "`deploy/agent.env`", "there is no deploy/agent.env"),
        (PAGE, "(#losing-a-machine)", "(#losing-machines)", "there is no #losing-machines"),
        (PAGE, "(architecture.md)", "(house.md)", "there is no house.md"),
        (PAGE, "github.md#troubleshooting", "github.md#trouble", "there is no github.md#trouble"),
        (PAGE, "secret_files = [\"webhook", "secrets = [\"webhook", "unknown key"),
        (PAGE, "app = 12345", "apps = 12345", "did you mean `app`?"),
    ];
    Tree::hold(|tree| page::check(tree, PAGE), faults);
}

/// Addresses that nobody listened on a moment ago, for those that the page uses.
fn free_ports() -> BTreeMap<&'static str, String> {
    let free = || TcpListener::bind("127.0.0.1:0").expect("a port is free");
    // All are bound before one is given back, so that they differ.
    let bound: Vec<_> = ["2379", "2380", "7420", "7421"].map(|port| (port, free())).into();
    let number =
        |socket: &TcpListener| socket.local_addr().expect("it is bound").port().to_string();
    bound.iter().map(|(port, socket)| (*port, number(socket))).collect()
}

/// One shell types the section, as a reader would: it looks before it types on.
fn script(section: &str, ports: &BTreeMap<&'static str, String>) -> String {
    let mut script = String::from("exec 2>&1; trap 'kill $(jobs -p); wait' EXIT; set -e\n");
    for block in blocks(section) {
        if block.language == "toml" {
            let name = block.lines[0].trim_start_matches("# ");
            script.push_str(&format!("cat > {name} <<'END'\n{}\nEND\n", block.lines.join("\n")));
        }
        for command in typed(&block) {
            match command.split_whitespace().next() {
                Some("molt-coordinator") if command.ends_with("status") => {
                    script.push_str(&format!("until {command}; do sleep 0.1; done\n"));
                }
                _ => script.push_str(&format!("{command}\n")),
            }
            let port = |word: &str| Some(word.rsplit_once(':')?.1.to_owned());
            let words = words(command);
            let listens = words.iter().position(|word| word.starts_with("--listen"));
            if let (true, Some(at)) = (command.ends_with('&'), listens) {
                let port = port(&words[at + 1]).expect("an address");
                let open = format!("(exec 3<>/dev/tcp/127.0.0.1/{port})");
                // It is the leader that started first, and it is stopped in the end.
                script.push_str(&format!("until {open} 2>open.txt; do sleep 0.1; done\n"));
                script.push_str("first=${second:-}; second=$!\n");
            }
        }
    }
    script.push_str("kill $first; wait $first || true\n");
    script.push_str("until molt-coordinator status; do sleep 0.1; done\necho 'all went well'\n");
    ports.iter().fold(script, |script, (from, to)| script.replace(from, to))
}

/// The section that begins a fleet.
fn first_fleet(page: &str) -> &str {
    let from = page.find("## A first fleet").expect("the page has a first fleet");
    let to = page[from + 1..].find("\n## ").expect("something follows");
    &page[from..=from + to]
}

/// Whether all of a section's commands went well, and what they said.
fn follow(section: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let output = Command::new("bash")
        .args(["-c", &script(section, &free_ports())])
        .current_dir(folder.path())
        .env("PATH", path())
        .env("HOME", folder.path())
        .env("GIT_AUTHOR_NAME", "ann")
        .env("GIT_AUTHOR_EMAIL", "ann@example.com")
        .env("GIT_COMMITTER_NAME", "ann")
        .env("GIT_COMMITTER_EMAIL", "ann@example.com")
        .env("MOLT_STATE", folder.path().join("state"))
        .stdin(Stdio::null())
        .output()
        .expect("bash starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && said.contains("all went well"), said)
}

#[test]
fn the_first_fleet_works() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page");
    let section = first_fleet(&page);
    let commands: usize = blocks(section).iter().map(|block| typed(block).len()).sum();
    assert!(commands >= 12, "the section lost commands: {section}");
    let (well, said) = follow(section);
    assert!(well, "{said}");
    let (well, said) = follow(&section.replace("certs/server.key", "certs/lost.key"));
    assert!(!well && said.contains("fleet.toml:10: tls.key"), "{said}");
}

/// The programs under test before all others.
fn path() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let programs = [programs::coordinator(), programs::agent()];
    let folders = programs.iter().filter_map(|program| program.parent().map(Path::to_owned));
    std::env::join_paths(folders.chain(std::env::split_paths(&path)))
        .expect("folders without colons")
}
