//! The whole job on this machine: a remote, a coordinator, three hosts and their agents.
//!
//! It starts programs and prints what the watch stream says. Its agents are
//! shell scripts that know only `molt-agent` and git. Every expectation is
//! counted from what was seen, and an independent program judges at the end.
//! Not here: rules, store or engine, of which it calls nothing.

mod cast;
mod error;
mod expect;
mod git;
mod programs;
mod recipe;
mod stage;
mod story;
mod tell;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

pub use self::error::DemoError;
use self::programs::Programs;
use self::recipe::Recipe;
use self::stage::Stage;
use self::watch::Watch;

/// How to demonstrate.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  molt-coordinator demo\n  molt-coordinator demo --repo .")]
pub struct DemoArgs {
    /// Show it on a copy of this program's own repository, with real gates
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,

    /// Leave the scratch folder behind
    #[arg(long)]
    keep: bool,

    /// The scratch folder; it must not be there yet, or be empty
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// Demonstrates: tells the story as it happens, then says of each expectation whether it was
/// met. Exits with 0 when all were.
///
/// # Errors
///
/// The story could not be told to its end. Whatever was started is stopped by then.
pub fn demo(args: &DemoArgs) -> Result<ExitCode, DemoError> {
    let programs = Programs::find()?;
    let recipe = match &args.repo {
        None => Recipe::small(),
        Some(repo) => Recipe::own(repo)?,
    };
    let watch = Watch::new();
    watch::heed_signals(&watch)?;
    let mut stage = Stage::set(&programs, recipe, &watch, args.scratch.as_deref())?;
    let told = perform(&mut stage);
    let cleared = stage.clear(if args.keep { stage::After::Keep } else { stage::After::Remove });
    let met = told?;
    cleared?;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The story, the table and the verdict; whether everything was as expected.
fn perform(stage: &mut Stage<'_>) -> Result<bool, DemoError> {
    let notes = story::play(stage)?;
    let audit = stage.export_audit()?;
    stage.end_programs();
    let entries = stage.watch.entries();
    let mut rows = expect::rows(&entries, &notes, &stage.recipe);
    rows.push(expect::all_in_audit(&entries, &audit)?);
    let table = expect::show(&rows);
    tell::block("", &table);
    let verified = stage.verify(&audit, &expect::wanted(&stage.recipe))?;
    tell::block("verified by molt-verify, from git and the audit alone", &verified.text);
    Ok(verified.holds && rows.iter().all(|row| row.met))
}
