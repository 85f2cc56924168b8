//! Logs: line-oriented, on disk, with time and phase.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Keeps the log open; the log ends with it.
#[derive(Debug)]
pub struct Logging;

/// Wall time in RFC 3339.
struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(crate::clock::wall());
        write!(w, "{}", humantime::format_rfc3339_millis(now))
    }
}

/// Starts to log into `coordinator.log` below `folder`.
///
/// `MOLT_LOG` sets what is logged, `info` if it is not set.
///
/// # Errors
///
/// The folder or file cannot be made.
pub fn start(folder: &Path) -> io::Result<Logging> {
    fs::create_dir_all(folder)?;
    let path = folder.join("coordinator.log");
    let file: File = OpenOptions::new().create(true).append(true).open(path)?;
    let filter = EnvFilter::try_from_env("MOLT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_timer(Wall)
        .with_writer(Mutex::new(file))
        .try_init()
        .map_err(io::Error::other)?;
    Ok(Logging)
}
