//! Commands in comments: `@molt land` and the like, and who may give them.
//!
//! The grammar is small. A command is a line of its own that begins in the first column:
//!
//! ```text
//! @molt land [head=ID]
//! @molt cancel
//! @molt retry GATE [head=ID]
//! @molt approve GATE|head [head=ID] REASON
//! @molt priority N
//! @molt why
//! ```
//!
//! Only what its writer wrote counts, and only what any reader sees (B22): a comment that was
//! edited may be somebody else's, and one of a program may repeat anything. A comment is
//! understood as a whole or not at all. Not here: which head a command is about
//! ([`super::bind`]), and what carries it out.

mod visible;

use std::fmt;
use std::str::FromStr;

use self::visible::{Line, Sight};
use super::{CommitId, Right, UserId, is_hidden, reorders};
use crate::name::GateName;
use crate::scope::nearest;

/// The longest comment that the forge takes, in characters (B15).
pub const MAX_COMMENT: usize = 65_536;

/// Commands in one comment.
pub const MAX_COMMANDS: usize = 4;

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 1000;

/// How far a priority goes from 0, up and down.
pub const MAX_PRIORITY: i32 = 100;

/// The word for an approval of the head itself, which therefore names no gate.
const HEAD: &str = "head";

const WORDS: [&str; 6] = ["land", "cancel", "retry", "approve", "priority", "why"];

/// The name that commands begin with, behind an `@`: letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle(String);

/// A text that no account of the forge can have for a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no handle: 1 to 39 letters, digits and hyphens")]
pub struct InvalidHandle;

impl FromStr for Handle {
    type Err = InvalidHandle;

    fn from_str(text: &str) -> Result<Self, InvalidHandle> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=39).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidHandle)
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A comment as the forge shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comment<'a> {
    /// Whose account wrote it.
    pub by: Author,
    /// Whether it is as it was written.
    pub edits: Edits,
    /// Its text.
    pub text: &'a str,
}

/// Whose account wrote a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A person's.
    Person(UserId),
    /// A bot's, an App's, or our own.
    Program,
}

/// Whether a comment is as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edits {
    /// It is.
    None,
    /// It is not; whoever may write to the repository can have edited it.
    Some,
}

/// What a comment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Put the change in the train.
    Land {
        /// The head that it names, if it does.
        head: Option<CommitId>,
    },
    /// Take it out again, whatever its head is.
    Cancel,
    /// Run a gate again, once for a head.
    Retry {
        /// The gate.
        gate: GateName,
        /// The head that it names, if it does.
        head: Option<CommitId>,
    },
    /// A person's word for something that does not pass by itself.
    Approve {
        /// What is approved.
        subject: Subject,
        /// The head that it names, if it does.
        head: Option<CommitId>,
        /// Why.
        reason: Reason,
    },
    /// Take it before others; higher is taken first.
    Priority(Priority),
    /// Say where it is and why.
    Why,
}

/// What a person approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// What is red of a gate for this head; what is red later is not covered.
    Gate(GateName),
    /// The head: that it may run although it comes from a fork, or changes protected paths.
    Head,
}

/// Why somebody approved: one line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// From -[`MAX_PRIORITY`] to [`MAX_PRIORITY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(i32);

impl Priority {
    /// The priority as a number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl Command {
    /// The right that it takes, as the forge tells it at the moment of acting.
    #[must_use]
    pub fn needs(&self) -> Right {
        match self {
            Self::Why => Right::Read,
            Self::Land { .. } | Self::Cancel | Self::Retry { .. } => Right::Write,
            Self::Priority(_) | Self::Approve { .. } => Right::Maintain,
        }
    }

    /// The word that it begins with.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Land { .. } => "land",
            Self::Cancel => "cancel",
            Self::Retry { .. } => "retry",
            Self::Approve { .. } => "approve",
            Self::Priority(_) => "priority",
            Self::Why => "why",
        }
    }

    /// Whether somebody with `right` may give it. Who opened the pull request may always cancel.
    #[must_use]
    pub fn is_allowed(&self, by: UserId, right: Right, opened_by: UserId) -> bool {
        right >= self.needs() || (matches!(self, Self::Cancel) && by == opened_by)
    }
}

/// Why nothing of a comment is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// It is longer than the forge takes.
    #[error("the comment has more than {MAX_COMMENT} characters")]
    Long,
    /// It is not as its writer wrote it.
    #[error("the comment was edited: write it as a new one")]
    Edited,
    /// It has characters that make a reader see something else.
    #[error("line {line} has characters that are hidden or reorder text: write it without them")]
    Hidden {
        /// The line of a command or of such a character.
        line: usize,
    },
    /// The paragraph before reaches into the command.
    #[error("line {line} belongs to the paragraph before: put an empty line between")]
    RunsOn {
        /// The line of the command.
        line: usize,
    },
    /// Markup before it may hide the command.
    #[error("line {line} may be hidden by markup before it: write it as a comment of its own")]
    Doubtful {
        /// The line of the command.
        line: usize,
    },
    /// There is no such command.
    #[error("line {line}: no command `{word}`{}; there are {}", near(*.nearest), WORDS.join(" "))]
    Unknown {
        /// Its line.
        line: usize,
        /// The word, which may be anything.
        word: String,
        /// What it was probably meant to be.
        nearest: Option<&'static str>,
    },
    /// Something is wrong with what a command is given.
    #[error("line {line}: {problem}")]
    Arguments {
        /// Its line.
        line: usize,
        /// What, which may quote it.
        problem: String,
    },
    /// It has more commands than anybody means.
    #[error("more than {MAX_COMMANDS} commands in one comment")]
    Many,
}

