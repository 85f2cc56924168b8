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
    let query = v1::Query { what: Some(What::Hosts(v1::Empty {})), ..v1::Query::default() };
    let hosts = client.read(query).await.map_err(Failure::from)?.into_inner();
    let base = status.base.get(..10).unwrap_or(&status.base);
    Output::stdout(&format!("repo     {}  {} at {base}", status.repo, status.branch));
    if !status.closed.is_empty() {
        Output::stdout(&format!("closed   {}", status.closed));
    }
    Output::stdout(&format!("agents   {} sessions on {} hosts", status.sessions, status.hosts));
    if let Some(Content::Hosts(v1::Hosts { hosts })) = hosts.view {
        for host in hosts.iter().filter(|host| host.jobs > 0) {
            Output::stdout(&line(host));
        }
    }
    Output::stdout(&format!("claims   {} held, {} waiting", status.held, status.waiting));
    Output::stdout(&format!("tasks    {} ready", status.tasks_ready));
    Output::stdout(&format!("train    {} cars, {} jobs", status.cars, status.jobs));
    Output::stdout(&format!("board    term {}, revision {}", view.term, view.rev));
    Ok(ExitCode::SUCCESS)
}

/// A machine that runs jobs: as whom, and why what it finds does not count, if it does not.
fn line(host: &v1::HostView) -> String {
    let v1::HostView { name, state, standing, jobs, job_user, doubt, .. } = host;
    let user = job_user.as_ref().map(|user| format!(" as uid {}", user.uid)).unwrap_or_default();
    let doubt = match doubt.as_str() {
        "" => String::new(),
        doubt => format!(", does not count: {doubt}"),
    };
    format!("host     {name}  {state}, {standing}, {jobs} jobs{user}{doubt}")
}
