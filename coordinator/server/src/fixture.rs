//! What tests of several rooms begin with: commands, and a store before which they stand.

use molt_domain::board::Command;
use molt_domain::session::Root;
use molt_store::{
    CampaignError, Candidate, Commit, CommitError, Facts, Head, Leadership, LoadError, MemoryStore,
    Record, Store, TenureError,
};

/// A store in memory whose door a test keeps.
pub(crate) struct Kept<D> {
    pub(crate) store: MemoryStore,
    pub(crate) door: D,
}

/// What a test does at the door of a store.
#[tonic::async_trait]
pub(crate) trait Door: Send + Sync + 'static {
    /// Before somebody is given the lead.
    async fn campaign(&self) -> Result<(), CampaignError> {
        Ok(())
    }

    /// Before a commit is made.
    async fn commit(&self) -> Result<(), CommitError> {
        Ok(())
    }
}

#[tonic::async_trait]
impl<D: Door> Store for Kept<D> {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        self.door.campaign().await?;
        self.store.campaign(candidate).await
    }

    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError> {
        self.store.load(leadership).await
    }

    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        self.door.commit().await?;
        self.store.commit(leadership, expected, commit).await
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.store.renew(leadership).await
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        self.store.resign(leadership).await
    }

    fn facts(&self) -> Facts {
        self.store.facts()
    }
}

const POLICY: &str = "version = 1\n[scope.a]\npaths = [\"a/**\"]\n[scope.b]\npaths = [\"b/**\"]\n\
                      [merge]\nmethod = \"merge\"\nrequired = [\"scope\"]\n";

/// Takes note of a repository `main` with the scopes `a` and `b`.
pub(crate) fn reads_base() -> Command {
    Command::ReadBase {
        repo: "main".parse().unwrap(),
        branch: "main".to_owned(),
        commit: "1".repeat(40),
        tree: "2".repeat(40),
        policy: Ok(crate::policy::read(POLICY).unwrap()),
    }
}

/// Begins a session in it, whose secret is its name.
pub(crate) fn joins(name: &str) -> Command {
    Command::Join {
        repo: "main".parse().unwrap(),
        name: name.parse().unwrap(),
        host: "host".parse().unwrap(),
        root: Root::Use,
        worktree: "/w".to_owned(),
        secret: name.to_owned(),
    }
}
