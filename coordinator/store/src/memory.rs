//! A store in this process, for tests and simulation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::commit::Commit;
use crate::head::Head;
use crate::record::{Change, Json, Key, Record};
use crate::store::{
    CampaignError, Candidate, CommitError, Durability, Facts, Leadership, LoadError, Store, Tenure,
    TenureError,
};

/// A store whose clones share one state. A campaign through any of them deposes the leader
/// before, so that two coordinators in one test can fight for it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    term: u64,
    head: Head,
    records: BTreeMap<Key, Json>,
}

impl Default for State {
    fn default() -> Self {
        Self { term: 0, head: Head::fresh(), records: BTreeMap::new() }
    }
}

impl State {
    fn holds(&self, leadership: &Leadership) -> Result<(), TenureError> {
        if self.term == leadership.term() {
            return Ok(());
        }
        Err(TenureError::Deposed { term: leadership.term() })
    }
}

impl MemoryStore {
    /// A fresh store.
    pub fn new() -> Self {
        Self::default()
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
        state.term += 1;
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
        if state.term != leadership.term() {
            return Err(CommitError::Deposed { term: leadership.term() });
        }
        if !state.head.is_at(expected) {
            return Err(CommitError::Moved { head: state.head.clone() });
        }
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
        self.state().holds(leadership)
    }

    async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let mut state = self.state();
        state.holds(leadership)?;
        state.term += 1;
        Ok(())
    }

    fn facts(&self) -> Facts {
        Facts { backend: "memory", durability: Durability::Process, tenure: Tenure::UntilTaken }
    }
}
