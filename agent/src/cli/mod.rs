//! The command line: one file per verb.
//!
//! [`main`] reads the command line, gives a [`Context`] to the verb that it
//! names, and prints the verb's answer. Only verbs that need the network get a
//! runtime: a check from the snapshot costs milliseconds. Not here: how answers
//! look ([`crate::ui`]), and the calls themselves ([`crate::client`]).

mod accept;
mod announce;
mod args;
mod build;
mod check;
mod claim;
mod context;
mod daemon;
mod events;
mod extend;
mod gate;
mod git;
mod guarded;
mod handoff;
mod hooks;
mod inbox;
mod job;
mod join;
mod leave;
mod lock;
mod manual;
mod narrow;
mod next;
mod prime;
mod queue;
mod release;
mod render;
mod report;
mod resume;
mod schema;
mod scopes;
mod send;
mod slot;
mod status;
mod submit;
mod task;
mod wait;
mod why;
mod wrapped;

use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use args::Globals;
pub use context::Context;

use crate::error::{Error, Exit};
use crate::ui::{self, Answer, Format};

/// Coordinate with other agents on one repository: claim scopes before editing,
/// share locks and builds, land changes through gates.
///
/// The first command may be any: a verb that needs a session joins by itself.
/// Results are on stdout, everything else on stderr. Exit codes: 0 done, 2 usage,
/// 3 not found, 4 held by someone else, 5 queued, 6 lost (stop editing), 7 gate,
/// 8 forbidden, 9 precondition, 10 unavailable (try again), 11 unknown outcome
/// (repeat the same command), 12 empty.
#[derive(Debug, Parser)]
#[command(name = "molt-agent", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  molt-agent status
  molt-agent claim runtime --why 'fix the write barrier'
  molt-agent check --staged
  molt-agent submit --wait 30m";

/// What can be asked.
#[derive(Debug, Subcommand)]
enum Verb {
    Join(join::Join),
    Resume(resume::Resume),
    Leave(leave::Leave),
    Status(status::Status),
    Prime(prime::Prime),
    Scopes(scopes::Scopes),
    Claim(claim::Claim),
    Release(release::Release),
    Extend(extend::Extend),
    Narrow(narrow::Narrow),
    Handoff(handoff::Handoff),
    Accept(accept::Accept),
    Next(next::Next),
    Task(task::Task),
    Check(check::Check),
    Hooks(hooks::Hooks),
    Announce(announce::Announce),
    Report(report::Report),
    Send(send::Send),
    Inbox(inbox::Inbox),
    Events(events::Events),
    Lock(lock::Lock),
    Slot(slot::Slot),
    Build(build::Build),
    Job(job::Job),
    Daemon(daemon::Daemon),
    Submit(submit::Submit),
    Gate(gate::Gate),
    Queue(queue::Queue),
    Why(why::Why),
    Schema(schema::Schema),
    Man(manual::Man),
    Completions(manual::Completions),
    /// Owns one run; started by this program itself.
    #[command(hide = true)]
    Supervise {
        /// The run's folder.
        folder: PathBuf,
    },
}

impl Verb {
    /// The word for it in `schema`.
    fn name(&self) -> &'static str {
        match self {
            Self::Join(_) => "join",
            Self::Resume(_) => "resume",
            Self::Leave(_) => "leave",
            Self::Status(_) => "status",
            Self::Prime(_) => "prime",
            Self::Scopes(_) => "scopes",
            Self::Claim(_) => "claim",
            Self::Release(_) => "release",
            Self::Extend(_) => "extend",
            Self::Narrow(_) => "narrow",
            Self::Handoff(_) => "handoff",
            Self::Accept(_) => "accept",
            Self::Next(_) => "next",
            Self::Task(_) => "task",
            Self::Check(_) => "check",
            Self::Hooks(_) => "hooks",
            Self::Announce(_) => "announce",
            Self::Report(_) => "report",
            Self::Send(_) => "send",
            Self::Inbox(_) => "inbox",
            Self::Events(_) => "events",
            Self::Lock(_) => "lock",
            Self::Slot(_) => "slot",
            Self::Build(_) => "build",
            Self::Job(_) => "job",
            Self::Daemon(_) => "daemon",
            Self::Submit(_) => "submit",
            Self::Gate(_) => "gate",
            Self::Queue(_) => "queue",
            Self::Why(_) => "why",
            Self::Schema(_) => "schema",
            Self::Man(_) => "man",
            Self::Completions(_) => "completions",
            Self::Supervise { .. } => "supervise",
        }
    }
}

impl Verb {
    /// Whether it passes a command's exit code on instead of answering.
    fn wraps(&self) -> bool {
        match self {
            Self::Lock(verb) => verb.wraps(),
            Self::Slot(verb) => verb.wraps(),
            Self::Build(_) => true,
            Self::Job(verb) => verb.what.wraps(),
            _ => false,
        }
    }
}

/// The whole command line, as its parser has it: what it is documented from.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The whole program: what `main` returns.
pub fn main() -> ExitCode {
    let said = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        ui::note("molt-agent found a bug in itself; please report it with this message:");
        said(info);
    }));
    panic::catch_unwind(run).unwrap_or(Exit::Bug.into())
}

