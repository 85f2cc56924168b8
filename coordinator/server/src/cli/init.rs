//! `init`: a proposal for `molt.toml`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::FormArgs;
use super::error::Error;
use super::output::Output;

/// Where to propose.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator init")]
pub(super) struct InitArgs {
    /// A folder of the repository
    #[arg(default_value = ".")]
    folder: PathBuf,

    #[command(flatten)]
    form: FormArgs,
}

/// Writes `molt.toml` at the repository's root; never over one that is there.
pub(super) fn init(args: &InitArgs) -> Result<ExitCode, Error> {
    let path = crate::policy::init(&args.folder)?;
    if args.form.json {
        Output::json("molt.init/1", "wrote", 0, &serde_json::json!({"file": path}));
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!("wrote    {}", path.display()));
    Output::stdout(
        "next     read it, then: molt-coordinator policy check; git add molt.toml; git commit",
    );
    Ok(ExitCode::SUCCESS)
}
