//! Why things are as they are: what is so, since when, by which rule, on what facts.
//!
//! Each explanation starts with the fact that decides and fits a small screen.
//! It reads the board as it is; history is the audit's.

mod hosts;
mod messages;
mod plans;
mod runs;
mod tokens;

use std::time::Duration;

use crate::board::noted::Note;
use crate::board::{Board, Refusal, display_list};
use crate::claim::{self, Claim};
use crate::hold::Holder;
use crate::id::{
    BoardTime, CarId, ClaimId, HoldId, JobId, MessageId, RefusalId, SessionId, TaskId, TokenId,
};
use crate::report::Subject;
use crate::scope::{Conflict, ScopeName};
use crate::session::{self, Session};
use crate::task::{self, Task};

/// Lines of an explanation at most.
const MAX_LINES: usize = 12;

impl Board {
    /// Explains a claim, session, task, lock, hold, pool of slots, build, job, car, token or
    /// refusal, by its id or name: the deciding fact first, at most 12 lines.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] when nothing of that name is on the board.
    pub fn why(&self, id: &str, now: BoardTime) -> Result<Vec<String>, Box<Refusal>> {
        let view = Why { board: self, now };
        let lines = view.by_id(id).or_else(|| view.by_name(id));
        let Some(mut lines) = lines else {
            let (kind, name) = (view.missing(id).to_owned(), id.to_owned());
            return Err(Refusal::NotFound { kind, name, nearest: None }.into());
        };
        if lines.len() > MAX_LINES {
            let more = lines.len() - (MAX_LINES - 1);
            lines.truncate(MAX_LINES - 1);
            lines.push(format!("and {more} more"));
        }
        Ok(lines)
    }
}

struct Why<'a> {
    board: &'a Board,
    now: BoardTime,
}

