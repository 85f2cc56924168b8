//! A host's client: it follows the leader and refuses older terms, as `molt-agent`'s does.
//!
//! Real: the generated client, the statuses and what they mean, the patience. Simulated: the
//! connections ([`Pipe`]) and the file of what was seen, which survives the host's power here too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use molt_domain::id::Fence;
use molt_proto::error::Failure;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use molt_proto::v1::host_hears::Hears;
use molt_proto::v1::host_says::Says;
use molt_proto::v1::reply::Answer;
use molt_proto::{granted, v1};
use molt_retry::{Policy, Seed};
use tonic::{Request, Response, Status, Streaming};

use crate::bug::{Bug, is_on};
use crate::net::Net;
use crate::pipe::{self, Doors, Pipe};
use crate::random::Random;
use crate::referee::Referee;

/// How long a call that changed nothing is tried again before the caller is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// What a host has seen of the fleet; it is on its disk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    term: u64,
    fence: Option<Fence>,
}

/// The fleet's coordinators as one host's client.
pub(crate) struct Client {
    net: Net,
    doors: Doors,
    referee: Referee,
    host: usize,
    coordinators: usize,
    seen: Arc<Mutex<Seen>>,
    state: Mutex<State>,
}

struct State {
    /// Who is asked at present.
    current: usize,
    random: Random,
}

type Remote = CoordinatorClient<Pipe>;

impl Client {
    pub(crate) fn new(
        (net, doors, referee): (Net, Doors, Referee),
        (host, coordinators): (usize, usize),
        seen: Arc<Mutex<Seen>>,
        mut random: Random,
    ) -> Self {
        let current = random.below(coordinators as u64) as usize;
        let state = Mutex::new(State { current, random });
        Self { net, doors, referee, host, coordinators, seen, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a command. One with a number is sent again after a lost answer.
    pub(crate) async fn act(&self, command: v1::Command) -> Result<v1::Reply, Failure> {
        let repeatable = command.number != 0;
        self.patiently(repeatable, || async {
            let (asked, mut remote) = (self.referee.asking(), self.remote());
            let reply = within(remote.act(self.proven(command.clone()))).await?;
            self.believe(reply.term)?;
            self.referee.answered(self.host, asked, reply.term, reply.rev);
            self.granted(&reply)?;
            Ok(reply)
        })
        .await
    }

    /// Reads the committed board.
    pub(crate) async fn read(&self, query: v1::Query) -> Result<v1::View, Failure> {
        self.patiently(true, || async {
            let (asked, mut remote) = (self.referee.asking(), self.remote());
            let view = within(remote.read(query.clone())).await?;
            self.believe(view.term)?;
            self.referee.answered(self.host, asked, view.term, view.rev);
            Ok(view)
        })
        .await
    }

    /// Renews a host's sessions and learns what the host is to do: one beat on a stream of its own.
    pub(crate) async fn beat(&self, beat: v1::BeatRequest) -> Result<v1::BeatReply, Failure> {
        self.patiently(true, || async {
            let asked = self.referee.asking();
            let reply = match tokio::time::timeout(ANSWER_LIMIT, self.beat_once(&beat)).await {
                Ok(reply) => reply?,
                Err(_) => {
                    return Err(Failure::Unknown { reason: "no answer to a beat".to_owned() });
                }
            };
            self.believe(reply.term)?;
            self.referee.answered(self.host, asked, reply.term, reply.rev);
            Ok(reply)
        })
        .await
    }

    async fn beat_once(&self, beat: &v1::BeatRequest) -> Result<v1::BeatReply, Failure> {
        let says = v1::HostSays { says: Some(Says::Beat(beat.clone())) };
        let mut remote = self.remote();
        let hears = remote.host(self.proven(tokio_stream::once(says))).await?;
        let first = hears.into_inner().message().await?;
        match first.and_then(|first| first.hears) {
            Some(Hears::Beat(reply)) => Ok(reply),
            _ => Err(Failure::Unknown { reason: "the stream ended".to_owned() }),
        }
    }

    /// Holds a place in line as attended to for as long as the stream is open.
    pub(crate) async fn attend(
        &self,
        caller: v1::Caller,
        id: &str,
    ) -> Result<Streaming<v1::Attendance>, Failure> {
        self.patiently(true, || async {
            let request = v1::AttendRequest { caller: Some(caller.clone()), id: id.to_owned() };
            within(self.remote().attend(request)).await
        })
        .await
    }

    async fn patiently<T, F>(&self, repeatable: bool, attempt: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let seed = Seed::new(self.state().random.next());
        let mut delays = Policy::RECONNECT.within(PATIENCE).delays(seed);
        loop {
            let failure = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let hint = match &failure {
                Failure::Unavailable { retry_after, leader, .. } => {
                    self.turn_to(leader.as_deref());
                    retry_after.unwrap_or_default()
                }
                Failure::Unknown { .. } => {
                    self.turn_to(None);
                    if !repeatable {
                        return Err(failure);
                    }
                    Duration::ZERO
                }
                _ => return Err(failure),
            };
            match delays.next_delay_after(hint) {
                // In whole milliseconds: what is below is not the same in every run.
                Some(delay) => {
                    let whole = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    tokio::time::sleep(Duration::from_millis(whole)).await;
                }
                None => return Err(failure),
            }
        }
    }

    fn remote(&self) -> Remote {
        let to = self.state().current;
        let (net, doors, host) = (self.net.clone(), self.doors.clone(), self.host);
        CoordinatorClient::new(Pipe { net, doors, host, to })
    }

    /// Asks the leader next if it is known, else another coordinator.
    fn turn_to(&self, leader: Option<&str>) {
        let mut state = self.state();
        state.current = match leader.and_then(pipe::whose) {
            Some(leader) if leader < self.coordinators => leader,
            _ => (state.current + 1) % self.coordinators,
        };
    }

    /// A request with the highest fence that was granted here.
    fn proven<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(fence) = self.seen().fence {
            granted::tell(request.metadata_mut(), fence);
        }
        request
    }

    /// Whether an answer of `term` is to be believed; a newer one is remembered.
    fn believe(&self, term: u64) -> Result<(), Failure> {
        let mut seen = self.seen();
        if term < seen.term {
            self.referee.outdated();
        }
        if term < seen.term && !is_on(Bug::OlderTermBelieved) {
            let reason = format!("the answer is of term {term}, but {} was seen", seen.term);
            return Err(Failure::Unknown { reason });
        }
        seen.term = seen.term.max(term);
        Ok(())
    }

    fn granted(&self, reply: &v1::Reply) -> Result<(), Failure> {
        match &reply.answer {
            Some(Answer::Granted(claim)) => self.note(&claim.fence),
            Some(Answer::Held(hold)) => self.note(&hold.fence),
            Some(Answer::Task(v1::TaskView { claim: Some(claim), .. })) => self.note(&claim.fence),
            _ => Ok(()),
        }
    }

    /// Takes note of a fence that was granted; of none while somebody waits.
    pub(crate) fn note(&self, fence: &str) -> Result<(), Failure> {
        if fence.is_empty() {
            return Ok(());
        }
        let unread = |error| Failure::Unknown { reason: format!("what was granted: {error}") };
        let fence: Fence = fence.parse().map_err(unread)?;
        let mut seen = self.seen();
        seen.fence = seen.fence.max(Some(fence));
        Ok(())
    }
}

async fn within<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER_LIMIT, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failure::Unknown { reason: format!("it took longer than {ANSWER_LIMIT:?}") }),
    }
}
