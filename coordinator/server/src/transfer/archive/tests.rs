use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use molt_domain::audit::{self, Anchor};
use molt_domain::board::{Actor, Event, Now};
use molt_domain::id::BoardTime;
use molt_store::FORMAT;
use tempfile::TempDir;

use super::*;
use crate::transfer::TransferError;

fn records() -> Vec<Record> {
    let record = |key: &str, value: &str| Record {
        key: Key::parse(key).unwrap(),
        value: Json::parse(value).unwrap(),
    };
    vec![
        record("answer/ses_0001/a", "[1, 2.50]"),
        record("claim/clm_0001", "{\"text\":\"a\\nb\\\",\\\"value\\\":{}\"}"),
        record("lock/[\"x\",\"y\"]", "null"),
    ]
}

fn entries() -> Vec<Entry> {
    let now = Now { board: BoardTime(1), wall: 2 };
    let raised = |epoch| Event::EpochRaised { epoch, reason: "lost".to_owned() };
    let mut anchor = Anchor::genesis();
    audit::append(&mut anchor, now, &Actor::Coordinator, vec![raised(1), raised(2)])
}

fn header() -> Header {
    Header {
        version: VERSION,
        fleet: "main".to_owned(),
        revision: 7,
        commit: "3-9".to_owned(),
        store: FORMAT,
        ledger: Ledger::default(),
        sealed: entries().len() as u64,
        records: records().len() as u64,
        made: 1_700_000_000_000,
        program: "0.1.0".to_owned(),
    }
}

fn written(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("backup");
    write(&path, &header(), &entries(), records(), &AtomicBool::new(false)).unwrap();
    path
}

#[test]
fn what_was_written_reads_back_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let path = written(&folder);
    let archive = read(&path).unwrap();
    assert_eq!((archive.header, archive.sealed), (header(), entries()));
    assert_eq!(archive.records, records());
    assert_eq!((archive.head.number, archive.head.id.term()), (7, 3));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "no draft is left");
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    let folder = TempDir::new().unwrap();
    let path = written(&folder);
    let before = std::fs::read(&path).unwrap();
    let again = write(&path, &header(), &[], records(), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(again, TransferError::NotEmpty { .. }), "{again}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let other = folder.path().join("other");
    let stopped = write(&other, &header(), &[], records(), &AtomicBool::new(true)).unwrap_err();
    assert!(matches!(stopped, TransferError::Interrupted), "{stopped}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "the draft is gone");
}

/// What is said of the file when its text is `text`.
fn refused(text: impl AsRef<[u8]>) -> (u64, Fault) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("backup");
    std::fs::write(&path, text).unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.to_string().contains(&format!("line {}", error.line)), "{error}");
    (error.line, error.fault)
}

#[test]
fn every_flipped_bit_is_found() {
    let folder = TempDir::new().unwrap();
    let text = std::fs::read(written(&folder)).unwrap();
    for at in 0..text.len() {
        let mut flipped = text.clone();
        flipped[at] ^= 1 << (at % 7);
        let (line, fault) = refused(&flipped);
        let own = 1 + text[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        assert!(line >= own, "byte {at} of line {own} is found in line {line}: {fault:?}");
    }
}

#[test]
fn every_cut_is_found() {
    let folder = TempDir::new().unwrap();
    let text = std::fs::read(written(&folder)).unwrap();
    for end in 0..text.len() {
        let (_, fault) = refused(&text[..end]);
        assert!(matches!(fault, Fault::Cut(_)), "after {end} bytes: {fault:?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let folder = TempDir::new().unwrap();
    let text = String::from_utf8(std::fs::read(written(&folder)).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let newer = lines[0].replace("\"molt-backup\":1", "\"molt-backup\":2,\"new\":0");
    assert!(matches!(refused(with(0, &newer)), (1, Fault::Newer { found: 2 })));
    assert!(matches!(refused(with(0, "{}")), (1, Fault::NoBackup)));
    assert!(matches!(refused("SQLite format 3\0\n"), (1, Fault::NoBackup)));
    assert!(matches!(refused(with(2, "{}")), (3, Fault::Line { what: "entry of the audit", .. })));
    assert!(matches!(refused(with(4, "{}")), (5, Fault::Line { what: "record", .. })));
    assert!(matches!(refused(with(4, lines[5])), (6, Fault::Order { .. })));
    let altered = lines[4].replace("\"a", "\"b");
    assert!(matches!(refused(with(4, &altered)), (7, Fault::Digest { .. })));
    assert!(matches!(refused(format!("{text}\n")), (8, Fault::Behind)));
    let long = "x".repeat(MAX_LINE);
    assert!(matches!(refused(with(4, &long)), (5, Fault::TooLong)));
}