impl Why<'_> {
    /// What is not there: a text that is an id may be of something that ended.
    fn missing(&self, id: &str) -> &'static str {
        let number = id.split_once('_').filter(|(kind, _)| kind.len() == 3);
        match number {
            Some(("ref", _)) => "refusal kept here any more (the log of its leader has it) under",
            Some(_) => "record here any more (`molt-coordinator audit export` has its history) of",
            None => "such thing on the board",
        }
    }

    fn by_id(&self, id: &str) -> Option<Vec<String>> {
        let tables = &self.board.tables;
        if let Ok(id) = id.parse::<ClaimId>() {
            return tables.claims.get(&id).map(|claim| self.claim(claim));
        }
        if let Ok(id) = id.parse::<SessionId>() {
            return tables.sessions.get(&id).map(|session| self.session(session));
        }
        if let Ok(id) = id.parse::<TaskId>() {
            return tables.tasks.get(&id).map(|task| self.task(task));
        }
        if let Ok(id) = id.parse::<JobId>() {
            return tables.jobs.get(&id).map(|job| self.job(job)).or_else(|| self.found(id));
        }
        if let Ok(id) = id.parse::<CarId>() {
            return tables.cars.get(&id).map(|car| self.car(car));
        }
        if let Ok(id) = id.parse::<HoldId>() {
            return self.hold(id);
        }
        if let Ok(id) = id.parse::<TokenId>() {
            return tables.tokens.get(&id).map(|token| self.token(token));
        }
        if let Ok(id) = id.parse::<MessageId>() {
            return tables.messages.get(&id).map(|message| self.message(message));
        }
        let id = id.parse::<RefusalId>().ok()?;
        self.board.noted.get(id).map(|note| self.refusal(note))
    }

    /// Locks, pools, builds, scopes, agents and hosts go by names.
    fn by_name(&self, name: &str) -> Option<Vec<String>> {
        let tables = &self.board.tables;
        let lock = tables
            .locks
            .iter()
            .find(|(key, _)| key.name.as_str() == name || String::from((*key).clone()) == name);
        if let Some((key, lock)) = lock {
            return Some(self.lock(key, lock));
        }
        let slots = tables.slots.iter().find(|(key, _)| {
            key.to_string() == name
                || key.pool.as_str() == name
                || String::from((*key).clone()) == name
        });
        if let Some((key, slots)) = slots {
            return Some(self.slots(key, slots));
        }
        let build = tables
            .builds
            .iter()
            .find(|(key, _)| key.name.as_str() == name || String::from((*key).clone()) == name);
        if let Some((key, build)) = build {
            return Some(self.build(key, build));
        }
        let agent = tables.sessions.values().find(|session| session.name.as_str() == name);
        agent
            .map(|session| self.session(session))
            .or_else(|| self.host(name))
            .or_else(|| self.scope(name))
    }

    fn scope(&self, name: &str) -> Option<Vec<String>> {
        let name: ScopeName = name.parse().ok()?;
        let tables = &self.board.tables;
        let on_it = |claim: &&&Claim| claim.scopes().any(|scope| *scope == name);
        let claims: Vec<&Claim> = tables.claims.values().map(AsRef::as_ref).collect();
        let mut on_it: Vec<&&Claim> = claims.iter().filter(on_it).collect();
        on_it.sort_by_key(|claim| (!claim.is_held(), claim.id));
        if on_it.is_empty() {
            let known =
                tables.repos.values().any(|repo| repo.policy.scopes.get(name.as_str()).is_some());
            return known.then(|| {
                let mut lines =
                    vec![format!("scope {name} is free"), "rule     nobody claims it".to_owned()];
                lines.extend(self.shares_with_scope(&name));
                lines
            });
        }
        let mut lines = vec![format!("scope {name} has {} claims", on_it.len())];
        lines.extend(on_it.into_iter().map(|claim| self.claim_line(claim)));
        lines.extend(self.shares_with_scope(&name));
        Some(lines)
    }

    fn name(&self, id: SessionId) -> String {
        let session = self.board.tables.sessions.get(&id);
        session.map_or_else(|| id.to_string(), |session| session.name.to_string())
    }

    fn holder(&self, holder: Holder) -> String {
        match holder {
            Holder::Session(id) => self.name(id),
            Holder::Job(id) => id.to_string(),
        }
    }

    fn ago(&self, at: BoardTime) -> String {
        format!("{} ago", span(self.now.since(at).as_secs()))
    }

    fn ahead(&self, at: BoardTime) -> String {
        match at.since(self.now).as_secs() {
            0 => "due now".to_owned(),
            secs => format!("in {}", span(secs)),
        }
    }

    fn claim_line(&self, claim: &Claim) -> String {
        let name = self.name(claim.session);
        match claim.state {
            claim::State::Held { since, .. } => {
                format!("held     by {name} as {}, {}", claim.id, self.ago(since))
            }
            claim::State::Offered { until, .. } => {
                format!("offered  to {name} as {}, ends {}", claim.id, self.ahead(until))
            }
            claim::State::Waiting { .. } => {
                format!("waits    {name} as {}, asked {}", claim.id, self.ago(claim.asked))
            }
        }
    }

    fn claim(&self, claim: &Claim) -> Vec<String> {
        let (name, scopes) = (self.name(claim.session), display_list(&claim.piece_list()));
        let mut lines = Vec::new();
        match claim.state {
            claim::State::Held { fence, since, until } => {
                lines.push(format!("{} is held by {name}: {scopes}", claim.id));
                lines.push(format!("since    {}, fence {fence}", self.ago(since)));
                let end = until.map(|until| format!("ends by its maximum {}", self.ahead(until)));
                let end = end.unwrap_or_else(|| {
                    "ends when it is released, or its session is gone".to_owned()
                });
                lines.push(format!("rule     {end}"));
                lines.extend(claim.idle.map(|idle| {
                    let (asked, until) = (self.ago(idle.asked), self.ahead(idle.until));
                    format!("idle     {name} was asked {asked}; without a sign it lapses {until}")
                }));
                lines.extend(claim.offer(self.now).map(|offer| {
                    let (to, until) = (self.name(offer.to), self.ahead(offer.until));
                    format!("handover offered to {to}, ends {until}: {}", first_line(&offer.note))
                }));
            }
            claim::State::Offered { until, missed, .. } => {
                lines.push(format!("{} is offered to {name}: {scopes}", claim.id));
                lines.push(format!("until    {}; it misses then", self.ahead(until)));
                lines.push(format!("rule     an absent waiter is offered what is free; missed {missed}, leaves at 2"));
            }
            claim::State::Waiting { overtaken, missed, .. } => {
                lines.push(format!("{} of {name} waits: {scopes}", claim.id));
                lines.extend(self.in_the_way(claim));
                lines.push(format!(
                    "since    {}, passed {overtaken} of {} times, missed {missed} of 2 offers",
                    self.ago(claim.asked),
                    claim::MAX_OVERTAKEN
                ));
                lines.push(
                    "rule     several scopes are granted whole, first come first served".to_owned(),
                );
            }
        }
        lines.push(format!("why      {}", first_line(&claim.why)));
        lines.extend(claim.task.map(|task| format!("task     {task}")));
        let holder = self.board.tables.sessions.get(&claim.session);
        lines.extend(holder.map(|holder| format!("holder   {}", self.life(holder))));
        lines
    }

    /// The claims of others that a waiting claim waits for.
    fn in_the_way(&self, claim: &Claim) -> Vec<String> {
        let tables = &self.board.tables;
        let Some(repo) = tables.repos.get(&claim.repo) else {
            return Vec::new();
        };
        let others = tables.claims.values().filter(|other| {
            other.repo == claim.repo && other.session != claim.session && other.id != claim.id
        });
        let mut lines: Vec<(bool, String)> = Vec::new();
        for other in others {
            let earlier = other.is_held()
                || matches!(other.state, claim::State::Offered { .. })
                || other.id < claim.id;
            let met = claim.pieces().find_map(|mine| claim::meets(&repo.policy, other, &mine));
            if let (true, Some((scope, conflict))) = (earlier, met) {
                let how = match conflict {
                    Conflict::Ancestor => "one family".to_owned(),
                    Conflict::Overlap { witness, .. } => format!("e.g. {witness}"),
                };
                lines.push((
                    !other.is_held(),
                    format!("for      {scope}, {how}: {}", self.claim_line(other)),
                ));
            }
        }
        lines.sort();
        lines.into_iter().map(|(_, line)| line).take(4).collect()
    }

    fn life(&self, session: &Session) -> String {
        let heard = self.board.heard(session.id).max(session.begun);
        match session.state {
            session::State::Live => format!("{} is live, seen {}", session.name, self.ago(heard)),
            session::State::Parked { until } => {
                format!("{} is parked, its claims lapse {}", session.name, self.ahead(until))
            }
            session::State::Lost { since, grace, cause } => {
                let cause = match cause {
                    session::Loss::Silence => "no renewal for its ttl",
                    session::Loss::RootDead => "its host saw its process dead",
                };
                let signs = self.board.signs_of(session, self.now);
                let seen = match since.plus(self.board.spans.grace) < grace {
                    _ if !signs.is_empty() => format!(": there is {}", session::listed(&signs)),
                    true => ": it was given more time".to_owned(),
                    false => String::new(),
                };
                format!(
                    "{} is lost since {} ({cause}), its claims lapse {}{seen}",
                    session.name,
                    self.ago(since),
                    self.ahead(grace),
                )
            }
        }
    }

    fn session(&self, session: &Session) -> Vec<String> {
        let tables = &self.board.tables;
        let mut lines = vec![format!("{} {}", session.id, self.life(session))];
        lines.push(format!(
            "where    {} on {}, epoch {}, joined {}",
            session.worktree,
            session.host,
            session.epoch,
            self.ago(session.joined)
        ));
        lines.push(match session.state {
            session::State::Live => {
                format!(
                    "rule     lost without a renewal for {}",
                    span(self.board.spans.session_ttl.as_secs())
                )
            }
            session::State::Parked { .. } | session::State::Lost { .. } => {
                "rule     until then `molt-agent resume` gives back what it has".to_owned()
            }
        });
        let own = tables.claims.values().filter(|claim| claim.session == session.id);
        lines.extend(own.map(|claim| {
            let scopes = display_list(&claim.piece_list());
            format!("claim    {} {}: {scopes}", claim.id, state_word(claim))
        }));
        let tasks = tables.tasks.values().filter(|task| {
            matches!(task.state, task::State::Taken { session: holder, .. } if holder == session.id)
        });
        lines.extend(tasks.map(|task| format!("task     {} {}", task.id, task.title)));
        lines.extend(self.share_of_session(session));
        lines
    }

    fn task(&self, task: &Task) -> Vec<String> {
        let tables = &self.board.tables;
        let mut lines = Vec::new();
        match &task.state {
            task::State::Open => {
                lines.push(match task::undone(tables, task) {
                    None => {
                        format!("{} is open: `next` takes it when its scopes are free", task.id)
                    }
                    Some(needed) => format!("{} is open and {}", task.id, task::needs(needed)),
                });
            }
            task::State::Taken { session, claim, since } => {
                let claim = claim.map_or_else(|| "no scopes".to_owned(), |claim| claim.to_string());
                lines.push(format!(
                    "{} is taken by {} with {claim}, {}",
                    task.id,
                    self.name(*session),
                    self.ago(*since)
                ));
            }
            task::State::Blocked { reason } => {
                lines.push(format!("{} waits for a person: {}", task.id, first_line(reason)));
                lines.push(format!(
                    "operator molt-coordinator tasks reopen {} --reason WHY",
                    task.id
                ));
            }
            task::State::Done => lines.push(format!("{} is done", task.id)),
            task::State::Failed { reason } => {
                lines.push(format!("{} cannot be done: {}", task.id, first_line(reason)));
            }
        }
        lines.push(format!("title    {}", first_line(&task.title)));
        lines.push(format!(
            "rule     priority {}, then age; lost {} times, blocked at {}",
            task.priority,
            task.losses,
            task::MAX_LOSSES
        ));
        lines.push(format!("since    added {}", self.ago(task.added)));
        let scopes: Vec<String> = task.scopes.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "scopes   {}",
            if scopes.is_empty() { "none".to_owned() } else { scopes.join(" ") }
        ));
        lines.extend(self.share_with_task(task));
        let reported = tables.reports.get(&Subject::Task(task.id));
        let line = reported.and_then(|it| it.line.as_ref()).map(|said| &said.text);
        let left = task.report.as_ref().filter(|left| Some(*left) != line);
        lines.extend(line.map(|report| format!("report   {}", first_line(report))));
        lines.extend(left.map(|left| format!("left     {}", first_line(left))));
        let reopened = task.reopened.as_ref();
        lines.extend(reopened.map(|words| format!("reopened {}", first_line(words))));
        let late = reported.into_iter().flat_map(|it| &it.notes);
        lines.extend(late.map(|note| format!("late     {}: {}", note.by, first_line(&note.text))));
        lines
    }

    fn refusal(&self, note: &Note) -> Vec<String> {
        let mut lines = vec![format!(
            "{} of {} was refused, {}: {}",
            note.command,
            note.actor,
            self.ago(note.at),
            note.refusal.reason()
        )];
        lines.push(format!("rule     {}", note.refusal.rule()));
        lines.extend(note.refusal.facts());
        lines.extend(note.refusal.next_steps().into_iter().map(|step| format!("next     {step}")));
        lines
    }
}

fn state_word(claim: &Claim) -> &'static str {
    match claim.state {
        claim::State::Held { .. } => "held",
        claim::State::Offered { .. } => "offered",
        claim::State::Waiting { .. } => "waits",
    }
}

/// A text of people, as one line that fits.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(160).collect()
}

/// A span as people read it, roughly.
pub(crate) fn display_span(span: Duration) -> String {
    self::span(span.as_secs())
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
