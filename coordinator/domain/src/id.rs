//! Names of things: typed ids, fences and board time.
//!
//! Ids are made from the board's own counter, so that deciding stays pure: the
//! same commands in the same order make the same ids. Not here: wall time,
//! which the rules never see, and secrets, which are made at the edge.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Digits of an id: no `i`, `l`, `o`, `u`, so that an id read aloud survives.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A text that is no id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind} id: expected {prefix}_ and up to 13 of 0-9 a-z without i, l, o, u")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
    /// What was expected, in words.
    pub kind: &'static str,
    /// The prefix of such ids.
    pub prefix: &'static str,
}

fn encode(mut n: u64) -> String {
    let mut digits = Vec::with_capacity(13);
    loop {
        digits.push(DIGITS[(n % 32) as usize]);
        n /= 32;
        if n == 0 && digits.len() >= 4 {
            break;
        }
    }
    digits.iter().rev().copied().map(char::from).collect()
}

fn decode(text: &str) -> Option<u64> {
    if text.len() < 4 || text.len() > 13 {
        return None;
    }
    text.bytes().try_fold(0u64, |n, byte| {
        let digit = DIGITS.iter().position(|&known| known == byte)?;
        n.checked_mul(32)?.checked_add(digit as u64)
    })
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(u64);

        impl $name {
            /// The id that the board's counter value `n` makes.
            pub const fn from_counter(n: u64) -> Self {
                Self(n)
            }

            /// The counter value that made this id.
            pub const fn counter(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| InvalidId {
                        text: text.to_owned(),
                        kind: $kind,
                        prefix: $prefix,
                    })
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }
    };
}

id_type!(
    /// One agent at work.
    SessionId, "ses", "session"
);
id_type!(
    /// One claim, on one or several scopes.
    ClaimId, "clm", "claim"
);
id_type!(
    /// One unit of work.
    TaskId, "tsk", "task"
);
id_type!(
    /// One hold of a lock, slot or build, or one place in its line.
    HoldId, "hld", "hold"
);
id_type!(
    /// One run of a gate on a machine.
    JobId, "job", "job"
);
id_type!(
    /// One change in the train, pinned to its head.
    CarId, "car", "car"
);
id_type!(
    /// One bearer token; the token itself is not made from it.
    TokenId, "tok", "token"
);
id_type!(
    /// One message; as a cursor, the place behind it.
    MessageId, "msg", "message"
);
id_type!(
    /// One refusal that can be explained later.
    RefusalId, "ref", "refusal"
);

/// A grant's number. Fences only grow; every receiver refuses an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// Raised when records were lost, so that no older fence ever passes again.
    pub epoch: u64,
    /// The board's counter at the grant.
    pub n: u64,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            0 => write!(f, "{}", self.n),
            epoch => write!(f, "{epoch}.{}", self.n),
        }
    }
}

impl FromStr for Fence {
    type Err = InvalidFence;

    fn from_str(text: &str) -> Result<Self, InvalidFence> {
        let (epoch, n) = text.split_once('.').unwrap_or(("0", text));
        let number = |part: &str| part.parse().map_err(|_| InvalidFence(text.to_owned()));
        Ok(Self { epoch: number(epoch)?, n: number(n)? })
    }
}

/// That a text is no fence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fence: expected a number, or an epoch and a number like `1.57`")]
pub struct InvalidFence(String);

/// Board time in milliseconds: runs only while a leader serves, never back.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct BoardTime(pub u64);

impl BoardTime {
    /// The time `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A span in whole milliseconds, the unit of every stored duration.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_written() {
        for n in [0, 1, 31, 32, 1 << 20, u64::MAX] {
            let id = ClaimId::from_counter(n);
            assert_eq!(id.to_string().parse::<ClaimId>(), Ok(id));
        }
        assert_eq!(ClaimId::from_counter(1).to_string(), "clm_0001");
    }

    #[test]
    fn a_wrong_kind_or_digit_is_refused() {
        for text in ["", "clm", "clm_", "clm_1", "tsk_0001", "clm_000i", "clm_zzzzzzzzzzzzzz"] {
            assert!(text.parse::<ClaimId>().is_err(), "{text}");
        }
    }

    #[test]
    fn fences_order_by_epoch_first() {
        assert!(Fence { epoch: 1, n: 1 } > Fence { epoch: 0, n: 99 });
        for fence in [Fence { epoch: 0, n: 57 }, Fence { epoch: 2, n: 8 }] {
            assert_eq!(fence.to_string().parse(), Ok(fence));
        }
        assert!(["", "x", "1.", ".1", "1.2.3", "-1"].iter().all(|it| it.parse::<Fence>().is_err()));
    }
}
