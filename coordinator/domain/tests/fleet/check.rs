//! The board under test, and what must hold after every command.
//!
//! The checks read records and events alone; where they need memory (fences,
//! gates that passed, answers) they keep their own.

mod access;
mod approvals;
mod cars;
mod claims;
mod format;
mod messages;
mod overrides;
mod plans;
mod pulls;
mod reports;
mod shared;
mod signs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use molt_domain::access::Peer;
use molt_domain::audit;
use molt_domain::board::{
    Board, Caller, Change, Command, Decision, Event, Ledger, MAX_CHANGES, Refusal, Reply, Request,
    Tables,
};
use molt_domain::build::Build;
use molt_domain::claim::{self, Claim};
use molt_domain::id::{CarId, Fence, SessionId};
use molt_domain::name::{GateName, RepoName};
use molt_domain::policy::Spans;
use molt_domain::report::Subject;
use molt_domain::session::Session;
use molt_domain::{lock, train};

use super::tally::Tally;
use super::{Act, Deed, graph};

/// The dear checks are made at every n-th command.
pub const DEAR: usize = 32;

/// An invariant that does not hold.
#[derive(Debug, Clone)]
pub struct Broken {
    pub invariant: &'static str,
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is broken: {}", self.invariant, self.detail)
    }
}

type Checked = Result<(), Broken>;

fn broken(invariant: &'static str, detail: impl Into<String>) -> Broken {
    Broken { invariant, detail: detail.into() }
}

fn ensure(holds: bool, invariant: &'static str, detail: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(broken(invariant, detail())) }
}

/// What the checks remember of the past.
#[derive(Debug, Default)]
struct Memory {
    fence: Option<Fence>,
    passed: BTreeMap<CarId, BTreeMap<GateName, (String, String)>>,
    intents: BTreeMap<CarId, (String, String, Fence)>,
    /// How often the forge said no.
    declined: BTreeMap<CarId, u32>,
    landed: BTreeSet<(RepoName, String)>,
    approvals: approvals::Memory,
    messages: messages::Memory,
    overrides: overrides::Memory,
    pulls: pulls::Memory,
    signs: signs::Memory,
    answers: BTreeMap<(SessionId, u64), (String, Reply)>,
}

impl Memory {
    /// Whether a request was answered before, under its number.
    fn answered(&self, request: &Request) -> bool {
        let Caller::Session(shown) = &request.caller else { return false };
        let number = request.number.map(|number| (shown.session, number));
        number.is_some_and(|key| self.answers.contains_key(&key))
    }
}

/// A board with its checks.
#[derive(Debug)]
pub struct Fleet {
    pub board: Board,
    pub tally: Tally,
    /// From this step on the dear checks are made at every command.
    pub dear_from: usize,
    memory: Memory,
    step: usize,
}

impl Fleet {
    pub fn new() -> Self {
        let mut board = Board::new(Spans::default());
        board.set_formats(format::made_long_ago());
        let (tally, memory) = (Tally::default(), Memory::default());
        Self { board, tally, dear_from: usize::MAX, memory, step: 0 }
    }

    /// Does a step of a history, and checks it.
    pub fn act(&mut self, act: &Act) -> Result<Option<Result<Reply, Box<Refusal>>>, Broken> {
        match &act.deed {
            Deed::Ask(request) => return self.ask(act, request).map(Some),
            Deed::Beat(session) => {
                self.board.beat(*session, act.now.board);
            }
            Deed::BeatHost(host) => self.board.beat_host(host, act.now.board),
            Deed::Tell(host, session, told) => {
                let (now, told) = (act.now.board, (host, *session, *told));
                let taken = self.board.note_signs(told.0, told.1, told.2, now);
                self.tally.count("tell-signs", taken);
                self.memory.signs.hear(self.board.tables(), told, now, taken)?;
            }
            Deed::Attend(claim, presence) => self.board.attend(*claim, *presence),
            Deed::Tidy => self.board.tidy(),
            Deed::Takeover => self.takeover()?,
        }
        Ok(None)
    }

