//! A fleet's whole state, out of one place and into another: backup, restore, migration.
//!
//! * [`whole`]: everything that a store held at one moment, verified.
//! * [`look`]: reading a store beside whoever serves it, without the lead.
//! * [`archive`]: the file of a backup.
//! * [`sealed`]: the audit's segments, which are files beside the store.
//! * [`epoch`]: what the records become for a life elsewhere.
//! * [`lead`]: the lead of a store, held while something is done to it.
//! * [`fill`]: writing records into a store, so that it is served whole or not at all.
//! * [`backup`], [`restore`], [`migrate`]: the three as their verbs do them.
//!
//! Everything goes through the `Store` trait, so it is the same for every backend. Not here: the
//! rules of the board, and what is printed (`cli`).

pub mod archive;
pub mod backup;
mod epoch;
mod error;
mod fill;
mod lead;
pub mod look;
pub mod migrate;
pub mod restore;
pub mod sealed;
pub mod whole;

use std::path::{Path, PathBuf};

use clap::Parser;
use molt_domain::policy::Spans;

use crate::config::{Config, DEFAULT_FLEET, EtcdPlace, ServeArgs, StorePlace};

pub use self::error::TransferError;
#[cfg(feature = "etcd")]
pub(crate) use self::error::of_place;
pub use self::whole::Whole;

/// Where a fleet's state is: its records, and the files beside them.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where the records are.
    pub store: StorePlace,
    /// The folder with the audit's segments.
    pub data: PathBuf,
    /// The spans that the rules use there.
    pub spans: Spans,
}

impl Site {
    /// The site of a data folder with an embedded store.
    #[must_use]
    pub fn folder(data: &Path) -> Self {
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        let store = StorePlace::Embedded { folder: data.clone() };
        Self { store, data, spans: Spans::default() }
    }

    /// The site that a configuration tells of.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let store = match &config.store {
            StorePlace::Embedded { folder } => StorePlace::Embedded { folder: absolute(folder) },
            etcd @ StorePlace::Etcd(_) => etcd.clone(),
        };
        Self { store, data: absolute(&config.data), spans: config.spans }
    }

    /// The site that `path` names: a configuration, or a data folder, which may not be there yet.
    ///
    /// # Errors
    ///
    /// The configuration cannot be served.
    pub fn named(path: &Path) -> Result<Self, TransferError> {
        let is_config = path.extension().is_some_and(|it| it == "toml") && !path.is_dir();
        if path.is_file() || is_config {
            return Ok(Self::of(&configured(path)?));
        }
        Ok(Self::folder(path))
    }

    /// The store as people call it.
    #[must_use]
    pub fn store_name(&self) -> String {
        match &self.store {
            StorePlace::Embedded { folder } => format!("folder {}", folder.display()),
            StorePlace::Etcd(EtcdPlace { endpoints, fleet, .. }) => {
                format!("fleet `{fleet}` of etcd {}", endpoints.join(","))
            }
        }
    }

    /// The fleet whose records are meant.
    #[must_use]
    pub fn fleet(&self) -> &str {
        match &self.store {
            StorePlace::Embedded { .. } => DEFAULT_FLEET,
            StorePlace::Etcd(etcd) => &etcd.fleet,
        }
    }

    /// The folder of the audit's segments.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.data.join("audit")
    }
}

/// What `serve --config FILE` would be told.
///
/// # Errors
///
/// The file cannot be read, or everything that is wrong in it.
pub fn configured(file: &Path) -> Result<Config, TransferError> {
    Ok(serve_args(file)?.config()?)
}

/// `serve`'s arguments with nothing but a configuration.
///
/// # Errors
///
/// A variable of the environment that stands for a flag does not read.
pub fn serve_args(file: &Path) -> Result<ServeArgs, TransferError> {
    /// `serve` without its name.
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }
    let line = ["serve".as_ref(), "--config".as_ref(), file.as_os_str()];
    let line = Line::try_parse_from(line);
    line.map(|line| line.args).map_err(|error| TransferError::Usage(error.to_string()))
}

/// Who does it and why, for the audit.
#[derive(Debug, Clone)]
pub struct Order {
    /// The operator.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// Wall time in milliseconds since 1970, for people.
    pub wall: u64,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Everything is read and verified, and nothing written.
    DryRun,
    /// It is done.
    Do,
}

/// What to do with what another run has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The same work goes on where it stopped; other work is refused.
    GoOn,
    /// Other work that has not ended is given up and its records removed.
    BeginAgain,
}

/// Hears how far it has come.
pub type Tell<'a> = &'a mut (dyn FnMut(String) + Send);
