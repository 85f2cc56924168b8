//! Commands on claims.

use molt_domain::board::{Board, Command, Request};
use molt_domain::claim::{Claim, Mode, Otherwise, Outcome, Wanted};
use molt_domain::id::{ClaimId, TaskId};
use molt_domain::scope::{Pattern, ScopeName};

use super::Generator;
use crate::fleet::policy::{GLOBS, PATHS, SCOPES, name};

impl Generator {
    pub(super) fn scopes(&mut self) -> Vec<ScopeName> {
        let count = [1, 1, 1, 2, 2, 3][self.random.below(6)];
        (0..count).map(|_| name(SCOPES[self.random.below(SCOPES.len())])).collect()
    }

    pub(super) fn globs(&mut self) -> Vec<Pattern> {
        let count = 1 + self.random.below(2);
        (0..count).map(|_| name(GLOBS[self.random.below(GLOBS.len())])).collect()
    }

    pub(super) fn otherwise(&mut self) -> Otherwise {
        if self.random.percent(60) { Otherwise::Wait } else { Otherwise::Refuse }
    }

    pub(super) fn of_claims(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        if kind == "revoke-claim" {
            let claims: Vec<ClaimId> = tables.claims.keys().copied().collect();
            let claim = *self.random.pick(&claims)?;
            let reason = self.reason();
            return Some(self.operator(Command::RevokeClaim { claim, reason }));
        }
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        let mine: Vec<&Claim> =
            tables.claims.values().map(AsRef::as_ref).filter(|claim| claim.session == me).collect();
        let held: Vec<ScopeName> = mine
            .iter()
            .filter(|claim| claim.is_held())
            .flat_map(|claim| claim.scope_list())
            .collect();
        let command = match kind {
            "claim" => self.claim(&mine, board),
            "release" => {
                if held.is_empty() && self.random.percent(80) {
                    return None;
                }
                let scopes = match self.random.below(10) {
                    0 => Vec::new(),
                    1 => self.scopes(),
                    _ => self.random.pick(&held).cloned().into_iter().collect(),
                };
                let outcome =
                    if self.random.percent(50) { Outcome::Done } else { Outcome::Blocked };
                let own = mine.iter().filter(|claim| claim.is_held());
                let own: Vec<Pattern> = own.flat_map(|claim| claim.globs.clone()).collect();
                let glob = self.random.pick(&own).cloned().filter(|_| self.random.percent(60));
                let globs = glob.into_iter().collect();
                Command::Release { scopes, globs, outcome }
            }
            "extend" => {
                let scopes = match self.random.below(3) {
                    0 => Vec::new(),
                    1 => self.scopes(),
                    _ => self.random.pick(&held).cloned().into_iter().collect(),
                };
                let own = mine.iter().filter(|claim| claim.is_held());
                let own: Vec<Pattern> = own.flat_map(|claim| claim.globs.clone()).collect();
                let glob = self.random.pick(&own).cloned().filter(|_| self.random.percent(40));
                let (globs, span) = (glob.into_iter().collect(), self.random.next() % 400_000);
                Command::Extend { scopes, globs, span }
            }
            "narrow" => {
                if !held.contains(&name("runtime")) && self.random.percent(95) {
                    return None;
                }
                self.narrow(&held)
            }
            "unqueue" => {
                let claims: Vec<ClaimId> = match self.random.percent(85) {
                    true => mine.iter().map(|claim| claim.id).collect(),
                    false => tables.claims.keys().copied().collect(),
                };
                Command::Unqueue { claim: *self.random.pick(&claims)? }
            }
            _ => {
                if held.is_empty() && self.random.percent(85) {
                    return None;
                }
                let files = vec![PATHS[self.random.below(PATHS.len())].to_owned()];
                Command::Announce { files, tests: Vec::new(), risk: None, note: "soon".to_owned() }
            }
        };
        Some(self.by_agent(at, command))
    }

    fn claim(&mut self, mine: &[&Claim], board: &Board) -> Command {
        let (mut scopes, mut globs) = (self.scopes(), Vec::new());
        if self.random.percent(25) {
            globs = self.globs();
            scopes.truncate(self.random.below(2));
        }
        let waits = mine.iter().filter(|claim| !claim.is_held()).copied();
        let waits: Vec<&Claim> = waits.collect();
        // A waiter asks again, and takes what it is offered.
        if let Some(claim) = self.random.pick(&waits)
            && self.random.percent(30)
        {
            (scopes, globs) = (claim.scope_list(), claim.globs.clone());
        }
        let tasks: Vec<TaskId> = board.tables().tasks.keys().copied().collect();
        let task = if self.random.percent(5) { self.random.pick(&tasks).copied() } else { None };
        Command::Claim(Wanted {
            scopes,
            globs,
            why: "work".to_owned(),
            task,
            mode: if self.random.percent(35) { Mode::Shared } else { Mode::Exclusive },
            risk: None,
            tests: Vec::new(),
            max: self.random.percent(15).then(|| 10_000 + self.random.next() % 400_000),
            otherwise: self.otherwise(),
        })
    }

    /// Mostly of what can be narrowed, mostly to what is below it.
    fn narrow(&mut self, held: &[ScopeName]) -> Command {
        let runtime: ScopeName = name("runtime");
        let from = match held.contains(&runtime) && self.random.percent(80) {
            true => runtime,
            false => self.random.pick(held).cloned().unwrap_or(runtime),
        };
        let below = ["runtime/gc", "runtime/jit"].map(name::<ScopeName>);
        let to = match self.random.below(10) {
            0 => self.scopes(),
            1..4 => below.to_vec(),
            _ => vec![below[self.random.below(2)].clone()],
        };
        let globs = if self.random.percent(15) { self.globs() } else { Vec::new() };
        Command::Narrow { from, to, globs }
    }
}
