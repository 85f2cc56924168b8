//! Jobs: runs of gates on hosts.
//!
//! A job is wanted by the digest of what it would find, so that two changes
//! that need the same result share one run. Not here: which host takes it
//! (`schedule`) and what the result means ([`crate::gate`]).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::board::{Caller, Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::gate::{Class, Digest, Finding, Gate, Results};
use crate::hold::Holder;
use crate::host::{Doubt, Host};
use crate::id::{BoardTime, JobId};
use crate::name::{GateName, HostName, RepoName};
use crate::{slot, train};

/// Attempts after which an unjudged run is taken as the result.
pub const MAX_ATTEMPTS: u32 = 3;

/// A run of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The repository.
    pub repo: RepoName,
    /// The gate's name.
    pub name: GateName,
    /// The gate as the base's policy had it when the job was made.
    pub gate: Gate,
    /// What its result is stored under.
    pub digest: Digest,
    /// The commit to check out.
    pub commit: String,
    /// The tree of that commit.
    pub tree: String,
    /// The ref that hosts fetch the commit from.
    pub from: String,
    /// Where it is in its life.
    pub state: State,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// When it was wanted.
    pub queued: BoardTime,
}

/// Where a job is in its life. A job that ended becomes [`Results`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// Wanted.
    Queued,
    /// Given to a host, which may be running it.
    Assigned {
        /// The host.
        host: HostName,
        /// The slot of the gate's pool.
        slot: Option<u32>,
        /// Since when.
        since: BoardTime,
    },
}

/// A run that a change needs.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) repo: &'a RepoName,
    pub(crate) name: &'a GateName,
    pub(crate) gate: &'a Gate,
    pub(crate) digest: Digest,
    pub(crate) commit: &'a str,
    pub(crate) tree: &'a str,
    pub(crate) from: &'a str,
}

/// Wants a run, unless its result is there or another job will find it.
pub(crate) fn want(draft: &mut Draft<'_>, wanted: Wanted<'_>) {
    if draft.tables.results.get(&wanted.digest).is_some() || draft.room() < 4 {
        return;
    }
    let known = draft.tables.jobs.iter().find(|(_, job)| job.digest == wanted.digest);
    if let Some((_, job)) = known {
        let job = job.clone();
        refresh(draft, job, &wanted);
        return;
    }
    let id = JobId::from_counter(draft.number());
    draft.record(Event::JobQueued {
        job: id,
        gate: wanted.name.clone(),
        digest: wanted.digest.clone(),
        commit: wanted.commit.to_owned(),
    });
    let job = Job {
        id,
        repo: wanted.repo.clone(),
        name: wanted.name.clone(),
        gate: wanted.gate.clone(),
        digest: wanted.digest,
        commit: wanted.commit.to_owned(),
        tree: wanted.tree.to_owned(),
        from: wanted.from.to_owned(),
        state: State::Queued,
        attempt: 1,
        queued: draft.now.board,
    };
    draft.tables.jobs.put(id, job);
}

/// Lets a job that waits run on the newest commit that asks for its result: older ones and
/// their refs may be gone before it starts.
fn refresh(draft: &mut Draft<'_>, job: Job, wanted: &Wanted<'_>) {
    let same = job.gate == *wanted.gate && job.commit == wanted.commit && job.from == wanted.from;
    if job.state != State::Queued || same {
        return;
    }
    let job = Job {
        repo: wanted.repo.clone(),
        gate: wanted.gate.clone(),
        commit: wanted.commit.to_owned(),
        tree: wanted.tree.to_owned(),
        from: wanted.from.to_owned(),
        ..job
    };
    draft.tables.jobs.put(job.id, job);
}

/// Takes what a host found.
pub(crate) fn end(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: JobId,
    attempt: u32,
    finding: &Finding,
) -> Result<Reply, Box<Refusal>> {
    let Some(job) = draft.tables.jobs.get(&id).cloned() else {
        return Err(Refusal::job_lost(id, "it ended before, or nobody needs it any more"));
    };
    let State::Assigned { host, .. } = &job.state else {
        return Err(Refusal::job_lost(id, "it is not assigned"));
    };
    let late = attempt != job.attempt && !fault!(LateResultTaken);
    if !matches!(caller, Caller::Host(name) if name == host) || late {
        let reason = format!("attempt {} is on {host} by now", job.attempt);
        return Err(Refusal::job_lost(id, reason));
    }
    let host = host.clone();
    slot::end_of_job(draft, Holder::Job(id), &host);
    if finding.commit != job.commit || finding.tree != job.tree {
        let reason = format!("{host} ran it on another tree than {}", job.commit);
        retry_or_give_up(draft, job, &host, finding, &reason);
    } else if let Some(doubt) = doubt(draft, &job, &host) {
        let reason = format!("what {host} finds does not count by now: {doubt}");
        let finding = Finding { class: Class::Infra, note: reason.clone(), ..finding.clone() };
        retry_or_give_up(draft, job, &host, &finding, &reason);
    } else if finding.class.is_about_the_host() {
        let reason = format!("{} on {host}: {}", finding.class, finding.note);
        retry_or_give_up(draft, job, &host, finding, &reason);
    } else {
        keep(draft, job, host, finding.clone());
    }
    train::advance(draft);
    crate::schedule::assign(draft);
    Ok(Reply::Done)
}

