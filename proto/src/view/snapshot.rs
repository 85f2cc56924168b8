//! Snapshots: what a guard needs to answer without a coordinator.

use molt_domain::board::Board;
use molt_domain::claim::State;
use molt_domain::policy::Repo;

use super::{name_of, texts};
use crate::v1;

/// A repository's scopes and every held claim: a guard that misses one would stop its holder.
#[must_use]
pub fn snapshot(board: &Board, repo: &Repo) -> v1::Snapshot {
    let held =
        board.tables().claims.values().filter(|claim| claim.repo == repo.name && claim.is_held());
    let claims = held.map(|claim| v1::SnapshotClaim {
        claim: claim.id.to_string(),
        session: claim.session.to_string(),
        holder: name_of(board, claim.session),
        scopes: texts(claim.scopes()),
        globs: texts(&claim.globs),
        fence: match claim.state {
            State::Held { fence, .. } => fence.to_string(),
            _ => String::new(),
        },
    });
    let scopes_json = match serde_json::to_string(&repo.policy.scopes) {
        Ok(json) => json,
        Err(error) => unreachable!("scopes are lists of strings: {error}"),
    };
    v1::Snapshot { scopes_json, policy: repo.policy.digest.clone(), claims: claims.collect() }
}
