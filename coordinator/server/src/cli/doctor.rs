//! `doctor`: what would keep a coordinator from serving.

use std::process::ExitCode;

use clap::Args;
use molt_proto::exit::Exit;

use super::backup::SiteArgs;
use super::error::Error;
use super::output::Output;
use crate::doctor::{self, Subject};

/// What to look at.
#[derive(Debug, Args)]
#[command(after_help = "Nothing is written, and a service that runs goes on.\n\nExample:\n  \
                        molt-coordinator doctor --config coordinator.toml")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    site: SiteArgs,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Prints a line for each thing that was looked at; exit 0 when nothing fails, else the code of
/// the first failure.
pub(super) async fn doctor(args: &DoctorArgs) -> Result<ExitCode, Error> {
    let subject = Subject { config: args.site.config.as_deref(), data: args.site.data.as_deref() };
    let findings = doctor::examine(subject).await;
    let exit = doctor::exit(&findings);
    if args.json {
        let listed: Vec<serde_json::Value> = findings
            .iter()
            .map(|finding| {
                let (level, what) = (finding.level.word(), finding.what);
                serde_json::json!({"level": level, "what": what, "detail": finding.detail})
            })
            .collect();
        let code = if exit == Exit::Ok { "well" } else { "ill" };
        let document = serde_json::json!({
            "schema": "molt.doctor/1", "ok": exit == Exit::Ok, "code": code,
            "data": {"findings": listed}, "next": [], "warn": [], "rev": 0,
        });
        Output::stdout(&document.to_string());
    } else {
        Output::lines(&findings.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    Ok(exit.into())
}