    /// Makes the board anew from its records, as the next leader does.
    fn takeover(&mut self) -> Checked {
        const NAME: &str = "12 what was acknowledged is there after a takeover";
        let (ledger, formats) = (self.board.ledger().clone(), self.board.formats());
        let stored: Vec<(String, Option<Vec<u8>>)> =
            self.board.records().iter().map(|it| (it.key(), it.value())).collect();
        let mut records = Vec::with_capacity(stored.len());
        for (key, value) in stored {
            let read = Change::read(&key, &value.unwrap_or_default());
            records.push(read.map_err(|error| broken(NAME, error.to_string()))?);
        }
        let mut next = Board::recover(*self.board.spans(), ledger, records);
        next.set_formats(formats);
        let same = next.tables() == self.board.tables() && next.ledger() == self.board.ledger();
        ensure(same, NAME, || "other records than before".to_owned())?;
        self.tally.takeovers += 1;
        self.memory.signs.takeover(next.ledger().time);
        self.board = next;
        Ok(())
    }

    fn is_dear(&self) -> bool {
        self.step.is_multiple_of(DEAR) || self.step >= self.dear_from
    }

    fn ask(&mut self, act: &Act, request: &Request) -> Result<Result<Reply, Box<Refusal>>, Broken> {
        self.step += 1;
        let decision = self.board.decide(request, act.now);
        self.board.note_use(&request.caller, act.now.board);
        if self.is_dear() {
            let again = self.board.decide(request, act.now);
            ensure(decision == again, "deciding is pure", || {
                format!("{decision:?} and {again:?}")
            })?;
        }
        self.tally.count(request.command.word(), decision.is_ok());
        match decision {
            Err(refusal) => {
                self.refused(act, request, &refusal)?;
                Ok(Err(refusal))
            }
            Ok(decision) => {
                let reply = decision.reply.clone();
                self.accepted(act, request, decision)?;
                Ok(Ok(reply))
            }
        }
    }

    fn refused(&mut self, act: &Act, request: &Request, refusal: &Refusal) -> Checked {
        const NAME: &str = "a refused call changes nothing";
        let dear = self.is_dear();
        let before = (self.board.ledger().clone(), dear.then(|| self.board.digest()));
        let actor = request.actor(&self.board);
        let id = self.board.note_refusal(refusal, request.command.word(), &actor, act.now);
        let after = (self.board.ledger().clone(), dear.then(|| self.board.digest()));
        ensure(before == after, NAME, || format!("{refusal}"))?;
        ensure(refusal.to_string().lines().count() <= 8, "refusals are short", || {
            refusal.to_string()
        })?;
        if dear {
            let why = self.board.why(&id.to_string(), act.now.board);
            ensure(why.is_ok_and(|lines| lines.len() <= 12), "why explains refusals", || {
                id.to_string()
            })?;
        }
        self.may_be_refused(act, request, refusal)
    }

    /// What may not be refused: to come back within the grace.
    fn may_be_refused(&self, act: &Act, request: &Request, refusal: &Refusal) -> Checked {
        self.memory.messages.nothing_new(request, refusal)?;
        let (Command::Resume { .. }, Caller::Session(shown)) = (&request.command, &request.caller)
        else {
            return Ok(());
        };
        let Some(session) = self.board.tables().sessions.get(&shown.session) else {
            return Ok(());
        };
        let reused = matches!(refusal, Refusal::Invalid(_));
        let known = request.peer != Peer::Local;
        let over = self.memory.signs.is_over(&self.board, session, act.now.board);
        let may = session.secret != shown.secret || over || reused || known;
        ensure(may, "4 within the grace resume succeeds", || refusal.to_string())
    }

