//! A decision in the making: the board as it would be, and what happened on the way.

use std::sync::Arc;

use crate::board::table::Views;
use crate::board::{Board, Decision, Event, MAX_CHANGES, Now, Refusal, Reply};
use crate::fault::fault;
use crate::hold::Holder;
use crate::id::{BoardTime, ClaimId, Fence, SessionId};
use crate::name::{AgentName, RepoName};
use crate::policy::{Repo, Spans};

/// Numbers of an epoch begin at a multiple of this: more than any records that are lost have used
/// since the last backup of them.
const LIFE: u64 = 1_000_000;

/// A decision in the making.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The tables as they would be.
    pub tables: Views<'a>,
    /// The moment of the decision.
    pub now: Now,
    board: &'a Board,
    fence: Fence,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(board: &'a Board, now: Now) -> Self {
        let tables = board.tables.view();
        Self { tables, now, board, fence: board.ledger.fence(), events: Vec::new() }
    }

    /// The next number of the board's counter.
    pub fn number(&mut self) -> u64 {
        self.fence.n += 1;
        self.fence.n
    }

    /// A new fence, higher than every one before.
    pub fn fence(&mut self) -> Fence {
        if !fault!(FenceReused) {
            self.number();
        }
        self.fence
    }

    /// Begins an epoch: every fence is above all of before, and every id is one that was not given
    /// before, however much was lost.
    pub(super) fn raise_epoch(&mut self) -> u64 {
        self.fence.epoch += 1;
        self.fence.n = (self.fence.n / LIFE + 1).saturating_mul(LIFE);
        self.fence.epoch
    }

    /// Notes what happened.
    pub fn record(&mut self, event: Event) {
        if fault!(AuditDropped) && matches!(event, Event::Released { .. }) {
            return;
        }
        self.events.push(event);
    }

    /// What happened so far.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The spans that the rules use.
    pub fn spans(&self) -> &'a Spans {
        &self.board.spans
    }

    /// The board as it is, without what this decision wrote.
    pub fn board(&self) -> &'a Board {
        self.board
    }

    /// How many more records this decision may write, the kept answer left aside.
    pub fn room(&self) -> usize {
        (MAX_CHANGES - 1).saturating_sub(self.tables.count())
    }

    /// A repository and the policy in force, as this decision has them.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoRepo`] when the fleet does not coordinate it.
    pub fn repo(&self, name: &RepoName) -> Result<Arc<Repo>, Box<Refusal>> {
        self.tables.repos.shared(name).ok_or_else(|| Refusal::NoRepo { repo: name.clone() }.into())
    }

    /// The last sign of life of a session: a renewal, or the start of its epoch.
    pub fn last_sign(&self, session: SessionId) -> BoardTime {
        let begun = self.tables.sessions.get(&session).map_or(BoardTime(0), |it| it.begun);
        self.board.heard(session).max(begun)
    }

    /// The last sign that a session works: a command of it, what its host saw, or the start of its
    /// epoch. A renewal is none.
    pub fn last_work(&self, session: SessionId) -> BoardTime {
        let begun = self.tables.sessions.get(&session).map_or(BoardTime(0), |it| it.begun);
        self.board.worked(session).max(begun)
    }

    /// Whether the store's format has words for what came with `format`: what can go on without
    /// does so where it has not.
    pub(crate) fn has_format(&self, format: u32) -> bool {
        self.board.formats().stored.written >= format
    }

    /// The claims of a session, those of this decision included.
    pub fn claims_of(&self, session: SessionId) -> Vec<ClaimId> {
        let known = self.board.index.claims_of(session);
        let mut ids: Vec<ClaimId> = known
            .chain(self.tables.claims.written().map(|(id, _)| *id))
            .filter(|id| self.tables.claims.get(id).is_some_and(|claim| claim.session == session))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The name of a session; its id where it is not on the board.
    pub fn name_of_session(&self, id: SessionId) -> AgentName {
        self.tables.sessions.get(&id).map_or_else(|| id.as_name(), |session| session.name.clone())
    }

    /// The agent behind a holder, if it is a session that is on the board.
    pub fn name_of(&self, holder: Holder) -> Option<AgentName> {
        match holder {
            Holder::Session(id) => {
                self.tables.sessions.get(&id).map(|session| session.name.clone())
            }
            Holder::Job(_) => None,
        }
    }

    /// Whether the decision would leave a trace: a record or an audit entry.
    pub(crate) fn has_effect(&self) -> bool {
        self.tables.count() > 0 || !self.events.is_empty()
    }

    pub(super) fn into_decision(self, reply: Reply) -> Decision {
        Decision {
            changes: self.tables.into_changes(),
            events: self.events,
            fence: self.fence,
            reply,
        }
    }
}
