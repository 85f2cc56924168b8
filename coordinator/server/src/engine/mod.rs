//! The loop that owns the board.
//!
//! It decides waiting commands one after another and commits what they change
//! as one store transaction, then answers and publishes. While one commit is
//! on its way the next batch is decided on top of it; nobody is told anything
//! of a batch before the store has it. A command is never split; a batch that
//! the store refuses is undone in memory, with what was decided on top of it.
//! Readers run while nothing is undecided, so they see only what is committed.
//! Not here: the rules (`molt-domain`), the wire (`rpc`), and what follows from
//! the state (`reconcile`).

mod answers;
mod batch;
mod flight;
mod format;
mod handle;
mod history;
mod horizon;
mod load;
mod mark;
mod pulse;
mod renewal;
mod time;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::{Board, Caller, Now, Request};
use molt_domain::policy::Spans;
use molt_store::{
    Candidate, Commit, FORMAT, Format, Head, Leadership, SettleError, Settled, Store,
};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::answers::Answers;
pub(crate) use self::answers::{Layout, is_of_answers, records as answers_records};
use self::batch::Batch;
pub(crate) use self::batch::stored;
use self::flight::Flight;
use self::handle::{Answer, Message, Note, Reader, Source};
pub use self::handle::{Committed, Failure, Handle};
use self::history::Journal;
pub(crate) use self::history::record as audit_record;
pub use self::history::{Compacted, History, Subscription};
use self::horizon::Horizon;
use self::load::Loaded;
pub use self::load::OpenError;
pub(crate) use self::load::{Sound, read_ledger, verify};
pub(crate) use self::mark::{Mark, Said};
pub use self::pulse::Beat;
use self::renewal::Renewal;
use self::time::BoardClock;
pub use self::waiting::{Attendant, Place};
use crate::clock::Clock;

/// Messages that may wait; more are told to come back.
const INBOX: usize = 4096;

/// A batch of so many commands waits for company before it is sent off.
const FEW: usize = 2;

/// Why the engine ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// Another coordinator leads.
    #[error("another coordinator took the lead after term {term}")]
    Deposed {
        /// The term that is over.
        term: u64,
    },
    /// The store was not heard for so long that another one may lead.
    #[error("the store did not answer until the lead ran out, in term {term}")]
    CutOff {
        /// The term that is over.
        term: u64,
    },
    /// Somebody wrote beside this leader.
    #[error("the store's head is commit {number}, which this leader did not make")]
    Overtaken {
        /// The head's number.
        number: u64,
    },
    /// A decision does not fit a commit: a bug.
    #[error("a commit could not be built")]
    Unbuildable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The owner of the board, while it leads.
pub struct Engine {
    store: Arc<dyn Store>,
    leadership: Leadership,
    head: Head,
    /// What this program writes, once the store's is raised to it.
    format: Format,
    board: Board,
    answers: Answers,
    clock: BoardClock,
    journal: Journal,
    horizon: Horizon,
    inbox: mpsc::Receiver<Message>,
    /// What has arrived and was not looked at yet.
    backlog: VecDeque<Message>,
    /// Those who wait until nothing is undecided.
    readers: Vec<Reader>,
    /// Decided, and not on its way to the store.
    batch: Batch,
    /// The commit that is on its way.
    flight: Option<Flight>,
    /// The renewal of the lead that is on its way.
    renewal: Option<Renewal>,
}

/// What an engine found when it took the lead.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The term that began.
    pub term: u64,
    /// The head's number.
    pub number: u64,
    /// Sessions, claims and cars that were there.
    pub records: usize,
}

impl Engine {
    /// Takes the lead and loads the board.
    ///
    /// # Errors
    ///
    /// The store is not to be had, or what it holds does not verify.
    pub async fn open(
        store: Arc<dyn Store>,
        candidate: &Candidate,
        spans: Spans,
        clock: Clock,
    ) -> Result<(Self, Handle, Start), OpenError> {
        let sent = clock.boottime();
        let Loaded { leadership, head, ledger, records, answers, journal } =
            load::load(store.as_ref(), candidate).await?;
        let horizon = Horizon::new(store.facts().tenure, clock, sent);
        let start = Start { term: leadership.term(), number: head.number, records: records.len() };
        let clock = BoardClock::starting_at(ledger.time, clock);
        let mut board = Board::recover(spans, ledger, records);
        board.set_formats(format::formats(head.format, FORMAT));
        let (sender, inbox) = mpsc::channel(INBOX);
        let handle = Handle::new(sender, journal.history(), horizon.clone());
        let format = FORMAT;
        let engine = Self {
            store,
            leadership,
            head,
            format,
            board,
            answers,
            clock,
            journal,
            horizon,
            inbox,
            backlog: VecDeque::new(),
            readers: Vec::new(),
            batch: Batch::default(),
            flight: None,
            renewal: None,
        };
        Ok((engine, handle, start))
    }

