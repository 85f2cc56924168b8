//! Where the programs under test are. They are built if they are missing, old, or were built with
//! other features, as the demo does.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// A variable that names a folder with both programs, to test what was built elsewhere.
const ELSEWHERE: &str = "MOLT_E2E_PROGRAMS";

/// The file beside the programs that says which of them were built for tests.
const STAMP: &str = ".molt-e2e.built";

/// What the programs are made from, below the root of the workspace.
const SOURCES: [&str; 8] = [
    "agent/src",
    "coordinator/domain/src",
    "coordinator/forge/src",
    "coordinator/repo/src",
    "coordinator/retry/src",
    "coordinator/server/src",
    "coordinator/store/src",
    "proto",
];

/// The program that agents and hosts run.
pub(crate) fn agent() -> PathBuf {
    folder().join("molt-agent")
}

/// The service.
pub(crate) fn coordinator() -> PathBuf {
    folder().join("molt-coordinator")
}

fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var_os(ELSEWHERE) {
        Some(folder) => PathBuf::from(folder),
        None => built(),
    })
}

/// The folder above this test program's own, with programs that are not older than their source.
fn built() -> PathBuf {
    let own = std::env::current_exe().expect("this program has a path");
    let deps = own.parent().expect("a program is in a folder");
    let folder = deps.parent().expect("cargo builds tests into deps/").to_owned();
    if !is_current(&folder) {
        let lock = File::create(folder.join(".molt-e2e.lock")).expect("the build's lock");
        lock.lock().expect("one test program builds at a time");
        if !is_current(&folder) {
            build(&folder);
        }
    }
    folder
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "molt-coordinator", "-p", "molt-agent"]);
    command.arg("--profile").arg(profile).arg("--target-dir").arg(folder.join(".."));
    // What cargo says to a test of its package is nothing for a build: some dependencies are built
    // anew where it is otherwise than last time.
    for (name, _) in std::env::vars_os() {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if name.to_str().is_some_and(|name| of_package.iter().any(|it| name.starts_with(it))) {
            command.env_remove(name);
        }
    }
    let status = command.current_dir(root()).status().expect("cargo starts");
    assert!(status.success(), "the programs under test do not build");
    let (mark, _) = built_there(folder).expect("the programs were built");
    std::fs::write(folder.join(STAMP), mark).expect("a file beside the programs");
}

/// Which programs are in a folder, and when the older one was made.
fn built_there(folder: &Path) -> Option<(String, SystemTime)> {
    let agent = folder.join("molt-agent").metadata().ok()?;
    let coordinator = folder.join("molt-coordinator").metadata().ok()?;
    let mark = [&agent, &coordinator]
        .map(|file| format!("{} {}.{:09}\n", file.ino(), file.mtime(), file.mtime_nsec()));
    Some((mark.concat(), agent.modified().ok()?.min(coordinator.modified().ok()?)))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn is_current(folder: &Path) -> bool {
    let Some((mark, made)) = built_there(folder) else { return false };
    let stamped = std::fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == mark);
    let newest = SOURCES.iter().filter_map(|source| newest(&root().join(source))).max();
    stamped && newest.is_some_and(|newest| newest <= made)
}

/// When the newest file below `path` was written.
fn newest(path: &Path) -> Option<SystemTime> {
    let metadata = path.metadata().ok()?;
    if !metadata.is_dir() {
        return metadata.modified().ok();
    }
    let entries = path.read_dir().ok()?;
    entries.filter_map(|entry| newest(&entry.ok()?.path())).max()
}
