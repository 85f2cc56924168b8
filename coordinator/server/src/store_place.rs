//! Opening the place where a configuration says the records are.
//!
//! Not here: what is done with them (`lead`, `transfer`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molt_store::embedded::{OpenError as EmbeddedError, Options, Tail};
use molt_store::{EmbeddedStore, Store};
use tracing::warn;

use crate::config::StorePlace;

/// A store that is open.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What was lost of an unfinished commit, in bytes.
    pub dropped: Option<u64>,
}

/// Why a store was not opened; nothing in it has changed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file of this machine.
    #[error("store in {}", folder.display())]
    Embedded {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: EmbeddedError,
    },
    /// An etcd.
    #[cfg(feature = "etcd")]
    #[error("store in etcd")]
    Etcd(#[from] molt_store::etcd::ConnectError),
    /// The name of a fleet.
    #[cfg(feature = "etcd")]
    #[error("store in etcd")]
    Fleet(#[from] molt_store::etcd::FleetError),
    /// The program has no client of etcd.
    #[cfg(not(feature = "etcd"))]
    #[error("this program was built without etcd: build it with the feature `etcd`")]
    WithoutEtcd,
    /// A file that the configuration names.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Opens the store at `place`; a leader that is silent for `leader_ttl` is replaced.
///
/// # Errors
///
/// See [`PlaceError`].
pub async fn open(place: &StorePlace, leader_ttl: Duration) -> Result<Opened, PlaceError> {
    match place {
        StorePlace::Embedded { folder } => embedded(folder),
        #[cfg(feature = "etcd")]
        StorePlace::Etcd(place) => {
            let store = connect(place, leader_ttl).await?;
            Ok(Opened { store: Arc::new(store), dropped: None })
        }
        #[cfg(not(feature = "etcd"))]
        StorePlace::Etcd(_) => {
            let _without = leader_ttl;
            Err(PlaceError::WithoutEtcd)
        }
    }
}

fn embedded(folder: &Path) -> Result<Opened, PlaceError> {
    let (store, opened) = EmbeddedStore::open(folder, Options::default())
        .map_err(|source| PlaceError::Embedded { folder: folder.to_owned(), source })?;
    let dropped = match opened.tail {
        Tail::Clean => None,
        Tail::Dropped { bytes } => {
            let revision = opened.head;
            warn!(phase = "start", bytes, revision, "an unfinished commit was dropped");
            Some(bytes)
        }
    };
    Ok(Opened { store: Arc::new(store), dropped })
}

#[cfg(feature = "etcd")]
pub use self::etcd::{connect, examine};

#[cfg(feature = "etcd")]
mod etcd {
    use std::path::Path;
    use std::time::Duration;

    use molt_store::etcd::{EtcdOptions, EtcdStore, Fleet, Report, Tls};

    use super::PlaceError;
    use crate::config::EtcdPlace;

    /// Connects to the etcd at `place`.
    ///
    /// # Errors
    ///
    /// See [`PlaceError`].
    pub async fn connect(place: &EtcdPlace, leader_ttl: Duration) -> Result<EtcdStore, PlaceError> {
        Ok(EtcdStore::connect(options(place, leader_ttl)?).await?)
    }

    /// Looks at the etcd at `place`, also at one that must not be used.
    ///
    /// # Errors
    ///
    /// See [`PlaceError`]; whatever does not answer is in the report.
    pub async fn examine(place: &EtcdPlace, leader_ttl: Duration) -> Result<Report, PlaceError> {
        let options = options(place, leader_ttl)?;
        let report = molt_store::etcd::examine(&options).await;
        report.map_err(|error| PlaceError::Etcd(error.into()))
    }

    fn options(place: &EtcdPlace, leader_ttl: Duration) -> Result<EtcdOptions, PlaceError> {
        let EtcdPlace { endpoints, fleet, user, ca, identity } = place;
        let fleet = Fleet::parse(fleet.clone())?;
        let mut options = EtcdOptions::new(endpoints.iter().cloned(), fleet).ttl(leader_ttl);
        if let Some(user) = user {
            let password = String::from_utf8_lossy(&read(&user.password_file)?).into_owned();
            options = options.user(&user.name, password.trim_end_matches(['\r', '\n']));
        }
        if let Some(ca) = ca {
            let identity = match identity {
                Some(pair) => Some((read(&pair.cert)?, read(&pair.key)?)),
                None => None,
            };
            options = options.tls(Tls { ca: read(ca)?, identity });
        }
        Ok(options)
    }

    fn read(path: &Path) -> Result<Vec<u8>, PlaceError> {
        let error = |source| PlaceError::File { path: path.to_owned(), source };
        std::fs::read(path).map_err(error)
    }
}
