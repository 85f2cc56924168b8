//! Claims and sessions: invariants 1, 4 and 5.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Report;
use super::board::{Event, Mode, Place};

/// How often a waiter may be overtaken by claims that came after it.
const OVERTAKEN: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Claims {
    held: BTreeMap<String, Held>,
    line: BTreeMap<String, Waiter>,
    sessions: BTreeMap<String, Session>,
}

#[derive(Debug)]
struct Held {
    scopes: BTreeSet<String>,
    mode: Mode,
    session: String,
    /// Since when, in board time.
    since: u64,
    /// To whom its holder offers it, and until when.
    offer: Option<(String, u64)>,
}

#[derive(Debug)]
struct Waiter {
    seq: u64,
    session: String,
    scopes: BTreeSet<String>,
    mode: Mode,
    offered: bool,
    overtaken: u32,
}

#[derive(Debug)]
enum Session {
    /// Its claims wait for it until then, in board time.
    Lost {
        until: u64,
    },
    Left,
}

impl Claims {
    /// Whether a claim is held.
    pub(super) fn is_held(&self, claim: &str) -> bool {
        self.held.contains_key(claim)
    }

    /// Whether a claim was granted to a session in the same decision as what happens now.
    pub(super) fn was_granted_now(&self, place: Place, claim: &str, session: &str) -> bool {
        let held = self.held.get(claim);
        held.is_some_and(|held| (held.since, held.session.as_str()) == (place.at, session))
    }

    pub(super) fn take(&mut self, place: Place, event: &Event, report: &mut Report) {
        match event {
            Event::Claimed { claim, session, scopes, globs, mode, .. } => {
                let scopes = &with(scopes, globs);
                self.of_living(place, session, &format!("{claim} was granted to"), report);
                self.granted(place, claim, (session, scopes, *mode), report);
            }
            Event::Queued { claim, session, scopes, globs, mode } => {
                let (session, scopes, mode) = (session.clone(), with(scopes, globs), *mode);
                let (seq, offered, overtaken) = (place.seq, false, 0);
                let waiter = Waiter { seq, session, scopes, mode, offered, overtaken };
                self.line.insert(claim.clone(), waiter);
            }
            Event::Offered { claim, scopes } => {
                // An offer tells its scopes alone: what it is for is told by the wait.
                let asked = self.line.get(claim).map(|waiter| waiter.scopes.clone());
                let scopes = &asked.unwrap_or_else(|| scopes.clone());
                let mode = self.line.get(claim).map_or(Mode::Exclusive, |waiter| waiter.mode);
                self.free(place, claim, (scopes, mode), report);
                if let Some(waiter) = self.line.get_mut(claim) {
                    waiter.offered = true;
                }
            }
            Event::Changed { claim, mode } => self.changed(place, claim, *mode, report),
            Event::Narrowed { claim, from, to, globs } => {
                if let Some(held) = self.held.get_mut(claim) {
                    held.scopes.remove(from);
                    held.scopes.extend(with(to, globs));
                }
            }
            Event::HandoverOffered { claim, session, to, until } => {
                let held = self.held.get_mut(claim).filter(|held| held.session == *session);
                match held {
                    Some(held) => held.offer = Some((to.clone(), *until)),
                    None => {
                        let seq = place.seq;
                        report.violation(format!(
                            "audit {seq}: {claim} was not {session}'s to offer"
                        ));
                    }
                }
            }
            Event::HandoverEnded { claim } => {
                if let Some(held) = self.held.get_mut(claim) {
                    held.offer = None;
                }
            }
            Event::HandedOver { claim, session, to, .. } => {
                self.of_living(place, to, &format!("{claim} was handed to"), report);
                self.handed_over(place, claim, (session, to), report);
            }
            Event::OfferMissed { claim } => {
                if let Some(waiter) = self.line.get_mut(claim) {
                    // It stands behind the next now, so it is counted from here on.
                    (waiter.offered, waiter.overtaken, waiter.seq) = (false, 0, place.seq);
                }
            }
            Event::Unqueued { claim } => drop(self.line.remove(claim)),
            Event::Released { claim, scopes, globs } => self.ended(claim, &with(scopes, globs)),
            Event::Lapsed { claim } | Event::Revoked { claim } => drop(self.held.remove(claim)),
            Event::Lost { session, grace, .. } | Event::GraceExtended { session, grace } => {
                self.sessions.insert(session.clone(), Session::Lost { until: *grace });
            }
            Event::Resumed { session, .. } => self.resumed(place, session, report),
            Event::Left { session } => {
                self.sessions.insert(session.clone(), Session::Left);
            }
            _ => {}
        }
    }

    /// Invariant 4: nothing goes to a session that is gone.
    fn of_living(&self, place: Place, session: &str, what: &str, report: &mut Report) {
        let how = match self.sessions.get(session) {
            None => return,
            Some(Session::Lost { .. }) => "was lost",
            Some(Session::Left) => "had left",
        };
        report.violation(format!("audit {}: {what} {session}, which {how}", place.seq));
    }

