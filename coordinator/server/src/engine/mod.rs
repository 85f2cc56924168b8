//! The loop that owns the board.
//!
//! It takes all waiting commands, decides them one after another, commits what
//! they change as one store transaction, then answers and publishes. A command
//! is never split; a batch that the store refuses is undone in memory. Readers
//! run between batches, so they see only what is committed. Not here: the rules
//! (`molt-domain`), the wire (`rpc`), and what follows from the state
//! (`reconcile`).

mod batch;
mod handle;
mod history;
mod horizon;
mod load;
mod mark;
mod pulse;
mod time;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::{Board, Caller, Now, Request};
use molt_domain::policy::Spans;
use molt_retry::Policy;
use molt_store::{
    Candidate, Commit, Head, Json, Leadership, SettleError, Settled, Store, TenureError,
};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub(crate) use self::batch::stored;
use self::batch::{Batch, Pending};
pub use self::handle::{Committed, Failure, Handle};
use self::handle::{Message, Note, Source};
use self::history::Journal;
pub(crate) use self::history::record as audit_record;
pub use self::history::{Compacted, History, Subscription};
use self::horizon::Horizon;
use self::load::Loaded;
pub use self::load::OpenError;
pub(crate) use self::load::{Sound, read_ledger, verify};
pub(crate) use self::mark::{Mark, Said};
pub use self::pulse::Beat;
use self::time::BoardClock;
pub use self::waiting::{Attendant, Place};
use crate::clock::Clock;
use crate::fault::fault;

