//! One pass over a run's log: its digest, its first error, its standard output.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::tap;
use crate::run::{FileError, LogLine, Stream};

/// Who gets the lines of standard output.
pub(super) enum LogReader<'a> {
    /// Nobody: the outcome is read elsewhere.
    Nobody,
    /// This parser.
    Stdout(&'a mut tap::Parser),
}

/// What a log says of its run.
pub(super) struct Log {
    /// blake3 of the file, hex.
    pub(super) digest: String,
    /// The first line that looks like an error, else the last one; may be empty.
    pub(super) hint: String,
}

/// Reads the log `path`; a run that could not begin has an empty one.
pub(super) fn read(path: &Path, mut reader: LogReader<'_>) -> Result<Log, FileError> {
    let mut hasher = blake3::Hasher::new();
    let mut hints = Hints::default();
    let mut each = |bytes: &[u8]| {
        hasher.update(bytes);
        let text = String::from_utf8_lossy(bytes);
        let Some(line) = LogLine::parse(text.trim_end_matches('\n')) else { return };
        if let (Stream::Stdout, LogReader::Stdout(parser)) = (line.stream, &mut reader) {
            parser.line(&line.text);
        }
        hints.see(&line);
    };
    match lines(path, &mut each) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        done => done.map_err(FileError::when("read", path))?,
    }
    Ok(Log { digest: hasher.finalize().to_hex().to_string(), hint: hints.best() })
}

fn lines(path: &Path, each: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    while file.read_until(b'\n', &mut bytes)? > 0 {
        each(&bytes);
        bytes.clear();
    }
    Ok(())
}

#[derive(Default)]
struct Hints {
    error: Option<String>,
    last_stderr: Option<String>,
    last_stdout: Option<String>,
}

impl Hints {
    fn see(&mut self, line: &LogLine) {
        let text = line.text.trim();
        if text.is_empty() || line.stream == Stream::Supervisor {
            return;
        }
        if self.error.is_none() && is_error(text) {
            self.error = Some(text.to_owned());
        }
        match line.stream {
            Stream::Stderr => self.last_stderr = Some(text.to_owned()),
            _ => self.last_stdout = Some(text.to_owned()),
        }
    }

    fn best(self) -> String {
        self.error.or(self.last_stderr).or(self.last_stdout).unwrap_or_default()
    }
}

/// Whether a line reads like the first word of a failure, in the tools that we know.
fn is_error(text: &str) -> bool {
    const BEGINNINGS: [&str; 8] =
        ["error", "ERROR", "fatal", "FAILED", "FAIL ", "not ok ", "Traceback ", "E   "];
    const WITHIN: [&str; 6] = [
        "error:",
        "Error:",
        "panicked at",
        "undefined reference",
        "not found",
        "Segmentation fault",
    ];
    BEGINNINGS.iter().any(|word| text.starts_with(word))
        || WITHIN.iter().any(|word| text.contains(word))
}
