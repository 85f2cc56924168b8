//! GitHub as this coordinator knows it: who asks there, and what it may do.
//!
//! Not here: the exchanges themselves (`molt_forge::github`), what follows from what was read
//! (`molt_domain::pull`), and what is done with pull requests ([`crate::reconcile`]).

mod account;
mod connect;
pub(crate) mod preflight;

/// What whoever chose to land without a fence is told.
pub(crate) const UNFENCED: &str = "landings have no fence: a leader that is deposed between its look \
                                   and its step still lands (`fencing` in [github])";

pub use self::account::Account;
pub use self::connect::ConnectError;
pub(crate) use self::connect::Door;
