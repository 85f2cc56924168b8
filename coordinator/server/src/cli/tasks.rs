//! `tasks reopen`: a person opens again what waits for one.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use molt_domain::board::Refusal;
use molt_domain::id::TaskId;
use molt_proto::credentials::Stub;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// What to do with tasks.
#[derive(Debug, Subcommand)]
pub(super) enum TasksVerb {
    /// Open a task again that waits for a person
    Reopen(ReopenArgs),
}

/// Which task, and what to tell whoever takes it.
///
/// A task waits for a person after an agent blocked it, or after its third holder
/// was lost. From then on it is dealt like any other, and may be lost as often as a
/// new one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-coordinator tasks reopen tsk_0042 --reason 'the format of docs/wire.md' --dry-run
  molt-coordinator tasks reopen tsk_0042 --reason 'the format of docs/wire.md'")]
pub(super) struct ReopenArgs {
    /// A task (tsk_…)
    task: TaskId,

    /// Why, and what was decided; the next holder and the audit are told
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Say what would be opened, and open nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    call: CallArgs,
}

/// Opens a task again, or says what would be opened.
pub(super) async fn tasks(verb: &TasksVerb) -> Result<ExitCode, Error> {
    let TasksVerb::Reopen(args) = verb;
    let mut stub = client::connect(&args.call).await?;
    let (task, rev) = read(&mut stub, args.task).await?;
    if args.dry_run {
        return would_reopen(args, &task, rev);
    }
    let verb = Verb::ReopenTask(v1::ReopenTask {
        task: args.task.to_string(),
        reason: args.reason.clone(),
    });
    let command = v1::Command { caller: Some(client::operator()), number: 0, verb: Some(verb) };
    let reply = stub.act(command).await.map_err(Failure::from)?.into_inner();
    if args.call.json {
        let data = serde_json::json!({"id": task.id, "title": task.title, "was": task.reason});
        Output::json("molt.tasks/1", "reopened", reply.rev, &data);
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!("reopened  {}  {}  ({})", task.id, task.title, args.reason));
    Ok(ExitCode::SUCCESS)
}

async fn read(stub: &mut Stub, id: TaskId) -> Result<(v1::TaskView, u64), Error> {
    let (caller, what) = (Some(client::operator()), Some(What::Task(id.to_string())));
    let query = v1::Query { caller, what, ..v1::Query::default() };
    let view = stub.read(query).await.map_err(Failure::from)?.into_inner();
    match view.view {
        Some(View::Task(task)) => Ok((task, view.rev)),
        _ => {
            let reason = "the coordinator answered another question".to_owned();
            Err(Failure::Unknown { reason }.into())
        }
    }
}

fn would_reopen(args: &ReopenArgs, task: &v1::TaskView, rev: u64) -> Result<ExitCode, Error> {
    if task.state != "blocked" {
        let (what, given) = (format!("the state of {}", task.id), "blocked".to_owned());
        let refusal = Refusal::Stale { what, given, current: task.state.clone() };
        return Err(Failure::Refused { refusal: Box::new(refusal), id: None }.into());
    }
    if args.call.json {
        let data = serde_json::json!({"id": task.id, "title": task.title, "was": task.reason});
        Output::json("molt.tasks/1", "would-reopen", rev, &data);
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!("would reopen  {}  {}", task.id, task.title));
    Output::stdout(&format!("              waits for a person: {}", task.reason));
    Ok(ExitCode::SUCCESS)
}
