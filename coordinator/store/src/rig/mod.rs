//! Real components to break: etcds as processes, and a wire between a client and one of them.
//!
//! * [`etcd`]: a [`Cluster`] of one or three members that can be killed, frozen, started again.
//! * [`proxy`]: a TCP [`Proxy`] that holds, swallows, delays or cuts what goes through it.
//!
//! Everything here belongs to the value that started it: what is dropped leaves no process, no
//! folder and no connection. Nothing is waited for by the clock alone: a start is over when the
//! member answers, and a fault counts what it did, so that a test can tell that it tested
//! something. Not here: what a store must do under these faults (the conformance suite and the
//! fault tests say that), and networks of several machines (the fault tests' own harness).

pub mod etcd;
mod http;
pub mod proxy;

pub use etcd::{Cluster, Member, Options, Place, RigError};
pub use proxy::{Counts, Direction, Fault, Proxy};
