//! `backup`: everything that a fleet has, in one file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::error::Error;
use super::output::Output;
use crate::clock;
use crate::transfer::backup::{self, Made};
use crate::transfer::{Intent, Site, TransferError, serve_args};

/// What to back up, and where to.
#[derive(Debug, Args)]
#[command(after_help = "The service goes on meanwhile.\n\nExample:\n  \
                        molt-coordinator backup --config coordinator.toml fleet.backup")]
pub(super) struct BackupArgs {
    /// The file; it must not be there yet
    file: PathBuf,

    #[command(flatten)]
    site: SiteArgs,

    /// Read and verify everything, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Where a fleet's state is.
#[derive(Debug, Args)]
pub(super) struct SiteArgs {
    /// The configuration that the fleet is served with
    #[arg(long, env = "MOLT_COORD_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// The folder of the coordinator's state; goes before that of the configuration
    #[arg(long, env = "MOLT_COORD_DATA", value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

impl SiteArgs {
    /// The site that is meant.
    pub(super) fn site(&self) -> Result<Site, TransferError> {
        match (&self.config, &self.data) {
            (Some(file), data) => {
                let mut args = serve_args(file)?;
                args.data = data.clone().or(args.data);
                Ok(Site::of(&args.config()?))
            }
            (None, Some(data)) => Ok(Site::folder(data)),
            (None, None) => {
                let usage = "say where the state is: --config FILE or --data DIR";
                Err(TransferError::Usage(usage.to_owned()))
            }
        }
    }
}

/// Backs up, or says what would be backed up.
pub(super) async fn backup(args: &BackupArgs) -> Result<ExitCode, Error> {
    let site = args.site.site()?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let intent = intent(args.dry_run);
    let mut tell = |line: String| Output::stderr(&line);
    let work =
        backup::backup(&site, &args.file, clock::wall(), intent, Arc::clone(&stop), &mut tell);
    let mut work = std::pin::pin!(work);
    let made = loop {
        tokio::select! {
            made = &mut work => break made?,
            _ = terminate.recv() => stop.store(true, Ordering::Relaxed),
            _ = interrupt.recv() => stop.store(true, Ordering::Relaxed),
        }
    };
    report(args, &made);
    Ok(ExitCode::SUCCESS)
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Error> {
    signal(kind).map_err(|source| Error::Runtime { source })
}

/// What `--dry-run` says of the intent.
pub(super) fn intent(dry_run: bool) -> Intent {
    if dry_run { Intent::DryRun } else { Intent::Do }
}

fn report(args: &BackupArgs, made: &Made) {
    let Made { whole, leader, sealed, missing, file } = made;
    let path = args.file.display().to_string();
    if args.json {
        let data = serde_json::json!({
            "file": path, "written": file.is_some(), "digest": file.as_ref().map(|it| &it.0),
            "bytes": file.as_ref().map(|it| it.1), "revision": whole.revision(),
            "records": whole.len(), "entries": whole.entries(), "sealed": sealed,
            "missing": missing, "board": whole.digest(), "leader": leader,
        });
        let code = if file.is_some() { "written" } else { "would-write" };
        Output::json("molt.backup/1", code, whole.revision(), &data);
        return;
    }
    match file {
        Some((digest, bytes)) => {
            Output::stdout(&format!("wrote    {path}  {bytes} bytes"));
            Output::stdout(&format!("digest   {digest}"));
        }
        None => {
            Output::stdout(&format!("would write  {path}"));
        }
    }
    Output::stdout(&format!("holds    revision {}, {}", whole.revision(), whole.figures()));
    Output::stdout(&format!("audit    {} entries, {sealed} of them from files", whole.entries()));
    if *missing > 0 {
        Output::stdout(&format!(
            "missing  the first {missing} entries of the audit: they are in files elsewhere"
        ));
    }
    Output::stdout(&format!("board    {}", whole.digest()));
    if let Some(to) = whole.moved() {
        Output::stdout(&format!("moved    {to}: this is what was left behind"));
    }
}
