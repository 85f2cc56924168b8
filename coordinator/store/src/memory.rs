//! A store in this process, for tests and simulation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::commit::Commit;
use crate::fault::fault;
use crate::head::Head;
use crate::record::{Change, Json, Key, Record};
use crate::store::{
    CampaignError, Candidate, CommitError, Durability, Facts, Leadership, LoadError, Store, Tenure,
    TenureError,
};

/// A store whose clones share one state, so that two coordinators in one test can fight for it.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    tenure: Tenure,
}

#[derive(Debug)]
struct State {
    term: u64,
    /// Who has the lead on a lease; nobody does where it can be taken at any time.
    tenant: Option<Tenant>,
    head: Head,
    records: BTreeMap<Key, Json>,
}

/// A leader who must show itself.
#[derive(Debug)]
struct Tenant {
    name: String,
    address: String,
    charter: String,
    shown: Instant,
}

impl State {
    fn holds(&self, leadership: &Leadership) -> Result<(), TenureError> {
        if self.term == leadership.term() {
            return Ok(());
        }
        Err(TenureError::Deposed { term: leadership.term() })
    }

    /// Notes that the leader was heard of.
    fn show(&mut self) {
        if let Some(tenant) = &mut self.tenant {
            tenant.shown = Instant::now();
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// A fresh store. A campaign through any of its clones deposes the leader before.
    pub fn new() -> Self {
        Self::with_tenure(Tenure::UntilTaken)
    }

    /// A fresh store whose leader is waited for: until it resigns, or has neither committed nor
    /// renewed for `ttl` by tokio's clock, which a test may drive.
    pub fn leased(ttl: Duration) -> Self {
        Self::with_tenure(Tenure::Lease { ttl })
    }

    fn with_tenure(tenure: Tenure) -> Self {
        let state = State { term: 0, tenant: None, head: Head::fresh(), records: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)), tenure }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each step below checks before it changes, so a panic leaves no half step behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn campaign(&self, candidate: &Candidate) -> Result<Leadership, CampaignError> {
        let mut state = self.state();
        let format = state.head.format;
        if !format.admits(candidate.program) {
            return Err(CampaignError::Format { program: candidate.program, format });
        }
        if let Tenure::Lease { ttl } = self.tenure {
            let now = Instant::now();
            if let Some(Tenant { name, address, charter, shown }) = &state.tenant
                && now.saturating_duration_since(*shown) < ttl
            {
                let (name, address) = (name.clone(), address.clone());
                return Err(CampaignError::Held { name, address, charter: charter.clone() });
            }
            let Candidate { name, address, charter, .. } = candidate.clone();
            state.tenant = Some(Tenant { name, address, charter, shown: now });
        }
        state.term = state.term.max(candidate.above) + 1;
        Ok(Leadership::new(state.term))
    }

    async fn load(&self, leadership: &Leadership) -> Result<(Head, Vec<Record>), LoadError> {
        let state = self.state();
        if state.term != leadership.term() {
            return Err(LoadError::Deposed { term: leadership.term() });
        }
        let records = state
            .records
            .iter()
            .map(|(key, value)| Record { key: key.clone(), value: value.clone() })
            .collect();
        Ok((state.head.clone(), records))
    }

    async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: Commit,
    ) -> Result<Head, CommitError> {
        let mut state = self.state();
        if state.term != leadership.term() && !fault!(LeaderNotCompared) {
            return Err(CommitError::Deposed { term: leadership.term() });
        }
        if !state.head.is_at(expected) && !fault!(HeadNotCompared) {
            return Err(CommitError::Moved { head: state.head.clone() });
        }
        state.show();
        state.head = state.head.after(&commit);
        for change in commit.changes() {
            match change.clone() {
                Change::Put(Record { key, value }) => {
                    state.records.insert(key, value);
                }
                Change::Delete { key } => {
                    state.records.remove(&key);
                }
            }
        }
        Ok(state.head.clone())
    }

    async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let mut state = self.state();
        state.holds(leadership)?;
        state.show();
        Ok(())
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let mut state = self.state();
        state.holds(leadership)?;
        state.term += 1;
        state.tenant = None;
        Ok(())
    }

    fn facts(&self) -> Facts {
        Facts { backend: "memory", durability: Durability::Process, tenure: self.tenure }
    }
}
