//! Lines of text in fixed order.

use std::fmt::Display;
use std::time::Duration;

/// At most so many lines are printed for one answer.
pub const MAX_LINES: usize = 12;

/// How wide the first word of a line is.
const LABEL: usize = 9;

/// A line: its word, then its fields.
pub fn row<T: Display>(label: &str, fields: impl IntoIterator<Item = T>) -> String {
    let fields: Vec<String> = fields
        .into_iter()
        .map(|field| plain(&field.to_string()))
        .filter(|field| !field.is_empty())
        .collect();
    let gap = if label.len() < LABEL { LABEL - label.len() } else { 2 };
    let line = format!("{label}{}{}", " ".repeat(gap), fields.join("  "));
    line.trim_end().to_owned()
}

/// Text from elsewhere on one line: what could move the cursor or forge a line
/// becomes a space.
#[must_use]
pub fn plain(text: &str) -> String {
    let safe = |c: char| if c.is_control() || is_format(c) { ' ' } else { c };
    text.trim_end().chars().map(safe).collect()
}

/// Characters that reorder or hide the text around them.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Names with a space between them.
pub fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(" ")
}

/// `1 path`, `2 paths`.
#[must_use]
pub fn plural(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// The beginning of a commit id.
#[must_use]
pub fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A span in its two largest units.
#[must_use]
pub fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let whole = match seconds {
        0..3600 => seconds,
        3600..86_400 => seconds / 60 * 60,
        _ => seconds / 3600 * 3600,
    };
    humantime::format_duration(Duration::from_secs(whole)).to_string().replace(' ', "")
}

/// How long ago something was.
#[must_use]
pub fn ago(milliseconds: u64) -> String {
    format!("{} ago", span(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_columns() {
        assert_eq!(row("granted", ["runtime", "clm_0001"]), "granted  runtime  clm_0001");
        assert_eq!(row("announced", ["x"]), "announced  x");
        assert_eq!(row("fleet", ["", "x", ""]), "fleet    x", "an empty field leaves no hole");
        assert_eq!(row("empty", [""; 0]), "empty");
    }

    #[test]
    fn text_from_elsewhere_cannot_forge_a_line() {
        let forged = "fix it\nlanded   car_0001\u{1b}[2J\u{202e}";
        assert_eq!(row("task", [forged]), "task     fix it landed   car_0001 [2J");
    }

    #[test]
    fn spans_are_short() {
        let table = [
            (0, "0s"),
            (3_400, "3s"),
            (61_000, "1m1s"),
            (3_725_000, "1h2m"),
            (90_061_000, "1day1h"),
        ];
        for (milliseconds, text) in table {
            assert_eq!(span(milliseconds), text);
        }
        assert_eq!(ago(3_000), "3s ago");
    }

    #[test]
    fn counts_have_their_form() {
        assert_eq!(plural(1, "path"), "1 path");
        assert_eq!(plural(0, "path"), "0 paths");
    }
}
