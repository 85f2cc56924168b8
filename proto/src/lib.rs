//! The wire: what travels between a coordinator, its agents, hosts and people.
//!
//! [`v1`] is generated from `molt/v1/coordinator.proto`. [`convert`] turns what
//! arrives into the rules' own types and their answers into messages, [`error`]
//! carries refusals there and back, [`granted`] what a caller was granted, [`credentials`] what
//! a client shows of itself, and [`view`] answers queries from a board; [`exit`] has the codes that both programs end with,
//! and [`answer`] the shape of what they print.
//! Not here: connections, retries, who may call what, and every rule.

pub mod answer;
pub mod convert;
pub mod credentials;
pub mod error;
pub mod exit;
pub mod granted;
pub mod protocol;
pub mod view;

/// The messages and the service, as generated.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated code: its source is documented, and its generator has its own style"
)]
pub mod v1 {
    tonic::include_proto!("molt.v1");
}

#[cfg(test)]
mod fixture;

/// The largest encoded message that either side reads, in bytes.
///
/// A server reads commands and queries with it; larger things travel as blobs.
pub const MAX_COMMAND_BYTES: usize = 256 * 1024;
