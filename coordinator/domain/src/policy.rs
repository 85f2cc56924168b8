//! What `molt.toml` says, once it has been read and found sound.
//!
//! Not here: reading the file (the server's `policy` room does, so that each
//! finding names its line) and how scopes overlap ([`crate::scope`]).

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gate::Gate;
use crate::name::{GateName, PoolName, RepoName};
use crate::scope::{Pattern, ScopeTree};
use crate::train::Accepted;

/// The file that holds the policy, at the root of the repository.
pub const POLICY_FILE: &str = "molt.toml";

/// The names of the gates that the board itself decides, without a run.
pub const CHANGE_GATES: [&str; 2] = ["scope", "announce"];

/// A repository's rules, always those of the branch that changes land on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Digest of the file's text: claims remember under which policy they were granted.
    pub digest: String,
    /// The scopes, and what is open to everybody.
    pub scopes: ScopeTree,
    /// Pools of cache slots; each machine has its own.
    #[serde(default)]
    pub pools: BTreeMap<PoolName, Pool>,
    /// Gates that are runs, by name.
    #[serde(default)]
    pub gates: BTreeMap<GateName, Gate>,
    /// How changes land.
    pub merge: Merge,
}

impl Policy {
    /// Whether a change of `path` takes a person's approval: the policy's own file always does.
    #[must_use]
    pub fn protects(&self, path: &str) -> bool {
        let case = self.scopes.case();
        let patterns = std::iter::once(&*OWN_FILE).chain(&self.merge.protect);
        patterns.into_iter().any(|pattern| pattern.matches_in(path, case))
    }
}

#[expect(clippy::expect_used, reason = "the name is a constant")]
static OWN_FILE: LazyLock<Pattern> =
    LazyLock::new(|| POLICY_FILE.parse().expect("the policy's file has a valid name"));

/// Cache slots of one kind on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// How many users at once.
    pub slots: u32,
}

/// How changes land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// The shape of what lands.
    pub method: Method,
    /// The gates that a change must pass, run gates and change gates.
    pub required: Vec<GateName>,
    /// Whose results count.
    #[serde(default)]
    pub trust: Trust,
    /// The paths whose changes take a person's approval, beside the policy's own file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<Pattern>,
}

/// Whose results count for landing, where hosts prove who they are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Those of hosts with the role prover.
    #[default]
    Provers,
    /// Those of the hosts that agents work on, too.
    AgentHosts,
}

/// The shape of what lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A merge commit of the base and the change's head.
    Merge,
    /// The change's head itself, when it descends from the base.
    Ff,
    /// One commit on the base with all that the change's head changes.
    Squash,
    /// Each commit of the change's head anew on the base.
    Rebase,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Merge, Self::Ff, Self::Squash, Self::Rebase];

    /// Whether what lands has the change's head in its history.
    #[must_use]
    pub fn lands_the_head(self) -> bool {
        matches!(self, Self::Merge | Self::Ff)
    }

    /// Its word in the policy.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Ff => "ff",
            Self::Squash => "squash",
            Self::Rebase => "rebase",
        }
    }
}

/// A repository of the fleet: where it is and what its base said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repo {
    /// Its name.
    pub name: RepoName,
    /// The branch that changes land on.
    pub branch: String,
    /// The base's commit when it was last read.
    pub base: String,
    /// The tree of that commit.
    pub tree: String,
    /// The base's policy; while the base's is unreadable, the last readable one.
    pub policy: Policy,
    /// Why the base's own policy is not in force, when it is not: nothing lands then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Failures of the base that somebody answers for, for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
}

/// Every span that the rules use. Printed by `serve`; a fleet's own, not a repository's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans {
    /// How often a host daemon renews its sessions.
    pub heartbeat: Duration,
    /// How long a session lives without a renewal.
    pub session_ttl: Duration,
    /// How long before its deadline a holder stops by itself.
    pub margin: Duration,
    /// How long a stopped run may take to end before it is killed.
    pub kill_grace: Duration,
    /// How long a lost lock stays closed.
    pub delay: Duration,
    /// How long a lost session's claims wait for it.
    pub grace: Duration,
    /// How long after a loss they wait at most, whatever sign of life there is.
    pub extension: Duration,
    /// How old a log's last line or a file's last change may be to tell of life.
    pub fresh: Duration,
    /// After how long without a sign of work a holder is asked, if somebody waits.
    pub idle: Duration,
    /// How long it then has to answer.
    pub answer: Duration,
    /// How long an absent waiter's offer stands.
    pub offer: Duration,
    /// How long a failed build's failure is remembered.
    pub failure_memory: Duration,
    /// How long a leader's word holds.
    pub leader_ttl: Duration,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            session_ttl: Duration::from_secs(60),
            margin: Duration::from_secs(10),
            kill_grace: Duration::from_secs(5),
            delay: Duration::from_secs(15),
            grace: Duration::from_secs(600),
            extension: MAX_EXTENSION,
            fresh: Duration::from_secs(15 * 60),
            idle: Duration::from_secs(30 * 60),
            answer: Duration::from_secs(600),
            offer: Duration::from_secs(300),
            failure_memory: Duration::from_secs(60),
            leader_ttl: Duration::from_secs(15),
        }
    }
}

