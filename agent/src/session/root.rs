//! Whose life is a session's life.

use std::fmt;
use std::io;

use molt_proto::v1;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::run::{ProcessIdentity, nearest_agent_root};

/// Whose life is a session's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    /// A process: the agent program, above all shells and wrappers.
    Process(ProcessIdentity),
    /// Nobody's: the session lives by being used.
    Use,
}

impl Root {
    /// The root of whoever runs this program: the process `named`, else the
    /// nearest ancestor that is the agent at work.
    pub fn find(named: Option<i32>) -> Result<Self, Error> {
        let unseen = |error: io::Error| Error::bug(format!("cannot see processes: {error}"));
        let Some(pid) = named else {
            let agent = nearest_agent_root().map_err(unseen)?;
            return Ok(agent.map_or(Self::Use, |agent| Self::Process(agent.identity)));
        };
        match ProcessIdentity::of(pid).map_err(unseen)? {
            Some(identity) => Ok(Self::Process(identity)),
            None => Err(Error::usage(format!("--root-pid {pid}: no such process"))),
        }
    }

    /// Whether it is known to live no more. One that lives by use never is.
    pub fn is_dead(&self) -> io::Result<bool> {
        match self {
            Self::Process(identity) => Ok(!identity.is_alive()?),
            Self::Use => Ok(false),
        }
    }

    /// The name of its session file, without folder: two agent programs in one
    /// worktree have two, all shells of one program have one.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Process(identity) => {
                format!("{}-{:013x}.json", identity.pid, start_number(identity))
            }
            Self::Use => "use.json".to_owned(),
        }
    }
}

/// The start time as a number that tells processes with one pid apart: the
/// system's own words have no common unit. It fits into a JSON number.
fn start_number(identity: &ProcessIdentity) -> u64 {
    let digest = blake3::hash(identity.start.as_bytes());
    let first: [u8; 8] = std::array::from_fn(|index| digest.as_bytes()[index]);
    u64::from_le_bytes(first) >> 12
}

impl From<&Root> for v1::Root {
    fn from(root: &Root) -> Self {
        match root {
            Root::Process(identity) => {
                Self { pid: identity.pid.unsigned_abs(), start: start_number(identity) }
            }
            Root::Use => Self { pid: 0, start: 0 },
        }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(identity) => write!(f, "lives as long as process {}", identity.pid),
            Self::Use => f.write_str("lives by being used: no agent program above this shell"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_root_has_its_own_file() {
        let process = |pid, start: &str| {
            Root::Process(ProcessIdentity { pid, start: start.to_owned() }).file_name()
        };
        assert_eq!(process(7, "boot:1"), process(7, "boot:1"));
        assert_ne!(process(7, "boot:1"), process(7, "boot:2"), "the pid was given again");
        assert!(process(7, "Sat Nov 22 16:23:01 2025").starts_with("7-"));
        assert!(!process(7, "a/b: c").contains(['/', ' ', ':']));
        assert_eq!(Root::Use.file_name(), "use.json");
    }

    #[test]
    fn a_named_root_must_live() {
        let own = i32::try_from(std::process::id()).unwrap();
        let root = Root::find(Some(own)).unwrap();
        assert!(!root.is_dead().unwrap());
        let Root::Process(identity) = root else { panic!("a process") };
        let former = ProcessIdentity { start: format!("{}0", identity.start), ..identity };
        assert!(Root::Process(former).is_dead().unwrap());
        let refused = Root::find(Some(i32::MAX)).unwrap_err();
        assert_eq!(refused.to_string(), format!("--root-pid {}: no such process", i32::MAX));
    }
}
