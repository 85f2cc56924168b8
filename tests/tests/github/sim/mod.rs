//! GitHub, simulated: on loopback, with git as the truth, and held against GitHub's own words.
//!
//! What a request does is real: refs move in bare repositories that `git http-backend` serves, and
//! where a pull request stands is asked of git. Answers are GitHub's own examples with these facts
//! written over them; every exchange is checked against GitHub's description, in both directions,
//! and a violation or an unknown request fails the test when the simulator goes. So do a base that
//! the product moved back, and a repository that git finds broken. Reads lag behind writes by
//! default, as GitHub's may. Webhooks are sent once a test says where to. Not here: operations that
//! neither a gate nor a landing needs, which are violations too.

mod answer;
mod auth;
mod body;
mod bug;
mod call;
mod checks;
mod control;
mod events;
mod fault;
mod follow;
mod git;
mod graphql;
mod hooks;
mod issues;
mod look;
mod meter;
mod people;
mod pulls;
mod records;
mod refs;
mod repositories;
mod reviews;
mod routes;
mod serve;
mod smart;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::response::Builder;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use http_body::Frame;
use ring::rsa::KeyPair;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub(crate) use auth::Actor;
pub(crate) use bug::Bug;
use fault::Sent;
pub(crate) use fault::{Fault, Gate, Kind, When};
use follow::Mover;
pub(crate) use hooks::{Delivery, Fate};
pub(crate) use meter::{Load, repeated};
pub(crate) use records::Right;
pub(crate) use serve::Entry;
use serve::{Asked, World};
pub(crate) use state::Consistency;
use state::{App, State};

/// The key that the App signs with, as GitHub hands it out. It opens nothing.
pub(crate) const APP_KEY: &str = include_str!("../data/app.pem");

/// The key that is made in place of it once that is no good any more.
pub(crate) const NEXT_KEY: &str = include_str!("../data/next.pem");

/// More than any test sends.
const LARGEST: usize = 64 << 20;

type Locked = Arc<Mutex<World>>;

/// A running simulator. It is gone, with all that it served, when this is; what it found wrong is
/// said then.
pub(crate) struct GitHub {
    world: Locked,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl GitHub {
    /// A GitHub with one App, `molt`, that is installed and may do what `permissions` say.
    pub(crate) fn start(permissions: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        listener.set_nonblocking(true).expect("tokio needs it so");
        let address = listener.local_addr().expect("it is bound");
        let state = state(format!("http://{address}"), folder.path().to_owned(), permissions);
        let world = Arc::new(Mutex::new(World::new(state)));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&world);
        let thread = std::thread::spawn(move || serve_until(listener, served, stopped));
        Self { world, stop: Some(stop), thread: Some(thread), _folder: folder }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no request panicked")
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.world().faults.open_gates();
        if let Some(stop) = self.stop.take() {
            // Nobody is there to be told when the server itself is gone; joining it says why.
            _ = stop.send(());
        }
        let ended = self.thread.take().map(JoinHandle::join);
        if std::thread::panicking() {
            return;
        }
        assert!(ended.is_some_and(|ended| ended.is_ok()), "the server panicked");
        self.world().check_git();
        let found = std::mem::take(&mut self.world().violations);
        assert!(found.is_empty(), "violations of GitHub's description:\n{}", found.join("\n"));
    }
}

fn state(base: String, folder: std::path::PathBuf, permissions: &[(&str, &str)]) -> State {
    let app = App {
        id: 4711,
        slug: "molt".to_owned(),
        installation: 815,
        key: key_of(APP_KEY),
        permissions: permissions
            .iter()
            .map(|(name, level)| (name.to_string(), level.to_string()))
            .collect(),
    };
    let mut state = State {
        base,
        folder,
        app,
        suspended: false,
        users: BTreeMap::new(),
        personal: BTreeMap::new(),
        tokens: BTreeMap::new(),
        repositories: BTreeMap::new(),
        former: BTreeMap::new(),
        consistency: Consistency::default(),
        stopped: None,
        ahead: Duration::ZERO,
        behind: Duration::ZERO,
        requests: 0,
        last_id: 1_000,
        listening: false,
        events: Vec::new(),
        complaints: Vec::new(),
        bug: None,
    };
    let bot = state.bot();
    state.user(&bot);
    state
}

/// A key out of its envelope.
pub(crate) fn key_of(pem: &str) -> KeyPair {
    use base64::Engine as _;
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let text: String = lines.collect();
    let der = base64::engine::general_purpose::STANDARD.decode(text).expect("the key is Base64");
    KeyPair::from_der(&der).expect("the key is RSA's")
}

fn serve_until(listener: TcpListener, world: Locked, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("it doesn't block");
        let router = Router::new().fallback(handle).with_state(world);
        tokio::select! {
            served = axum::serve(listener, router).into_future() => served.expect("it serves"),
            _ = stopped => {}
        }
    });
}

