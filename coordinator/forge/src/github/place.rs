//! Which repository, by its name at GitHub.

use super::operation::{Operation, Route};

/// A name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no repository at github: expected OWNER/NAME")]
pub struct InvalidSlug {
    /// What was given.
    pub text: String,
}

/// A repository's name: `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slug {
    owner: String,
    name: String,
}

impl std::str::FromStr for Slug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, InvalidSlug> {
        let invalid = || InvalidSlug { text: text.to_owned() };
        let (owner, name) = text.split_once('/').ok_or_else(invalid)?;
        let is_word = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && !matches!(word, "." | "..") && word.chars().all(plain)
        };
        match is_word(owner) && is_word(name) {
            true => Ok(Self { owner: owner.to_owned(), name: name.to_owned() }),
            false => Err(invalid()),
        }
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl Slug {
    /// A request about this repository.
    #[must_use]
    pub fn route(&self, operation: Operation) -> Route {
        operation.route().with("owner", &self.owner).with("repo", &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_words() {
        assert_eq!(
            "acme/widget.git".parse::<Slug>().map(|it| it.to_string()).as_deref(),
            Ok("acme/widget.git")
        );
        for bad in
            ["acme", "/widget", "acme/", "a/b/c", "acme/..", "acme/w w", "https://github.com/a"]
        {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }
}
