//! Reading a backup, and believing it only whole.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use molt_domain::audit::Entry;
use molt_store::{Head, Json, Record};
use serde::de::DeserializeOwned;

use super::{ArchiveError, EntryLine, Fault, Footer, Header, MAX_LINE, VERSION, read_record};

/// What a backup has.
#[derive(Debug)]
pub struct Archive {
    /// What its first line says.
    pub header: Header,
    /// The last commit that it has.
    pub head: Head,
    /// The audit's sealed entries.
    pub sealed: Vec<Entry>,
    /// Every record, sorted by key.
    pub records: Vec<Record>,
    /// The digest of its lines.
    pub digest: String,
}

/// Reads the backup at `path`.
///
/// # Errors
///
/// It is not there, not whole, was altered, or a newer program wrote it.
pub fn read(path: &Path) -> Result<Archive, ArchiveError> {
    let mut line = 1;
    let opened = File::open(path).map_err(Fault::Io);
    opened
        .and_then(|file| {
            let hasher = blake3::Hasher::new();
            read_lines(&mut Lines { reader: BufReader::new(file), hasher }, &mut line)
        })
        .map_err(|fault| ArchiveError { path: path.to_owned(), line, fault })
}

fn read_lines(lines: &mut Lines, line: &mut u64) -> Result<Archive, Fault> {
    let header = read_header(&lines.next("it is empty")?)?;
    let mut next = |lines: &mut Lines, missing| {
        *line += 1;
        lines.next(missing)
    };
    let id = header.commit.parse().map_err(|error| wrong("commit", error))?;
    let ledger = Json::encode(&header.ledger).map_err(|error| wrong("ledger", error))?;
    let head = Head { number: header.revision, id, format: header.store, ledger };
    let mut sealed = Vec::new();
    for _ in 0..header.sealed {
        let text = next(lines, "entries of the audit are missing")?;
        sealed.push(parse::<EntryLine<Entry>>("entry of the audit", &text)?.entry);
    }
    let mut records: Vec<Record> = Vec::new();
    for _ in 0..header.records {
        let text = next(lines, "records are missing")?;
        let record = read_record(&text).map_err(|cause| Fault::Line { what: "record", cause })?;
        if let Some(before) = records.last().filter(|before| before.key >= record.key) {
            return Err(Fault::Order { key: record.key, before: before.key.clone() });
        }
        records.push(record);
    }
    let expected = lines.digest();
    let footer = next(lines, "its last line is missing")?;
    let Footer { blake3: digest } = parse("digest", &footer)?;
    if digest != expected {
        return Err(Fault::Digest { found: digest, expected });
    }
    if !lines.is_over()? {
        *line += 1;
        return Err(Fault::Behind);
    }
    Ok(Archive { header, head, sealed, records, digest })
}

/// Reads the first line; that of a newer version need not read otherwise.
fn read_header(text: &str) -> Result<Header, Fault> {
    let any: serde_json::Value = serde_json::from_str(text).map_err(|_| Fault::NoBackup)?;
    match any.get("molt-backup").and_then(serde_json::Value::as_u64) {
        None => Err(Fault::NoBackup),
        Some(found) if found > u64::from(VERSION) => Err(Fault::Newer { found }),
        Some(_) => parse("first line", text),
    }
}

fn parse<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| wrong(what, error))
}

fn wrong(what: &'static str, cause: impl Into<molt_store::Cause>) -> Fault {
    Fault::Line { what, cause: cause.into() }
}

struct Lines {
    reader: BufReader<File>,
    hasher: blake3::Hasher,
}

impl Lines {
    /// The next line, without its end.
    fn next(&mut self, missing: &'static str) -> Result<String, Fault> {
        let mut line = Vec::new();
        let mut bounded = self.reader.by_ref().take(MAX_LINE as u64 + 1);
        bounded.read_until(b'\n', &mut line).map_err(Fault::Io)?;
        if line.is_empty() {
            return Err(Fault::Cut(missing));
        }
        if line.len() > MAX_LINE {
            return Err(Fault::TooLong);
        }
        self.hasher.update(&line);
        if line.pop() != Some(b'\n') {
            return Err(Fault::Cut("the line has no end"));
        }
        String::from_utf8(line).map_err(|error| wrong("text", error))
    }

    fn digest(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    fn is_over(&mut self) -> Result<bool, Fault> {
        Ok(self.reader.fill_buf().map_err(Fault::Io)?.is_empty())
    }
}
