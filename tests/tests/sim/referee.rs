//! Who watches a run: every commit as it is applied, every answer that is believed, every run
//! and claim from when its holder begins to when it ends, in true virtual time.
//!
//! The referee is told by the store, the clients and the hosts, and sends nothing. It keeps a
//! board of its own from what was committed. The first invariant that breaks ends the run. Not
//! here: what must hold of one board (`rules`) and of the holders (`journal`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molt_domain::audit::{self, Entry};
use molt_domain::board::{Board, Change, Event, Ledger};
use molt_domain::id::{BoardTime, Fence, SessionId, TaskId, millis};
use molt_domain::policy::Spans;
use molt_domain::session::Loss;
use molt_domain::{claim, lock};
use molt_store::{Commit, CommitError, Head, Record};

use crate::grace;
use crate::journal::Journal;
use crate::net::{Net, QUANTUM};
use crate::outcome::{Broken, Checked, Tally, ensure};
use crate::pages::{self, Pages};
use crate::rules::{self, Step};

/// How long board time may run on at one look after a stall, in milliseconds.
const STEP: u64 = 1_000;

/// What is long on its way, in milliseconds.
const LATE: u64 = 2_000;

/// How much earlier than the leader's ttl its horizon lies, for ttls that are not short.
const MARGIN: Duration = Duration::from_secs(2);

/// The referee; clones are the same one.
#[derive(Clone)]
pub(crate) struct Referee(Arc<Mutex<State>>);

struct State {
    net: Net,
    board: Board,
    pages: Pages,
    spans: Spans,
    number: u64,
    /// The highest that was granted.
    fence: Fence,
    lead: Lead,
    /// The time that each coordinator had turns for, and its freezes.
    ran: BTreeMap<usize, Ran>,
    /// When each coordinator sent what the store last said to have heard.
    heard: BTreeMap<usize, u64>,
    /// When the last renewal that a host knows of was sent, by session.
    renewed: BTreeMap<SessionId, u64>,
    /// Everything that an answer may tell of, once it was committed.
    ever: BTreeSet<String>,
    titles: BTreeMap<String, TaskId>,
    terms_believed: BTreeMap<usize, u64>,
    journal: Journal,
    tally: Tally,
    broken: Option<Broken>,
    broken_at: u64,
}

/// Who leads, as the store has it.
#[derive(Debug, Default)]
struct Lead {
    term: u64,
    coordinator: usize,
    /// Board time when it was elected.
    born: BoardTime,
    /// Board time and the turns of the leader when it was elected or committed last.
    mark: Option<(BoardTime, Ran)>,
    heard: u64,
    resigned: bool,
}

/// How long a coordinator ran, in milliseconds, and how often it was stopped.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Ran {
    turns: u64,
    stalls: u64,
}

