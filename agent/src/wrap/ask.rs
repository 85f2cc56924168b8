//! What a wrapper asks for, written down before it is sent.
//!
//! The answer may name a hold that nobody hears of, because the wrapper is
//! killed meanwhile. So the request is kept as `<state>/places/*.ask.json` until
//! its answer is: whoever finds the wrapper dead sends the same request under
//! the same number, which has one effect, and gives back what it is told.

use std::path::{Path, PathBuf};

use molt_domain::id::SessionId;
use molt_domain::name::HostName;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use serde::{Deserialize, Serialize};

use super::hold::{all_of, forget, places, write};
use crate::client::Address;
use crate::run::{FileError, ProcessIdentity};
use crate::session::{Record, SessionFile};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub(crate) enum Ask {
    Lock { lock: String, what: String, wait: bool },
    Slot { pool: String, host: String, what: String, wait: bool },
    Build { key: Key, missing: String, what: String },
}

/// What makes two builds the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) fingerprint: String,
    pub(crate) profile: String,
    pub(crate) place: String,
}

impl Ask {
    /// The command for it.
    pub(crate) fn verb(&self) -> Verb {
        match self.clone() {
            Self::Lock { lock, what, wait } => {
                Verb::AcquireLock(v1::AcquireLock { lock, what, wait })
            }
            Self::Slot { pool, host, what, wait } => {
                Verb::AcquireSlot(v1::AcquireSlot { pool, host, what, wait })
            }
            Self::Build { key: Key { name, fingerprint, profile, place }, missing, what } => {
                let build = Some(v1::BuildKey { name, fingerprint, profile, place });
                Verb::AskBuild(v1::AskBuild { build, missing, what })
            }
        }
    }

    /// The word that the names of its runs begin with.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Lock { .. } => "lock",
            Self::Slot { .. } => "slot",
            Self::Build { .. } => "build",
        }
    }
}

/// A request whose answer is not written down yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    /// Its number in the session.
    pub(crate) number: u64,
    pub(crate) session: SessionId,
    /// The session's file.
    pub(crate) file: PathBuf,
    /// Whose coordinators.
    pub(crate) coordinator: Vec<Address>,
    /// The host that it is for.
    pub(crate) host: HostName,
    /// Who asks.
    pub(crate) wrapper: ProcessIdentity,
}

const SUFFIX: &str = ".ask.json";

impl Asked {
    /// The session as its file has it now.
    pub(crate) fn record(&self) -> Result<Option<Record>, crate::error::Error> {
        let record = SessionFile::at(&self.file).read()?;
        Ok(record.filter(|record| record.id == self.session))
    }

    /// Takes the request over from its wrapper, which has died; `false` where another command asks
    /// it again, and is told what it was granted.
    pub(crate) fn adopt(&self) -> Result<bool, crate::error::Error> {
        SessionFile::at(&self.file).adopt(self.number)
    }

    /// Sees to it that no command asks it again and is told of what is given back.
    pub(crate) fn settle(&self) -> Result<(), crate::error::Error> {
        SessionFile::at(&self.file).settle(self.number)
    }

    /// Writes it down. The same request of a wrapper that has died is this one's now.
    pub(super) fn write(&self, state: &Path) -> Result<(), FileError> {
        write(state, &self.path(state), self)?;
        let same = |other: &Self| other.session == self.session && other.number == self.number;
        let all = Self::all(state)?;
        all.iter().filter(|other| same(other) && *other != self).try_for_each(|it| it.forget(state))
    }

    /// Whether it is still written down.
    pub(crate) fn is_there(&self, state: &Path) -> bool {
        self.path(state).exists()
    }

    /// Forgets it: its answer is written down, or there was nothing to take.
    pub(crate) fn forget(&self, state: &Path) -> Result<(), FileError> {
        forget(&self.path(state))
    }

    /// All under the state folder `state`.
    pub(crate) fn all(state: &Path) -> Result<Vec<Self>, FileError> {
        all_of(state, SUFFIX)
    }

    fn path(&self, state: &Path) -> PathBuf {
        let Self { session, number, wrapper, .. } = self;
        places(state).join(format!("{session}-{number}.{}{SUFFIX}", wrapper.pid))
    }
}
