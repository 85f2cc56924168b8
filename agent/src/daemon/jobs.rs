//! The jobs of this host: which are carried out, which are given up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use molt_proto::v1;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::host::Host;
use super::job::{Gate, Job, Key, run_id};
use super::serve::Done;
use crate::clock::{self, Millis};
use crate::run::RunFolder;
use crate::wrap::slot_folder;

/// A job that is being carried out.
#[derive(Debug)]
struct Active {
    slot: PathBuf,
    cancel: watch::Sender<Option<String>>,
}

/// The jobs that are being carried out.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    active: BTreeMap<Key, Active>,
    /// When the coordinator was told of a job's end.
    told: BTreeMap<Key, Millis>,
}

impl Jobs {
    /// Makes them what the coordinator said when it was asked at `sent`.
    pub(super) fn update(
        &mut self,
        host: &Arc<Host>,
        reply: &v1::BeatReply,
        sent: Millis,
        tasks: &mut JoinSet<Done>,
    ) {
        let wanted: BTreeSet<Key> = reply.jobs.iter().map(key).collect();
        // An answer that was given before it was told may still name the job.
        self.told.retain(|_, told| *told >= sent);
        for (key, active) in &self.active {
            if !wanted.contains(key) {
                active.cancel.send_replace(Some("it was taken back".to_owned()));
            }
        }
        // What an earlier daemon started goes on first: it has its place already.
        let (started, new): (Vec<_>, Vec<_>) =
            reply.jobs.iter().partition(|assignment| was_started(host, assignment));
        for assignment in started.into_iter().chain(new) {
            let key = key(assignment);
            let known = self.active.contains_key(&key) || self.told.contains_key(&key);
            let room = self.active.len() < host.options.jobs as usize;
            if !known && (room || was_started(host, assignment)) {
                let remote = reply.remotes.get(&assignment.repo).cloned();
                self.begin(host, assignment, remote, tasks);
            }
        }
    }

    fn begin(
        &mut self,
        host: &Arc<Host>,
        assignment: &v1::Assignment,
        remote: Option<String>,
        tasks: &mut JoinSet<Done>,
    ) {
        let slot = earlier(host, assignment).unwrap_or_else(|| self.free_slot(host, assignment));
        let (cancel, cancelled) = watch::channel(None);
        let job = Job {
            host: Arc::clone(host),
            assignment: assignment.clone(),
            remote,
            slot: slot.clone(),
            cancelled,
        };
        self.active.insert(key(assignment), Active { slot, cancel });
        tasks.spawn(job.carry_out());
    }

    /// The fixed folder that the job gets: the one of its slot, else the first
    /// that no other job of this daemon has.
    fn free_slot(&self, host: &Host, assignment: &v1::Assignment) -> PathBuf {
        let state = &host.options.state;
        if let (false, Some(n)) = (assignment.pool.is_empty(), assignment.slot) {
            return slot_folder(state, &assignment.pool, n);
        }
        let taken = |folder: &PathBuf| self.active.values().any(|active| active.slot == *folder);
        let mut n = 0;
        loop {
            let folder = slot_folder(state, "jobs", n);
            if !taken(&folder) {
                return folder;
            }
            n += 1;
        }
    }

    /// Whether a job is being carried out here.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.active.contains_key(key)
    }

    /// Takes note that a job is over.
    pub(super) fn done(&mut self, key: &Key) {
        self.active.remove(key);
        self.told.insert(key.clone(), clock::boottime());
    }
}

fn key(assignment: &v1::Assignment) -> Key {
    (assignment.job.clone(), assignment.attempt)
}

fn was_started(host: &Host, assignment: &v1::Assignment) -> bool {
    earlier(host, assignment).is_some()
}

/// The slot's folder of the run of this job that an earlier daemon started.
fn earlier(host: &Host, assignment: &v1::Assignment) -> Option<PathBuf> {
    let folder = RunFolder::of(&host.options.state, &run_id(assignment).ok()?);
    let gate = Gate::read(&folder).ok().flatten()?;
    let started = !matches!(folder.supervisor(), Ok(None));
    (started && gate.key() == key(assignment)).then_some(gate.slot)
}
