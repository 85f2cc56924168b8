//! Commands that hand claims over, and take them.

use molt_domain::board::{Board, Command, Request};
use molt_domain::claim::{Accepted, Claim, Named};
use molt_domain::id::{ClaimId, SessionId};
use molt_domain::name::AgentName;

use super::Generator;
use crate::fleet::policy::name;

impl Generator {
    pub(super) fn of_handovers(&mut self, kind: &str, board: &Board) -> Option<Request> {
        if kind == "accept" {
            return self.accept(board);
        }
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        let claims = board.tables().claims.values();
        let mine = claims.filter(|claim| claim.session == me && claim.is_held());
        let mine = mine.filter(|claim| kind == "handoff" || claim.handover.is_some());
        let held: Vec<Named> = mine.flat_map(|claim| names(claim)).collect();
        let other = self.random.percent(match (kind, held.is_empty()) {
            // Offers are few: most of who has none does not try.
            ("withdraw", true) => 2,
            (_, true) => 20,
            (_, false) => 8,
        });
        let claim = match other {
            true => Named::Scope(self.scopes().into_iter().next()?),
            false => self.random.pick(&held)?.clone(),
        };
        if kind == "withdraw" {
            return Some(self.by_agent(at, Command::Withdraw { claim }));
        }
        let names: Vec<AgentName> =
            board.tables().sessions.values().map(|session| session.name.clone()).collect();
        let to = match self.random.percent(5) {
            true => name("nobody"),
            false => self.random.pick(&names)?.clone(),
        };
        let note = if self.random.percent(50) { String::new() } else { "half done".to_owned() };
        Some(self.by_agent(at, Command::Handoff { claim, to, note }))
    }

    /// Mostly by the one to whom it is offered.
    fn accept(&mut self, board: &Board) -> Option<Request> {
        let claims = || board.tables().claims.values().map(AsRef::as_ref);
        let offers: Vec<(&Claim, SessionId)> =
            claims().filter_map(|claim| Some((claim, claim.handover.as_ref()?.to))).collect();
        let all: Vec<ClaimId> = claims().map(|claim| claim.id).collect();
        let offered = self.random.pick(&offers).copied().filter(|_| self.random.percent(85));
        let Some((claim, to)) = offered else {
            if self.random.percent(70) {
                return None;
            }
            let at = self.agent()?;
            let claim = *self.random.pick(&all)?;
            return Some(self.by_agent(at, Command::Accept(Accepted::Claim(claim))));
        };
        let at = self
            .agents
            .iter()
            .position(|agent| agent.shown.as_ref().is_some_and(|shown| shown.session == to))?;
        let which = match self.random.below(3) {
            0 => Accepted::Only,
            1 => Accepted::Claim(claim.id),
            _ => match claim.scopes().next() {
                Some(scope) => Accepted::Scope(scope.clone()),
                None => Accepted::Claim(claim.id),
            },
        };
        Some(self.by_agent(at, Command::Accept(which)))
    }
}

/// All that a claim's holder may call it.
fn names(claim: &Claim) -> Vec<Named> {
    let globs = claim.globs.iter().cloned().map(Named::Glob);
    let scopes = claim.scopes().cloned().map(Named::Scope);
    scopes.chain(globs).chain([Named::Claim(claim.id)]).collect()
}
