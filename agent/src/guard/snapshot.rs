//! The file that the daemon writes and the guard reads.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::id::{ClaimId, Fence, SessionId};
use molt_domain::name::{AgentName, RepoName};
use molt_domain::scope::{Pattern, ScopeName, ScopeTree};
use molt_proto::v1;
use serde::{Deserialize, Serialize};

use crate::clock::{self, Millis};
use crate::error::Error;
use crate::run::ProcessIdentity;
use crate::run::folder::{Survives, read_json, replace_json};

/// How old a snapshot may be for what it allows: the default ttl of a session,
/// inside which nothing that it holds can go to somebody else by silence.
pub const FRESH: Duration = Duration::from_secs(60);

/// Scopes and claims of one repository as the coordinator had them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The repository.
    pub repo: RepoName,
    /// The commit that it is of.
    pub rev: u64,
    /// Digest of the policy that the scopes are from.
    pub policy: String,
    /// The scopes.
    pub scopes: ScopeTree,
    /// Who holds what.
    pub claims: Vec<SnapshotClaim>,
    /// When it was written, on the clock of deadlines.
    written_ms: Millis,
    /// The boot that the time counts from.
    boot: String,
}

/// A claim that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotClaim {
    /// The claim.
    pub claim: ClaimId,
    /// Whose it is.
    pub session: SessionId,
    /// What that session is called.
    pub holder: AgentName,
    /// The scopes.
    pub scopes: Vec<ScopeName>,
    /// The paths beside them.
    #[serde(default)]
    pub globs: Vec<Pattern>,
    /// What it was granted with; older coordinators do not say.
    #[serde(default)]
    pub fence: Option<Fence>,
}

impl SnapshotClaim {
    /// Whether it covers a path of the repository with these scopes.
    #[must_use]
    pub fn covers(&self, scopes: &ScopeTree, path: &str) -> bool {
        scopes.covers(&self.scopes, path) || scopes.reaches(&self.globs, path)
    }
}

/// Whether what a snapshot allows is still to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// It is.
    Fresh,
    /// It is not: it was written so long ago.
    Old(Duration),
    /// It is not: the machine was started again since.
    OtherBoot,
}

impl Snapshot {
    /// A snapshot of now. `scopes` come with the digest of their policy.
    pub fn new(
        repo: RepoName,
        rev: u64,
        (scopes, policy): (ScopeTree, String),
        claims: Vec<SnapshotClaim>,
    ) -> io::Result<Self> {
        let (written_ms, boot) = (clock::boottime(), boot()?);
        Ok(Self { repo, rev, policy, scopes, claims, written_ms, boot })
    }

    /// A snapshot of now from what a coordinator sent.
    pub fn received(repo: RepoName, rev: u64, message: &v1::Snapshot) -> Result<Self, Error> {
        let odd = |error: String| Error::bug(format!("the coordinator's snapshot: {error}"));
        let scopes: ScopeTree =
            serde_json::from_str(&message.scopes_json).map_err(|error| odd(error.to_string()))?;
        let claim = |claim: &v1::SnapshotClaim| -> Result<SnapshotClaim, Error> {
            let scopes = claim.scopes.iter().map(|name| name.parse());
            let globs = claim.globs.iter().map(|glob| glob.parse());
            Ok(SnapshotClaim {
                claim: claim.claim.parse().map_err(|error| odd(format!("{error}")))?,
                session: claim.session.parse().map_err(|error| odd(format!("{error}")))?,
                holder: claim.holder.parse().map_err(|error| odd(format!("{error}")))?,
                scopes: scopes
                    .collect::<Result<_, _>>()
                    .map_err(|error| odd(format!("{error}")))?,
                globs: globs.collect::<Result<_, _>>().map_err(|error| odd(format!("{error}")))?,
                fence: match claim.fence.as_str() {
                    "" => None,
                    fence => Some(fence.parse().map_err(|error| odd(format!("{error}")))?),
                },
            })
        };
        let claims = message.claims.iter().map(claim).collect::<Result<_, _>>()?;
        Self::new(repo, rev, (scopes, message.policy.clone()), claims)
            .map_err(|error| Error::bug(format!("cannot see the machine's boot: {error}")))
    }

