//! What a file has: its bytes as text, and what readers found in it.

use std::fmt;

use serde::{Serialize, Serializer};

/// A task as a file has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) at: At,
    /// What other tasks of the file call it.
    pub(super) name: Option<String>,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) priority: i32,
    pub(super) needs: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) acceptance: String,
}

/// Where in a file something is; lines and rows count from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    #[default]
    File,
    Line(usize),
    Row(usize),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing that is to be said about a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Remark {
    pub(super) at: At,
    pub(super) text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

/// All that a file has.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) drafts: Vec<Draft>,
    /// What is no work to be done.
    pub(super) skipped: Vec<Remark>,
    /// What was read with a grain of salt.
    pub(super) notes: Vec<Remark>,
    /// What has to be mended first.
    pub(super) faults: Vec<Remark>,
}

impl Found {
    pub(super) fn skip(&mut self, at: At, text: impl Into<String>) {
        self.skipped.push(Remark { at, text: text.into() });
    }

    pub(super) fn note(&mut self, at: At, text: impl Into<String>) {
        self.notes.push(Remark { at, text: text.into() });
    }

    pub(super) fn fault(&mut self, at: At, text: impl Into<String>) {
        self.faults.push(Remark { at, text: text.into() });
    }
}

/// The text of a file with `\n` at its line ends, whatever program wrote it.
pub(super) fn decode(bytes: &[u8], found: &mut Found) -> Option<String> {
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => {
            found.note(At::File, "a byte-order mark is left out");
            utf8(rest, found)?
        }
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes, found)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes, found)?,
        // Text that begins with ASCII, as all that is read here does.
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes, found)?,
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes, found)?,
        bytes => utf8(bytes, found)?,
    };
    if !text.contains('\r') {
        return Some(text);
    }
    found.note(At::File, "its lines end with a carriage return, which is left out");
    Some(text.replace("\r\n", "\n").replace('\r', "\n"))
}

fn utf8(bytes: &[u8], found: &mut Found) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            found.fault(At::Line(line), "not UTF-8: write the file as UTF-8 or UTF-16");
            None
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, found: &mut Found) -> Option<String> {
    found.note(At::File, "it is UTF-16");
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|&pair| unit(pair)).collect();
    match String::from_utf16(&units) {
        Ok(text) if rest.is_empty() => Some(text),
        _ => {
            found.fault(At::File, "its UTF-16 is cut off or broken");
            None
        }
    }
}

/// Which line of `text` a byte is in.
pub(super) fn line_of(text: &str, byte: usize) -> At {
    let before = text.as_bytes().iter().take(byte);
    At::Line(before.filter(|&&byte| byte == b'\n').count() + 1)
}
