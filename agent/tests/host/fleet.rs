//! A coordinator without a store: the board's own rules, served over gRPC.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use molt_agent::clock;
use molt_domain::access::{Identity, Peer, Repos, Role};
use molt_domain::board::{Board, Change, Command, Ledger, Now, Reply, Request};
use molt_domain::gate::{Compare, Digest, Gate, Reader, Results};
use molt_domain::host::JobUser;
use molt_domain::id::{BoardTime, JobId};
use molt_domain::job::{Job, State};
use molt_domain::policy::{Merge, Method, Policy, Pool, Spans};
use molt_domain::scope::{Case, Reach, Risk, Scope, ScopeTree};
use molt_proto::convert::{self, Beat, Place};
use molt_proto::v1::coordinator_server::{Coordinator, CoordinatorServer};
use molt_proto::v1::host_hears::Hears;
use molt_proto::v1::host_says::Says;
use molt_proto::{error, v1, view};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Response, Status, Streaming};

/// The host of all tests.
pub(crate) const HOST: &str = "bench";

/// How the next command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is not carried out.
    Unavailable,
}

struct Inner {
    board: Board,
    /// Commands of this word get these answers first.
    faults: BTreeMap<&'static str, VecDeque<Fault>>,
    /// Nobody is answered anything.
    away: bool,
    /// How long a command's answer is on its way.
    delay: Duration,
    remote: String,
    /// What the host's daemon proves with its beats.
    proves: Peer,
    /// What was asked, by word.
    asked: BTreeMap<&'static str, u32>,
}

/// The fleet's coordinator; it ends when this is dropped.
pub(crate) struct Fleet {
    inner: Arc<Mutex<Inner>>,
    pub(crate) address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let spans = Spans {
            heartbeat: Duration::from_millis(200),
            session_ttl: Duration::from_millis(3000),
            margin: Duration::from_millis(1000),
            kill_grace: Duration::from_millis(300),
            delay: Duration::from_millis(500),
            ..Spans::default()
        };
        let mut inner = Inner {
            board: Board::new(spans),
            faults: BTreeMap::new(),
            away: false,
            delay: Duration::ZERO,
            remote: String::new(),
            proves: Peer::Local,
            asked: BTreeMap::new(),
        };
        inner.decide(&Request::own(Command::ReadBase {
            repo: "main".parse().unwrap(),
            branch: "main".to_owned(),
            commit: "1".repeat(40),
            tree: "2".repeat(40),
            policy: Ok(policy()),
        }));
        let inner = Arc::new(Mutex::new(inner));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let service = CoordinatorServer::new(Service { inner: Arc::clone(&inner) });
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tonic::transport::Server::builder().add_service(service);
            tokio::runtime::Handle::current()
                .spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
            address
        });
        Self { inner, address, _runtime: runtime }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// What `look` finds on the board.
    pub(crate) fn board<T>(&self, look: impl FnOnce(&Board) -> T) -> T {
        look(&self.inner().board)
    }

    /// Lets the next command of the kind `word` fail so.
    pub(crate) fn fault(&self, word: &'static str, fault: Fault) {
        self.inner().faults.entry(word).or_default().push_back(fault);
    }

    /// Lets every command of the kind `word` be carried out and its answer be lost.
    pub(crate) fn lose_answers(&self, word: &'static str) {
        // As often as anybody could ask while a test runs.
        (0..1000).for_each(|_| self.fault(word, Fault::LoseAnswer));
    }

    /// Answers as it should from now on.
    pub(crate) fn heal(&self) {
        self.inner().faults.clear();
    }

    /// Goes away, or comes back.
    pub(crate) fn set_away(&self, away: bool) {
        self.inner().away = away;
    }

    /// Lets answers to commands take so long from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.inner().delay = delay;
    }

    /// How often commands of the kind `word` came.
    pub(crate) fn asked(&self, word: &str) -> u32 {
        self.inner().asked.get(word).copied().unwrap_or(0)
    }

    /// Makes a session lost, as silence would.
    pub(crate) fn lose(&self, session: molt_domain::id::SessionId) {
        let host = molt_domain::board::Caller::Host(HOST.parse().unwrap());
        let command = Command::RootDead { session };
        let request = Request { caller: host, ..Request::own(command) };
        self.inner().decide(&request);
    }

    /// Ends a session, as an operator.
    pub(crate) fn revoke(&self, session: molt_domain::id::SessionId) {
        let operator = molt_domain::board::Caller::Operator("op".to_owned());
        let command = Command::RevokeSession { session, reason: "gone".to_owned() };
        self.inner().decide(&Request { caller: operator, ..Request::own(command) });
    }

    /// Where hosts fetch from.
    pub(crate) fn set_remote(&self, remote: String) {
        self.inner().remote = remote;
    }

    /// Takes the host's daemon for one that proves this role.
    pub(crate) fn set_role(&self, role: Role) {
        let (name, repos) = (HOST.parse().unwrap(), Repos::All);
        self.inner().proves = Peer::Known(Identity { name, role, repos, token: None });
    }

    /// What the host's daemon says of whom its jobs run as.
    pub(crate) fn job_user(&self) -> Option<JobUser> {
        let host = |board: &Board| board.tables().hosts.values().next().cloned();
        self.board(host).and_then(|host| host.means.job_user.clone())
    }

    /// Gives a job to the host; its id.
    pub(crate) fn assign(&self, gate: Gate, (commit, tree): (&str, &str)) -> JobId {
        let mut inner = self.inner();
        let now = inner.now();
        let id = JobId::from_counter(inner.board.ledger().counter + 1);
        let name: molt_domain::name::GateName = "unit".parse().unwrap();
        let job = Job {
            id,
            repo: "main".parse().unwrap(),
            digest: Digest::of(&name, &gate, &format!("{id}")),
            name,
            gate,
            commit: commit.to_owned(),
            tree: tree.to_owned(),
            from: "refs/heads/main".to_owned(),
            state: State::Assigned { host: HOST.parse().unwrap(), slot: None, since: now },
            attempt: 1,
            queued: now,
        };
        inner.board.apply(Change::Job(id, Some(Arc::new(job))));
        let ledger = inner.board.ledger().clone();
        inner.board.set_ledger(Ledger { counter: ledger.counter + 1, ..ledger });
        id
    }

    /// Takes a job back.
    pub(crate) fn take_back(&self, job: JobId) {
        self.inner().board.apply(Change::Job(job, None));
    }

    /// What the job found, once that was told.
    pub(crate) fn results(&self, job: JobId) -> Option<Results> {
        let found = |results: &Results| results.job == job;
        self.board(|board| {
            board.tables().results.values().find(|r| found(r)).map(|r| (**r).clone())
        })
    }
}