    fn resumed(&mut self, place: Place, session: &str, report: &mut Report) {
        match self.sessions.remove(session) {
            Some(Session::Lost { until }) if place.at > until => {
                report.violation(format!(
                    "audit {}: {session} came back {} ms after its grace",
                    place.seq,
                    place.at - until
                ));
            }
            Some(Session::Left) => {
                report.violation(format!("audit {}: {session} came back after it left", place.seq));
            }
            Some(Session::Lost { .. }) | None => {}
        }
    }

    /// Invariant 1: whole, and in nobody's way. Invariant 5: past no offer, and past nobody too
    /// often.
    fn granted(
        &mut self,
        place: Place,
        claim: &str,
        (session, scopes, mode): (&str, &BTreeSet<String>, Mode),
        report: &mut Report,
    ) {
        self.free(place, claim, (scopes, mode), report);
        let asked = self.line.remove(claim);
        let since = asked.as_ref().map_or(place.seq, |asked| asked.seq);
        if let Some(asked) = asked.filter(|asked| asked.scopes != *scopes) {
            let (asked, got) = (words(&asked.scopes), words(scopes));
            let seq = place.seq;
            report.violation(format!("audit {seq}: {claim} asked for {asked} and got {got}"));
        }
        self.passed(place, claim, (session, scopes, mode, since), report);
        let (scopes, session, since) = (scopes.clone(), session.to_owned(), place.at);
        let held = Held { scopes, mode, session, since, offer: None };
        self.held.insert(claim.to_owned(), held);
    }

    /// Those who asked before `since` are passed by what goes to a session.
    fn passed(
        &mut self,
        place: Place,
        claim: &str,
        (session, scopes, mode, since): (&str, &BTreeSet<String>, Mode, u64),
        report: &mut Report,
    ) {
        let others = self.line.iter_mut().filter(|(_, other)| other.session != session);
        let in_the_way = |other: &Waiter| {
            meet(&other.scopes, scopes) && (other.mode, mode) != (Mode::Shared, Mode::Shared)
        };
        for (id, other) in others.filter(|(_, other)| in_the_way(other)) {
            if other.offered {
                let seq = place.seq;
                report.violation(format!("audit {seq}: {claim} went past the offer to {id}"));
            }
            if other.seq < since {
                other.overtaken += 1;
            }
            // Whoever is lost is not there to be served.
            if other.overtaken > OVERTAKEN && !self.sessions.contains_key(&other.session) {
                let (seq, times) = (place.seq, other.overtaken);
                report.violation(format!("audit {seq}: {id} was overtaken {times} times"));
            }
        }
    }

    /// It was held by whoever offered it, and offered to whoever has it now.
    fn handed_over(
        &mut self,
        place: Place,
        claim: &str,
        (from, to): (&str, &str),
        report: &mut Report,
    ) {
        let seq = place.seq;
        let Some(held) = self.held.get_mut(claim) else {
            report.violation(format!("audit {seq}: {claim} was handed over and nobody had it"));
            return;
        };
        let offered = held.offer.take();
        let is_it = offered.is_some_and(|(name, until)| name == to && place.at < until);
        if held.session != from || !is_it {
            let holder = &held.session;
            report.violation(format!(
                "audit {seq}: {claim} of {holder} went from {from} to {to}, unasked"
            ));
        }
        to.clone_into(&mut held.session);
        let (scopes, mode) = (held.scopes.clone(), held.mode);
        self.passed(place, claim, (to, &scopes, mode, seq), report);
    }

    fn changed(&mut self, place: Place, claim: &str, mode: Mode, report: &mut Report) {
        let Some(held) = self.held.get_mut(claim) else { return };
        held.mode = mode;
        let scopes = held.scopes.clone();
        self.free(place, claim, (&scopes, mode), report);
    }

    /// Nobody else holds any of it, but those who share.
    fn free(
        &self,
        place: Place,
        claim: &str,
        (scopes, mode): (&BTreeSet<String>, Mode),
        report: &mut Report,
    ) {
        let together = |held: &Held| (held.mode, mode) == (Mode::Shared, Mode::Shared);
        let others = self.held.iter().filter(|(id, held)| *id != claim && !together(held));
        for (other, held) in others.filter(|(_, held)| meet(&held.scopes, scopes)) {
            let (seq, scopes, held) = (place.seq, words(scopes), words(&held.scopes));
            report
                .violation(format!("audit {seq}: {claim} got {scopes} while {other} held {held}"));
        }
    }

    fn ended(&mut self, claim: &str, scopes: &BTreeSet<String>) {
        let Some(held) = self.held.get_mut(claim) else { return };
        held.scopes.retain(|scope| !scopes.contains(scope));
        if held.scopes.is_empty() {
            self.held.remove(claim);
        }
    }
}

/// Scopes, and the paths beside them as words that no scope is called by. Two of those are only
/// known to meet where they are the same: what else they share is for the policy to say.
fn with(scopes: &BTreeSet<String>, globs: &BTreeSet<String>) -> BTreeSet<String> {
    let globs = globs.iter().map(|glob| format!("path:{glob}"));
    scopes.iter().cloned().chain(globs).collect()
}

/// Whether one set has a scope that is the other's, or above or below it.
fn meet(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    let above = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('/'));
    one.iter().any(|a| other.iter().any(|b| a == b || above(a, b) || above(b, a)))
}

fn words(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
