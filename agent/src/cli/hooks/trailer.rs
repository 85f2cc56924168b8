//! The claims of a commit, in its message: `Molt-Claim: clm_7f3k 48213`.
//!
//! Whether the commit may be made was decided before, so nothing here stops it.

use std::path::Path;

use super::super::check::staged;
use super::super::context::Context;
use super::super::git::Git;
use crate::error::Error;
use crate::guard::{Snapshot, SnapshotClaim};
use crate::session::Record;
use crate::session::committed;
use crate::ui::{self, Answer};

/// What a commit's claims are called in its message.
pub(in crate::cli) const TRAILER: &str = "Molt-Claim";

/// What git puts above the changes that it shows in an editor.
const SCISSORS: &str = "------------------------ >8 ------------------------";

/// Adds the claims that cover the commit's paths to the message in `file`.
pub(super) fn add(context: &Context, file: &Path) -> Result<Answer, Error> {
    let trailers = added(context, file).unwrap_or_else(|error| {
        ui::warn(&format!("no claim is named in the message: {}", error.in_full()));
        Vec::new()
    });
    Ok(Answer::new("hooks", "trailer", serde_json::json!({ "trailers": trailers })))
}

fn added(context: &Context, file: &Path) -> Result<Vec<String>, Error> {
    let worktree = context.worktree()?;
    let git = Git::new(&worktree.top);
    let file = context.cwd().join(file);
    let draft = std::fs::read(&file).map_err(Error::file("read", &file))?;
    let draft = String::from_utf8_lossy(&draft);
    let above = draft.lines().take_while(|line| !line.ends_with(SCISSORS));
    let above: String = above.flat_map(|line| [line, "\n"]).collect();
    // Git gives up a commit whose message is empty; a trailer would make it one.
    if git.message(&above)?.is_empty() {
        return Ok(Vec::new());
    }
    let Some(session) = context.session_file()?.read()? else { return Ok(Vec::new()) };
    let claims = claims(context, &session, &staged(worktree)?)?;
    let trailers: Vec<String> = claims.iter().map(trailer).collect();
    if !trailers.is_empty() {
        committed::add(worktree, session.id, &claims)?;
        git.add_trailers(&file, &trailers)?;
    }
    Ok(trailers)
}

/// What the message says of a claim.
fn trailer(claim: &SnapshotClaim) -> String {
    match claim.fence {
        Some(fence) => format!("{TRAILER}: {} {fence}", claim.claim),
        None => format!("{TRAILER}: {}", claim.claim),
    }
}

/// The claims of `session` that cover one of `paths`.
fn claims(
    context: &Context,
    session: &Record,
    paths: &[String],
) -> Result<Vec<SnapshotClaim>, Error> {
    let repo = context.repo(Some(session))?;
    let Some(snapshot) = Snapshot::read(context.state(), &repo)? else { return Ok(Vec::new()) };
    let Snapshot { claims, scopes, .. } = snapshot;
    let covering = claims.into_iter().filter(|claim| {
        claim.session == session.id && paths.iter().any(|path| claim.covers(&scopes, path))
    });
    Ok(covering.collect())
}
