//! The highest term that a fleet's leader has answered with.
//!
//! An answer of an older one comes from a leader that was deposed and does not
//! know it yet. What was seen is kept over calls, under the state folder.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use molt_proto::error::Failure;
use serde::{Deserialize, Serialize};

use super::Address;
use crate::error::Error;
use crate::run::folder::{Survives, read_json, replace_json};

/// The highest term seen of one fleet.
#[derive(Debug)]
pub(super) struct Terms {
    path: PathBuf,
    coordinators: Vec<Address>,
    seen: AtomicU64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// For people: whose term it is.
    coordinators: Vec<Address>,
    term: u64,
}

impl Terms {
    /// What is known of the fleet whose coordinators are at `addresses`, in any order.
    pub(super) fn open(state: &Path, addresses: &[Address]) -> Result<Self, Error> {
        let mut coordinators = addresses.to_vec();
        coordinators.sort();
        coordinators.dedup();
        let list: Vec<String> = coordinators.iter().map(ToString::to_string).collect();
        let digest = blake3::hash(list.join(",").as_bytes()).to_hex();
        let path = state.join("coordinators").join(format!("{}.json", &digest[..16]));
        let kept: Option<Kept> = read_json(&path)?;
        let seen = AtomicU64::new(kept.map_or(0, |kept| kept.term));
        Ok(Self { path, coordinators, seen })
    }

    /// Whether an answer of `term` is to be believed. A newer one is remembered
    /// before anything is done with it.
    pub(super) fn check(&self, term: u64) -> Result<(), Failure> {
        let seen = self.seen.fetch_max(term, Ordering::Relaxed);
        if term == seen {
            return Ok(());
        }
        if term > seen {
            return self.remember(term).map_err(|error| Failure::Unknown {
                reason: format!("its term cannot be remembered: {}", error.in_full()),
            });
        }
        Err(Failure::Unknown {
            reason: format!(
                "the answer is of term {term}, but term {seen} was seen: whoever gave it does not \
                 lead any more (if the coordinator's store was replaced, remove {})",
                self.path.display()
            ),
        })
    }

    fn remember(&self, term: u64) -> Result<(), Error> {
        if let Some(folder) = self.path.parent() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(folder).map_err(Error::file("create", folder))?;
        }
        let path = self.path.with_extension("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(&path).map_err(Error::file("open", &path))?;
        // Kept only while a small file is replaced, so this wait is short.
        lock.lock().map_err(Error::file("lock", &path))?;
        let kept: Option<Kept> = read_json(&self.path)?;
        if kept.is_none_or(|kept| kept.term < term) {
            let kept = Kept { coordinators: self.coordinators.clone(), term };
            replace_json(&self.path, &kept, 0o600, Survives::Machine)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_term_is_refused_in_every_later_call() {
        let state = tempfile::tempdir().unwrap();
        let at = |text: &str| text.parse::<Address>().unwrap();
        let fleet = [at("a"), at("b")];
        let terms = Terms::open(state.path(), &fleet).unwrap();
        terms.check(3).unwrap();
        terms.check(3).unwrap();
        terms.check(5).unwrap();
        let late = terms.check(4).unwrap_err();
        assert!(
            matches!(&late, Failure::Unknown { reason } if reason.contains("term 5")),
            "{late}"
        );

        let later = Terms::open(state.path(), &[at("b"), at("a")]).unwrap();
        assert!(later.check(4).is_err(), "the order of the addresses is no matter");
        later.check(5).unwrap();
        let other = Terms::open(state.path(), &[at("c")]).unwrap();
        other.check(1).unwrap();
    }

    #[test]
    fn a_slower_command_never_lowers_it() {
        let state = tempfile::tempdir().unwrap();
        let fleet = [Address::local()];
        let (slow, fast) = (
            Terms::open(state.path(), &fleet).unwrap(),
            Terms::open(state.path(), &fleet).unwrap(),
        );
        fast.check(6).unwrap();
        slow.check(5).unwrap();
        assert!(Terms::open(state.path(), &fleet).unwrap().check(5).is_err());
    }
}
