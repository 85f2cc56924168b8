//! What is said over a supervisor's socket: one JSON document per line.
//!
//! A client may send any number of requests over one connection, one after
//! another. The log itself does not travel: the supervisor says how long it is,
//! and the client, which is on the same machine, reads the file. So a slow
//! reader never holds up a run. Not here: the sockets.

use serde::{Deserialize, Serialize};

use super::process::ProcessIdentity;
use super::record::ExitRecord;
use super::spec::RunId;
use crate::clock::Millis;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// How is it going? Answered by [`Reply::Report`] or [`Reply::Exit`].
    Status,
    /// Answered by [`Reply::Exit`] when the run has ended.
    Wait,
    /// Answered by [`Reply::Grown`] as the log grows, then [`Reply::Exit`].
    Follow,
    /// Stop the run. Answered by [`Reply::Stopping`].
    Stop {
        /// Who wants that and why; the exit record repeats it.
        reason: String,
    },
    /// Move the deadline later. Answered by [`Reply::Deadline`] or
    /// [`Reply::Refused`].
    Extend {
        /// The new deadline on the machine's clock that counts suspend.
        deadline_ms: Millis,
    },
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The run goes on.
    Report(Report),
    /// The log is this long.
    Grown {
        /// Its length in bytes; what is before that does not change.
        bytes: u64,
    },
    /// The run has ended.
    Exit {
        /// How.
        record: Box<ExitRecord>,
    },
    /// The run is being stopped.
    Stopping,
    /// When the run will be stopped; never earlier than it was before.
    Deadline {
        /// On the machine's clock that counts suspend; `None` never.
        deadline_ms: Option<Millis>,
    },
    /// Nothing changed.
    Refused {
        /// Why, as a lowercase fragment.
        reason: String,
    },
}

/// Where a run stands between its start and its exit record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Its own process runs.
    Running,
    /// Its own process has ended, others that it started have not.
    Lingering,
    /// Its processes were told to end, or are being killed.
    Stopping {
        /// Why; `None` for processes that were left behind.
        by: Option<String>,
    },
}

/// A run that goes on, as its supervisor last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: RunState,
    /// Its supervisor.
    pub supervisor: ProcessIdentity,
    /// Its own process.
    pub child: ProcessIdentity,
    /// When it started, RFC 3339.
    pub started: String,
    /// When it will be stopped; `None` never.
    pub deadline: Option<Millis>,
    /// How many processes it has.
    pub processes: usize,
    /// Their resident memory together, in bytes.
    pub memory: u64,
    /// The most that was, in bytes.
    pub peak_memory: u64,
    /// Lines in its log.
    pub lines: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_page_says() {
        let said = |request: &Request| serde_json::to_string(request).unwrap();
        assert_eq!(said(&Request::Follow), r#"{"request":"follow"}"#);
        let extend = Request::Extend { deadline_ms: Millis::since_boot(12) };
        assert_eq!(said(&extend), r#"{"request":"extend","deadline_ms":12}"#);
        assert!(serde_json::from_str::<Request>(r#"{"request":"steal"}"#).is_err());
    }
}
