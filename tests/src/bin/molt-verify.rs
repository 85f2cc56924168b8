//! `molt-verify`: says whether a branch is what its audit tells, from git and the audit alone.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use molt_tests::verify::{Asked, verify};

/// Verify that every step of a branch was landed by the train, with a proof for every gate
///
/// Reads a git repository and an exported audit, and nothing else. Exit codes: 0 all holds,
/// 1 something does not hold, 2 what was named cannot be read.
#[derive(Debug, Parser)]
#[command(
    name = "molt-verify",
    version,
    after_help = "Example:\n  molt-verify --repo remote.git --audit audit.jsonl"
)]
struct Cli {
    /// The repository that changes landed in
    #[arg(long, value_name = "DIR")]
    repo: PathBuf,
    /// The exported audit, one JSON document a line
    #[arg(long, value_name = "FILE")]
    audit: PathBuf,
    /// The branch that changes landed on
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    branch: String,
    /// What must have happened, as TOML: `landed = 5` is at least, `{ exactly = 1 }` is exactly
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Cli { repo, audit, branch, expect } = Cli::parse();
    let (text, code) = match verify(&Asked { repo, audit, branch, expect }) {
        Ok(report) => (report.to_string(), u8::from(!report.holds())),
        Err(error) => (format!("molt-verify: {error:#}\n"), 2),
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(2),
    }
}
