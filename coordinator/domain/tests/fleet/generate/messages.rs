//! What agents tell each other, and how they read it: in turn, again, and too late.

use molt_domain::board::{Board, Command, Request};
use molt_domain::id::{MessageId, SessionId, TaskId};
use molt_domain::message::{Addressee, MAX_INBOX};
use molt_domain::report::{Micro, Word};
use molt_domain::session::Session;

use super::super::Deed;
use super::super::policy::{SCOPES, name};
use super::Generator;

impl Generator {
    pub(super) fn of_messages(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        if kind == "read-inbox" {
            let (after, limit) = (self.cursor(me, board), 1 + self.random.below(8));
            return Some(self.by_agent(at, Command::ReadInbox { after, limit }));
        }
        if kind == "report" {
            let command = self.report(me, board);
            return Some(self.by_agent(at, command));
        }
        let to = self.addressee(board)?;
        let text = if self.random.percent(5) { "" } else { "mind the gap" }.to_owned();
        let command = Command::Send { to, text };
        // Now and then more than an inbox keeps.
        if self.random.percent(5) {
            for _ in 0..MAX_INBOX + 5 {
                let request = self.by_agent(at, command.clone());
                self.ahead.push_back(Deed::Ask(Box::new(request)));
            }
            // Then everybody looks, once what is too much is gone.
            self.ahead.push_back(Deed::Ask(Box::new(Request::own(Command::Tick))));
            for at in 0..self.agents.len() {
                if self.agents[at].shown.is_some() {
                    let read = Command::ReadInbox { after: None, limit: 8 };
                    let request = self.by_agent(at, read);
                    self.ahead.push_back(Deed::Ask(Box::new(request)));
                }
            }
        }
        Some(self.by_agent(at, command))
    }

    /// Of what it has, or had, or never had.
    fn report(&mut self, me: SessionId, board: &Board) -> Command {
        let tasks = || board.tables().tasks.values();
        let mine: Vec<TaskId> =
            tasks().filter(|it| it.holder() == Some(me)).map(|it| it.id).collect();
        let lost = tasks().filter(|it| it.former.iter().any(|it| it.session == me));
        let lost: Vec<TaskId> = lost.map(|it| it.id).collect();
        let all: Vec<TaskId> = board.tables().tasks.keys().rev().take(20).copied().collect();
        let about = match self.random.below(4) {
            0 => self.random.pick(&mine).copied(),
            1 => self.random.pick(&lost).copied(),
            2 => self.random.pick(&all).copied(),
            _ => None,
        };
        let parts = ["running", "it goes on", "logs/x", "go on", "make test"];
        let micro = Micro::new(parts).expect("one line each");
        Command::Report { about, word: Word::Micro(micro) }
    }

    fn addressee(&mut self, board: &Board) -> Option<Addressee> {
        let sessions: Vec<&Session> = board.tables().sessions.values().map(AsRef::as_ref).collect();
        let session = *self.random.pick(&sessions)?;
        Some(match self.random.below(10) {
            0..4 => Addressee::Session(session.id),
            4..6 => Addressee::Agent(session.name.clone()),
            6 => Addressee::Either(session.name.to_string()),
            7 => Addressee::Session(SessionId::from_counter(u64::MAX)),
            _ => Addressee::Scope(name(SCOPES[self.random.below(SCOPES.len())])),
        })
    }

    /// Where somebody reads on: mostly where it stopped.
    fn cursor(&mut self, me: SessionId, board: &Board) -> Option<MessageId> {
        let known: Vec<MessageId> = board.tables().messages.keys().copied().collect();
        let gone = board.tables().inboxes.get(&me).map(|inbox| inbox.gone);
        match self.random.below(10) {
            0 => Some(MessageId::START),
            1 => gone,
            2 => self.random.pick(&known).copied(),
            3 => Some(MessageId::from_counter(u64::MAX)),
            _ => None,
        }
    }
}
