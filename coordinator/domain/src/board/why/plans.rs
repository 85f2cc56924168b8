//! Why work is whose: the share that a plan has it in.

use std::fmt::Display;

use super::Why;
use crate::board::display_list;
use crate::plan::{By, Plan, Share};
use crate::scope::ScopeName;
use crate::session::Session;
use crate::task::{State, Task};

impl Why<'_> {
    /// The share that an open task is in.
    pub(super) fn share_with_task(&self, task: &Task) -> Option<String> {
        let tables = &self.board.tables;
        let (plan, repo) = (tables.plans.get(&task.repo)?, tables.repos.get(&task.repo)?);
        if task.state != State::Open {
            return None;
        }
        Some(match plan.share_with(task, &repo.policy.scopes) {
            Some(at) => self.share_line(plan, at, display_list(&task.scopes)),
            None => "plan     in no share: whoever has nothing of its own takes it".to_owned(),
        })
    }

    /// The share that a session has.
    pub(super) fn share_of_session(&self, session: &Session) -> Option<String> {
        let plan = self.board.tables.plans.get(&session.repo)?;
        let at = plan.share_of(session.id)?;
        Some(self.share_line(plan, at, display_list(&plan.shares[at].scopes)))
    }

    /// The shares that plans have a scope in, and what it is tied to there.
    pub(super) fn shares_with_scope(&self, name: &ScopeName) -> Vec<String> {
        let mut lines = Vec::new();
        for plan in self.board.tables.plans.values() {
            let has = |share: &Share| share.scopes.contains(name);
            let Some(at) = plan.shares.iter().position(has) else { continue };
            lines.push(self.share_line(plan, at, name));
            let tied = plan.ties.iter().filter(|tie| tie.left == *name || tie.right == *name);
            lines.extend(tied.take(3).map(|tie| {
                let other = if tie.left == *name { &tie.right } else { &tie.left };
                match &tie.by {
                    By::Family => format!("with     {other}: one family"),
                    By::Overlap { witness } => format!("with     {other}: e.g. {witness}"),
                    By::Task { task } => format!("with     {other}: {task} touches both"),
                }
            }));
        }
        lines
    }

    fn share_line(&self, plan: &Plan, at: usize, what: impl Display) -> String {
        let shares = plan.shares.len();
        let holder = plan.shares[at].session;
        let holder = holder.filter(|it| self.board.tables.sessions.contains_key(it));
        let whose = holder.map_or_else(|| "nobody's yet".to_owned(), |id| self.name(id) + "'s");
        format!("plan     share {} of {shares}, {whose}: {what}", at + 1)
    }
}
