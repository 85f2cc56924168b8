//! A plan: who is to begin where, why scopes go together, and what nobody was dealt.

use molt_domain::board::{Board, Refusal};
use molt_domain::id::SessionId;
use molt_domain::plan::{By, Deal};
use molt_domain::policy::Repo;
use molt_domain::task::{State, Task};

use super::{MAX_ROWS, name_of, texts};
use crate::v1;

/// Rows of a part of a plan at most: it has several parts.
const ROWS: usize = MAX_ROWS / 5;

/// The plan in force, or with `agents` what would be dealt.
pub(super) fn plan(board: &Board, repo: &Repo, agents: u32) -> Result<v1::PlanView, Box<Refusal>> {
    if agents > 0 {
        return Ok(view(board, repo, &board.dealt(repo, agents)?, &[]));
    }
    let Some((plan, deal)) = board.planned(repo) else {
        let (kind, name) = ("plan of".to_owned(), repo.name.to_string());
        return Err(Refusal::NotFound { kind, name, nearest: None }.into());
    };
    let holders: Vec<Option<SessionId>> = plan.shares.iter().map(|share| share.session).collect();
    Ok(view(board, repo, &deal, &holders))
}

fn view(board: &Board, repo: &Repo, deal: &Deal, holders: &[Option<SessionId>]) -> v1::PlanView {
    let shares = deal.shares.iter().zip(&deal.tasks).enumerate();
    let shares = shares.map(|(at, (scopes, tasks))| v1::ShareView {
        number: number(at),
        scopes: texts(scopes),
        tasks: texts(tasks.iter().take(ROWS)),
        ready: super::count(tasks.iter()),
        holder: holder(board, holders.get(at).copied().flatten()),
    });
    let ties = deal.ties.iter().take(ROWS).map(|tie| v1::TieView {
        left: tie.left.to_string(),
        right: tie.right.to_string(),
        why: match &tie.by {
            By::Family => "one family".to_owned(),
            By::Overlap { witness } => format!("e.g. {witness}"),
            By::Task { task } => format!("{task} touches both"),
        },
    });
    let left = deal.left.iter().take(ROWS);
    let left =
        left.map(|(task, why)| v1::LeftView { task: task.to_string(), reason: why.to_string() });
    v1::PlanView {
        repo: repo.name.to_string(),
        shares: shares.collect(),
        ties: ties.collect(),
        left: left.collect(),
        left_count: super::count(deal.left.iter()),
    }
}

/// The share that an open or taken task is in, in words; empty for none.
pub(super) fn share(board: &Board, task: &Task) -> String {
    let tables = board.tables();
    let (Some(plan), Some(repo)) = (tables.plans.get(&task.repo), tables.repos.get(&task.repo))
    else {
        return String::new();
    };
    if !matches!(task.state, State::Open | State::Taken { .. }) {
        return String::new();
    }
    let Some(at) = plan.share_with(task, &repo.policy.scopes) else { return String::new() };
    let whose = match holder(board, plan.shares[at].session) {
        name if name.is_empty() => "nobody's".to_owned(),
        name => format!("{name}'s"),
    };
    format!("{} of {}, {whose}", number(at), plan.shares.len())
}

fn number(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}

/// Who has a share, as long as that session is there.
fn holder(board: &Board, session: Option<SessionId>) -> String {
    let there = session.filter(|id| board.tables().sessions.contains_key(id));
    there.map(|id| name_of(board, id)).unwrap_or_default()
}
