//! What is said about a pull request at the forge, for people: one check run, at most one comment.
//!
//! Titles, branches, names and what other programs say come from whoever wrote them. In Markdown
//! they stand in code spans, where nothing mentions a person, names an issue or is markup; in
//! places without Markdown the two signs that do are shown in their wide forms. What is hidden or
//! reorders is shown by its number. A page is cut between lines, never in one, and says so. Not
//! here: who is told, and when.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::admission::{Admission, Refusal, Wait};
use super::is_hidden;

/// The longest summary, text or comment, in bytes (B15, where it is characters: never more).
pub const MAX_PAGE: usize = 65_535;

/// The longest title of a check run, in bytes.
pub const MAX_TITLE: usize = 200;

/// Annotations that the forge takes in one request (B15).
pub const MAX_ANNOTATIONS: usize = 50;

/// The longest message of an annotation, in bytes.
pub const MAX_MESSAGE: usize = 4096;

/// The longest login and answer that are kept, in bytes.
const MAX_LOGIN: usize = 100;
const MAX_ANSWER: usize = 400;

/// Characters of one foreign text that are shown.
const MAX_QUOTED: usize = 300;

/// What a page that was cut ends with.
const CUT: &str = "\n… the rest was left out: it is longer than the forge takes\n";

/// Why a pull request is where it is, as people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The stable reason code.
    pub code: &'static str,
    /// What is so. It may quote anything.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl From<&Wait> for Reason {
    fn from(wait: &Wait) -> Self {
        Self { code: wait.reason(), what: wait.to_string(), remedy: wait.remedy() }
    }
}

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        let (code, remedy) = (refusal.reason(), refusal.remedy());
        Self { code, what: refusal.to_string(), remedy }
    }
}

/// The one check run of a pull request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// How it is shown.
    pub light: Light,
    /// One line, without Markdown.
    pub title: String,
    /// The reasons, in Markdown.
    pub summary: String,
}

/// How a check run is shown. Green is the train's to say, on what it tested
/// ([`super::standing()`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// It says nothing for or against the head.
    Neutral,
    /// It is waited for.
    Pending,
    /// It passes, or landed.
    Green,
    /// A person has to look first.
    Wanted,
    /// Somebody has to act.
    Red,
    /// It is about a head that nobody wants any more.
    Dropped,
}

impl CheckRun {
    /// What a check run says of a pull request at the train's door.
    #[must_use]
    pub fn of(admission: &Admission) -> Self {
        match admission {
            Admission::NotAsked => Self {
                light: Light::Neutral,
                title: "nobody asked for it to land".to_owned(),
                summary: "Whoever may write asks for it by a comment.\n".to_owned(),
            },
            Admission::Wait { first, more } => {
                let reasons: Vec<Reason> =
                    std::iter::once(first).chain(more).map(Reason::from).collect();
                Self::listing(Light::Pending, &reasons)
            }
            Admission::Enter { head } => Self {
                light: Light::Pending,
                title: format!("queued: {}", head.short()),
                summary: format!("The head {} enters the train.\n", quoted(head.as_str())),
            },
            Admission::Refused(refusal) => Self::listing(Light::Red, &[refusal.into()]),
        }
    }

    /// A check run that lists reasons; the first gives its title.
    #[must_use]
    pub fn listing(light: Light, reasons: &[Reason]) -> Self {
        let title = reasons.first().map_or_else(String::new, |first| {
            cut(&format!("{}: {}", first.code, plain(&first.what)), MAX_TITLE)
        });
        Self { light, title, summary: page(reasons.iter().map(ToString::to_string)) }
    }

    /// The same with more lines, which are Markdown.
    #[must_use]
    pub(super) fn with(self, more: Vec<String>) -> Self {
        let lines = self.summary.lines().map(str::to_owned).chain(more);
        Self { summary: page(lines), ..self }
    }
}

/// A line of Markdown.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "* **{}** {} → {}", self.code, quoted(&self.what), self.remedy)
    }
}

/// A remark at a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The file, as git names it.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// What is said there, without Markdown.
    message: String,
}

impl Annotation {
    /// A remark that quotes `text`, cut to what the forge takes.
    #[must_use]
    pub fn new(path: String, line: u32, text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(plain).collect();
        Self { path, line, message: cut(&lines.join("\n"), MAX_MESSAGE) }
    }

    /// What is said.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Annotations as the forge takes them, a request each.
pub fn batches(annotations: &[Annotation]) -> impl Iterator<Item = &[Annotation]> {
    annotations.chunks(MAX_ANNOTATIONS)
}

/// How our one comment is known from all others: a mark that only its beginning shows, with the
/// pull request's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker(pub u64);

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<!-- molt:pull:{} -->", self.0)
    }
}

impl Marker {
    /// Whether a comment of our own account is the one with this mark. Whoever quotes us has it
    /// elsewhere, so comments of others are not to be asked about.
    #[must_use]
    pub fn is_on(&self, text: &str) -> bool {
        text.starts_with(&self.to_string())
    }

    /// The comment with this mark: the state in one line, then what was answered.
    #[must_use]
    pub fn comment(&self, state: &Reason, answers: &[Answer]) -> String {
        let head = [self.to_string(), state.to_string()].into_iter();
        page(head.chain(answers.iter().map(ToString::to_string)))
    }
}

/// What is answered to a comment whose commands were not done, or that asks why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who wrote it.
    pub login: String,
    /// What stands in the way.
    pub problem: String,
}

impl Answer {
    /// An answer, cut to what is kept.
    #[must_use]
    pub fn new(login: &str, problem: &str) -> Self {
        Self { login: cut(login, MAX_LOGIN), problem: cut(problem, MAX_ANSWER) }
    }

    /// The answer to a comment of which nothing was done.
    #[must_use]
    pub fn undone(login: &str, problem: impl fmt::Display) -> Self {
        Self::new(login, &format!("nothing was done: {problem}"))
    }
}

/// A line of Markdown. It mentions nobody: who wrote the comment reads the answer below it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "* to {}: {}", quoted(&self.login), quoted(&self.problem))
    }
}

/// Foreign text as a code span on one line.
#[must_use]
pub fn quoted(text: &str) -> String {
    let text = one_line(text);
    if text.is_empty() {
        return "(nothing)".to_owned();
    }
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    // One space at each end is taken off again, so that a backtick can stand there.
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Foreign text on one line for places without Markdown.
#[must_use]
pub fn plain(text: &str) -> String {
    let wide = |c| match c {
        '@' => '＠',
        '#' => '＃',
        c => c,
    };
    one_line(text).chars().map(wide).collect()
}

/// Foreign text on one line, as much of it as is shown, with nothing hidden in it.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == MAX_QUOTED {
            line.push('…');
            break;
        }
        if is_hidden(c) {
            line.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line
}

/// As much of a text as fits a limit in bytes, with a mark where it was cut.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

/// Lines as a page, whole ones only: half a code span would let its text out.
fn page(lines: impl Iterator<Item = String>) -> String {
    page_within(MAX_PAGE, lines)
}

/// The same within a limit in bytes, which is longer than what says that something was left out.
pub(super) fn page_within(limit: usize, lines: impl Iterator<Item = String>) -> String {
    let mut page = String::new();
    for line in lines {
        if page.len() + line.len() + 1 > limit - CUT.len() {
            page.push_str(CUT);
            break;
        }
        page.push_str(&line);
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests;