/// Answers one request, on a thread that may wait for git.
async fn handle(Shared(world): Shared<Locked>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await;
    let Ok(body) = body else { return sent(400, &[], Vec::new(), Sent::Whole, 0) };
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let asked = Asked {
        method: parts.method.to_string(),
        target,
        headers: parts.headers,
        body: body.to_vec(),
    };
    let answered = tokio::task::spawn_blocking(move || answered(&world, asked)).await;
    answered.expect("no request panics")
}

fn answered(world: &Mutex<World>, asked: Asked) -> Response {
    let path = asked.target.split('?').next().unwrap_or_default().to_owned();
    if let Some((owner, name, service)) = smart::parts(&path) {
        return answered_by_git(world, asked, (owner, name, service));
    }
    let begun = lock(world).begin(&asked);
    let fault = begun.fault.clone();
    wait_at_gate(fault.as_ref(), When::Before);
    let (answer, how) = lock(world).answer(&asked, begun);
    wait_at_gate(fault.as_ref(), When::After);
    let now = lock(world).state.now();
    let bytes = bytes(answer.body);
    sent(answer.status, &answer.headers, bytes, how, now)
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().expect("no request panicked")
}

fn bytes(body: Value) -> Vec<u8> {
    match body {
        Value::Null => Vec::new(),
        Value::String(page) => page.into_bytes(),
        json => json.to_string().into_bytes(),
    }
}

/// Waits until the test lets the request go, if that is what was planned for this moment.
fn wait_at_gate(fault: Option<&Fault>, now: When) {
    if let Some(Fault { when, kind: Kind::Held(gate), .. }) = fault
        && *when == now
    {
        gate.pass();
    }
}

fn answered_by_git(
    world: &Mutex<World>,
    asked: Asked,
    (owner, name, service): (&str, &str, &str),
) -> Response {
    let query = asked.target.split_once('?').map(|(_, query)| query.to_owned());
    let request = smart::Asked {
        method: asked.method,
        service: service.to_owned(),
        query: query.unwrap_or_default(),
        headers: texts(&asked.headers),
        body: asked.body,
    };
    let (fault, now) = {
        let mut world = lock(world);
        (world.faults.next(service), world.state.now())
    };
    wait_at_gate(fault.as_ref(), When::Before);
    let kept_back = |fault: &Fault| fault.when == When::Before && !fault.kind.lets_through();
    let answered = if fault.as_ref().is_some_and(kept_back) {
        None
    } else {
        Some(carried_out_by_git(world, &request, (owner, name)))
    };
    wait_at_gate(fault.as_ref(), When::After);
    let spoilt = fault.filter(|fault| !fault.kind.lets_through());
    let Some(Fault { kind, .. }) = spoilt else {
        let it = answered.expect("nothing kept it back");
        return sent(it.status, &it.headers, it.body, Sent::Whole, now);
    };
    if matches!(kind, Kind::Drop | Kind::Truncate) {
        // Git asks again if a connection ends before anything has come.
        let it = answered.unwrap_or_else(smart::Answered::beginning);
        return sent(it.status, &it.headers, it.body, Sent::Half, now);
    }
    let (answer, how) = kind.instead(None);
    sent(answer.status, &answer.headers, bytes(answer.body), how, now)
}

/// Has git serve the request, and follows what it did.
fn carried_out_by_git(
    world: &Mutex<World>,
    request: &smart::Asked,
    (owner, name): (&str, &str),
) -> smart::Answered {
    let found = {
        let world = lock(world);
        let id = world.state.named(owner, name);
        if let (None, Some(id)) = (id, world.state.formerly(owner, name)) {
            return request.moved(&world.state, id);
        }
        id.ok_or_else(smart::Answered::missing).and_then(|id| {
            let by = request.authorized(&world.state, id)?;
            Ok((world.state.repository(id).git.clone(), by))
        })
    };
    let (git, by) = match found {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let answered = request.serve(&git);
    lock(world).follow_git(Mover::Asker(&by));
    answered
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let texts = headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    texts.map(|(name, value)| (name.to_string(), value.to_owned())).collect()
}

/// The answer on its way, dated by the simulator's clock.
fn sent(
    status: u16,
    headers: &[(String, String)],
    bytes: Vec<u8>,
    how: Sent,
    now: u64,
) -> Response {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
    let mut builder: Builder =
        Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    builder = builder.header("Date", date);
    let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !typed && !bytes.is_empty() {
        let page = bytes.starts_with(b"<");
        let kind =
            if page { "text/html; charset=utf-8" } else { "application/json; charset=utf-8" };
        builder = builder.header("Content-Type", kind);
    }
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    let half = bytes.len() / 2;
    let body = match how {
        Sent::Whole => Body::from(bytes),
        Sent::Half => {
            Body::new(Broken { first: Some(Bytes::from(bytes).slice(..half)), sent: false })
        }
        Sent::Not => Body::new(Broken { first: None, sent: true }),
    };
    builder.body(body).expect("headers are made of text")
}

/// A body that ends in the middle, and the connection with it.
struct Broken {
    first: Option<Bytes>,
    /// Whether what there is of it was sent.
    sent: bool,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(bytes) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !std::mem::replace(&mut self.sent, true) {
            // The server sends what it has while it waits.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}