/// Messages that may wait; more are told to come back.
const INBOX: usize = 4096;

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
    board: Board,
    clock: BoardClock,
    journal: Journal,
    horizon: Horizon,
    inbox: mpsc::Receiver<Message>,
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
        let Loaded { leadership, head, ledger, records, journal } =
            load::load(store.as_ref(), candidate).await?;
        let horizon = Horizon::new(store.facts().tenure, clock, sent);
        let start = Start { term: leadership.term(), number: head.number, records: records.len() };
        let clock = BoardClock::starting_at(ledger.time, clock);
        let board = Board::recover(spans, ledger, records);
        let (sender, inbox) = mpsc::channel(INBOX);
        let handle = Handle::new(sender, journal.history(), horizon.clone());
        let engine = Self { store, leadership, head, board, clock, journal, horizon, inbox };
        Ok((engine, handle, start))
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
        let mut waiting = Vec::new();
        loop {
            let wait = self.horizon.renewal_in();
            if wait == Some(Duration::ZERO) {
                self.renew().await?;
                continue;
            }
            tokio::select! {
                // What has arrived is counted before anything else.
                biased;
                count = self.inbox.recv_many(&mut waiting, INBOX) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.turn(waiting.drain(..)).await?;
                }
                () = sleep_or_never(wait) => {}
                () = stop.cancelled(), if !self.inbox.is_closed() => self.inbox.close(),
            }
        }
    }

    /// Shows the store that this leader is still there.
    async fn renew(&mut self) -> Result<(), Ended> {
        let sent = self.clock.sending();
        match self.store.renew(&self.leadership).await {
            Ok(()) => self.horizon.heard(sent),
            Err(TenureError::Deposed { term }) => return Err(Ended::Deposed { term }),
            Err(TenureError::Unavailable(cause)) => {
                warn!(phase = "lead", %cause, "the lead could not be renewed");
                self.horizon.unheard();
                if !self.horizon.holds() {
                    return Err(self.cut_off());
                }
            }
        }
        Ok(())
    }

    /// Gives the lead back; who cannot is waited for.
    async fn resign(&self) {
        let number = self.head.number;
        match self.store.resign(&self.leadership).await {
            Ok(()) => info!(phase = "drain", number, "the lead is given back"),
            Err(error) => {
                warn!(phase = "drain", number, %error, "the lead could not be given back");
            }
        }
    }

    /// Handles what waits: commands in as few commits as fit, then readers.
    async fn turn(&mut self, messages: impl Iterator<Item = Message>) -> Result<(), Ended> {
        let mut readers = Vec::new();
        let mut batch = Batch::default();
        for message in messages {
            match message {
                Message::Submit { request, answer } => {
                    self.take(&mut batch, *request, answer).await?;
                }
                Message::Read(reader) => readers.push(reader),
                Message::Note(note) => self.note(note),
                Message::Forget { entries, done } => {
                    self.commit(std::mem::take(&mut batch)).await?;
                    self.forget(entries, done).await?;
                }
            }
        }
        self.commit(batch).await?;
        let now = self.now();
        for reader in readers {
            reader(self.certain().map(|()| self.committed(now)));
        }
        Ok(())
    }

    /// Whether an answer that no commit proves may be given.
    fn certain(&self) -> Result<(), Failure> {
        if self.horizon.holds() { Ok(()) } else { Err(Failure::cut_off()) }
    }

    fn now(&mut self) -> Now {
        Now { board: self.clock.now(), wall: self.clock.wall() }
    }

    fn committed(&self, now: Now) -> Committed<'_> {
        Committed {
            board: &self.board,
            now: now.board,
            term: self.leadership.term(),
            rev: self.head.number,
        }
    }

    /// Decides one command, and applies it to the board in memory.
    async fn take(
        &mut self,
        batch: &mut Batch,
        request: Request,
        answer: handle::Answer,
    ) -> Result<(), Ended> {
        let now = self.now();
        if let Err(rolled_back) = self.board.admit(&request.command) {
            let failure = Failure::Unavailable(rolled_back.to_string());
            answer(Err(failure), Source::Memory, self.committed(now));
            return Ok(());
        }
        let mut decided = self.board.decide(&request, now);
        if let Ok(decision) = &decided
            && !batch.fits(decision)
        {
            self.commit(std::mem::take(batch)).await?;
            decided = self.board.decide(&request, now);
        }
        match decided {
            Ok(decision) => {
                let actor = request.actor(&self.board);
                if let Caller::Session(credentials) = &request.caller {
                    // Being used is a sign of life.
                    self.board.beat(credentials.session, now.board);
                }
                batch.add(&mut self.board, decision, Pending { actor, now, answer });
            }
            Err(refusal) => {
                let actor = request.actor(&self.board);
                debug!(phase = "decide", reason = refusal.reason(), %actor, "refused");
                let word = request.command.word();
                let id = self.board.note_refusal(&refusal, word, &actor, now);
                let failure = self.certain().err().unwrap_or(Failure::Refused { refusal, id });
                answer(Err(failure), Source::Memory, self.committed(now));
            }
        }
        Ok(())
    }

    /// Commits a batch, then answers and publishes; undoes it when the store does not take it.
    async fn commit(&mut self, mut batch: Batch) -> Result<(), Ended> {
        if batch.is_empty() {
            return Ok(());
        }
        let now = self.now();
        if !batch.changes_anything() {
            for (pending, reply) in batch.answers {
                let reply = self.certain().map(|()| reply);
                (pending.answer)(reply, Source::Memory, self.committed(now));
            }
            return Ok(());
        }
        let before = self.board.ledger().clone();
        let (ledger, written, entries) = batch.written(&before, now);
        let commit = Json::encode(&ledger)
            .map_err(|error| Ended::Unbuildable(error.into()))
            .and_then(|ledger| {
                Commit::new(&self.leadership, ledger, written)
                    .map_err(|error| Ended::Unbuildable(error.into()))
            });
        let commit = match commit {
            Ok(commit) => commit,
            Err(ended) => {
                warn!(phase = "commit", "a batch could not be built");
                self.undo(batch, &Failure::Unavailable("the change does not fit a commit".into()));
                return Err(ended);
            }
        };
        if fault!(AnsweredFirst) {
            for (pending, reply) in batch.answers.drain(..) {
                (pending.answer)(Ok(reply), Source::Commit, self.committed(now));
            }
        }
        let Some(settled) = self.settle(commit).await else {
            self.undo(batch, &Failure::Unknown);
            return Err(self.cut_off());
        };
        match settled {
            Ok(Settled::Applied(head)) => {
                self.head = head;
                self.board.set_ledger(ledger);
                self.journal.publish(entries);
                for (pending, reply) in batch.answers {
                    (pending.answer)(Ok(reply), Source::Commit, self.committed(now));
                }
                Ok(())
            }
            Ok(Settled::Lost(head)) => {
                self.head = head;
                self.undo(batch, &Failure::Unavailable("the store lost the commit".into()));
                Ok(())
            }
            Err(SettleError::Unavailable(cause)) => {
                warn!(phase = "commit", %cause, "the store is unavailable");
                self.undo(batch, &Failure::Unavailable(format!("the store: {cause}")));
                Ok(())
            }
            Err(SettleError::Deposed { term }) => {
                self.undo(batch, &Failure::Unknown);
                Err(Ended::Deposed { term })
            }
            Err(SettleError::Overtaken { head }) => {
                self.undo(batch, &Failure::Unknown);
                Err(Ended::Overtaken { number: head.number })
            }
        }
    }

    fn cut_off(&self) -> Ended {
        Ended::CutOff { term: self.leadership.term() }
    }

    /// Commits until the outcome is known, or this leader's horizon is reached: `None`. What became
    /// of the commit, the next leader finds in what it loads.
    async fn settle(&self, commit: Commit) -> Option<Result<Settled, SettleError>> {
        let mut delays = Policy::COMMIT_UNKNOWN.delays(molt_retry::Seed::fresh());
        let pause = |_| {
            // Out of patience is not out of duty: the outcome must be known before anything else.
            let delay = delays.next_delay().unwrap_or(Duration::from_millis(500));
            tokio::time::sleep(delay)
        };
        let store = self.store.as_ref();
        let sent = self.clock.sending();
        let settling =
            molt_store::commit_and_settle(store, &self.leadership, &self.head, commit, pause);
        let settled = tokio::select! {
            biased;
            settled = settling => settled,
            () = sleep_or_never(self.horizon.patience()) => return None,
        };
        if settled.is_ok() {
            self.horizon.heard(sent);
        }
        Some(settled)
    }

    fn undo(&mut self, batch: Batch, failure: &Failure) {
        for change in batch.undo.into_iter().rev().filter(|_| !fault!(UndoForgotten)) {
            self.board.apply(change);
        }
        let before = batch.fence_before.unwrap_or(self.board.ledger().fence());
        self.board.set_ledger(self.board.ledger().clone().at(before));
        let now = self.now();
        for (pending, _) in batch.answers {
            (pending.answer)(Err(failure.clone()), Source::Commit, self.committed(now));
        }
    }

    fn note(&mut self, note: Note) {
        let now = self.clock.now();
        match note {
            Note::Beat { host, sessions } => {
                self.board.beat_host(&host, now);
                for session in sessions {
                    self.board.beat(session, now);
                }
            }
            Note::Attend { claim, presence } => self.board.attend(claim, presence),
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
        match self.settle(commit).await.ok_or_else(|| self.cut_off())? {
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
