//! Which version of the wire a client speaks, beside its requests.
//!
//! A coordinator speaks its own version and the one before. Fields and verbs
//! that are added need no new version: who does not know them says so. It
//! rises when the meaning of something changes. Not here: the format of what
//! is stored (`molt-store`).

use molt_domain::board::Invalid;
use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::error;

/// The version of this program.
pub const VERSION: u32 = 1;

/// The oldest version that this program still answers.
const OLDEST: u32 = 1;

const KEY: &str = "molt-protocol";

/// Says which version this client speaks.
pub fn tell(metadata: &mut MetadataMap) {
    metadata.insert(KEY, MetadataValue::from(VERSION));
}

/// Whether a client is answered. One that says nothing is of the first version.
///
/// # Errors
///
/// It is too new or too old, or says something that is no version.
pub fn check(metadata: &MetadataMap) -> Result<(), Status> {
    let Some(value) = metadata.get(KEY) else { return Ok(()) };
    let version = value.to_str().ok().and_then(|text| text.parse::<u32>().ok());
    let problem = match version {
        Some(OLDEST..=VERSION) => return Ok(()),
        Some(VERSION..) => format!("{value:?} is newer than {VERSION}: upgrade the coordinator"),
        Some(_) => format!("{value:?} is older than {OLDEST}: upgrade the client"),
        None => format!("{value:?} is no version"),
    };
    Err(error::status(&Invalid::field(KEY, problem).into(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_another_version_is_told_which_are_spoken() {
        let mut metadata = MetadataMap::new();
        check(&metadata).unwrap();
        tell(&mut metadata);
        check(&metadata).unwrap();
        for (said, problem) in
            [("2", "upgrade the coordinator"), ("0", "upgrade the client"), ("x", "no version")]
        {
            metadata.insert(KEY, said.parse().unwrap());
            let refused = check(&metadata).unwrap_err();
            assert!(refused.message().contains(problem), "{refused}");
        }
    }
}
