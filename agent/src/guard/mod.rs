//! May this session change these paths? Answered from a file, without a
//! coordinator.
//!
//! The host's daemon writes a [`Snapshot`] of each repository that it has
//! sessions of; [`judge`] applies the rule of claims to it. A snapshot that is
//! missing, old or of another boot may only deny more. [`intent`] says which
//! paths an agent's own tool is about to write. Not here: how hooks are installed,
//! and where a path lies.

mod patch;
mod payload;
mod snapshot;

use std::fmt;

use molt_domain::id::{ClaimId, SessionId};
use molt_domain::name::AgentName;
use molt_domain::scope::{Owner, ScopeName};
use serde::Serialize;

pub use payload::{Intent, Program, Undecidable, intent};
pub use snapshot::{FRESH, Snapshot, SnapshotClaim, Staleness};

use crate::error::Exit;

/// What the guard says about one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ruling {
    /// The path, from the top of the worktree.
    pub path: String,
    /// What it says.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether a session may change a path, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Everybody may.
    Open,
    /// It holds a scope that covers the path.
    Yours,
    /// It held one when it committed, and nobody has the path now.
    Committed {
        /// The claim that it was.
        claim: ClaimId,
    },
    /// Somebody else holds it.
    Held {
        /// The deepest scope of the path; `None` where it is in none.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<ScopeName>,
        /// Who holds it.
        holder: AgentName,
        /// The holder's claim.
        claim: ClaimId,
    },
    /// Nobody holds it.
    Unclaimed {
        /// The scope to claim.
        scope: ScopeName,
    },
    /// No scope has it, so no claim covers it.
    NoScope,
}

impl Verdict {
    /// The exit code of a check that finds this.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Open | Self::Yours | Self::Committed { .. } => Exit::Ok,
            Self::Held { .. } => Exit::Held,
            Self::Unclaimed { .. } | Self::NoScope => Exit::Precondition,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open to everybody"),
            Self::Yours => f.write_str("yours"),
            Self::Committed { claim } => write!(f, "committed under {claim}, which was yours"),
            Self::Held { scope: Some(scope), holder, claim } => {
                write!(f, "scope {scope} is held by {holder} ({claim})")
            }
            Self::Held { scope: None, holder, claim } => {
                write!(f, "held by {holder} ({claim})")
            }
            Self::Unclaimed { scope } => write!(f, "not claimed: scope {scope}"),
            Self::NoScope => f.write_str("in no scope of molt.toml"),
        }
    }
}

/// What the guard says about `path` for the session `me`; without a session
/// only what is open may be changed.
#[must_use]
pub fn judge(snapshot: &Snapshot, me: Option<SessionId>, path: &str) -> Verdict {
    let tree = &snapshot.scopes;
    let owners = match tree.of_path(path) {
        Owner::Open => return Verdict::Open,
        Owner::Nobody => Vec::new(),
        Owner::Scopes(owners) => owners,
    };
    let (mine, others): (Vec<&SnapshotClaim>, Vec<&SnapshotClaim>) =
        snapshot.claims.iter().partition(|claim| Some(claim.session) == me);
    if mine.iter().any(|claim| claim.covers(tree, path)) {
        return Verdict::Yours;
    }
    let scope = owners.first().map(|scope| scope.name.clone());
    match (others.into_iter().find(|claim| claim.covers(tree, path)), scope) {
        (Some(SnapshotClaim { holder, claim, .. }), scope) => {
            Verdict::Held { scope, holder: holder.clone(), claim: *claim }
        }
        (None, Some(scope)) => Verdict::Unclaimed { scope },
        (None, None) => Verdict::NoScope,
    }
}

