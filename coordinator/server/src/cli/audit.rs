//! `audit`: the record of everything that happened, exported and verified.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use molt_domain::audit::{self, Anchor, Entry};
use molt_proto::error::Failure;
use molt_proto::v1;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, FormArgs, client};

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub(super) enum AuditVerb {
    /// Write every entry to a file, one JSON document a line
    Export(ExportArgs),
    /// Verify the chain of an exported file
    Verify(VerifyArgs),
}

/// Where to.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator audit export audit.jsonl")]
pub(super) struct ExportArgs {
    /// The file; it must not be there yet
    file: PathBuf,

    #[command(flatten)]
    call: CallArgs,
}

/// Which file.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator audit verify audit.jsonl")]
pub(super) struct VerifyArgs {
    /// An exported file
    file: PathBuf,

    #[command(flatten)]
    form: FormArgs,
}

/// Exports the audit from its first entry on.
pub(super) async fn export(args: &ExportArgs) -> Result<ExitCode, Error> {
    let mut client = client::connect(&args.call).await?;
    let request = v1::AuditRequest { after: 0 };
    let mut entries = client.audit(request).await.map_err(Failure::from)?.into_inner();
    let failed = |source| Error::File { path: args.file.clone(), source };
    let mut out = BufWriter::new(File::create_new(&args.file).map_err(failed)?);
    let mut last = 0;
    while let Some(entry) = entries.message().await.map_err(Failure::from)? {
        writeln!(out, "{}", entry.json).map_err(failed)?;
        last = entry.seq;
    }
    out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
    if args.call.json {
        let data = serde_json::json!({"file": args.file, "entries": last});
        Output::json("molt.audit/1", "exported", 0, &data);
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!("exported {last} entries to {}", args.file.display()));
    Ok(ExitCode::SUCCESS)
}

/// Verifies an exported chain from its beginning; exit 9 when it does not hold.
pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode, Error> {
    let entries = read(&args.file)?;
    let end = audit::verify(Anchor::genesis(), &entries)
        .map_err(|broken| Error::Audit { path: args.file.clone(), source: broken.into() })?;
    if args.form.json {
        let data = serde_json::json!({"file": args.file, "entries": end.seq, "last": end.hash});
        Output::json("molt.audit/1", "verified", 0, &data);
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!("verified {} entries, the last is {}", end.seq, end.hash));
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Vec<Entry>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut entries = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(failed)?;
        let entry = serde_json::from_str(&line).map_err(|error| Error::Audit {
            path: path.to_owned(),
            source: format!("line {}: {error}", at + 1).into(),
        })?;
        entries.push(entry);
    }
    Ok(entries)
}