/// Why what `host` finds does not count under the policy as it is now, if it does not.
fn doubt(draft: &Draft<'_>, job: &Job, host: &HostName) -> Option<Doubt> {
    let repo = draft.tables.repos.get(&job.repo)?;
    draft.tables.hosts.get(host)?.doubt(&repo.policy.merge)
}

/// Another attempt, while attempts are left; then the failure is the result.
fn retry_or_give_up(
    draft: &mut Draft<'_>,
    job: Job,
    host: &HostName,
    finding: &Finding,
    reason: &str,
) {
    if job.attempt >= MAX_ATTEMPTS {
        let class = Class::Infra;
        let class = if finding.class.is_about_the_host() { finding.class } else { class };
        keep(draft, job, host.clone(), Finding { class, ..finding.clone() });
    } else {
        put_back(draft, job, reason);
    }
}

fn put_back(draft: &mut Draft<'_>, job: Job, reason: &str) {
    draft.record(Event::JobReturned {
        job: job.id,
        gate: job.name.clone(),
        attempt: job.attempt,
        reason: reason.to_owned(),
    });
    let again = Job { attempt: job.attempt + 1, state: State::Queued, ..job };
    draft.tables.jobs.put(again.id, again);
}

fn keep(draft: &mut Draft<'_>, job: Job, host: HostName, finding: Finding) {
    draft.record(Event::JobFinished {
        job: job.id,
        gate: job.name.clone(),
        host: host.clone(),
        attempt: job.attempt,
        digest: job.digest.clone(),
        finding: finding.clone(),
    });
    draft.tables.jobs.delete(&job.id);
    let results = Results { gate: job.name, job: job.id, host, finding };
    draft.tables.results.put(job.digest, results);
}

/// Puts back what a host had that is lost, as much as fits; says whether nothing is left there.
///
/// The slots stay in use: only the machine knows when the runs are gone.
pub(crate) fn return_of_host(draft: &mut Draft<'_>, lost: &HostName, reason: &str) -> bool {
    let jobs = on_host(draft, lost).into_iter().map(|job| (job, reason.to_owned()));
    return_all(draft, lost, jobs.collect())
}

/// Puts back what a host has whose findings do not count there any more, as
/// [`return_of_host`] does. `host` is as it is from now on.
pub(crate) fn return_doubted(draft: &mut Draft<'_>, host: &Host) -> bool {
    let doubted = |job: Job| {
        let repo = draft.tables.repos.get(&job.repo)?;
        let doubt = host.doubt(&repo.policy.merge)?;
        Some((job, format!("what {} finds does not count by now: {doubt}", host.name)))
    };
    let jobs = on_host(draft, &host.name).into_iter().filter_map(doubted).collect();
    return_all(draft, &host.name, jobs)
}

/// The jobs that a host has.
fn on_host(draft: &Draft<'_>, name: &HostName) -> Vec<Job> {
    let here = |job: &&Job| matches!(&job.state, State::Assigned { host, .. } if host == name);
    draft.tables.jobs.iter().map(|(_, job)| job).filter(here).cloned().collect()
}

fn return_all(draft: &mut Draft<'_>, lost: &HostName, jobs: Vec<(Job, String)>) -> bool {
    for (job, reason) in jobs {
        if draft.room() < 3 {
            return false;
        }
        let finding = Finding {
            class: Class::Infra,
            green: 0,
            red: BTreeSet::new(),
            red_count: 0,
            places: Vec::new(),
            exit: None,
            note: reason.clone(),
            log: String::new(),
            argv: Vec::new(),
            commit: job.commit.clone(),
            tree: job.tree.clone(),
            duration: Duration::ZERO,
            peak: 0,
        };
        retry_or_give_up(draft, job, lost, &finding, &reason);
    }
    true
}

/// Gives up jobs whose result no change needs any more.
pub(crate) fn cancel_needless(draft: &mut Draft<'_>, needed: &[Digest]) {
    let needless: Vec<Job> = draft
        .tables
        .jobs
        .iter()
        .filter(|(_, job)| job.state == State::Queued && !needed.contains(&job.digest))
        .map(|(_, job)| job.clone())
        .take(draft.room())
        .collect();
    for job in needless {
        draft.record(Event::JobCancelled { job: job.id, gate: job.name.clone() });
        draft.tables.jobs.delete(&job.id);
    }
}
