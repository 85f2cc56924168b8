//! Tasks: adding work, dealing it and ending it.

use molt_domain::board::{Command, Invalid};
use molt_domain::task::{End, New};

use super::field;
use crate::v1;

/// Makes an end of the reason for it.
type EndFor = fn(String) -> End;

const ENDS: [(&str, EndFor); 4] =
    [("done", |_| End::Done), ("fail", End::Fail), ("block", End::Block), ("return", End::Return)];

impl TryFrom<v1::AddTask> for Command {
    type Error = Invalid;

    fn try_from(task: v1::AddTask) -> Result<Self, Invalid> {
        field::counted("needs", &task.needs, 64)?;
        Ok(Self::AddTask(New {
            title: task.title,
            body: task.body,
            priority: task.priority,
            needs: field::all("needs", &task.needs)?,
            scopes: field::scopes(&task.scopes)?,
            acceptance: task.acceptance,
        }))
    }
}

impl TryFrom<v1::EndTask> for Command {
    type Error = Invalid;

    fn try_from(end: v1::EndTask) -> Result<Self, Invalid> {
        let v1::EndTask { task, end, reason } = end;
        let end = field::word("end", &end, &ENDS)?(reason);
        Ok(Self::EndTask { task: field::parse("task", &task)?, end })
    }
}

impl TryFrom<v1::PlanScopes> for Command {
    type Error = Invalid;

    fn try_from(plan: v1::PlanScopes) -> Result<Self, Invalid> {
        let v1::PlanScopes { repo, agents } = plan;
        Ok(Self::PlanScopes { repo: field::parse("repo", &repo)?, agents })
    }
}

impl TryFrom<v1::ReopenTask> for Command {
    type Error = Invalid;

    fn try_from(reopen: v1::ReopenTask) -> Result<Self, Invalid> {
        let v1::ReopenTask { task, reason } = reopen;
        Ok(Self::ReopenTask { task: field::parse("task", &task)?, reason })
    }
}
