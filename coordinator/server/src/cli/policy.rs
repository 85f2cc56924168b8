//! `policy check`: what is wrong with a `molt.toml`, without a server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::Output;

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyVerb {
    /// Print every finding, with a witness path for each overlap
    Check(CheckArgs),
}

/// Which policy.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator policy check")]
pub(super) struct CheckArgs {
    /// The file
    #[arg(long, default_value = "molt.toml")]
    file: PathBuf,
}

/// Checks a policy; exit 2 when it could not be honoured.
pub(super) fn policy(verb: &PolicyVerb) -> ExitCode {
    let PolicyVerb::Check(args) = verb;
    let (text, outcome) = crate::policy::run_check(&args.file);
    Output::stdout(text.trim_end());
    ExitCode::from(outcome.code())
}
