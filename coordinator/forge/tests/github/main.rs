//! The client against a server that answers what a test tells it to.
//!
//! What GitHub would answer is another matter: that is in the workspace's `tests`, against what
//! GitHub has said and against a simulation of it. `app.pem` was made for these tests and opens
//! nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has no verdict")]

mod client;
mod credentials;
mod proposal;
mod refs;
mod report;
mod script;
