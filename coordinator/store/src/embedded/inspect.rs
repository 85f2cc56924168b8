//! Looks at the files before SQLite may touch them.
//!
//! SQLite repairs while it opens: it would read a file that was cut short as one with empty
//! pages, and recover a file that a newer program laid out. What must be refused untouched is
//! therefore found here, by reading alone.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::wal::{self, WalError, word};
use super::{OpenError, Tail, schema};

const HEADER_BYTES: usize = 100;
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Checks that the database at `path`, together with its write-ahead log, is whole and of a
/// layout that this program handles. Answers what the log's tail holds, or `None` if there is no
/// database yet.
pub(super) fn inspect(path: &Path) -> Result<Option<Tail>, OpenError> {
    let wal_path = wal_path(path);
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if wal_path.exists() {
                let found = "it is missing, but its write-ahead log is there".to_owned();
                Err(OpenError::Damaged { path: path.to_owned(), found })
            } else {
                Ok(None)
            };
        }
        Err(error) => return Err(io(error)),
    };
    let bytes = file.metadata().map_err(io)?.len();
    let mut header = [0; HEADER_BYTES];
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let found = format!("its {bytes} bytes are less than a header");
            return Err(OpenError::Damaged { path: path.to_owned(), found });
        }
        Err(error) => return Err(io(error)),
    }
    let log = wal::read(&wal_path).map_err(|error| match error {
        WalError::Io(source) => OpenError::Io { path: wal_path.clone(), source },
        WalError::Damaged(found) => OpenError::Damaged { path: wal_path.clone(), found },
    })?;
    let latest = log.first_page.as_deref().unwrap_or(&header);
    check_owner(path, latest)?;
    check_length(path, bytes, &header, &log)?;
    Ok(Some(log.tail))
}

pub(super) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Checks that the first page is of a board, and of a layout that this program handles.
fn check_owner(path: &Path, first_page: &[u8]) -> Result<(), OpenError> {
    let path = path.to_owned();
    if !first_page.starts_with(MAGIC) {
        let found = "it is no sqlite file".to_owned();
        return Err(OpenError::Foreign { path, found });
    }
    let application = word(first_page, 68);
    if application != schema::APPLICATION {
        let found = format!("it is the sqlite file of application {application:#010x}");
        return Err(OpenError::Foreign { path, found });
    }
    let found = word(first_page, 60);
    if found > schema::LAYOUT {
        return Err(OpenError::Newer { path, found, supported: schema::LAYOUT });
    }
    Ok(())
}

/// Checks that every page is in the file or in the log. A crash in the middle of a checkpoint
/// leaves a short file too, but then the log still has what the file lacks.
fn check_length(
    path: &Path,
    bytes: u64,
    header: &[u8; HEADER_BYTES],
    log: &wal::Log,
) -> Result<(), OpenError> {
    let damaged = |found| Err(OpenError::Damaged { path: path.to_owned(), found });
    let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    if !page_bytes.is_power_of_two() || page_bytes < 512 {
        return damaged(format!("its header names pages of {page_bytes} bytes"));
    }
    let pages = log.database_pages.unwrap_or_else(|| word(header, 28));
    let whole = u32::try_from(bytes / page_bytes).unwrap_or(u32::MAX);
    let missing = (whole.saturating_add(1)..=pages).find(|page| !log.pages.contains(page));
    match missing {
        Some(page) => damaged(format!(
            "it is cut short: {bytes} bytes hold {whole} of {pages} pages, and page {page} is \
             not in the write-ahead log either"
        )),
        None => Ok(()),
    }
}
