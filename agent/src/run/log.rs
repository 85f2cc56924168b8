//! The log of a run: lines `<RFC 3339> <phase> <stream> text`, in order of
//! arrival, each written out when it is complete.
//!
//! Not here: reading the pipes (the supervisor) and following a log (`client`).

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::spec::Phase;
use crate::clock;

/// A longer line is cut into several, so that memory stays bounded.
pub const LONGEST_LINE: usize = 16 * 1024;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The run, to its standard output.
    Stdout,
    /// The run, to its standard error.
    Stderr,
    /// The supervisor, about the run.
    Supervisor,
}

impl Stream {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Supervisor => "supervisor",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of a log, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was complete, RFC 3339.
    pub at: String,
    /// What the run was doing.
    pub phase: Phase,
    /// Who wrote it.
    pub stream: Stream,
    /// The line itself, without its end.
    pub text: String,
}

impl LogLine {
    /// Takes apart a line as a log has it; `None` for a line that no log has.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(4, ' ');
        let at = parts.next()?.to_owned();
        let phase = parts.next()?.parse().ok()?;
        let stream = match parts.next()? {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            "supervisor" => Stream::Supervisor,
            _ => return None,
        };
        Some(Self { at, phase, stream, text: parts.next()?.to_owned() })
    }
}

/// A log that is being written.
#[derive(Debug)]
pub struct Log {
    file: File,
    phase: Phase,
    bytes: u64,
    lines: u64,
}

impl Log {
    /// Makes the log `path` and the folders above it. A file that exists is an
    /// error: logs are never overwritten.
    pub fn create(path: &Path, phase: Phase) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o644).open(path)?;
        Ok(Self { file, phase, bytes: 0, lines: 0 })
    }

    /// Writes one line and hands it to the system at once.
    pub fn write(&mut self, stream: Stream, text: &[u8]) -> io::Result<()> {
        let at = clock::rfc3339_millis(clock::wall());
        let text = String::from_utf8_lossy(text);
        let line = format!("{at} {} {stream} {text}\n", self.phase);
        self.file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        self.lines += 1;
        Ok(())
    }

    /// Makes what was written survive a crash of the machine.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// How long it is, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many lines it has.
    pub fn lines(&self) -> u64 {
        self.lines
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and gives each line that they complete to `emit`.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        mut emit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if let Some(line) = self.partial.strip_suffix(b"\n") {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let mut rest = line;
                while rest.len() > LONGEST_LINE {
                    let (head, tail) = rest.split_at(cut(rest));
                    emit(head)?;
                    rest = tail;
                }
                emit(rest)?;
                self.partial.clear();
            }
            while self.partial.len() > LONGEST_LINE {
                let at = cut(&self.partial);
                emit(&self.partial[..at])?;
                self.partial.drain(..at);
            }
        }
        Ok(())
    }

    /// Gives the last line to `emit` if the stream ended within one.
    pub fn finish<E>(&mut self, emit: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match std::mem::take(&mut self.partial) {
            partial if partial.is_empty() => Ok(()),
            partial => emit(&partial),
        }
    }
}

/// Where to cut a line that is too long: not within a character.
fn cut(line: &[u8]) -> usize {
    let continues = |at: &usize| line[*at] & 0b1100_0000 != 0b1000_0000;
    (LONGEST_LINE - 3..=LONGEST_LINE).rev().find(continues).unwrap_or(LONGEST_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn cut_up(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            let done: Result<(), Infallible> = lines.push(chunk, |line| {
                seen.push(line.to_vec());
                Ok(())
            });
            done.unwrap();
        }
        let done: Result<(), Infallible> = lines.finish(|line| {
            seen.push(line.to_vec());
            Ok(())
        });
        done.unwrap();
        seen
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive() {
        let whole = b"one\r\n\ntwo \xff\nthree";
        let expected: Vec<&[u8]> = vec![b"one", b"", b"two \xff", b"three"];
        assert_eq!(cut_up(&[whole]), expected);
        let single: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(cut_up(&single), expected);
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_loses_nothing() {
        let long = "é".repeat(LONGEST_LINE);
        let line = format!("x{long}\n");
        for chunk in [line.len(), 1000, 7] {
            let pieces = cut_up(&line.as_bytes().chunks(chunk).collect::<Vec<_>>());
            assert!(pieces.len() >= 2, "{} pieces", pieces.len());
            assert!(pieces.iter().all(|piece| piece.len() <= LONGEST_LINE));
            assert!(pieces.iter().all(|piece| std::str::from_utf8(piece).is_ok()));
            assert_eq!(pieces.concat(), line.trim_end().as_bytes());
        }
    }

    #[test]
    fn a_line_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/run.log");
        let mut log = Log::create(&path, "test".parse().unwrap()).unwrap();
        log.write(Stream::Stderr, b"two  words \xff").unwrap();
        log.write(Stream::Stdout, b"").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(log.bytes(), text.len() as u64);
        let lines: Vec<_> = text.lines().map(|line| LogLine::parse(line).unwrap()).collect();
        assert_eq!(lines.len() as u64, log.lines());
        assert_eq!(
            (lines[0].stream, lines[0].text.as_str()),
            (Stream::Stderr, "two  words \u{fffd}")
        );
        assert_eq!((lines[1].stream, lines[1].text.as_str()), (Stream::Stdout, ""));
        assert!(humantime::parse_rfc3339(&lines[0].at).is_ok(), "{}", lines[0].at);
        assert_eq!(LogLine::parse("no log has this"), None);
    }

    #[test]
    fn a_log_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        std::fs::write(&path, "kept").unwrap();
        let refused = Log::create(&path, "test".parse().unwrap()).expect_err("it exists");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
    }
}
