//! Calls to the coordinator: where it is, how patiently it is asked, and which
//! answers are believed.
//!
//! Several addresses are one fleet's coordinators: whoever leads answers, and
//! its term must not be older than one that was seen. What is shown of this side
//! (certificate, token) is found where the user keeps it. Not here: which request
//! has which number ([`crate::session`]), and what a verb makes of an answer.

mod address;
mod seen;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molt_proto::credentials::{Credentials, CredentialsError, Stub};
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_retry::{Failed, Next, Policy, retry};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Response, Status, Streaming};

pub use address::{Address, DEFAULT_PORT, InvalidAddress};
use seen::Seen;

use crate::error::{Error, Exit};
use crate::session::config;

/// How long a call that changed nothing is tried again before the caller is told.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long one answer may take.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long making a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// A fleet's coordinators, as a client.
#[derive(Debug)]
pub struct Client {
    addresses: Vec<Address>,
    credentials: Credentials,
    seen: Seen,
    current: Mutex<Current>,
}

/// Who is asked at present.
#[derive(Debug)]
struct Current {
    address: Address,
    /// The place in the list of addresses that was tried last.
    index: usize,
    channel: Option<Channel>,
    /// Whether anybody answered over it: then this side was taken for who it is.
    heard: bool,
}

impl Client {
    /// The coordinators at `addresses`, of which one leads; what is known about
    /// them is kept under the state folder `state`. They are shown what the
    /// environment or the user's configuration has.
    pub fn new(addresses: Vec<Address>, state: &Path) -> Result<Self, Error> {
        Self::showing(config::credentials()?, addresses, state)
    }

    /// The same, shown `credentials`.
    pub fn showing(
        credentials: Credentials,
        addresses: Vec<Address>,
        state: &Path,
    ) -> Result<Self, Error> {
        for address in &addresses {
            credentials.endpoint(&address.url()).map_err(|error| unusable(&error))?;
        }
        let Some(first) = addresses.first().cloned() else {
            return Err(Error::usage("no coordinator's address is given"));
        };
        let seen = Seen::open(state, &addresses)?;
        // With one address there is nothing to choose from.
        let address = seen.leader().filter(|_| addresses.len() > 1).unwrap_or(first);
        let index = addresses.iter().position(|known| *known == address).unwrap_or(0);
        let current = Mutex::new(Current { address, index, channel: None, heard: false });
        Ok(Self { addresses, credentials, seen, current })
    }

    /// Where the coordinators are.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The fleet, in a word that is a file's name: its coordinators in any order.
    #[must_use]
    pub fn fleet(&self) -> &str {
        self.seen.fleet()
    }

    /// Carries out a command. One with a number is sent again after a lost
    /// answer, because it has one effect; another one never.
    pub async fn act(&self, command: v1::Command) -> Result<v1::Reply, Error> {
        let attempt = || async {
            let (command, mut client) = (command.clone(), self.connected()?);
            let reply = self.answered(client.act(self.proven(command))).await?;
            self.seen.check(reply.term)?;
            self.seen.granted(&reply)?;
            Ok(reply)
        };
        let repeatable = command.number != 0;
        let mut unheard = None;
        let sent = retry(Policy::RECONNECT.within(PATIENCE), attempt, |failure| match failure {
            Failure::Unknown { .. } if !repeatable => {
                self.turn_to(None);
                Next::Stop(failure)
            }
            failure => {
                if let Failure::Unknown { reason } = &failure {
                    unheard.get_or_insert_with(|| reason.clone());
                }
                self.judge(failure)
            }
        });
        let sent = sent.await.map_err(Failed::into_error);
        sent.map_err(|failure| match (failure, unheard) {
            // What one attempt may have done, a later one that reached nobody does not undo.
            (Failure::Unavailable { .. }, Some(reason)) => self.error(Failure::Unknown { reason }),
            (failure, _) => self.error(failure),
        })
    }

