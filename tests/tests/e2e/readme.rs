//! The README's first session does what it says, in an empty folder.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Host, command, programs, scratch};

/// The commands of the README's consoles, in order, with the output that is shown for each.
fn session(readme: &str) -> Vec<(String, Vec<String>)> {
    let from = readme.find("## A first session").expect("the README has a first session");
    let to = readme.find("## Read on").expect("the README says where to read on");
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in readme[from..to].lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            commands.push((command.to_owned(), Vec::new()));
        } else if inside {
            let shown = commands.last_mut().expect("output follows a command");
            shown.1.push(line.to_owned());
        }
    }
    commands
}

/// What is the same in every run of a line: its words without ids, fences and commits.
fn shape(line: &str) -> Vec<String> {
    let varies = |word: &str| word.chars().any(|c| c.is_ascii_digit());
    line.split_whitespace().filter(|word| !varies(word)).map(str::to_owned).collect()
}

/// One shell runs all commands, as a reader's would; a marker follows each one's output.
fn script(commands: &[(String, Vec<String>)]) -> String {
    let mut script = String::from("exec 2>&1\n");
    for (at, (command, _)) in commands.iter().enumerate() {
        script.push_str(command);
        if let Some(started) = command.strip_suffix('&') {
            assert!(started.contains("serve"), "only the service runs beside the others");
            // A reader looks before typing on, and sees where the service has ended instead.
            script.push_str("\nserving=$!\nuntil molt-coordinator status >ready.txt 2>&1; do ");
            script.push_str("kill -0 $serving || exit 1; done\nrm ready.txt");
        }
        script.push_str(&format!("\necho \"== {at} $?\"\n"));
    }
    script.push_str("kill $serving; wait $serving\n");
    script
}

/// An address for a service that begins some time from now. No port that a system gives to
/// whoever asks for any: another test, which runs beside this one, would have it by then.
fn free_address() -> String {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    let free = (first..30_000).chain(20_000..first).find_map(|port| {
        let bound = TcpListener::bind(("127.0.0.1", port)).ok()?;
        bound.local_addr().ok()
    });
    free.expect("one of ten thousand ports is free").to_string()
}

fn run(folder: &Path, script: &str) -> String {
    let address = free_address();
    let host = Host::new(folder, "reader", &address);
    let programs = programs::agent();
    let programs = programs.parent().expect("a program is in a folder").to_owned();
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let path = std::iter::once(programs).chain(std::env::split_paths(&path));
    let output = command("sh", folder)
        .args(["-c", script])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).expect("folders without colons"))
        .env("MOLT_HOST", host.name())
        .env("MOLT_STATE", host.state())
        .env("MOLT_COORD_LISTEN", &address)
        .env("MOLT_COORD_ENDPOINTS", &address)
        .stdin(Stdio::null())
        .output()
        .expect("sh starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_command_of_the_first_session_works_and_says_what_is_shown() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let commands = session(&std::fs::read_to_string(readme).expect("the README"));
    assert!(commands.len() >= 13, "the session lost commands: {commands:#?}");
    let folder = scratch();
    let said = run(folder.path(), &script(&commands));
    let mut rest = said.as_str();
    for (at, (command, shown)) in commands.iter().enumerate() {
        let (output, after) = rest
            .split_once(&format!("== {at} "))
            .unwrap_or_else(|| panic!("no end of `{command}`:\n{said}"));
        let (status, after) = after.split_once('\n').unwrap_or((after, ""));
        assert_eq!(status, "0", "`{command}` failed:\n{output}");
        let lines: Vec<Vec<String>> = output.lines().map(shape).collect();
        for line in shown {
            assert!(
                lines.contains(&shape(line)),
                "`{command}` did not say `{line}` but:\n{output}"
            );
        }
        rest = after;
    }
}

#[test]
fn the_targets_that_the_readme_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let makefile = std::fs::read_to_string(root.join("Makefile")).expect("the Makefile");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README");
    for target in ["demo", "test"] {
        assert!(readme.contains(&format!("make {target}")), "{target} is not in the README");
        assert!(makefile.contains(&format!("\n{target}:")), "no target {target}");
    }
}