/// A gate that is read by its exit code.
pub(crate) fn gate(run: &str) -> Gate {
    Gate {
        run: run.to_owned(),
        result: Reader::Exit,
        compare: Compare::Nothing,
        timeout: Duration::from_secs(60),
        memory: None,
        pool: None,
        minimum: 1,
        env: BTreeMap::new(),
    }
}

fn policy() -> Policy {
    let docs = Scope {
        name: "docs".parse().unwrap(),
        paths: vec!["docs/**".parse().unwrap()],
        reach: Reach::Plain,
        max: None,
        tests: Vec::new(),
        risk: Risk::Med,
    };
    Policy {
        digest: "policy".to_owned(),
        scopes: ScopeTree::new(Case::default(), Vec::new(), vec![docs]).unwrap(),
        pools: BTreeMap::from([("cargo".parse().unwrap(), Pool { slots: 1 })]),
        gates: BTreeMap::new(),
        merge: Merge {
            method: Method::Merge,
            required: Vec::new(),
            trust: molt_domain::policy::Trust::Provers,
            protect: Vec::new(),
        },
    }
}

impl Inner {
    fn now(&self) -> BoardTime {
        BoardTime(clock::boottime().get())
    }

    fn decide(&mut self, request: &Request) -> Reply {
        self.try_decide(request).unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    fn try_decide(&mut self, request: &Request) -> Result<Reply, Box<molt_domain::board::Refusal>> {
        let now = self.now();
        let decision = self.board.decide(request, Now { board: now, wall: 0 })?;
        for change in decision.changes {
            self.board.apply(change);
        }
        let ledger = self.board.ledger().clone();
        self.board.set_ledger(Ledger { time: now, ..ledger.at(decision.fence) });
        Ok(decision.reply)
    }

    fn act(&mut self, command: v1::Command) -> Result<v1::Reply, Status> {
        let request = Request::try_from(command).unwrap();
        let word = request.command.word();
        *self.asked.entry(word).or_default() += 1;
        let fault = self.faults.get_mut(word).and_then(VecDeque::pop_front);
        if self.away || fault == Some(Fault::Unavailable) {
            return Err(error::unavailable("told to be", Duration::from_millis(20)));
        }
        let reply = self.try_decide(&request).map_err(|refusal| error::status(&refusal, None))?;
        if fault == Some(Fault::LoseAnswer) {
            return Err(error::unknown_outcome("told to lose it"));
        }
        Ok(convert::reply(&reply, &self.board, self.now(), 1, self.board.ledger().counter))
    }

    fn beat(&mut self, request: v1::BeatRequest) -> Result<v1::BeatReply, Status> {
        if self.away {
            return Err(error::unavailable("told to be", Duration::from_millis(20)));
        }
        let beat = Beat::try_from(request).unwrap();
        let now = self.now();
        self.decide(&Request { peer: self.proves.clone(), ..beat.request() });
        self.board.beat_host(&beat.host, now);
        for session in &beat.sessions {
            self.board.beat(*session, now);
        }
        for (session, told) in &beat.signs {
            self.board.note_signs(&beat.host, *session, *told, now);
        }
        self.decide(&Request::own(Command::Tick));
        let remotes = BTreeMap::from([("main".parse().unwrap(), self.remote.clone())]);
        let wanted = view::Snapshots::Wanted;
        let rev = self.board.ledger().counter;
        Ok(view::beat_reply(&self.board, &beat, &remotes, wanted, now, (1, rev)))
    }
}

struct Service {
    inner: Arc<Mutex<Inner>>,
}

type Answered<T> = Result<Response<T>, Status>;

/// Between two looks for those who watch or wait.
const LOOK: Duration = Duration::from_millis(10);

#[tonic::async_trait]
impl Coordinator for Service {
    type SessionStream = ReceiverStream<Result<v1::Outcome, Status>>;
    type WatchStream = ReceiverStream<Result<v1::Entry, Status>>;
    type AttendStream = ReceiverStream<Result<v1::Attendance, Status>>;
    type AuditStream = ReceiverStream<Result<v1::Entry, Status>>;
    type HostStream = ReceiverStream<Result<v1::HostHears, Status>>;
    type LogStream = ReceiverStream<Result<v1::LogPart, Status>>;

