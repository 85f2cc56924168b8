//! The lines of a comment that a person is certain to see as such.
//!
//! This is no Markdown parser, and errs to one side: a line counts only if it begins in the first
//! column, outside of fences and HTML comments, where nothing before it can reach into it. What
//! could be hidden by markup that is not followed here (tags, math, fences in lists, a quote that
//! runs on) is doubtful, and so is all behind it that it might hide. Not here: what the lines say.

/// A line in the first column, outside of what is certain to be code, quote or comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Which one, from 1.
    pub(super) number: usize,
    /// The line without its end.
    pub(super) text: &'a str,
    /// Whether a person is certain to see it.
    pub(super) sight: Sight,
}

/// Whether a person is certain to see a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// As it is written.
    Clear,
    /// The paragraph before may reach into it: it takes an empty line before.
    RunsOn,
    /// Markup before it may hide it: it takes a comment of its own.
    Doubtful,
}

/// The lines of `text` that may be commands. They end with LF or CR LF; a bare CR is for the
/// caller to refuse.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut place = Place::default();
    let numbered = (1..).zip(text.split('\n'));
    let seen = numbered.filter_map(|(number, line)| {
        let text = line.strip_suffix('\r').unwrap_or(line);
        place.pass(text).map(|sight| Line { number, text, sight })
    });
    seen.collect()
}

/// Where in a text the reading is.
#[derive(Debug, Default)]
struct Place {
    fence: Option<(char, usize)>,
    comment: bool,
    runs_on: bool,
    doubt: bool,
}

impl Place {
    /// Reads a line; how well it is seen, unless it is code, a comment or not in the first column.
    fn pass(&mut self, line: &str) -> Option<Sight> {
        if let Some((mark, length)) = self.fence {
            if closes(line, mark, length) {
                self.fence = None;
            }
            return None;
        }
        if !self.comment && line.trim_matches([' ', '\t']).is_empty() {
            self.runs_on = false;
            return None;
        }
        let whole = !self.comment && !line.contains("<!--");
        let rest = self.outside_comments(line);
        if whole && let Some(fence) = opens(line) {
            self.fence = Some(fence);
            self.runs_on = false;
            return None;
        }
        let sight = match self {
            Self { doubt: true, .. } => Sight::Doubtful,
            Self { runs_on: true, .. } => Sight::RunsOn,
            Self { .. } => Sight::Clear,
        };
        self.doubt |= may_hide(&rest);
        self.runs_on |= may_run_on(&rest);
        (whole && !line.starts_with([' ', '\t'])).then_some(sight)
    }

    /// What of a line is outside of HTML comments. One that begins inside of a line and does not
    /// end there may be none: what follows is doubtful.
    fn outside_comments(&mut self, line: &str) -> String {
        let mut outside = String::new();
        let mut rest = line;
        let mut certain = line.starts_with("<!--");
        loop {
            if self.comment {
                let Some(end) = rest.find("-->") else { return outside };
                rest = &rest[end + 3..];
                self.comment = false;
                certain = false;
            }
            let Some(start) = rest.find("<!--") else {
                outside.push_str(rest);
                return outside;
            };
            outside.push_str(&rest[..start]);
            // From behind the mark on: `<!-->` ends at once for a browser, later is safer here.
            rest = &rest[start + 4..];
            self.comment = true;
            if !certain && !rest.contains("-->") {
                self.doubt = true;
            }
        }
    }
}

/// The fence that a line opens in the first column, where it cannot be part of a list.
fn opens(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    let code = mark == '`' && line[length..].contains('`');
    (length >= 3 && !code).then_some((mark, length))
}

fn closes(line: &str, mark: char, length: usize) -> bool {
    let text = line.trim_start_matches(' ');
    let marks = text.len() - text.trim_start_matches(mark).len();
    let indent = line.len() - text.len();
    let blank = text[marks..].trim_matches([' ', '\t']).is_empty();
    indent <= 3 && marks >= length && blank
}

/// Whether a line has markup that can hide what comes after it.
fn may_hide(line: &str) -> bool {
    let tag = |(at, _)| {
        line[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/?!".contains(c))
    };
    line.match_indices('<').any(tag) || ["$$", "```", "~~~"].iter().any(|mark| line.contains(mark))
}

/// Whether a line has markup that can reach into the next line of its paragraph.
fn may_run_on(line: &str) -> bool {
    let marker = |c: char| " \t-+*.)".contains(c) || c.is_ascii_digit();
    line.trim_start_matches(marker).starts_with('>') || line.contains(['<', '`', '[', '$', '~'])
}
