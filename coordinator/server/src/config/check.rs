//! What makes a setting sound, wherever it was given.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::name::HostName;
use molt_domain::policy::Spans;
use molt_forge::github::App;
use tonic::transport::Uri;

use super::finding::Problem;
use super::spans::text;

/// The longest name of a fleet, in bytes: it is part of every key.
const MAX_FLEET_BYTES: usize = 64;

/// The longest file that is named, in bytes: bundles of certificates are far shorter.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What a file is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Certificates in PEM, which everybody may read.
    Certificate,
    /// A key in PEM.
    Key,
    /// A password and nothing else, but for one line's end.
    Password,
    /// What webhooks are signed with and nothing else, but for one line's end.
    WebhookSecret,
    /// The key of a GitHub App: RSA in PEM.
    AppKey,
    /// A personal token of GitHub and nothing else, but for one line's end.
    Token,
}

impl Content {
    /// The permissions that it must not have when `owner` has it. The rule for secrets is
    /// `PostgreSQL`'s: their owner's alone, or root's and then a group's too, which is how
    /// orchestrators hand them to a user.
    fn denied(self, owner: u32) -> u32 {
        match (self, owner) {
            (Self::Certificate, _) => 0,
            (_, 0) => 0o037,
            (_, _) => 0o077,
        }
    }

    /// What is wrong with `bytes`, if something is.
    fn fault(self, bytes: &[u8]) -> Option<String> {
        let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
        let is_empty = bytes.trim_ascii().is_empty();
        let is_word = bytes.trim_ascii_end().iter().all(u8::is_ascii_graphic);
        let missing = match self {
            Self::Certificate if !has(b"-----BEGIN CERTIFICATE-----") => "no certificate in PEM",
            Self::Key if !has(b"PRIVATE KEY-----") => "no key in PEM",
            Self::Password if is_empty => "no password",
            Self::WebhookSecret if is_empty => "no secret",
            Self::Token if is_empty => "no token",
            Self::Token if !is_word => "something beside a token",
            // The id is no part of the key.
            Self::AppKey => return App::new(1, bytes).err().map(|error| error.to_string()),
            _ => return None,
        };
        Some(format!("there is {missing}"))
    }
}

/// Looks at a file that is named.
pub(super) fn file(path: &Path, content: Content) -> Result<(), Problem> {
    let fault = |why: String| Problem::File { path: path.to_owned(), why };
    let failed = |error: std::io::Error| fault(error.to_string());
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(fault("is no file".to_owned()));
    }
    if found.mode() & content.denied(found.uid()) != 0 {
        let mode = found.mode() & 0o7777;
        return Err(Problem::OpenToOthers { path: path.to_owned(), mode });
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(fault(format!("{} bytes are more than {MAX_FILE_BYTES}", found.len())));
    }
    match content.fault(&std::fs::read(path).map_err(failed)?) {
        Some(why) => Err(fault(why)),
        None => Ok(()),
    }
}

/// A place where state can be kept, or made.
pub(super) fn folder(path: PathBuf) -> Result<PathBuf, Problem> {
    if path.exists() && !path.is_dir() {
        return Err(Problem::NotAFolder(path));
    }
    Ok(path)
}

/// What a coordinator may be called: what a host may.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    match text.parse::<HostName>() {
        Ok(name) => Ok(name.into()),
        Err(error) => Err(Problem::Name(error.to_string().replace("host name", "name"))),
    }
}

/// What a fleet may be called: one segment of a key.
pub(super) fn fleet(text: &str) -> Result<String, Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=MAX_FLEET_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    let why = format!("`{text}` is not 1 to {MAX_FLEET_BYTES} letters, digits and . _ -");
    Err(Problem::Name(why))
}

/// `HOST:PORT`, as those write it who call.
pub(super) fn host_port(text: &str) -> Result<String, Problem> {
    let parts = text.rsplit_once(':');
    let (host, port) = parts.ok_or_else(|| Problem::NotHostPort(text.to_owned()))?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let named = !host.is_empty() && !host.contains(['/', '@', ' ']);
    match port.parse::<u16>() {
        Ok(1..) if named && (bracketed || !host.contains(':')) => Ok(text.to_owned()),
        _ => Err(Problem::NotHostPort(text.to_owned())),
    }
}

/// How an endpoint of etcd is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// An endpoint of etcd: a scheme, a host and a port, nothing else.
pub(super) fn endpoint(text: &str) -> Result<(Scheme, String), Problem> {
    let fault = |why| Problem::Endpoint { endpoint: text.to_owned(), why };
    let uri: Uri = text.parse().map_err(|_| fault("it is no URL"))?;
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(fault("it begins neither with http:// nor with https://")),
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(fault("a user belongs in `user` and a password in `password_file`"));
    }
    if uri.host().is_none_or(str::is_empty) || uri.port_u16().is_none_or(|port| port == 0) {
        return Err(fault("it has no host or no port"));
    }
    if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") {
        return Err(fault("nothing follows the port"));
    }
    Ok((scheme, text.trim_end_matches('/').to_owned()))
}

/// The longest name of a label, in characters: GitHub's own limit.
const MAX_LABEL: usize = 50;

/// The longest name of a check, in characters: it is read in a list.
const MAX_CHECK: usize = 100;

/// A label that pull requests may have.
pub(super) fn label(text: &str) -> Result<String, Problem> {
    short(text, MAX_LABEL)
}

/// What a check run may be called.
pub(super) fn check_name(text: &str) -> Result<String, Problem> {
    short(text, MAX_CHECK)
}

/// A name on one line of so many characters at most.
fn short(text: &str, most: usize) -> Result<String, Problem> {
    let count = text.chars().count();
    if count > most {
        return Err(Problem::Name(format!("{count} characters are more than {most}")));
    }
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(Problem::Name("is no name on one line without spaces around it".to_owned()));
    }
    Ok(text.to_owned())
}

/// Whether callers from elsewhere can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// Nobody is.
    Plain,
    /// Everybody is.
    Tls,
}

/// An address to listen on.
pub(super) fn listen(address: SocketAddr, transport: Transport) -> Result<(), Problem> {
    match transport {
        Transport::Plain if !address.ip().is_loopback() => Err(Problem::NotLoopback(address)),
        Transport::Plain | Transport::Tls => Ok(()),
    }
}

/// How often a host's daemon looks at the files of a session (`LOOK` in `molt-agent`).
const FILES_LOOKED_AT: Duration = Duration::from_secs(60);

/// What is odd about spans that are safe.
pub(super) fn spans(spans: &Spans) -> Vec<Problem> {
    let room = spans.session_ttl.saturating_sub(spans.margin);
    let short = (room <= spans.heartbeat + 2 * spans.leader_ttl).then(|| Problem::ShortSessions {
        session_ttl: text(spans.session_ttl),
        margin: text(spans.margin),
        heartbeat: text(spans.heartbeat),
        leader_ttl: text(spans.leader_ttl),
    });
    let looked = [("fresh", spans.fresh), ("answer", spans.answer)].into_iter();
    let looked = looked.filter(|(_, span)| *span <= FILES_LOOKED_AT + 2 * spans.heartbeat);
    let rare = looked.map(|(name, span)| Problem::RareLooks { name, span: text(span) });
    short.into_iter().chain(rare).collect()
}
