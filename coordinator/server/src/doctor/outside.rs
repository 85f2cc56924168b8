//! What a coordinator needs from elsewhere: git, and the repositories.

use std::path::Path;
use std::time::Duration;

use molt_proto::exit::Exit;
use molt_repo::{Git, Place};

use super::Finding;
use crate::config::{Config, RepoConfig};

/// How long a remote may take to say what its branch is.
const REACH: Duration = Duration::from_secs(10);

/// The repositories whose remotes git alone can tell of: of one that is GitHub's own address for
/// it, GitHub is asked.
pub(super) fn remotes(config: &Config) -> Vec<RepoConfig> {
    let is_told = |repo: &&RepoConfig| match (&config.github, &repo.github) {
        (Some(github), Some(slug)) => slug.remote(&github.api) == repo.remote,
        _ => false,
    };
    config.repos.iter().filter(|repo| !is_told(repo)).cloned().collect()
}

/// Looks for git, and at every repository's branch.
pub(super) async fn examine(repos: Vec<RepoConfig>) -> Vec<Finding> {
    let looked = tokio::task::spawn_blocking(move || look(&repos)).await;
    looked.unwrap_or_else(|error| vec![Finding::fail("git", Exit::Bug, error.to_string())])
}

fn look(repos: &[RepoConfig]) -> Vec<Finding> {
    let git = match Git::find() {
        Ok(git) => git.with_limit(REACH),
        Err(error) => {
            let detail = crate::reconcile::chain(&error);
            return vec![Finding::fail("git", Exit::Usage, detail)];
        }
    };
    let mut findings = vec![Finding::ok("git", git.version().to_string())];
    findings.extend(repos.iter().map(|repo| remote(&git, repo)));
    findings
}

fn remote(git: &Git, repo: &RepoConfig) -> Finding {
    let RepoConfig { name, remote, branch, .. } = repo;
    let call = git.call(Place::Within(Path::new("."))).args(["ls-remote", "--exit-code", "--"]);
    match call.args([remote.as_str(), &format!("refs/heads/{branch}")]).run() {
        Ok(printed) => {
            let printed = String::from_utf8_lossy(&printed).into_owned();
            let commit = printed.split_whitespace().next().unwrap_or_default();
            let commit = commit.get(..10).unwrap_or(commit);
            Finding::ok("remote", format!("{name}: {branch} at {commit}"))
        }
        Err(error) => {
            let detail = format!("{name}: {branch}: {}", crate::reconcile::chain(&error));
            Finding::fail("remote", Exit::Unavailable, detail)
        }
    }
}
