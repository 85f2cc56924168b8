//! Reading single fields, so that each error names the field that it is about.

use std::fmt::Display;
use std::str::FromStr;

use molt_domain::board::Invalid;
use molt_domain::claim::{MAX_GLOBS, Otherwise};
use molt_domain::scope::{Pattern, Risk, ScopeName};

pub(super) const MISSING: &str = "missing";

/// A value that is text on the wire.
pub(super) fn parse<T>(field: &str, text: &str) -> Result<T, Invalid>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error: T::Err| Invalid::field(field, error.to_string()))
}

/// A value that is text on the wire, and empty when there is none.
pub(super) fn optional<T>(field: &str, text: &str) -> Result<Option<T>, Invalid>
where
    T: FromStr<Err: Display>,
{
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

/// Values that are text on the wire.
pub(super) fn all<T>(field: &str, texts: &[String]) -> Result<Vec<T>, Invalid>
where
    T: FromStr<Err: Display>,
{
    texts.iter().map(|text| parse(field, text)).collect()
}

/// Names of scopes, as many as a command may have.
pub(super) fn scopes(texts: &[String]) -> Result<Vec<ScopeName>, Invalid> {
    counted("scopes", texts, 64)?;
    all("scopes", texts)
}

/// Patterns of paths, as many as a command may have.
pub(super) fn globs(texts: &[String]) -> Result<Vec<Pattern>, Invalid> {
    counted("globs", texts, MAX_GLOBS)?;
    all("globs", texts)
}

/// One of a few words.
pub(super) fn word<T: Copy>(field: &str, text: &str, words: &[(&str, T)]) -> Result<T, Invalid> {
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|&(_, value)| value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Invalid::field(field, format!("`{}` is none of {}", clip(text, 64), words.join(", ")))
    })
}

/// A risk; empty for none.
pub(super) fn risk(text: &str) -> Result<Option<Risk>, Invalid> {
    let words = [("low", Risk::Low), ("med", Risk::Med), ("high", Risk::High)];
    if text.is_empty() { Ok(None) } else { word("risk", text, &words).map(Some) }
}

pub(super) fn otherwise(wait: bool) -> Otherwise {
    if wait { Otherwise::Wait } else { Otherwise::Refuse }
}

/// `None` for what the wire calls empty.
pub(super) fn nonempty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// That a text fits a record, `limit` in bytes.
pub(super) fn limited(field: &str, text: &str, limit: usize) -> Result<(), Invalid> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(Invalid::field(field, format!("{} bytes, the limit is {limit}", text.len())))
}

/// That the texts of a list fit a record together, `limit` in bytes.
pub(super) fn limited_all<'a>(
    field: &str,
    texts: impl IntoIterator<Item = &'a String>,
    limit: usize,
) -> Result<(), Invalid> {
    let bytes: usize = texts.into_iter().map(String::len).sum();
    if bytes <= limit {
        return Ok(());
    }
    Err(Invalid::field(field, format!("{bytes} bytes in all, the limit is {limit}")))
}

/// That a list has at most `limit` items.
pub(super) fn counted<T>(field: &str, items: &[T], limit: usize) -> Result<(), Invalid> {
    if items.len() <= limit {
        return Ok(());
    }
    Err(Invalid::field(field, format!("{} items, the limit is {limit}", items.len())))
}

/// That a text is a digest of blake3, as it is written: two writings would be two digests.
pub(super) fn digest(field: &str, text: &str) -> Result<(), Invalid> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 64 && text.bytes().all(hex) {
        return Ok(());
    }
    Err(Invalid::field(field, "no blake3 digest: expected 64 of 0-9 a-f"))
}

/// The first `limit` bytes of a text, cut at a character.
pub(crate) fn clip(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
