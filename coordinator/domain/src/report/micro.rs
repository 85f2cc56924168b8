//! The micro-report: one line, for whoever follows many.
//!
//! `- [<HH:MM>] <status> — <one-line update>. Output: <path>. Next: <one-line next step>. Resume:
//! <command>.` is the form that operations guides of agent fleets ask for, every 10 to 20 minutes.

use crate::board::Invalid;

/// The longest part of a line, in bytes.
pub const MAX_PART: usize = 240;

/// A micro-report whose parts are each one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Micro {
    status: String,
    update: String,
    output: String,
    next: String,
    resume: String,
}

impl Micro {
    /// One of these parts: status, update, output, next step and the command that resumes.
    ///
    /// # Errors
    ///
    /// A part that is empty, too long or more than one line.
    pub fn new([status, update, output, next, resume]: [&str; 5]) -> Result<Self, Invalid> {
        Ok(Self {
            status: part("status", status)?,
            update: part("line", sentence(update))?,
            output: part("output", output)?,
            next: part("next", sentence(next))?,
            resume: part("resume", resume)?,
        })
    }

    /// The line, at a wall time in milliseconds since 1970; its clock shows UTC.
    #[must_use]
    pub fn line(&self, wall: u64) -> String {
        let minutes = wall / 60_000;
        let (hour, minute) = (minutes / 60 % 24, minutes % 60);
        let Self { status, update, output, next, resume } = self;
        format!(
            "- [{hour:02}:{minute:02}] {status} — {update}. Output: {output}. Next: {next}. Resume: {resume}."
        )
    }
}

/// A sentence without its full stop, which the line has itself; paths and commands keep theirs.
fn sentence(text: &str) -> &str {
    let text = text.trim();
    text.strip_suffix('.').filter(|rest| !rest.ends_with('.')).unwrap_or(text)
}

fn part(field: &str, text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    let problem = match text {
        "" => "empty".to_owned(),
        text if text.len() > MAX_PART => {
            format!("{} bytes, the limit is {MAX_PART}", text.len())
        }
        text if text.contains(char::is_control) => "more than one line".to_owned(),
        text => return Ok(text.to_owned()),
    };
    Err(Invalid::field(field, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [&str; 5] =
        ["running", "the collector builds.", "logs/compiler/gc.log", "run its tests", "make test"];

    #[test]
    fn the_line_is_that_of_the_guide() {
        let micro = Micro::new(PARTS).unwrap();
        let noon = (12 * 60 + 7) * 60_000;
        assert_eq!(
            micro.line(86_400_000 * 20_000 + noon),
            "- [12:07] running — the collector builds. Output: logs/compiler/gc.log. \
             Next: run its tests. Resume: make test."
        );
    }

    #[test]
    fn a_full_stop_is_not_doubled_and_no_command_is_changed() {
        let micro = Micro::new(["running", "it builds...", ".", "test.", "cargo run ."]).unwrap();
        let said = "- [00:00] running — it builds.... Output: .. Next: test. Resume: cargo run ..";
        assert_eq!(micro.line(0), said);
    }

    #[test]
    fn each_part_is_one_line() {
        let fields = ["status", "line", "output", "next", "resume"];
        for (at, field) in fields.into_iter().enumerate() {
            for (wrong, problem) in [
                ("  ", "empty"),
                ("a\nb", "more than one line"),
                (&*"x".repeat(MAX_PART + 1), "241 bytes, the limit is 240"),
            ] {
                let mut parts = PARTS;
                parts[at] = wrong;
                let said = Micro::new(parts).unwrap_err().to_string();
                assert_eq!(said, format!("{field}: {problem}"));
            }
        }
    }
}
