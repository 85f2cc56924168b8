//! Where the board's records are kept: one fenced writer, two kinds of place.
//!
//! The crate is a seam. [`Store`] says what must be true of every answer about stored records;
//! the backends keep that promise and nothing else. A store knows keys, JSON texts, one [`Head`]
//! and who leads; it does not know claims, tasks or time.
//!
//! * [`record`]: a [`Key`], its [`Json`], and a [`Change`] of one of them.
//! * [`head`]: what every commit moves on, and the [`Format`] that says who may write.
//! * [`commit`]: one batch of changes, checked against the limits when it is built.
//! * [`store`]: the trait, leadership, and the errors a caller can act on.
//! * [`settle`](mod@settle): how a commit without an answer gets one.
//! * [`memory`]: a store in this process, for tests and simulation.
//! * [`embedded`]: a store in one SQLite file, for a fleet on one machine.
//! * `etcd`: a store in etcd, for a fleet of machines (feature `etcd`).
//! * `tenure`: how a candidate counts the silence of a leader (features `etcd`, `test-util`).
//! * [`fault`]: bugs that a test can switch on (feature `seeded-bugs`).
//!
//! With the feature `test-util` there are also `faulty`, which makes any store misbehave by a
//! seeded plan, `conformance`, the one suite that every backend passes, and `rig`, real etcds and
//! wires to break.
//!
//! Not here: what the records mean (`molt-domain`), when to commit and what to do when deposed
//! (the engine in `molt-coordinator`).

pub mod commit;
pub mod embedded;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod fault;
pub mod head;
pub mod memory;
pub mod record;
pub mod settle;
pub mod store;
#[cfg(any(feature = "etcd", feature = "test-util"))]
pub mod tenure;

#[cfg(feature = "test-util")]
pub mod conformance;
#[cfg(feature = "test-util")]
pub mod faulty;
#[cfg(feature = "test-util")]
pub mod rig;
#[cfg(feature = "test-util")]
pub mod seeded;

pub use commit::{Commit, Rejected};
pub use embedded::EmbeddedStore;
#[cfg(feature = "etcd")]
pub use etcd::EtcdStore;
pub use head::{CommitId, FORMAT, Format, Head};
pub use memory::MemoryStore;
pub use record::{Change, Json, Key, KeyError, Record};
pub use settle::{SettleError, Settled, commit_and_settle, settle};
pub use store::{
    CampaignError, Candidate, Cause, CommitError, Durability, Facts, Leadership, LoadError, Store,
    Tenure, TenureError,
};
