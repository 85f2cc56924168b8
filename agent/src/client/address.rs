//! Where a coordinator is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The port of coordinators that name none.
pub const DEFAULT_PORT: u16 = 7420;

/// Host and port of one coordinator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Address(String);

/// A text that is no coordinator's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no coordinator's address: {problem}")]
pub struct InvalidAddress {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Address {
    /// The coordinator of this machine.
    #[must_use]
    pub fn local() -> Self {
        Self(format!("127.0.0.1:{DEFAULT_PORT}"))
    }

    /// The address as gRPC wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let wrong = |problem| InvalidAddress { text: text.to_owned(), problem };
        let place = text.trim();
        if place.starts_with("https://") {
            return Err(wrong("this program does not speak TLS"));
        }
        let place = place.strip_prefix("http://").unwrap_or(place).trim_end_matches('/');
        let (host, port) = split(place).ok_or_else(|| wrong("expected host:port"))?;
        let in_host = |c: char| c.is_ascii_alphanumeric() || "._-:[]%".contains(c);
        if host.is_empty() || !host.chars().all(in_host) {
            return Err(wrong("expected host:port"));
        }
        match port.map(str::parse::<u16>) {
            None => Ok(Self(format!("{host}:{DEFAULT_PORT}"))),
            Some(Ok(port)) if port != 0 => Ok(Self(format!("{host}:{port}"))),
            Some(_) => Err(wrong("the port is no number from 1 to 65535")),
        }
    }
}

/// Host and port; the colons of an IPv6 address are inside brackets.
fn split(place: &str) -> Option<(&str, Option<&str>)> {
    if place.starts_with('[') {
        let end = place.find(']')? + 1;
        let (host, rest) = place.split_at(end);
        return match rest {
            "" => Some((host, None)),
            rest => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match place.split_once(':') {
        None => Some((place, None)),
        Some((_, rest)) if rest.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let table = [
            ("build2", "build2:7420"),
            ("build2:1", "build2:1"),
            ("http://127.0.0.1:7420/", "127.0.0.1:7420"),
            ("[::1]", "[::1]:7420"),
            ("[::1]:8", "[::1]:8"),
        ];
        for (text, address) in table {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), address, "{text}");
        }
        assert_eq!(Address::local().url(), "http://127.0.0.1:7420");
    }

    #[test]
    fn what_is_none_says_why() {
        let table = [
            ("", "expected host:port"),
            ("::1", "expected host:port"),
            ("a b:1", "expected host:port"),
            ("user@host:1", "expected host:port"),
            ("[::1]x", "expected host:port"),
            ("host:0", "the port is no number from 1 to 65535"),
            ("host:99999", "the port is no number from 1 to 65535"),
            ("https://host", "this program does not speak TLS"),
        ];
        for (text, problem) in table {
            assert_eq!(text.parse::<Address>().unwrap_err().problem, problem, "{text}");
        }
    }
}
