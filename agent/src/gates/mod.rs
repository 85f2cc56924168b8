//! What a gate's run found: from an exit record, a log and a report to a finding.
//!
//! The reader distrusts the tool. How the run ended comes first: nothing that a
//! killed run printed can make it a pass. Then what the tool says must agree
//! with itself, with the exit code and with the number of results that the gate
//! must have. Not here: running the gate (the daemon does), and what a finding
//! means for a change, which the coordinator decides.

mod junit;
mod log;
mod tally;
mod tap;

use std::path::Path;

use molt_domain::gate::{Class, MAX_RED, Reader};
use molt_proto::v1;

use self::log::LogReader;
use self::tally::{Reading, Tally, clip};
use crate::run::{self, ExitRecord, FileError, RunFolder, Status};

/// The longest note, in bytes.
const LONGEST_NOTE: usize = 500;

/// How many bytes all red names of a finding may have together; it must fit a record.
const RED_BYTES: usize = 12 * 1024;

/// How many bytes all places of a finding may have together, for the same reason.
const PLACES_BYTES: usize = 6 * 1024;

/// How many bytes the command line of a finding may have.
const ARGV_BYTES: usize = 4000;

/// A run of a gate that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The gate's name: the one item of a gate that is read by its exit code.
    pub gate: &'a str,
    /// How its outcome is read.
    pub reader: &'a Reader,
    /// Fewer results than this prove nothing.
    pub minimum: u32,
    /// Where it ran; reports are below it.
    pub checkout: &'a Path,
    /// The run's folder: what is older than it was not written by the run.
    pub folder: &'a RunFolder,
    /// How it ended.
    pub record: &'a ExitRecord,
}

/// What the run found. Commit and tree are left empty: whoever looks at the
/// checkout after the run fills them in.
pub fn find(ended: &Ended<'_>) -> Result<v1::Finding, FileError> {
    let record = ended.record;
    let mut tap = tap::Parser::default();
    let log = log::read(
        &record.log,
        match ended.reader {
            Reader::Tap => LogReader::Stdout(&mut tap),
            Reader::Exit | Reader::Junit(_) => LogReader::Nobody,
        },
    )?;
    let outcome = match ended_badly(record) {
        Some(outcome) => outcome,
        None => {
            let reading = match ended.reader {
                Reader::Exit => by_exit(ended.gate, record),
                Reader::Tap => tap.finish(),
                Reader::Junit(path) => junit::read(ended.checkout, path, ended.folder)?,
            };
            judge(record, reading, ended.minimum)
        }
    };
    let note = match outcome.class {
        Class::Passed => outcome.reason,
        _ => [outcome.reason, log.hint].into_iter().filter(|part| !part.is_empty()).fold(
            String::new(),
            |note, part| if note.is_empty() { part } else { format!("{note}; {part}") },
        ),
    };
    let red = outcome.tally.named(MAX_RED, RED_BYTES);
    let places = outcome.tally.places(&red, ended.checkout, PLACES_BYTES);
    Ok(v1::Finding {
        class: outcome.class.to_string(),
        green: outcome.tally.green(),
        red,
        red_count: outcome.tally.red(),
        places,
        exit: match record.status {
            Status::Exited(code) => Some(i32::from(code)),
            Status::Signaled(_) | Status::NotStarted(_) | Status::Unknown => None,
        },
        note: one_line(&note),
        log: log.digest,
        argv: fitting(record.argv.as_slice()),
        commit: String::new(),
        tree: String::new(),
        duration_ms: record.duration_ms,
        peak: record.peak_memory.unwrap_or(0),
    })
}

/// What a host says of a run that it could not start or not read: nobody judged
/// the tree.
pub fn not_run(argv: &[String], reason: &str) -> v1::Finding {
    v1::Finding {
        class: Class::Infra.to_string(),
        note: one_line(reason),
        argv: fitting(argv),
        ..v1::Finding::default()
    }
}

