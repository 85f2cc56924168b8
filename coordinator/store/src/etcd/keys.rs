//! Where in etcd a fleet's keys are: all below `/molt/v1/<fleet>/`.
//!
//! The mapping is one to one and keeps the order: a record's key stands as it is below `r/`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::record::{Key, KeyError};

const ROOT: &str = "/molt/v1/";
const HEAD: &str = "head";
const LEADER: &str = "leader";
const RENEWAL: &str = "renewal";
const RECORDS: &str = "r/";
/// The first text behind every one that begins with [`RECORDS`].
const RECORDS_END: &str = "r0";

/// The longest name of a fleet, in bytes.
pub const MAX_FLEET_BYTES: usize = 64;

/// The name of a fleet. Several fleets may share one etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet(String);

/// A text that is no name of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "fleet {name:?} is not 1 to {MAX_FLEET_BYTES} letters, digits, dots, dashes and underscores"
)]
pub struct FleetError {
    name: String,
}

impl Fleet {
    /// Takes `name` as the name of a fleet.
    ///
    /// # Errors
    ///
    /// Fails if `name` is empty, too long, or has a character that is no letter, digit, dot, dash
    /// or underscore.
    pub fn parse(name: impl Into<String>) -> Result<Self, FleetError> {
        let name = name.into();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.len() > MAX_FLEET_BYTES || !name.chars().all(plain) {
            return Err(FleetError { name });
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Fleet {
    type Err = FleetError;

    fn from_str(name: &str) -> Result<Self, FleetError> {
        Self::parse(name)
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A fleet's keys in etcd.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

/// What one of a fleet's keys is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    Leader,
    Renewal,
    Record(Key),
}

/// A key below a fleet's prefix that no coordinator writes.
#[derive(Debug, Error)]
pub(super) enum Stray {
    #[error("not ours: no coordinator writes such a key")]
    Unknown,
    #[error("not ours: no coordinator writes such a record")]
    Record(#[from] KeyError),
}

impl Keys {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self { prefix: format!("{ROOT}{fleet}/") }
    }

    pub(super) fn head(&self) -> String {
        self.named(HEAD)
    }

    pub(super) fn leader(&self) -> String {
        self.named(LEADER)
    }

    pub(super) fn renewal(&self) -> String {
        self.named(RENEWAL)
    }

    pub(super) fn record(&self, key: &Key) -> String {
        format!("{}{RECORDS}{key}", self.prefix)
    }

    /// The first of all keys, and the first behind them.
    pub(super) fn range(&self) -> (String, String) {
        let behind = format!("{}0", self.prefix.trim_end_matches('/'));
        (self.prefix.clone(), behind)
    }

    /// The first of the records, and the first key behind them.
    pub(super) fn records(&self) -> (String, String) {
        (self.named(RECORDS), self.named(RECORDS_END))
    }

    /// The ranges below the prefix in which no key of ours can be.
    pub(super) fn gaps(&self) -> [(String, String); 5] {
        let behind = |name: &str| format!("{}{name}\0", self.prefix);
        let (first, end) = self.range();
        [
            (first, self.head()),
            (behind(HEAD), self.leader()),
            (behind(LEADER), self.named(RECORDS)),
            (self.named(RECORDS_END), self.renewal()),
            (behind(RENEWAL), end),
        ]
    }

    /// What the stored `key`, which is in [`Keys::range`], is for.
    pub(super) fn place(&self, key: &[u8]) -> Result<Place, Stray> {
        let name = str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.prefix));
        match name.ok_or(Stray::Unknown)? {
            HEAD => Ok(Place::Head),
            LEADER => Ok(Place::Leader),
            RENEWAL => Ok(Place::Renewal),
            name => {
                let record = name.strip_prefix(RECORDS).ok_or(Stray::Unknown)?;
                Ok(Place::Record(Key::parse(record)?))
            }
        }
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// A stored key as a person reads it.
pub(super) fn shown(key: &[u8]) -> String {
    format!("key `{}`", key.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::of(&Fleet::parse("main").unwrap())
    }

    #[test]
    fn a_fleet_is_one_plain_segment() {
        for good in ["main", "a", "eu-west.2_b"] {
            assert_eq!(Fleet::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "a b", "ä", "a\n"] {
            assert_eq!(Fleet::parse(bad), Err(FleetError { name: bad.to_owned() }));
        }
        assert!(Fleet::parse("f".repeat(MAX_FLEET_BYTES + 1)).is_err());
    }

    #[test]
    fn places_read_back_as_written() {
        let keys = keys();
        let key = Key::parse("claim/clm_0001").unwrap();
        assert_eq!(keys.record(&key), "/molt/v1/main/r/claim/clm_0001");
        for (stored, place) in [
            (keys.head(), Place::Head),
            (keys.leader(), Place::Leader),
            (keys.renewal(), Place::Renewal),
            (keys.record(&key), Place::Record(key)),
        ] {
            assert_eq!(keys.place(stored.as_bytes()).unwrap(), place);
            let (first, end) = keys.range();
            assert!(first <= stored && stored < end);
            assert!(!keys.gaps().iter().any(|(from, to)| *from <= stored && stored < *to));
        }
    }

    #[test]
    fn strays_are_known_and_lie_in_the_gaps() {
        let keys = keys();
        for name in ["", "a", "heads", "leader/x", "q", "r", "r0", "rest", "renewal2", "z"] {
            let stored = keys.named(name);
            assert!(keys.place(stored.as_bytes()).is_err(), "{name:?} was taken as ours");
            let gap = keys.gaps().iter().any(|(from, to)| *from <= stored && stored < *to);
            assert!(gap, "{name:?} is in no gap");
        }
        for name in ["r/", "r//a", "r/a b"] {
            assert!(keys.place(keys.named(name).as_bytes()).is_err(), "{name:?} was taken as ours");
        }
        assert!(keys.place(b"/molt/v1/main/\xff").is_err());
    }

    #[test]
    fn fleets_with_like_names_do_not_mix() {
        let (first, end) = keys().range();
        for other in ["main2", "mai", "main-x", "main.x", "main_"] {
            let head = Keys::of(&Fleet::parse(other).unwrap()).head();
            assert!(head < first || head >= end, "{head} is among the keys of `main`");
        }
    }
}