fn near(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |word| format!(", did you mean `{word}`?"))
}

/// The commands of a comment, in its order; none when nothing in it is meant for us.
///
/// # Errors
///
/// [`Misread`], when something in it is meant for us and is not certain or not sound. Then none
/// of it is to be done.
pub fn hear(handle: &Handle, comment: &Comment<'_>) -> Result<Vec<Command>, Misread> {
    if comment.by == Author::Program {
        return Ok(Vec::new());
    }
    let text = comment.text;
    // By bytes first, so that no text of any length is counted through.
    if text.len() > 4 * MAX_COMMENT || text.chars().count() > MAX_COMMENT {
        return Err(Misread::Long);
    }
    let lines = visible::lines(text).into_iter();
    let meant: Vec<(Line<'_>, &str)> =
        lines.filter_map(|line| Some((line, addressed(handle, line.text)?))).collect();
    if meant.is_empty() {
        return Ok(Vec::new());
    }
    if comment.edits == Edits::Some {
        return Err(Misread::Edited);
    }
    if let Some(line) = reordered(text) {
        return Err(Misread::Hidden { line });
    }
    if meant.len() > MAX_COMMANDS {
        return Err(Misread::Many);
    }
    meant.into_iter().map(|(line, rest)| read(line, rest)).collect()
}

/// What a line says to the handle, if it is addressed to it.
fn addressed<'a>(handle: &Handle, line: &'a str) -> Option<&'a str> {
    let name = line.strip_prefix('@')?;
    let (name, rest) = name.split_at_checked(handle.0.len())?;
    let ours = name.eq_ignore_ascii_case(&handle.0);
    (ours && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(rest)
}

/// The first line with a character that reorders what a reader sees, wherever it is.
fn reordered(text: &str) -> Option<usize> {
    let odd = |line: &str| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.contains(|c| c != '\t' && reorders(c))
    };
    text.split('\n').position(odd).map(|index| index + 1)
}

fn read(line: Line<'_>, rest: &str) -> Result<Command, Misread> {
    let number = line.number;
    match line.sight {
        Sight::Clear if rest.contains(|c| c != '\t' && is_hidden(c)) => {
            return Err(Misread::Hidden { line: number });
        }
        Sight::Clear => {}
        Sight::RunsOn => return Err(Misread::RunsOn { line: number }),
        Sight::Doubtful => return Err(Misread::Doubtful { line: number }),
    }
    let (word, rest) = next(rest);
    let mut given = Given(rest);
    let command = match word {
        "land" => given.head().map(|head| Command::Land { head }),
        "cancel" => Ok(Command::Cancel),
        "retry" => given.gate().and_then(|gate| Ok(Command::Retry { gate, head: given.head()? })),
        "approve" => given.approval(),
        "priority" => given.priority().map(Command::Priority),
        "why" => Ok(Command::Why),
        word => {
            let nearest = nearest(&word.to_ascii_lowercase(), WORDS);
            let word = word.chars().take(40).collect();
            return Err(Misread::Unknown { line: number, word, nearest });
        }
    };
    command
        .and_then(|command| given.end().map(|()| command))
        .map_err(|problem| Misread::Arguments { line: number, problem })
}

/// The first word and what is behind it.
fn next(text: &str) -> (&str, &str) {
    let text = text.trim_matches([' ', '\t']);
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}

/// What a command is given and was not read yet.
struct Given<'a>(&'a str);

impl Given<'_> {
    fn head(&mut self) -> Result<Option<CommitId>, String> {
        let (word, rest) = next(self.0);
        let Some(id) = word.strip_prefix("head=") else { return Ok(None) };
        self.0 = rest;
        id.parse().map(Some).map_err(|error| format!("head: {error}"))
    }

    fn gate(&mut self) -> Result<GateName, String> {
        let (word, rest) = next(self.0);
        self.0 = rest;
        if word == HEAD {
            return Err(format!("`{HEAD}` is no gate"));
        }
        word.parse().map_err(|_| "it takes the name of a gate".to_owned())
    }

    fn approval(&mut self) -> Result<Command, String> {
        let (word, rest) = next(self.0);
        let subject = if word == HEAD {
            self.0 = rest;
            Subject::Head
        } else {
            Subject::Gate(self.gate()?)
        };
        let head = self.head()?;
        let reason = std::mem::take(&mut self.0).trim_matches([' ', '\t']);
        if reason.len() > MAX_REASON {
            return Err(format!(
                "the reason has {} bytes, the limit is {MAX_REASON}",
                reason.len()
            ));
        }
        if !reason.contains(char::is_alphabetic) {
            return Err("it takes a reason: say why this may land as it is".to_owned());
        }
        Ok(Command::Approve { subject, head, reason: Reason(reason.to_owned()) })
    }

    fn priority(&mut self) -> Result<Priority, String> {
        let (word, rest) = next(self.0);
        self.0 = rest;
        let limits = -MAX_PRIORITY..=MAX_PRIORITY;
        let number = word.parse().ok().filter(|number| limits.contains(number));
        number
            .map(Priority)
            .ok_or_else(|| format!("it takes a number from -{MAX_PRIORITY} to {MAX_PRIORITY}"))
    }

    fn end(&self) -> Result<(), String> {
        match next(self.0) {
            ("", _) => Ok(()),
            (word, _) => {
                let word: String = word.chars().take(40).collect();
                Err(format!("nothing is known of `{word}` here: a command is a line of its own"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