    fn accepted(&mut self, act: &Act, request: &Request, decision: Decision) -> Checked {
        let Decision { changes, events, fence, reply } = decision;
        ensure(changes.len() <= MAX_CHANGES, "a command is bounded", || {
            format!("{} changes by {}", changes.len(), request.command.word())
        })?;
        let before = self.board.tables().clone();
        let ledger = self.board.ledger().clone();
        let digest = self.is_dear().then(|| self.board.digest());
        changes.iter().try_for_each(reads_back)?;
        let mut undo: Vec<Change> =
            changes.iter().cloned().map(|it| self.board.apply(it)).collect();
        if let Some(digest) = digest {
            undo.reverse();
            undo.into_iter().for_each(|it| drop(self.board.apply(it)));
            ensure(self.board.digest() == digest, "undo restores", || format!("{request:?}"))?;
            changes.iter().cloned().for_each(|it| drop(self.board.apply(it)));
        }
        let mut anchor = ledger.audit.clone();
        let actor = request.actor(&self.board);
        let entries = audit::append(&mut anchor, act.now, &actor, events.clone());
        let verified = audit::verify(ledger.audit.clone(), &entries);
        ensure(verified.as_ref() == Ok(&anchor), "11 the audit chain verifies", || {
            format!("{verified:?}")
        })?;
        self.board.set_ledger(Ledger { time: act.now.board, audit: anchor, ..ledger.at(fence) });
        format::follow(&mut self.board, &events)?;
        for event in &events {
            let line = event.line();
            let kind = line.split(' ').next().unwrap_or_default();
            *self.tally.events.entry(kind.to_owned()).or_default() += 1;
        }
        let step = Step { act, request, changes: &changes, events: &events, reply: &reply };
        let after = self.board.tables().clone();
        self.check(&step, &before, &after)?;
        if self.is_dear() {
            self.check_dear(&step, &after)?;
        }
        self.remember_answer(&step);
        Ok(())
    }

    fn remember_answer(&mut self, step: &Step<'_>) {
        if let (Caller::Session(shown), Some(number)) = (&step.request.caller, step.request.number)
            && !(step.changes.is_empty() && step.events.is_empty())
        {
            let answer = (step.request.digest.clone(), step.reply.clone());
            self.memory.answers.insert((shown.session, number), answer);
        }
    }

    /// Every check that costs little.
    fn check(&mut self, step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
        claims::claims_do_not_conflict(step, after)?;
        claims::granted_whole(step, self.memory.answered(step.request), (before, after))?;
        fences_grow(&mut self.memory, before, step)?;
        claims::only_the_holder(step, before)?;
        one_effect(&self.memory, step, before)?;
        claims::handed_over(step, before)?;
        let (board, now) = (&self.board, step.act.now.board);
        let is_over = |session: &Session| self.memory.signs.is_over(board, session, now);
        claims::lost_stays_lost(step, before, after, is_over)?;
        claims::bounded_overtaking(after)?;
        shared::locks(&self.board, step, before, after)?;
        shared::pools(step, before, after)?;
        shared::builds(step, before, after)?;
        claims::tasks(step, after)?;
        signs::life_is_looked_for(&self.memory.signs, &self.board, step, before)?;
        signs::idle_is_asked(&self.memory.signs, &self.board, step, (before, after))?;
        plans::shares_are_apart(step, after)?;
        plans::own_share_first(step, before)?;
        shared::late_results(step, before)?;
        audited(step, before, after)?;
        cars::cars(&mut self.memory, step, before, after)?;
        pulls::pulls(&mut self.memory.pulls, step, before, after)?;
        let looked = &self.memory.pulls;
        approvals::approvals(&mut self.memory.approvals, looked, step, before, after)?;
        let is_repeated = self.memory.answered(step.request);
        self.memory.messages.learn(step, before, after)?;
        if !is_repeated {
            self.memory.messages.whole(step, before)?;
        }
        messages::inboxes(step, before, after)?;
        if self.board.formats().stored.written > 1 && !is_repeated {
            messages::announcements(step, before)?;
        }
        reports::reports(step, before)?;
        access::access(step, before)?;
        access::tokens(step, before, after)?;
        access::provers(step, after)?;
        overrides::overrides(&mut self.memory.overrides, step, before, after)?;
        nothing_is_left_over(step, after)
    }

    fn check_dear(&self, step: &Step<'_>, after: &Tables) -> Checked {
        let stuck = graph::stuck(after);
        ensure(stuck.is_empty(), "5 no circle of waits", || {
            let claims: Vec<&Claim> = after.claims.values().map(AsRef::as_ref).collect();
            let held = format!("{:?} {:?} {:?}", after.locks, after.slots, after.builds);
            format!("{stuck:?} after {:?}: {claims:?} {held}", step.events)
        })?;
        let board = &self.board;
        let mut recovered = Board::recover(*board.spans(), board.ledger().clone(), board.records());
        recovered.set_formats(board.formats());
        ensure(recovered.tables() == after, "12 records are the board", || {
            "tables differ".to_owned()
        })?;
        // An index that differed would find other claims in the way.
        let same = |request: &Request| {
            let reason = |board: &Board| match board.decide(request, step.act.now) {
                Ok(decision) => format!("{:?}", decision.reply),
                Err(refusal) => refusal.reason().to_owned(),
            };
            reason(board) == reason(&recovered)
        };
        let asks =
            matches!(step.request.command, Command::Claim(_) | Command::Next | Command::Accept(_));
        let claim = Request { number: None, ..step.request.clone() };
        ensure(!asks || same(&claim), "12 the index is rebuilt", || format!("{:?}", step.request))?;
        let ids = after
            .claims
            .keys()
            .map(ToString::to_string)
            .chain(after.cars.keys().map(ToString::to_string));
        for id in ids.take(4) {
            let why = board.why(&id, step.act.now.board);
            ensure(why.is_ok_and(|lines| (2..=12).contains(&lines.len())), "why explains", || id)?;
        }
        Ok(())
    }
}

