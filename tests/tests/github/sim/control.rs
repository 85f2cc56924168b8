//! What a test does to the simulated GitHub besides asking it: as people, other Apps and time do.

use std::time::Duration;

use serde_json::Value;

use super::git::{Git, ZERO};
use super::state::{Pull, Repository};
use super::{Consistency, Entry, Fault, GitHub, Right};
use super::{checks, issues, pulls};

impl GitHub {
    /// Where its API is; `URL/OWNER/NAME.git` is git's.
    pub(crate) fn url(&self) -> String {
        self.world().state.base.clone()
    }

    pub(crate) fn app_id(&self) -> u64 {
        self.world().state.app.id
    }

    pub(crate) fn installation_id(&self) -> u64 {
        self.world().state.app.installation
    }

    /// Somebody's account, which is made if it isn't there.
    pub(crate) fn user(&self, login: &str) -> u64 {
        self.world().state.user(login)
    }

    /// A personal token of somebody's.
    pub(crate) fn personal_token(&self, login: &str) -> String {
        let state = &mut self.world().state;
        let token = format!("ghp_simulated{:020}", state.user(login));
        state.personal.insert(token.clone(), login.to_owned());
        token
    }

    /// A repository, `owner/name`, whose `main` has one commit with these files.
    pub(crate) fn add_repository(
        &self,
        full_name: &str,
        private: bool,
        files: &[(&str, &str)],
    ) -> u64 {
        let git = self.new_git(full_name);
        let first = git.commit_files(&[], files, "First");
        git.run(&["update-ref", "refs/heads/main", &first]);
        self.register(full_name, private, git)
    }

    /// Somebody's fork of a repository, with its `main`.
    pub(crate) fn fork(&self, of: u64, owner: &str) -> u64 {
        let (source, name, private) = {
            let world = self.world();
            let source = world.state.repository(of);
            (source.git.clone(), source.name.clone(), source.private)
        };
        let full_name = format!("{owner}/{name}");
        let git = self.new_git(&full_name);
        let place = source.dir.display().to_string();
        git.run(&[
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            &place,
            "refs/heads/main:refs/heads/main",
        ]);
        self.register(&full_name, private, git)
    }

    fn new_git(&self, full_name: &str) -> Git {
        let folder = self.world().state.folder.join(full_name);
        Git::init(&folder.with_extension("git"))
    }

    fn register(&self, full_name: &str, private: bool, git: Git) -> u64 {
        let (owner, name) = full_name.split_once('/').expect("a name is owner/name");
        let state = &mut self.world().state;
        state.user(owner);
        let id = state.id();
        let repository = Repository {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private,
            git,
            rights: [(owner.to_owned(), Right::Admin)].into(),
            rules: Default::default(),
            pulls: Default::default(),
            comments: Vec::new(),
            runs: Vec::new(),
            statuses: Vec::new(),
            labels: Default::default(),
        };
        state.repositories.insert(id, repository);
        id
    }

    pub(crate) fn set_right(&self, repository: u64, login: &str, right: Right) {
        let state = &mut self.world().state;
        state.user(login);
        state.repository_mut(repository).rights.insert(login.to_owned(), right);
    }

    /// The active rules of a branch, as GitHub answers them.
    pub(crate) fn set_rules(&self, repository: u64, branch: &str, rules: Vec<Value>) {
        let state = &mut self.world().state;
        let repository = state.repository_mut(repository);
        repository.rules.insert(branch.to_owned(), rules);
        let refs = repository.rules.keys().map(|branch| format!("refs/heads/{branch}"));
        let guarded: Vec<_> = refs.filter(|name| repository.is_guarded(name)).collect();
        repository.git.guard(&guarded);
    }

    /// Pushes a commit with these files on top of a branch, which begins at `main` if it is new.
    pub(crate) fn push_commit(
        &self,
        repository: u64,
        branch: &str,
        files: &[(&str, &str)],
    ) -> String {
        let state = &mut self.world().state;
        let git = &state.repository(repository).git;
        let name = format!("refs/heads/{branch}");
        let stands = git.tip(&name);
        let parent = stands.clone().or_else(|| git.tip("refs/heads/main")).expect("main is there");
        let commit = git.commit_files(&[&parent], files, &format!("Change {branch}"));
        let before = stands.unwrap_or_else(|| ZERO.to_owned());
        git.update(&[(name, commit.clone(), Some(before))]).expect("nobody else pushes meanwhile");
        state.follow_git();
        commit
    }

    /// Opens a pull request on `main`; `head` is a branch, `owner:branch` of a fork.
    pub(crate) fn open_pull(&self, repository: u64, author: &str, head: &str) -> u64 {
        let (title, base) = (format!("Change {head}"), "main");
        let opened = pulls::Opened { title: &title, body: None, author, draft: false, head, base };
        pulls::open(&mut self.world().state, repository, &opened).expect("the branches are there")
    }

    /// Reviews a pull request: `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`.
    pub(crate) fn review(&self, repository: u64, number: u64, login: &str, verdict: &str) -> u64 {
        let state = &mut self.world().state;
        pulls::review(state, repository, number, login, verdict).expect("the pull request is there")
    }

    pub(crate) fn comment_as(&self, repository: u64, number: u64, login: &str, text: &str) -> u64 {
        let state = &mut self.world().state;
        issues::comment(state, repository, number, login, text).expect("the pull request is there")
    }

    /// A check run of another App.
    pub(crate) fn set_check_as(&self, repository: u64, app: u64, fields: &Value) -> u64 {
        let state = &mut self.world().state;
        checks::set_check(state, repository, app, None, fields).expect("the fields are GitHub's")
    }

    /// Deletes a fork; its pull requests stay, with the head they had.
    pub(crate) fn delete_repository(&self, id: u64) {
        let state = &mut self.world().state;
        state.repositories.remove(&id);
        let pulls = state.repositories.values_mut().flat_map(|it| it.pulls.values_mut());
        pulls.filter(|pull| pull.head_repository == Some(id)).for_each(Pull::lose_fork);
    }

    pub(crate) fn suspend_installation(&self, suspended: bool) {
        self.world().state.suspended = suspended;
    }

    pub(crate) fn advance_clock(&self, by: Duration) {
        self.world().state.ahead += by;
    }

    pub(crate) fn set_consistency(&self, consistency: Consistency) {
        self.world().state.consistency = consistency;
    }

    pub(crate) fn plan(&self, fault: Fault) {
        self.world().faults.add(fault);
    }

    /// What git says; it has to work.
    pub(crate) fn git(&self, repository: u64, arguments: &[&str]) -> String {
        let git = self.world().state.repository(repository).git.clone();
        git.run(arguments)
    }

    /// All requests so far, in order.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        self.world().journal.clone()
    }

    /// What was wrong so far; a test that expects it has taken it, and the rest fails at the end.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.world().violations)
    }
}
