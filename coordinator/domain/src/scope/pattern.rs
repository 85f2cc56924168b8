//! A glob over the paths of a repository, anchored at its root.
//!
//! `*` and `?` match a leading dot and never `/`; `**` is a whole segment, zero
//! or more of them (at the end of a pattern one or more); `[set]`, `[!set]` and
//! `{a,b}` are as everywhere; `\` takes the next character as it is. A text that
//! is no such pattern is an error, and so is a pattern that no path matches.
//! Not here: whether two patterns overlap ([`super::overlap()`]).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::automaton::Automaton;
use super::case::{Case, canonical};
use super::overlap;
use super::parse::{self, MAX_ALTERNATIVES, MAX_PATTERN_BYTES, Parsed};

/// A pattern of paths, in Unicode normal form C. Two patterns are equal when their texts are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Pattern(Arc<Inner>);

struct Inner {
    text: String,
    parsed: Parsed,
    sensitive: Automaton,
    /// Only repositories without case need it.
    insensitive: OnceLock<Automaton>,
    prefix: Vec<String>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern `{pattern}` is invalid at character {at}: {fault}")]
pub struct InvalidPattern {
    /// What was given, in normal form C.
    pub pattern: String,
    /// Where it goes wrong: the first character is 1.
    pub at: usize,
    /// What is wrong there.
    pub fault: PatternFault,
}

/// What is wrong with a text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// The text is longer than [`MAX_PATTERN_BYTES`].
    #[error("{bytes} bytes are more than {MAX_PATTERN_BYTES}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The braces expand to more than [`MAX_ALTERNATIVES`].
    #[error("the braces expand to more than {MAX_ALTERNATIVES} alternatives")]
    TooManyAlternatives,
    /// A way through the braces leaves nothing.
    #[error("an alternative is empty")]
    EmptyAlternative,
    /// The pattern has a control character.
    #[error("control characters are not allowed")]
    Control,
    /// An alternative starts with `/`.
    #[error("a leading `/`: patterns start at the root anyway")]
    LeadingSlash,
    /// An alternative ends with `/`.
    #[error("a trailing `/`: `/**` is everything below a directory")]
    TrailingSlash,
    /// Two `/` follow each other.
    #[error("a segment is empty")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("a segment is `.` or `..`")]
    DotSegment,
    /// `**` stands beside something else in its segment.
    #[error("`**` is not a whole segment")]
    PartialDeep,
    /// A `[` without its `]`.
    #[error("the set is not closed by `]`")]
    UnclosedSet,
    /// A set names `/`, which no set matches.
    #[error("a set never matches `/`")]
    SlashInSet,
    /// A range whose end is before its start.
    #[error("the range {low:?} to {high:?} runs backwards")]
    ReversedRange {
        /// Its start.
        low: char,
        /// Its end.
        high: char,
    },
    /// A range goes on after its end, as in `[a-c-e]`.
    #[error("a `-` after a range: put it first or last in the set")]
    RangeOfRange,
    /// A `{` without its `}`.
    #[error("the brace is not closed by `}}`")]
    UnclosedBrace,
    /// A `}` without its `{`.
    #[error("no `{{` opens this brace")]
    UnopenedBrace,
    /// A `\` with nothing after it.
    #[error("nothing follows the `\\`")]
    DanglingEscape,
    /// A `\` before `/`.
    #[error("`\\` before `/` means nothing")]
    EscapedSlash,
    /// Only `.` or `..` could stand where the sets and wildcards are.
    #[error("no path can match it")]
    MatchesNothing,
}

