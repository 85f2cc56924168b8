//! Seals old audit entries in files, so that the store stays small.
//!
//! A segment is written and synced before its entries leave the store; a crash
//! in between leaves entries in both, which readers tell apart by number.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::audit::Entry;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::Handle;

/// Entries of one segment.
const SEGMENT: usize = 4096;

/// Entries that stay in the store for late watchers.
const STAY: usize = 1024;

/// The folder of sealed segments.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
}

/// A segment that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system says no.
    #[error("audit segment {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is no entry.
    #[error("audit segment {} does not read at line {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Archive {
    /// The archive in `folder`, which is made if it is absent.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        fs::create_dir_all(folder).map_err(|source| file(folder, source))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes entries as a segment that outlives a crash.
    fn write(&self, entries: &[impl AsRef<Entry>]) -> Result<(), ArchiveError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        let name = format!("{:020}-{:020}.jsonl", first.as_ref().seq, last.as_ref().seq);
        let (path, draft) = (self.folder.join(&name), self.folder.join(format!("{name}.new")));
        let write = || -> std::io::Result<()> {
            let mut out = BufWriter::new(File::create(&draft)?);
            for entry in entries {
                serde_json::to_writer(&mut out, entry.as_ref())?;
                out.write_all(b"\n")?;
            }
            out.into_inner()?.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|source| file(&path, source))
    }

    /// The sealed entries after a number, in order, each once.
    ///
    /// # Errors
    ///
    /// A segment does not read.
    pub fn after(&self, after: u64) -> Result<Vec<Entry>, ArchiveError> {
        let listed = fs::read_dir(&self.folder).map_err(|source| file(&self.folder, source))?;
        let mut segments: Vec<(u64, PathBuf)> = Vec::new();
        for item in listed {
            let path = item.map_err(|source| file(&self.folder, source))?.path();
            if let Some(last) = last_of(&path) {
                segments.push((last, path));
            }
        }
        segments.sort();
        let mut found: Vec<Entry> = Vec::new();
        for (_, path) in segments.into_iter().filter(|(last, _)| *last > after) {
            let floor = found.last().map_or(after, |entry| entry.seq);
            found.extend(read(&path)?.into_iter().filter(|entry| entry.seq > floor));
        }
        Ok(found)
    }
}

/// The number of a segment's last entry, by its name.
fn last_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".jsonl")?.split_once('-')?.1.parse().ok()
}

fn read(path: &Path) -> Result<Vec<Entry>, ArchiveError> {
    let opened = File::open(path).map_err(|source| file(path, source))?;
    let mut entries = Vec::new();
    for (at, line) in BufReader::new(opened).lines().enumerate() {
        let line = line.map_err(|source| file(path, source))?;
        let entry = serde_json::from_str(&line).map_err(|source| ArchiveError::Line {
            path: path.to_owned(),
            line: at + 1,
            source,
        })?;
        entries.push(entry);
    }
    Ok(entries)
}

fn file(path: &Path, source: std::io::Error) -> ArchiveError {
    ArchiveError::File { path: path.to_owned(), source }
}

/// Seals until stopped.
pub(crate) async fn run(handle: Handle, archive: Archive, stop: CancellationToken) {
    let mut timer = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = stop.cancelled() => return,
        }
        while handle.history().unsealed() >= SEGMENT + STAY {
            if !seal_one(&handle, &archive).await {
                break;
            }
        }
    }
}

async fn seal_one(handle: &Handle, archive: &Archive) -> bool {
    let entries = handle.history().oldest_unsealed(SEGMENT);
    let Some(last) = entries.last().map(|entry| entry.seq) else {
        return false;
    };
    let archive = archive.clone();
    match tokio::task::spawn_blocking(move || archive.write(&entries)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            warn!(phase = "seal", %error, "entries stay in the store");
            return false;
        }
        Err(error) => {
            warn!(phase = "seal", %error, "entries stay in the store");
            return false;
        }
    }
    while handle.history().sealed() < last {
        if !handle.forget_audit(last).await {
            return false;
        }
    }
    info!(phase = "seal", through = last, "sealed a segment of the audit");
    true
}
