//! Beats: what a host's daemon is told when it renews its sessions.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::board::Board;
use molt_domain::build::Build;
use molt_domain::hold::{Hold, Holder};
use molt_domain::host;
use molt_domain::id::{BoardTime, HoldId, SessionId, millis};
use molt_domain::job::{Job, State};
use molt_domain::lock;
use molt_domain::name::{HostName, RepoName};
use molt_domain::scope::Pattern;
use molt_domain::session;

use super::texts;
use crate::convert::Beat;
use crate::v1;

/// Whether a host needs the snapshots of its repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    /// It has none, or older ones.
    Wanted,
    /// It was sent these on the same stream.
    Known,
}

/// What the board has for a host: who of its sessions is lost, what it is to run, what it holds.
///
/// `remotes` says where each repository is fetched from.
#[must_use]
pub fn beat_reply(
    board: &Board,
    beat: &Beat,
    remotes: &BTreeMap<RepoName, String>,
    wanted: Snapshots,
    now: BoardTime,
    (term, rev): (u64, u64),
) -> v1::BeatReply {
    let spans = board.spans();
    let (live, lost): (Vec<SessionId>, Vec<SessionId>) =
        beat.sessions.iter().partition(|id| is_live(board, **id));
    let doubt = host::doubted_everywhere(board, &beat.host);
    let holds = holds(board, &beat.host);
    v1::BeatReply {
        term,
        rev,
        lost: texts(lost),
        jobs: jobs(board, &beat.host),
        wants_job_user: doubt == Some(host::Doubt::NoJobUser),
        doubt: doubt.map(|doubt| doubt.to_string()).unwrap_or_default(),
        holds: texts(holds.keys()),
        holders: holds.values().map(|holder| whose(*holder)).collect(),
        heartbeat_ms: millis(spans.heartbeat),
        session_ttl_ms: millis(spans.session_ttl),
        margin_ms: millis(spans.margin),
        kill_grace_ms: millis(spans.kill_grace),
        remotes: remotes.iter().map(|(name, at)| (name.to_string(), at.clone())).collect(),
        snapshots: match wanted {
            Snapshots::Wanted => snapshots(board, &live),
            Snapshots::Known => Vec::new(),
        },
        signs_wanted: signs_wanted(board, beat, now),
    }
}

/// Paths of one session that a host is asked to look at, at most.
const MAX_PATHS: usize = 64;

/// The sessions of which the host is to tell what it sees, with the paths that they hold.
fn signs_wanted(board: &Board, beat: &Beat, now: BoardTime) -> Vec<v1::SignsWanted> {
    let told = beat.signs.iter().map(|(session, _)| session);
    let named: BTreeSet<SessionId> = beat.sessions.iter().chain(told).copied().collect();
    let wanted = named.into_iter().filter(|id| board.wants_signs(*id, now));
    let claims = &board.tables().claims;
    let paths = |id: SessionId| -> BTreeSet<&str> {
        let held = board.claims_of(id).filter_map(|id| claims.get(&id)).filter(|it| it.is_held());
        held.flat_map(|claim| claim.parts.iter().flat_map(|part| &part.paths).chain(&claim.globs))
            .map(Pattern::as_str)
            .take(MAX_PATHS)
            .collect()
    };
    wanted.map(|id| v1::SignsWanted { session: id.to_string(), paths: texts(paths(id)) }).collect()
}

fn is_live(board: &Board, id: SessionId) -> bool {
    let session = board.tables().sessions.get(&id);
    session.is_some_and(|session| session.state == session::State::Live)
}

/// The runs that are given to a host, first come first.
fn jobs(board: &Board, here: &HostName) -> Vec<v1::Assignment> {
    let jobs = board.tables().jobs.values();
    jobs.filter_map(|job| match &job.state {
        State::Assigned { host, slot, .. } if host == here => Some(assignment(board, job, *slot)),
        State::Assigned { .. } | State::Queued => None,
    })
    .collect()
}

fn assignment(board: &Board, job: &Job, slot: Option<u32>) -> v1::Assignment {
    let gate = &job.gate;
    v1::Assignment {
        job: job.id.to_string(),
        repo: job.repo.to_string(),
        gate: job.name.to_string(),
        attempt: job.attempt,
        run: gate.run.clone(),
        result: gate.result.to_string(),
        commit: job.commit.clone(),
        tree: job.tree.clone(),
        from: job.from.clone(),
        timeout_ms: millis(gate.timeout),
        memory: gate.memory.unwrap_or_default(),
        env: gate.env.clone(),
        slot,
        pool: gate.pool.as_ref().map(ToString::to_string).unwrap_or_default(),
        minimum: gate.minimum,
        isolated: is_isolated(board, job),
    }
}

/// Whether the host that has a job must run it as somebody whom no agent is.
fn is_isolated(board: &Board, job: &Job) -> bool {
    let State::Assigned { host, .. } = &job.state else { return false };
    let (host, repo) = (board.tables().hosts.get(host), board.tables().repos.get(&job.repo));
    host.zip(repo).is_some_and(|(host, repo)| host.isolates(&repo.policy.merge))
}

/// The locks, slots and builds that are held from a host.
fn holds(board: &Board, here: &HostName) -> BTreeMap<HoldId, Holder> {
    let tables = board.tables();
    let locks = tables.locks.values().filter_map(|lock| match &lock.state {
        lock::State::Held(hold) => Some(hold),
        lock::State::Delayed { .. } => None,
    });
    let slots = tables.slots.values().flat_map(|slots| slots.used.values());
    let builds = tables.builds.values().filter_map(|build| match &**build {
        Build::Building { hold, .. } => Some(hold),
        Build::Built { .. } | Build::Failed { .. } => None,
    });
    let all = locks.chain(slots).chain(builds);
    let here = all.filter(|hold: &&Hold| hold.host == *here);
    here.map(|hold| (hold.id, hold.holder)).collect()
}

fn whose(holder: Holder) -> String {
    match holder {
        Holder::Session(session) => session.to_string(),
        Holder::Job(job) => job.to_string(),
    }
}

/// One snapshot for every repository that a host's living sessions work on.
fn snapshots(board: &Board, live: &[SessionId]) -> Vec<v1::RepoSnapshot> {
    let tables = board.tables();
    let sessions = live.iter().filter_map(|id| tables.sessions.get(id));
    let names: BTreeSet<&RepoName> = sessions.map(|session| &session.repo).collect();
    let repos = names.into_iter().filter_map(|name| tables.repos.get(name));
    repos
        .map(|repo| v1::RepoSnapshot {
            repo: repo.name.to_string(),
            snapshot: Some(super::snapshot(board, repo)),
        })
        .collect()
}
