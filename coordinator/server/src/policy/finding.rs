//! What is wrong with a policy, where, and how that is told.

use std::fmt;

use molt_domain::scope;

use super::FILE;

/// Something wrong or odd in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the policy can be in force all the same.
    pub severity: Severity,
    /// The line; the first is 1.
    pub line: usize,
    /// The character in the line, where that says more than the key; the first is 1.
    pub column: Option<usize>,
    /// The key, dotted from the root and quoted as TOML does; empty for the whole file.
    pub key: String,
    /// What is wrong there.
    pub problem: Problem,
    /// The known name that was probably meant.
    pub nearest: Option<String>,
}

/// Whether a policy with a finding can be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can; somebody should look at it.
    Note,
}

/// What is wrong at a place of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// No version of this program knows the key.
    #[error("unknown key")]
    UnknownKey,
    /// A table inside a scope's table.
    #[error("unknown key: a child scope is written [scope.\"{0}\"]")]
    ChildScope(String),
    /// The key or value is part of the format, but this version cannot do what it says.
    #[error("{what} is not supported by this version{}", instead.map_or_else(String::new, |instead| format!(": {instead}")))]
    Unsupported {
        /// The key or the value.
        what: String,
        /// What to write instead.
        instead: Option<&'static str>,
    },
    /// A key that must be there.
    #[error("missing: write {0}")]
    Missing(&'static str),
    /// A value of another type.
    #[error("expected {wanted}, found {found}")]
    WrongType {
        /// What belongs there.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A value that is none of a few.
    #[error("`{found}` is not one of {}", options.join(", "))]
    NotOneOf {
        /// The value.
        found: String,
        /// What it may be.
        options: Vec<&'static str>,
    },
    /// A name that stands for nothing.
    #[error("there is no {kind} `{name}`")]
    UnknownName {
        /// What it should be the name of.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A value of the right type that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// Something odd about the scopes, with the paths that show it.
    #[error("{0}")]
    Scopes(scope::Finding),
    /// Tracked files whose names are no text.
    #[error("tracked files whose names are not UTF-8 are in no scope: {count}, first {first}")]
    NotText {
        /// How many.
        count: usize,
        /// One of them, escaped.
        first: String,
    },
    /// The scopes were not compared with the tree.
    #[error("the tracked files were not looked at: {0}")]
    NoTree(String),
    /// A protected pattern that matches no tracked file: perhaps a slip.
    #[error("`{0}` matches no tracked file: it protects nothing yet")]
    ProtectsNothing(String),
    /// Nothing has to pass before a change lands.
    #[error("nothing is required: every change that is submitted lands")]
    NothingRequired,
}

impl Finding {
    /// The finding as one line that starts with the place in the file called `file`.
    #[must_use]
    pub fn in_file(&self, file: &str) -> String {
        let column = self.column.map_or_else(String::new, |column| format!(":{column}"));
        let note = match self.severity {
            Severity::Error => "",
            Severity::Note => "note: ",
        };
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        let nearest = self.nearest.as_ref();
        let nearest = nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"));
        format!("{file}:{}{column}: {note}{key}{}{nearest}", self.line, self.problem)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_file(FILE))
    }
}
