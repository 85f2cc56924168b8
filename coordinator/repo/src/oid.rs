//! Object ids as validated text, so that no other library's type leaks out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The full id of a git object: 40 (SHA-1) or 64 (SHA-256) lowercase hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Oid(String);

/// A text that is no full object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no object id: expected 40 or 64 hex digits")]
pub struct InvalidOid {
    /// What was given.
    pub text: String,
}

impl Oid {
    /// The id as lowercase hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Oid {
    type Err = InvalidOid;

    fn from_str(text: &str) -> Result<Self, InvalidOid> {
        let full = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if full {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidOid { text: text.to_owned() })
        }
    }
}

impl TryFrom<String> for Oid {
    type Error = InvalidOid;

    fn try_from(text: String) -> Result<Self, InvalidOid> {
        text.parse()
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0
    }
}

impl From<git2::Oid> for Oid {
    fn from(oid: git2::Oid) -> Self {
        Self(oid.to_string())
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_hex_ids_parse_and_case_does_not_matter() {
        let sha1 = "4B825DC642cb6eb9a060e54bf8d69288fbee4904";
        assert_eq!(sha1.parse::<Oid>().unwrap().to_string(), sha1.to_ascii_lowercase());
        assert!("a".repeat(64).parse::<Oid>().is_ok());
        for bad in ["", "HEAD", "4b825dc", &"g".repeat(40), &"a".repeat(41), "-refs/heads/main"] {
            assert_eq!(bad.parse::<Oid>(), Err(InvalidOid { text: bad.to_owned() }));
        }
    }

    #[test]
    fn serde_refuses_what_parsing_refuses() {
        let oid: Oid = "a".repeat(40).parse().unwrap();
        let json = serde_json::to_string(&oid).unwrap();
        assert_eq!(json, format!("\"{oid}\""));
        assert_eq!(serde_json::from_str::<Oid>(&json).unwrap(), oid);
        assert!(serde_json::from_str::<Oid>("\"main\"").is_err());
    }
}
