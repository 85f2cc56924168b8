//! The file that `--config` names: every key honoured, or an error in its line.

mod github;
mod repos;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::check::{self, Content, Scheme};
use super::finding::{Finding, Place, Problem};
use super::limits::{self, Limits};
use super::spans::SpanArgs;
use super::{
    DEFAULT_FLEET, EtcdPlace, EtcdUser, GithubConfig, KeyPair, RepoConfig, StorePlace, TlsFiles,
};
use crate::policy::amount::{Bytes, Span};
use crate::policy::document::{Findings, Item, Keys, Table};
use crate::policy::{MAX_BYTES, Problem as TomlProblem};

const ROOT: Keys = keys(&[
    "name",
    "data",
    "listen",
    "advertise",
    "etcd",
    "repo",
    "tls",
    "github",
    "webhooks",
    "spans",
    "limits",
]);
const ETCD: Keys = keys(&["endpoints", "fleet", "user", "password_file", "ca", "cert", "key"]);
const TLS: Keys = keys(&["cert", "key", "client_ca"]);
const WEBHOOKS: Keys = keys(&["listen", "secret_files"]);
const LIMITS: Keys = keys(&["per_second", "burst", "message", "connections", "streams"]);
const SPANS: Keys = keys(&[
    "heartbeat",
    "session_ttl",
    "margin",
    "kill_grace",
    "delay",
    "grace",
    "extension",
    "fresh",
    "idle",
    "answer",
    "offer",
    "failure_memory",
    "leader_ttl",
]);

const fn keys(honoured: &'static [&'static str]) -> Keys {
    Keys { honoured, unsupported: &[] }
}

/// What a file says, as far as it could be read.
#[derive(Debug, Default)]
pub(super) struct FileLayer {
    pub(super) name: Option<String>,
    pub(super) data: Option<PathBuf>,
    pub(super) listen: Option<(SocketAddr, Place)>,
    pub(super) advertise: Option<String>,
    pub(super) etcd: Option<StorePlace>,
    pub(super) repos: Vec<RepoConfig>,
    pub(super) tls: Option<TlsFiles>,
    /// What it says about GitHub, and where.
    pub(super) github: Option<(GithubConfig, Place)>,
    pub(super) webhooks: Option<WebhookLayer>,
    pub(super) spans: SpanArgs,
    /// Where the spans are, if any is there.
    pub(super) spans_at: Option<Place>,
    pub(super) limits: Limits,
}

/// What a file says about webhooks.
#[derive(Debug, Default)]
pub(super) struct WebhookLayer {
    pub(super) listen: Option<(SocketAddr, Place)>,
    /// Of a sound file one or two.
    pub(super) secret_files: Vec<PathBuf>,
}

/// Reads the text of the file at `path`, and looks at the files that it names.
pub(super) fn read(path: &Path, text: &str) -> (FileLayer, Vec<Finding>) {
    let mut findings = Findings::new(text);
    let layer = Reader { path, text, findings: &mut findings }.read();
    let in_file = |finding| Finding::File { path: path.to_owned(), finding };
    (layer.unwrap_or_default(), findings.into_sorted().into_iter().map(in_file).collect())
}

/// The reading of one file. What is wrong is noted and reads as absent.
struct Reader<'r, 't> {
    path: &'r Path,
    text: &'t str,
    findings: &'r mut Findings<'t>,
}

impl Reader<'_, '_> {
    fn read(&mut self) -> Option<FileLayer> {
        if self.text.len() > MAX_BYTES {
            let why = format!("{} bytes are more than {MAX_BYTES}", self.text.len());
            self.findings.error(0, "", TomlProblem::Invalid(why));
            return None;
        }
        let (document, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            // What the parser made of a faulty text is not worth judging.
            errors.iter().for_each(|error| self.findings.syntax(error));
            return None;
        }
        let root = Table::root(document.get_ref());
        root.allow(&ROOT, self.findings);
        let spans = root.table("spans", self.findings);
        let github = self.github(&root);
        Some(FileLayer {
            name: self.checked(&root, "name", check::name),
            data: self.data(&root),
            listen: self.listen(&root),
            advertise: self.checked(&root, "advertise", check::host_port),
            etcd: self.etcd(&root),
            repos: self.repos(&root, github.as_ref().map(|(github, _)| github)),
            tls: self.tls(&root),
            github,
            webhooks: self.webhooks(&root),
            spans: spans.as_ref().map(|table| self.spans(table)).unwrap_or_default(),
            spans_at: root.get("spans").map(|item| self.place(&item)),
            limits: self.limits(&root).unwrap_or_default(),
        })
    }

