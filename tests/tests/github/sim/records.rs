//! What GitHub keeps of pull requests and of what people and Apps say of them.
//!
//! Not here: where a head or a base stands, which git is asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What somebody may do in a repository, as GitHub names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Right {
    /// The role, and the permission of older days that it counts as.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::None => ("none", "none"),
            Self::Read => ("read", "read"),
            Self::Triage => ("triage", "read"),
            Self::Write => ("write", "write"),
            Self::Maintain => ("maintain", "write"),
            Self::Admin => ("admin", "admin"),
        }
    }
}

#[derive(Clone)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) id: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) author: String,
    pub(super) draft: bool,
    pub(super) open: bool,
    pub(super) base: String,
    pub(super) head: String,
    /// The repository of its head; none once the fork is gone.
    pub(super) head_repository: Option<u64>,
    /// Every head it had, with the request before which it came.
    pub(super) heads: Vec<(u64, String)>,
    /// Reads until it is known whether it merges.
    pub(super) unknown: u64,
    pub(super) labels: BTreeSet<String>,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) closed: Option<u64>,
    /// The commit that brought it into its base.
    pub(super) merged: Option<String>,
    /// Who had it brought in.
    pub(super) merged_by: Option<String>,
    /// Who wants it merged once it may be, and how: `merge`, `squash`, `rebase`.
    pub(super) auto_merge: Option<(String, String)>,
    pub(super) reviews: Vec<Review>,
    /// Where in which stack it is: the stack's number, and from 1 the place in it.
    pub(super) stack: Option<(u64, usize)>,
    pub(super) born: u64,
}

impl Pull {
    /// The head that it has; what it shows may lag behind.
    pub(super) fn head_now(&self) -> &str {
        &self.heads.last().expect("a pull request was opened with a head").1
    }
}

#[derive(Clone)]
pub(super) struct Review {
    pub(super) id: u64,
    pub(super) user: String,
    pub(super) state: String,
    pub(super) body: String,
    pub(super) commit: String,
    pub(super) submitted: u64,
    pub(super) born: u64,
}

#[derive(Clone)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) user: String,
    pub(super) body: String,
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) born: u64,
}

#[derive(Clone)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) app: u64,
    /// What was sent, field by field.
    pub(super) fields: BTreeMap<String, Value>,
    pub(super) annotations: Vec<Value>,
    pub(super) started: u64,
    pub(super) completed: Option<u64>,
    pub(super) born: u64,
}

#[derive(Clone)]
pub(super) struct Status {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) target: Option<String>,
    pub(super) creator: String,
    pub(super) created: u64,
}
