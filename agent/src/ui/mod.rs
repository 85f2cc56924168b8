//! What people, scripts and models see: stdout is the result, stderr the rest.
//!
//! A verb gives an [`Answer`]; this room alone prints it, as at most
//! [`MAX_LINES`] lines of text, unless the verb says otherwise, or as one JSON
//! document. Not here: which words a
//! verb chooses.

mod answer;
mod brief;
mod text;

use std::io::{self, Write};

pub use answer::Answer;
pub use brief::{Brief, Share, cut, several};
pub use text::{MAX_LINES, ago, list, plain, plural, row, short, span};

use crate::error::Exit;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Short text in fixed order.
    Text,
    /// One JSON document per call.
    Json,
}

/// Whether what was printed can have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Somebody has it.
    There,
    /// Whoever read went away.
    Gone,
}

/// Prints an answer. A reader that went away is no error.
pub fn print(answer: &Answer, format: Format) -> io::Result<Reader> {
    let printed = match format {
        Format::Json => writeln!(io::stdout().lock(), "{}", answer.json()),
        Format::Text => print_text(answer),
    };
    match printed.and_then(|()| io::stdout().lock().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        printed => printed.map(|()| Reader::There),
    }
}

fn print_text(answer: &Answer) -> io::Result<()> {
    for warning in answer.warnings() {
        warn(warning);
    }
    let text = answer.text();
    match answer.exit().is_an_answer() {
        true => io::stdout().lock().write_all(text.as_bytes()),
        false => io::stderr().lock().write_all(text.as_bytes()),
    }
}

/// Prints help or a version, whole.
pub fn print_help(text: &str) -> Exit {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Bug,
        _ => Exit::Ok,
    }
}

/// Says something beside the result, at once.
pub fn note(text: &str) {
    say(text);
}

/// Warns about something beside the result, at once.
pub fn warn(text: &str) {
    say(&row("warning", [text]));
}

fn say(text: &str) {
    // Nobody is left to be told that stderr cannot be written to.
    let _unheard = writeln!(io::stderr().lock(), "{text}");
}
