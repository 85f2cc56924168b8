//! What the program prints: results to stdout, the rest to stderr.

use std::io::Write;

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

    /// The envelope of every JSON answer.
    pub(crate) fn json(schema: &str, code: &str, rev: u64, data: &impl serde::Serialize) -> bool {
        let document = serde_json::json!({
            "schema": schema, "ok": true, "code": code, "data": data,
            "next": [], "warn": [], "rev": rev,
        });
        Self::stdout(&document.to_string())
    }
}
