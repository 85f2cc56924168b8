//! One agent at work, as its own machine knows it.
//!
//! [`place`] finds the worktree, [`root`] whose life the session's life is,
//! [`file`](mod@file) keeps what proves the session and the numbers of its
//! requests, [`request`] sends one, [`alive`] tells the host's daemon about it,
//! [`config`] reads what git's configuration says about the coordinator,
//! [`sweep`](fn@sweep) removes what nobody comes back to, [`committed`] remembers
//! under which claims it has committed.
//! Not here: connections to the coordinator ([`crate::client`]).

pub mod alive;
pub mod committed;
pub mod config;
pub mod file;
mod number;
pub mod place;
pub mod request;
pub mod root;
mod secret;
mod sweep;

pub use file::{Lock, Record, SessionFile};
pub use number::Earlier;
pub use place::Worktree;
pub use root::Root;
pub use secret::Secret;
pub use sweep::sweep;
