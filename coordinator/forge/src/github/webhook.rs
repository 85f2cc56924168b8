//! Webhooks: GitHub says that something is not as it was read any more.
//!
//! A webhook is a hint and nothing more. Its signature is checked over the raw bytes, by a
//! [`Secrets`] alone can a [`Verified`] body be had, and of that comes what is [`Dirty`]: whoever
//! acts reads it again at GitHub. So a lost webhook costs time, and one that comes late, twice or out
//! of order costs a look. That is why none is kept: a queue of them would have to be stored,
//! bounded and emptied, and would still miss those that GitHub never sent. The id of a delivery is
//! not even read: no signature covers it. None covers the event's name either, but by a wrong one
//! no more than something else is read again.
//!
//! Not here: listening, and the order in which a stranger's request is looked at (`webhooks` of
//! `molt-coordinator`).

mod hint;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use octocrab::models::webhook_events::verification::verify_signature;
use secrecy::{ExposeSecret as _, SecretString};

pub use hint::{Dirty, Hint, Reading};

/// The header that names the event, in lower case.
pub const EVENT: &str = "x-github-event";

/// The header that has the signature, in lower case. The older one, of SHA-1, is not looked at.
pub const SIGNATURE: &str = "x-hub-signature-256";

/// The longest body that GitHub sends, in bytes: where it would be longer, nothing is sent.
pub const MAX_BODY: usize = 25 << 20;

/// Hex digits of an HMAC-SHA256.
const DIGITS: usize = 64;

/// What a header says the signature is; a body has yet to bear it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(String);

/// A text that can be no body's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `sha256=` and {DIGITS} hex digits")]
pub struct InvalidSignature;

impl FromStr for Signature {
    type Err = InvalidSignature;

    fn from_str(text: &str) -> Result<Self, InvalidSignature> {
        let digits = text.strip_prefix("sha256=").ok_or(InvalidSignature)?;
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidSignature);
        }
        Ok(Self(text.to_owned()))
    }
}

/// What GitHub and this fleet know and nobody else: one secret, or two while it is replaced.
#[derive(Debug)]
pub struct Secrets {
    one: SecretString,
    /// The one that comes, or the one that goes.
    other: Option<SecretString>,
}

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file does not read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Everybody could sign with that.
    #[error("{}: there is no secret", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// More than a rotation needs, or none.
    #[error("{count} files of webhook secrets: expected one, or two while a secret is replaced")]
    Count {
        /// How many there are.
        count: usize,
    },
}

impl Secrets {
    /// Reads one file or two, each with a secret and nothing else but for one line's end.
    ///
    /// # Errors
    ///
    /// The file that does not read or is empty, or that there are too many or none.
    pub fn read(files: &[PathBuf]) -> Result<Self, SecretsError> {
        match files {
            [one] => Ok(Self { one: secret(one)?, other: None }),
            [one, other] => Ok(Self { one: secret(one)?, other: Some(secret(other)?) }),
            _ => Err(SecretsError::Count { count: files.len() }),
        }
    }

    /// The body, if `signature` is its signature by one of the secrets. How long that takes tells
    /// nothing about them.
    #[must_use]
    pub fn verify<'b>(&self, signature: &Signature, body: &'b [u8]) -> Option<Verified<'b>> {
        let signs = |secret: &SecretString| {
            verify_signature(&signature.0, secret.expose_secret(), body).is_ok()
        };
        let signed = std::iter::once(&self.one).chain(&self.other).any(signs);
        signed.then_some(Verified(body))
    }
}

fn secret(path: &Path) -> Result<SecretString, SecretsError> {
    let text = fs::read_to_string(path)
        .map(SecretString::from)
        .map_err(|source| SecretsError::File { path: path.to_owned(), source })?;
    let line = text.expose_secret();
    let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.trim().is_empty() {
        return Err(SecretsError::Empty { path: path.to_owned() });
    }
    Ok(SecretString::from(line))
}

/// A body that somebody sent who knows a secret.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'b>(&'b [u8]);

impl Verified<'_> {
    /// What it says of the event that `event` names.
    #[must_use]
    pub fn hint(self, event: &str) -> Hint {
        hint::read(event, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's own example.
    const KNOWN: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets(texts: &[&str]) -> Result<Secrets, SecretsError> {
        let folder = tempfile::tempdir().unwrap();
        let file = |(n, text): (usize, &&str)| {
            let path = folder.path().join(n.to_string());
            fs::write(&path, text).unwrap();
            path
        };
        Secrets::read(&texts.iter().enumerate().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn a_body_is_had_by_either_secret_and_by_no_other() {
        let known = "It's a Secret to Everybody";
        let signs = |texts: &[&str], body: &[u8]| {
            secrets(texts).unwrap().verify(&KNOWN.parse().unwrap(), body).is_some()
        };
        assert!(signs(&[known], b"Hello, World!"));
        assert!(
            signs(&["It's a Secret to Everybody\r\n"], b"Hello, World!"),
            "but for a line's end"
        );
        assert!(signs(&["new", known], b"Hello, World!"));
        assert!(signs(&[known, "old"], b"Hello, World!"));
        assert!(!signs(&["new", "old"], b"Hello, World!"));
        assert!(!signs(&["It's a Secret to Everybody\n\n"], b"Hello, World!"));
        assert!(!signs(&[known], b"Hello, World"));
    }

    #[test]
    fn secrets_are_one_or_two_and_are_never_shown() {
        let told = |texts: &[&str]| secrets(texts).unwrap_err().to_string();
        assert!(told(&[]).starts_with("0 files of webhook secrets"));
        assert!(told(&["a", "b", "c"]).starts_with("3 files of webhook secrets"));
        assert!(told(&["a", " \n"]).ends_with("there is no secret"));
        let shown = format!("{:?}", secrets(&["hush", "hushed"]).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn what_can_be_no_signature_is_found_out_before_a_body_is_read() {
        for wrong in [
            "",
            "sha256=",
            &KNOWN[7..],
            &KNOWN[..70],
            &format!("{KNOWN}0"),
            &KNOWN.replace('7', "g"),
            &KNOWN.replace("sha256", "sha1"),
            "sha1=2a6f81a7cf73cfb841e25eecb23e75e927595c55",
        ] {
            assert_eq!(wrong.parse::<Signature>(), Err(InvalidSignature), "{wrong}");
        }
    }
}
