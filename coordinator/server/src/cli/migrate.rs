//! `migrate`: a fleet's records from one store into another.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::backup::intent;
use super::client;
use super::error::Error;
use super::output::Output;
use super::restore::begun;
use crate::clock;
use crate::transfer::migrate::{self, Migrated};
use crate::transfer::{Order, Site};

/// From where to where.
#[derive(Debug, Args)]
#[command(after_help = "Stop every coordinator of both first. Nothing is lost; a new epoch of \
                        fences begins. Until it has ended\nthe records are whole where they \
                        were, and the same command goes on where it stopped.\n\nExample:\n  \
                        molt-coordinator migrate --from one.toml --to fleet.toml --dry-run")]
pub(super) struct MigrateArgs {
    /// The configuration, or the folder of state, that the fleet was served with
    #[arg(long, value_name = "CONFIG")]
    from: PathBuf,

    /// The configuration, or the folder of state, that it will be served with
    #[arg(long, value_name = "CONFIG")]
    to: PathBuf,

    /// Give up what another run has begun there and not ended
    #[arg(long)]
    again: bool,

    /// Read and verify everything, say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Migrates, or says what would be migrated.
pub(super) async fn migrate(args: &MigrateArgs) -> Result<ExitCode, Error> {
    let (from, to) = (Site::named(&args.from)?, Site::named(&args.to)?);
    let reason = format!("moved from {} to {}", from.store_name(), to.store_name());
    let order = Order { operator: client::operator_name(), reason, wall: clock::wall() };
    let mut tell = |line: String| Output::stderr(&line);
    let how = (intent(args.dry_run), begun(args.again));
    let moved = migrate::migrate(&from, &to, &order, how, &mut tell).await?;
    report(args, (&from.store_name(), &to.store_name()), &moved);
    Ok(ExitCode::SUCCESS)
}

fn report(args: &MigrateArgs, (from, to): (&str, &str), moved: &Migrated) {
    let Migrated { whole, digest, records, epoch, sealed, missing, changed, .. } = moved;
    if args.json {
        let data = serde_json::json!({
            "from": from, "to": to, "written": moved.revision.is_some(),
            "before": moved.done_before, "records": records, "changed": changed,
            "epoch": epoch, "sealed": sealed, "missing": missing,
            "board": {"from": whole.digest(), "to": digest},
        });
        let code = match moved.revision {
            Some(_) if moved.done_before => "moved-before",
            Some(_) => "moved",
            None => "would-move",
        };
        Output::json("molt.migrate/1", code, moved.revision.unwrap_or_default(), &data);
        return;
    }
    let word = match moved.revision {
        Some(_) if moved.done_before => "moved before",
        Some(_) => "moved",
        None => "would move",
    };
    Output::stdout(&format!("{word}  {from}  to  {to}"));
    Output::stdout(&format!("holds    {}", whole.figures()));
    match moved.revision {
        Some(revision) => Output::stdout(&format!(
            "verified {records} records read back at revision {revision}, {changed} written"
        )),
        None => Output::stdout(&format!("would write  {records} records")),
    };
    Output::stdout(&format!("board    {} from, {digest} to", whole.digest()));
    Output::stdout(&format!("epoch    {epoch}"));
    Output::stdout(&format!("audit    {} entries, {sealed} of them in files", whole.entries()));
    if *missing > 0 {
        Output::stdout(&format!(
            "missing  the first {missing} entries of the audit: they are in files elsewhere"
        ));
    }
    if moved.revision.is_some() {
        Output::stdout("next     serve it from there; what was left behind is never served again");
    }
}
