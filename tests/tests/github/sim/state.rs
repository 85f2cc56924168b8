//! What the simulated GitHub knows besides git: people, pull requests, comments, checks, rules.
//!
//! Where a branch or a pull request's head stands is not in here: git is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rsa::KeyPair;
use serde_json::Value;

use super::auth::Permissions;
use super::git::Git;

/// What somebody may do in a repository, as GitHub names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Right {
    /// The role, and the permission of older days that it counts as.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::None => ("none", "none"),
            Self::Read => ("read", "read"),
            Self::Triage => ("triage", "read"),
            Self::Write => ("write", "write"),
            Self::Maintain => ("maintain", "write"),
            Self::Admin => ("admin", "admin"),
        }
    }
}

/// How far what is read lags behind what was written; nobody may rely on less.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consistency {
    /// How often a pull request is read before it is known whether it merges.
    pub(crate) mergeable_null_reads: u64,
    /// For how many requests a list leaves out what is new.
    pub(crate) list_lag: u64,
    /// For how many requests a pull request shows the head that it had.
    pub(crate) head_lag: u64,
}

impl Default for Consistency {
    fn default() -> Self {
        Self { mergeable_null_reads: 1, list_lag: 1, head_lag: 1 }
    }
}

pub(super) struct App {
    pub(super) id: u64,
    pub(super) slug: String,
    pub(super) installation: u64,
    pub(super) key: KeyPair,
    pub(super) permissions: Permissions,
}

pub(super) struct Granted {
    pub(super) permissions: Permissions,
    pub(super) expires: u64,
}

pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) id: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) author: String,
    pub(super) draft: bool,
    pub(super) open: bool,
    pub(super) base: String,
    pub(super) head: String,
    /// The repository of its head; none once the fork is gone.
    pub(super) head_repository: Option<u64>,
    /// Every head it had, with the request before which it came.
    pub(super) heads: Vec<(u64, String)>,
    /// Reads until it is known whether it merges.
    pub(super) unknown: u64,
    pub(super) labels: BTreeSet<String>,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) closed: Option<u64>,
    /// The commit that brought it into its base.
    pub(super) merged: Option<String>,
    pub(super) reviews: Vec<Review>,
    pub(super) born: u64,
}

impl Pull {
    /// The repository of its head is gone.
    pub(super) fn lose_fork(&mut self) {
        self.head_repository = None;
    }
}

pub(super) struct Review {
    pub(super) id: u64,
    pub(super) user: String,
    pub(super) state: String,
    pub(super) body: String,
    pub(super) commit: String,
    pub(super) submitted: u64,
    pub(super) born: u64,
}

pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) user: String,
    pub(super) body: String,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) born: u64,
}

pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) app: u64,
    /// What was sent, field by field.
    pub(super) fields: BTreeMap<String, Value>,
    pub(super) annotations: Vec<Value>,
    pub(super) started: u64,
    pub(super) completed: Option<u64>,
    pub(super) born: u64,
}

pub(super) struct Status {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) target: Option<String>,
    pub(super) creator: String,
    pub(super) created: u64,
}

pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) private: bool,
    pub(super) git: Git,
    pub(super) rights: BTreeMap<String, Right>,
    /// Active rules by branch, as GitHub answers them.
    pub(super) rules: BTreeMap<String, Vec<Value>>,
    pub(super) pulls: BTreeMap<u64, Pull>,
    pub(super) comments: Vec<Comment>,
    pub(super) runs: Vec<CheckRun>,
    pub(super) statuses: Vec<Status>,
    pub(super) labels: BTreeMap<String, u64>,
}

impl Repository {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(super) fn right(&self, login: &str) -> Right {
        let public = if self.private { Right::None } else { Right::Read };
        self.rights.get(login).copied().unwrap_or(public)
    }

    /// Whether the rules forbid to move the branch by hand.
    pub(super) fn is_guarded(&self, name: &str) -> bool {
        let Some(branch) = name.strip_prefix("refs/heads/") else { return false };
        let rules = self.rules.get(branch).into_iter().flatten();
        rules.into_iter().any(|rule| rule["type"] == "update" || rule["type"] == "pull_request")
    }
}

