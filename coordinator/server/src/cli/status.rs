//! `status`: what the fleet is doing.

use std::process::ExitCode;

use clap::Args;
use molt_domain::name::RepoName;
use molt_proto::credentials::Stub;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View as Content;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// Whose status.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-coordinator status
  molt-coordinator status --repo compiler --json")]
pub(super) struct StatusArgs {
    /// This repository alone; all of them without it
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,

    #[command(flatten)]
    call: CallArgs,
}

/// Prints each repository in a few lines.
pub(super) async fn status(args: &StatusArgs) -> Result<ExitCode, Error> {
    let mut stub = client::connect(&args.call).await?;
    let empty = v1::Empty {};
    let (repo, what) = match &args.repo {
        Some(repo) => (repo.as_str(), What::Status(empty)),
        None => ("", What::Statuses(empty)),
    };
    let view = ask(&mut stub, repo, what).await?;
    let statuses = match view.view {
        Some(Content::Status(status)) => vec![status],
        Some(Content::Statuses(v1::Statuses { statuses })) => statuses,
        _ => return Err(another_question()),
    };
    if args.call.json {
        let data = serde_json::json!({"repos": statuses});
        Output::json("molt.status/2", "ok", view.rev, &data);
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = Vec::new();
    for status in &statuses {
        let hosts = ask(&mut stub, &status.repo, What::Hosts(empty)).await?;
        let Some(Content::Hosts(v1::Hosts { hosts })) = hosts.view else {
            return Err(another_question());
        };
        text.extend(lines(status, &hosts));
    }
    text.push(format!("board    term {}, revision {}", view.term, view.rev));
    Output::lines(&text);
    Ok(ExitCode::SUCCESS)
}

async fn ask(stub: &mut Stub, repo: &str, what: What) -> Result<v1::View, Error> {
    let query = v1::Query { repo: repo.to_owned(), what: Some(what), ..v1::Query::default() };
    Ok(stub.read(query).await.map_err(Failure::from)?.into_inner())
}

fn another_question() -> Error {
    Failure::Unknown { reason: "the coordinator answered another question".to_owned() }.into()
}

/// A repository: what it is at, who works on it, and what waits.
fn lines(status: &v1::StatusView, hosts: &[v1::HostView]) -> Vec<String> {
    let base = status.base.get(..10).unwrap_or(&status.base);
    let mut lines = vec![format!("repo     {}  {} at {base}", status.repo, status.branch)];
    if !status.closed.is_empty() {
        lines.push(format!("closed   {}", status.closed));
    }
    lines.push(format!("agents   {} sessions on {} hosts", status.sessions, status.hosts));
    lines.extend(hosts.iter().filter(|host| host.jobs > 0).map(line));
    lines.push(format!("claims   {} held, {} waiting", status.held, status.waiting));
    lines.push(format!("tasks    {} ready", status.tasks_ready));
    lines.push(format!("train    {} cars, {} jobs", status.cars, status.jobs));
    lines
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
