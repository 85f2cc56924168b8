//! The audit's segments: files beside the store, which belong to its records.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use molt_domain::audit::{self, Anchor, Broken, Entry};

use crate::reconcile::{Archive, ArchiveError, SEGMENT};

/// Why the audit's segments are not to be had, or not to be written.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// A segment does not read, or cannot be written.
    #[error(transparent)]
    Segment(#[from] ArchiveError),
    /// The segments are not those of the records.
    #[error("the audit's segments in {place} do not lead to the records")]
    Broken {
        /// Where they are.
        place: String,
        /// Where they break.
        #[source]
        source: Broken,
    },
    /// Segments of another life are there.
    #[error(
        "{} has entry {seq} of another audit: move that folder away, or use another data folder",
        folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// The first such entry.
        seq: u64,
    },
}

/// The sealed entries in `folder` up to `anchor`: all of them, or the last ones without a gap
/// where the others are on another machine. None if there is no such folder.
///
/// # Errors
///
/// A segment does not read, or is not of the same audit.
pub fn read(folder: &Path, anchor: &Anchor) -> Result<Vec<Entry>, SealedError> {
    if anchor.seq == 0 || !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut entries = Archive::open(folder)?.after(0)?;
    entries.retain(|entry| entry.seq <= anchor.seq);
    let gap = entries.windows(2).rposition(|pair| pair[0].seq + 1 != pair[1].seq);
    if let Some(before) = gap {
        entries.drain(..=before);
    }
    if entries.last().is_some_and(|last| last.seq < anchor.seq) {
        // What leads to the records is elsewhere, and these alone lead nowhere.
        return Ok(Vec::new());
    }
    verify(&folder.display().to_string(), &entries, anchor)?;
    Ok(entries)
}

/// Verifies that `entries`, which are at `place`, lead to `anchor`.
///
/// # Errors
///
/// They do not.
pub fn verify(place: &str, entries: &[Entry], anchor: &Anchor) -> Result<(), SealedError> {
    let broken = |source| SealedError::Broken { place: place.to_owned(), source };
    let Some((first, rest)) = entries.split_first() else { return Ok(()) };
    let end = if first.seq == 1 {
        audit::verify(Anchor::genesis(), entries)
    } else {
        // What the first one rests on is not here: the others rest on it.
        audit::verify(Anchor { seq: first.seq, hash: first.hash.clone() }, rest)
    };
    let end = end.map_err(broken)?;
    if end != *anchor {
        return Err(broken(if end.seq == anchor.seq {
            Broken::Altered { seq: end.seq }
        } else {
            Broken::End { expected: anchor.seq, found: end.seq }
        }));
    }
    Ok(())
}

/// Whether `folder` has nothing but what is among `entries`.
///
/// # Errors
///
/// It has something else, or a segment does not read.
pub fn check(folder: &Path, entries: &[Entry]) -> Result<Vec<u64>, SealedError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let own: HashMap<u64, &str> =
        entries.iter().map(|entry| (entry.seq, entry.hash.as_str())).collect();
    let mut there = Vec::new();
    for entry in Archive::open(folder)?.after(0)? {
        if own.get(&entry.seq) != Some(&entry.hash.as_str()) {
            return Err(SealedError::Foreign { folder: folder.to_owned(), seq: entry.seq });
        }
        there.push(entry.seq);
    }
    Ok(there)
}

/// Writes `entries` as segments into `folder`, where nothing else may be. Those that are there
/// already are left alone.
///
/// # Errors
///
/// As [`check`], or a file cannot be written.
pub fn write(folder: &Path, entries: &[Entry]) -> Result<(), SealedError> {
    let there = check(folder, entries)?;
    if there.len() == entries.len() {
        return Ok(());
    }
    let archive = Archive::open(folder)?;
    for segment in entries.chunks(SEGMENT) {
        let segment: Vec<Arc<Entry>> = segment.iter().cloned().map(Arc::new).collect();
        archive.write(&segment)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use molt_domain::board::{Actor, Event, Now};
    use molt_domain::id::BoardTime;

    use super::*;

    fn chain(reason: &str, count: u64) -> (Vec<Entry>, Anchor) {
        let mut anchor = Anchor::genesis();
        let now = Now { board: BoardTime(1), wall: 2 };
        let events =
            (1..=count).map(|epoch| Event::EpochRaised { epoch, reason: reason.to_owned() });
        (audit::append(&mut anchor, now, &Actor::Coordinator, events.collect()), anchor)
    }

    #[test]
    fn segments_come_back_up_to_the_anchor_and_only_those_of_the_same_audit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let (entries, anchor) = chain("lost", 5000);
        assert!(read(&path, &anchor).unwrap().is_empty());
        write(&path, &entries).unwrap();
        write(&path, &entries).unwrap();
        assert_eq!(read(&path, &anchor).unwrap(), entries);
        let earlier = Anchor { seq: 10, hash: entries[9].hash.clone() };
        assert_eq!(read(&path, &earlier).unwrap(), entries[..10]);

        let (other, end) = chain("other", 5000);
        assert!(matches!(read(&path, &end), Err(SealedError::Broken { .. })));
        assert!(matches!(write(&path, &other), Err(SealedError::Foreign { seq: 1, .. })));
        let fewer = write(&path, &entries[..10]);
        assert!(matches!(fewer, Err(SealedError::Foreign { seq: 11, .. })));
    }

    #[test]
    fn segments_of_another_machine_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (entries, anchor) = chain("lost", 20);
        write(folder.path(), &entries[5..]).unwrap();
        assert_eq!(read(folder.path(), &anchor).unwrap(), entries[5..]);
        let later = Anchor { seq: 21, hash: anchor.hash.clone() };
        assert!(read(folder.path(), &later).unwrap().is_empty(), "the newest are elsewhere");
        let mut altered = entries.clone();
        altered[12].wall += 1;
        assert!(matches!(verify("x", &altered[5..], &anchor), Err(SealedError::Broken { .. })));
    }
}
