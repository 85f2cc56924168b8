//! What proves a session: random bytes that never leave their file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

/// 32 random bytes. Only their digest travels; nothing prints them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new secret from the system's own source.
    pub fn fresh() -> io::Result<Self> {
        let mut bytes = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The digest that the coordinator knows, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        blake3::hash(&self.0).to_hex().to_string()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        blake3::Hash::from_bytes(secret.0).to_hex().to_string()
    }
}

impl TryFrom<String> for Secret {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(text).map(|bytes| Self(*bytes.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_and_never_shown() {
        let secret = Secret::fresh().unwrap();
        assert_ne!(secret, Secret::fresh().unwrap());
        let kept = String::from(secret.clone());
        assert_eq!(Secret::try_from(kept.clone()).unwrap(), secret);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_ne!(secret.digest(), kept, "the digest is not the secret");
        assert!(Secret::try_from("short".to_owned()).is_err());
    }
}
