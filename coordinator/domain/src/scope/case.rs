//! Upper and lower case, as a rule of the repository and not of the host.
//!
//! Folding is one character to one character, so that it can be done to a
//! pattern's labels and to a path alike. Not here: Unicode normalisation, which
//! [`canonical`] only applies.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Whether `Makefile` and `makefile` are the same path.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// They are two paths.
    #[default]
    Sensitive,
    /// They are one path.
    Insensitive,
}

impl Case {
    /// The character that stands for `c` and everything that equals it.
    pub(super) fn fold(self, c: char) -> char {
        match self {
            Self::Sensitive => c,
            Self::Insensitive if c.is_ascii() => c.to_ascii_lowercase(),
            Self::Insensitive => lower(upper(c)),
        }
    }

    /// The text whose characters automata of this case read: NFC, then folded.
    pub(super) fn canonical(self, text: &str) -> Cow<'_, str> {
        let text = canonical(text);
        if self == Self::Insensitive && text.chars().any(|c| self.fold(c) != c) {
            return Cow::Owned(text.chars().map(|c| self.fold(c)).collect());
        }
        text
    }
}

/// `text` in Unicode normalisation form C.
pub(super) fn canonical(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// What the characters from `low` to `high` beyond ASCII fold to, where that is another character.
pub(super) fn folds(low: char, high: char) -> impl Iterator<Item = char> {
    let from = FOLDED.partition_point(|&(c, _)| c < low);
    FOLDED[from..].iter().take_while(move |&&(c, _)| c <= high).map(|&(_, folded)| folded)
}

/// Every character beyond ASCII that folds to another one, in order.
static FOLDED: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    ('\u{80}'..=LAST_CASED)
        .map(|c| (c, Case::Insensitive.fold(c)))
        .filter(|(c, folded)| c != folded)
        .collect()
});

/// No character after this one has a case.
const LAST_CASED: char = '\u{1ffff}';

fn upper(c: char) -> char {
    only(c.to_uppercase()).unwrap_or(c)
}

fn lower(c: char) -> char {
    only(c.to_lowercase()).unwrap_or(c)
}

/// The single character of a mapping; a longer mapping (`ß` to `SS`) is none.
fn only(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next();
    if mapped.next().is_some() { None } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_twice_is_folding_once() {
        for c in '\0'..=char::MAX {
            let folded = Case::Insensitive.fold(c);
            assert_eq!(Case::Insensitive.fold(folded), folded, "{c:?}");
            assert!(c <= LAST_CASED || folded == c, "{c:?} is cased beyond the last cased");
        }
    }

    #[test]
    fn what_looks_the_same_folds_the_same() {
        for (a, b) in [('A', 'a'), ('É', 'é'), ('Σ', 'ς'), ('ẞ', 'ß'), ('\u{212a}', 'k')] {
            assert_eq!(Case::Insensitive.fold(a), Case::Insensitive.fold(b), "{a} {b}");
            assert_ne!(Case::Sensitive.fold(a), Case::Sensitive.fold(b), "{a} {b}");
        }
    }

    #[test]
    fn canonical_text_is_composed_and_folded() {
        assert_eq!(Case::Sensitive.canonical("E\u{301}/X"), "É/X");
        assert_eq!(Case::Insensitive.canonical("E\u{301}/X"), "é/x");
        assert!(matches!(Case::Insensitive.canonical("plain/x"), Cow::Borrowed(_)));
    }
}