/// How a run ended, with what it showed until then.
#[derive(Debug)]
struct Outcome {
    class: Class,
    tally: Tally,
    /// For people, as a lowercase fragment; empty when there is nothing to say.
    reason: String,
}

impl Outcome {
    fn without_items(class: Class, reason: String) -> Self {
        Self { class, tally: Tally::default(), reason }
    }
}

/// What hangup, interrupt, kill and terminate look like through a shell.
const KILLED_BELOW_THE_SHELL: [u8; 4] = [129, 130, 137, 143];

/// What the end of a run means, with nothing but its exit code to tell.
pub fn class_of(record: &ExitRecord) -> Class {
    match ended_badly(record) {
        Some(outcome) => outcome.class,
        None if record.status == Status::Exited(0) => Class::Passed,
        None => Class::Failed,
    }
}

/// The outcome of a run that did not come to an end of its own: its output is
/// cut off somewhere, so it proves neither a pass nor a failure.
fn ended_badly(record: &ExitRecord) -> Option<Outcome> {
    let by = record.by.clone().unwrap_or_default();
    let class = match record.class {
        run::Class::Oom => Class::Oom,
        run::Class::Timeout => Class::Timeout,
        run::Class::Killed | run::Class::Deadline => Class::Killed,
        run::Class::Infra => Class::Infra,
        run::Class::Passed | run::Class::Failed => {
            return match record.status {
                Status::Exited(code) if KILLED_BELOW_THE_SHELL.contains(&code) => {
                    let reason = format!("exit code {code}: signal {} below the shell", code - 128);
                    Some(Outcome::without_items(Class::Killed, reason))
                }
                _ if !record.group_gone => {
                    let reason = "processes of the run were not seen gone".to_owned();
                    Some(Outcome::without_items(Class::Infra, reason))
                }
                _ => None,
            };
        }
    };
    Some(Outcome::without_items(class, by))
}

/// The one item of a gate that is read by its exit code.
fn by_exit(gate: &str, record: &ExitRecord) -> Reading {
    let mut tally = Tally::default();
    match record.status {
        Status::Exited(0) => tally.pass(),
        _ => tally.fail(gate),
    }
    Reading::Items(tally)
}

/// Compares what the tool said with how it ended and with what the gate needs.
fn judge(record: &ExitRecord, reading: Reading, minimum: u32) -> Outcome {
    let ended = match record.status {
        Status::Exited(code) => format!("exit code {code}"),
        Status::Signaled(signal) => format!("signal {signal}"),
        Status::NotStarted(_) | Status::Unknown => "no exit code".to_owned(),
    };
    let well = record.status == Status::Exited(0) && record.class == run::Class::Passed;
    let tally = match reading {
        Reading::Items(tally) => tally,
        Reading::Nothing(reason) => {
            return Outcome::without_items(Class::Vacuous, format!("{reason}, {ended}"));
        }
        Reading::Unreadable(reason) => {
            return Outcome::without_items(Class::Infra, format!("{reason}, {ended}"));
        }
    };
    let results = tally.green().saturating_add(tally.red());
    let needed = minimum.max(1);
    let (class, reason) = match tally.red() {
        red if red > 0 && well => (Class::Infra, format!("{red} red items and {ended}")),
        0 if !well => (Class::Vacuous, format!("no red item and {ended}")),
        _ if results < needed => {
            (Class::Vacuous, format!("{results} of at least {needed} results"))
        }
        0 => (Class::Passed, String::new()),
        _ => (Class::Failed, String::new()),
    };
    Outcome { class, tally, reason }
}

/// Text of a tool as one line of bounded length.
fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clip(text.trim(), LONGEST_NOTE).to_owned()
}

/// A command line cut to what a record holds.
fn fitting(argv: &[String]) -> Vec<String> {
    let mut room = ARGV_BYTES;
    let mut kept = Vec::new();
    for argument in argv {
        let argument = clip(argument, room);
        room -= argument.len();
        kept.push(argument.to_owned());
        if room == 0 {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests;
