//! Streams end with that by which their callers came: a token when its time is over or it is
//! taken back, a certificate when its time is over.
//!
//! A call is asked for it once, as it begins; a stream may outlive it. Not here: when a token is
//! good, which is the board's to say, and what a certificate says, which `auth` reads.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use molt_domain::access::{self, Identity};
use molt_domain::id::TokenId;
use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::Status;

use super::guest::{Guest, Proof};
use super::{Answers, Service, refused, status};
use crate::auth::{Gate, expired};
use crate::engine::Handle;

/// The least that is waited for: board time goes by milliseconds.
const STEP: Duration = Duration::from_millis(1);

/// Wall time may jump, and a machine may sleep: what is left of a certificate is looked at this
/// often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Service {
    /// `answers` for as long as that is good by which `guest` came; then the reason, and the end.
    pub(super) fn while_good<T: 'static>(&self, guest: &Guest, answers: Answers<T>) -> Answers<T> {
        self.until_lapse(guest.proof(), answers)
    }

    fn until_lapse<T: 'static>(&self, proof: Proof, answers: Answers<T>) -> Answers<T> {
        let lapse: Lapse = match proof {
            Proof::None => return answers,
            Proof::Token(token) => {
                Box::pin(lapse(self.handle.clone(), token, self.gate.revocations()))
            }
            Proof::Certificate { of, until } => Box::pin(expiry(self.gate.clone(), of, until)),
        };
        Box::pin(WhileGood { answers: Some(answers), lapse })
    }
}

/// Ends with what a caller is told who may not go on.
type Lapse = Pin<Box<dyn Future<Output = Status> + Send>>;

/// Returns when a certificate is good no more, with what its owner is told.
async fn expiry(gate: Gate, of: Identity, until: u64) -> Status {
    while let Some(left) = gate.left(until) {
        tokio::time::sleep(left.clamp(STEP, LOOK_AGAIN)).await;
    }
    expired(&of)
}

/// Returns when a token is good no more, with what its bearer is told.
async fn lapse(handle: Handle, token: TokenId, mut revoked: watch::Receiver<()>) -> Status {
    loop {
        // Before the board is read: what changes in between is looked at again.
        revoked.mark_unchanged();
        let read = handle.read(move |at| access::left(at.board, token, at.now)).await;
        let left = match read {
            Ok(Ok(left)) => left,
            Ok(Err(refusal)) => return refused(&refusal),
            // Whoever leads next asks the caller for its token again.
            Err(failure) => return status(failure),
        };
        tokio::select! {
            changed = revoked.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            },
            // Board time may go slower than this machine's, so it is asked again.
            () = over(left) => {}
        }
    }
}

async fn over(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left.max(STEP)).await,
        None => std::future::pending().await,
    }
}

/// Answers until the lapse.
struct WhileGood<T> {
    /// Dropped at the lapse, which ends whatever feeds them.
    answers: Option<Answers<T>>,
    lapse: Lapse,
}

