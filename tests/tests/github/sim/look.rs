//! What a test sees of what was written: as people see it, without asking.

use serde_json::Value;

use super::GitHub;
use super::body::{self, Shown};
use super::state::CheckRun;

impl GitHub {
    /// What our check runs of a commit say at lines of files, in the order in which it was sent.
    pub(crate) fn annotations(&self, repository: u64, head: &str) -> Vec<Value> {
        let world = self.world();
        let app = world.state.app.id;
        let is_own = |run: &&CheckRun| {
            run.app == app && run.fields.get("head_sha").is_some_and(|sha| sha == head)
        };
        let runs = world.state.repository(repository).runs.iter();
        runs.filter(is_own).flat_map(|run| run.annotations.clone()).collect()
    }

    /// The check runs of our App for a commit, field by field as they were sent.
    pub(crate) fn own_checks(&self, repository: u64, head: &str) -> Vec<Value> {
        let world = self.world();
        let (app, repository) = (world.state.app.id, world.state.repository(repository));
        let of_head = repository.runs.iter().filter(|run| {
            run.app == app && run.fields.get("head_sha").is_some_and(|sha| sha == head)
        });
        of_head.map(|run| Value::Object(run.fields.clone().into_iter().collect())).collect()
    }

    /// The pull requests that somebody opened, in order, as they are now.
    pub(crate) fn pulls_of(&self, repository: u64, login: &str) -> Vec<Value> {
        let world = self.world();
        let repository = world.state.repository(repository);
        let theirs = repository.pulls.values().filter(|pull| pull.author == login);
        theirs.map(|pull| body::pull(&world.state, repository, pull, Shown::Told)).collect()
    }

    /// What somebody wrote on a pull request.
    pub(crate) fn written_by(&self, repository: u64, number: u64, login: &str) -> Vec<String> {
        let world = self.world();
        let comments = world.state.repository(repository).comments.iter();
        let theirs = comments.filter(|it| it.number == number && it.user == login);
        theirs.map(|comment| comment.body.clone()).collect()
    }

    /// How a pull request is shown: `open`, `merged`, or `closed` without.
    pub(crate) fn shown(&self, repository: u64, number: u64) -> &'static str {
        let world = self.world();
        match &world.state.repository(repository).pulls[&number] {
            pull if pull.open => "open",
            pull if pull.merged.is_some() => "merged",
            _ => "closed",
        }
    }

    /// What was said last of a commit under a status's name; nothing if nobody did.
    pub(crate) fn status(&self, repository: u64, sha: &str, context: &str) -> String {
        let world = self.world();
        let mut statuses = world.state.repository(repository).statuses.iter();
        let last = statuses.rfind(|it| it.sha == sha && it.context == context);
        last.map_or_else(String::new, |status| status.state.clone())
    }
}
