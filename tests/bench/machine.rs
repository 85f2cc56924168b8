//! What a number depends on beside the code: the machine, its load, the versions.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::process::{output, own};

/// What a number depends on, as it is written down.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    /// The commit that was built.
    pub(crate) commit: String,
    /// Whether the worktree had changes beside it.
    pub(crate) dirty: bool,
    processor: String,
    cores: usize,
    kernel: String,
    versions: Versions,
}

#[derive(Debug, Serialize)]
struct Versions {
    molt: String,
    rustc: String,
    git: String,
    etcd: String,
}

/// The machine and the versions.
pub(crate) fn facts(etcd: &Path) -> anyhow::Result<Facts> {
    let version = |program: &str, option: &str| first_line(Command::new(program).arg(option));
    let system = nix::sys::utsname::uname()?;
    let (name, release) = (system.sysname().to_string_lossy(), system.release().to_string_lossy());
    let versions = Versions {
        molt: first_line(Command::new(own("molt-coordinator")?).arg("--version"))?,
        rustc: version("rustc", "--version")?,
        git: version("git", "--version")?,
        etcd: first_line(Command::new(etcd).arg("--version"))?,
    };
    Ok(Facts {
        commit: first_line(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))?,
        dirty: !output(Command::new("git").args(["status", "--porcelain"]))?.is_empty(),
        processor: processor(),
        cores: std::thread::available_parallelism()?.get(),
        kernel: format!("{name} {release}"),
        versions,
    })
}

/// How many processes ran or wanted to, on average over the last minute; `None` where nothing
/// tells.
pub(crate) fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg")
        .or_else(|_| output(Command::new("sysctl").args(["-n", "vm.loadavg"])))
        .ok()?;
    text.split_whitespace().find_map(|word| word.parse().ok())
}

fn processor() -> String {
    let listed = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = listed.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    match named {
        Some((_, name)) => name.to_owned(),
        None => first_line(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]))
            .unwrap_or_else(|_| std::env::consts::ARCH.to_owned()),
    }
}

fn first_line(command: &mut Command) -> anyhow::Result<String> {
    Ok(output(command)?.lines().next().unwrap_or_default().to_owned())
}
