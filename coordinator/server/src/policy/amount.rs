//! Amounts that people write with a unit: spans of time and memory.

use std::str::FromStr;
use std::time::Duration;

use molt_domain::id::millis;

/// A span of at least a millisecond, such as `90s` or `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// An amount of memory of at least a byte, such as `512MB` or `4GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

/// A text that is no span.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSpan {
    #[error("`{text}` is no duration such as 90s or 2h: {why}")]
    Unreadable { text: String, why: String },
    #[error("`{text}` is less than a millisecond")]
    Nothing { text: String },
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let text = text.to_owned();
        match humantime::parse_duration(&text) {
            Ok(span) if millis(span) == 0 => Err(InvalidSpan::Nothing { text }),
            Ok(span) => Ok(Self(span)),
            Err(error) => Err(InvalidSpan::Unreadable { why: error.to_string(), text }),
        }
    }
}

/// A text that is no amount of memory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no amount of memory such as 512MB or 4GiB")]
pub(crate) struct InvalidBytes(String);

impl FromStr for Bytes {
    type Err = InvalidBytes;

    fn from_str(text: &str) -> Result<Self, InvalidBytes> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit: Option<u64> = match unit.trim_start() {
            "B" => Some(1),
            "KB" | "kB" => Some(1_000),
            "MB" => Some(1_000_000),
            "GB" => Some(1_000_000_000),
            "TB" => Some(1_000_000_000_000),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "TiB" => Some(1 << 40),
            _ => None,
        };
        let bytes = || number.parse::<u64>().ok()?.checked_mul(unit?).filter(|&bytes| bytes > 0);
        bytes().map(Self).ok_or_else(|| InvalidBytes(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_unit_and_is_not_nothing() {
        for (text, bytes) in [
            ("4GB", 4_000_000_000),
            ("4 GiB", 4 << 30),
            ("1B", 1),
            ("512kB", 512_000),
            ("16TiB", 16 << 40),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "4", "GB", "0GB", "-1GB", "4 Gb", "1.5GB", "99999999999999TB", "4GB "] {
            assert_eq!(text.parse::<Bytes>(), Err(InvalidBytes(text.to_owned())));
        }
    }

    #[test]
    fn a_span_lasts_a_millisecond_at_least() {
        assert_eq!("10m".parse(), Ok(Span(Duration::from_secs(600))));
        assert_eq!("1ms".parse(), Ok(Span(Duration::from_millis(1))));
        for text in ["0s", "999us"] {
            assert_eq!(text.parse::<Span>(), Err(InvalidSpan::Nothing { text: text.to_owned() }));
        }
        assert!("ten minutes".parse::<Span>().is_err());
    }
}
