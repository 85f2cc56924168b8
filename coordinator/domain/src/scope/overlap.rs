//! Whether one path matches two patterns, and which.
//!
//! The product of two automata is walked breadth first, one character at a
//! time, so the answer is exact and a witness is as short as any. There are at
//! most 257 × 257 pairs of states, four times for how far the segment is read.
//!
//! Characters are compared, not what they compose to: patterns that ask for a
//! lone accent after `?` may be said to overlap on a text that is not in normal
//! form. That errs to the safe side; no overlap is ever missed.

use super::automaton::{Automaton, START, Segment};
use super::case::Case;
use super::pattern::Pattern;

/// A path that both patterns match in a repository of this case, or `None` when there is none.
#[must_use]
pub fn overlap(a: &Pattern, b: &Pattern, case: Case) -> Option<String> {
    witness(a.automaton(case), b.automaton(case))
}

/// A path that both automata, which are of one case, accept.
pub(super) fn witness(a: &Automaton, b: &Automaton) -> Option<String> {
    if a.endings() & b.endings() == 0 || !share_prefix(a, b) {
        return None;
    }
    let path = search(a, b, Dotfiles::Allowed)?;
    // `x.rs` reads better than `.rs`, where it will do.
    let hidden = path.split('/').any(|segment| segment.starts_with('.'));
    let plain = if hidden { search(a, b, Dotfiles::Avoided) } else { None };
    plain.or(Some(path))
}

/// Whether some path starts as both patterns want.
fn share_prefix(a: &Automaton, b: &Automaton) -> bool {
    let agree = |a: &[String], b: &[String]| a.iter().zip(b).all(|(a, b)| a == b);
    a.prefixes().iter().any(|a| b.prefixes().iter().any(|b| agree(a, b)))
}

/// Whether segments of a witness may start with a dot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dotfiles {
    Allowed,
    Avoided,
}

/// A place in the product, and how it was reached.
#[derive(Clone, Copy)]
struct Place {
    a: usize,
    b: usize,
    segment: Segment,
    read: char,
    from: usize,
}

fn search(a: &Automaton, b: &Automaton, dotfiles: Dotfiles) -> Option<String> {
    let mut seen = vec![0u64; (a.len() * b.len() * 4).div_ceil(64)];
    let mut places =
        vec![Place { a: START, b: START, segment: Segment::Empty, read: '\0', from: 0 }];
    let mut from = 0;
    while let Some(&here) = places.get(from) {
        for &to_a in a.edges(here.a) {
            for &to_b in b.edges(here.b) {
                let Some(read) = a.label(to_a).common(b.label(to_b), a.case()) else {
                    continue;
                };
                let Some(segment) = here.segment.step(read) else {
                    continue;
                };
                let bit = (to_a * b.len() + to_b) * 4 + segment as usize;
                let new = seen[bit / 64] >> (bit % 64) & 1 == 0;
                let avoided = segment == Segment::Dot && dotfiles == Dotfiles::Avoided;
                if !new || avoided {
                    continue;
                }
                seen[bit / 64] |= 1 << (bit % 64);
                places.push(Place { a: to_a, b: to_b, segment, read, from });
                if segment == Segment::Named && a.is_accepting(to_a) && b.is_accepting(to_b) {
                    return Some(spell(&places));
                }
            }
        }
        from += 1;
    }
    None
}

/// The characters that were read on the way to the last place.
fn spell(places: &[Place]) -> String {
    let mut read = vec![];
    let mut at = places.len() - 1;
    while at != 0 {
        read.push(places[at].read);
        at = places[at].from;
    }
    read.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn both(a: &str, b: &str, case: Case) -> Option<String> {
        let (a, b) = (pattern(a), pattern(b));
        let path = overlap(&a, &b, case);
        assert_eq!(path.is_some(), overlap(&b, &a, case).is_some(), "{a} and {b}, both ways");
        if let Some(path) = &path {
            assert!(a.matches_in(path, case) && b.matches_in(path, case), "{a} {b} {path}");
        }
        path
    }

    #[test]
    fn a_witness_is_short_and_plain() {
        for (a, b, path) in [
            ("runtime/**", "runtime/**", "runtime/x"),
            ("runtime/**", "runtime/gc/*.rs", "runtime/gc/x.rs"),
            ("**/Cargo.toml", "runtime/**", "runtime/Cargo.toml"),
            ("**", "*", "x"),
            ("*.md", "R*", "R.md"),
            ("a/**/z", "a/**/y/*", "a/y/z"),
            (".*", "?g*", ".g"),
            ("[!x]", "[!a-z]", "0"),
            ("{a,b}/c", "{b,c}/*", "b/c"),
            ("[!-~]", "*", "x"),
            ("[.~]", "?", "~"),
            ("[.é]", "[!a]", "é"),
            ("[!!-~]", "[! ]", "\u{a0}"),
            ("x[.-é]", "?[!!-~ ]", "x\u{a0}"),
        ] {
            assert_eq!(both(a, b, Case::Sensitive).as_deref(), Some(path), "{a} and {b}");
        }
    }

    #[test]
    fn patterns_apart_do_not_overlap() {
        for (a, b) in [
            ("runtime/**", "docs/**"),
            ("runtime/**", "runtime"),
            ("*.md", "*.rs"),
            ("*", "*/*"),
            ("?", "??"),
            ("a*", "[!a]*"),
            ("**/a", "**/b"),
            // Only `.` and `..`, which are no segments, would match both.
            ("?", "[.]*{,a}a"),
            ("[.]*", "?"),
            ("[.]?", "?[.]"),
            ("é", "e"),
        ] {
            assert_eq!(both(a, b, Case::Sensitive), None, "{a} and {b}");
        }
    }

    #[test]
    fn case_makes_patterns_overlap() {
        for (a, b, path) in [
            ("Docs/*.MD", "dOCS/read*", "docs/read.md"),
            ("É", "[é-ë]", "é"),
            ("[A-C]", "[c-e]", "c"),
        ] {
            assert_eq!(both(a, b, Case::Sensitive), None, "{a} and {b}");
            assert_eq!(both(a, b, Case::Insensitive).as_deref(), Some(path), "{a} and {b}");
        }
        assert_eq!(both("[!ÀÁ]", "[à-â]", Case::Insensitive).as_deref(), Some("â"));
        let others = both("[!a-z]", "[!!-@[-`{-~ ]", Case::Insensitive);
        assert_eq!(others.as_deref(), Some("\u{a0}"));
        assert_eq!(both("[!a]", "[aA]", Case::Insensitive), None);
        assert_eq!(both("[!a-z]", "[A-Z]", Case::Insensitive), None);
    }

    #[test]
    fn the_worst_patterns_are_decided() {
        let stars = |c: char| format!("{}{}", "{,q}".repeat(6), format!("*{c}").repeat(112));
        let plain = format!("{}a", "[!a]".repeat(63));
        assert_eq!(both(&stars('a'), &plain, Case::Sensitive), None);
        let open = |c: char| format!("{}*", stars(c));
        assert!(both(&open('a'), &open('b'), Case::Sensitive).is_some());
        let deep = format!("{}**", "**/*a/".repeat(42));
        assert!(both(&deep, &deep.replace('a', "b"), Case::Sensitive).is_some());
    }
}
