//! How everybody else talks to the engine.

use molt_domain::board::{Board, Caller, Command, Presence, Refusal, Reply, Request};
use molt_domain::id::{BoardTime, ClaimId, Fence, RefusalId, SessionId};
use molt_domain::name::HostName;
use molt_domain::session::Told;
use tokio::sync::{mpsc, oneshot};

use super::history::History;
use super::horizon::Horizon;

/// Why a command has no reply.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The rules say no; nothing changed.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Box<Refusal>,
        /// What `why` explains it by.
        id: RefusalId,
    },
    /// Nothing changed; try again.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Whether it changed something is not known; repeat the same request.
    #[error("the outcome is not known")]
    Unknown,
}

/// The committed board as a reader sees it.
#[derive(Debug, Clone, Copy)]
pub struct Committed<'a> {
    /// The board.
    pub board: &'a Board,
    /// Board time.
    pub now: BoardTime,
    /// The leader's term.
    pub term: u64,
    /// The number of the last commit.
    pub rev: u64,
}

/// What makes an answer true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The store took the commit, or said what became of it.
    Commit,
    /// The board as this leader remembers it.
    Memory,
}

/// Words a reply on the board as it is right after the command, or takes the failure.
pub(super) type Answer =
    Box<dyn FnOnce(Result<(&Reply, Committed<'_>), Failure>) -> Delivery + Send>;
/// Lets the caller have what was worded, or what went wrong on the way to the store.
pub(super) type Delivery = Box<dyn FnOnce(Result<Source, Failure>) + Send>;
pub(super) type Reader = Box<dyn FnOnce(Result<Committed<'_>, Failure>) + Send>;

/// What the engine is told.
pub(super) enum Message {
    Submit { request: Box<Request>, answer: Answer },
    Read(Reader),
    Note(Note),
    Forget { entries: u64, done: oneshot::Sender<()> },
}

/// What is noted without a commit.
pub(super) enum Note {
    Beat { host: HostName, sessions: Vec<SessionId>, signs: Vec<(SessionId, Told)> },
    Attend { claim: ClaimId, presence: Presence },
    Used(Caller),
    Granted(Fence),
}

/// The way to the engine. Cheap to clone; the engine ends when the last is gone.
#[derive(Debug, Clone)]
pub struct Handle {
    sender: mpsc::Sender<Message>,
    history: History,
    horizon: Horizon,
}

impl Failure {
    /// The store has not heard of this leader for so long that another one may lead.
    pub(super) fn cut_off() -> Self {
        Self::Unavailable("the store does not answer: another coordinator may lead".to_owned())
    }
}

fn gone() -> Failure {
    Failure::Unavailable("the coordinator is stopping".to_owned())
}

impl Handle {
    pub(super) fn new(sender: mpsc::Sender<Message>, history: History, horizon: Horizon) -> Self {
        Self { sender, history, horizon }
    }

    /// Carries out a request and renders its reply on the board as it is right after the command.
    ///
    /// # Errors
    ///
    /// A refusal, or that the engine cannot take it now.
    pub async fn submit<T, F>(&self, request: Request, render: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Reply, Committed<'_>) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let answer: Answer = Box::new(move |reply| {
            let worded = reply.map(|(reply, at)| render(reply, at));
            Box::new(move |outcome| {
                let answer = match outcome {
                    Ok(source) => (worded, source),
                    Err(failure) => (Err(failure), Source::Commit),
                };
                // The caller may have gone; the command was carried out all the same.
                drop(sender.send(answer));
            })
        });
        let message = Message::Submit { request: Box::new(request), answer };
        self.sender.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::Unavailable("the inbox is full: come back in a second".to_owned())
            }
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        let (answer, source) = receiver.await.map_err(|_| Failure::Unknown)?;
        match source {
            Source::Commit => answer,
            Source::Memory => self.still_certain(answer)?,
        }
    }

    /// An answer from memory, unless it became uncertain on its way here.
    fn still_certain<T>(&self, answer: T) -> Result<T, Failure> {
        if self.horizon.holds() { Ok(answer) } else { Err(Failure::cut_off()) }
    }

    /// Carries out a command of the coordinator's own.
    ///
    /// # Errors
    ///
    /// As [`Self::submit`].
    pub async fn own(&self, command: Command) -> Result<Reply, Failure> {
        self.submit(Request::own(command), |reply, _| reply.clone()).await
    }

    /// Reads the committed board.
    ///
    /// # Errors
    ///
    /// The engine is stopping, or may have been replaced.
    pub async fn read<T, F>(&self, read: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(Committed<'_>) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let reader: Reader = Box::new(move |committed| drop(sender.send(committed.map(read))));
        self.sender.send(Message::Read(reader)).await.map_err(|_| gone())?;
        self.still_certain(receiver.await.map_err(|_| gone())??)
    }

    /// Counts a host's and its sessions' sign of life, and what it sees of others.
    pub async fn beat(
        &self,
        host: HostName,
        sessions: Vec<SessionId>,
        signs: Vec<(SessionId, Told)>,
    ) {
        self.note(Note::Beat { host, sessions, signs }).await;
    }

    /// Notes whether the waiter of a claim is connected.
    pub async fn attend(&self, claim: ClaimId, presence: Presence) {
        self.note(Note::Attend { claim, presence }).await;
    }

    /// Counts a question as a command of whom proves to be a living session.
    pub async fn used(&self, caller: Caller) {
        self.note(Note::Used(caller)).await;
    }

    /// Takes note of the highest fence that a caller was granted, before its command.
    pub async fn witness(&self, granted: Fence) {
        self.note(Note::Granted(granted)).await;
    }

    async fn note(&self, note: Note) {
        // An engine that is gone needs no notes.
        drop(self.sender.send(Message::Note(note)).await);
    }

    /// Removes the audit's entries up to `through` from the store, when they are safe elsewhere.
    pub async fn forget_audit(&self, through: u64) -> bool {
        let (done, receiver) = oneshot::channel();
        let message = Message::Forget { entries: through, done };
        self.sender.send(message).await.is_ok() && receiver.await.is_ok()
    }

    /// What happened lately, and what happens.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}
