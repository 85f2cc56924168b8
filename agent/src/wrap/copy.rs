//! A run's output on the wrapper's own streams, as the command wrote it.
//!
//! Lines longer than the log's limit arrive as several. Not here: colour,
//! columns and the log's own format, which are for people who read later.

use std::io::{self, Write};

use crate::run::{LogLine, Stream};

/// Copies one line. A reader that went away does not end the run: its exit code
/// still matters to whoever asked.
pub(super) fn line(line: &LogLine) {
    let copied = match line.stream {
        Stream::Stdout => write(&mut io::stdout().lock(), &line.text),
        Stream::Stderr => write(&mut io::stderr().lock(), &line.text),
        Stream::Supervisor => write(&mut io::stderr().lock(), &format!("molt: {}", line.text)),
    };
    // Whether the copy arrived changes nothing: the log has it all.
    drop(copied);
}

/// Prints one line as the log has it.
pub(super) fn whole(line: &LogLine) {
    let LogLine { at, phase, stream, text } = line;
    // A reader that went away wants no more of it.
    drop(write(&mut io::stdout().lock(), &format!("{at} {phase} {stream} {text}")));
}

fn write(stream: &mut impl Write, text: &str) -> io::Result<()> {
    stream.write_all(format!("{text}\n").as_bytes())?;
    stream.flush()
}
