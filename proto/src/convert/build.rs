//! Builds: asking for one, and how it ended.

use molt_domain::board::{Command, Invalid};
use molt_domain::build::BuildKey;

use super::{field, hold, job};
use crate::v1;

fn key(message: Option<v1::BuildKey>) -> Result<BuildKey, Invalid> {
    let key = message.ok_or_else(|| Invalid::field("build", field::MISSING))?;
    Ok(BuildKey {
        name: field::parse("build.name", &key.name)?,
        fingerprint: field::parse("build.fingerprint", &key.fingerprint)?,
        profile: field::parse("build.profile", &key.profile)?,
        place: field::parse("build.place", &key.place)?,
    })
}

impl TryFrom<v1::AskBuild> for Command {
    type Error = Invalid;

    fn try_from(ask: v1::AskBuild) -> Result<Self, Invalid> {
        field::limited("what", &ask.what, hold::MAX_WHAT)?;
        let missing = field::nonempty(ask.missing);
        Ok(Self::AskBuild { build: key(ask.build)?, missing, what: ask.what })
    }
}

impl TryFrom<v1::EndBuild> for Command {
    type Error = Invalid;

    fn try_from(end: v1::EndBuild) -> Result<Self, Invalid> {
        field::limited("artifacts", &end.artifacts, 128)?;
        Ok(Self::EndBuild {
            hold: field::parse("hold", &end.hold)?,
            class: job::class("class", &end.class)?,
            artifacts: field::nonempty(end.artifacts),
        })
    }
}
