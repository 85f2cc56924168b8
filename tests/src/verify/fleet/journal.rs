//! What holders and the makers of faults write down: a line of JSON each, appended as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The ending of a journal's name.
pub const ENDING: &str = "journal";

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Nanoseconds of the machine's clock that counts suspension.
    pub at: u64,
    /// What was seen then.
    #[serde(flatten)]
    pub sign: Sign,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sign", rename_all = "snake_case")]
pub enum Sign {
    /// A holder lives. Its first such line is its beginning; its last one, or its end, is the
    /// last moment at which it certainly lived.
    Lives(Holding),
    /// A holder has come to its own end.
    Ends(Holding),
    /// A definite answer was heard: what it says must be there for ever.
    Acknowledged {
        /// `claim`, `release`, `lock`, `slot`, `build`, `submit`, `landing`; of tasks `add`,
        /// `task`, `done`.
        kind: String,
        /// Claim, task, car or fingerprint; of a lock, slot or build its holder's `by`.
        id: String,
        /// The grant's number, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fence: Option<String>,
    },
    /// A fault begins.
    Fault {
        /// Which.
        name: String,
    },
    /// A fault was seen to have an effect.
    Effect {
        /// Of which fault.
        name: String,
    },
    /// A fault is over; from here on, things must go on soon.
    Healed {
        /// Which.
        name: String,
    },
    /// All load was told to end: no progress is owed after this.
    Over,
}

/// Who holds what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Holding {
    /// `lock`, `slot`, `build` or `claim`.
    pub kind: String,
    /// What nobody else may have: a scope, a lock, a slot's folder, a fingerprint.
    pub what: String,
    /// A name of this one use of it: a run, which is named after its hold, or a claim.
    pub by: String,
    /// The grant's number.
    pub fence: String,
}

/// What is written with: several may write to one file.
#[derive(Debug)]
pub struct Pen(File);

impl Pen {
    /// Goes on with the journal at `path`, which may have to be made.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::options().create(true).append(true).open(path).map(Self)
    }

    /// Writes a line with the present time.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, sign: Sign) -> io::Result<()> {
        let line = Line { at: now()?, sign };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        // One write for one line: lines of several writers are not mixed up.
        (&self.0).write_all(&text)
    }
}

/// Nanoseconds of the clock that all processes of one machine share and that counts suspension.
///
/// # Errors
///
/// A clock that is not there.
pub fn now() -> io::Result<u64> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::CLOCK_BOOTTIME;
    // Counts suspension there.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::CLOCK_MONOTONIC;
    let time = std::time::Duration::from(clock_gettime(clock)?);
    u64::try_from(time.as_nanos()).map_err(io::Error::other)
}

/// All journals of a run, by time.
#[derive(Debug, Default)]
pub struct Journal {
    /// The lines of all of them.
    pub lines: Vec<Line>,
}

impl Journal {
    /// Reads every journal in a folder.
    ///
    /// # Errors
    ///
    /// A folder or a file that cannot be read, or a line that is none. A last line without its
    /// end is left out: its writer was killed while it wrote.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut lines = Vec::new();
        let listed = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        for entry in listed {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != ENDING) {
                continue;
            }
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for (number, line) in whole.lines().enumerate() {
                let line = serde_json::from_str(line)
                    .with_context(|| format!("{}:{}: {line}", path.display(), number + 1))?;
                lines.push(line);
            }
        }
        lines.sort_by_key(|line: &Line| line.at);
        Ok(Self { lines })
    }

    /// How many faults had an effect.
    pub(super) fn effective_faults(&self) -> u64 {
        let effects = self.lines.iter().filter(|line| matches!(line.sign, Sign::Effect { .. }));
        u64::try_from(effects.count()).unwrap_or(u64::MAX)
    }
}
