//! Seals old audit entries in files, so that the store stays small.
//!
//! A segment is written and synced before its entries leave the store; a crash
//! in between leaves entries in both, which readers tell apart by number.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molt_domain::audit::Entry;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine::Handle;

/// Entries of one segment.
pub(crate) const SEGMENT: usize = 4096;

/// Entries that stay in the store for late watchers.
const STAY: usize = 1024;

/// The folder of sealed segments.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
    desk: Desk,
}

/// Where segments are written.
#[derive(Debug, Clone, Copy)]
enum Desk {
    /// On a thread for what blocks.
    Aside,
    /// On the thread that asks.
    Here,
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

/// A segment that was not sealed.
#[derive(Debug, thiserror::Error)]
enum SealError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the thread that wrote the segment ended")]
    Thread(#[from] tokio::task::JoinError),
}

impl Archive {
    /// The archive in `folder`, which is made if it is absent.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        fs::create_dir_all(folder).map_err(|source| file(folder, source))?;
        Ok(Self { folder: folder.to_owned(), desk: Desk::Aside })
    }

    /// The same, written on the thread that asks: a simulation has one thread, and would not be
    /// the same twice if another one had a say in what comes first.
    #[must_use]
    pub fn on_one_thread(self) -> Self {
        Self { desk: Desk::Here, ..self }
    }

    /// Seals entries, as [`Self::write`] does, without keeping a runtime from its other work.
    async fn seal(&self, entries: Vec<Arc<Entry>>) -> Result<(), SealError> {
        match self.desk {
            Desk::Here => Ok(self.write(&entries)?),
            Desk::Aside => {
                let archive = self.clone();
                Ok(tokio::task::spawn_blocking(move || archive.write(&entries)).await??)
            }
        }
    }

    /// Writes entries as a segment that outlives a crash.
    pub(crate) fn write(&self, entries: &[impl AsRef<Entry>]) -> Result<(), ArchiveError> {
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
            biased;
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        while handle.history().unsealed() >= SEGMENT + STAY {
            if !seal_one(&handle, &archive).await {
                break;
            }
        }
    }
}

/// Moves the oldest entries from the store into a segment. Says whether any left the store.
async fn seal_one(handle: &Handle, archive: &Archive) -> bool {
    let entries = handle.history().oldest_unsealed(SEGMENT);
    let Some(last) = entries.last().map(|entry| entry.seq) else {
        return false;
    };
    if let Err(error) = archive.seal(entries).await {
        warn!(phase = "seal", %error, "entries stay in the store");
        return false;
    }
    let before = handle.history().sealed();
    let mut sealed = before;
    while sealed < last {
        if !handle.forget_audit(last).await {
            return false;
        }
        let reached = handle.history().sealed();
        if reached == sealed {
            // One commit's entries leave the store together: those of a commit that goes on past
            // this segment are in the next one too.
            break;
        }
        sealed = reached;
    }
    info!(phase = "seal", through = sealed, "sealed a segment of the audit");
    sealed > before
}

#[cfg(test)]
mod tests {
    use molt_domain::policy::Spans;
    use molt_store::{Candidate, MemoryStore};
    use tokio::task::JoinSet;

    use super::*;
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::fixture;

    #[tokio::test]
    async fn a_commit_that_goes_on_past_a_segment_stays_until_the_next() {
        let scratch = tempfile::tempdir().unwrap();
        let archive = Archive::open(scratch.path()).unwrap();
        let candidate = Candidate::new("test", "nowhere");
        let store = Arc::new(MemoryStore::default());
        let (engine, handle, _) =
            Engine::open(store, &candidate, Spans::default(), Clock::Machine).await.unwrap();
        let running = engine.start(CancellationToken::new());
        handle.own(fixture::reads_base()).await.unwrap();
        // So many at once that commits have many entries, and a segment ends inside of one.
        for crowd in 0..6 {
            let mut joining = JoinSet::new();
            for n in 0..1000 {
                let handle = handle.clone();
                let join = fixture::joins(&format!("agent-{}", crowd * 1000 + n));
                joining.spawn(async move { handle.own(join).await });
            }
            while let Some(joined) = joining.join_next().await {
                joined.unwrap().unwrap();
            }
        }
        let last = handle.history().last();
        assert!(seal_one(&handle, &archive).await);
        let sealed = handle.history().sealed();
        assert!(
            sealed > 0 && sealed < SEGMENT as u64,
            "sealed {sealed}: no commit went on past it"
        );
        assert!(seal_one(&handle, &archive).await, "the next segment goes on");
        assert!(!seal_one(&handle, &archive).await, "nothing is left to seal");
        assert_eq!(handle.history().sealed(), last);
        let numbers: Vec<u64> = archive.after(0).unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "each entry once, in order");
        drop(handle);
        running.await.unwrap().unwrap();
    }
}
