//! `task`: the work that agents take.

mod import;
mod new;
mod show;

use clap::{Args, Subcommand};
use molt_domain::id::TaskId;
use molt_domain::scope::ScopeName;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::reply::Answer as Reply;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};
use serde_json::json;

use super::context::{Acted, Context, unexpected};
use super::render;
use crate::client::Client;
use crate::error::Error;
use crate::ui::{Answer, list};

/// The work that agents take: add, look, end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent task add 'fix the write barrier' --scope runtime/gc --accept 'gc tests pass'
  molt-agent task ready
  molt-agent task done")]
pub(super) struct Task {
    #[command(subcommand)]
    what: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Add work.
    #[command(after_help = "\
Examples:
  molt-agent task add 'mend the manual' --scope docs --priority 5 --need tsk_0003")]
    Add(Add),
    /// Make logs/agents/NAME in the worktree, with a log and a report to fill in.
    ///
    /// What is there already is left as it is. The log is progress.log, for a line
    /// whenever something was done; the report is report.md.
    #[command(after_help = "\
Examples:
  molt-agent task new gc-barrier
  molt-agent task new gc-barrier --task tsk_0003")]
    New(new::New),
    /// Add the tasks of a file: TOML, a Markdown list of boxes, a ledger in JSON.
    ///
    /// What is on the board by its title is skipped, so the same file can be
    /// imported again. Whatever is skipped or read with a grain of salt is said,
    /// with its place; a fault anywhere, and nothing is added.
    #[command(after_help = "\
Examples:
  molt-agent task import plan.toml --dry-run
  molt-agent task import TODO.md
  molt-agent task import claims.json --format ledger

A task in TOML, where needs are names of this file or ids:
  [[task]]
  name = 'barrier'
  title = 'fix the write barrier'
  needs = ['tests']
  scopes = ['runtime/gc']
  priority = 5
  acceptance = 'gc tests pass'")]
    Import(import::Import),
    /// All tasks.
    #[command(after_help = "Examples:\n  molt-agent task list")]
    List,
    /// Tasks that could be taken now.
    #[command(after_help = "Examples:\n  molt-agent task ready")]
    Ready,
    /// All about one task: how it stands, what was reported of it, what is to be done.
    #[command(after_help = "\
Examples:
  molt-agent task show tsk_0003
  molt-agent task show tsk_0003 --full")]
    Show(show::Show),
    /// It waits for a person.
    #[command(after_help = "Examples:\n  molt-agent task block --reason 'which format is meant?'")]
    Block(Undone),
    /// It is done; its claim is given back.
    #[command(after_help = "Examples:\n  molt-agent task done\n  molt-agent task done tsk_0003")]
    Done {
        /// Which; else the one that you have.
        task: Option<TaskId>,
    },
    /// It cannot be done.
    #[command(after_help = "Examples:\n  molt-agent task fail --reason 'rests on a removed API'")]
    Fail(Undone),
}

#[derive(Debug, Args)]
struct Add {
    /// One line.
    title: String,
    /// All that must be known.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    body: String,
    /// Higher is taken first.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// A task that must be done before.
    #[arg(long = "need", value_name = "TASK")]
    needs: Vec<TaskId>,
    /// A scope that is claimed with it.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<ScopeName>,
    /// What must be true when it is done.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    accept: String,
}

#[derive(Debug, Args)]
struct Undone {
    /// Which; else the one that you have.
    task: Option<TaskId>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Task {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = || context.client();
        match self.what {
            Part::Add(add) => add.run(context, &client()?).await,
            Part::New(new) => new.run(context).await,
            Part::Import(import) => import.run(context).await,
            Part::List => Ok(listed("list", &all(context, &client()?).await?)),
            Part::Ready => {
                let (tasks, rev) = all(context, &client()?).await?;
                let ready = tasks.into_iter().filter(|task| task.state == "ready").collect();
                Ok(listed("ready", &(ready, rev)))
            }
            Part::Show(show) => show.run(context).await,
            Part::Block(Undone { task, reason }) => {
                end(context, &client()?, task, ("block", "blocked"), reason).await
            }
            Part::Done { task } => {
                end(context, &client()?, task, ("done", "done"), String::new()).await
            }
            Part::Fail(Undone { task, reason }) => {
                end(context, &client()?, task, ("fail", "failed"), reason).await
            }
        }
    }
}

impl Add {
    async fn run(self, context: &Context, client: &Client) -> Result<Answer, Error> {
        let verb = Verb::AddTask(v1::AddTask {
            title: self.title.clone(),
            body: self.body,
            priority: self.priority,
            needs: self.needs.iter().map(TaskId::to_string).collect(),
            scopes: self.scopes.iter().map(ScopeName::to_string).collect(),
            acceptance: self.accept,
        });
        let Acted { answer, rev } = context.act(client, verb).await?;
        let Reply::Task(task) = answer else { return Err(unexpected("a task")) };
        let line = [task.id.clone(), self.title, list(&self.scopes)];
        Ok(Answer::new("task", "added", task).line("added", line).next("molt-agent next").rev(rev))
    }
}

async fn all(context: &Context, client: &Client) -> Result<(Vec<v1::TaskView>, u64), Error> {
    let view = context.read(client, What::Tasks(Empty {})).await?;
    match view.view {
        Some(View::Tasks(v1::Tasks { tasks })) => Ok((tasks, view.rev)),
        _ => Err(unexpected("tasks")),
    }
}

fn listed(code: &str, (tasks, rev): &(Vec<v1::TaskView>, u64)) -> Answer {
    let answer = Answer::new("task", code, json!({ "tasks": tasks })).rev(*rev);
    match tasks.is_empty() {
        true => answer.line("tasks", ["none"]),
        false => tasks.iter().fold(answer, |answer, task| answer.line("task", render::task(task))),
    }
}

/// Ends a task; `how` is the word of the wire and the one for people.
async fn end(
    context: &Context,
    client: &Client,
    task: Option<TaskId>,
    how: (&str, &str),
    reason: String,
) -> Result<Answer, Error> {
    let task = match task {
        Some(task) => task.to_string(),
        None => own_task(context, client).await?,
    };
    let data = json!({ "task": task, "reason": reason });
    let line = [task.clone(), reason.clone()];
    let verb = Verb::EndTask(v1::EndTask { task, end: how.0.to_owned(), reason });
    let Acted { rev, .. } = context.act(client, verb).await?;
    Ok(Answer::new("task", how.1, data).line(how.1, line).next("molt-agent next").rev(rev))
}

async fn own_task(context: &Context, client: &Client) -> Result<String, Error> {
    let view = context.read(client, What::Status(Empty {})).await?;
    let Some(View::Status(status)) = view.view else { return Err(unexpected("a status")) };
    match status.task {
        Some(task) => Ok(task.id),
        None => {
            Err(Error::Precondition { problem: "this session has no task: name one".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, state: &str) -> v1::TaskView {
        v1::TaskView {
            id: id.to_owned(),
            title: "mend".to_owned(),
            state: state.to_owned(),
            scopes: vec!["docs".to_owned()],
            ..v1::TaskView::default()
        }
    }

    #[test]
    fn a_task_is_a_line() {
        let tasks = (vec![task("tsk_0001", "ready"), task("tsk_0002", "done")], 4);
        assert_eq!(
            listed("list", &tasks).text(),
            "task     tsk_0001  ready  mend  [docs]\ntask     tsk_0002  done  mend  [docs]\n"
        );
        assert_eq!(listed("ready", &(Vec::new(), 4)).text(), "tasks    none\n");
    }
}