    /// The same engine of a program that writes records in `format` once that is raised.
    #[must_use]
    pub fn writing(mut self, format: Format) -> Self {
        self.format = format;
        self.board.set_formats(format::formats(self.head.format, format));
        self
    }

    /// Runs until it is stopped or the lead is lost. Once stopped it takes nothing new, answers
    /// what waits, and gives the lead back.
    ///
    /// # Errors
    ///
    /// Why the lead was lost.
    #[must_use = "the engine ends with the task"]
    pub fn start(self, stop: CancellationToken) -> JoinHandle<Result<(), Ended>> {
        #[expect(clippy::disallowed_methods, reason = "the one task of the engine: main joins it")]
        tokio::spawn(self.run(stop))
    }

    async fn run(mut self, stop: CancellationToken) -> Result<(), Ended> {
        let mut aides = JoinSet::new();
        aides.spawn(self.journal.history().tell());
        let ended = self.serve(&stop).await;
        self.journal.history().end();
        if ended.is_ok() {
            self.resign().await;
        }
        ended
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), Ended> {
        let (mut arrived, mut is_open) = (Vec::new(), true);
        loop {
            self.advance().await?;
            let is_idle = self.flight.is_none();
            if is_idle && !is_open {
                return Ok(());
            }
            // A commit that is on its way shows as much as a renewal.
            let due = self.horizon.renewal_in().filter(|_| is_idle && self.renewal.is_none());
            if due == Some(Duration::ZERO) {
                self.renewal = Some(self.renewing());
                continue;
            }
            tokio::select! {
                // Whoever waits for a commit is answered first.
                biased;
                settled = flight::landing(&mut self.flight) => self.land(settled)?,
                renewed = renewal::landing(&mut self.renewal) => self.renewed(renewed)?,
                () = stop.cancelled(), if !self.inbox.is_closed() => self.inbox.close(),
                count = self.inbox.recv_many(&mut arrived, INBOX),
                    if is_open && self.backlog.is_empty() =>
                {
                    is_open = count > 0;
                    self.backlog.extend(arrived.drain(..));
                }
                () = sleep_or_never(due) => {}
            }
        }
    }

    /// Goes as far as is possible without waiting for the commit that is on its way.
    async fn advance(&mut self) -> Result<(), Ended> {
        loop {
            self.decide();
            if self.flight.is_some() {
                return Ok(());
            }
            if !self.batch.is_empty() {
                self.gather().await;
                self.launch()?;
                continue;
            }
            self.let_readers_in();
            match self.backlog.pop_front() {
                None => return Ok(()),
                Some(Message::Forget { entries, done }) => self.forget(entries, done).await?,
                Some(message) => self.backlog.push_front(message),
            }
        }
    }

    /// Decides what has arrived, until the batch is full or somebody waits for it to be committed.
    /// Goes on for an inbox of messages at most, so that a crowd that is refused, or beats, keeps
    /// nobody from what has landed.
    fn decide(&mut self) {
        for _ in 0..INBOX {
            if !self.readers.is_empty() {
                return;
            }
            let arrived = || self.inbox.try_recv().ok();
            let Some(message) = self.backlog.pop_front().or_else(arrived) else {
                return;
            };
            match message {
                Message::Submit { request, answer } => {
                    if let Some(later) = self.take(request, answer) {
                        return self.backlog.push_front(later);
                    }
                }
                Message::Read(reader) => self.readers.push(reader),
                Message::Note(note) => self.note(note),
                Message::Forget { .. } => return self.backlog.push_front(message),
            }
        }
    }

    /// Where few are to be committed, lets those who are about to ask do so: a commit costs hardly
    /// more for many. One turn reads what has come over their connections, the next one brings it
    /// here.
    async fn gather(&mut self) {
        for _ in 0..2 {
            if self.batch.len() > FEW {
                return;
            }
            tokio::task::yield_now().await;
            self.decide();
        }
    }

    /// Serves readers, when nothing is undecided.
    fn let_readers_in(&mut self) {
        let now = self.now();
        for reader in std::mem::take(&mut self.readers) {
            reader(self.certain().map(|()| self.committed(now)));
        }
    }

    /// Gives the lead back; who cannot is waited for.
    async fn resign(&mut self) {
        let number = self.head.number;
        match self.store.resign(&self.leadership).await {
            Ok(()) => info!(phase = "drain", number, "the lead is given back"),
            Err(error) => {
                warn!(phase = "drain", number, %error, "the lead could not be given back");
            }
        }
    }

