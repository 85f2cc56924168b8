//! That this host's guard knows what was just answered.
//!
//! The daemon hears of a change of claims after the session does. Until it has
//! written it down, a check would still deny what is granted, or allow what was
//! given back. Not here: what the guard says ([`crate::guard`]).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use molt_domain::id::SessionId;
use molt_proto::v1;
use tokio::time::{sleep, timeout};

use super::context::Context;
use crate::clock;
use crate::error::Error;
use crate::guard::{Snapshot, SnapshotClaim, Staleness};
use crate::session::SessionFile;
use crate::ui::Answer;

/// How long a verb waits for it: a daemon that is at work needs a small part of that.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks at the file.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// What was answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<'a> {
    /// A claim is held so.
    Held(&'a v1::ClaimView),
    /// Those of these that are held are held still.
    Kept(&'a [v1::ClaimView]),
    /// These were given back.
    Released(&'a v1::Released),
}

impl Change<'_> {
    /// Whether what the host has says so of `session`, or is of a later commit than `rev`, which
    /// may have undone it.
    fn is_in(self, snapshot: &Snapshot, session: SessionId, rev: u64) -> bool {
        let own = || snapshot.claims.iter().filter(|claim| claim.session == session);
        snapshot.rev >= rev
            || match self {
                Self::Held(claim) => own().any(|known| is_same(known, claim)),
                Self::Kept(claims) => {
                    let mut held = claims.iter().filter(|claim| claim.state == "held");
                    held.all(|claim| own().any(|known| is_same(known, claim)))
                }
                Self::Released(gone) => !own().any(|known| {
                    known.scopes.iter().any(|scope| gone.scopes.contains(&scope.to_string()))
                        || known.globs.iter().any(|glob| gone.globs.contains(&glob.to_string()))
                }),
            }
    }
}

fn is_same(known: &SnapshotClaim, claim: &v1::ClaimView) -> bool {
    let same = |known: Vec<String>, told: &[String]| {
        known.len() == told.len() && known.iter().all(|piece| told.contains(piece))
    };
    known.claim.to_string() == claim.id
        && known.fence.is_none_or(|fence| fence.to_string() == claim.fence)
        && same(known.scopes.iter().map(ToString::to_string).collect(), &claim.scopes)
        && same(known.globs.iter().map(ToString::to_string).collect(), &claim.globs)
}

/// The answer, once the guard of this host knows of the change; else with a warning.
pub(super) async fn known(
    context: &Context,
    file: &SessionFile,
    answer: Answer,
    (change, rev): (Change<'_>, u64),
) -> Result<Answer, Error> {
    let Some(record) = file.read()? else { return Ok(answer) };
    // Nobody writes a snapshot where nobody renews the session, and that was said.
    if context.is_unkept() {
        return Ok(answer);
    }
    let path = Snapshot::path(context.state(), &record.repo);
    let mut seen = None;
    let looked = async {
        loop {
            let now = path.metadata().ok().as_ref().map(version);
            // A snapshot of a large fleet is not read again for nothing.
            if now != seen
                && let Some(snapshot) = Snapshot::read(context.state(), &record.repo)?
                && change.is_in(&snapshot, record.id, rev)
                && is_believed(&snapshot)
            {
                return Ok(());
            }
            seen = now;
            sleep(BETWEEN_LOOKS).await;
        }
    };
    match timeout(PATIENCE, looked).await {
        Ok(Ok(())) => Ok(answer),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(answer.warn(format!(
            "this host's guard did not hear of it within {PATIENCE:?}: a check may still answer as before"
        ))),
    }
}

/// Whether the guard goes by it at all: one of yesterday may say the same.
fn is_believed(snapshot: &Snapshot) -> bool {
    matches!(snapshot.staleness(clock::boottime()), Ok(Staleness::Fresh))
}

/// Which of the files that were put in one place it is.
fn version(file: &Metadata) -> (u64, i64, i64) {
    (file.ino(), file.mtime(), file.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::snapshot;

    fn told(claim: &SnapshotClaim) -> v1::ClaimView {
        v1::ClaimView {
            id: claim.claim.to_string(),
            scopes: claim.scopes.iter().map(ToString::to_string).collect(),
            globs: claim.globs.iter().map(ToString::to_string).collect(),
            fence: claim.fence.map(|fence| fence.to_string()).unwrap_or_default(),
            ..v1::ClaimView::default()
        }
    }

    #[test]
    fn a_grant_is_known_once_the_very_claim_is() {
        let snapshot = snapshot();
        let (known, later) = (&snapshot.claims[0], snapshot.rev + 1);
        let knows = |claim: &v1::ClaimView, session, rev| {
            Change::Held(claim).is_in(&snapshot, session, rev)
        };
        assert!(knows(&told(known), known.session, later), "nothing else has to have happened");
        for other in [
            v1::ClaimView { id: "clm_zz99".to_owned(), ..told(known) },
            v1::ClaimView { scopes: Vec::new(), ..told(known) },
            v1::ClaimView { globs: vec!["x/**".to_owned()], ..told(known) },
        ] {
            assert!(!knows(&other, known.session, later), "{other:?}");
            assert!(knows(&other, known.session, snapshot.rev), "a later commit undid it");
        }
        let other = SessionId::from_counter(999);
        assert!(!knows(&told(known), other, later), "another session's is no claim of this one");
    }

    #[test]
    fn what_was_kept_is_known_once_all_of_it_is() {
        let snapshot = snapshot();
        let (known, later) = (&snapshot.claims[0], snapshot.rev + 1);
        let held = v1::ClaimView { state: "held".to_owned(), ..told(known) };
        let knows =
            |claims: &[v1::ClaimView]| Change::Kept(claims).is_in(&snapshot, known.session, later);
        assert!(knows(&[]), "there is nothing to know");
        assert!(knows(std::slice::from_ref(&held)));
        let other = v1::ClaimView { id: "clm_zz99".to_owned(), ..held.clone() };
        assert!(!knows(&[held.clone(), other.clone()]), "one of them is missing");
        let waits = v1::ClaimView { state: "waiting".to_owned(), ..other };
        assert!(knows(&[held, waits]), "a place in line is nothing to the guard");
    }

    #[test]
    fn what_was_given_back_is_known_once_it_is_gone() {
        let snapshot = snapshot();
        let (known, later) = (&snapshot.claims[0], snapshot.rev + 1);
        let gone = v1::Released { scopes: told(known).scopes, globs: Vec::new() };
        assert!(!Change::Released(&gone).is_in(&snapshot, known.session, later));
        let gone = v1::Released { scopes: vec!["elsewhere".to_owned()], globs: Vec::new() };
        assert!(Change::Released(&gone).is_in(&snapshot, known.session, later));
    }
}