impl Pattern {
    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether `path` matches, with case. What is no path from the root matches nothing.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.matches_in(path, Case::Sensitive)
    }

    /// Whether `path` matches in a repository of this case.
    #[must_use]
    pub fn matches_in(&self, path: &str, case: Case) -> bool {
        self.automaton(case).matches(&case.canonical(path))
    }

    /// The leading segments without wildcards, which every matching path starts with.
    #[must_use]
    pub fn literal_prefix(&self) -> &[String] {
        &self.0.prefix
    }

    /// Where the paths that match it lie: what they all start with, whatever the case. Of two
    /// patterns that overlap, the place of one is that of the other or above it.
    #[must_use]
    pub(crate) fn place(&self) -> Vec<String> {
        let folded = |segment: &String| Case::Insensitive.canonical(segment).into_owned();
        self.0.prefix.iter().map(folded).collect()
    }

    /// Whether every path that matches it matches `other`, as far as that is plain to see: where
    /// `other` is all that is below a folder, and each path of this one starts with the folder.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let Some(folder) = other.as_str().strip_suffix("/**") else { return false };
        let literal = other.0.prefix.join("/") == folder;
        let below = self.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        literal
            && (below
                || (self.0.prefix.starts_with(&other.0.prefix)
                    && self.0.prefix.len() > other.0.prefix.len()))
    }

    pub(super) fn automaton(&self, case: Case) -> &Automaton {
        match case {
            Case::Sensitive => &self.0.sensitive,
            Case::Insensitive => {
                self.0.insensitive.get_or_init(|| Automaton::new(&self.0.parsed, case))
            }
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let text = canonical(text).into_owned();
        let invalid = |(at, fault)| InvalidPattern { pattern: text.clone(), at, fault };
        let parsed = parse::parse(&text).map_err(invalid)?;
        let sensitive = Automaton::new(&parsed, Case::Sensitive);
        if overlap::witness(&sensitive, &sensitive).is_none() {
            return Err(invalid((1, PatternFault::MatchesNothing)));
        }
        let prefix = parsed.literal_prefixes().reduce(|a, b| common(a, &b)).unwrap_or_default();
        let insensitive = OnceLock::new();
        Ok(Self(Arc::new(Inner { text, parsed, sensitive, insensitive, prefix })))
    }
}

