//! Named results, counted. Not here: where they come from.

use std::collections::BTreeSet;

/// The longest name of a red item, in bytes.
const LONGEST_NAME: usize = 200;

/// What a tool's output came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Results.
    Items(Tally),
    /// The tool wrote nothing that could hold results.
    Nothing(String),
    /// What the tool wrote contradicts itself or breaks off.
    Unreadable(String),
}

/// Results by colour; skipped ones are in neither.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    green: u32,
    red: BTreeSet<String>,
}

impl Tally {
    /// Counts a green item.
    pub(super) fn pass(&mut self) {
        self.green = self.green.saturating_add(1);
    }

    /// Names a red item.
    pub(super) fn fail(&mut self, name: &str) {
        self.red.insert(item_name(name));
    }

    /// How many are green.
    pub(super) fn green(&self) -> u32 {
        self.green
    }

    /// How many are red.
    pub(super) fn red(&self) -> u32 {
        u32::try_from(self.red.len()).unwrap_or(u32::MAX)
    }

    /// The first red names, at most `count` of at most `bytes` together.
    pub(super) fn named(&self, count: usize, bytes: usize) -> Vec<String> {
        let mut room = bytes;
        let fits = |name: &&String| {
            let left = room.checked_sub(name.len());
            room = left.unwrap_or(room);
            left.is_some()
        };
        self.red.iter().take(count).take_while(fits).cloned().collect()
    }
}

/// A name that fits a record. One that was cut ends in a digest of the whole, so
/// that two long names with the same beginning stay two.
fn item_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.len() <= LONGEST_NAME {
        return plain;
    }
    let digest = blake3::hash(name.as_bytes()).to_hex();
    format!("{}~{}", clip(&plain, LONGEST_NAME - 17), &digest[..16])
}

/// The first `limit` bytes of a text, cut at a character.
pub(super) fn clip(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let mut tally = Tally::default();
        let long = "é".repeat(150);
        for end in ["a", "b"] {
            tally.fail(&format!("{long}{end}"));
        }
        let named = tally.named(10, 10_000);
        assert_eq!(named.len(), 2);
        assert!(named.iter().all(|name| name.len() <= LONGEST_NAME && name.starts_with('é')));
    }

    #[test]
    fn what_is_named_is_bounded_and_what_is_counted_is_not() {
        let mut tally = Tally::default();
        for n in 0..300 {
            tally.fail(&format!("test {n:03} {}", "x".repeat(90)));
        }
        assert_eq!(tally.red(), 300);
        assert_eq!(tally.named(200, usize::MAX).len(), 200);
        assert_eq!(tally.named(200, 1000).len(), 10, "99 bytes each");
    }
}
