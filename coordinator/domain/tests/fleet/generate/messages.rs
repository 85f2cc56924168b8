//! What agents tell each other, and how they read it: in turn, again, and too late.

use molt_domain::board::{Board, Command, Request};
use molt_domain::id::{MessageId, SessionId};
use molt_domain::message::{Addressee, MAX_INBOX};
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
        let to = self.addressee(board)?;
        let text = if self.random.percent(5) { "" } else { "mind the gap" }.to_owned();
        let command = Command::Send { to, text };
        // Now and then more than an inbox keeps.
        if self.random.percent(2) {
            for _ in 0..MAX_INBOX + 5 {
                let request = self.by_agent(at, command.clone());
                self.ahead.push_back(Deed::Ask(Box::new(request)));
            }
        }
        Some(self.by_agent(at, command))
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