impl Referee {
    pub(crate) fn new(
        net: Net,
        spans: Spans,
        ledger: Ledger,
        records: &[Record],
        head: u64,
    ) -> Self {
        let read = |record: &Record| pages::read(record).unwrap_or_default();
        let board = Board::recover(spans, ledger, records.iter().flat_map(read));
        Self(Arc::new(Mutex::new(State {
            journal: Journal::new(spans),
            net,
            board,
            pages: Pages::default(),
            spans,
            number: head,
            fence: Fence { epoch: 0, n: 0 },
            lead: Lead { resigned: true, ..Lead::default() },
            ran: BTreeMap::new(),
            heard: BTreeMap::new(),
            renewed: BTreeMap::new(),
            ever: BTreeSet::new(),
            titles: BTreeMap::new(),
            terms_believed: BTreeMap::new(),
            tally: Tally::default(),
            broken: None,
            broken_at: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the state look at something; the first break is kept.
    fn judge(&self, look: impl FnOnce(&mut State) -> Checked) {
        let mut state = self.state();
        if let Err(broken) = look(&mut state)
            && state.broken.is_none()
        {
            state.net.step(|| broken.to_string());
            state.broken_at = state.net.steps();
            state.broken = Some(broken);
        }
    }

    pub(crate) fn broken(&self) -> Option<Broken> {
        self.state().broken.clone()
    }

    /// The step at which the first invariant broke.
    pub(crate) fn broken_at(&self) -> u64 {
        self.state().broken_at
    }

    pub(crate) fn tally(&self) -> Tally {
        self.state().tally.clone()
    }

    /// Says that something broke that nobody else sees.
    pub(crate) fn accuse(&self, invariant: &'static str, detail: String) {
        self.judge(|_| Err(Broken { invariant, detail }));
    }

    // What coordinators and the store tell.

    /// A coordinator had a turn.
    pub(crate) fn turned(&self, coordinator: usize) {
        self.state().ran.entry(coordinator).or_default().turns += QUANTUM;
    }

    /// A coordinator was stopped for a while.
    pub(crate) fn stalled(&self, coordinator: usize) {
        self.state().ran.entry(coordinator).or_default().stalls += 1;
    }

    /// How long a coordinator has run.
    pub(crate) fn ran(&self, coordinator: usize) -> Ran {
        self.state().ran.get(&coordinator).copied().unwrap_or_default()
    }

    /// Who was given the lead last.
    pub(crate) fn leader(&self) -> usize {
        self.state().lead.coordinator
    }

    /// The store gave the lead to a coordinator.
    pub(crate) fn elected(&self, term: u64, coordinator: usize) {
        let ran = self.ran(coordinator);
        self.judge(|state| {
            let now = state.net.now();
            let lead = &state.lead;
            let (silent, ttl) = (now - lead.heard, millis(state.spans.leader_ttl));
            let may = lead.resigned || silent + QUANTUM >= ttl;
            let (before, time) = (lead.term, state.board.ledger().time);
            let mark = Some((time, ran));
            state.lead = Lead { term, coordinator, born: time, mark, heard: now, resigned: false };
            state.tally.terms += 1;
            state.net.step(|| format!("lead  c{coordinator} has term {term}"));
            ensure(term > before, "terms only grow", || format!("{term} after {before}"))?;
            ensure(may, "nobody takes the lead within a ttl", || {
                format!("c{coordinator} took term {term} {silent} ms after term {before} was heard")
            })
        });
    }

    /// The leader showed itself.
    pub(crate) fn renewed(&self) {
        let mut state = self.state();
        state.lead.heard = state.net.now();
    }

    /// A leader gave the lead back.
    pub(crate) fn resigned(&self, term: u64) {
        self.judge(|state| {
            state.lead.resigned = true;
            ensure(term == state.lead.term, "a deposed leader changes nothing", || {
                format!("term {term} resigned in term {}", state.lead.term)
            })
        });
    }

    /// The store applied a commit, which its leader sent after it had run for `sent`.
    pub(crate) fn committed(&self, me: usize, term: u64, sent: Ran, head: &Head, commit: &Commit) {
        self.judge(|state| state.committed(me, term, sent, head, commit));
    }

    /// The store refused a commit that was made for the head `expected`.
    pub(crate) fn refused(&self, expected: u64, why: &CommitError) {
        let mut state = self.state();
        let fits = expected == state.number;
        match why {
            CommitError::Deposed { .. } if fits => state.tally.deposed += 1,
            CommitError::Moved { .. } => state.tally.overtaken += 1,
            _ => {}
        }
    }

    /// A coordinator has the store's word for what it sent at `sent`.
    pub(crate) fn heard(&self, coordinator: usize, sent: u64) {
        let mut state = self.state();
        let now = state.net.now();
        state.tally.heard_late += u64::from(now - sent >= LATE);
        state.heard.insert(coordinator, sent);
    }

    /// A coordinator answers from memory; it had run for `since` when it was asked.
    pub(crate) fn remembers(&self, coordinator: usize, since: Ran) {
        self.judge(|state| {
            state.tally.answers += 1;
            let ran = state.ran.get(&coordinator).copied().unwrap_or_default();
            if ran.stalls != since.stalls {
                // It was stopped with the answer in its hands.
                return Ok(());
            }
            let ttl = state.spans.leader_ttl;
            let span = millis(ttl - MARGIN.min(ttl / 4)) + 2 * QUANTUM;
            let (now, sent) = (state.net.now(), state.heard.get(&coordinator).copied());
            ensure(
                sent.is_some_and(|sent| now <= sent + span),
                "a leader answers within its horizon",
                || {
                    format!(
                        "c{coordinator} answered at {now}; the store heard what it sent at {sent:?}"
                    )
                },
            )
        });
    }

    // What clients tell.

    /// What is committed as a client sends a request.
    pub(crate) fn asking(&self) -> u64 {
        self.state().number
    }

    /// A client believes an answer of `term` and `rev` to what it asked at `asked`.
    pub(crate) fn answered(&self, host: usize, asked: u64, term: u64, rev: u64) {
        self.judge(|state| {
            let believed = state.terms_believed.entry(host).or_default();
            let older = term < *believed;
            *believed = term.max(*believed);
            let believed = *believed;
            ensure(!older, "no older term is believed", || {
                format!("h{host} believed term {term} after term {believed}")
            })?;
            ensure(rev >= asked, "an answer is as new as its question", || {
                format!("h{host} asked at commit {asked} and was told of commit {rev}, term {term}")
            })
        });
    }

    /// A client was answered from an older term than it has seen.
    pub(crate) fn outdated(&self) {
        self.state().tally.outdated += 1;
    }

    /// A child is told to end.
    pub(crate) fn stopped(&self) {
        self.state().tally.stopped += 1;
    }

    /// A client was told of something that only a commit makes true.
    pub(crate) fn told(&self, what: &str) {
        self.judge(|state| {
            ensure(state.ever.contains(what), "12 what is acknowledged is there", || {
                format!("`{what}` was told and never committed")
            })
        });
    }

    /// A client was told that a claim is given back.
    pub(crate) fn told_released(&self, session: SessionId) {
        self.judge(|state| {
            let mut claims = state.board.tables().claims.values();
            let held = claims.find(|claim| claim.session == session && claim.is_held());
            ensure(held.is_none(), "12 what is acknowledged is there", || {
                format!("{held:?} was given back")
            })
        });
    }

    /// A host knows that a beat which it sent at `sent` renewed these sessions.
    pub(crate) fn beat(&self, sessions: &[SessionId], sent: u64) {
        let mut state = self.state();
        for session in sessions {
            let last = state.renewed.entry(*session).or_default();
            *last = sent.max(*last);
        }
    }

    /// Keeps the holders' journal: `write` is given true time and the committed board.
    pub(crate) fn journal(
        &self,
        write: impl FnOnce(&mut Journal, u64, &Board, &BTreeMap<SessionId, u64>) -> Checked,
    ) {
        self.judge(|state| {
            let now = state.net.now();
            write(&mut state.journal, now, &state.board, &state.renewed)
        });
    }

    /// Whether every session has ended, and nothing is held or waited for.
    pub(crate) fn nobody_is_left(&self) -> bool {
        let state = self.state();
        let tables = state.board.tables();
        tables.sessions.is_empty() && rules::nothing_is_left(tables).is_ok()
    }

    /// After everybody wound up: nothing is held, nobody waits.
    pub(crate) fn all_is_given_back(&self) {
        self.judge(|state| rules::nothing_is_left(state.board.tables()));
    }
}

impl State {
    fn committed(
        &mut self,
        me: usize,
        term: u64,
        sent: Ran,
        head: &Head,
        commit: &Commit,
    ) -> Checked {
        self.tally.commits += 1;
        self.lead.heard = self.net.now();
        let (number, lead) = (head.number, self.lead.term);
        self.net.step(|| format!("store c{me} commit {number} of term {term}"));
        ensure(term == lead, "a deposed leader changes nothing", || {
            format!("commit {number} of term {term} was applied in term {lead}")
        })?;
        ensure(number == self.number + 1, "12 commits are one line", || {
            format!("commit {number} after {}", self.number)
        })?;
        self.number = number;
        let unread = |detail: String| Broken { invariant: "12 records are read back", detail };
        let ledger: Ledger = commit.ledger().decode().map_err(|error| unread(error.to_string()))?;
        let before = self.board.clone();
        let mut entries: Vec<Entry> = Vec::new();
        let (mut changes, mut removed) = (Vec::new(), BTreeSet::new());
        for change in commit.changes() {
            let key = change.key().as_str();
            match change {
                molt_store::Change::Put(record) if key.starts_with("audit/") => {
                    let read: Vec<Entry> =
                        record.value.decode().map_err(|error| unread(error.to_string()))?;
                    entries.extend(read);
                }
                _ if key.starts_with("audit/") || key.starts_with("seal/") => {}
                molt_store::Change::Put(record) => {
                    changes.extend(pages::read(record).map_err(&unread)?);
                }
                molt_store::Change::Delete { .. } => drop(removed.insert(key)),
            }
        }
        changes.extend(removals(&before, &removed));
        self.pages.turn(commit.changes());
        // A commit has no order of its own, and what is told of it must have one.
        changes.sort_by_key(Change::key);
        for change in &changes {
            self.board.apply(change.clone());
        }
        self.pages.keep(&self.board, number)?;
        for orphan in pages::orphaned(&self.board) {
            self.board.apply(orphan);
        }
        self.pace(me, &ledger, sent)?;
        let anchor = before.ledger().audit.clone();
        self.board.set_ledger(ledger);
        let chained = audit::verify(anchor, &entries);
        ensure(
            chained.as_ref() == Ok(&self.board.ledger().audit),
            "11 the audit verifies",
            || format!("commit {number}: {chained:?}"),
        )?;
        let told = changes.iter().all(|change| is_told_before(change, &before));
        ensure(told || !entries.is_empty(), "11 every change is told", || {
            let keys: Vec<String> = changes.iter().map(Change::key).collect();
            format!("commit {number} changes {keys:?}")
        })?;
        let (changes, entries) = (changes.as_slice(), entries.as_slice());
        let born = self.lead.born;
        let step = Step { before: &before, after: &self.board, changes, entries, born };
        rules::hold(&step)?;
        self.tally.returned_late += grace::returned_late(&step);
        self.fence = rules::fences_grow(self.fence, before.tables(), changes)?;
        entries.iter().try_for_each(|entry| self.happened(&entry.event))
    }

    /// Board time runs only while a leader runs, and at most a step further for each stall.
    fn pace(&mut self, me: usize, ledger: &Ledger, sent: Ran) -> Checked {
        let Some((time, since)) = self.lead.mark else { return Ok(()) };
        if ledger.time == time {
            // A barrier: whoever waits for its outcome looks at no clock.
            return Ok(());
        }
        self.lead.mark = Some((ledger.time, sent));
        let ran = sent.turns.saturating_sub(since.turns) + 2 * QUANTUM;
        let may = ran + sent.stalls.saturating_sub(since.stalls) * STEP;
        let passed = ledger.time.0.checked_sub(time.0);
        ensure(
            passed.is_some_and(|passed| passed <= may),
            "board time runs while a leader runs",
            || format!("c{me} moved it from {time:?} to {:?} in {ran} ms", ledger.time),
        )
    }

    /// What was told of is there from now on; what was promised is kept.
    fn happened(&mut self, event: &Event) -> Checked {
        let line = event.line();
        let kind = line.split(' ').next().unwrap_or_default().to_owned();
        *self.tally.events.entry(kind).or_default() += 1;
        self.net.step(|| line);
        match event {
            Event::Joined { session, .. } => {
                let fresh = self.ever.insert(format!("{session} 1"));
                ensure(fresh, "2 no number is given twice", || session.to_string())?;
            }
            Event::Resumed { session, epoch } => {
                self.ever.insert(format!("{session} {epoch}"));
            }
            Event::Claimed { claim, fence, .. } => {
                self.ever.insert(format!("{claim} {fence}"));
            }
            Event::LockGranted { hold, fence, .. } => {
                self.ever.insert(format!("{hold} {fence}"));
            }
            Event::SlotGranted { hold, .. } => drop(self.ever.insert(hold.to_string())),
            Event::BuildBegun { hold, .. } => drop(self.ever.insert(hold.to_string())),
            Event::BuildEnded { build, artifacts: Some(artifacts), .. } => {
                self.ever.insert(format!("{build} {artifacts}"));
            }
            Event::TaskTaken { task, session, .. } => {
                self.ever.insert(format!("{task} {session}"));
            }
            Event::TaskAdded { task, title, .. } => {
                self.ever.insert(task.to_string());
                let first = self.titles.insert(title.clone(), *task);
                ensure(first.is_none(), "3 one request has one effect", || {
                    format!("`{title}` is {task} and {first:?}")
                })?;
            }
            Event::Lost { session, cause: Loss::Silence, .. } => return self.lost(*session),
            _ => {}
        }
        Ok(())
    }

    /// A session that a host knows to be renewed is not lost before its ttl is over.
    fn lost(&self, session: SessionId) -> Checked {
        let Some(sent) = self.renewed.get(&session) else { return Ok(()) };
        let (now, ttl) = (self.net.now(), millis(self.spans.session_ttl));
        ensure(now >= sent + ttl, "no renewed session is lost", || {
            format!("{session} was lost {} ms after a beat that renewed it", now - sent)
        })
    }
}

/// Whether a change is one that an earlier entry told of: an answer stands beside what was done,
/// a lost lock says with its loss when it opens, and a message leaves inboxes that are gone.
fn is_told_before(change: &Change, before: &Board) -> bool {
    match change {
        Change::Answer(..) => true,
        Change::Message(id, after) => {
            let was_for = before.tables().messages.get(id).map(|message| &message.to);
            was_for.is_some_and(|old| after.iter().all(|message| message.to.is_subset(old)))
        }
        Change::Lock(key, None) => {
            before.tables().locks.get(key).is_some_and(|lock| !is_held(lock))
        }
        _ => false,
    }
}

/// The changes that remove what a board has under these keys; what came and went in one commit it
/// does not have.
fn removals(board: &Board, keys: &BTreeSet<&str>) -> Vec<Change> {
    if keys.iter().all(|key| pages::is_page(key)) {
        return Vec::new();
    }
    let gone = board.records().into_iter().filter(|record| keys.contains(record.key().as_str()));
    // What undoes its first writing is its removal.
    gone.map(|there| Board::new(*board.spans()).apply(there)).collect()
}

/// Whether a lock is held.
pub(crate) fn is_held(lock: &lock::Lock) -> bool {
    matches!(lock.state, lock::State::Held(_))
}

/// Whether a claim waits.
pub(crate) fn waits(claim: &claim::Claim) -> bool {
    !claim.is_held()
}
