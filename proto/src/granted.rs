//! The highest fence that a caller was granted, beside its request.
//!
//! It travels as metadata because it belongs to no command: a coordinator that
//! stands below it has lost records, whatever is asked. Not here: what follows
//! from that (`board::RolledBack` in `molt-domain`).

use molt_domain::board::Invalid;
use molt_domain::id::Fence;
use tonic::metadata::{MetadataMap, MetadataValue};

const KEY: &str = "molt-granted";

/// Says that `fence` was granted.
#[expect(clippy::expect_used, reason = "a fence is digits and a point")]
pub fn tell(metadata: &mut MetadataMap, fence: Fence) {
    let value = MetadataValue::try_from(fence.to_string()).expect("digits and a point are ASCII");
    metadata.insert(KEY, value);
}

/// The fence that a caller says it was granted.
///
/// # Errors
///
/// It says something that is no fence.
pub fn told(metadata: &MetadataMap) -> Result<Option<Fence>, Invalid> {
    let Some(value) = metadata.get(KEY) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Invalid::field(KEY, "not ASCII"))?;
    let fence = text.parse().map_err(|error| Invalid::field(KEY, format!("{error}")))?;
    Ok(Some(fence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let mut metadata = MetadataMap::new();
        assert_eq!(told(&metadata), Ok(None));
        let fence = Fence { epoch: 1, n: 57 };
        tell(&mut metadata, fence);
        assert_eq!(told(&metadata), Ok(Some(fence)));
        metadata.insert(KEY, MetadataValue::from_static("x"));
        let invalid = told(&metadata).unwrap_err();
        assert!(invalid.to_string().starts_with("molt-granted: `x` is no fence"), "{invalid}");
    }
}
