//! `molt-coordinator`'s command line: one file per verb.
//!
//! stdout is the result, stderr the rest. Not here: what agents run
//! (`molt-agent`).

mod approve;
mod audit;
mod backup;
mod certs;
mod client;
mod doctor;
mod error;
mod events;
mod format;
mod init;
mod manual;
mod migrate;
mod output;
mod policy;
mod restore;
mod revoke;
mod scopes;
mod serve;
mod status;
mod tasks;
mod tokens;

use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde_json::json;

use self::error::Error;
use self::output::Output;

/// The service that partitions work by scope, hands out build locks and gates merges
#[derive(Debug, Parser)]
#[command(
    name = "molt-coordinator",
    version,
    max_term_width = 100,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  molt-coordinator demo\n  molt-coordinator serve\n  molt-coordinator status"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve one repository on this machine
    Serve(Box<crate::config::ServeArgs>),
    /// Propose a molt.toml from the tracked files and from what changed together
    Init(init::InitArgs),
    /// Look at a molt.toml without a server
    #[command(subcommand, after_help = "Example:\n  molt-coordinator policy check")]
    Policy(policy::PolicyVerb),
    /// Say what the fleet is doing
    Status(status::StatusArgs),
    /// Deal ready work over agents
    #[command(subcommand, after_help = "Example:\n  molt-coordinator scopes plan")]
    Scopes(scopes::ScopesVerb),
    /// Open work again that waits for a person
    #[command(
        subcommand,
        after_help = "Example:\n  molt-coordinator tasks reopen tsk_0042 --reason 'as in docs/wire.md'"
    )]
    Tasks(tasks::TasksVerb),
    /// Take a claim or a session away from its holder
    Revoke(revoke::RevokeArgs),
    /// Let a change go on that takes a person's approval
    Approve(approve::ApproveArgs),
    /// Follow what happens
    #[command(subcommand, after_help = "Example:\n  molt-coordinator events tail")]
    Events(events::EventsVerb),
    /// Verify or export the record of everything that happened
    #[command(subcommand, after_help = "Example:\n  molt-coordinator audit export audit.jsonl")]
    Audit(audit::AuditVerb),
    /// Say how records are written, and raise that after an upgrade
    #[command(subcommand, after_help = "Example:\n  molt-coordinator format show")]
    Format(format::FormatVerb),
    /// Say who may come in by a token
    #[command(subcommand, after_help = "Example:\n  molt-coordinator tokens list")]
    Tokens(tokens::TokensVerb),
    /// Make certificates for a first fleet
    #[command(subcommand, after_help = "Example:\n  molt-coordinator certs dev --out certs")]
    Certs(certs::CertsVerb),
    /// Write everything that a fleet has into a file, while it is served
    Backup(backup::BackupArgs),
    /// Begin a fleet again from a backup, in an empty store
    Restore(restore::RestoreArgs),
    /// Move a fleet's records into another store, and lose none
    Migrate(migrate::MigrateArgs),
    /// Say what would keep a coordinator from serving
    Doctor(doctor::DoctorArgs),
    /// Show the whole job on this machine, in a scratch folder
    Demo(crate::demo::DemoArgs),
    /// Print the manual page of this program or of one of its commands, for man -l
    Man(manual::ManArgs),
    /// Print what makes a shell complete this command line
    Completions(manual::CompletionsArgs),
    /// Say what the document of a command with --json looks like, as a JSON Schema
    Schema(manual::SchemaArgs),
}

/// What every verb that calls a coordinator takes.
#[derive(Debug, Args)]
struct CallArgs {
    /// The coordinator's address
    #[arg(
        long,
        env = "MOLT_COORD_ENDPOINTS",
        default_value = "127.0.0.1:7420",
        value_name = "ADDR"
    )]
    coordinator: String,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What a verb takes that answers without a coordinator.
