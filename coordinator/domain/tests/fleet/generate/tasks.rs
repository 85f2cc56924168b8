//! Commands on work.

use molt_domain::board::{Board, Command, Request};
use molt_domain::id::TaskId;
use molt_domain::scope::ScopeName;
use molt_domain::task;

use super::Generator;

impl Generator {
    pub(super) fn of_tasks(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        let tasks: Vec<TaskId> = tables.tasks.keys().rev().take(40).copied().collect();
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        let command = match kind {
            "add-task" => {
                let open =
                    tables.tasks.values().filter(|task| task.state == task::State::Open).count();
                if open > 12 {
                    return None;
                }
                let mut needs = Vec::new();
                if self.random.percent(30) {
                    needs.extend(self.random.pick(&tasks).copied());
                }
                if self.random.percent(5) {
                    needs.push(TaskId::from_counter(u64::MAX));
                }
                let count = self.random.below(3);
                let mut scopes: Vec<ScopeName> = self.scopes();
                scopes.truncate(count);
                let priority = self.random.below(3) as i32;
                let title = format!("task {}", self.made());
                let (body, acceptance) = (String::new(), String::new());
                Command::AddTask(task::New { title, body, priority, needs, scopes, acceptance })
            }
            "next" => Command::Next,
            _ => {
                let mine = tables.tasks.values().find(|task| {
                    matches!(task.state, task::State::Taken { session, .. } if session == me)
                });
                let mine = mine.map(|task| task.id).filter(|_| self.random.percent(90));
                let other = self.random.pick(&tasks).copied().filter(|_| self.random.percent(15));
                let why = "because".to_owned();
                let end = match self.random.below(8) {
                    0 => task::End::Fail(why),
                    1 => task::End::Block(why),
                    2 => task::End::Return(why),
                    _ => task::End::Done,
                };
                Command::EndTask { task: mine.or(other)?, end }
            }
        };
        Some(self.by_agent(at, command))
    }

    /// Mostly a task that waits for a person.
    pub(super) fn reopen(&mut self, board: &Board) -> Option<Request> {
        let blocked = |task: &task::Task| matches!(task.state, task::State::Blocked { .. });
        let any = self.random.percent(20);
        let tasks: Vec<TaskId> = board
            .tables()
            .tasks
            .values()
            .filter(|task| any || blocked(task))
            .map(|task| task.id)
            .collect();
        let task = *self.random.pick(&tasks)?;
        let reason = self.reason();
        Some(self.operator(Command::ReopenTask { task, reason }))
    }
}