    /// A request with the highest fence that was granted here: a coordinator that stands below
    /// it has lost records.
    fn proven<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(fence) = self.seen.fence() {
            molt_proto::granted::tell(request.metadata_mut(), fence);
        }
        request
    }

    /// Takes note of the fence of what was granted while somebody waited for it.
    pub fn granted(&self, fence: &str) -> Result<(), Error> {
        self.seen.note(fence).map_err(|failure| self.error(failure))
    }

    /// Reads the committed board.
    pub async fn read(&self, query: v1::Query) -> Result<v1::View, Error> {
        let attempt = || async {
            let (query, mut client) = (query.clone(), self.connected()?);
            let view = self.answered(client.read(query)).await?;
            self.seen.check(view.term)?;
            Ok(view)
        };
        let read =
            retry(Policy::RECONNECT.within(PATIENCE), attempt, |failure| self.judge(failure));
        read.await.map_err(|failed| self.read_error(failed.into_error()))
    }

    /// Opens a host's stream to whoever leads: what the host says, and what it hears.
    pub async fn host(
        &self,
    ) -> Result<(mpsc::Sender<v1::HostSays>, Streaming<v1::HostHears>), Error> {
        let attempt = || async {
            let (sender, receiver) = mpsc::channel(4);
            let says = self.proven(ReceiverStream::new(receiver));
            Ok((sender, self.answered(self.connected()?.host(says)).await?))
        };
        let opened =
            retry(Policy::RECONNECT.within(PATIENCE), attempt, |failure| self.judge(failure));
        opened.await.map_err(|failed| self.read_error(failed.into_error()))
    }

    /// Whether what a stream says of `term` is to be believed.
    pub fn believe(&self, term: u64) -> Result<(), Error> {
        self.seen.check(term).map_err(|failure| {
            self.turn_to(None);
            self.read_error(failure)
        })
    }

    /// The log of a job, wherever it is.
    pub async fn log(&self, request: v1::LogRequest) -> Result<Streaming<v1::LogPart>, Error> {
        let attempt = || async { self.answered(self.connected()?.log(request.clone())).await };
        let opened =
            retry(Policy::RECONNECT.within(PATIENCE), attempt, |failure| self.judge(failure));
        opened.await.map_err(|failed| self.read_error(failed.into_error()))
    }

    /// What happened and happens, as far as is asked for.
    pub async fn watch(&self, request: v1::WatchRequest) -> Result<Streaming<v1::Entry>, Error> {
        let attempt = || async { self.answered(self.connected()?.watch(request)).await };
        let opened =
            retry(Policy::RECONNECT.within(PATIENCE), attempt, |failure| self.judge(failure));
        opened.await.map_err(|failed| self.read_error(failed.into_error()))
    }

    /// Holds the place `id` as attended to for as long as the stream is open.
    pub async fn attend(
        &self,
        caller: v1::Caller,
        id: &str,
    ) -> Result<Streaming<v1::Attendance>, Error> {
        let attempt = || async {
            let request = v1::AttendRequest { caller: Some(caller.clone()), id: id.to_owned() };
            self.answered(self.connected()?.attend(request)).await
        };
        let opened =
            retry(Policy::RECONNECT.within(PATIENCE), attempt, |failure| self.judge(failure));
        opened.await.map_err(|failed| self.read_error(failed.into_error()))
    }

    /// What a stream ended with: an error that is final, or `None` when another
    /// one is to be opened.
    pub fn broken(&self, status: Status) -> Option<Error> {
        match self.judge(Failure::from(status)) {
            Next::Stop(failure) => Some(self.error(failure)),
            Next::Again(_) | Next::AgainAfter(..) => None,
        }
    }

    /// The connection to whoever is asked at present; made when it is used.
    fn connected(&self) -> Result<Stub, Failure> {
        let mut current = self.current();
        if let Some(channel) = &current.channel {
            return Ok(self.credentials.stub(channel.clone()));
        }
        let endpoint = self.credentials.endpoint(&current.address.url()).map_err(|error| {
            let message = unusable(&error).to_string();
            Failure::Other { code: Code::InvalidArgument, kind: None, message }
        })?;
        let channel = endpoint.connect_timeout(CONNECT_LIMIT).tcp_nodelay(true).connect_lazy();
        (current.channel, current.heard) = (Some(channel.clone()), false);
        Ok(self.credentials.stub(channel))
    }

    /// What a call is answered within its time. Where nobody ever was, it is found out whether
    /// the coordinator does not take this side's certificate.
    async fn answered<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        let failure = match within(call).await {
            Ok(answer) => {
                self.remember_who_answered();
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let (url, heard) = {
            let current = self.current();
            (current.address.url(), current.heard)
        };
        let silent = matches!(failure, Failure::Unavailable { .. } | Failure::Unknown { .. });
        if heard || !silent || !url.starts_with("https://") {
            return Err(failure);
        }
        let credentials = self.credentials.clone();
        let doubted = tokio::task::spawn_blocking(move || credentials.doubted(&url)).await;
        Err(doubted.ok().flatten().unwrap_or(failure))
    }

    fn remember_who_answered(&self) {
        let address = {
            let mut current = self.current();
            current.heard = true;
            current.address.clone()
        };
        if self.addresses.len() > 1 {
            self.seen.note_leader(&address);
        }
    }

    /// Whether to try again, and whom.
    fn judge(&self, failure: Failure) -> Next<Failure> {
        match &failure {
            Failure::Unavailable { retry_after, leader, .. } => {
                self.turn_to(leader.as_deref());
                match *retry_after {
                    Some(wait) => Next::AgainAfter(failure, wait),
                    None => Next::Again(failure),
                }
            }
            Failure::Unknown { .. } => {
                self.turn_to(None);
                Next::Again(failure)
            }
            _ => Next::Stop(failure),
        }
    }

    /// Asks the leader next if it is known, else the next coordinator of the list.
    fn turn_to(&self, leader: Option<&str>) {
        let mut current = self.current();
        current.channel = None;
        if let Some(leader) = leader.and_then(|leader| leader.parse::<Address>().ok()) {
            current.address = leader.called_like(&current.address);
            return;
        }
        current.index = (current.index + 1) % self.addresses.len();
        current.address = self.addresses[current.index].clone();
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // What is in there is whole at every moment, so a panic elsewhere spoils nothing.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> String {
        let places: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        places.join(", ")
    }

    fn error(&self, failure: Failure) -> Error {
        match failure {
            Failure::Refused { refusal, id } => {
                Error::Refused { refusal, id: id.map(|id| id.to_string()).unwrap_or_default() }
            }
            Failure::Unavailable { reason, .. } => self.ask_next_time(Error::unavailable(format!(
                "the coordinator at {} is away: {reason}",
                self.places()
            ))),
            Failure::Unknown { reason } => self.ask_next_time(Error::Unknown {
                problem: format!("no answer from the coordinator at {}: {reason}", self.places()),
            }),
            Failure::Compacted { oldest } => Error::Compacted { oldest },
            Failure::Other { code, kind, message } => {
                Error::Told { exit: kind.map_or_else(|| exit_of(code), Exit::from), message }
            }
        }
    }

    /// The next command begins with whom this one would have asked next.
    fn ask_next_time(&self, error: Error) -> Error {
        if self.addresses.len() > 1 {
            let next = self.current().address.clone();
            self.seen.note_leader(&next);
        }
        error
    }

    /// Reading changes nothing, so a lost answer is none.
    fn read_error(&self, failure: Failure) -> Error {
        match self.error(failure) {
            Error::Unknown { problem } => Error::Unavailable { problem },
            error => error,
        }
    }
}

/// That what is set cannot be shown.
pub(crate) fn unusable(error: &CredentialsError) -> Error {
    let mut problem = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        problem = format!("{problem}: {error}");
        cause = error.source();
    }
    Error::usage(problem)
}

async fn within<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER_LIMIT, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failure::Unknown { reason: format!("it took longer than {ANSWER_LIMIT:?}") }),
    }
}

/// For statuses that no coordinator of this version makes.
fn exit_of(code: Code) -> Exit {
    match code {
        Code::PermissionDenied | Code::Unauthenticated => Exit::Forbidden,
        Code::InvalidArgument => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::ResourceExhausted => Exit::Unavailable,
        _ => Exit::Bug,
    }
}

#[cfg(test)]
mod tests;
