//! What the base of a repository says, as it was last read.

use crate::board::{BaseMove, Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::name::RepoName;
use crate::policy::{Policy, Repo};
use crate::{claim, plan, slot, train, wait};

/// The format whose programs know how commits of our own land in place of a change's.
const OWN_COMMITS: u32 = 3;

/// A policy as far as the store's format has words for it: an older program may lead next.
fn writable<'p>(draft: &Draft<'_>, policy: &'p Policy) -> Result<&'p Policy, String> {
    let method = policy.merge.method;
    if method.lands_the_head() || draft.has_format(OWN_COMMITS) || fault!(FormatIgnored) {
        return Ok(policy);
    }
    let method = method.as_str();
    Err(format!("merge.method: `{method}` takes format {OWN_COMMITS} of the store: raise it"))
}

/// Takes what a reconciler read from the base.
///
/// A policy that cannot be read leaves the last readable one in force for claims, and closes
/// the train.
pub(crate) fn read_base(
    draft: &mut Draft<'_>,
    name: &RepoName,
    branch: &str,
    commit: &str,
    tree: &str,
    policy: &Result<Policy, String>,
) -> Result<Reply, Box<Refusal>> {
    let before = draft.tables.repos.get(name).cloned();
    let policy = policy.as_ref().map_err(Clone::clone).and_then(|it| writable(draft, it));
    let (policy, unreadable) = match (policy, &before) {
        (Ok(policy), _) => (policy.clone(), None),
        (Err(reason), Some(before)) => (before.policy.clone(), Some(reason)),
        (Err(reason), None) => return Err(Refusal::Closed { reason }.into()),
    };
    let repo = Repo {
        name: name.clone(),
        branch: branch.to_owned(),
        base: commit.to_owned(),
        tree: tree.to_owned(),
        policy,
        unreadable,
        accepted: before.as_ref().map(|before| before.accepted.clone()).unwrap_or_default(),
    };
    if before.as_ref() == Some(&repo) {
        return Ok(Reply::Done);
    }
    let moved = before.as_ref().is_none_or(|before| before.base != repo.base);
    let ruled = before.as_ref().is_none_or(|before| before.policy != repo.policy);
    if moved {
        let by = match &before {
            None => BaseMove::First,
            // Read back before the landing was confirmed: it is the train's own move.
            Some(_) if train::lands(draft, name, commit) => BaseMove::Landing,
            Some(_) => BaseMove::Outside,
        };
        draft.record(Event::BaseRead {
            repo: name.clone(),
            branch: repo.branch.clone(),
            commit: repo.base.clone(),
            tree: repo.tree.clone(),
            policy: repo.policy.digest.clone(),
            by,
        });
    } else if ruled {
        // A landing that changed the policy is confirmed before the policy is read.
        draft.record(Event::PolicyRead {
            repo: name.clone(),
            commit: repo.base.clone(),
            policy: repo.policy.digest.clone(),
        });
    }
    if let Some(reason) = &repo.unreadable {
        draft.record(Event::PolicyUnreadable {
            repo: name.clone(),
            commit: repo.base.clone(),
            reason: reason.clone(),
        });
    }
    let digest = Some(repo.policy.digest.clone());
    draft.tables.repos.put(name.clone(), repo);
    if moved || ruled {
        train::void_candidates(draft, name);
    }
    if ruled {
        if draft.tables.plans.get(name).is_some_and(|plan| Some(&plan.policy) != digest.as_ref()) {
            plan::ended(draft, name, "the policy is another one: plan again");
        }
        slot::resize(draft);
        wait::break_circles(draft, name);
    }
    claim::serve(draft, name);
    Ok(Reply::Done)
}
