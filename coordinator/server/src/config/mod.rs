//! What `serve` is told: where state is, where to listen, which repositories, which spans and limits.
//!
//! A setting comes from the command line, else from the environment, else from
//! the file that `--config` names, else from its default. All that can be
//! wrong is told at once, each fault with its place. Not here: connecting to
//! anything, which only starting does.

mod args;
mod check;
mod file;
mod finding;
mod limits;
mod spans;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use molt_domain::name::RepoName;
use molt_domain::policy::Spans;
use molt_domain::pull::command::Handle;
use molt_forge::Fencing;
use molt_forge::github::Slug;

pub use args::{Examined, ServeArgs};
pub use finding::{ConfigError, Finding, Place, Problem};
pub use limits::Limits;
pub use spans::spans_line;

/// Where a coordinator listens, and is called, when nothing else is said.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7420);

/// Where webhooks are taken in when nothing else is said.
pub const DEFAULT_WEBHOOK_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7480);

/// The fleet of an etcd that names none.
pub const DEFAULT_FLEET: &str = "main";

/// The branch and the name of a repository that says neither.
pub const DEFAULT_REPO: &str = "main";

/// How often GitHub is read when nothing else is said: a round costs two requests of the 5,000 that
/// an installation has in an hour.
pub const DEFAULT_EVERY: Duration = Duration::from_secs(15);

/// The name that commands in comments begin with, and that of the check run, when nothing else is
/// said.
pub const DEFAULT_HANDLE: &str = "molt";

/// Everything that a coordinator is told, sound as far as can be seen before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What this coordinator is called among those of its fleet.
    pub name: String,
    /// The folder of its logs, mirrors and audit, and of an embedded store.
    pub data: PathBuf,
    /// The address to listen on; loopback only, unless there is TLS.
    pub listen: SocketAddr,
    /// `HOST:PORT` by which others reach it; `None` means the address that was bound.
    pub advertise: Option<String>,
    /// Where the records are.
    pub store: StorePlace,
    /// The repositories of the fleet: at least one, each name once.
    pub repos: Vec<RepoConfig>,
    /// The files of the transport's security; `None` on loopback only.
    pub tls: Option<TlsFiles>,
    /// The GitHub that pull requests come from; `None` means that nobody asks one.
    pub github: Option<GithubConfig>,
    /// Where webhooks are taken in; `None` means that there are none.
    pub webhooks: Option<WebhookConfig>,
    /// The spans that the rules use.
    pub spans: Spans,
    /// How much one peer may ask for.
    pub limits: Limits,
    /// Why lost records are given up, when they are.
    pub raise_epoch: Option<String>,
    /// Where to write the address that was bound, once calls are answered.
    pub ready_file: Option<PathBuf>,
}

/// Where the records of a fleet are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In one file of this machine.
    Embedded {
        /// The folder of the file.
        folder: PathBuf,
    },
    /// In an etcd that several coordinators share.
    Etcd(EtcdPlace),
}

/// An etcd, and the fleet in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdPlace {
    /// Its members' client addresses, `http://HOST:PORT` or `https://HOST:PORT`, all alike.
    pub endpoints: Vec<String>,
    /// The fleet whose records are meant: one etcd can keep several.
    pub fleet: String,
    /// Who to be, where etcd asks.
    pub user: Option<EtcdUser>,
    /// The certificates of those that may have signed the members' own.
    pub ca: Option<PathBuf>,
    /// The certificate to show to the members.
    pub identity: Option<KeyPair>,
}

/// A user of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdUser {
    /// Its name.
    pub name: String,
    /// The file that has the password and nothing else, but for one line's end.
    pub password_file: PathBuf,
}

/// A certificate and its key, each a file in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, and those between it and the root.
    pub cert: PathBuf,
    /// Its key, which nobody else can read.
    pub key: PathBuf,
}

/// A repository of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoConfig {
    /// What it is called here.
    pub name: RepoName,
    /// A path, or any address that git can push to.
    pub remote: String,
    /// The branch that changes land on.
    pub branch: String,
    /// Its name at GitHub, if its pull requests are the changes. There is a [`Config::github`] then.
    pub github: Option<Slug>,
}

/// A GitHub, and what is said and heard there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubConfig {
    /// The address of its API, without a slash at its end.
    pub api: String,
    /// By what right it is asked.
    pub access: GithubAccess,
    /// The name that commands in comments begin with.
    pub handle: Handle,
    /// Pull requests with this label are asked for, as if by a command.
    pub label: Option<String>,
    /// The name of the check run, or of the status where there are no check runs.
    pub check: String,
    /// How landings are fenced.
    pub fencing: Fencing,
    /// How often pull requests are read when no webhook says that something changed.
    pub every: Duration,
}

/// By what right a GitHub is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GithubAccess {
    /// As an App.
    App {
        /// The App's id.
        id: u64,
        /// Where it is installed; `None` means that each repository is asked about.
        installation: Option<u64>,
        /// The file of its key, RSA in PEM.
        key_file: PathBuf,
    },
    /// As whoever a personal token belongs to.
    Token {
        /// The file that has the token and nothing else, but for one line's end.
        file: PathBuf,
    },
}

/// The files of the transport's security.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// What this coordinator shows to its callers.
    pub identity: KeyPair,
    /// Who signs the certificates of callers; without it they have tokens only.
    pub client_ca: Option<PathBuf>,
}

/// Where a forge's webhooks are taken in, and by what they are known to be the forge's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The address to listen on: plain HTTP, for a proxy that ends TLS.
    pub listen: SocketAddr,
    /// One file with a secret, or two while the secret is replaced.
    pub secret_files: Vec<PathBuf>,
}