impl<T> Stream for WhileGood<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(mut answers) = self.answers.take() else { return Poll::Ready(None) };
        if let Poll::Ready(status) = self.lapse.as_mut().poll(context) {
            return Poll::Ready(Some(Err(status)));
        }
        let next = answers.as_mut().poll_next(context);
        if !matches!(next, Poll::Ready(None)) {
            self.answers = Some(answers);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::net::SocketAddr;
    use std::sync::Arc;

    use molt_domain::access::{Details, Repos, Role, TokenHash};
    use molt_domain::board::{Caller, Command, Reply, Request};
    use molt_domain::policy::Spans;
    use molt_proto::v1;
    use molt_proto::v1::coordinator_server::Coordinator as _;
    use molt_store::{Candidate, MemoryStore};
    use tokio::task::JoinSet;
    use tokio::time::Instant;
    use tokio_stream::StreamExt as _;
    use tokio_util::sync::CancellationToken;
    use tonic::Code;
    use tonic::transport::server::TcpConnectInfo;

    use super::*;
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::reconcile::{self, Archive};

    /// A service on a clock that the test owns.
    struct Ground {
        service: Service,
        _tasks: JoinSet<()>,
        _scratch: tempfile::TempDir,
    }

    impl Ground {
        async fn new() -> Self {
            let scratch = tempfile::tempdir().unwrap();
            let clock = Clock::Runtime { began: Instant::now() };
            let store = Arc::new(MemoryStore::default());
            let candidate = Candidate::new("test", "nowhere");
            let (engine, handle, _) =
                Engine::open(store, &candidate, Spans::default(), clock).await.unwrap();
            let stop = CancellationToken::new();
            let mut tasks = JoinSet::new();
            let running = engine.start(stop.clone());
            tasks.spawn(async move { running.await.unwrap().unwrap() });
            tasks.spawn(reconcile::tick(handle.clone(), stop.clone()));
            let archive = Archive::open(scratch.path()).unwrap();
            let service = Service::new(handle, archive, BTreeMap::new(), stop)
                .behind(Gate::default().by(clock));
            Self { service, _tasks: tasks, _scratch: scratch }
        }

        /// A token that is good for so long.
        async fn issue(&self, text: &str, life: Option<Duration>) -> TokenId {
            let command = Command::IssueToken(Details {
                hash: TokenHash::of(text),
                name: "eve".parse().unwrap(),
                role: Role::Agent,
                repos: BTreeSet::new(),
                life: life.map(molt_domain::id::millis),
            });
            match self.operate(command).await {
                Reply::TokenIssued { token } => token,
                other => panic!("a token, not {other:?}"),
            }
        }

        async fn operate(&self, command: Command) -> Reply {
            let caller = Caller::Operator("ops".to_owned());
            let request = Request { caller, ..Request::own(command) };
            self.service.handle.submit(request, |reply, _| reply.clone()).await.unwrap()
        }

        /// What somebody with this token follows.
        async fn watch(&self, token: &str) -> Answers<v1::Entry> {
            let watch = v1::WatchRequest { tail: true, ..v1::WatchRequest::default() };
            self.service.watch(call(token, watch)).await.unwrap().into_inner()
        }

        /// A stream of which nothing ever comes, as a host's or a session's may be.
        async fn silent(&self, token: &str) -> Answers<v1::Outcome> {
            let guest = self.service.guest(&call(token, ())).await.unwrap();
            self.service.while_good(&guest, Box::pin(tokio_stream::pending()))
        }
    }

    fn call<T>(token: &str, message: T) -> tonic::Request<T> {
        let mut call = tonic::Request::new(message);
        let remote_addr = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        call.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        call.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        molt_proto::protocol::tell(call.metadata_mut());
        call
    }

    /// How a stream ends, and that it ends with that.
    async fn end<T>(mut stream: Answers<T>) -> (Code, String) {
        loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(status)) => {
                    assert!(stream.next().await.is_none(), "nothing follows");
                    return (status.code(), status.message().to_owned());
                }
                None => panic!("it ended without a word"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_token_expires() {
        let ground = Ground::new().await;
        let began = Instant::now();
        let token = ground.issue("molt_short", Some(Duration::from_secs(20))).await;
        ground.issue("molt_long", None).await;
        let mut long = ground.silent("molt_long").await;
        let (watch, silent) = (ground.watch("molt_short").await, ground.silent("molt_short").await);
        for (code, said) in [end(watch).await, end(silent).await] {
            assert_eq!(code, Code::Unauthenticated);
            assert!(said.starts_with(&format!("token {token} of eve expired")), "{said}");
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(20), "not before its time: {took:?}");
        assert!(took < Duration::from_secs(22), "not long after: {took:?}");
        let waited = tokio::time::timeout(Duration::from_secs(600), long.next()).await;
        assert!(waited.is_err(), "one that does not expire goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_certificate_expires() {
        let ground = Ground::new().await;
        let began = Instant::now();
        let silent = |until| {
            let name = "ann".parse().unwrap();
            let of = Identity { name, role: Role::Agent, repos: Repos::All, token: None };
            let proof = Proof::Certificate { of, until };
            ground.service.until_lapse::<()>(proof, Box::pin(tokio_stream::pending()))
        };
        let (short, mut long) = (silent(200_000), silent(u64::MAX));
        let (code, said) = end(short).await;
        assert_eq!(code, Code::Unauthenticated);
        assert!(said.starts_with("the certificate of agent ann expired: show a client"), "{said}");
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(199), "not before its time: {took:?}");
        assert!(took < Duration::from_secs(202), "not long after: {took:?}");
        let waited = tokio::time::timeout(Duration::from_secs(600), long.next()).await;
        assert!(waited.is_err(), "one that is good for longer goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_token_is_revoked() {
        let ground = Ground::new().await;
        let token = ground.issue("molt_bad", Some(Duration::from_secs(3600))).await;
        ground.issue("molt_good", None).await;
        let (bad, mut good) = (ground.silent("molt_bad").await, ground.silent("molt_good").await);
        let mut ending = JoinSet::new();
        ending.spawn(async move { end(bad).await });
        tokio::task::yield_now().await;
        let began = Instant::now();
        let revoke = v1::Command {
            caller: Some(v1::Caller { who: Some(v1::caller::Who::Operator("ops".to_owned())) }),
            number: 0,
            verb: Some(v1::command::Verb::RevokeToken(v1::RevokeToken {
                id: token.to_string(),
                reason: "it leaked".to_owned(),
            })),
        };
        ground.service.act_on(access::Peer::Local, revoke).await.unwrap();
        let (code, said) = ending.join_next().await.unwrap().unwrap();
        assert_eq!(code, Code::Unauthenticated);
        let words = format!("token {token} of eve was revoked by operator ops: it leaked");
        assert!(said.starts_with(&words), "{said}");
        assert!(began.elapsed() < Duration::from_secs(1), "at once");
        let waited = tokio::time::timeout(Duration::from_secs(60), good.next()).await;
        assert!(waited.is_err(), "another one goes on");
    }
}
