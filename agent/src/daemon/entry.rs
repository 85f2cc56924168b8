//! The daemon as a program: its log, its session, its runtime.

use std::path::Path;
use std::sync::Mutex;

use nix::unistd::{getpgrp, getpid, setsid};

use super::{Options, Origin, log_path, office, serve};
use crate::error::Error;

/// A log that is longer at a start is put aside.
const LONGEST_LOG: u64 = 16 << 20;

/// Serves as the daemon that `options` say, with a log of its own.
pub fn main(options: Options) -> Result<(), Error> {
    if options.origin == Origin::Missed && getpgrp() != getpid() {
        // It outlives the terminal of whoever missed it.
        setsid().map_err(|error| Error::bug(format!("cannot begin a session: {error}")))?;
    }
    let log = log_path(&options.state);
    put_aside(&log)?;
    let log = office::append(&log)?;
    let level = tracing::level_filters::LevelFilter::INFO;
    let subscriber = tracing_subscriber::fmt()
        .with_writer(Mutex::new(log))
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level)
        .finish();
    // In a test program another one may be there already; then that one hears.
    drop(tracing::subscriber::set_global_default(subscriber));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Error::bug(format!("no runtime: {error}")))?;
    let ended = runtime.block_on(serve::run(options));
    // Work that blocks may take minutes, and nothing is lost with it.
    runtime.shutdown_background();
    ended
}

fn put_aside(log: &Path) -> Result<(), Error> {
    let long = log.metadata().is_ok_and(|log| log.len() > LONGEST_LOG);
    if long {
        let aside = log.with_extension("log.1");
        std::fs::rename(log, &aside).map_err(Error::file("rename", log))?;
    }
    Ok(())
}
