//! What a push is about: commits, and under which claims they were made.
//!
//! A path is allowed as it is when it is edited, and where nobody has it, also if a
//! claim of this very session covered it when it was committed: the commit names
//! the claim in its message, and this machine remembers what the claim was of. A
//! name alone is not believed, so a commit of somebody else brings none along.

use std::collections::BTreeMap;

use molt_domain::id::ClaimId;

use super::super::context::Context;
use super::super::git::{Git, Trailed};
use super::super::hooks::TRAILER;
use super::{decide_each, in_words};
use crate::error::Error;
use crate::guard::SnapshotClaim;
use crate::session::committed;
use crate::ui::Answer;

/// What the guard says about the commits that git's pre-push is told of on stdin.
pub(super) fn answer(context: &Context, told: &[u8]) -> Result<Answer, Error> {
    let worktree = context.worktree()?;
    let git = Git::new(&worktree.top);
    let remembered = match context.session_file()?.read()? {
        Some(session) => committed::read(worktree, session.id)?,
        None => Vec::new(),
    };
    let mut by_claims: BTreeMap<Vec<ClaimId>, Vec<String>> = BTreeMap::new();
    for pushed in heads(told)? {
        for Trailed { commit, said } in git.unpushed(&pushed, TRAILER)? {
            let named = said.iter().filter_map(|said| said.split(' ').next()?.parse().ok());
            by_claims.entry(named.collect()).or_default().push(commit);
        }
    }
    let mut paths = Vec::new();
    for (named, commits) in by_claims {
        let known = remembered.iter().filter(|under| named.contains(&under.claim));
        let under: Vec<SnapshotClaim> = known.cloned().collect();
        let commits: Vec<&str> = commits.iter().map(String::as_str).collect();
        for path in git.changed(&commits)? {
            paths.push((in_words(path)?, under.clone()));
        }
    }
    decide_each(context, paths)
}

/// The commits that are pushed: git says a line for each reference, of its names
/// and commits here and there.
fn heads(told: &[u8]) -> Result<Vec<String>, Error> {
    let mut heads = Vec::new();
    for line in String::from_utf8_lossy(told).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, commit, _, _] = words.as_slice() else {
            return Err(Error::usage(format!("git does not push like this: `{line}`")));
        };
        if commit.is_empty() || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(Error::usage(format!("no commit id: `{commit}`")));
        }
        // A reference that is taken away changes no path.
        if commit.chars().any(|c| c != '0') {
            heads.push((*commit).to_owned());
        }
    }
    Ok(heads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_line_of_git_is_refused() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let line = format!("refs/heads/a {sha} refs/heads/a {}\n", "0".repeat(40));
        assert_eq!(heads(line.as_bytes()).unwrap(), [sha]);
        let gone = format!("(delete) {} refs/heads/a {sha}\n", "0".repeat(40));
        assert!(heads(gone.as_bytes()).unwrap().is_empty());
        for odd in ["refs/heads/a", "a --all b c", "a  b c"] {
            assert_eq!(heads(odd.as_bytes()).unwrap_err().exit().code(), 2, "{odd}");
        }
    }
}
