//! What each holder believed that it held, and when, in true virtual time.
//!
//! A holder begins when its child starts, or when it was told that its claim is granted, and ends
//! when the child has ended, or when it gives the claim back or learns that it is lost. No two
//! holders of one thing may overlap. A machine that was stopped for longer than the spans allow
//! for is excused: against that nothing helps but the fence, which the resource checks here.

use std::collections::BTreeMap;

use molt_domain::board::{Board, Tables};
use molt_domain::claim::Claim;
use molt_domain::id::{ClaimId, Fence, HoldId, SessionId, millis};
use molt_domain::policy::Spans;

use crate::net::QUANTUM;
use crate::outcome::{Checked, ensure};
use crate::rules::conflict;

/// What holders have been doing.
#[derive(Debug)]
pub(crate) struct Journal {
    spans: Spans,
    runs: BTreeMap<HoldId, Open>,
    claims: BTreeMap<ClaimId, Belief>,
    /// Since when a host is stopped.
    frozen: BTreeMap<usize, u64>,
    /// The highest fence that each resource saw.
    resources: BTreeMap<String, Fence>,
    /// Overlaps that only the fence kept apart, and what the resource refused.
    pub(crate) excused: u64,
    pub(crate) refused: u64,
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) of: String,
    pub(crate) host: usize,
    pub(crate) session: SessionId,
    pub(crate) fence: Option<Fence>,
    pub(crate) since: u64,
    /// For how long its machine was stopped meanwhile.
    pub(crate) paused: u64,
}

#[derive(Debug)]
struct Belief {
    host: usize,
    claim: Claim,
}

impl Journal {
    pub(crate) fn new(spans: Spans) -> Self {
        Self {
            spans,
            runs: BTreeMap::new(),
            claims: BTreeMap::new(),
            frozen: BTreeMap::new(),
            resources: BTreeMap::new(),
            excused: 0,
            refused: 0,
        }
    }

    /// The longest pause of a holder's machine for which the spans keep holders apart.
    pub(crate) fn safe_pause(spans: &Spans) -> u64 {
        millis((spans.margin + spans.delay).saturating_sub(spans.kill_grace + spans.leader_ttl / 2))
    }

    /// A child starts.
    pub(crate) fn begin(&mut self, hold: HoldId, run: Open) -> Checked {
        let now = run.since;
        let mut fenced = false;
        for (other, open) in self.runs.iter().filter(|(_, open)| open.of == run.of) {
            let paused = open.paused + self.frozen.get(&open.host).map_or(0, |since| now - since);
            let excused = paused > Self::safe_pause(&self.spans);
            ensure(excused, "6 no two holders overlap", || {
                format!("{hold} {run:?} began while {other} {open:?} ran")
            })?;
            fenced = true;
        }
        self.excused += u64::from(fenced);
        if let Some(fence) = run.fence {
            let seen = self.resources.entry(run.of.clone()).or_insert(fence);
            if fence < *seen {
                self.refused += 1;
            }
            *seen = fence.max(*seen);
        }
        self.runs.insert(hold, run);
        Ok(())
    }

    /// A child has ended, which one of fleet reach does before its deadline and the kill grace
    /// are over, however little its host hears.
    pub(crate) fn end(
        &mut self,
        hold: HoldId,
        now: u64,
        renewed: &BTreeMap<SessionId, u64>,
    ) -> Checked {
        let Some(open) = self.runs.remove(&hold) else { return Ok(()) };
        let Some(sent) = renewed.get(&open.session).filter(|_| open.fence.is_some()) else {
            return Ok(());
        };
        let Spans { session_ttl, margin, kill_grace, .. } = self.spans;
        let span = millis(session_ttl - margin + kill_grace) + open.paused + 2 * QUANTUM;
        ensure(now <= sent + span, "6 a child ends by its deadline", || {
            format!("{hold} {open:?} ended at {now}, last renewed at {sent}")
        })
    }

    /// A holder was told that its claim is granted.
    pub(crate) fn claimed(
        &mut self,
        (now, host): (u64, usize),
        claim: ClaimId,
        board: &Board,
        renewed: &BTreeMap<SessionId, u64>,
    ) -> Checked {
        let tables: &Tables = board.tables();
        let Some(claim) = tables.claims.get(&claim) else { return Ok(()) };
        let lease = millis(self.spans.session_ttl + self.spans.grace);
        for open in self.claims.values().filter(|open| open.claim.session != claim.session) {
            let lapsed = renewed.get(&open.claim.session).is_some_and(|sent| sent + lease <= now);
            ensure(
                lapsed || !conflict(tables, claim, &open.claim),
                "1 no two claims overlap",
                || format!("h{host} was told of {claim:?} while {open:?} was believed"),
            )?;
        }
        let claim = Claim::clone(claim);
        self.claims.insert(claim.id, Belief { host, claim });
        Ok(())
    }

    /// A holder believes no more that a session has claims.
    pub(crate) fn disclaimed(&mut self, session: SessionId) {
        self.claims.retain(|_, open| open.claim.session != session);
    }

    /// A holder ends one claim.
    pub(crate) fn unclaimed(&mut self, claim: ClaimId) {
        self.claims.remove(&claim);
    }

    /// A machine is stopped.
    pub(crate) fn freeze(&mut self, host: usize, now: u64) {
        self.frozen.insert(host, now);
    }

    /// A machine goes on.
    pub(crate) fn thaw(&mut self, host: usize, now: u64) {
        let Some(since) = self.frozen.remove(&host) else { return };
        for open in self.runs.values_mut().filter(|open| open.host == host) {
            open.paused += now - since;
        }
    }

    /// A machine loses power: everything on it ends.
    pub(crate) fn power_lost(&mut self, host: usize) {
        self.frozen.remove(&host);
        self.runs.retain(|_, open| open.host != host);
        self.claims.retain(|_, open| open.host != host);
    }
}