    /// Where the snapshot of `repo` is under the state folder `state`.
    #[must_use]
    pub fn path(state: &Path, repo: &RepoName) -> PathBuf {
        // Names of repositories may have slashes; files may not.
        let file: String = repo.as_str().chars().map(|c| if c == '/' { '%' } else { c }).collect();
        state.join("snapshot").join(format!("{file}.json"))
    }

    /// The snapshot of `repo` under the state folder `state`, if there is one.
    pub fn read(state: &Path, repo: &RepoName) -> Result<Option<Self>, Error> {
        Ok(read_json(&Self::path(state, repo))?)
    }

    /// Replaces the snapshot of its repository under the state folder `state`.
    pub fn write(&self, state: &Path) -> Result<(), Error> {
        let path = Self::path(state, &self.repo);
        if let Some(folder) = path.parent() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(folder).map_err(Error::file("create", folder))?;
        }
        Ok(replace_json(&path, self, 0o600, Survives::Programs)?)
    }

    /// Whether what it allows is still to be believed at `now`.
    pub fn staleness(&self, now: Millis) -> io::Result<Staleness> {
        let age = self.written_ms.until(now);
        if self.boot != boot()? || self.written_ms > now {
            return Ok(Staleness::OtherBoot);
        }
        Ok(if age <= FRESH { Staleness::Fresh } else { Staleness::Old(age) })
    }
}

/// Which boot of the machine this is: times count from it.
fn boot() -> io::Result<String> {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => Ok(id.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let first = ProcessIdentity::of(1)?;
            first.map(|first| first.start).ok_or_else(|| io::Error::other("no process has pid 1"))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::snapshot;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let state = tempfile::tempdir().unwrap();
        let written = snapshot();
        assert!(Snapshot::read(state.path(), &written.repo).unwrap().is_none());
        written.write(state.path()).unwrap();
        let read = Snapshot::read(state.path(), &written.repo).unwrap().unwrap();
        assert_eq!((read.rev, &read.claims), (42, &written.claims));
        assert!(read.scopes.names().eq(written.scopes.names()));
        assert_eq!(read.staleness(clock::boottime()).unwrap(), Staleness::Fresh);
    }

    #[test]
    fn an_old_one_and_one_of_another_boot_are_not_fresh() {
        let written = snapshot();
        let late = written.written_ms.plus(FRESH + Duration::from_millis(1));
        assert!(matches!(written.staleness(late).unwrap(), Staleness::Old(age) if age > FRESH));
        let before = Millis::since_boot(written.written_ms.get() - 1);
        assert_eq!(written.staleness(before).unwrap(), Staleness::OtherBoot);
        let other = Snapshot { boot: "another".to_owned(), ..written };
        assert_eq!(other.staleness(clock::boottime()).unwrap(), Staleness::OtherBoot);
    }

    #[test]
    fn what_a_coordinator_sends_is_parsed_once() {
        let model = snapshot();
        let message = v1::Snapshot {
            scopes_json: serde_json::to_string(&model.scopes).unwrap(),
            policy: "digest".to_owned(),
            claims: vec![v1::SnapshotClaim {
                claim: "clm_0001".to_owned(),
                session: "ses_0001".to_owned(),
                holder: "agent-1".to_owned(),
                scopes: vec!["runtime".to_owned()],
                globs: Vec::new(),
                fence: "11".to_owned(),
            }],
        };
        let received = Snapshot::received(model.repo.clone(), 7, &message).unwrap();
        assert_eq!(received.claims, model.claims[..1]);
        let odd = v1::Snapshot { scopes_json: "{".to_owned(), ..message };
        assert_eq!(Snapshot::received(model.repo, 7, &odd).unwrap_err().exit().code(), 1);
    }

    #[test]
    fn a_repository_with_a_slash_has_one_file() {
        let path = Snapshot::path(Path::new("/state"), &"org/molt".parse().unwrap());
        assert_eq!(path, Path::new("/state/snapshot/org%molt.json"));
    }
}
