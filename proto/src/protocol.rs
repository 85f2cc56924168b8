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

/// The versions that a program answers: its own, and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    newest: u32,
    oldest: u32,
}

impl Default for Versions {
    /// Those of this program.
    fn default() -> Self {
        Self::of(VERSION)
    }
}

const KEY: &str = "molt-protocol";

/// Says which version this client speaks.
pub fn tell(metadata: &mut MetadataMap) {
    metadata.insert(KEY, MetadataValue::from(VERSION));
}

impl Versions {
    /// Those of a program whose own is `newest`.
    #[must_use]
    pub const fn of(newest: u32) -> Self {
        let oldest = if newest > 1 { newest - 1 } else { 1 };
        Self { newest, oldest }
    }

    /// Whether a client is answered. One that says nothing is of the first version.
    ///
    /// # Errors
    ///
    /// It is too new or too old, or says something that is no version.
    pub fn check(self, metadata: &MetadataMap) -> Result<(), Status> {
        let Self { newest, oldest } = self;
        let (version, told) = match metadata.get(KEY) {
            None => (Some(1), "1".to_owned()),
            Some(value) => {
                let version = value.to_str().ok().and_then(|text| text.parse::<u32>().ok());
                (version, format!("{value:?}"))
            }
        };
        let problem = match version {
            Some(version) if (oldest..=newest).contains(&version) => return Ok(()),
            Some(version) if version > newest => {
                format!("{told} is newer than {newest}: upgrade the coordinator")
            }
            Some(_) => format!("{told} is older than {oldest}: upgrade the client"),
            None => format!("{told} is no version"),
        };
        Err(error::status(&Invalid::field(KEY, problem).into(), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_another_version_is_told_which_are_spoken() {
        let ours = Versions::default();
        let mut metadata = MetadataMap::new();
        ours.check(&metadata).unwrap();
        tell(&mut metadata);
        ours.check(&metadata).unwrap();
        for (said, problem) in
            [("2", "upgrade the coordinator"), ("0", "upgrade the client"), ("x", "no version")]
        {
            metadata.insert(KEY, said.parse().unwrap());
            let refused = ours.check(&metadata).unwrap_err();
            assert!(refused.message().contains(problem), "{refused}");
        }
    }

    #[test]
    fn a_program_answers_its_own_version_and_the_one_before() {
        let said = |versions: Versions, said: Option<&'static str>| {
            let mut metadata = MetadataMap::new();
            if let Some(said) = said {
                metadata.insert(KEY, MetadataValue::from_static(said));
            }
            versions.check(&metadata).map_err(|refused| refused.message().to_owned())
        };
        for version in ["2", "3"] {
            assert_eq!(said(Versions::of(3), Some(version)), Ok(()));
        }
        let newer = said(Versions::of(3), Some("4")).unwrap_err();
        assert_eq!(newer, "molt-protocol: \"4\" is newer than 3: upgrade the coordinator");
        for older in [None, Some("1")] {
            let older = said(Versions::of(3), older).unwrap_err();
            assert!(older.ends_with("is older than 2: upgrade the client"), "{older}");
        }
    }
}
