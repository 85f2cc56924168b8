//! Candidates: a base and a head made into one commit, without a checkout.
//!
//! Git's own strategy does the merge, and everything in the commit comes from
//! the caller, so that a redo on any machine has the same id. Attributes do not
//! steer merges: a driver such as `union` would make a result that nobody
//! wrote. Not here: a head's commits carried one by one ([`crate::rebase`]), and
//! the order of candidates, which is the train's.

use crate::{Mirror, Oid, RepoError, TreePath};

/// An attribute source that is empty in every repository, also for those git
/// versions that would read attributes from `HEAD` in a bare one.
const NO_ATTRIBUTES: &str = "attr.tree=4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// Everything of a candidate that is not its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateIdentity {
    /// The committer's name; the author's too, of a merge.
    pub name: String,
    /// The committer's address; the author's too, of a merge.
    pub email: String,
    /// The message of a commit that nobody wrote, with an empty line at its end.
    pub message: String,
    /// The lines that end the message of the candidate itself, whoever wrote the rest.
    pub trailers: String,
    /// The committer's time, in seconds since 1970 UTC; the author's too, except of what is
    /// carried.
    pub time: u64,
}

/// How a head gets onto its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A new commit with two parents: the base first, then the head.
    Merge,
    /// The head itself, if it descends from the base.
    FastForward,
    /// A new commit on the base alone with all that the head changes, by the head's author.
    Squash,
    /// Each commit of the head anew on the base, with its own author and message.
    Rebase,
}

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// A candidate.
    Clean {
        /// The candidate.
        commit: Oid,
        /// Its tree.
        tree: Oid,
    },
    /// The two sides disagree.
    Conflict {
        /// Where, in git's order, each path once.
        paths: Vec<TreePath>,
    },
    /// The base already holds the head.
    UpToDate,
    /// The head does not descend from the base, and the method makes no commit.
    Diverged,
    /// The base has all that the head changes, so that the method has nothing to commit.
    Nothing,
    /// A commit of the head is a merge, and the method carries each by itself.
    HasMerge {
        /// The merge.
        commit: Oid,
    },
    /// The head has more commits than the method carries.
    TooMany {
        /// How many it carries.
        limit: usize,
    },
}

/// Where two commits meet.
pub(crate) enum Met {
    /// In this tree.
    Tree(Oid),
    /// Nowhere, because of these paths.
    Conflict(Vec<TreePath>),
}

impl Mirror {
    /// Merges `head` onto `base`. Nothing but objects is written: no ref names
    /// the candidate until it is published.
    pub fn merge(
        &self,
        base: &Oid,
        head: &Oid,
        method: Method,
        identity: &CandidateIdentity,
    ) -> Result<Merge, RepoError> {
        let Some(fork) = self.merge_base(base, head)? else {
            return Err(RepoError::Unrelated { base: base.clone(), head: head.clone() });
        };
        if fork == *head {
            return Ok(Merge::UpToDate);
        }
        match method {
            Method::FastForward if fork == *base => {
                Ok(Merge::Clean { commit: head.clone(), tree: self.tree_of(head)? })
            }
            Method::FastForward => Ok(Merge::Diverged),
            Method::Merge => self.merge_commit(base, head, identity),
            Method::Squash => self.squash(base, head, identity),
            Method::Rebase => self.rebase(base, head, identity),
        }
    }

    fn merge_commit(
        &self,
        base: &Oid,
        head: &Oid,
        identity: &CandidateIdentity,
    ) -> Result<Merge, RepoError> {
        let tree = match self.meet(base, head)? {
            Met::Tree(tree) => tree,
            Met::Conflict(paths) => return Ok(Merge::Conflict { paths }),
        };
        let commit = self.commit_tree(&tree, &[base, head], identity)?;
        Ok(Merge::Clean { commit, tree })
    }

    fn squash(
        &self,
        base: &Oid,
        head: &Oid,
        identity: &CandidateIdentity,
    ) -> Result<Merge, RepoError> {
        let tree = match self.meet(base, head)? {
            Met::Tree(tree) => tree,
            Met::Conflict(paths) => return Ok(Merge::Conflict { paths }),
        };
        if tree == self.tree_of(base)? {
            return Ok(Merge::Nothing);
        }
        let commit = self.commit_of(base, head, &tree, identity)?;
        Ok(Merge::Clean { commit, tree })
    }

    /// Merges two commits into a tree, by git's own strategy.
    pub(crate) fn meet(&self, ours: &Oid, theirs: &Oid) -> Result<Met, RepoError> {
        let call = self
            .call()
            .args(["-c", NO_ATTRIBUTES, "merge-tree", "--write-tree", "-z", "--name-only"])
            .args(["--no-messages", ours.as_str(), theirs.as_str()]);
        let finished = call.finish().map_err(|source| self.failed(source))?;
        if !matches!(finished.code, 0 | 1) {
            return Err(self.failed(finished.into_error()));
        }
        let (tree, paths) = parse(&finished.stdout)?;
        Ok(if finished.code == 1 { Met::Conflict(paths) } else { Met::Tree(tree) })
    }

    fn commit_tree(
        &self,
        tree: &Oid,
        parents: &[&Oid],
        identity: &CandidateIdentity,
    ) -> Result<Oid, RepoError> {
        let date = format!("@{} +0000", identity.time);
        let mut call = self.call().args(["commit-tree", tree.as_str()]);
        for parent in parents {
            call = call.args(["-p", parent.as_str()]);
        }
        let call = call
            .args(["-F", "-"])
            .env("GIT_AUTHOR_NAME", &identity.name)
            .env("GIT_AUTHOR_EMAIL", &identity.email)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", &identity.name)
            .env("GIT_COMMITTER_EMAIL", &identity.email)
            .env("GIT_COMMITTER_DATE", &date)
            .stdin(format!("{}{}", identity.message, identity.trailers).as_bytes());
        let printed = self.run(call)?;
        parse_oid("commit-tree", printed.trim_ascii())
    }
}

/// Reads `<tree> NUL (<path> NUL)*`.
fn parse(printed: &[u8]) -> Result<(Oid, Vec<TreePath>), RepoError> {
    let mut fields = printed.split(|&byte| byte == 0);
    let tree = parse_oid("merge-tree", fields.next().unwrap_or_default().trim_ascii())?;
    // An empty field ends the paths: the last NUL, or messages that we did not ask for.
    let paths = fields.take_while(|field| !field.is_empty());
    Ok((tree, paths.map(|path| TreePath::from_bytes(path.to_vec())).collect()))
}

pub(crate) fn parse_oid(command: &'static str, printed: &[u8]) -> Result<Oid, RepoError> {
    let text = String::from_utf8_lossy(printed);
    text.parse().map_err(|error: crate::InvalidOid| RepoError::Output {
        command,
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_tree_output_is_read_with_and_without_conflicts() {
        let tree = "a".repeat(40);
        let read = |text: String| parse(text.as_bytes()).unwrap().1;
        assert_eq!(read(format!("{tree}\0")), []);
        let paths = ["a b".to_owned(), "x\ny".to_owned()].map(TreePath::Text);
        assert_eq!(read(format!("{tree}\0a b\0x\ny\0")), paths);
        assert_eq!(read(format!("{tree}\0a b\0x\ny\0\0001\0a b\0CONFLICT\0")), paths);
        assert!(matches!(parse(b"fatal"), Err(RepoError::Output { .. })));
    }
}
