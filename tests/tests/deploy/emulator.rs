//! What `make github-emulator` does where it cannot do anything: it says so, and that is no failure.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::tree::root;

/// What the script takes from the machine before it knows whether it goes on.
const TOOLS: [&str; 3] = ["bash", "dirname", "env"];

/// A folder with these tools and no others.
fn tools() -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for tool in TOOLS {
        symlink(found(tool), folder.path().join(tool)).expect("a link");
    }
    folder
}

/// Where a tool is.
fn found(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("there is a path");
    let mut places = std::env::split_paths(&path).map(|place| place.join(tool));
    places.find(|place| place.is_file()).expect("every system has it")
}

/// A program of this name that prints one line.
fn says(folder: &Path, name: &str, line: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/usr/bin/env bash\necho '{line}'\n")).expect("a program");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
}

/// Runs the script where only these tools are found.
fn ran(tools: &TempDir) -> Output {
    let mut command = Command::new(root().join("tests/emulator/run.sh"));
    command.env_clear().env("PATH", tools.path());
    command.output().expect("it runs")
}

fn is_skipped(tools: &TempDir, why: &str) {
    let output = ran(tools);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, format!("skipped: {why}\n"), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
}

#[test]
fn without_node_it_is_skipped() {
    is_skipped(&tools(), "node not found");
}

#[test]
fn with_node_alone_it_is_skipped() {
    let tools = tools();
    says(tools.path(), "node", "v20.0.0");
    is_skipped(&tools, "npm not found");
}

#[test]
fn with_a_node_that_is_too_old_it_is_skipped() {
    let tools = tools();
    says(tools.path(), "node", "v18.19.1");
    says(tools.path(), "npm", "9.2.0");
    is_skipped(&tools, "node v18.19.1 is too old, it takes 20");
}

#[test]
fn the_oldest_node_is_what_the_package_asks_for() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("a file");
    let package = read("tests/emulator/package.json");
    let oldest = package.split("\">=").nth(1).and_then(|rest| rest.split('"').next());
    let oldest = oldest.expect("it names a node");
    assert!(read("tests/emulator/run.sh").contains(&format!("\noldest={oldest}\n")));
}
