//! The plainest client there is: one request a connection.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use super::super::{APP_KEY, GitHub, key_of};

/// What an App like ours asks for.
pub(super) const PERMISSIONS: [(&str, &str); 5] = [
    ("metadata", "read"),
    ("contents", "write"),
    ("pull_requests", "write"),
    ("checks", "write"),
    ("statuses", "write"),
];

pub(super) struct Client<'a> {
    github: &'a GitHub,
    token: String,
}

#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    /// Null when there was none or it was no JSON.
    pub(super) body: Value,
    /// Whether the body is as long as its head said.
    pub(super) whole: bool,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    #[track_caller]
    pub(super) fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

/// A token that the App signs, from some seconds after now until others.
pub(super) fn jwt(issuer: u64, from: i64, until: i64) -> String {
    let now = super::super::state::machine_now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = part(json!({ "iss": issuer.to_string(), "iat": now + from, "exp": now + until }));
    let message = format!("{head}.{claims}");
    let key = key_of(APP_KEY);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl<'a> Client<'a> {
    pub(super) fn with(github: &'a GitHub, token: &str) -> Self {
        Self { github, token: token.to_owned() }
    }

    /// The installation's client, with all that the App may do.
    pub(super) fn installed(github: &'a GitHub) -> Self {
        Self::limited(github, &Value::Null)
    }

    /// The installation's client with fewer permissions.
    pub(super) fn limited(github: &'a GitHub, permissions: &Value) -> Self {
        let app = Self::with(github, &jwt(github.app_id(), -30, 300));
        let path = format!("/app/installations/{}/access_tokens", github.installation_id());
        let body = match permissions {
            Value::Null => json!({}),
            some => json!({ "permissions": some }),
        };
        let granted = app.ask("POST", &path, &body).is(201);
        Self::with(github, granted["token"].as_str().unwrap())
    }

    pub(super) fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &Value::Null)
    }

    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Response {
        self.ask_with(method, path, body, "")
    }

    /// A request with more header lines.
    pub(super) fn ask_with(&self, method: &str, path: &str, body: &Value, lines: &str) -> Response {
        let url = self.github.url();
        let host = url.strip_prefix("http://").unwrap();
        let path = path.strip_prefix(&url).unwrap_or(path);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Length: {}\r\n{lines}\r\n{body}",
            self.token,
            body.len()
        )
        .unwrap();
        let mut bytes = Vec::new();
        // An end within the body is what some tests plan; `whole` says so.
        let ended = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let mut response =
            Response { status, head: head.to_owned(), body: Value::Null, whole: false };
        let length = response.header("content-length").map(|length| length.parse().unwrap());
        response.whole = ended.is_ok() && length == Some(body.len());
        response.body = serde_json::from_str(body).unwrap_or_default();
        response
    }
}
