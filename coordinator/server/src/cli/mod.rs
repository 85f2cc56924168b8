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
mod migrate;
mod output;
mod policy;
mod restore;
mod revoke;
mod scopes;
mod serve;
mod status;
mod tokens;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::error::Error;
use self::output::Output;

/// The service that partitions work by scope, hands out build locks and gates merges
#[derive(Debug, Parser)]
#[command(name = "molt-coordinator", version, max_term_width = 100, propagate_version = true)]
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
    #[command(subcommand)]
    Policy(policy::PolicyVerb),
    /// Say what the fleet is doing
    Status(status::StatusArgs),
    /// Deal ready work over agents
    #[command(subcommand)]
    Scopes(scopes::ScopesVerb),
    /// Take a claim or a session away from its holder
    Revoke(revoke::RevokeArgs),
    /// Let a change go on that takes a person's approval
    Approve(approve::ApproveArgs),
    /// Follow what happens
    #[command(subcommand)]
    Events(events::EventsVerb),
    /// Verify or export the record of everything that happened
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// Say how records are written, and raise that after an upgrade
    #[command(subcommand)]
    Format(format::FormatVerb),
    /// Say who may come in by a token
    #[command(subcommand)]
    Tokens(tokens::TokensVerb),
    /// Make certificates for a first fleet
    #[command(subcommand)]
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
            Output::stderr(&format!("molt-coordinator: {}", crate::reconcile::chain(&error)));
            error.exit().into()
        }
    }
}

/// Help and version go to stdout with 0; a wrong command line to stderr with 2.
fn usage(error: &clap::Error) -> ExitCode {
    let shown = error.print();
    match (shown, error.use_stderr()) {
        (Ok(()), false) => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

fn run(verb: Verb) -> Result<ExitCode, Error> {
    match verb {
        Verb::Init(args) => init::init(&args),
        Verb::Policy(verb) => Ok(policy::policy(&verb)),
        Verb::Audit(audit::AuditVerb::Verify(args)) => audit::verify(&args),
        Verb::Certs(verb) => certs::certs(&verb),
        Verb::Tokens(verb) => runtime(Threads::One)?.block_on(tokens::tokens(&verb)),
        Verb::Demo(args) => crate::demo::demo(&args).map_err(Error::Demo),
        Verb::Serve(args) => runtime(Threads::Half)?.block_on(serve::serve(&args)),
        Verb::Status(args) => runtime(Threads::One)?.block_on(status::status(&args)),
        Verb::Scopes(verb) => runtime(Threads::One)?.block_on(scopes::scopes(&verb)),
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
