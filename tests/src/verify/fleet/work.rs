//! Jobs and tasks: invariants 9 and 10.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Report;
use super::board::{Event, Place};
use super::claims::Claims;

#[derive(Debug, Default)]
pub(super) struct Work {
    jobs: BTreeMap<String, Assigned>,
    over: BTreeSet<String>,
    /// Tasks that somebody has, with the claims that they were taken with.
    tasks: BTreeMap<String, Option<String>>,
    /// Tasks of which one half is over: the other half ends in the same commit.
    halves: Vec<Half>,
}

/// A task and its claim, one of which has ended.
#[derive(Debug)]
struct Half {
    task: String,
    claim: String,
    /// When, in board time: one commit has one.
    at: u64,
}

#[derive(Debug)]
struct Assigned {
    host: String,
    attempt: u32,
}

impl Work {
    pub(super) fn take(
        &mut self,
        place: Place,
        event: &Event,
        claims: &Claims,
        report: &mut Report,
    ) {
        self.whole(place, claims, report);
        let seq = place.seq;
        match event {
            Event::JobAssigned { job, host, attempt } => {
                if self.over.contains(job) {
                    report.violation(format!("audit {seq}: {job} was over and went to {host}"));
                }
                let (host, attempt) = (host.clone(), *attempt);
                let before = self.jobs.insert(job.clone(), Assigned { host, attempt });
                if let Some(before) = before {
                    let other = before.host;
                    report.violation(format!("audit {seq}: {job} still was with {other}"));
                }
            }
            Event::JobReturned { job, attempt } => {
                let held = self.jobs.remove(job);
                if held.is_some_and(|held| held.attempt != *attempt) {
                    report.violation(format!("audit {seq}: {job} returned by attempt {attempt}"));
                }
            }
            Event::JobFinished { job, host, attempt } => {
                let current = self
                    .jobs
                    .remove(job)
                    .is_some_and(|current| (&current.host, current.attempt) == (host, *attempt));
                if !current || !self.over.insert(job.clone()) {
                    report.violation(format!(
                        "audit {seq}: a late result of {job}, attempt {attempt} on {host}, counted"
                    ));
                }
            }
            Event::JobCancelled { job } => {
                self.jobs.remove(job);
                self.over.insert(job.clone());
            }
            Event::TaskTaken { task, session, claim } => {
                if self.tasks.insert(task.clone(), claim.clone()).is_some() {
                    report.violation(format!("audit {seq}: {task} was taken twice"));
                }
                if let Some(claim) = claim
                    && !claims.was_granted_now(place, claim, session)
                {
                    report.violation(format!("audit {seq}: {task} was taken without {claim}"));
                }
            }
            Event::TaskReturned { task } | Event::TaskEnded { task } => {
                self.given_up(place, task, report);
            }
            Event::Released { claim, .. }
            | Event::Lapsed { claim, .. }
            | Event::Revoked { claim, .. } => {
                let of_it = |(_, with): &(&String, &Option<String>)| with.as_ref() == Some(claim);
                if let Some((task, _)) = self.tasks.iter().find(of_it) {
                    let (task, claim) = (task.clone(), claim.clone());
                    self.halves.push(Half { task, claim, at: place.at });
                }
            }
            _ => {}
        }
    }

    /// Nobody has the task any more; its claim is given up with it.
    fn given_up(&mut self, place: Place, task: &str, report: &mut Report) {
        match self.tasks.remove(task) {
            Some(Some(claim)) => {
                let (task, at) = (task.to_owned(), place.at);
                self.halves.push(Half { task, claim, at });
            }
            Some(None) => {}
            None => {
                let seq = place.seq;
                report.violation(format!("audit {seq}: {task} was given up and nobody had it"));
            }
        }
    }

    /// Invariant 9: neither a task nor its claim outlives the other.
    fn whole(&mut self, place: Place, claims: &Claims, report: &mut Report) {
        let seq = place.seq;
        for Half { task, claim, .. } in self.halves.extract_if(.., |half| half.at < place.at) {
            let has_task = self.tasks.get(&task).is_some_and(|with| with.as_ref() == Some(&claim));
            // A claim of which only some scopes were given back goes on, and its task with it.
            match (has_task, claims.is_held(&claim)) {
                (true, false) => {
                    report.violation(format!("audit {seq}: {task} outlived its {claim}"));
                }
                (false, true) => {
                    report.violation(format!("audit {seq}: {claim} outlived its {task}"));
                }
                (true, true) | (false, false) => {}
            }
        }
    }
}
