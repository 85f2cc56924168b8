//! What `serve` is told: where state is, where to listen, which repository, which spans.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use molt_domain::name::RepoName;
use molt_domain::policy::{Spans, UnsafeSpans};

/// Why a configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nobody is authenticated yet, so nobody but this machine may call.
    #[error("--listen {0} is not loopback: without identities only loopback is served")]
    NotLoopback(SocketAddr),
    /// Two holders could overlap.
    #[error(transparent)]
    Spans(#[from] UnsafeSpans),
    /// There is no home to keep state in.
    #[error("no --data, and neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
}

/// Where and how to serve.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Folder of the coordinator's state
    ///
    /// Default: `molt/coordinator` below XDG_STATE_HOME or ~/.local/state.
    #[arg(long, env = "MOLT_COORD_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Address to listen on; loopback only
    #[arg(long, env = "MOLT_COORD_LISTEN", default_value = "127.0.0.1:7420", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// The repository's remote: a path or any address that git can push to
    #[arg(long, value_name = "REMOTE")]
    pub remote: String,

    /// The branch that changes land on
    #[arg(long, default_value = "main", value_name = "BRANCH")]
    pub branch: String,

    /// What the repository is called here
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub repo: RepoName,

    /// Give up records that were lost: begin a new epoch of fences
    ///
    /// For a state that was put back to an older one, when what is missing cannot be restored.
    /// Holders of what was granted since are not known any more: see that they have stopped.
    /// The audit keeps the reason.
    #[arg(long, value_name = "REASON")]
    pub raise_epoch: Option<String>,

    /// Write the address that was bound into this file, once calls are answered
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    #[command(flatten)]
    spans: SpanArgs,
}

/// The spans that the rules use; each has a default that suits a fleet.
#[derive(Debug, Clone, Args)]
struct SpanArgs {
    /// How often hosts renew their sessions
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    heartbeat: Option<Duration>,
    /// How long a session lives without a renewal
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    session_ttl: Option<Duration>,
    /// How long before its deadline a holder stops by itself
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    margin: Option<Duration>,
    /// How long a stopped run may take to end before it is killed
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    kill_grace: Option<Duration>,
    /// How long a lost lock stays closed
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    delay: Option<Duration>,
    /// How long a lost session's claims wait for it
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    grace: Option<Duration>,
    /// How long an offer to an absent waiter stands
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    offer: Option<Duration>,
    /// How long a failed build is remembered
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    failure_memory: Option<Duration>,
    /// How long a leader's word holds
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Spans")]
    leader_ttl: Option<Duration>,
}

impl ServeArgs {
    /// The folder of the coordinator's state.
    ///
    /// # Errors
    ///
    /// None is named and there is no home.
    pub fn data(&self) -> Result<PathBuf, ConfigError> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => default_data().ok_or(ConfigError::NoHome),
        }
    }

    /// The spans, checked.
    ///
    /// # Errors
    ///
    /// Spans under which two holders could overlap.
    pub fn spans(&self) -> Result<Spans, ConfigError> {
        let default = Spans::default();
        let given = &self.spans;
        let spans = Spans {
            heartbeat: given.heartbeat.unwrap_or(default.heartbeat),
            session_ttl: given.session_ttl.unwrap_or(default.session_ttl),
            margin: given.margin.unwrap_or(default.margin),
            kill_grace: given.kill_grace.unwrap_or(default.kill_grace),
            delay: given.delay.unwrap_or(default.delay),
            grace: given.grace.unwrap_or(default.grace),
            offer: given.offer.unwrap_or(default.offer),
            failure_memory: given.failure_memory.unwrap_or(default.failure_memory),
            leader_ttl: given.leader_ttl.unwrap_or(default.leader_ttl),
        };
        spans.check()?;
        Ok(spans)
    }

    /// The address to listen on, checked.
    ///
    /// # Errors
    ///
    /// An address that others than this machine can reach.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        if self.listen.ip().is_loopback() {
            return Ok(self.listen);
        }
        Err(ConfigError::NotLoopback(self.listen))
    }
}

fn default_data() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty());
    let state = state
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local").join("state")))?;
    Some(state.join("molt").join("coordinator"))
}

/// The spans in one line, for `serve` to print.
#[must_use]
pub fn spans_line(spans: &Spans) -> String {
    let text = |span: Duration| humantime::format_duration(span).to_string().replace(' ', "");
    format!(
        "heartbeat {}, session ttl {}, margin {}, kill grace {}, delay {}, grace {}, offer {}",
        text(spans.heartbeat),
        text(spans.session_ttl),
        text(spans.margin),
        text(spans.kill_grace),
        text(spans.delay),
        text(spans.grace),
        text(spans.offer),
    )
}
