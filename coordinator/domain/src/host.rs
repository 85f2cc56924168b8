//! Hosts: the machines whose daemons renew sessions and run jobs.
//!
//! Not here: what runs on them ([`crate::job`]) and their slots ([`crate::slot`]).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::{Peer, Role};
use crate::board::{Board, Caller, Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::id::BoardTime;
use crate::name::HostName;
use crate::policy::{Merge, Trust};

/// What a host's daemon said that the host can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Means {
    /// How many jobs at once; 0: it only renews sessions.
    pub jobs: u32,
    /// Processor cores.
    pub cores: u32,
    /// Memory that runs may use, in bytes.
    pub memory: u64,
    /// Operating system, architecture and tools.
    pub labels: BTreeSet<String>,
    /// Who its jobs run as, when that is not the daemon itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_user: Option<JobUser>,
}

/// A user of a machine that jobs run as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobUser {
    /// Its number.
    pub uid: u32,
    /// Why an agent may have a hand in what it runs; `None`: no agent has this uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
}

/// Why what a host finds does not count for landing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It never proved that no agent works on it.
    #[error("it is no prover, whose results alone count")]
    NoProver,
    /// Its runs have the uid of its daemon.
    #[error("its jobs have no uid of their own, which `daemon --job-user` gives them")]
    NoJobUser,
    /// An agent may have a hand in its runs.
    #[error("{0}")]
    Shared(String),
}

/// A host as the board knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// What it can do.
    pub means: Means,
    /// Whether it is heard of.
    pub state: State,
    /// Since when: to be seen is a sign of life.
    #[serde(default)]
    pub since: BoardTime,
    /// How it came to be believed.
    #[serde(default)]
    pub standing: Standing,
}

/// How a host came to be believed: by what its daemon proved.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing: it is on the coordinator's own machine, where nobody has to prove anything.
    #[default]
    Local,
    /// The role prover: no agent has a hand in what it finds.
    Prover,
    /// The role host: agents work on it.
    AgentHost,
}

impl Standing {
    fn of(peer: &Peer) -> Self {
        match peer {
            Peer::Local => Self::Local,
            Peer::Known(identity) if identity.role == Role::Prover => Self::Prover,
            Peer::Known(_) => Self::AgentHost,
        }
    }
}

impl Host {
    /// Whether what it finds counts for landing.
    #[must_use]
    pub fn counts(&self, merge: &Merge) -> bool {
        self.doubt(merge).is_none()
    }

    /// Why what it finds does not count for landing, if it does not.
    #[must_use]
    pub fn doubt(&self, merge: &Merge) -> Option<Doubt> {
        if merge.trust == Trust::AgentHosts || fault!(EveryHostCounts) {
            return None;
        }
        match (self.standing, &self.means.job_user) {
            (Standing::Local, _) => None,
            (Standing::AgentHost, _) => Some(Doubt::NoProver),
            (Standing::Prover, None) => Some(Doubt::NoJobUser),
            (Standing::Prover, Some(user)) => user.shared.clone().map(Doubt::Shared),
        }
    }

    /// Whether its jobs must run as somebody whom no agent is, under a policy.
    #[must_use]
    pub fn isolates(&self, merge: &Merge) -> bool {
        self.standing == Standing::Prover && merge.trust == Trust::Provers
    }
}

/// Why what a host finds counts for no repository at all, if that is so.
#[must_use]
pub fn doubted_everywhere(board: &Board, host: &HostName) -> Option<Doubt> {
    let tables = board.tables();
    let host = tables.hosts.get(host)?;
    let mut doubts = tables.repos.values().map(|repo| host.doubt(&repo.policy.merge));
    let first = doubts.next()??;
    doubts.all(|doubt| doubt.is_some()).then_some(first)
}

/// Whether a host is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its daemon renews.
    Live,
    /// Its daemon fell silent: nothing is given to it, its jobs go elsewhere.
    Lost,
}

/// Takes what a host's daemon says of its host.
pub(crate) fn see(
    draft: &mut Draft<'_>,
    peer: &Peer,
    caller: &Caller,
    means: &Means,
) -> Result<Reply, Box<Refusal>> {
    let Caller::Host(name) = caller else {
        let (what, needs) = ("the word of a host".to_owned(), "its daemon".to_owned());
        return Err(Refusal::Forbidden { what, needs }.into());
    };
    let standing = Standing::of(peer);
    let known = draft.tables.hosts.get(name);
    let same = |host: &Host| host.means == *means && host.standing == standing;
    if known.is_some_and(|host| same(host) && host.state == State::Live) {
        return Ok(Reply::Done);
    }
    if known.is_some_and(|host| host.standing != standing) {
        // What it runs was given to another standing.
        let reason = format!("{name} proves something else than before");
        if !crate::job::return_of_host(draft, name, &reason) {
            return Ok(Reply::Done);
        }
    }
    let since = draft.now.board;
    let (means, state) = (means.clone(), State::Live);
    let (jobs, cores, memory) = (means.jobs, means.cores, means.memory);
    let host = Host { name: name.clone(), means, state, since, standing };
    // What it runs now is of no use, even if no agent is there any more when it ends.
    if !crate::job::return_doubted(draft, &host) {
        return Ok(Reply::Done);
    }
    draft.record(Event::HostSeen { host: name.clone(), jobs, cores, memory });
    draft.tables.hosts.put(name.clone(), host);
    crate::schedule::assign(draft);
    Ok(Reply::Done)
}

/// Marks hosts that fell silent, once their jobs are back.
pub(crate) fn expire(draft: &mut Draft<'_>) {
    let now = draft.now.board;
    let is_silent = |host: &Host| {
        let heard = draft.board().heard_host(&host.name).max(host.since);
        host.state == State::Live && now.since(heard) >= draft.spans().session_ttl
    };
    let hosts = draft.tables.hosts.iter().map(|(_, host)| host);
    let silent: Vec<Host> = hosts.filter(|host| is_silent(host)).cloned().collect();
    for host in silent {
        let reason = format!("{} fell silent", host.name);
        if !crate::job::return_of_host(draft, &host.name, &reason) || draft.room() == 0 {
            return;
        }
        draft.record(Event::HostLost { host: host.name.clone() });
        draft.tables.hosts.put(host.name.clone(), Host { state: State::Lost, since: now, ..host });
    }
}

#[cfg(test)]
mod tests;
