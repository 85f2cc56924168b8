//! Of GitHub's objects what somebody here reads, and no more.
//!
//! GitHub adds words and fields at any time, and leaves out what is gone: a fork that was deleted,
//! an account that was closed. So words stay texts until a rule reads them, which knows what an
//! unknown one means, and whatever may be missing is an `Option`.

use serde::Deserialize;

use super::credentials::Rights;

/// Somebody with an account: a person, an organization or a robot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// What stays the same when the name does not.
    pub id: u64,
    /// The name.
    pub login: String,
    /// `User`, `Bot` or another word.
    #[serde(default, rename = "type")]
    pub kind: String,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// What stays the same when it is renamed.
    pub id: u64,
    /// Its id in GraphQL.
    #[serde(default)]
    pub node_id: String,
    /// `owner/name`.
    pub full_name: String,
    /// The branch that is shown first.
    #[serde(default)]
    pub default_branch: String,
}

/// An App, as its own key shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct App {
    /// Its id.
    pub id: u64,
    /// Its name in addresses; its account is `SLUG[bot]`.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// Where an App is installed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Installation {
    /// Its id.
    pub id: u64,
    /// The App's id.
    pub app_id: u64,
    /// When it was suspended, if it is.
    #[serde(default)]
    pub suspended_at: Option<String>,
    /// What the App may do there.
    #[serde(default)]
    pub permissions: Rights,
}

/// One end of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct End {
    /// The branch.
    #[serde(rename = "ref")]
    pub branch: String,
    /// Its commit.
    pub sha: String,
    /// The repository; `None` for a fork that is gone.
    #[serde(default)]
    pub repo: Option<Repository>,
}

/// That somebody chose "merge when ready".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AutoMerge {
    /// Who; `None` for an account that is gone.
    #[serde(default)]
    pub enabled_by: Option<Account>,
}

/// A word that people put on a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// The word.
    pub name: String,
}

/// A remark at a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub start_line: u64,
    /// The remark.
    #[serde(default)]
    pub message: Option<String>,
}

/// A stack of pull requests, each on top of the one before, which GitHub lands together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Stack {
    /// Its number in the repository.
    #[serde(default)]
    pub number: Option<u64>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pull {
    /// Its number in the repository.
    pub number: u64,
    /// `open` or `closed`.
    pub state: String,
    /// Not yet to be landed.
    #[serde(default)]
    pub draft: bool,
    /// One line.
    pub title: String,
    /// The rest.
    #[serde(default)]
    pub body: Option<String>,
    /// Who opened it; `None` for an account that is gone.
    #[serde(default)]
    pub user: Option<Account>,
    /// The stack that it is part of.
    #[serde(default)]
    pub stack: Option<Stack>,
    /// What is to land.
    pub head: End,
    /// Where.
    pub base: End,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// Set when somebody chose "merge when ready".
    #[serde(default)]
    pub auto_merge: Option<AutoMerge>,
    /// When it landed, if it did.
    #[serde(default)]
    pub merged_at: Option<String>,
    /// When it was opened.
    #[serde(default)]
    pub created_at: String,
    /// When something about it changed last.
    #[serde(default)]
    pub updated_at: String,
    /// Its address for people.
    #[serde(default)]
    pub html_url: String,
}

/// What somebody said of a pull request's head.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Review {
    /// Its id; later ones are greater.
    pub id: u64,
    /// Who.
    #[serde(default)]
    pub user: Option<Account>,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`, `PENDING` or another word.
    pub state: String,
    /// The head that was seen; `None` where it is not to be had any more.
    #[serde(default)]
    pub commit_id: Option<String>,
}

/// A comment on a pull request as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Comment {
    /// Its id; later ones are greater.
    pub id: u64,
    /// Who wrote it.
    #[serde(default)]
    pub user: Option<Account>,
    /// What.
    #[serde(default)]
    pub body: Option<String>,
    /// When.
    pub created_at: String,
    /// When it was edited last.
    pub updated_at: String,
    /// The address of what it is on, which ends in the number.
    pub issue_url: String,
}

impl Comment {
    /// The number of what it is on.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.issue_url.rsplit('/').next()?.parse().ok()
    }
}

/// What was made, where its id is all that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Made {
    /// Its id.
    pub id: u64,
}

/// An App, as a check run names its author.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Author {
    /// The App's id.
    pub id: u64,
}

/// What an App says of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckRun {
    /// Its id; later ones are greater.
    pub id: u64,
    /// Its name, by which rules require it.
    pub name: String,
    /// The commit.
    pub head_sha: String,
    /// `queued`, `in_progress`, `completed` or another word.
    pub status: String,
    /// What it came to, once it is completed.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// What its author calls it.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Its author.
    #[serde(default)]
    pub app: Option<Author>,
}

/// A page of check runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckRuns {
    /// How many there are.
    pub total_count: u64,
    /// These.
    pub check_runs: Vec<CheckRun>,
}

/// What anybody with the right to push says of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// Its name, by which rules require it.
    pub context: String,
    /// `success`, `pending`, `failure`, `error` or another word.
    pub state: String,
}

/// The last status of each name. With none, GitHub calls the whole `pending`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Statuses {
    /// The commit.
    pub sha: String,
    /// How many there are.
    pub total_count: u64,
    /// These.
    pub statuses: Vec<Status>,
}

/// What somebody may do in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Permission {
    /// `admin`, `write`, `read`, `none` or another word.
    pub permission: String,
    /// The finer word: `maintain` is `write` above.
    #[serde(default)]
    pub role_name: Option<String>,
    /// Who.
    #[serde(default)]
    pub user: Option<Account>,
}

/// A commit, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Commit {
    /// The id.
    pub sha: String,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub commit: Commit,
    /// Whether classic protection or a rule is on it.
    #[serde(default)]
    pub protected: bool,
    /// A summary of classic protection.
    #[serde(default)]
    pub protection: Option<Protection>,
}

/// Of classic protection what a branch tells to everybody who reads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Protection {
    /// Whether there is any; what else it asks for is told to administrators alone.
    #[serde(default)]
    pub enabled: bool,
    /// What must pass.
    #[serde(default)]
    pub required_status_checks: Option<RequiredChecks>,
}

/// Checks that classic protection requires.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RequiredChecks {
    /// `off`, `non_admins` or `everyone`.
    #[serde(default)]
    pub enforcement_level: Option<String>,
    /// Their names.
    #[serde(default)]
    pub contexts: Vec<String>,
    /// The same, with the App that alone may say so.
    #[serde(default)]
    pub checks: Vec<RequiredCheck>,
}

/// One check that classic protection requires.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RequiredCheck {
    /// Its name.
    pub context: String,
    /// The App; `None` or `-1` for anybody.
    #[serde(default)]
    pub app_id: Option<i64>,
}

/// A rule that is active for a branch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Rule {
    /// Which.
    #[serde(rename = "type")]
    pub kind: String,
    /// How, by the kind.
    #[serde(default)]
    pub parameters: serde_json::Value,
    /// The ruleset that it stands in.
    #[serde(default)]
    pub ruleset_id: Option<u64>,
}

/// Rules under a name, and whether they hold for whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ruleset {
    /// Its id.
    pub id: u64,
    /// The name that somebody gave it.
    pub name: String,
    /// `always`, `exempt`, `pull_requests_only`, `never` or another word; `None` where it is not
    /// told, as in a list.
    #[serde(default)]
    pub current_user_can_bypass: Option<String>,
}

/// Where a ref stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ref {
    /// Its whole name.
    #[serde(rename = "ref")]
    pub name: String,
    /// What it names.
    pub object: Commit,
}
