//! What is wrong or odd in a configuration, and where.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use molt_domain::name::RepoName;
use molt_domain::policy::UnsafeSpans;
use molt_forge::github::Slug;

use crate::policy::{self, Severity};

/// Why a configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that `--config` names cannot be read.
    #[error("--config {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Everything that is wrong, a line each.
    #[error("{}", lines(.0))]
    Faulty(Vec<Finding>),
}

fn lines(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Something wrong or odd in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong there, and in which line.
        finding: policy::Finding,
    },
    /// On the command line, or in the variable that stands for the flag.
    Flag {
        /// The flag.
        flag: &'static str,
        /// Whether it can be served all the same.
        severity: Severity,
        /// What is wrong.
        problem: Problem,
    },
}

impl Finding {
    /// `problem` at `place`.
    pub(super) fn new(place: &Place, severity: Severity, problem: Problem) -> Self {
        match place {
            &Place::Flag(flag) => Self::Flag { flag, severity, problem },
            Place::File { path, line, key } => Self::File {
                path: path.clone(),
                finding: policy::Finding {
                    severity,
                    line: *line,
                    column: None,
                    key: key.clone(),
                    problem: policy::Problem::Invalid(problem.to_string()),
                    nearest: None,
                },
            },
        }
    }

    /// Whether the configuration can be served all the same.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::File { finding, .. } => finding.severity,
            Self::Flag { severity, .. } => *severity,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, finding } => {
                f.write_str(&finding.in_file(&path.display().to_string()))
            }
            Self::Flag { flag, severity: Severity::Error, problem } => {
                write!(f, "{flag}: {problem}")
            }
            Self::Flag { flag, severity: Severity::Note, problem } => {
                write!(f, "note: {flag}: {problem}")
            }
        }
    }
}

/// Where a setting was given, or should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the command line, or in the variable that stands for the flag.
    Flag(&'static str),
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line; the first is 1.
        line: usize,
        /// The key, dotted from the root.
        key: String,
    },
}

/// What is wrong with a setting, or with several that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Callers could not be told apart, so nobody but this machine may call.
    #[error("{0} is not loopback: without [tls] only loopback is served")]
    NotLoopback(SocketAddr),
    /// A standby tells the leader's address, and this one is none.
    #[error("{0} is no address that others can call: advertise one")]
    NoAddress(SocketAddr),
    /// Nobody could call that.
    #[error("`{0}` is no HOST:PORT")]
    NotHostPort(String),
    /// A name that does not fit where it is shown or stored.
    #[error("{0}")]
    Name(String),
    /// Nothing to coordinate.
    #[error("no repository: name one here, or in a [[repo]] of a --config")]
    NoRepository,
    /// Two repositories of one name.
    #[error("there is a repository `{name}` already, in line {line}")]
    SameRepository {
        /// The name.
        name: RepoName,
        /// Where it was named first.
        line: usize,
    },
    /// Two holders could overlap, or claims lapse too soon.
    #[error(transparent)]
    Spans(#[from] UnsafeSpans),
    /// A session could be lost merely because the lead changed hands.
    #[error(
        "session ttl {session_ttl} - margin {margin} is not more than heartbeat {heartbeat} + 2 x leader ttl {leader_ttl}: sessions may be lost while the lead changes hands"
    )]
    ShortSessions {
        /// How long a session lives without a renewal.
        session_ttl: String,
        /// How long before its deadline a holder stops.
        margin: String,
        /// How often sessions are renewed.
        heartbeat: String,
        /// How long a leader's word holds.
        leader_ttl: String,
    },
    /// Work that shows in files alone could be missed.
    #[error(
        "{name} {span} is hardly more than the minute in which hosts look at files once: who changes files and does nothing else may be taken for idle or gone"
    )]
    RareLooks {
        /// Which span.
        name: &'static str,
        /// How long it is.
        span: String,
    },
    /// There is no home to keep state in.
    #[error("not given, and neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
    /// State cannot be kept there.
    #[error("{} is no folder", .0.display())]
    NotAFolder(PathBuf),
    /// A file that is named is not there, or is none.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says, or what it is instead.
        why: String,
    },
    /// Others can read a key.
    #[error(
        "{} can be read by others (mode {mode:04o}): a key is its owner's alone, or root's with its group",
        path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// An endpoint of etcd that is none.
    #[error("`{endpoint}` is no endpoint such as https://etcd-1:2379: {why}")]
    Endpoint {
        /// The text.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Anybody could send webhooks.
    #[error("there is no secret: name its file as `secret_files` below [webhooks] in a --config")]
    NoWebhookSecret,
    /// Two repositories here that are one at GitHub: each would tell the same pull requests
    /// something else.
    #[error("`{slug}` is the repository `{name}` already, in line {line}")]
    SameSlug {
        /// Its name at GitHub.
        slug: Slug,
        /// What the other one is called here.
        name: RepoName,
        /// Where.
        line: usize,
    },
    /// A GitHub that nobody needs.
    #[error("no repository is there: give a [[repo]] its name as github = \"OWNER/NAME\"")]
    IdleGithub,
    /// Anybody on the way could read what webhooks say.
    #[error("webhooks come to {0} unencrypted: have a proxy before it that ends TLS")]
    WebhooksInTheClear(SocketAddr),
    /// Anybody on the way could read the password.
    #[error("the password goes to {0} unencrypted")]
    PasswordInTheClear(String),
}