fn run() -> ExitCode {
    let Cli { globals, verb } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread(&error).into(),
    };
    if let Verb::Supervise { folder } = verb {
        return crate::supervisor::main(&folder);
    }
    if verb.wraps() {
        return wrapped::main(verb, globals);
    }
    let (name, format) = (verb.name(), globals.format());
    if let Verb::Events(events) = verb {
        return events::main(events, globals).into();
    }
    let mut answer = match Context::new(globals) {
        Err(error) if name == "prime" => prime::without(&error),
        Err(error) => Answer::of_error(name, &error),
        Ok(context) => {
            let ended = carry_out(verb, &context);
            let answer = ended.unwrap_or_else(|error| Answer::of_error(name, &error));
            let answer =
                if answer.exit() == Exit::Ok { answer } else { answer.only_steps(is_known) };
            context.notes().into_iter().fold(answer, Answer::warn)
        }
    };
    if let Err(error) = ui::print(&answer, format) {
        answer = Answer::of_error(name, &Error::usage(format!("cannot write to stdout: {error}")));
        ui::warn(answer.text().trim_end());
    }
    answer.exit().into()
}

/// Gives the verb what it needs: a runtime where it speaks to the coordinator.
fn carry_out(verb: Verb, context: &Context) -> Result<Answer, Error> {
    let verb = match verb {
        Verb::Check(check) => return check.run(context),
        Verb::Hooks(hooks) => return hooks.run(context),
        Verb::Daemon(daemon) => return daemon.run(context),
        Verb::Schema(schema) => return schema.run(),
        Verb::Man(man) => return man.run(),
        Verb::Completions(completions) => return Ok(completions.run()),
        verb => verb,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::bug(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        match verb {
            Verb::Join(verb) => verb.run(context).await,
            Verb::Resume(verb) => verb.run(context).await,
            Verb::Leave(verb) => verb.run(context).await,
            Verb::Status(verb) => verb.run(context).await,
            Verb::Prime(verb) => Ok(verb.run(context).await),
            Verb::Scopes(verb) => verb.run(context).await,
            Verb::Claim(verb) => verb.run(context).await,
            Verb::Release(verb) => verb.run(context).await,
            Verb::Extend(verb) => verb.run(context).await,
            Verb::Narrow(verb) => verb.run(context).await,
            Verb::Handoff(verb) => verb.run(context).await,
            Verb::Accept(verb) => verb.run(context).await,
            Verb::Next(verb) => verb.run(context).await,
            Verb::Task(verb) => verb.run(context).await,
            Verb::Announce(verb) => verb.run(context).await,
            Verb::Report(verb) => verb.run(context).await,
            Verb::Send(verb) => verb.run(context).await,
            Verb::Inbox(verb) => verb.run(context).await,
            Verb::Lock(verb) => verb.run(context).await,
            Verb::Slot(verb) => verb.run(context).await,
            Verb::Job(verb) => verb.what.run(context).await,
            Verb::Submit(verb) => verb.run(context).await,
            Verb::Gate(verb) => verb.run(context).await,
            Verb::Queue(verb) => verb.run(context).await,
            Verb::Why(verb) => verb.run(context).await,
            Verb::Check(_)
            | Verb::Hooks(_)
            | Verb::Build(_)
            | Verb::Events(_)
            | Verb::Daemon(_)
            | Verb::Schema(_)
            | Verb::Man(_)
            | Verb::Completions(_)
            | Verb::Supervise { .. } => Err(Error::bug("a verb without a runtime reached it")),
        }
    })
}

/// Help and version, or a command line that names no verb of this program.
fn misread(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    if !error.use_stderr() {
        return ui::print_help(&text);
    }
    let json = std::env::args_os().any(|argument| argument == "--json");
    let problem = problem_in(&text);
    if is_prime(std::env::args().skip(1)) {
        let format = if json { Format::Json } else { Format::Text };
        // A start goes on even where nobody reads this.
        let _unheard = ui::print(&prime::without(&Error::usage(problem)), format);
        return Exit::Ok;
    }
    if !json {
        ui::note(text.trim_end());
        return Exit::Usage;
    }
    let verb = asked_for(std::env::args().skip(1));
    let answer = Answer::of_error(&verb, &Error::usage(problem));
    match ui::print(&answer, Format::Json) {
        Ok(_) => answer.exit(),
        Err(_) => Exit::Usage,
    }
}

/// Whether an unreadable line asks for `prime`, whose exit code is always 0: a
/// variable of the environment may be what is wrong with it.
fn is_prime(arguments: impl Iterator<Item = String>) -> bool {
    let command = Cli::command();
    let verbs = arguments.filter(|word| command.find_subcommand(word).is_some());
    verbs.eq(["prime"])
}

/// What is wrong, with the nearest match, on one line and without the usage.
fn problem_in(text: &str) -> String {
    let is_advice =
        |line: &str| line.starts_with("Usage:") || line.starts_with("For more information");
    let said = text.lines().take_while(|line| !is_advice(line));
    let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = said.join(" ");
    said.strip_prefix("error: ").unwrap_or(&said).to_owned()
}

/// Whether a step is none of this program's verbs, or one that it has: the rules
/// advise every version of it.
fn is_known(step: &str) -> bool {
    let mut words = step.split_whitespace();
    if words.next() != Some("molt-agent") {
        return true;
    }
    let mut command = Cli::command();
    for word in words {
        if !command.has_subcommands() {
            return true;
        }
        match command.find_subcommand(word) {
            Some(verb) => command = verb.clone(),
            None => return false,
        }
    }
    true
}

/// The verb that an unreadable command line was probably for.
fn asked_for(mut arguments: impl Iterator<Item = String>) -> String {
    let command = Cli::command();
    let known = |word: &String| command.get_subcommands().any(|verb| verb.get_name() == word);
    arguments.find(known).unwrap_or_else(|| "error".to_owned())
}

#[cfg(test)]
mod tests;