#[derive(Debug, Args)]
struct FormArgs {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The whole command line, as its parser has it: what it is documented from.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line, runs its verb and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli.verb) {
        Ok(code) => code,
        Err(error) => {
            let message = crate::reconcile::chain(&error);
            Output::stderr(&format!("molt-coordinator: {message}"));
            let verb = asked_for();
            // What events say is a stream of documents, in which this one would be an entry.
            if is_json() && verb != "events" {
                Output::refusal(&verb, &error.code(), &error.data(&message));
            }
            error.exit().into()
        }
    }
}

/// Help and version go to stdout with 0; a wrong command line to stderr with 2.
fn usage(error: &clap::Error) -> ExitCode {
    let shown = error.print();
    if error.use_stderr() && is_json() {
        let said = error.render().to_string();
        let is_advice =
            |line: &str| line.starts_with("Usage:") || line.starts_with("For more information");
        let said = said.lines().take_while(|line| !is_advice(line));
        let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
        let message = said.join(" ");
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        Output::refusal(&asked_for(), "usage", &json!({ "message": message }));
    }
    match (shown, error.use_stderr()) {
        (Ok(()), false) => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

/// Whether a document was asked for, even by a line that cannot be read.
fn is_json() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}

/// The verb that the command line is for, even one that cannot be read.
fn asked_for() -> String {
    let command = command();
    let known = |word: &String| command.get_subcommands().any(|verb| verb.get_name() == word);
    std::env::args().skip(1).find(known).unwrap_or_else(|| "error".to_owned())
}

fn run(verb: Verb) -> Result<ExitCode, Error> {
    match verb {
        Verb::Init(args) => init::init(&args),
        Verb::Policy(verb) => Ok(policy::policy(&verb)),
        Verb::Audit(audit::AuditVerb::Verify(args)) => audit::verify(&args),
        Verb::Certs(verb) => certs::certs(&verb),
        Verb::Tokens(verb) => runtime(Threads::One)?.block_on(tokens::tokens(&verb)),
        Verb::Man(args) => manual::man(&args),
        Verb::Completions(args) => Ok(manual::completions(&args)),
        Verb::Schema(args) => manual::schema(&args),
        Verb::Demo(args) => crate::demo::demo(&args).map_err(Error::Demo),
        Verb::Serve(args) => runtime(Threads::Half)?.block_on(serve::serve(&args)),
        Verb::Status(args) => runtime(Threads::One)?.block_on(status::status(&args)),
        Verb::Scopes(verb) => runtime(Threads::One)?.block_on(scopes::scopes(&verb)),
        Verb::Tasks(verb) => runtime(Threads::One)?.block_on(tasks::tasks(&verb)),
        Verb::Revoke(args) => runtime(Threads::One)?.block_on(revoke::revoke(&args)),
        Verb::Format(verb) => runtime(Threads::One)?.block_on(format::format(&verb)),
        Verb::Approve(args) => runtime(Threads::One)?.block_on(approve::approve(&args)),
        Verb::Backup(args) => runtime(Threads::One)?.block_on(backup::backup(&args)),
        Verb::Restore(args) => runtime(Threads::One)?.block_on(restore::restore(&args)),
        Verb::Migrate(args) => runtime(Threads::One)?.block_on(migrate::migrate(&args)),
        Verb::Doctor(args) => runtime(Threads::One)?.block_on(doctor::doctor(&args)),
        Verb::Events(verb) => runtime(Threads::One)?.block_on(events::events(&verb)),
        Verb::Audit(audit::AuditVerb::Export(args)) => {
            runtime(Threads::One)?.block_on(audit::export(&args))
        }
    }
}

#[derive(Clone, Copy)]
enum Threads {
    One,
    /// One for every two cores: whoever serves shares the machine with a store or with agents, and
    /// waking a thread costs it more than a second one brings (ADR 0016).
    Half,
}

fn runtime(threads: Threads) -> Result<tokio::runtime::Runtime, Error> {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        Threads::Half => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Threads::Half = threads {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        builder.worker_threads((cores / 2).max(1));
    }
    builder.enable_all().build().map_err(|source| Error::Runtime { source })
}