/// An accepted command, for the checks.
struct Step<'a> {
    act: &'a Act,
    request: &'a Request,
    changes: &'a [Change],
    events: &'a [Event],
    reply: &'a Reply,
}

impl Step<'_> {
    fn caller_session(&self) -> Option<SessionId> {
        match &self.request.caller {
            Caller::Session(shown) => Some(shown.session),
            _ => None,
        }
    }
}

fn reads_back(change: &Change) -> Checked {
    let Some(value) = change.value() else { return Ok(()) };
    let read = Change::read(&change.key(), &value);
    ensure(read.as_ref().is_ok_and(|read| read == change), "records read back", || {
        format!("{}: {read:?}", change.key())
    })
}

fn fences_grow(memory: &mut Memory, before: &Tables, step: &Step<'_>) -> Checked {
    let mut fences = Vec::new();
    for change in step.changes {
        match change {
            Change::Claim(id, Some(claim)) => {
                let old = before.claims.get(id).map(|claim| claim.state);
                if let claim::State::Held { fence, .. } = claim.state
                    && !matches!(old, Some(claim::State::Held { fence: old, .. }) if old == fence)
                {
                    fences.push(fence);
                }
            }
            Change::Lock(key, Some(lock)) => {
                let old = before.locks.get(key).map(|lock| &lock.state);
                if let lock::State::Held(hold) = &lock.state
                    && !matches!(old, Some(lock::State::Held(old)) if old.id == hold.id)
                {
                    fences.push(hold.fence);
                }
            }
            Change::Slots(key, Some(slots)) => {
                let old = before.slots.get(key);
                let new = slots.used.values().filter(|hold| {
                    !old.is_some_and(|old| old.used.values().any(|old| old.id == hold.id))
                });
                fences.extend(new.map(|hold| hold.fence));
            }
            Change::Build(key, Some(build)) => {
                let hold = |build: &Build| match build {
                    Build::Building { hold, .. } => Some((hold.id, hold.fence)),
                    Build::Built { .. } | Build::Failed { .. } => None,
                };
                let old = before.builds.get(key).and_then(|build| hold(build));
                fences.extend(hold(build).filter(|new| Some(*new) != old).map(|(_, fence)| fence));
            }
            Change::Car(id, Some(car)) => {
                let landing = |car: &train::Car| match car.state {
                    train::State::Landing { fence, .. } => Some(fence),
                    _ => None,
                };
                let old = before.cars.get(id).and_then(|car| landing(car));
                fences.extend(landing(car).filter(|new| Some(*new) != old));
            }
            _ => {}
        }
    }
    fences.sort_unstable();
    for fence in fences {
        let grows = memory.fence.is_none_or(|last| last < fence);
        ensure(grows, "2 fences only grow", || format!("{fence} after {:?}", memory.fence))?;
        memory.fence = Some(fence);
    }
    Ok(())
}

fn one_effect(memory: &Memory, step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "3 one effect, one answer";
    let (Some(session), Some(number)) = (step.caller_session(), step.request.number) else {
        return Ok(());
    };
    if !before.sessions.contains_key(&session) {
        // To leave when one is gone already is no effect.
        return Ok(());
    }
    let Some((digest, reply)) = memory.answers.get(&(session, number)) else { return Ok(()) };
    ensure(*digest == step.request.digest, NAME, || {
        format!("request {number} with other content")
    })?;
    let quiet = step.changes.is_empty() && step.events.is_empty();
    ensure(quiet && reply == step.reply, NAME, || {
        format!("request {number} of {session}: {reply:?}, then {:?}", step.reply)
    })
}

