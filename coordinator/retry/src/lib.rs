//! Named retry policies: how long to wait before trying again, and when to stop.
//!
//! A [`Policy`] has a name, because "how patient are we with the forge" is a
//! decision of the product and not of the line that calls it. [`Delays`] is one
//! run through a policy; [`retry()`] drives an operation with it. Time is
//! tokio's, so a test that pauses time sees every delay exactly; jitter comes
//! from a [`Seed`], so a run can be repeated.
//!
//! This is the only crate that names `backoff` (ADR 0005), and it uses that
//! crate as a calculator alone: the clock, the jitter and the loop are ours.
//! Not here: what is worth trying again. The caller knows whether a lost answer
//! may be asked for twice, and says so with [`Next`].

mod delays;
mod policy;
mod random;
mod retry;

pub use delays::Delays;
pub use policy::Policy;
pub use random::Seed;
pub use retry::{Failed, Next, retry};
