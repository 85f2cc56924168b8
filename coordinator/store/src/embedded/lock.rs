//! Keeps a second process out of the folder, and tells it whom to ask.
//!
//! The lock is the operating system's and ends with the process, however it ends; what the file
//! says is only for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{LOCK_FILE, OpenError};

/// Who has a store open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Where clients reach it, once it has campaigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

pub(super) fn describe(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, address: Some(address) }) => format!("process {pid} at {address}"),
        Some(Holder { pid, address: None }) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

/// A folder's lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
}

impl FolderLock {
    pub(super) fn acquire(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(LOCK_FILE);
        let io = |path: PathBuf| move |source| OpenError::Io { path, source };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io(path.clone()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(io(path))?;
                // The holder may be between locking and writing; then nobody is named.
                let holder = serde_json::from_str(&text).ok();
                return Err(OpenError::Held { folder: folder.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
        }
        let mut lock = Self { file };
        lock.name(&Holder { pid: std::process::id(), address: None }).map_err(io(path))?;
        Ok(lock)
    }

    /// Says in the file where the holder is reached.
    pub(super) fn set_address(&mut self, address: &str) -> io::Result<()> {
        self.name(&Holder { pid: std::process::id(), address: Some(address.to_owned()) })
    }

    fn name(&mut self, holder: &Holder) -> io::Result<()> {
        let mut text = serde_json::to_vec(holder)?;
        text.push(b'\n');
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&text)
    }
}