pub(super) struct State {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub(super) base: String,
    pub(super) folder: PathBuf,
    pub(super) app: App,
    pub(super) suspended: bool,
    /// Ids by login.
    pub(super) users: BTreeMap<String, u64>,
    /// Logins by personal token.
    pub(super) personal: BTreeMap<String, String>,
    pub(super) tokens: BTreeMap<String, Granted>,
    pub(super) repositories: BTreeMap<u64, Repository>,
    pub(super) consistency: Consistency,
    /// How far this clock is ahead of the machine's.
    pub(super) ahead: Duration,
    /// Requests so far.
    pub(super) requests: u64,
    /// Requests that counted, by token.
    pub(super) spent: BTreeMap<String, u64>,
    pub(super) last_id: u64,
}

impl State {
    /// Seconds since 1970 on the simulator's clock.
    pub(super) fn now(&self) -> u64 {
        let now = machine_now() + self.ahead;
        now.duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
    }

    /// An id that nothing has yet. Ids of all kinds are one row, as nobody may mix them up.
    pub(super) fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn user(&mut self, login: &str) -> u64 {
        if let Some(id) = self.users.get(login) {
            return *id;
        }
        let id = self.id();
        self.users.insert(login.to_owned(), id);
        id
    }

    pub(super) fn repository(&self, id: u64) -> &Repository {
        self.repositories.get(&id).expect("an id comes from the repositories")
    }

    pub(super) fn repository_mut(&mut self, id: u64) -> &mut Repository {
        self.repositories.get_mut(&id).expect("an id comes from the repositories")
    }

    pub(super) fn named(&self, owner: &str, name: &str) -> Option<u64> {
        let same = |repository: &&Repository| {
            repository.owner.eq_ignore_ascii_case(owner)
                && repository.name.eq_ignore_ascii_case(name)
        };
        self.repositories.values().find(same).map(|repository| repository.id)
    }

    /// Whether a list shows what came before that request.
    pub(super) fn is_listed(&self, born: u64) -> bool {
        born + self.consistency.list_lag < self.requests
    }

    /// The head that a pull request shows.
    pub(super) fn shown_head<'a>(&self, pull: &'a Pull) -> &'a str {
        let shown = |(born, _): &&(u64, String)| born + self.consistency.head_lag < self.requests;
        let head = pull.heads.iter().rev().find(shown).or(pull.heads.first());
        &head.expect("a pull request was opened with a head").1
    }

    /// Reads git after refs moved: heads of pull requests follow their branches, and what arrived
    /// in its base is merged.
    pub(super) fn follow_git(&mut self) {
        let (now, requests) = (self.now(), self.requests);
        let nulls = self.consistency.mergeable_null_reads;
        let folders: BTreeMap<_, _> =
            self.repositories.values().map(|it| (it.id, it.git.clone())).collect();
        for repository in self.repositories.values_mut() {
            let git = repository.git.clone();
            for pull in repository.pulls.values_mut().filter(|pull| pull.open) {
                let known = pull.heads.last().map(|(_, sha)| sha.clone()).unwrap_or_default();
                let from = pull.head_repository.and_then(|id| folders.get(&id));
                let tip = from.and_then(|from| from.tip(&format!("refs/heads/{}", pull.head)));
                if let (Some(from), Some(tip)) = (from, tip)
                    && tip != known
                {
                    let shown = format!("refs/pull/{}/head", pull.number);
                    let source = from.dir.display().to_string();
                    git.run(&[
                        "fetch",
                        "--quiet",
                        "--no-write-fetch-head",
                        &source,
                        &format!("+{tip}:{shown}"),
                    ]);
                    pull.heads.push((requests, tip.clone()));
                    pull.unknown = nulls;
                    pull.updated = now;
                }
                let head = &pull.heads.last().expect("it has one").1;
                let base = git.tip(&format!("refs/heads/{}", pull.base));
                if let Some(base) = base
                    && git.is_ancestor(head, &base)
                {
                    pull.open = false;
                    pull.merged = Some(base);
                    pull.closed = Some(now);
                    pull.updated = now;
                }
            }
        }
    }
}

/// The machine's clock, by which a program that asks for tokens signs.
#[expect(clippy::disallowed_methods, reason = "a signed token holds by the machine's clock")]
pub(super) fn machine_now() -> SystemTime {
    SystemTime::now()
}

/// A moment as GitHub writes it.
pub(super) fn written(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}