/// The segments that both start with.
fn common(mut a: Vec<String>, b: &[String]) -> Vec<String> {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    a.truncate(same);
    a
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.as_str().to_owned()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.as_str()).finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scope::overlap;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn an_invalid_pattern_says_what_is_wrong_and_where() {
        let long = format!("é{}", "a".repeat(256));
        let wide = "{a,b}".repeat(7);
        for (text, at, why) in [
            ("", 1, "it is empty"),
            (&long, 256, "258 bytes are more than 256"),
            (&wide, 1, "the braces expand to more than 64 alternatives"),
            ("x/{,{,{}}}{,}{,}{,}{,}{,}{,}", 3, "the braces expand to more than 64 alternatives"),
            ("{,a}", 1, "an alternative is empty"),
            ("a\tb", 2, "control characters are not allowed"),
            ("[\u{7f}]", 2, "control characters are not allowed"),
            ("/a", 1, "a leading `/`: patterns start at the root anyway"),
            ("{a,}/b", 5, "a leading `/`: patterns start at the root anyway"),
            ("a/", 2, "a trailing `/`: `/**` is everything below a directory"),
            ("a/{b,}", 2, "a trailing `/`: `/**` is everything below a directory"),
            ("a//b", 3, "a segment is empty"),
            ("a/{b,}/c", 7, "a segment is empty"),
            ("./a", 1, "a segment is `.` or `..`"),
            ("a/../b", 3, "a segment is `.` or `..`"),
            ("a/{b,.}{,.}", 6, "a segment is `.` or `..`"),
            ("a/\\.", 3, "a segment is `.` or `..`"),
            ("a**b", 1, "`**` is not a whole segment"),
            ("a/**.rs", 3, "`**` is not a whole segment"),
            ("a/***", 3, "`**` is not a whole segment"),
            ("{a/,b}**", 5, "`**` is not a whole segment"),
            ("a[b", 2, "the set is not closed by `]`"),
            ("[]", 1, "the set is not closed by `]`"),
            ("[!]", 1, "the set is not closed by `]`"),
            ("[a/b]", 3, "a set never matches `/`"),
            ("[b-a]", 2, "the range 'b' to 'a' runs backwards"),
            ("[a-c-e]", 5, "a `-` after a range: put it first or last in the set"),
            ("a/{b,{c}", 3, "the brace is not closed by `}`"),
            ("a}", 2, "no `{` opens this brace"),
            ("a\\", 2, "nothing follows the `\\`"),
            ("a\\/b", 2, "`\\` before `/` means nothing"),
            ("a/[.][.]", 1, "no path can match it"),
        ] {
            let error = text.parse::<Pattern>().expect_err(text).to_string();
            assert_eq!(error, format!("pattern `{text}` is invalid at character {at}: {why}"));
        }
    }

    #[test]
    fn the_longest_and_widest_patterns_are_valid() {
        let wide = format!("{}{}", "{a,b}".repeat(6), "c".repeat(226));
        assert_eq!(wide.len(), MAX_PATTERN_BYTES);
        assert!(pattern(&wide).matches(&format!("abbaab{}", "c".repeat(226))));
        let deep = format!("{}a", "**/".repeat(85));
        assert!(pattern(&deep).matches("a") && pattern(&deep).matches("x/y/a"));
    }

    #[test]
    fn wildcards_match_what_they_should() {
        for (text, yes, no) in [
            ("a/**", &["a/b", "a/.b", "a/b/c"][..], &["a", "b/a", "a/", "a//b"][..]),
            ("**", &["a", "a/b", ".a"], &["", ".", "..", "a/..", "/a", "a/./b"]),
            ("**/a", &["a", "b/a", "b/c/a"], &["ba", "b/ba"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
            ("a/**/**", &["a/b", "a/b/c"], &["a"]),
            ("a{,/**}", &["a", "a/b/c"], &["ab"]),
            ("{**,a}/b", &["b", "a/b", "x/y/b"], &["a", "bb"]),
            ("a/{b/**,c}/d", &["a/b/d", "a/b/x/d", "a/c/d"], &["a/c/x/d"]),
            ("*.rs", &[".rs", "a.rs", "..rs"], &["a/b.rs", "rs"]),
            ("?b", &["ab", ".b", "éb"], &["b", "aab", "/b"]),
            ("[a-cx]", &["a", "b", "x"], &["d", "-", "/"]),
            ("a[!b]c", &["axc", "a.c"], &["abc", "a/c"]),
            ("[^é]", &["e", "ê"], &["é", "/"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[!]a-]", &["b"], &["]", "a", "-"]),
            ("a[+-9]b", &["a0b", "a.b"], &["a/b"]),
            (r"[\*]", &["\\", "*"], &["a"]),
            (r"\*\{\\", &["*{\\"], &["a{\\", "*"]),
            ("a,b-!^]", &["a,b-!^]"], &["a"]),
            ("{a,b{c,d/e}}*", &["a", "ax", "bc", "bd/e", "bd/ex"], &["b", "bd"]),
            ("{*,a}*", &["a", "xyz"], &["x/y"]),
        ] {
            for path in yes {
                assert!(pattern(text).matches(path), "{text} must match {path}");
            }
            for path in no {
                assert!(!pattern(text).matches(path), "{text} must not match {path}");
            }
        }
    }

    #[test]
    fn composed_and_decomposed_text_is_the_same() {
        let (composed, decomposed) = ("caf\u{e9}/*", "cafe\u{301}/*");
        assert_eq!(pattern(composed), pattern(decomposed));
        assert!(pattern(composed).matches("cafe\u{301}/x"));
        assert!(pattern("caf?/x").matches("cafe\u{301}/x"));
    }

    #[test]
    fn case_is_a_rule_of_the_repository() {
        for (text, path) in [
            ("Make[a-f]ile", "MAKEFILE"),
            ("[X-Z]", "y"),
            ("É/*", "é/x"),
            ("[α-ω]", "Σ"),
            ("[ſ]", "S"),
        ] {
            assert!(pattern(text).matches_in(path, Case::Insensitive), "{text} {path}");
            assert!(!pattern(text).matches(path), "{text} {path}");
        }
        assert!(!pattern("[!a]").matches_in("A", Case::Insensitive));
        assert!(pattern("[!a]").matches("A"));
    }

    #[test]
    fn the_literal_prefix_is_whole_segments() {
        for (text, prefix) in [
            ("runtime/gc/**", &["runtime", "gc"][..]),
            ("runtime/gc*/x", &["runtime"]),
            ("a/b.md", &["a", "b.md"]),
            ("{a/b,a/c}/d", &["a"]),
            ("a{,/**}", &["a"]),
            (r"a\*/?", &["a*"]),
            ("**/a", &[]),
            ("[a]/b", &[]),
        ] {
            assert_eq!(pattern(text).literal_prefix(), prefix, "{text}");
        }
    }

    #[test]
    fn a_pattern_is_a_string_on_the_wire() {
        let text = serde_json::to_string(&pattern("a/{b,c}")).unwrap();
        assert_eq!(text, r#""a/{b,c}""#);
        assert_eq!(serde_json::from_str::<Pattern>(&text).unwrap(), pattern("a/{b,c}"));
        let error = serde_json::from_str::<Pattern>(r#""a//b""#).unwrap_err().to_string();
        assert!(error.contains("a segment is empty"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_matches_something(text in r"[ax.*?/{},\[\]!^\\é-]{0,16}") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                for case in [Case::Sensitive, Case::Insensitive] {
                    let path = overlap(&pattern, &pattern, case).unwrap();
                    prop_assert!(pattern.matches_in(&path, case), "{pattern} {path}");
                }
                prop_assert_eq!(pattern.to_string().parse::<Pattern>().unwrap(), pattern);
            }
        }
    }
}
