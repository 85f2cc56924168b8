//! `molt-bench`: what the coordinator costs, beside etcd doing the same job on
//! the same machine in the same minutes.
//!
//! Real processes on loopback, state on the disk that holds the build, default
//! durability. Ours and the peer take turns, so that a busy machine slows both;
//! a bar is a ratio of the two, never an absolute speed, except where a person
//! waits for one command. Not here: correctness, which `make test` is for.

mod agent;
mod claims;
mod clock;
mod commands;
mod coordinator;
mod crowd;
mod deliveries;
mod etcd;
mod freed;
mod github;
mod handover;
mod hosts;
mod load;
mod machine;
mod member;
mod mutex;
mod process;
mod receiver;
mod report;
mod takeover;
mod usage;
mod watchers;
mod webhooks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::coordinator::{Coordinator, NO_RENEWALS, Service, Store};
use crate::etcd::Etcd;
use crate::load::Effort;
use crate::report::{Report, Row};

/// Measure claims against etcd, and the agent's commands; print a table and write it down
#[derive(Debug, Parser)]
#[command(name = "molt-bench", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// How often ours and the peers take turns
    #[arg(long, default_value_t = 9, value_name = "N")]
    rounds: usize,
    /// How long one turn lasts, in seconds
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    seconds: f64,
    /// Fail when a bar is missed
    #[arg(long)]
    check: bool,
    /// Measure only this; may be given more than once
    #[arg(long, conflicts_with = "check", value_name = "PART")]
    only: Vec<Part>,
    /// The etcd to compare with
    #[arg(long, default_value = "etcd", value_name = "PROGRAM")]
    etcd: PathBuf,
    /// Where the results go; the newest is also kept beside it, as `bench.json`
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    out: PathBuf,
}

/// What this program is for itself, beside measuring.
#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Watch(watchers::Watch),
    #[command(hide = true)]
    Receive(receiver::Receive),
}

impl Role {
    fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Watch(watch) => {
                // One thread: who watches is not to keep the one that is watched from its work.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(watch.run())
            }
            Self::Receive(receive) => {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(receive.run())
            }
        }
    }
}

/// A part of the measurements; each has a coordinator of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Claims on the embedded store, and the commands of `molt-agent`
    Embedded,
    /// Claims on etcd
    Etcd,
    /// One lock that many wait for
    Handover,
    /// Two hundred agents that want the same scopes
    Crowd,
    /// Claims that a thousand watch
    Watchers,
    /// Ten thousand sessions on a hundred hosts
    Hosts,
    /// A frozen member of etcd
    Member,
    /// A leader that is killed
    Takeover,
    /// An agent that is killed
    Freed,
    /// Webhooks that a forge sends
    Webhooks,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(role) = &args.role {
        return role.run().map(|()| ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(until_stopped(measured(&args)))?;
    let file = report.write(&args.out)?;
    report.print(&file);
    let missed = report.missed();
    if args.check && !missed.is_empty() {
        report::complain(&missed);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything, in a scratch folder that goes away with what was started in it.
async fn measured(args: &Args) -> anyhow::Result<Report> {
    let around = args.out.parent().context("--out has no parent folder")?;
    std::fs::create_dir_all(around)?;
    let around = around.canonicalize()?;
    let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(around)?;
    let effort = Effort { rounds: args.rounds.max(1), turn: Duration::from_secs_f64(args.seconds) };
    let before = machine::load();
    let stage = Stage { folder: scratch.path(), etcd: &args.etcd, effort };
    let mut rows = Vec::new();
    for part in Part::value_variants().iter().filter(|part| args.measures(**part)) {
        rows.extend(stage.measured(*part).await?);
    }
    Ok(Report::new(machine::facts(&args.etcd)?, before, rows))
}

impl Args {
    fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// Where and how the parts are measured.
struct Stage<'a> {
    folder: &'a Path,
    etcd: &'a Path,
    effort: Effort,
}

impl Stage<'_> {
    async fn measured(&self, part: Part) -> anyhow::Result<Vec<Row>> {
        let folder = self.folder.join(format!("{part:?}"));
        std::fs::create_dir(&folder)?;
        match part {
            Part::Embedded => self.embedded(&folder).await,
            Part::Etcd => self.on_etcd(&folder).await,
            Part::Handover => handover::measure(&folder, self.etcd, self.effort).await,
            Part::Crowd => crowd::measure(&folder).await,
            Part::Watchers => watchers::measure(&folder, self.etcd, self.effort).await,
            Part::Hosts => hosts::measure(&folder, self.etcd, self.effort).await,
            Part::Member => member::measure(&folder, self.etcd, self.effort).await,
            Part::Takeover => takeover::measure(&folder, self.etcd).await,
            Part::Freed => freed::measure(&folder).await,
            Part::Webhooks => webhooks::measure(&folder, self.effort).await,
        }
    }

    async fn embedded(&self, folder: &Path) -> anyhow::Result<Vec<Row>> {
        let etcd = Etcd::start(self.etcd, folder).await?;
        let service =
            Service { scopes: claims::SCOPES, store: Store::Embedded, options: &NO_RENEWALS };
        let coordinator = Coordinator::start(folder, service).await?;
        let place = claims::Place::Embedded;
        let mut rows = claims::measure(place, &coordinator, &etcd, self.effort).await?;
        rows.extend(commands::all(folder, &coordinator).await?);
        Ok(rows)
    }

    async fn on_etcd(&self, folder: &Path) -> anyhow::Result<Vec<Row>> {
        let etcd = Etcd::start(self.etcd, folder).await?;
        let store = Store::Etcd(&etcd);
        let service = Service { scopes: claims::SCOPES, store, options: &NO_RENEWALS };
        let coordinator = Coordinator::start(folder, service).await?;
        claims::measure(claims::Place::Etcd, &coordinator, &etcd, self.effort).await
    }
}

/// Drops `work`, and with it every process that it started, at the first signal to stop.
async fn until_stopped<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}
