//! The one suite that every backend passes.
//!
//! A backend brings a [`Harness`]: how to open a fresh store, a second handle to it, how to
//! restart it and how to unseat its leader. [`run_all`] runs every case on a harness of its own;
//! [`Workload`] drives one store through a [`Faulty`](crate::faulty::Faulty) wrapper and checks
//! every answer against what it knows to be true.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod cases;
mod workload;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::store::Store;

pub use workload::{Summary, Workload};

/// One store of a backend, for one case.
#[async_trait]
pub trait Harness: Send + 'static {
    /// The store, fresh at the first call.
    async fn store(&mut self) -> Arc<dyn Store>;

    /// Another way to the same state, as a second coordinator would have it. Backends that allow
    /// only one handle return that.
    async fn second(&mut self) -> Arc<dyn Store>;

    /// Ends whatever can be ended of the store and starts it again. No case holds a handle while
    /// it calls this. A store without durability keeps its state all the same.
    async fn restart(&mut self);

    /// Sees to it that a campaign can be won at once, although a leader may sit.
    async fn unseat(&mut self);
}

/// Runs every case, each on a harness made for it.
///
/// # Panics
///
/// Panics with the names of the cases that failed, after all have run.
pub async fn run_all<H: Harness>(make: impl Fn() -> H) {
    let mut failed = Vec::new();
    for (name, case) in cases::ALL {
        let mut harness = make();
        let mut task = JoinSet::new();
        task.spawn(async move { case(&mut harness).await });
        if !matches!(task.join_next().await, Some(Ok(()))) {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:?}", failed.len(), cases::ALL.len());
}
