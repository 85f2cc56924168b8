//! Changed paths between two commits: every path that one side has otherwise.
//!
//! The caller names the two commits: fork point and head for what an author
//! did, base and candidate for what a landing does. Not here: whether a path
//! may be changed, which is a rule over scopes.

use crate::merge::parse_oid;
use crate::{Mirror, Oid, RepoError, TreePath};

/// How many renames are looked for; as many as a merge looks for.
const RENAME_LIMIT: &str = "-l7000";

/// What stands at a path on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file mode: `0o100644`, `0o100755`, `0o120000` (link) or `0o160000` (gitlink).
    pub mode: u32,
    /// The blob, or the commit of a gitlink.
    pub oid: Oid,
}

/// What happened to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(Entry),
    /// It is gone.
    Deleted(Entry),
    /// Content, mode or kind differ.
    Modified {
        /// Before.
        old: Entry,
        /// After.
        new: Entry,
    },
    /// It went to another path.
    RenamedTo(TreePath),
    /// It came from another path, perhaps with changes.
    RenamedFrom {
        /// Where it came from.
        path: TreePath,
        /// Before, over there.
        old: Entry,
        /// After, here.
        new: Entry,
    },
}

/// A path and what happened to it. A rename is two of these, one for each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath {
    /// The path.
    pub path: TreePath,
    /// What happened.
    pub change: Change,
}

impl Mirror {
    /// Every path that differs between two commits, gitlinks and modes included.
    pub fn changed_paths(&self, from: &Oid, to: &Oid) -> Result<Vec<ChangedPath>, RepoError> {
        let objects = self.objects()?;
        let (from, to) = (self.commit(&objects, from)?.id(), self.commit(&objects, to)?.id());
        let printed = self.run(
            self.call()
                .args(["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "-M", RENAME_LIMIT])
                .arg("--ignore-submodules=none")
                .args([from.to_string(), to.to_string()]),
        )?;
        parse(&printed)
    }
}

/// Reads `:<mode> <mode> <id> <id> <letter>[score] NUL <path> NUL [<path> NUL]`.
fn parse(printed: &[u8]) -> Result<Vec<ChangedPath>, RepoError> {
    let mut fields = printed.split(|&byte| byte == 0);
    let mut changed = Vec::new();
    while let Some(head) = fields.next().filter(|head| !head.is_empty()) {
        let head = String::from_utf8_lossy(head);
        let (old, new, letter) = parse_head(&head).ok_or_else(|| unexpected(&head))??;
        let mut path = || {
            let bytes = fields.next().filter(|bytes| !bytes.is_empty());
            bytes.map(|b| TreePath::from_bytes(b.to_vec())).ok_or_else(|| unexpected(&head))
        };
        let first = path()?;
        let mut push = |path, change| changed.push(ChangedPath { path, change });
        match letter {
            'A' => push(first, Change::Added(new)),
            'D' => push(first, Change::Deleted(old)),
            'M' | 'T' => push(first, Change::Modified { old, new }),
            'R' => {
                let second = path()?;
                push(first.clone(), Change::RenamedTo(second.clone()));
                push(second, Change::RenamedFrom { path: first, old, new });
            }
            _ => return Err(unexpected(&head)),
        }
    }
    Ok(changed)
}

type Head = (Entry, Entry, char);

fn parse_head(head: &str) -> Option<Result<Head, RepoError>> {
    let mut words = head.strip_prefix(':')?.split(' ');
    let mut mode = || u32::from_str_radix(words.next()?, 8).ok();
    let (old, new) = (mode()?, mode()?);
    let (old_id, new_id, status) = (words.next()?, words.next()?, words.next()?);
    let entry =
        |mode, id: &str| parse_oid("diff-tree", id.as_bytes()).map(|oid| Entry { mode, oid });
    let letter = status.chars().next()?;
    Some(entry(old, old_id).and_then(|old| Ok((old, entry(new, new_id)?, letter))))
}

fn unexpected(head: &str) -> RepoError {
    RepoError::Output { command: "diff-tree", detail: format!("unexpected entry `{head}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_cut_off_is_no_shorter_list() {
        let id = "a".repeat(40);
        let whole = format!(":100644 100644 {id} {id} R100\0old\0new\0");
        assert_eq!(parse(whole.as_bytes()).unwrap().len(), 2);
        for cut in [":100644", "R100", &whole[..whole.len() - 4], "x\0y\0"] {
            assert!(matches!(parse(cut.as_bytes()), Err(RepoError::Output { .. })), "{cut:?}");
        }
        assert_eq!(parse(b"").unwrap(), []);
    }
}
