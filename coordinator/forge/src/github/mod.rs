//! GitHub over HTTP: what is asked, by what right, how often, and what the answers mean.
//!
//! [`Operation`] lists all that is ever asked. [`Client`] asks: octocrab carries requests and
//! nothing more, because its retries double what is written and its models refuse a word that
//! GitHub says tomorrow. [`shape`] has of GitHub's objects what somebody here reads, and
//! [`GithubForge`] lands there. Not here: git's own traffic ([`GitForge`](crate::GitForge)), and what
//! follows from what was read (`molt-domain`).

mod access;
mod answer;
mod app;
mod client;
mod clock;
mod credentials;
mod error;
mod forge;
mod governor;
mod kept;
mod line;
mod listing;
mod names;
mod operation;
pub mod permission;
mod place;
mod proposal;
mod refs;
mod report;
pub mod shape;
mod transport;
pub mod webhook;

pub use answer::{Answer, Head};
pub use app::{App, KeyError};
pub use client::Client;
pub use clock::Clock;
pub use credentials::{Credentials, Rights};
pub use error::{Cause, GithubError, Limit};
pub use forge::GithubForge;
pub use governor::Governor;
pub use listing::Listing;
pub use operation::{As, Effect, Operation, Route};
pub use place::{InvalidSlug, Slug};
pub use proposal::Proposal;
pub use refs::{Course, Moved, RefMove};
pub use report::{Annotation, CheckReport, CommentReport, Ourselves, Outcome};
pub use transport::{GITHUB, InvalidAddress, Transport};
