//! Paths inside a tree: raw bytes that usually are text.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A path relative to a tree's root, with `/` between its parts.
///
/// Git stores bytes. The two forms are kept apart so that a rule written over
/// text cannot silently match, or miss, a name that is no UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreePath {
    /// A path that is valid UTF-8.
    Text(String),
    /// A path that is not.
    Bytes(Vec<u8>),
}

impl TreePath {
    /// The path that git wrote as `bytes`.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }

    /// The bytes as git stores them.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The path as text, unless it is no UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(_) => None,
        }
    }

    /// The path as the file system takes it, relative to the tree's root.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.as_bytes()))
    }
}

impl fmt::Display for TreePath {
    /// Text as it is; other bytes as `\xNN`, so that two names never print alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => write!(f, "{}", bytes.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_stay_apart_and_survive() {
        let text = TreePath::from_bytes(b"src/a.rs".to_vec());
        assert_eq!(text, TreePath::Text("src/a.rs".to_owned()));
        let odd = TreePath::from_bytes(b"caf\xe9".to_vec());
        assert_eq!(odd.as_text(), None);
        assert_eq!(odd.as_bytes(), b"caf\xe9");
        assert_eq!(odd.to_string(), "caf\\xe9");
    }
}