/// What the guard says about `path` of a commit that is about to be pushed: it was
/// made under the claims `under` of the session `me`, which may have given them
/// back since. What somebody else holds by now is theirs.
#[must_use]
pub fn judge_pushed(
    snapshot: &Snapshot,
    me: Option<SessionId>,
    path: &str,
    under: &[SnapshotClaim],
) -> Verdict {
    let covers = |claim: &&SnapshotClaim| claim.covers(&snapshot.scopes, path);
    match judge(snapshot, me, path) {
        unclaimed @ (Verdict::Unclaimed { .. } | Verdict::NoScope) => {
            match under.iter().find(covers) {
                Some(claim) => Verdict::Committed { claim: claim.claim },
                None => unclaimed,
            }
        }
        verdict => verdict,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use molt_domain::id::Fence;
    use molt_domain::scope::{Case, Reach, Risk, Scope, ScopeTree};

    fn scope(name: &str, reach: Reach, paths: &[&str]) -> Scope {
        let paths = paths.iter().map(|path| path.parse().unwrap()).collect();
        let name = name.parse().unwrap();
        Scope { name, paths, reach, max: None, tests: Vec::new(), risk: Risk::Med }
    }

    pub(crate) fn snapshot() -> Snapshot {
        let scopes = vec![
            scope("runtime", Reach::Plain, &["runtime/**"]),
            scope("runtime/gc", Reach::Plain, &["runtime/gc/**"]),
            scope("docs", Reach::Plain, &["docs/**"]),
            scope("manifests", Reach::Carve, &["**/Cargo.toml"]),
        ];
        let scopes = ScopeTree::new(Case::Sensitive, vec!["logs/**".parse().unwrap()], scopes);
        let claim = |n, scopes: &[&str]| SnapshotClaim {
            claim: ClaimId::from_counter(n),
            session: SessionId::from_counter(n),
            holder: format!("agent-{n}").parse().unwrap(),
            scopes: scopes.iter().map(|name| name.parse().unwrap()).collect(),
            globs: Vec::new(),
            fence: Some(Fence { epoch: 0, n: n + 10 }),
        };
        let claims = vec![claim(1, &["runtime"]), claim(2, &["manifests"])];
        Snapshot::new("main".parse().unwrap(), 42, (scopes.unwrap(), "digest".to_owned()), claims)
            .unwrap()
    }

    fn exit(me: Option<u64>, path: &str) -> u8 {
        judge(&snapshot(), me.map(SessionId::from_counter), path).exit().code()
    }

    #[test]
    fn a_claim_covers_its_scope_and_those_below() {
        assert_eq!(exit(Some(1), "runtime/vm.rs"), 0);
        assert_eq!(exit(Some(1), "runtime/gc/mark.rs"), 0);
        assert_eq!(exit(Some(2), "runtime/Cargo.toml"), 0);
    }

    #[test]
    fn what_others_hold_is_denied_with_the_holder() {
        let session = Some(SessionId::from_counter(2));
        let verdict = judge(&snapshot(), session, "runtime/gc/mark.rs");
        assert_eq!(verdict.to_string(), "scope runtime/gc is held by agent-1 (clm_0001)");
        assert_eq!(verdict.exit(), Exit::Held);
        assert_eq!(exit(Some(1), "runtime/Cargo.toml"), 4, "a carve is the carve's alone");
    }

    #[test]
    fn paths_beside_scopes_are_their_holders_unless_they_are_carved() {
        let mut snapshot = snapshot();
        let globs = ["src/**", "docs/a.md", "**/Cargo.toml"];
        snapshot.claims[0].globs = globs.iter().map(|glob| glob.parse().unwrap()).collect();
        let says = |me: u64, path: &str| {
            judge(&snapshot, Some(SessionId::from_counter(me)), path).exit().code()
        };
        assert_eq!((says(1, "docs/a.md"), says(2, "docs/a.md")), (0, 4));
        assert_eq!((says(1, "src/main.rs"), says(2, "src/main.rs")), (0, 4), "in no scope");
        assert_eq!((says(1, "src/Cargo.toml"), says(2, "src/Cargo.toml")), (4, 0), "carved");
        assert_eq!(says(1, "docs/b.md"), 9);
    }

    #[test]
    fn what_nobody_holds_names_the_scope_to_claim() {
        let verdict = judge(&snapshot(), Some(SessionId::from_counter(1)), "docs/a.md");
        assert_eq!(verdict, Verdict::Unclaimed { scope: "docs".parse().unwrap() });
        assert_eq!(exit(Some(1), "docs/a.md"), 9);
        assert_eq!(exit(Some(1), "src/main.rs"), 9, "no claim covers what is in no scope");
    }

    #[test]
    fn what_was_committed_under_a_claim_may_be_pushed_unless_it_is_another_s_now() {
        let of = |scope: &str, glob: &str| SnapshotClaim {
            claim: ClaimId::from_counter(7),
            scopes: scope.parse().into_iter().collect(),
            globs: glob.parse().into_iter().collect(),
            ..snapshot().claims[0].clone()
        };
        let me = Some(SessionId::from_counter(3));
        let pushed =
            |path: &str, scope: &str| judge_pushed(&snapshot(), me, path, &[of(scope, "")]);
        let committed = Verdict::Committed { claim: ClaimId::from_counter(7) };
        assert_eq!(pushed("docs/a.md", "docs"), committed);
        assert_eq!(committed.exit(), Exit::Ok);
        assert_eq!(pushed("docs/a.md", "runtime").exit().code(), 9, "of another scope");
        assert_eq!(pushed("runtime/vm.rs", "runtime").exit().code(), 4, "held by now");
        assert_eq!(pushed("src/x.rs", "docs"), Verdict::NoScope);
        let beside = judge_pushed(&snapshot(), me, "src/x.rs", &[of("", "src/**")]);
        assert_eq!(beside, committed, "beside scopes");
        assert_eq!(judge_pushed(&snapshot(), me, "docs/a.md", &[]).exit().code(), 9);
    }

    #[test]
    fn without_a_session_only_what_is_open_is_allowed() {
        assert_eq!(exit(None, "logs/a.log"), 0);
        assert_eq!(exit(None, "docs/a.md"), 9);
        assert_eq!(exit(None, "runtime/vm.rs"), 4);
    }
}
