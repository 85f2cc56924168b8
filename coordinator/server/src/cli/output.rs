//! What the program prints: results to stdout, the rest to stderr.

use std::io::Write;

/// At most so many lines are printed for one answer.
const MAX_LINES: usize = 12;

/// The two streams.
pub(crate) struct Output;

impl Output {
    /// A line of the result. A reader that has gone away ends the output, not the program.
    pub(crate) fn stdout(line: &str) -> bool {
        writeln!(std::io::stdout().lock(), "{line}").is_ok()
    }

    /// A line beside the result.
    pub(crate) fn stderr(line: &str) {
        // Nobody is left to tell when stderr is gone.
        drop(writeln!(std::io::stderr().lock(), "{line}"));
    }

    /// Lines of the result, as many as one answer has room for.
    pub(crate) fn lines(lines: &[String]) {
        let shown = if lines.len() > MAX_LINES { MAX_LINES - 1 } else { lines.len() };
        for line in &lines[..shown] {
            Self::stdout(line);
        }
        if shown < lines.len() {
            let more = lines.len() - shown;
            Self::stdout(&format!("more     {more} more lines: --json shows all"));
        }
    }

    /// Why `verb` did not do what it was asked, as the document that `--json` asks for.
    pub(crate) fn refusal(verb: &str, code: &str, data: &serde_json::Value) -> bool {
        // The one document that has changed since its first version.
        let version = if verb == "status" { 2 } else { 1 };
        let document = serde_json::json!({
            "schema": format!("molt.{verb}/{version}"), "ok": false, "code": code, "data": data,
            "next": [], "warn": [], "rev": 0,
        });
        Self::stdout(&document.to_string())
    }

    /// The envelope of every JSON answer.
    pub(crate) fn json(schema: &str, code: &str, rev: u64, data: &impl serde::Serialize) -> bool {
        let document = serde_json::json!({
            "schema": schema, "ok": true, "code": code, "data": data,
            "next": [], "warn": [], "rev": rev,
        });
        Self::stdout(&document.to_string())
    }
}
