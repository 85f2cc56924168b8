//! What a plan does: it is made and ended, and tells `next` whose work is whose.

use std::sync::Arc;

use super::{Deal, MAX_AGENTS, MAX_BYTES, Places, Plan, Share, deal};
use crate::board::{Board, Caller, Draft, Event, Invalid, Refusal, Reply};
use crate::fault::fault;
use crate::id::SessionId;
use crate::name::RepoName;
use crate::policy::Repo;
use crate::scope::ScopeName;
use crate::session::Session;
use crate::task::{State, Task};

/// Deals the ready work anew, or ends the plan with `agents` 0.
pub(crate) fn make(
    draft: &mut Draft<'_>,
    caller: &Caller,
    name: &RepoName,
    agents: u32,
) -> Result<Reply, Box<Refusal>> {
    if !matches!(caller, Caller::Operator(_)) {
        let (what, needs) = ("dealing work".to_owned(), "an operator".to_owned());
        return Err(Refusal::Forbidden { what, needs }.into());
    }
    let repo = draft.repo(name)?;
    if agents == 0 {
        ended(draft, name, "an operator ended it");
        return Ok(Reply::Done);
    }
    let plan = made(draft, &repo, agents)?;
    draft.record(Event::Planned {
        repo: name.clone(),
        shares: plan.shares.iter().map(|share| share.scopes.clone()).collect(),
    });
    draft.tables.plans.put(name.clone(), plan);
    Ok(Reply::Done)
}

fn made(draft: &Draft<'_>, repo: &Repo, agents: u32) -> Result<Plan, Box<Refusal>> {
    let Deal { shares, ties, .. } = dealt(draft.board(), repo, agents)?;
    let mut shares: Vec<Share> =
        shares.into_iter().map(|scopes| Share { scopes, session: None }).collect();
    // Whoever had a share goes on with what is most like it.
    let before = draft.tables.plans.get(&repo.name);
    for old in before.into_iter().flat_map(|plan| &plan.shares) {
        let Some(session) = old.session.filter(|it| is_there(draft, *it)) else { continue };
        let common =
            |share: &Share| share.scopes.iter().filter(|it| old.scopes.contains(it)).count();
        let free = shares.iter_mut().filter(|share| share.session.is_none() && common(share) > 0);
        let most =
            free.enumerate().max_by_key(|(at, share)| (common(share), std::cmp::Reverse(*at)));
        if let Some((_, share)) = most {
            share.session = Some(session);
        }
    }
    // And whoever is at work has the share that its work is in.
    let (name, policy) = (repo.name.clone(), repo.policy.digest.clone());
    let mut plan = Plan { repo: name, policy, shares, ties, made: draft.now.board };
    for task in draft.board().taken_tasks(&repo.name) {
        let State::Taken { session, .. } = task.state else { continue };
        let share = plan.share_with(task, &repo.policy.scopes);
        let free = share.filter(|at| plan.shares[*at].session.is_none());
        if let (Some(at), None) = (free, plan.share_of(session)) {
            plan.shares[at].session = Some(session);
        }
    }
    if size(&plan) > MAX_BYTES {
        // Why scopes are together can be worked out again; who has them can not.
        plan.ties.clear();
    }
    let size = size(&plan);
    if size > MAX_BYTES {
        let problem = format!("the open tasks name so many scopes that the plan has {size} bytes");
        return Err(Invalid::field("tasks", format!("{problem}, more than {MAX_BYTES}")).into());
    }
    Ok(plan)
}

/// Bytes of a plan's record once every share is taken.
fn size(plan: &Plan) -> usize {
    const TAKEN: usize = r#","session":"ses_0123456789abc""#.len();
    let written = serde_json::to_vec(plan).map_or(usize::MAX, |json| json.len());
    written.saturating_add(plan.shares.len() * TAKEN)
}

