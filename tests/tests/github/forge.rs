//! Landing at GitHub, with real git over HTTP: the suite of any forge, and what only GitHub has.
//!
//! `leader`, `landing` and `heads` are the git forge's own: what it promises is promised here word
//! for word.

mod access;
mod alone;
mod fixture;
#[expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails the test")]
#[path = "../../../coordinator/forge/tests/remote/heads.rs"]
mod heads;
#[expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails the test")]
#[path = "../../../coordinator/forge/tests/remote/landing.rs"]
mod landing;
#[expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails the test")]
#[path = "../../../coordinator/forge/tests/remote/leader.rs"]
mod leader;
mod lost;
mod refused;
mod replaced;
