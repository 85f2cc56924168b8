//! `molt-bench`: what the coordinator costs, beside etcd doing the same job on
//! the same machine in the same minutes.
//!
//! Real processes on loopback, state on the disk that holds the build, default
//! durability. Ours and the peer take turns, so that a busy machine slows both;
//! a bar is a ratio of the two, never an absolute speed, except where a person
//! waits for one command. Not here: correctness, which `make test` is for.

mod clock;
mod commands;
mod etcd;
mod load;
mod machine;
mod measure;
mod ours;
mod process;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::measure::Effort;
use crate::report::Report;

/// Measure claims against etcd, and the agent's commands; print a table and write it down
#[derive(Debug, Parser)]
#[command(name = "molt-bench")]
struct Args {
    /// How often ours and the peers take turns
    #[arg(long, default_value_t = 9, value_name = "N")]
    rounds: usize,
    /// How long one turn lasts, in seconds
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    seconds: f64,
    /// Fail when a bar is missed
    #[arg(long)]
    check: bool,
    /// Keep the peer out of it: its rows are left out, and so are their bars
    #[arg(long, conflicts_with = "check")]
    ours_only: bool,
    /// Keep the agent's commands out of it
    #[arg(long, conflicts_with = "check")]
    claims_only: bool,
    /// The etcd to compare with
    #[arg(long, default_value = "etcd", value_name = "PROGRAM")]
    etcd: PathBuf,
    /// Where the results go; the newest is also kept beside it, as `bench.json`
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    out: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
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
    let etcd = (!args.ours_only).then_some(args.etcd.as_path());
    let coordinator = measure::coordinator(scratch.path()).await?;
    let mut rows = measure::claims(&coordinator, scratch.path(), etcd, effort).await?;
    if !args.claims_only {
        rows.extend(commands::all(scratch.path(), &coordinator).await?);
    }
    Ok(Report::new(machine::facts(etcd)?, before, rows))
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
