//! Writing a backup, so that it is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use molt_domain::audit::Entry;
use molt_store::Record;

use super::{Footer, Header, entry_line, record_line};
use crate::transfer::TransferError;

/// Writes a backup to `path`, which must not be there, and answers the digest of its lines and its
/// bytes. What was written is gone again if it fails, or if `stop` is set meanwhile.
///
/// # Errors
///
/// A file is there already, or cannot be written.
pub fn write(
    path: &Path,
    header: &Header,
    sealed: &[Entry],
    records: impl IntoIterator<Item = Record>,
    stop: &AtomicBool,
) -> Result<(String, u64), TransferError> {
    refuse_overwriting(path)?;
    let draft = Draft::create(path)?;
    let failed = |source| TransferError::File { path: draft.path.clone(), source };
    let mut out =
        Lines { out: BufWriter::new(&draft.file), hasher: blake3::Hasher::new(), bytes: 0 };
    out.line(&serde_json::to_string(header)?).map_err(failed)?;
    let entries = sealed.iter().map(entry_line);
    for line in entries.chain(records.into_iter().map(|record| record_line(&record))) {
        if stop.load(Ordering::Relaxed) {
            return Err(TransferError::Interrupted);
        }
        out.line(&line?).map_err(failed)?;
    }
    let digest = out.hasher.finalize().to_hex().to_string();
    out.line(&serde_json::to_string(&Footer { blake3: digest.clone() })?).map_err(failed)?;
    let bytes = out.bytes;
    out.out.flush().map_err(failed)?;
    drop(out);
    draft.file.sync_all().map_err(failed)?;
    refuse_overwriting(path)?;
    draft.keep_as(path)?;
    Ok((digest, bytes))
}

fn refuse_overwriting(path: &Path) -> Result<(), TransferError> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let (place, found) = (path.display().to_string(), "a file is there".to_owned());
    Err(TransferError::NotEmpty { place, found })
}

struct Lines<'a> {
    out: BufWriter<&'a File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Lines<'_> {
    fn line(&mut self, text: &str) -> std::io::Result<()> {
        for part in [text.as_bytes(), b"\n"] {
            self.hasher.update(part);
            self.out.write_all(part)?;
            self.bytes += part.len() as u64;
        }
        Ok(())
    }
}

/// A file under another name, which is removed unless it is kept.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn create(target: &Path) -> Result<Self, TransferError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".new");
        let path = PathBuf::from(name);
        // What is there under this name was left by a run that was killed.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(TransferError::File { path, source }),
        }
    }

    fn keep_as(&self, target: &Path) -> Result<(), TransferError> {
        let failed = |source| TransferError::File { path: target.to_owned(), source };
        fs::rename(&self.path, target).map_err(failed)?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it is kept it has another name.
        drop(fs::remove_file(&self.path));
    }
}
