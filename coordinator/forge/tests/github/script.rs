//! A server on loopback that answers by script and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use molt_forge::github::{App, Client, Clock, Credentials, Transport};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The App's key; of no App.
pub(crate) const KEY: &[u8] = include_bytes!("app.pem");

/// The App's id.
pub(crate) const APP: u64 = 4711;

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status, the head's lines, a body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Half of a body, and the connection is gone.
    Break,
    /// Nothing, for as long as anybody waits.
    Never,
}

/// An answer without a head of its own.
pub(crate) fn say(status: u16, body: &Value) -> Reply {
    Reply::Say(status, Vec::new(), body.to_string())
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) bearer: String,
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

/// The server's side.
#[derive(Debug)]
pub(crate) struct Script {
    address: String,
    replies: Mutex<VecDeque<Reply>>,
    /// What is said in place of tokens.
    no_tokens: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    /// How long an installation's token is good for.
    life: Mutex<Duration>,
    /// The server's clock.
    now: SystemTime,
    serving: Mutex<JoinSet<std::io::Result<()>>>,
}

impl Script {
    /// What was asked, but for tokens.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap().clone();
        asked.into_iter().filter(|asked| !asked.path.ends_with("/access_tokens")).collect()
    }

    /// How many tokens were asked for.
    pub(crate) fn tokens(&self) -> usize {
        let all = self.asked.lock().unwrap().len();
        all - self.asked().len()
    }

    pub(crate) fn set_life(&self, life: Duration) {
        *self.life.lock().unwrap() = life;
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Says these next, in order.
    pub(crate) fn say_all(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    /// Says nothing from now on.
    pub(crate) fn fall_silent(&self) {
        self.replies.lock().unwrap().extend(vec![Reply::Never; 99]);
    }

    /// Says this in place of the next token.
    pub(crate) fn refuse_token(&self, reply: Reply) {
        self.no_tokens.lock().unwrap().push_back(reply);
    }

    fn answer(&self, asked: Asked) -> Reply {
        let path = asked.path.clone();
        let bearer = asked.bearer.clone();
        self.asked.lock().unwrap().push(asked);
        if path.ends_with("/access_tokens") {
            let instead = self.no_tokens.lock().unwrap().pop_front();
            return instead.unwrap_or_else(|| self.token(&bearer));
        }
        self.replies.lock().unwrap().pop_front().unwrap_or_else(|| say(200, &json!({"id": 1})))
    }

    /// As GitHub: a token for an App whose own token is good by this clock.
    fn token(&self, bearer: &str) -> Reply {
        let claims = bearer.split('.').nth(1).unwrap_or_default();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let now = self.now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        if iat > now || exp <= now || exp - iat > 600 {
            let message = "'Expiration time' claim ('exp') is too far in the future";
            return say(401, &json!({"message": message}));
        }
        let end = self.now + *self.life.lock().unwrap();
        let token = format!("ghs_{}", self.asked.lock().unwrap().len());
        let end = humantime::format_rfc3339_seconds(end).to_string();
        let permissions = json!({"contents": "write"});
        say(201, &json!({"token": token, "expires_at": end, "permissions": permissions}))
    }
}

/// A server that says these, in order, and `{"id": 1}` after them; and a client of it that is an
/// App whose clock is `ahead` by so many seconds.
pub(crate) async fn served(
    replies: impl IntoIterator<Item = Reply>,
    ahead: i64,
) -> (Client, Arc<Script>) {
    served_below("", replies, ahead).await
}

/// The same with an API that is below this path of its host.
pub(crate) async fn served_below(
    root: &str,
    replies: impl IntoIterator<Item = Reply>,
    ahead: i64,
) -> (Client, Arc<Script>) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}{root}", listener.local_addr().unwrap());
    let script = Arc::new(Script {
        address: address.clone(),
        replies: Mutex::new(replies.into_iter().collect()),
        no_tokens: Mutex::default(),
        asked: Mutex::default(),
        life: Mutex::new(Duration::from_secs(3600)),
        now,
        serving: Mutex::default(),
    });
    let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
    script.serving.lock().unwrap().spawn(async move { axum::serve(listener, router).await });
    let by = Duration::from_secs(ahead.unsigned_abs());
    let ours = if ahead < 0 { now - by } else { now + by };
    let app = App::new(APP, KEY).unwrap();
    let credentials = Credentials::installation(app, 7, Clock::of(move || ours));
    let transport = Transport::new(&address).unwrap();
    (Client::new(transport, credentials), script)
}

async fn answer(
    State(script): State<Arc<Script>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let bearer = text(header::AUTHORIZATION).unwrap_or_default();
    let asked = Asked {
        method,
        path: uri.path_and_query().unwrap().to_string(),
        bearer: bearer.trim_start_matches("Bearer ").to_owned(),
        etag: text(header::IF_NONE_MATCH),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let date = httpdate::fmt_http_date(script.now);
    match script.answer(asked) {
        Reply::Say(status, head, body) => {
            let response = Response::builder().status(status).header(header::DATE, date);
            let response =
                head.iter().fold(response, |all, (name, value)| all.header(*name, value));
            response.body(Body::from(body)).unwrap()
        }
        Reply::Break => {
            let gone = Err::<Bytes, _>(std::io::Error::other("gone"));
            let response = Response::builder().header(header::CONTENT_LENGTH, 100);
            response.body(Body::from_stream(tokio_stream::once(gone))).unwrap()
        }
        Reply::Never => std::future::pending().await,
    }
}
