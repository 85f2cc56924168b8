//! What is written in a pull request that we open for a session's change: its branch, its title, and
//! a body that says what is claimed, changed, expected and risked, for whoever reviews it.
//!
//! The last line of the body is a mark by which it is found again after an answer that was lost.
//! Whatever an agent wrote is shown as foreign text ([`super::words`]). Not here: what becomes of it
//! ([`mod@super::opened`]).

use std::fmt;

use super::words::{self, MAX_PAGE, MAX_TITLE, page_within, plain, quoted};
use crate::id::CarId;
use crate::message::Announcement;
use crate::scope::{Pattern, Risk};
use crate::train::Car;

/// Names of one kind that a body shows.
const NAMED: usize = 20;

/// A session's change as people at the forge are shown it.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// The change.
    pub car: &'a Car,
    /// What was announced of its claims.
    pub announced: &'a [Announcement],
    /// The paths that it changes, those that are text.
    pub changed: &'a [String],
    /// How many others it changes.
    pub odd: usize,
}

/// How a pull request that we opened is known: a mark with which its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub CarId);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<!-- molt:car:{} -->", self.0)
    }
}

impl Mark {
    /// The mark with which a body ends, if it does. Whoever quotes one of ours has it too, so those
    /// of other accounts are not to be asked about.
    #[must_use]
    pub fn of(body: &str) -> Option<Self> {
        let last = body.trim_end().lines().next_back()?;
        let id = last.trim().strip_prefix("<!-- molt:car:")?.strip_suffix(" -->")?;
        id.parse().ok().map(Self)
    }
}

/// The branch that is made for a change: fixed by the change alone, so that whoever does it again
/// does the same.
#[must_use]
pub fn branch(car: &Car) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = car.agent.as_str().chars().map(word).collect();
    let name = name.trim_matches('-');
    format!("molt/{}/{}", if name.is_empty() { "agent" } else { name }, car.id)
}

impl Proposal<'_> {
    /// One line, without Markdown.
    #[must_use]
    pub fn title(&self) -> String {
        let title = plain(self.car.title.trim());
        if title.is_empty() { self.car.id.to_string() } else { words::cut(&title, MAX_TITLE) }
    }

    /// The body, in Markdown.
    #[must_use]
    pub fn body(&self) -> String {
        let Self { car, announced, changed, odd } = *self;
        let scopes = car.parts.iter().map(|part| part.scope.as_str());
        let scopes = scopes.chain(car.globs.iter().map(Pattern::as_str));
        let mut tests: Vec<&str> =
            announced.iter().flat_map(|it| it.tests.iter().map(String::as_str)).collect();
        tests.sort_unstable();
        tests.dedup();
        let risk = announced.iter().map(|it| it.risk).max().map_or("not announced", word);
        let says = match car.body.trim() {
            "" => None,
            text => Some(format!("* **says** {}", quoted(text))),
        };
        let lines = [
            format!(
                "{} submitted this as {}.\n",
                quoted(car.agent.as_str()),
                quoted(&car.id.to_string())
            ),
            format!("* **scope** {}", listed(scopes, 0)),
            format!("* **files** {}", listed(changed.iter().map(String::as_str), odd)),
            format!("* **tests** {}", listed(tests.into_iter(), 0)),
            format!("* **risk** {risk}"),
        ];
        let last = format!(
            "\nThe train lands it once its gates passed and the branch's rules are met. Whoever may \
             write stops it by closing this or by a comment, and a push to its branch stops it too.\n\
             \n{}\n",
            Mark(car.id)
        );
        page_within(MAX_PAGE - last.len(), lines.into_iter().chain(says)) + &last
    }
}

fn word(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Med => "medium",
        Risk::High => "high",
    }
}

/// Names as code, so many as are shown, and how many there are beside them.
fn listed<'a>(names: impl Iterator<Item = &'a str>, unnamed: usize) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut more = unnamed;
    for name in names {
        if shown.len() < NAMED {
            shown.push(quoted(name));
        } else {
            more += 1;
        }
    }
    match (shown.is_empty(), more) {
        (true, 0) => "none".to_owned(),
        (true, more) => format!("{more} whose names are no text"),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
