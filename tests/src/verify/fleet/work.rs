//! Jobs and tasks: invariants 9 and 10.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Report;
use super::board::{Event, Place};
use super::claims::Claims;

#[derive(Debug, Default)]
pub(super) struct Work {
    jobs: BTreeMap<String, Assigned>,
    over: BTreeSet<String>,
    tasks: BTreeSet<String>,
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
            Event::TaskTaken { task, claim } => {
                if !self.tasks.insert(task.clone()) {
                    report.violation(format!("audit {seq}: {task} was taken twice"));
                }
                if let Some(claim) = claim.as_ref().filter(|claim| !claims.is_held(claim)) {
                    report.violation(format!("audit {seq}: {task} was taken without {claim}"));
                }
            }
            Event::TaskReturned { task } | Event::TaskEnded { task } => {
                self.tasks.remove(task);
            }
            _ => {}
        }
    }
}
