//! Text that fits a bound whatever it tells: sections, each with its share.
//!
//! What a section leaves of its share goes to the ones after it. Not here: what
//! the sections say.

use super::text::row;

/// The longest line, in bytes.
const LINE_BYTES: usize = 180;

/// How much may be said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Lines.
    pub lines: usize,
    /// Bytes, with the line feeds.
    pub bytes: usize,
}

/// A text of sections.
#[derive(Debug, Default)]
pub struct Brief {
    lines: Vec<String>,
    left: Share,
}

impl Brief {
    /// Adds a section that has `share`. What does not fit is counted on its last
    /// line, with the command that shows it.
    pub fn section(&mut self, share: Share, rows: &[String], whole: &str) {
        let mut room =
            Share { lines: self.left.lines + share.lines, bytes: self.left.bytes + share.bytes };
        let rows: Vec<String> = rows.iter().map(|row| cut(row, LINE_BYTES)).collect();
        let count = rows.iter().map(|row| cost(row)).sum::<usize>();
        if rows.len() <= room.lines && count <= room.bytes {
            room = Share { lines: room.lines - rows.len(), bytes: room.bytes - count };
            self.lines.extend(rows);
            self.left = room;
            return;
        }
        let more = |count: usize| row("more", [format!("{count} more: {whole}")]);
        let last = more(rows.len());
        room.lines = room.lines.saturating_sub(1);
        room.bytes = room.bytes.saturating_sub(cost(&last));
        let mut shown = 0;
        for row in &rows {
            if room.lines == 0 || cost(row) > room.bytes {
                break;
            }
            room = Share { lines: room.lines - 1, bytes: room.bytes - cost(row) };
            self.lines.push(row.clone());
            shown += 1;
        }
        self.lines.push(more(rows.len() - shown));
        self.left = room;
    }

    /// All lines.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

fn cost(line: &str) -> usize {
    line.len() + 1
}

/// The text in at most `bytes` bytes; one that was cut says so.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let room = bytes.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text[..end].trim_end())
}

/// As many of the names as fit `bytes` bytes, at least one, and how many more there are.
#[must_use]
pub fn several(names: &[String], bytes: usize) -> String {
    let mut text = String::new();
    for (at, name) in names.iter().enumerate() {
        if at > 0 && text.len() + 1 + name.len() > bytes {
            return format!("{text} and {} more", names.len() - at);
        }
        if at > 0 {
            text.push(' ');
        }
        text.push_str(&cut(name, bytes));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, text: &str) -> Vec<String> {
        (0..count).map(|at| format!("{at} {text}")).collect()
    }

    #[test]
    fn a_section_keeps_to_its_share_and_counts_what_is_left_out() {
        let mut brief = Brief::default();
        brief.section(Share { lines: 3, bytes: 200 }, &rows(5, "x"), "molt-agent status");
        let lines = brief.into_lines();
        assert_eq!(lines, ["0 x", "1 x", "more     3 more: molt-agent status"]);
    }

    #[test]
    fn bytes_bind_as_lines_do() {
        let mut brief = Brief::default();
        let share = Share { lines: 9, bytes: 120 };
        brief.section(share, &rows(3, &"y".repeat(50)), "w");
        let lines = brief.into_lines();
        assert!(lines.iter().map(|line| cost(line)).sum::<usize>() <= share.bytes, "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("more     2 more: w"));
    }

    #[test]
    fn what_is_left_goes_to_the_next() {
        let mut brief = Brief::default();
        brief.section(Share { lines: 4, bytes: 100 }, &rows(1, "x"), "w");
        brief.section(Share { lines: 1, bytes: 10 }, &rows(4, "x"), "w");
        assert_eq!(brief.into_lines().len(), 5);
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("äöü", 6), "äöü");
        assert_eq!(cut("äöüä", 6), "ä…");
        assert_eq!(cut(&"é".repeat(400), LINE_BYTES).len(), LINE_BYTES - 1);
    }

    #[test]
    fn names_that_do_not_fit_are_counted() {
        let names = ["runtime".to_owned(), "docs".to_owned(), "tests".to_owned()];
        assert_eq!(several(&names, 60), "runtime docs tests");
        assert_eq!(several(&names, 12), "runtime docs and 1 more");
        assert_eq!(several(&names, 3), "… and 2 more");
        assert_eq!(several(&[], 3), "");
    }
}
