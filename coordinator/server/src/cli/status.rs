//! `status`: what the fleet is doing.

use std::process::ExitCode;

use clap::Args;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View as Content;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// Whose status.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator status")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    call: CallArgs,
}

/// Prints the fleet in a few lines.
pub(super) async fn status(args: &StatusArgs) -> Result<ExitCode, Error> {
    let mut client = client::connect(&args.call).await?;
    let query = v1::Query { what: Some(What::Status(v1::Empty {})), ..v1::Query::default() };
    let view = client.read(query).await.map_err(Failure::from)?.into_inner();
    let Some(Content::Status(status)) = view.view else {
        let message = "the coordinator answered another question".to_owned();
        return Err(Failure::Unknown { reason: message }.into());
    };
    if args.call.json {
        Output::json("molt.status/1", "ok", view.rev, &status);
        return Ok(ExitCode::SUCCESS);
    }
    let base = status.base.get(..10).unwrap_or(&status.base);
    Output::stdout(&format!("repo     {}  {} at {base}", status.repo, status.branch));
    if !status.closed.is_empty() {
        Output::stdout(&format!("closed   {}", status.closed));
    }
    Output::stdout(&format!("agents   {} sessions on {} hosts", status.sessions, status.hosts));
    Output::stdout(&format!("claims   {} held, {} waiting", status.held, status.waiting));
    Output::stdout(&format!("tasks    {} ready", status.tasks_ready));
    Output::stdout(&format!("train    {} cars, {} jobs", status.cars, status.jobs));
    Output::stdout(&format!("board    term {}, revision {}", view.term, view.rev));
    Ok(ExitCode::SUCCESS)
}