/// The longest that the claims of a lost session may wait (coordination.md, "Liveness").
const MAX_EXTENSION: Duration = Duration::from_secs(24 * 60 * 60);

/// Spans under which the rules cannot keep what they promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeSpans {
    /// A lost holder's child might outlive the delay.
    #[error(
        "leader ttl {leader_ttl:?} + kill grace {kill_grace:?} is more than margin {margin:?} + delay {delay:?}: a lost holder could still run when the next begins"
    )]
    Overlap {
        /// How long a leader's word holds.
        leader_ttl: Duration,
        /// How long a stopped run may take to end.
        kill_grace: Duration,
        /// How long before its deadline a holder stops.
        margin: Duration,
        /// How long a lost lock stays closed.
        delay: Duration,
    },
    /// Claims would lapse inside the grace, or be nobody's for longer than a day.
    #[error("extension {extension:?} is not from grace {grace:?} to {MAX_EXTENSION:?}")]
    Extension {
        /// How long the claims of a lost session wait at most.
        extension: Duration,
        /// How long they wait for it by themselves.
        grace: Duration,
    },
    /// Claims of somebody at work would lapse before its host can say so.
    #[error(
        "{name} {span:?} is not more than 2 x heartbeat {heartbeat:?}: what hosts see would be told too late"
    )]
    Unheard {
        /// Which span.
        name: &'static str,
        /// How long it is.
        span: Duration,
        /// How often a host is heard.
        heartbeat: Duration,
    },
}

impl Spans {
    /// Refuses spans under which a lost holder's child might outlive the delay, or claims lapse
    /// before anybody could tell that somebody works on them.
    ///
    /// # Errors
    ///
    /// `leader ttl + kill grace` must be at most `margin + delay`, `extension` from `grace` to a
    /// day, and `fresh`, `idle` and `answer` more than two heartbeats each.
    pub fn check(&self) -> Result<(), UnsafeSpans> {
        let Self { leader_ttl, kill_grace, margin, delay, grace, extension, heartbeat, .. } = *self;
        if leader_ttl + kill_grace > margin + delay {
            return Err(UnsafeSpans::Overlap { leader_ttl, kill_grace, margin, delay });
        }
        if extension < grace || extension > MAX_EXTENSION {
            return Err(UnsafeSpans::Extension { extension, grace });
        }
        let told = [("fresh", self.fresh), ("idle", self.idle), ("answer", self.answer)];
        match told.into_iter().find(|(_, span)| *span <= 2 * heartbeat) {
            Some((name, span)) => Err(UnsafeSpans::Unheard { name, span, heartbeat }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_safe_and_a_short_delay_is_not() {
        assert_eq!(Spans::default().check(), Ok(()));
        let short = Spans { delay: Duration::from_secs(9), ..Spans::default() };
        assert!(short.check().expect_err("unsafe").to_string().contains("delay 9s"));
    }

    #[test]
    fn claims_wait_for_a_day_at_most_and_for_what_hosts_tell() {
        let (default, second) = (Spans::default(), Duration::from_secs(1));
        let told = |spans: Spans| spans.check().expect_err("unsafe").to_string();
        let day = default.extension;
        for (extension, grace) in [(day + second, default.grace), (day, day + second)] {
            let said = told(Spans { extension, grace, ..default });
            assert!(
                said.starts_with(&format!("extension {extension:?} is not from grace")),
                "{said}"
            );
        }
        assert_eq!(Spans { extension: default.grace, ..default }.check(), Ok(()));
        let span = 2 * default.heartbeat;
        for (name, short) in [
            ("fresh", Spans { fresh: span, ..default }),
            ("idle", Spans { idle: span, ..default }),
            ("answer", Spans { answer: span, ..default }),
        ] {
            let said = told(short);
            assert!(
                said.starts_with(&format!("{name} 10s is not more than 2 x heartbeat 5s")),
                "{said}"
            );
        }
    }
}
