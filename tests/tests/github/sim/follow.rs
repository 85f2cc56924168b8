//! What becomes of pull requests when refs move, whoever moved them: git is read, and followed.
//!
//! Heads follow their branches, what arrived in its base is merged, and what lost its branch is
//! closed. A base that somebody moved back is a complaint: what was on it would be lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::events;
use super::git::{Git, ZERO};
use super::state::{Repositories, State};

/// Who moved refs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mover<'a> {
    /// The test itself, as somebody, may do anything.
    Test(&'a str),
    /// Whoever asked, by a request.
    Asker(&'a str),
}

impl Mover<'_> {
    fn login(&self) -> &str {
        let (Self::Test(login) | Self::Asker(login)) = self;
        login
    }
}

/// A ref that moved: the zero id is where one is that isn't there.
struct Step {
    repository: u64,
    name: String,
    before: String,
    after: String,
}

impl State {
    /// Reads git after refs may have moved. Says whether somebody moved any.
    pub(super) fn follow_git(&mut self, by: Mover<'_>) -> bool {
        let steps = self.steps();
        for step in &steps {
            self.complain_of_rewinds(step, by);
            events::push(
                self,
                step.repository,
                (&step.name, &step.before, &step.after),
                by.login(),
            );
        }
        for step in &steps {
            if let Some(branch) = step.name.strip_prefix("refs/heads/") {
                self.follow_head(step, branch, by.login());
            }
        }
        for step in &steps {
            if let Some(branch) = step.name.strip_prefix("refs/heads/") {
                self.follow_base(step, branch);
            }
        }
        if !steps.is_empty() {
            self.merge_what_arrived(&steps, by.login());
        }
        steps.iter().any(|step| !step.name.starts_with("refs/pull/"))
    }

    /// What moved since git was read last, which is now.
    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for repository in self.repositories.values_mut() {
            let refs = repository.git.refs();
            if *repository.refs == refs {
                continue;
            }
            let known = std::mem::replace(&mut repository.refs, Arc::new(refs));
            let stood = |refs: &BTreeMap<String, String>, name: &String| {
                refs.get(name).cloned().unwrap_or_else(|| ZERO.to_owned())
            };
            let mut names: Vec<_> = known.keys().chain(repository.refs.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let (before, after) = (stood(&known, name), stood(&repository.refs, name));
                if before != after {
                    steps.push(Step {
                        repository: repository.id,
                        name: name.clone(),
                        before,
                        after,
                    });
                }
            }
        }
        steps
    }

    /// Nobody who asks may take from a base what was on it.
    fn complain_of_rewinds(&mut self, step: &Step, by: Mover<'_>) {
        let Mover::Asker(login) = by else { return };
        let repository = self.repository(step.repository);
        let Some(branch) = step.name.strip_prefix("refs/heads/") else { return };
        let is_base = branch == "main" || repository.pulls.values().any(|pull| pull.base == branch);
        if !is_base || step.before == ZERO || repository.git.is_ancestor(&step.before, &step.after)
        {
            return;
        }
        let complaint = format!(
            "{login} moved {} of {} from {} to {}, which is not after it",
            step.name,
            repository.full_name(),
            step.before,
            step.after
        );
        self.complaints.push(complaint);
    }

    /// Pull requests whose head is this branch have its tip now, or are closed with it.
    fn follow_head(&mut self, step: &Step, branch: &str, by: &str) {
        let (now, requests) = (self.now(), self.requests);
        let nulls = self.consistency.mergeable_null_reads;
        let source = self.repository(step.repository).git.clone();
        let mut told = Vec::new();
        for repository in self.repositories.values_mut() {
            let (id, git) = (repository.id, repository.git.clone());
            for pull in repository.pulls.values_mut() {
                let its = pull.head == branch && pull.head_repository == Some(step.repository);
                if !pull.open || !its || pull.head_now() == step.after {
                    continue;
                }
                pull.updated = now;
                if step.after == ZERO {
                    (pull.open, pull.closed, pull.auto_merge) = (false, Some(now), None);
                    told.push((id, pull.number, "closed", json!({})));
                    continue;
                }
                show_head(&git, &source, pull.number, &step.after);
                let before = pull.head_now().to_owned();
                pull.heads.push((requests, step.after.clone()));
                pull.unknown = nulls;
                let more = json!({ "before": before, "after": step.after });
                told.push((id, pull.number, "synchronize", more));
            }
        }
        for (id, number, action, more) in told {
            events::pull(self, (id, number), action, by, &more);
        }
    }

    /// Whether pull requests on this branch merge is to be worked out again.
    fn follow_base(&mut self, step: &Step, branch: &str) {
        let nulls = self.consistency.mergeable_null_reads;
        let pulls = self.repository_mut(step.repository).pulls.values_mut();
        pulls.filter(|pull| pull.open && pull.base == branch).for_each(|pull| pull.unknown = nulls);
    }

    /// Closes as merged what its base has by now.
    fn merge_what_arrived(&mut self, steps: &[Step], by: &str) {
        let now = self.now();
        let mut merged = Vec::new();
        for id in steps.iter().map(|step| step.repository) {
            let repository = self.repository_mut(id);
            let (git, refs) = (repository.git.clone(), Arc::clone(&repository.refs));
            for pull in repository.pulls.values_mut().filter(|pull| pull.open) {
                let Some(base) = refs.get(&format!("refs/heads/{}", pull.base)) else { continue };
                if git.is_ancestor(pull.head_now(), base) {
                    pull.open = false;
                    pull.merged = Some(base.clone());
                    pull.merged_by = Some(by.to_owned());
                    (pull.closed, pull.updated, pull.auto_merge) = (Some(now), now, None);
                    merged.push((id, pull.number));
                }
            }
        }
        for at in merged {
            events::pull(self, at, "closed", by, &json!({}));
        }
    }

    /// The repositories as they were: refs stand where they stood, whatever has become of them.
    pub(super) fn as_they_are(&self) -> Repositories {
        let mut copies = self.repositories.clone();
        for copy in copies.values_mut() {
            copy.git.stood = Some(Arc::clone(&copy.refs));
        }
        copies
    }
}

/// Has the repository show where a pull request's head stands, from whatever repository it is in.
pub(super) fn show_head(git: &Git, source: &Git, number: u64, tip: &str) {
    let place = source.dir.display().to_string();
    let shown = format!("+{tip}:refs/pull/{number}/head");
    git.run(&["fetch", "--quiet", "--no-write-fetch-head", &place, &shown]);
}
