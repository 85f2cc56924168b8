//! What this host has seen of a fleet: its highest term, the highest fence that was granted, and
//! who led.
//!
//! An answer of an older term comes from a leader that was deposed and does not
//! know it yet. A coordinator whose fences stand below what was granted has lost
//! records: it is told the fence with every command, and so learns it. What was
//! seen is kept over calls, under the state folder.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use molt_domain::id::Fence;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::reply::Answer;
use serde::{Deserialize, Serialize};

use super::Address;
use crate::error::Error;
use crate::run::folder::{Survives, read_json, replace_json};

/// The highest term and fence seen of one fleet.
#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    coordinators: Vec<Address>,
    term: AtomicU64,
    fence: Mutex<Option<Fence>>,
    leader: Mutex<Option<Address>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// For people: whose they are.
    coordinators: Vec<Address>,
    term: u64,
    /// As people read it.
    #[serde(default)]
    fence: Option<String>,
    /// Who led last, or is to be asked next.
    #[serde(default)]
    leader: Option<Address>,
}

impl Kept {
    fn fence(&self) -> Option<Fence> {
        self.fence.as_deref().and_then(|fence| fence.parse().ok())
    }
}

impl Seen {
    /// What is known of the fleet whose coordinators are at `addresses`, in any order.
    pub(super) fn open(state: &Path, addresses: &[Address]) -> Result<Self, Error> {
        let mut coordinators = addresses.to_vec();
        coordinators.sort();
        coordinators.dedup();
        let list: Vec<String> = coordinators.iter().map(ToString::to_string).collect();
        let digest = blake3::hash(list.join(",").as_bytes()).to_hex();
        let path = state.join("coordinators").join(format!("{}.json", &digest[..16]));
        let kept: Option<Kept> = read_json(&path)?;
        let term = AtomicU64::new(kept.as_ref().map_or(0, |kept| kept.term));
        let fence = Mutex::new(kept.as_ref().and_then(Kept::fence));
        let leader = Mutex::new(kept.and_then(|kept| kept.leader));
        Ok(Self { path, coordinators, term, fence, leader })
    }

    /// The fleet in a word.
    pub(super) fn fleet(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// Whether an answer of `term` is to be believed. A newer one is remembered
    /// before anything is done with it.
    pub(super) fn check(&self, term: u64) -> Result<(), Failure> {
        let seen = self.term.fetch_max(term, Ordering::Relaxed);
        if term == seen {
            return Ok(());
        }
        if term > seen {
            return self.remember(term, None, Survives::Machine);
        }
        Err(Failure::Unknown {
            reason: format!(
                "the answer is of term {term}, but term {seen} was seen: whoever gave it does not \
                 lead any more (if the coordinator's store was replaced, remove {})",
                self.path.display()
            ),
        })
    }

    /// The highest fence that was granted to anybody on this host.
    pub(super) fn fence(&self) -> Option<Fence> {
        *self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom to ask first: who led last.
    pub(super) fn leader(&self) -> Option<Address> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of whom to ask first from now on. Only a hint, so one that cannot be written is
    /// no failure.
    pub(super) fn note_leader(&self, address: &Address) {
        {
            let mut leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
            if leader.as_ref() == Some(address) {
                return;
            }
            *leader = Some(address.clone());
        }
        if let Err(error) = self.write(0, None, Survives::Programs) {
            tracing::debug!(error = error.in_full(), "who leads is not remembered");
        }
    }

    /// Takes note of what a reply granted.
    pub(super) fn granted(&self, reply: &v1::Reply) -> Result<(), Failure> {
        let fence = match &reply.answer {
            Some(Answer::Granted(claim)) => &claim.fence,
            Some(Answer::Held(hold)) => &hold.fence,
            Some(Answer::Task(task)) => match &task.claim {
                Some(claim) => &claim.fence,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.note(fence)
    }

    /// Takes note of a fence that was granted; of none while somebody waits.
    pub(super) fn note(&self, fence: &str) -> Result<(), Failure> {
        if fence.is_empty() {
            return Ok(());
        }
        let fence: Fence = fence
            .parse()
            .map_err(|error| Failure::Unknown { reason: format!("what was granted: {error}") })?;
        {
            let mut seen = self.fence.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen >= Some(fence) {
                return Ok(());
            }
            *seen = Some(fence);
        }
        // One that a dead machine forgets is proven by another host, or by the next grant.
        self.remember(self.term.load(Ordering::Relaxed), Some(fence), Survives::Programs)
    }

    /// What cannot be remembered is not acted upon: who asks again is told the same.
    fn remember(&self, term: u64, fence: Option<Fence>, survives: Survives) -> Result<(), Failure> {
        self.write(term, fence, survives).map_err(|error| Failure::Unknown {
            reason: format!("the answer cannot be remembered: {}", error.in_full()),
        })
    }

    fn write(&self, term: u64, fence: Option<Fence>, survives: Survives) -> Result<(), Error> {
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
        let known = kept.as_ref().map_or((0, None), |kept| (kept.term, kept.fence()));
        let seen = (known.0.max(term), known.1.max(fence));
        let before = kept.as_ref().and_then(|kept| kept.leader.clone());
        let leader = self.leader().or_else(|| before.clone());
        if kept.is_none() || seen != known || leader != before {
            let fence = seen.1.map(|fence| fence.to_string());
            let coordinators = self.coordinators.clone();
            let kept = Kept { coordinators, term: seen.0, fence, leader };
            replace_json(&self.path, &kept, 0o600, survives)?;
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
        let terms = Seen::open(state.path(), &fleet).unwrap();
        terms.check(3).unwrap();
        terms.check(3).unwrap();
        terms.check(5).unwrap();
        let late = terms.check(4).unwrap_err();
        assert!(
            matches!(&late, Failure::Unknown { reason } if reason.contains("term 5")),
            "{late}"
        );

        let later = Seen::open(state.path(), &[at("b"), at("a")]).unwrap();
        assert!(later.check(4).is_err(), "the order of the addresses is no matter");
        later.check(5).unwrap();
        let other = Seen::open(state.path(), &[at("c")]).unwrap();
        other.check(1).unwrap();
    }

    #[test]
    fn a_slower_command_never_lowers_it() {
        let state = tempfile::tempdir().unwrap();
        let fleet = [Address::local()];
        let (slow, fast) =
            (Seen::open(state.path(), &fleet).unwrap(), Seen::open(state.path(), &fleet).unwrap());
        fast.check(6).unwrap();
        slow.check(5).unwrap();
        assert!(Seen::open(state.path(), &fleet).unwrap().check(5).is_err());
    }

    #[test]
    fn the_highest_fence_outlives_the_command_that_got_it() {
        let state = tempfile::tempdir().unwrap();
        let fleet = [Address::local()];
        let seen = Seen::open(state.path(), &fleet).unwrap();
        assert_eq!(seen.fence(), None);
        seen.check(2).unwrap();
        for fence in ["7", "1.3", "12", ""] {
            seen.note(fence).unwrap();
        }
        let later = Seen::open(state.path(), &fleet).unwrap();
        assert_eq!(later.fence(), Some(Fence { epoch: 1, n: 3 }));
        later.check(3).unwrap();
        let last = Seen::open(state.path(), &fleet).unwrap();
        assert_eq!(last.fence(), later.fence(), "a new term forgets no fence");
        assert!(last.check(2).is_err());
    }
}
