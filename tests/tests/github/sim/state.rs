//! What the simulated GitHub knows besides git: Apps and people, repositories and their rules, time.
//!
//! Where a branch or a pull request's head stands is not in here: git is asked. Nor is what becomes
//! of pull requests when refs move, which is `follow`'s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rsa::KeyPair;
use serde_json::Value;

use super::auth::Permissions;
use super::bug::Bug;
use super::events::Event;
use super::git::Git;
pub(super) use super::records::{CheckRun, Comment, Pull, Review, Right, Status};

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

/// The checks that a branch's classic protection requires, each with the App that alone may say so.
pub(super) type Protection = Vec<(String, Option<u64>)>;

#[derive(Clone)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) private: bool,
    pub(super) git: Git,
    /// Every ref and where it stood when git was read last.
    pub(super) refs: Arc<BTreeMap<String, String>>,
    pub(super) rights: BTreeMap<String, Right>,
    /// Active rules by branch, as GitHub answers them.
    pub(super) rules: BTreeMap<String, Vec<Value>>,
    /// When the App may pass them by: `never`, `always`, `pull_requests_only`.
    pub(super) bypass: &'static str,
    /// Classic protection by branch.
    pub(super) protected: BTreeMap<String, Protection>,
    pub(super) pulls: BTreeMap<u64, Pull>,
    pub(super) comments: Vec<Comment>,
    pub(super) runs: Vec<CheckRun>,
    pub(super) statuses: Vec<Status>,
    pub(super) labels: BTreeMap<String, u64>,
    /// What the message of a commit may not have that becomes `main`'s.
    pub(super) declined: Vec<String>,
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
        if self.bypass == "always" {
            return false;
        }
        let rules = self.rules.get(branch).into_iter().flatten();
        rules.into_iter().any(|rule| rule["type"] == "update" || rule["type"] == "pull_request")
    }
}

impl Repository {
    /// Whether a rule that is not shown forbids to move `main` there.
    pub(super) fn declines(&self, name: &str, to: &str) -> bool {
        let applies = name == "refs/heads/main" && !self.declined.is_empty();
        let message = || self.git.run(&["log", "-1", "--format=%B", to]);
        applies && self.declined.iter().any(|words| message().contains(words.as_str()))
    }
}

/// All repositories by id.
pub(super) type Repositories = BTreeMap<u64, Repository>;

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
    pub(super) repositories: Repositories,
    /// Ids by the names that repositories had once, in small letters.
    pub(super) former: BTreeMap<String, u64>,
    pub(super) consistency: Consistency,
    /// When this clock was stopped; else it goes with the machine's.
    pub(super) stopped: Option<SystemTime>,
    /// How far this clock is ahead of that, and how far behind what it would be then.
    pub(super) ahead: Duration,
    pub(super) behind: Duration,
    /// Requests so far.
    pub(super) requests: u64,
    pub(super) last_id: u64,
    /// Whether anybody wants to hear of events.
    pub(super) listening: bool,
    /// What happened and was not sent yet.
    pub(super) events: Vec<Event>,
    /// What the product did that it must never do, and was not said yet.
    pub(super) complaints: Vec<String>,
    /// What is wrong with this GitHub on purpose.
    pub(super) bug: Option<Bug>,
}

impl State {
    /// Seconds since 1970 on the simulator's clock.
    pub(super) fn now(&self) -> u64 {
        let now = self.stopped.unwrap_or_else(machine_now) + self.ahead - self.behind;
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

    /// Somebody takes another name, in all that he did as well.
    pub(super) fn rename_user(&mut self, login: &str, name: &str) {
        let id = self.users.remove(login).expect("there is somebody of this name");
        self.users.insert(name.to_owned(), id);
        let rename = |known: &mut String| {
            if known == login {
                name.clone_into(known);
            }
        };
        self.personal.values_mut().for_each(rename);
        for repository in self.repositories.values_mut() {
            if let Some(right) = repository.rights.remove(login) {
                repository.rights.insert(name.to_owned(), right);
            }
            repository.comments.iter_mut().for_each(|comment| rename(&mut comment.user));
            repository.statuses.iter_mut().for_each(|status| rename(&mut status.creator));
            for pull in repository.pulls.values_mut() {
                rename(&mut pull.author);
                pull.merged_by.iter_mut().for_each(rename);
                pull.auto_merge.iter_mut().for_each(|(by, _)| rename(by));
                pull.reviews.iter_mut().for_each(|review| rename(&mut review.user));
            }
        }
    }

    /// Whom the App's own doings are of.
    pub(super) fn bot(&self) -> String {
        format!("{}[bot]", self.app.slug)
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn repository(&self, id: u64) -> &Repository {
        self.repositories.get(&id).expect("an id comes from the repositories")
    }

    pub(super) fn repository_mut(&mut self, id: u64) -> &mut Repository {
        self.repositories.get_mut(&id).expect("an id comes from the repositories")
    }

    pub(super) fn pull_mut(&mut self, repository: u64, number: u64) -> Option<&mut Pull> {
        self.repository_mut(repository).pulls.get_mut(&number)
    }

    pub(super) fn named(&self, owner: &str, name: &str) -> Option<u64> {
        let same = |repository: &&Repository| {
            repository.owner.eq_ignore_ascii_case(owner)
                && repository.name.eq_ignore_ascii_case(name)
        };
        self.repositories.values().find(same).map(|repository| repository.id)
    }

    /// Which repository had a name once that none has now (B28).
    pub(super) fn formerly(&self, owner: &str, name: &str) -> Option<u64> {
        let id = self.former.get(&format!("{owner}/{name}").to_lowercase())?;
        self.repositories.contains_key(id).then_some(*id)
    }

    /// A repository takes another name, maybe of another owner.
    pub(super) fn rename_repository(&mut self, id: u64, full_name: &str) {
        let (owner, name) = full_name.split_once('/').expect("a name is owner/name");
        self.user(owner);
        let repository = self.repository_mut(id);
        let before = repository.full_name().to_lowercase();
        owner.clone_into(&mut repository.owner);
        name.clone_into(&mut repository.name);
        self.former.insert(before, id);
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
