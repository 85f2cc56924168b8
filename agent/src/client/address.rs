//! Where a coordinator is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The port of coordinators that name none.
pub const DEFAULT_PORT: u16 = 7420;

/// Host and port of one coordinator, and whether it is called with TLS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Address {
    place: String,
    transport: Transport,
}

/// What carries a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Transport {
    /// TCP alone, for this machine's own coordinator.
    Plain,
    /// TLS: written as `https://`.
    Tls,
}

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
        let place = format!("127.0.0.1:{DEFAULT_PORT}");
        Self { place, transport: Transport::Plain }
    }

    /// The address as gRPC wants it.
    #[must_use]
    pub fn url(&self) -> String {
        match self.transport {
            Transport::Plain => format!("http://{}", self.place),
            Transport::Tls => format!("https://{}", self.place),
        }
    }

    /// Whether whoever calls it must say who they are.
    #[must_use]
    pub fn asks_who_calls(&self) -> bool {
        self.transport == Transport::Tls
    }

    /// The same place, called as `other` is: a coordinator names others by their place alone.
    #[must_use]
    pub(super) fn called_like(self, other: &Self) -> Self {
        Self { transport: other.transport, ..self }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let wrong = |problem| InvalidAddress { text: text.to_owned(), problem };
        let place = text.trim();
        let (place, transport) = match place.strip_prefix("https://") {
            Some(place) => (place, Transport::Tls),
            None => (place.strip_prefix("http://").unwrap_or(place), Transport::Plain),
        };
        let place = place.trim_end_matches('/');
        let (host, port) = split(place).ok_or_else(|| wrong("expected host:port"))?;
        let in_host = |c: char| c.is_ascii_alphanumeric() || "._-:[]%".contains(c);
        if host.is_empty() || !host.chars().all(in_host) {
            return Err(wrong("expected host:port"));
        }
        match port.map(str::parse::<u16>) {
            None => Ok(Self { place: format!("{host}:{DEFAULT_PORT}"), transport }),
            Some(Ok(port)) if port != 0 => Ok(Self { place: format!("{host}:{port}"), transport }),
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
        match self.transport {
            Transport::Plain => f.write_str(&self.place),
            Transport::Tls => write!(f, "https://{}", self.place),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
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
            ("https://build2/", "https://build2:7420"),
        ];
        for (text, address) in table {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), address, "{text}");
        }
        assert_eq!(Address::local().url(), "http://127.0.0.1:7420");
        assert_eq!("https://[::1]:8".parse::<Address>().unwrap().url(), "https://[::1]:8");
    }

    #[test]
    fn a_leader_is_called_as_whoever_named_it() {
        let (standby, leader) = ("https://a:1", "b:2");
        let leader: Address = leader.parse().unwrap();
        let called = leader.clone().called_like(&standby.parse().unwrap());
        assert_eq!(called.to_string(), "https://b:2");
        let sent: Address = String::from(called.clone()).parse().unwrap();
        assert_eq!(sent, called, "it reads back as written");
        assert_eq!(called.called_like(&Address::local()), leader);
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
            ("https://", "expected host:port"),
            ("ftp://host", "the port is no number from 1 to 65535"),
        ];
        for (text, problem) in table {
            assert_eq!(text.parse::<Address>().unwrap_err().problem, problem, "{text}");
        }
    }
}