    async fn act(&self, request: tonic::Request<v1::Command>) -> Answered<v1::Reply> {
        let (answer, delay) = {
            let mut inner = self.inner.lock().unwrap();
            (inner.act(request.into_inner()), inner.delay)
        };
        tokio::time::sleep(delay).await;
        answer.map(Response::new)
    }

    async fn host(
        &self,
        request: tonic::Request<Streaming<v1::HostSays>>,
    ) -> Answered<Self::HostStream> {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let inner = Arc::clone(&self.inner);
        let host = async move {
            let mut says = request.into_inner();
            let mut seen = inner.lock().unwrap().board.ledger().counter;
            while !sender.is_closed() {
                let said = tokio::select! {
                    said = says.message() => said,
                    () = tokio::time::sleep(LOOK) => {
                        let counter = inner.lock().unwrap().board.ledger().counter;
                        if counter != seen {
                            seen = counter;
                            let news = Some(Hears::News(v1::Empty {}));
                            drop(sender.send(Ok(v1::HostHears { hears: news })).await);
                        }
                        continue;
                    }
                };
                let Ok(Some(v1::HostSays { says: Some(Says::Beat(beat)) })) = said else { return };
                let reply = inner.lock().unwrap().beat(beat);
                let hears = reply.map(|reply| v1::HostHears { hears: Some(Hears::Beat(reply)) });
                if sender.send(hears).await.is_err() {
                    return;
                }
            }
        };
        tokio::runtime::Handle::current().spawn(host);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn log(&self, _: tonic::Request<v1::LogRequest>) -> Answered<Self::LogStream> {
        Err(Status::unimplemented("no test reads logs through this coordinator"))
    }

    async fn attend(
        &self,
        request: tonic::Request<v1::AttendRequest>,
    ) -> Answered<Self::AttendStream> {
        let place = Place::try_from(request.get_ref()).unwrap();
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let inner = Arc::clone(&self.inner);
        let attend = async move {
            while !sender.is_closed() {
                let attendance = {
                    let mut inner = inner.lock().unwrap();
                    inner.decide(&Request::own(Command::Tick));
                    let now = inner.now();
                    convert::place(&inner.board, place, now)
                };
                let waits = matches!(attendance.became, Some(v1::attendance::Became::Waiting(_)));
                if sender.send(Ok(attendance)).await.is_err() || !waits {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::runtime::Handle::current().spawn(attend);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn watch(&self, _: tonic::Request<v1::WatchRequest>) -> Answered<Self::WatchStream> {
        // A hint that never comes: the heartbeat has to do.
        Err(error::unavailable("nobody watches here", Duration::from_secs(1)))
    }

    async fn session(
        &self,
        _: tonic::Request<Streaming<v1::Command>>,
    ) -> Answered<Self::SessionStream> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn read(&self, request: tonic::Request<v1::Query>) -> Answered<v1::View> {
        let inner = self.inner.lock().unwrap();
        if inner.away {
            return Err(error::unavailable("told to be", Duration::from_millis(20)));
        }
        let rev = inner.board.ledger().counter;
        let seen = view::view(&inner.board, request.get_ref(), inner.now(), 1, rev);
        seen.map(Response::new).map_err(|refusal| error::status(&refusal, None))
    }

    async fn audit(&self, _: tonic::Request<v1::AuditRequest>) -> Answered<Self::AuditStream> {
        Err(Status::unimplemented("not asked for here"))
    }
}
