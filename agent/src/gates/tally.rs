//! Named results, counted, and where in the files the red ones are. Not here: where they come from.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use molt_domain::gate::MAX_PLACES;
use molt_proto::v1::RedPlace;

/// The longest name of a red item, in bytes.
const LONGEST_NAME: usize = 200;

/// The longest path, and the most of what is said at a line, in bytes.
const LONGEST_PATH: usize = 500;
const LONGEST_WORDS: usize = 300;

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
    red: BTreeMap<String, Option<Spot>>,
}

/// Where a tool says that something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// The file, from where the tool ran or from the root.
    pub(super) file: String,
    /// The line, from 1.
    pub(super) line: u32,
    /// What is wrong.
    pub(super) says: String,
}

impl Tally {
    /// Counts a green item.
    pub(super) fn pass(&mut self) {
        self.green = self.green.saturating_add(1);
    }

    /// Names a red item.
    pub(super) fn fail(&mut self, name: &str) {
        self.fail_at(name, None);
    }

    /// The same, of one that the tool has a place for.
    pub(super) fn fail_at(&mut self, name: &str, spot: Option<Spot>) {
        self.red.insert(item_name(name), spot);
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
        self.red.keys().take(count).take_while(fits).cloned().collect()
    }

    /// Where the `named` ones are below `checkout`, as far as tools say so and `bytes` together allow.
    pub(super) fn places(&self, named: &[String], checkout: &Path, bytes: usize) -> Vec<RedPlace> {
        let real = checkout.canonicalize().ok();
        let tops = [Some(checkout), real.as_deref()];
        let mut room = bytes;
        let placed = named.iter().filter_map(|item| {
            let Spot { file, line, says } = self.red.get(item)?.as_ref()?;
            let path = below(file, tops.into_iter().flatten())?;
            let says = clip(says.trim(), LONGEST_WORDS).to_owned();
            Some(RedPlace { item: item.clone(), path, line: *line, says })
        });
        placed
            .take_while(|it| {
                let left = room.checked_sub(it.item.len() + it.path.len() + it.says.len());
                room = left.unwrap_or(0);
                left.is_some()
            })
            .take(MAX_PLACES)
            .collect()
    }
}

/// A file's path from the top of the tree, if it is in there.
fn below<'a>(file: &str, mut tops: impl Iterator<Item = &'a Path>) -> Option<String> {
    let file = Path::new(file);
    let file = if file.is_absolute() {
        tops.find_map(|top| file.strip_prefix(top).ok())?
    } else {
        file.strip_prefix(".").unwrap_or(file)
    };
    let is_plain = file.components().all(|part| matches!(part, Component::Normal(_)));
    let path = file.to_str().filter(|path| !path.is_empty() && path.len() <= LONGEST_PATH)?;
    (is_plain && !path.contains(char::is_control)).then(|| path.to_owned())
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
    fn a_place_is_below_the_checkout_or_none() {
        let mut tally = Tally::default();
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().display().to_string();
        let files =
            ["src/a.rs", "./src/b.rs", &format!("{top}/c.rs"), "/etc/d", "../e", "", "f\ng"];
        for (at, file) in files.iter().enumerate() {
            let spot = Spot { file: (*file).to_owned(), line: 7, says: " no\n".to_owned() };
            tally.fail_at(&format!("item {at}"), Some(spot));
        }
        tally.fail("item without");
        let named = tally.named(10, 1000);
        let places = tally.places(&named, folder.path(), 1000);
        let shown: Vec<_> = places.iter().map(|it| (&*it.item, &*it.path, it.line)).collect();
        let expected =
            [("item 0", "src/a.rs", 7), ("item 1", "src/b.rs", 7), ("item 2", "c.rs", 7)];
        assert_eq!(shown, expected);
        assert_eq!(places[0].says, "no");
        assert_eq!(tally.places(&named, folder.path(), 31).len(), 1, "16 bytes each");
        assert_eq!(tally.places(&named[1..], folder.path(), 1000).len(), 2, "of what is named");
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
