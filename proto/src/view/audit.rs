//! Audit entries, as they are watched and exported.

use molt_domain::audit::Entry;

use crate::v1;

/// An entry as the JSON that is kept and chained, and in one line for people.
#[must_use]
pub fn entry(entry: &Entry) -> v1::Entry {
    let json = match serde_json::to_string(entry) {
        Ok(json) => json,
        Err(error) => unreachable!("entries have string keys and finite numbers: {error}"),
    };
    v1::Entry { seq: entry.seq, json, line: entry.event.line() }
}
