//! What a run is asked to do, complete and fixed before it starts.
//!
//! Not here: how it went (`record`) and where the environment comes from
//! (`environment`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::sources::Sources;
use crate::clock::{self, Millis};

/// How long a run that was told to end may take before it is killed.
pub const DEFAULT_KILL_GRACE: Duration = Duration::from_secs(5);

/// A part of a run's specification that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    /// A name that would not survive as a folder or a word in a log.
    #[error(
        "{field} `{text}` is not 1 to {longest} of a-z A-Z 0-9 . _ - starting with a letter or digit"
    )]
    Word {
        /// Which field it is.
        field: &'static str,
        /// What was given.
        text: String,
        /// The longest that is allowed, in bytes.
        longest: usize,
    },
    /// No program to run.
    #[error("argv is empty")]
    NoProgram,
    /// An argument that no system can pass on.
    #[error("argv[{index}] contains a NUL byte")]
    Nul {
        /// Which argument, from 0.
        index: usize,
    },
}

/// A name that is safe as a folder and as one word of a log line.
fn word(field: &'static str, longest: usize, text: &str) -> Result<String, InvalidSpec> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts_well && text.len() <= longest && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(InvalidSpec::Word { field, text: text.to_owned(), longest })
}

macro_rules! word_type {
    ($(#[$doc:meta])* $name:ident, $field:literal, $longest:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidSpec;

            fn from_str(text: &str) -> Result<Self, InvalidSpec> {
                word($field, $longest, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidSpec;

            fn try_from(text: String) -> Result<Self, InvalidSpec> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word_type!(
    /// The name of a run, unique on its machine; also the name of its folder.
    RunId, "run id", 64
);
word_type!(
    /// What a run is doing, as the second word of its log lines: `build`, `test`.
    Phase, "phase", 32
);

impl RunId {
    /// A name that no other run of this machine has.
    pub fn fresh() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let wall = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = format!(
            "{} {} {} {}",
            wall.as_nanos(),
            clock::boottime().get(),
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed),
        );
        let digest = blake3::hash(seed.as_bytes()).to_hex();
        // Seconds first, so that a listing by name is a listing by age.
        Self(format!("run-{:08x}-{}", wall.as_secs(), &digest[..12]))
    }
}

/// A program and its arguments: never empty, free of NUL bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct Argv(Vec<String>);

impl Argv {
    /// The program, which is looked for in the run's own `PATH`.
    pub fn program(&self) -> &str {
        &self.0[0]
    }

    /// What follows the program.
    pub fn arguments(&self) -> &[String] {
        &self.0[1..]
    }

    /// Program and arguments together.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Argv {
    type Error = InvalidSpec;

    fn try_from(argv: Vec<String>) -> Result<Self, InvalidSpec> {
        if argv.is_empty() {
            return Err(InvalidSpec::NoProgram);
        }
        match argv.iter().position(|argument| argument.contains('\0')) {
            Some(index) => Err(InvalidSpec::Nul { index }),
            None => Ok(Self(argv)),
        }
    }
}

impl From<Argv> for Vec<String> {
    fn from(argv: Argv) -> Self {
        argv.0
    }
}

/// What a run may use before it is stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How long it may run, in milliseconds, suspend included.
    pub timeout_ms: Option<u64>,
    /// How much resident memory its processes may have together, in bytes.
    pub memory_bytes: Option<u64>,
}

/// The user whose processes a run's are, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunUser {
    /// The user.
    pub uid: u32,
    /// Its one group: no other one is passed on.
    pub gid: u32,
}

/// Everything that a supervisor needs to know about its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The run's name.
    pub id: RunId,
    /// What is executed.
    pub argv: Argv,
    /// The absolute folder in which it is executed.
    pub cwd: PathBuf,
    /// The complete environment; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// The absolute path of its log, which must not exist yet.
    pub log: PathBuf,
    /// The second word of its log lines.
    pub phase: Phase,
    /// Whose its processes are; `None`: its supervisor's own user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<RunUser>,
    /// What it may use.
    pub limits: Limits,
    /// When it must be stopped, unless somebody moves this later; `None` never.
    pub deadline: Option<Millis>,
    /// From the request to end until the kill, in milliseconds.
    pub kill_grace_ms: u64,
    /// What the exit record repeats as given: commit, tree, dirty digest, toolchain.
    pub facts: BTreeMap<String, String>,
    /// The tree that is to be looked at again at its end; `None`: nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
}

impl RunSpec {
    /// A run of `argv` without limits, deadline, environment, facts or sources.
    pub fn new(id: RunId, argv: Argv, cwd: PathBuf, log: PathBuf, phase: Phase) -> Self {
        Self {
            id,
            argv,
            cwd,
            environment: BTreeMap::new(),
            log,
            phase,
            user: None,
            limits: Limits::default(),
            deadline: None,
            kill_grace_ms: u64::try_from(DEFAULT_KILL_GRACE.as_millis()).unwrap_or(u64::MAX),
            facts: BTreeMap::new(),
            sources: None,
        }
    }

    /// From the request to end until the kill.
    pub fn kill_grace(&self) -> Duration {
        Duration::from_millis(self.kill_grace_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_their_folder_are_refused() {
        for text in ["", ".", "..", "-rf", "a/b", "a b", "é", &"x".repeat(65)] {
            let refused = text.parse::<RunId>().expect_err(text);
            assert!(refused.to_string().starts_with("run id `"), "{refused}");
        }
        assert_eq!("job_7f3k.2".parse::<RunId>().unwrap().as_str(), "job_7f3k.2");
    }

    #[test]
    fn fresh_names_differ_and_are_names() {
        let names: std::collections::BTreeSet<_> = (0..1000).map(|_| RunId::fresh()).collect();
        assert_eq!(names.len(), 1000);
        for name in names {
            assert_eq!(name.as_str().parse::<RunId>().unwrap(), name);
        }
    }

    #[test]
    fn an_argv_that_cannot_be_executed_is_refused_with_its_place() {
        assert_eq!(Argv::try_from(vec![]), Err(InvalidSpec::NoProgram));
        let argv = vec!["sh".to_owned(), "a\0b".to_owned()];
        assert_eq!(Argv::try_from(argv), Err(InvalidSpec::Nul { index: 1 }));
    }

    #[test]
    fn a_specification_reads_back_and_refuses_what_it_does_not_know() {
        let argv = Argv::try_from(vec!["true".to_owned()]).unwrap();
        let phase: Phase = "test".parse().unwrap();
        let spec = RunSpec::new(RunId::fresh(), argv, "/".into(), "/l".into(), phase);
        let mut json = serde_json::to_value(&spec).unwrap();
        assert_eq!(serde_json::from_value::<RunSpec>(json.clone()).unwrap(), spec);
        json["timeout"] = 5.into();
        let refused = serde_json::from_value::<RunSpec>(json).expect_err("an unknown key");
        assert!(refused.to_string().contains("timeout"), "{refused}");
    }
}