    /// Whether an answer that no commit proves may be given.
    fn certain(&self) -> Result<(), Failure> {
        if self.horizon.holds() { Ok(()) } else { Err(Failure::cut_off()) }
    }

    fn now(&mut self) -> Now {
        Now { board: self.clock.now(), wall: self.clock.wall() }
    }

    fn committed(&self, now: Now) -> Committed<'_> {
        self.board_at(now, self.head.number)
    }

    /// The board with everything that is decided, as it is when that is committed.
    fn decided(&self, now: Now) -> Committed<'_> {
        let ahead = u64::from(self.flight.is_some()) + u64::from(self.batch.changes_anything());
        self.board_at(now, self.head.number + ahead)
    }

    fn board_at(&self, now: Now, rev: u64) -> Committed<'_> {
        Committed { board: &self.board, now: now.board, term: self.leadership.term(), rev }
    }

    /// Decides one command, and applies it to the board in memory. Gives it back when the batch has
    /// no room for it.
    fn take(&mut self, request: Box<Request>, answer: Answer) -> Option<Message> {
        let now = self.now();
        if let Err(rolled_back) = self.board.admit(&request.command) {
            let failure = Failure::Unavailable(rolled_back.to_string());
            answer(Err(failure))(Ok(Source::Memory));
            return None;
        }
        let decided = self.board.decide(&request, now);
        self.board.note_use(&request.caller, now.board);
        let delivery = match decided {
            Ok(decision) if !self.batch.fits(&decision, Layout::of(self.head.format)) => {
                return Some(Message::Submit { request, answer });
            }
            Ok(decision) => {
                let actor = request.actor(&self.board);
                if let Caller::Session(credentials) = &request.caller {
                    // Being used is a sign of life.
                    self.board.beat(credentials.session, now.board);
                }
                let reply = self.batch.add(&mut self.board, decision, &actor, now);
                answer(Ok((&reply, self.decided(now))))
            }
            Err(refusal) => {
                let actor = request.actor(&self.board);
                debug!(phase = "decide", reason = refusal.reason(), %actor, "refused");
                let word = request.command.word();
                let id = self.board.note_refusal(&refusal, word, &actor, now);
                answer(Err(Failure::Refused { refusal, id }))
            }
        };
        self.batch.answer(delivery);
        None
    }

    fn cut_off(&self) -> Ended {
        Ended::CutOff { term: self.leadership.term() }
    }

    fn note(&mut self, note: Note) {
        let now = self.clock.now();
        match note {
            Note::Beat { host, sessions, signs } => {
                self.board.beat_host(&host, now);
                for session in sessions {
                    self.board.beat(session, now);
                }
                for (session, told) in signs {
                    self.board.note_signs(&host, session, told, now);
                }
            }
            Note::Attend { claim, presence } => self.board.attend(claim, presence),
            Note::Used(caller) => self.board.note_use(&caller, now),
            Note::Granted(fence) => {
                let before = self.board.rolled_back();
                self.board.witness(fence);
                if let (None, Some(rolled_back)) = (before, self.board.rolled_back()) {
                    error!(phase = "decide", reason = %rolled_back, "nothing is granted any more");
                }
            }
        }
    }

    /// Removes audit records that are sealed in files, keeping the anchor.
    async fn forget(
        &mut self,
        through: u64,
        done: tokio::sync::oneshot::Sender<()>,
    ) -> Result<(), Ended> {
        let Some((changes, anchor)) = self.journal.sealed(through) else {
            let _gone = done.send(());
            return Ok(());
        };
        let ledger = self.head.ledger.clone();
        let commit = Commit::new(&self.leadership, ledger, changes)
            .map_err(|error| Ended::Unbuildable(error.into()))?;
        let sent = self.clock.sending();
        let settled = self.settling(commit).await.ok_or_else(|| self.cut_off())?;
        if settled.is_ok() {
            self.horizon.heard(sent);
        }
        match settled {
            Ok(Settled::Applied(head)) => {
                self.head = head;
                self.journal.forget(&anchor);
                let _gone = done.send(());
            }
            Ok(Settled::Lost(head)) => self.head = head,
            Err(SettleError::Unavailable(cause)) => {
                warn!(phase = "seal", %cause, "sealed entries stay in the store for now");
            }
            Err(SettleError::Deposed { term }) => return Err(Ended::Deposed { term }),
            Err(SettleError::Overtaken { head }) => {
                return Err(Ended::Overtaken { number: head.number });
            }
        }
        Ok(())
    }
}

async fn sleep_or_never(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