fn dealt(board: &Board, repo: &Repo, agents: u32) -> Result<Deal, Box<Refusal>> {
    if !(1..=MAX_AGENTS).contains(&agents) {
        let problem = format!("{agents} is not 1 to {MAX_AGENTS}");
        return Err(Invalid::field("agents", problem).into());
    }
    Ok(deal(board, repo, agents))
}

impl Board {
    /// How the ready work of a repository would be dealt over `agents`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] for no agents or too many.
    pub fn dealt(&self, repo: &Repo, agents: u32) -> Result<Deal, Box<Refusal>> {
        dealt(self, repo, agents)
    }

    /// What the plan in force makes of the work as it is now.
    #[must_use]
    pub fn planned(&self, repo: &Repo) -> Option<(&Plan, Deal)> {
        let plan = self.tables().plans.get(&repo.name)?;
        let shares = plan.shares.iter().map(|share| share.scopes.clone()).collect();
        Some((plan, deal::shown(self, repo, shares, plan.ties.clone())))
    }
}

/// Ends the plan of a repository, if there is one.
pub(crate) fn ended(draft: &mut Draft<'_>, name: &RepoName, reason: &str) {
    if draft.tables.plans.get(name).is_some() {
        draft.record(Event::PlanEnded { repo: name.clone(), reason: reason.to_owned() });
        draft.tables.plans.delete(name);
    }
}

fn is_there(draft: &Draft<'_>, session: SessionId) -> bool {
    draft.tables.sessions.get(&session).is_some()
}

/// Whose work a task is, seen by who asks for work: what comes first is taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// It is in the caller's own share, or in the one that it would begin with.
    Own,
    /// It is in no share.
    Nobodys,
    /// It is in a share that nobody has.
    Free,
    /// It is in the share of another agent, which has not taken it.
    Others,
}

/// What a plan says to an agent who asks for work.
pub(crate) struct Guide {
    repo: Arc<Repo>,
    plan: Plan,
    places: Places,
    own: Option<usize>,
    free: Vec<bool>,
}

impl Guide {
    /// The plan of the session's repository, if there is one.
    pub(crate) fn of(draft: &Draft<'_>, session: &Session, repo: Arc<Repo>) -> Option<Self> {
        let plan = draft.tables.plans.get(&session.repo)?.clone();
        if fault!(PlanIgnored) {
            return None;
        }
        let places = Places::of(plan.shares.iter().map(|share| share.scopes.as_slice()));
        let free = plan.shares.iter().map(|it| it.session.is_none_or(|it| !is_there(draft, it)));
        let free = free.collect();
        let own = plan.share_of(session.id);
        Some(Self { repo, plan, places, own, free })
    }

    fn share(&self, scopes: &[ScopeName]) -> Option<usize> {
        self.places.share(scopes, &self.repo.policy.scopes)
    }

    /// When the turn of tasks with these scopes is.
    pub(crate) fn turn(&self, scopes: &[ScopeName]) -> Turn {
        match (self.share(scopes), self.own) {
            (None, _) => Turn::Nobodys,
            (Some(share), Some(own)) if share == own => Turn::Own,
            (Some(share), None) if self.free[share] => Turn::Own,
            (Some(share), Some(_)) if self.free[share] => Turn::Free,
            (Some(_), _) => Turn::Others,
        }
    }

    /// Gives a session that has no share the one that it begins with, if it is free.
    pub(crate) fn taken(self, draft: &mut Draft<'_>, session: &Session, task: &Task) {
        let Some(share) = self.share(&task.scopes) else { return };
        if self.own.is_some() || !self.free[share] {
            return;
        }
        let mut plan = self.plan;
        plan.shares[share].session = Some(session.id);
        draft.record(Event::ShareTaken {
            repo: plan.repo.clone(),
            share: u32::try_from(share + 1).unwrap_or(u32::MAX),
            session: session.id,
            name: session.name.clone(),
        });
        draft.tables.plans.put(plan.repo.clone(), plan);
    }
}