    fn place(&self, item: &Item<'_>) -> Place {
        let line = self.findings.line(item.at);
        Place::File { path: self.path.to_owned(), line, key: item.key.clone() }
    }

    /// A relative path begins where the file is.
    fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn checked<T>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        check: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let item = table.get(key)?;
        let text = item.words(self.findings)?;
        check(text).map_or_else(|problem| item.invalid(problem, self.findings), Some)
    }

    fn data(&mut self, root: &Table<'_>) -> Option<PathBuf> {
        let item = root.get("data")?;
        let path = item.words(self.findings)?;
        let path = self.beside(path);
        check::folder(path).map_or_else(|problem| item.invalid(problem, self.findings), Some)
    }

    /// A file that is there, has what it should, and keeps it from others if it is secret.
    fn file(&mut self, table: &Table<'_>, key: &str, content: Content) -> Option<PathBuf> {
        self.named_file(&table.get(key)?, content)
    }

    fn named_file(&mut self, item: &Item<'_>, content: Content) -> Option<PathBuf> {
        let path = item.words(self.findings)?;
        let path = self.beside(path);
        match check::file(&path, content) {
            Ok(()) => Some(path),
            Err(problem) => item.invalid(problem, self.findings),
        }
    }

    /// A certificate and its key: both or neither.
    fn key_pair(&mut self, table: &Table<'_>) -> Option<KeyPair> {
        let cert = table.require("cert", "cert = \"server.pem\"", self.findings);
        let key = table.require("key", "key = \"server.key\"", self.findings);
        let cert = cert.and_then(|item| self.named_file(&item, Content::Certificate));
        let key = key.and_then(|item| self.named_file(&item, Content::Key));
        Some(KeyPair { cert: cert?, key: key? })
    }

    fn tls(&mut self, root: &Table<'_>) -> Option<TlsFiles> {
        let table = root.table("tls", self.findings)?;
        table.allow(&TLS, self.findings);
        let client_ca = self.file(&table, "client_ca", Content::Certificate);
        Some(TlsFiles { identity: self.key_pair(&table)?, client_ca })
    }

    fn listen(&mut self, table: &Table<'_>) -> Option<(SocketAddr, Place)> {
        let item = table.get("listen")?;
        Some((item.parse(self.findings)?, self.place(&item)))
    }

    fn webhooks(&mut self, root: &Table<'_>) -> Option<WebhookLayer> {
        let table = root.table("webhooks", self.findings)?;
        table.allow(&WEBHOOKS, self.findings);
        let secret_files = self.webhook_secrets(&table).unwrap_or_default();
        Some(WebhookLayer { listen: self.listen(&table), secret_files })
    }

    fn webhook_secrets(&mut self, table: &Table<'_>) -> Option<Vec<PathBuf>> {
        let example = "secret_files = [\"webhook.secret\"]";
        let item = table.require("secret_files", example, self.findings)?;
        let members = item.list(self.findings)?;
        if !matches!(members.len(), 1 | 2) {
            let why = "is not one file, or two while the secret is replaced";
            return item.invalid(why, self.findings);
        }
        let file = |member: &Item<'_>| self.named_file(member, Content::WebhookSecret);
        members.iter().map(file).collect()
    }

    fn etcd(&mut self, root: &Table<'_>) -> Option<StorePlace> {
        let table = root.table("etcd", self.findings)?;
        if cfg!(not(feature = "etcd")) {
            let what = "`etcd`".to_owned();
            let instead = Some("build it with the feature `etcd`");
            self.findings.error(table.at, &table.key, TomlProblem::Unsupported { what, instead });
            return None;
        }
        table.allow(&ETCD, self.findings);
        let fleet = self.checked(&table, "fleet", check::fleet);
        let user = self.user(&table);
        let ca = self.file(&table, "ca", Content::Certificate);
        let shown = table.get("cert").or_else(|| table.get("key")).is_some();
        let identity = if shown { self.key_pair(&table) } else { None };
        let endpoints = self.endpoints(&table, user.as_ref())?;
        let fleet = fleet.unwrap_or_else(|| DEFAULT_FLEET.to_owned());
        Some(StorePlace::Etcd(EtcdPlace { endpoints, fleet, user, ca, identity }))
    }

    fn user(&mut self, table: &Table<'_>) -> Option<EtcdUser> {
        table.get("user").or_else(|| table.get("password_file"))?;
        let name = table.require("user", "user = \"molt\"", self.findings);
        let file =
            table.require("password_file", "password_file = \"etcd.password\"", self.findings);
        let name = name.and_then(|item| item.words(self.findings));
        let file = file.and_then(|item| self.named_file(&item, Content::Password));
        Some(EtcdUser { name: name?.to_owned(), password_file: file? })
    }

    /// The members' addresses: at least one, none twice, all with TLS or all without.
    fn endpoints(&mut self, table: &Table<'_>, user: Option<&EtcdUser>) -> Option<Vec<String>> {
        let example = "endpoints = [\"https://etcd-1:2379\"]";
        let item = table.require("endpoints", example, self.findings)?;
        let members = item.list(self.findings)?;
        if members.is_empty() {
            return item.invalid("is empty", self.findings);
        }
        let mut endpoints: Vec<(Scheme, String)> = Vec::new();
        for member in &members {
            let Some(text) = member.words(self.findings) else {
                continue;
            };
            let sound = check::endpoint(text).map_err(|problem| problem.to_string());
            let sound = sound.and_then(|(scheme, same)| {
                let twice = endpoints.iter().any(|(_, other)| *other == same);
                if twice { Err(format!("`{same}` is named twice")) } else { Ok((scheme, same)) }
            });
            match sound {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(why) => {
                    self.findings.error(member.at, &member.key, TomlProblem::Invalid(why));
                }
            }
        }
        self.schemes(table, &item, &endpoints, user);
        Some(endpoints.into_iter().map(|(_, endpoint)| endpoint).collect())
    }

    /// Whether what should be encrypted is.
    fn schemes(
        &mut self,
        table: &Table<'_>,
        item: &Item<'_>,
        endpoints: &[(Scheme, String)],
        user: Option<&EtcdUser>,
    ) {
        let Some((_, plain)) = endpoints.iter().find(|(scheme, _)| *scheme == Scheme::Http) else {
            if !endpoints.is_empty() {
                // Nobody is believed because the system believes them.
                table.require("ca", "ca = \"etcd-ca.pem\"", self.findings);
            }
            return;
        };
        let mut fault = |why: &str| {
            self.findings.error(item.at, &item.key, TomlProblem::Invalid(why.to_owned()));
        };
        if endpoints.iter().any(|(scheme, _)| *scheme == Scheme::Https) {
            fault("some begin with https://, others with http://");
        } else if ["ca", "cert", "key"].iter().any(|key| table.get(key).is_some()) {
            fault("certificates are of no use to http:// endpoints: write https://");
        }
        if user.is_some() {
            let problem = Problem::PasswordInTheClear(plain.clone());
            self.findings.note(item.at, &item.key, TomlProblem::Invalid(problem.to_string()));
        }
    }

    /// What is left out, or wrong and told, has its default.
    fn limits(&mut self, root: &Table<'_>) -> Option<Limits> {
        let table = root.table("limits", self.findings)?;
        table.allow(&LIMITS, self.findings);
        let mut count = |key, default| {
            let item = table.get(key);
            item.and_then(|item| item.count(self.findings)).unwrap_or(default)
        };
        let usual = Limits::default();
        Some(Limits {
            per_second: count("per_second", usual.per_second),
            burst: count("burst", usual.burst),
            connections: count("connections", usual.connections),
            streams: count("streams", usual.streams),
            message: self.message(&table).unwrap_or(usual.message),
        })
    }

    fn message(&mut self, table: &Table<'_>) -> Option<usize> {
        let item = table.get("message")?;
        let Bytes(bytes) = item.parse(self.findings)?;
        if !limits::MESSAGES.contains(&bytes) {
            return item.invalid("is not from 16KiB to 4MiB", self.findings);
        }
        usize::try_from(bytes).ok()
    }

    fn spans(&mut self, table: &Table<'_>) -> SpanArgs {
        table.allow(&SPANS, self.findings);
        let mut span = |key| {
            let item = table.get(key)?;
            item.parse(self.findings).map(|Span(span)| span)
        };
        SpanArgs {
            heartbeat: span("heartbeat"),
            session_ttl: span("session_ttl"),
            margin: span("margin"),
            kill_grace: span("kill_grace"),
            delay: span("delay"),
            grace: span("grace"),
            extension: span("extension"),
            fresh: span("fresh"),
            idle: span("idle"),
            answer: span("answer"),
            offer: span("offer"),
            failure_memory: span("failure_memory"),
            leader_ttl: span("leader_ttl"),
        }
    }
}
