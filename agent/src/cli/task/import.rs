//! `task import`: tasks from a file, planned first and then added one by one.
//!
//! [`source`] makes text of bytes, a reader for each format makes drafts of the
//! text, [`plan`] says what is added in which order. Nothing that is read is
//! dropped in silence: what is no task is skipped or noted, each with its place.
//! Not here: what a task is, which the coordinator decides.

mod ledger;
mod markdown;
mod plan;
mod source;
mod table;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::reply::Answer as Reply;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};
use serde_json::json;

use self::plan::{Need, Plan, Step};
use self::source::Found;
use super::all;
use crate::cli::context::{Acted, Context, unexpected};
use crate::client::Client;
use crate::error::Error;
use crate::ui::{Answer, list, plural, row};

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Import {
    /// What is read.
    file: PathBuf,
    /// How it is written; else by its ending: .toml, .md or .json.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Say what would be added, and add nothing.
    #[arg(long)]
    dry_run: bool,
}

/// How tasks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables `[[task]]` with title, body, priority, needs, scopes, acceptance and
    /// the name by which others need it.
    Toml,
    /// Lines `- [ ] title` with an indented body.
    Markdown,
    /// The rows or records of a ledger that was kept by hand, in JSON.
    Ledger,
}

impl Import {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let format = match self.format {
            Some(format) => format,
            None => format_of(&self.file)?,
        };
        let path = context.cwd().join(&self.file);
        let found = read(&path, format)?;
        let client = context.client()?;
        let (tasks, rev) = all(context, &client).await?;
        let scopes = scopes(context, &client).await?;
        let plan = Plan::new(found, &tasks, &scopes);
        for remark in &plan.skipped {
            context.note("skipped", &remark.to_string());
        }
        for remark in &plan.notes {
            context.note("noted", &remark.to_string());
        }
        if !plan.faults.is_empty() {
            for remark in &plan.faults {
                context.note("fault", &remark.to_string());
            }
            let faults = plural(plan.faults.len(), "fault");
            let file = self.file.display();
            return Err(Error::usage(format!("{file}: {faults}; nothing was added")));
        }
        match self.dry_run {
            true => Ok(planned(&plan).rev(rev)),
            false => carry_out(context, &client, &plan).await,
        }
    }
}

fn format_of(file: &Path) -> Result<Format, Error> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("toml") => Ok(Format::Toml),
        Some("md" | "markdown") => Ok(Format::Markdown),
        Some("json") => Ok(Format::Ledger),
        _ => Err(Error::usage(format!(
            "{}: its ending does not say how it is written: give --format",
            file.display()
        ))),
    }
}

/// What the file has, or a fault in place of it.
fn read(path: &Path, format: Format) -> Result<Found, Error> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(Error::file("open", path))?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(Error::file("read", path))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let limit = MAX_FILE_BYTES / 1024 / 1024;
        return Err(Error::usage(format!("{}: more than {limit} MiB", path.display())));
    }
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(parsed(&bytes, format, &stem.unwrap_or_default()))
}

fn parsed(bytes: &[u8], format: Format, stem: &str) -> Found {
    let mut found = Found::default();
    if let Some(text) = source::decode(bytes, &mut found) {
        match format {
            Format::Toml => table::read(&text, &mut found),
            Format::Markdown => markdown::read(&text, &mut found),
            Format::Ledger => ledger::read(&text, stem, &mut found),
        }
    }
    found
}

async fn scopes(context: &Context, client: &Client) -> Result<Vec<String>, Error> {
    match context.read(client, What::Scopes(Empty {})).await?.view {
        Some(View::Scopes(v1::Scopes { scopes })) => {
            Ok(scopes.into_iter().map(|scope| scope.name).collect())
        }
        _ => Err(unexpected("scopes")),
    }
}

fn planned(plan: &Plan) -> Answer {
    let steps: Vec<_> = plan.steps.iter().map(|step| step.data(plan)).collect();
    let data = json!({ "add": steps, "skipped": plan.skipped, "notes": plan.notes });
    let count = format!("{} to add", plural(plan.steps.len(), "task"));
    let answer = Answer::new("task", "planned", data)
        .line("planned", [count, format!("{} skipped", plan.skipped.len())])
        .rows(plan.steps.iter().map(|step| step.row(plan)));
    // The plan is what was asked for.
    answer.lines_at_most(plan.steps.len() + 2)
}

impl Step {
    fn needs(&self, plan: &Plan) -> Vec<String> {
        let name = |need: &Need| match need {
            Need::Known(id) => id.clone(),
            Need::Step(at) => plan.steps[*at].draft.title.clone(),
        };
        self.needs.iter().map(name).collect()
    }

    fn data(&self, plan: &Plan) -> serde_json::Value {
        let draft = &self.draft;
        json!({
            "at": draft.at.to_string(),
            "title": draft.title,
            "body": draft.body,
            "priority": draft.priority,
            "needs": self.needs(plan),
            "scopes": draft.scopes,
            "acceptance": draft.acceptance,
        })
    }

    fn row(&self, plan: &Plan) -> String {
        let needs = self.needs(plan);
        let after =
            if needs.is_empty() { String::new() } else { format!("after {}", needs.join(", ")) };
        row("add", [&self.draft.title, &list(&self.draft.scopes), &after])
    }
}

/// Adds what was planned. What was added before an error stays; the same file
/// goes on from there, because what is there already is skipped.
async fn carry_out(context: &Context, client: &Client, plan: &Plan) -> Result<Answer, Error> {
    let mut added: Vec<v1::TaskView> = Vec::new();
    let mut rev = 0;
    for step in &plan.steps {
        let needs = step.needs.iter().map(|need| match need {
            Need::Known(id) => id.clone(),
            // A plan has what is needed before what needs it.
            Need::Step(at) => added[*at].id.clone(),
        });
        let draft = step.draft.clone();
        let verb = Verb::AddTask(v1::AddTask {
            title: draft.title,
            body: draft.body,
            priority: draft.priority,
            needs: needs.collect(),
            scopes: draft.scopes,
            acceptance: draft.acceptance,
        });
        match context.act(client, verb).await {
            Ok(Acted { answer: Reply::Task(task), rev: at }) => {
                added.push(task);
                rev = at;
            }
            Ok(_) => return Err(unexpected("a task")),
            Err(error) => {
                let rest = plan.steps.len() - added.len();
                let done = format!("{} of {}", added.len(), plan.steps.len());
                context.note("added", &format!("{done}; the same command adds the other {rest}"));
                return Err(error);
            }
        }
    }
    let data = json!({ "added": added, "skipped": plan.skipped, "notes": plan.notes });
    let count = format!("{} added", plural(added.len(), "task"));
    let answer = Answer::new("task", "imported", data)
        .line("imported", [count, format!("{} skipped", plan.skipped.len())]);
    let answer = added.iter().fold(answer, |answer, task| {
        answer.line("added", [&task.id, &task.title, &list(&task.scopes)])
    });
    Ok(answer.next("molt-agent task ready").rev(rev))
}

#[cfg(test)]
mod tests;
