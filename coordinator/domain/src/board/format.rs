//! The format of the stored records: it rises by an operator's word, and never by itself.
//!
//! A fleet that is upgraded machine by machine goes on in the old format until
//! every program is new; then an operator raises it, and no older program leads
//! any more. Not here: how the store keeps it and whom it admits.

use serde::{Deserialize, Serialize};

use crate::board::{Board, Caller, Command, Draft, Event, Refusal, Reply};
use crate::claim;
use crate::fault::fault;

/// How records are written, and how old a program may be that still handles them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The version that records are written in.
    pub written: u32,
    /// The oldest program that reads them rightly.
    pub min_reader: u32,
    /// The oldest program that may lead.
    pub min_writer: u32,
}

/// Where the format of a fleet stands. Told by whoever opened the store; not stored here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// That of the store.
    pub stored: Format,
    /// That which the program of this leader writes.
    pub program: Format,
}

impl Format {
    /// What these rules write at most: every event is of this format or of an earlier one.
    pub const NEWEST: Self = Self { written: 3, min_reader: 3, min_writer: 3 };
}

/// A store that this program made.
impl Default for Formats {
    fn default() -> Self {
        Self { stored: Format::NEWEST, program: Format::NEWEST }
    }
}

impl Board {
    /// Where the format of the fleet stands.
    #[must_use]
    pub fn formats(&self) -> Formats {
        self.formats
    }

    /// Whether the store has words for pull requests.
    #[must_use]
    pub fn knows_pulls(&self) -> bool {
        self.formats.stored.written >= 3
    }

    /// Takes note of where the format stands.
    pub fn set_formats(&mut self, formats: Formats) {
        self.formats = formats;
    }
}

/// Refuses what the stored format has no words for: an older program may lead next, and would
/// neither read the audit nor keep to what was decided.
pub(super) fn check(draft: &Draft<'_>, command: &Command) -> Result<(), Box<Refusal>> {
    let stored = draft.board().formats().stored.written;
    let needed = draft.events().iter().map(Event::format).max().unwrap_or(stored);
    if needed <= stored || fault!(FormatIgnored) {
        return Ok(());
    }
    Err(Refusal::FormatTooLow { what: command.word().to_owned(), needed, stored }.into())
}

/// Raises the store's format to that of this program, if it is lower.
pub(super) fn raise(
    draft: &mut Draft<'_>,
    caller: &Caller,
    reason: &str,
) -> Result<Reply, Box<Refusal>> {
    claim::operator(caller, reason)?;
    let Formats { stored, program } = draft.board().formats();
    if program.written > stored.written {
        let reason = reason.to_owned();
        draft.record(Event::FormatRaised { from: stored.written, format: program, reason });
    }
    Ok(Reply::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Now, Request};
    use crate::id::BoardTime;
    use crate::policy::Spans;

    fn ask(board: &Board, caller: Caller) -> Result<Vec<Event>, Box<Refusal>> {
        let command = Command::RaiseFormat { reason: "all are new".to_owned() };
        let request = Request { caller, ..Request::own(command) };
        let now = Now { board: BoardTime(1), wall: 0 };
        board.decide(&request, now).map(|decision| decision.events)
    }

    #[test]
    fn it_rises_to_the_programs_own_and_no_further() {
        let mut board = Board::new(Spans::default());
        let person = || Caller::Operator("pat".to_owned());
        assert_eq!(ask(&board, person()), Ok(Vec::new()), "it stands there already");
        let (own, first) = (Format::NEWEST, Format { written: 1, min_reader: 1, min_writer: 1 });
        board.set_formats(Formats { stored: first, program: own });
        let reason = "all are new".to_owned();
        let raised = Event::FormatRaised { from: 1, format: own, reason };
        assert_eq!(ask(&board, person()), Ok(vec![raised]));
        assert_eq!(ask(&board, Caller::Nobody).unwrap_err().reason(), "FORBIDDEN");
        board.set_formats(Formats { stored: own, program: first });
        assert_eq!(ask(&board, person()), Ok(Vec::new()), "it never falls");
    }
}
