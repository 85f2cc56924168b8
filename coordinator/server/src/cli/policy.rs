//! `policy check`: what is wrong with a `molt.toml`, without a server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::FormArgs;
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

    #[command(flatten)]
    form: FormArgs,
}

/// Checks a policy; exit 2 when it could not be honoured.
pub(super) fn policy(verb: &PolicyVerb) -> ExitCode {
    let PolicyVerb::Check(args) = verb;
    let (text, outcome) = crate::policy::run_check(&args.file);
    if !args.form.json {
        Output::stdout(text.trim_end());
        return ExitCode::from(outcome.code());
    }
    let findings: Vec<&str> = text.trim_end().lines().collect();
    match outcome.code() {
        0 => {
            let data = serde_json::json!({ "findings": findings });
            Output::json("molt.policy/1", "sound", 0, &data)
        }
        _ => {
            let message = findings.first().copied().unwrap_or_default();
            let data = serde_json::json!({ "message": message, "findings": findings });
            Output::refusal("policy", "faulty", &data)
        }
    };
    ExitCode::from(outcome.code())
}
