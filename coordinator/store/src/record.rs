//! A key, its JSON text, and a change of one of them.
//!
//! Both are checked where they enter, so that no backend ever meets a key that it cannot order
//! or a value that a person cannot read.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use thiserror::Error;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// The name of a record: segments of printable ASCII between single slashes, such as
/// `claim/clm_0001`. Keys order by their bytes, in every backend.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It has more than [`MAX_KEY_BYTES`].
    #[error("key of {bytes} bytes is longer than {MAX_KEY_BYTES}")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A segment is empty: no text, a slash at an end, or two in a row.
    #[error("key `{key}` has an empty segment")]
    EmptySegment {
        /// The text.
        key: String,
    },
    /// A character is not printable ASCII.
    #[error("key {key:?} has {found:?}, which is not printable ascii")]
    Character {
        /// The text.
        key: String,
        /// The first such character.
        found: char,
    },
}

impl Key {
    /// Takes `text` as a key.
    ///
    /// # Errors
    ///
    /// Fails if `text` is too long, has an empty segment or a character that is not printable
    /// ASCII.
    pub fn parse(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong { bytes: text.len() });
        }
        if let Some(found) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(KeyError::Character { key: text, found });
        }
        if text.split('/').any(str::is_empty) {
            return Err(KeyError::EmptySegment { key: text });
        }
        Ok(Self(text.into_boxed_str()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A text that is known to be one JSON value. It comes back from a store byte for byte, so two
/// are equal only if they are written alike.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// Takes `text` as JSON, as it is written.
    ///
    /// # Errors
    ///
    /// Fails if `text` is not exactly one JSON value.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        serde_json::from_str::<IgnoredAny>(&text)?;
        Ok(Self(text.into_boxed_str()))
    }

    /// Takes a text that a writer of JSON made of one value. It is not looked at again where speed
    /// counts, only in builds for tests.
    pub fn from_writer(text: String) -> Self {
        debug_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok(), "no JSON: {text}");
        Self(text.into_boxed_str())
    }

    /// Writes `value` as JSON.
    ///
    /// # Errors
    ///
    /// Fails if `value` has no JSON form, for instance a map whose keys are not text.
    pub fn encode(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_string(value)?.into_boxed_str()))
    }

    /// Reads the text as a `T`.
    ///
    /// # Errors
    ///
    /// Fails if the value is not a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// The value `{}`.
    pub fn empty_object() -> Self {
        Self("{}".into())
    }

    /// The text as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key and its value, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// Its value.
    pub value: Json,
}

/// What a commit does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key has this value from now on.
    Put(Record),
    /// The key is gone from now on. Deleting a key that is not there is no error.
    Delete {
        /// The key.
        key: Key,
    },
}

impl Change {
    /// The key that changes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(record) => &record.key,
            Self::Delete { key } => key,
        }
    }

    /// How many bytes of key and value the change carries.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put(Record { key, value }) => key.as_str().len() + value.as_str().len(),
            Self::Delete { key } => key.as_str().len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_segments_of_printable_ascii() {
        for good in ["a", "claim/clm_0001", "a/b/c", "x:y=z,@"] {
            assert_eq!(Key::parse(good).unwrap().as_str(), good);
        }
        for empty in ["", "/", "/a", "a/", "a//b"] {
            let found = Key::parse(empty).unwrap_err();
            assert_eq!(found, KeyError::EmptySegment { key: empty.to_owned() });
        }
        for (text, found) in [("a b", ' '), ("a\n", '\n'), ("é", 'é'), ("a\0", '\0')] {
            let key = text.to_owned();
            assert_eq!(Key::parse(text).unwrap_err(), KeyError::Character { key, found });
        }
        assert!(Key::parse("k".repeat(MAX_KEY_BYTES)).is_ok());
        let bytes = MAX_KEY_BYTES + 1;
        assert_eq!(Key::parse("k".repeat(bytes)).unwrap_err(), KeyError::TooLong { bytes });
    }

    #[test]
    fn json_is_exactly_one_value_kept_as_written() {
        let spaced = "{ \"a\" : [1, 2.50, \"\\u0000\"] }\n";
        assert_eq!(Json::parse(spaced).unwrap().as_str(), spaced);
        for bad in ["", "{", "{} {}", "\"\0\"", "nul", "{\"a\":01}"] {
            assert!(Json::parse(bad).is_err(), "{bad:?} was taken as json");
        }
        assert_eq!(Json::encode(&vec![1, 2]).unwrap().decode::<Vec<u8>>().unwrap(), [1, 2]);
    }
}
