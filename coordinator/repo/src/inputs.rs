//! Digests of a gate's inputs: what a stored result is true of.
//!
//! Two commits with the same digest hold the same selected entries, mode by
//! mode and id by id, so a result for one holds for the other. Gitlinks and LFS
//! pointers are entries like any other. Not here: environment and pins, which
//! the gate adds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Mirror, Oid, RepoError, TreePath};

/// Which entries of a tree a gate reads.
#[derive(Clone, Copy)]
pub enum Inputs<'a> {
    /// The whole tree.
    Everything,
    /// The entries that the function selects by path, every `.gitattributes`,
    /// since it changes what a checkout writes, and every path that is no
    /// UTF-8, since no pattern can exclude it.
    Selected(&'a dyn Fn(&str) -> bool),
}

impl fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => "Everything",
            Self::Selected(_) => "Selected(..)",
        })
    }
}

/// The digest of a gate's inputs: 64 hex digits of BLAKE3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputDigest(String);

impl InputDigest {
    /// The digest as lowercase hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InputDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mirror {
    /// The digest of what `inputs` selects from `commit`.
    pub fn input_tree(&self, commit: &Oid, inputs: Inputs<'_>) -> Result<InputDigest, RepoError> {
        let mut hasher = blake3::Hasher::new();
        match inputs {
            Inputs::Everything => {
                hasher.update(b"molt inputs everything 1\0");
                hasher.update(self.tree_of(commit)?.as_str().as_bytes());
            }
            Inputs::Selected(select) => {
                hasher.update(b"molt inputs selected 1\0");
                self.visit(commit, |mode, path, oid| {
                    if selected(path, select) {
                        hash_entry(&mut hasher, mode, path, oid);
                    }
                })?;
            }
        }
        Ok(InputDigest(hasher.finalize().to_hex().to_string()))
    }
}

fn selected(path: &[u8], select: &dyn Fn(&str) -> bool) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next();
    let text = TreePath::from_bytes(path.to_vec());
    name == Some(b".gitattributes") || text.as_text().is_none_or(select)
}

/// A path holds no NUL, so no two lists of entries hash the same bytes.
fn hash_entry(hasher: &mut blake3::Hasher, mode: i32, path: &[u8], oid: git2::Oid) {
    hasher.update(format!("{mode:o} {oid} ").as_bytes());
    hasher.update(path);
    hasher.update(b"\0");
}
