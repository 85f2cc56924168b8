//! Claims: asking for scopes, giving them back, telling of them, taking them away.

use molt_domain::board::{Command, Invalid};
use molt_domain::claim::{Accepted, Mode, Named, Outcome, Wanted};

use super::field;
use crate::v1;

const OUTCOMES: [(&str, Outcome); 5] = [
    ("done", Outcome::Done),
    ("dropped", Outcome::Dropped),
    ("blocked", Outcome::Blocked),
    ("superseded", Outcome::Superseded),
    ("falsified", Outcome::Falsified),
];

impl TryFrom<v1::Claim> for Command {
    type Error = Invalid;

    fn try_from(claim: v1::Claim) -> Result<Self, Invalid> {
        field::limited_all("tests", &claim.tests, 4096)?;
        Ok(Self::Claim(Wanted {
            scopes: field::scopes(&claim.scopes)?,
            globs: field::globs(&claim.globs)?,
            why: claim.why,
            task: field::optional("task", &claim.task)?,
            mode: if claim.shared { Mode::Shared } else { Mode::Exclusive },
            risk: field::risk(&claim.risk)?,
            tests: claim.tests,
            max: Some(claim.max_ms).filter(|&span| span != 0),
            otherwise: field::otherwise(claim.wait),
        }))
    }
}

impl TryFrom<v1::Release> for Command {
    type Error = Invalid;

    fn try_from(release: v1::Release) -> Result<Self, Invalid> {
        let outcome = match release.outcome.as_str() {
            "" => Outcome::default(),
            word => field::word("outcome", word, &OUTCOMES)?,
        };
        let (scopes, globs) = (field::scopes(&release.scopes)?, field::globs(&release.globs)?);
        Ok(Self::Release { scopes, globs, outcome })
    }
}

impl TryFrom<v1::Extend> for Command {
    type Error = Invalid;

    fn try_from(extend: v1::Extend) -> Result<Self, Invalid> {
        let v1::Extend { scopes, span_ms: span, globs } = extend;
        if span == 0 {
            return Err(Invalid::field("span_ms", field::MISSING));
        }
        Ok(Self::Extend { scopes: field::scopes(&scopes)?, globs: field::globs(&globs)?, span })
    }
}

impl TryFrom<v1::Narrow> for Command {
    type Error = Invalid;

    fn try_from(narrow: v1::Narrow) -> Result<Self, Invalid> {
        let to = field::scopes(&narrow.to)?;
        let globs = field::globs(&narrow.globs)?;
        Ok(Self::Narrow { from: field::parse("from", &narrow.from)?, to, globs })
    }
}

impl TryFrom<v1::Handoff> for Command {
    type Error = Invalid;

    fn try_from(handoff: v1::Handoff) -> Result<Self, Invalid> {
        let v1::Handoff { what, to, note, glob } = handoff;
        let (claim, to) = (named(&what, &glob)?, field::parse("to", &to)?);
        Ok(Self::Handoff { claim, to, note })
    }
}

impl TryFrom<v1::Withdraw> for Command {
    type Error = Invalid;

    fn try_from(withdraw: v1::Withdraw) -> Result<Self, Invalid> {
        Ok(Self::Withdraw { claim: named(&withdraw.what, &withdraw.glob)? })
    }
}

/// Which claim is meant, by its id, a scope or a path.
fn named(what: &str, glob: &str) -> Result<Named, Invalid> {
    match (what.is_empty(), glob.is_empty()) {
        (false, true) => Ok(match what.parse() {
            Ok(claim) => Named::Claim(claim),
            Err(_) => Named::Scope(field::parse("what", what)?),
        }),
        (true, false) => Ok(Named::Glob(field::parse("glob", glob)?)),
        (true, true) => Err(Invalid::field("what", field::MISSING)),
        (false, false) => Err(Invalid::field("glob", "a claim is named once: by this, or by what")),
    }
}

impl TryFrom<v1::Accept> for Command {
    type Error = Invalid;

    fn try_from(accept: v1::Accept) -> Result<Self, Invalid> {
        let what = accept.what.as_str();
        Ok(Self::Accept(match what.parse() {
            _ if what.is_empty() => Accepted::Only,
            Ok(claim) => Accepted::Claim(claim),
            Err(_) => Accepted::Scope(field::parse("what", what)?),
        }))
    }
}

impl TryFrom<v1::Unqueue> for Command {
    type Error = Invalid;

    fn try_from(unqueue: v1::Unqueue) -> Result<Self, Invalid> {
        Ok(Self::Unqueue { claim: field::parse("claim", &unqueue.claim)? })
    }
}

impl TryFrom<v1::Announce> for Command {
    type Error = Invalid;

    fn try_from(announce: v1::Announce) -> Result<Self, Invalid> {
        let v1::Announce { files, tests, risk, note } = announce;
        Ok(Self::Announce { files, tests, risk: field::risk(&risk)?, note })
    }
}

impl TryFrom<v1::Revoke> for Command {
    type Error = Invalid;

    fn try_from(revoke: v1::Revoke) -> Result<Self, Invalid> {
        let v1::Revoke { id, reason } = revoke;
        match id.split_once('_') {
            Some(("clm", _)) => Ok(Self::RevokeClaim { claim: field::parse("id", &id)?, reason }),
            Some(("ses", _)) => {
                Ok(Self::RevokeSession { session: field::parse("id", &id)?, reason })
            }
            _ => {
                let id = field::clip(&id, 64);
                Err(Invalid::field("id", format!("`{id}` is neither a claim nor a session id")))
            }
        }
    }
}
