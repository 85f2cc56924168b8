//! A machine of the fleet: a runtime of its own with a clock of its own, which can be frozen.
//!
//! Every node runs on the one thread of the run, in turns of a quantum. A frozen node gets no
//! turns; when it wakes its clock jumps to where it would be, and what was due runs late, as
//! after SIGSTOP or a suspend. Dropping a node is losing power.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::net::QUANTUM;

/// A machine.
pub(crate) struct Node {
    runtime: Runtime,
    /// How far its clock is behind.
    behind: Duration,
    frozen: bool,
}

impl Node {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without a driver of its own needs nothing");
        Self { runtime, behind: Duration::ZERO, frozen: false }
    }

    /// Starts a task on the machine; it ends with it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// Runs something on the machine, now.
    pub(crate) fn block_on<T>(&self, task: impl Future<Output = T>) -> T {
        self.runtime.block_on(task)
    }

    /// Gives the machine its turn of a quantum.
    pub(crate) fn turn(&mut self) {
        let quantum = Duration::from_millis(QUANTUM);
        if self.frozen {
            self.behind += quantum;
            return;
        }
        let behind = std::mem::take(&mut self.behind);
        self.runtime.block_on(async {
            if behind > Duration::ZERO {
                tokio::time::advance(behind).await;
            }
            tokio::time::sleep(quantum).await;
        });
    }

    pub(crate) fn freeze(&mut self) {
        self.frozen = true;
    }

    pub(crate) fn thaw(&mut self) {
        self.frozen = false;
    }

    /// Its clock runs ahead of everybody's by so much from now on.
    pub(crate) fn jump(&mut self, ahead: Duration) {
        self.behind += ahead;
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }
}
