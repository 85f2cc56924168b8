//! Making the candidate of the first car: base and head merged and published.

use std::collections::BTreeMap;

use molt_domain::board::Command;
use molt_domain::name::GateName;
use molt_domain::policy::{Method, POLICY_FILE, Repo};
use molt_domain::train::{Candidate, Car};
use molt_forge::RefId;
use molt_repo::{CandidateIdentity, Inputs, InvalidOid, Merge, Oid, RepoError};
use tracing::info;

use super::{Places, Step, Train, TrainError, read_policy};

/// Characters of what is wrong with a policy that its proposer is told.
const TOLD: usize = 1000;

impl Train {
    /// Merges a car with the base and tells the board what came of it.
    pub(super) async fn propose(&self, repo: Repo, car: Car) -> Result<Step, TrainError> {
        let id = car.id;
        let command = self.blocking(move |git| make(git, &repo, &car)).await?;
        info!(phase = "train", car = %id, "candidate made");
        self.handle.own(command).await?;
        Ok(Step::Again)
    }
}

fn make(git: &Places, repo: &Repo, car: &Car) -> Result<Command, TrainError> {
    let unmergeable = |reason: String| Command::Unmergeable { car: car.id, reason };
    let ids: Result<(Oid, Oid), InvalidOid> =
        car.head.parse().and_then(|head| Ok((head, repo.base.parse()?)));
    let (head, base) = match ids {
        Ok(ids) => ids,
        Err(error) => return Ok(unmergeable(error.to_string())),
    };
    let method = match repo.policy.merge.method {
        Method::Merge => molt_repo::Method::Merge,
        Method::Ff => molt_repo::Method::FastForward,
        Method::Squash => molt_repo::Method::Squash,
        Method::Rebase => molt_repo::Method::Rebase,
    };
    let mut merged = git.mirror.merge(&base, &head, method, &identity(car));
    if matches!(merged, Err(RepoError::MissingCommit { .. })) {
        // The change may have been pushed after the base was fetched.
        git.obtain(car)?;
        merged = git.mirror.merge(&base, &head, method, &identity(car));
    }
    match merged {
        Ok(Merge::Clean { commit, tree }) => {
            let candidate = describe(git, repo, car, &base, &commit, &tree)?;
            Ok(Command::SetCandidate { car: car.id, candidate })
        }
        Ok(Merge::Conflict { paths }) => {
            let paths = paths.iter().map(ToString::to_string).collect();
            Ok(Command::Conflict { car: car.id, base: repo.base.clone(), paths })
        }
        Ok(Merge::UpToDate) => Ok(unmergeable("the base holds this head already".to_owned())),
        Ok(Merge::Nothing) => {
            Ok(unmergeable("the base has all that it changes already".to_owned()))
        }
        Ok(Merge::Diverged) => {
            let reason = format!("the head does not descend from {}: rebase it", repo.base);
            Ok(unmergeable(reason))
        }
        Ok(Merge::HasMerge { commit }) => Ok(unmergeable(format!(
            "{commit} of it is a merge, and only single commits are carried"
        ))),
        Ok(Merge::TooMany { limit }) => {
            Ok(unmergeable(format!("it has more than the {limit} commits that are carried")))
        }
        Err(error @ (RepoError::MissingCommit { .. } | RepoError::Unrelated { .. })) => {
            Ok(unmergeable(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// All of it comes from the car alone, so that a redo has the same id.
fn identity(car: &Car) -> CandidateIdentity {
    let body = if car.body.is_empty() { String::new() } else { format!("{}\n\n", car.body) };
    let overrides = car.overrides.iter().map(|it| format!("Molt-Override: {it}\n"));
    let overrides: String = overrides.collect();
    CandidateIdentity {
        name: car.agent.to_string(),
        email: "train@molt.invalid".to_owned(),
        message: format!("{}\n\n{body}", car.title),
        trailers: format!(
            "Molt-Car: {}\nMolt-Head: {}\nMolt-Agent: {}\n{overrides}",
            car.id, car.head, car.agent
        ),
        time: car.proposed / 1000,
    }
}

fn describe(
    git: &Places,
    repo: &Repo,
    car: &Car,
    base: &Oid,
    commit: &Oid,
    tree: &Oid,
) -> Result<Candidate, TrainError> {
    let mut changed = Vec::new();
    let mut odd = 0;
    for path in git.mirror.changed_paths(base, commit)? {
        match path.path.as_text() {
            Some(text) => changed.push(text.to_owned()),
            None => odd += 1,
        }
    }
    changed.sort();
    changed.dedup();
    let unreadable = unreadable(git, commit, &changed)?;
    let short = commit.as_str().get(..12).unwrap_or(commit.as_str());
    let id: RefId = format!("{}-{short}", car.id).parse()?;
    let published: molt_forge::Oid = match commit.as_str().parse() {
        Ok(oid) => oid,
        Err(_) => unreachable!("both crates take the ids that git makes"),
    };
    git.forge.publish_candidate(&id, &published)?;
    Ok(Candidate {
        base: base.to_string(),
        commit: commit.to_string(),
        tree: tree.to_string(),
        from: format!("refs/molt/train/{id}"),
        changed,
        odd,
        unreadable,
        protected: Vec::new(),
        inputs: inputs(git, repo, commit)?,
        base_inputs: inputs(git, repo, base)?,
    })
}

/// Why the policy would not read once the commit landed, where it changes the policy.
fn unreadable(
    git: &Places,
    commit: &Oid,
    changed: &[String],
) -> Result<Option<String>, TrainError> {
    if !changed.iter().any(|path| path == POLICY_FILE) {
        return Ok(None);
    }
    let problem = read_policy(git.mirror.read_file(commit, POLICY_FILE)?).err();
    Ok(problem.map(|problem| problem.chars().take(TOLD).collect()))
}

/// The digest of each required run gate's inputs in a commit: the whole tree.
fn inputs(
    git: &Places,
    repo: &Repo,
    commit: &Oid,
) -> Result<BTreeMap<GateName, String>, TrainError> {
    let digest = git.mirror.input_tree(commit, Inputs::Everything)?.to_string();
    let required = repo.policy.merge.required.iter();
    let runs = required.filter(|name| repo.policy.gates.contains_key(*name));
    Ok(runs.map(|name| (name.clone(), digest.clone())).collect())
}
