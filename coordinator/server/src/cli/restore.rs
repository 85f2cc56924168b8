//! `restore`: a fleet from a backup.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::backup::{SiteArgs, intent};
use super::client;
use super::error::Error;
use super::output::Output;
use crate::clock;
use crate::transfer::restore::{self, Restored};
use crate::transfer::{Begun, Order};

/// What to restore, where to, and why.
#[derive(Debug, Args)]
#[command(after_help = "A new epoch of fences begins, and every session must resume before it \
                        acts. Whatever was granted\nafter the backup was made is not known any \
                        more: see that its holders have stopped.\n\nExample:\n  \
                        molt-coordinator restore fleet.backup --config coordinator.toml \
                        --reason 'the disk died'")]
pub(super) struct RestoreArgs {
    /// The backup
    file: PathBuf,

    #[command(flatten)]
    site: SiteArgs,

    /// Why; the audit keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Give up what another restore has begun there and not ended
    #[arg(long)]
    again: bool,

    /// Read and verify everything, say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Restores, or says what would be restored.
pub(super) async fn restore(args: &RestoreArgs) -> Result<ExitCode, Error> {
    let site = args.site.site()?;
    let operator = client::operator_name();
    let order = Order { operator, reason: args.reason.clone(), wall: clock::wall() };
    let mut tell = |line: String| Output::stderr(&line);
    let how = (intent(args.dry_run), begun(args.again));
    let restored = restore::restore(&args.file, &site, &order, how, &mut tell).await?;
    report(args, &site.store_name(), &restored);
    Ok(ExitCode::SUCCESS)
}

/// What `--again` says of what was begun.
pub(super) fn begun(again: bool) -> Begun {
    if again { Begun::BeginAgain } else { Begun::GoOn }
}

fn report(args: &RestoreArgs, place: &str, restored: &Restored) {
    let Restored { whole, header, records, changed, epoch, silenced, sealed, .. } = restored;
    if args.json {
        let data = serde_json::json!({
            "place": place, "written": restored.revision.is_some(), "records": records,
            "changed": changed, "epoch": epoch, "sessions": silenced, "sealed": sealed,
            "missing": restored.missing, "board": restored.digest,
            "quiet_ms": u64::try_from(restored.quiet.as_millis()).unwrap_or(u64::MAX),
            "backup": {
                "revision": header.revision, "made": header.made, "board": whole.digest(),
                "records": whole.len(), "entries": whole.entries(),
            },
        });
        let code = if restored.revision.is_some() { "restored" } else { "would-restore" };
        Output::json("molt.restore/1", code, restored.revision.unwrap_or_default(), &data);
        return;
    }
    match restored.revision {
        Some(revision) => {
            Output::stdout(&format!("restored {place} at revision {revision}"));
            Output::stdout(&format!("verified {records} records read back, {changed} written"));
        }
        None => {
            Output::stdout(&format!("would restore  {place}"));
            Output::stdout(&format!("would write    {records} records"));
        }
    }
    let made = std::time::UNIX_EPOCH + std::time::Duration::from_millis(header.made);
    let made = humantime::format_rfc3339_seconds(made);
    Output::stdout(&format!(
        "backup   revision {} of {made}, {}",
        header.revision,
        whole.figures()
    ));
    Output::stdout(&format!("board    {} in the backup, {} now", whole.digest(), restored.digest));
    Output::stdout(&format!("epoch    {epoch}: no fence of before passes any more"));
    Output::stdout(&format!("sessions {silenced} must resume before they act"));
    Output::stdout(&format!("audit    {} entries, {sealed} of them in files", whole.entries()));
    if restored.missing > 0 {
        let missing = restored.missing;
        Output::stdout(&format!("missing  the first {missing} entries of the audit"));
    }
    let quiet = humantime::format_duration(restored.quiet);
    Output::stdout(&format!(
        "next     serve it no sooner than {quiet} after the old one stopped: its holders have \
         stopped then"
    ));
    Output::stdout("         revoke again what tokens were revoked since the backup");
}