/// Every change of consequence is told by an event of the same commit.
fn audited(step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    const NAME: &str = "11 every change has its audit entry";
    let told = |is: &dyn Fn(&Event) -> bool| step.events.iter().any(is);
    for change in step.changes {
        let missing = match change {
            Change::Claim(id, None) => !told(&|event| {
                matches!(event,
                Event::Released { claim, .. } | Event::Lapsed { claim, .. }
                | Event::Revoked { claim, .. } | Event::Unqueued { claim, .. } if claim == id)
            }),
            Change::Claim(id, Some(claim)) if claim.is_held() => {
                let grant = before.claims.get(id).is_none_or(|old| !old.is_held());
                let told = told(&|event| {
                    matches!(event,
                    Event::Claimed { claim, .. } | Event::Released { claim, .. }
                    | Event::Changed { claim, .. } | Event::Narrowed { claim, .. }
                    | Event::HandedOver { claim, .. } | Event::HandoverOffered { claim, .. }
                    | Event::HandoverEnded { claim, .. } | Event::IdleAsked { claim, .. }
                    | Event::IdleSettled { claim, .. } if claim == id)
                });
                !told && (grant || before.claims.get(id) != Some(claim))
            }
            Change::Session(id, _) => !told(&|event| {
                matches!(event,
                Event::Joined { session, .. } | Event::Resumed { session, .. }
                | Event::Parked { session, .. } | Event::Lost { session, .. }
                | Event::GraceExtended { session, .. } | Event::Left { session, .. }
                    if session == id)
            }),
            Change::Plan(name, _) => !told(&|event| {
                matches!(event,
                Event::Planned { repo, .. } | Event::PlanEnded { repo, .. }
                | Event::ShareTaken { repo, .. } if repo == name)
            }),
            Change::Report(about, Some(_)) => !told(&|event| match event {
                Event::Reported { about: of, .. } => of == about,
                Event::ReportRefused { task, .. } => *about == Subject::Task(*task),
                _ => false,
            }),
            Change::Car(id, Some(car)) => {
                let moved =
                    before.cars.get(id).is_none_or(|old| old.state.reason() != car.state.reason());
                // Back to the queue is told by what moved the base.
                let queued = matches!(car.state, train::State::Queued);
                moved && step.events.is_empty() && !queued
            }
            Change::Task(..) | Change::Host(..) | Change::Results(..) => {
                step.events.is_empty() && !matches!(step.request.command, Command::Retry { .. })
            }
            Change::Lock(_, Some(lock)) => {
                matches!(lock.state, lock::State::Held(_)) && step.events.is_empty()
            }
            _ => false,
        };
        ensure(!missing, NAME, || {
            format!(
                "{} by {} of {} claims",
                change.key(),
                step.request.command.word(),
                after.claims.len()
            )
        })?;
    }
    Ok(())
}

fn nothing_is_left_over(step: &Step<'_>, after: &Tables) -> Checked {
    const NAME: &str = "records point to records";
    for change in step.changes {
        let orphan = match change {
            Change::Claim(_, Some(claim)) => !after.sessions.contains_key(&claim.session),
            Change::Answer(key, Some(_)) => !after.sessions.contains_key(&key.session),
            Change::Announcement(claim, Some(_)) => !after.claims.contains_key(claim),
            Change::Inbox(id, Some(_)) => !after.sessions.contains_key(id),
            Change::Report(Subject::Session(id), Some(_)) => !after.sessions.contains_key(id),
            Change::Report(Subject::Task(id), Some(_)) => !after.tasks.contains_key(id),
            Change::Task(id, None) => after.reports.contains_key(&Subject::Task(*id)),
            Change::Session(id, None) => {
                let held = after.claims.values().any(|claim| claim.session == *id);
                held || after.inboxes.contains_key(id)
                    || after.reports.contains_key(&Subject::Session(*id))
            }
            Change::Claim(id, None) => after.announcements.contains_key(id),
            _ => false,
        };
        ensure(!orphan, NAME, || change.key())?;
    }
    if matches!(step.request.command, Command::Join { .. }) {
        let names: BTreeSet<_> = after.sessions.values().map(|it| (&it.repo, &it.name)).collect();
        ensure(names.len() == after.sessions.len(), "agents have one name each", String::new)?;
    }
    Ok(())
}
