//! Refusals and failures on the wire: as statuses one way, as [`Failure`] the other.
//!
//! What a program may rely on is the status's `ErrorInfo`: its domain `molt`, its stable
//! `reason`, and its metadata. The gRPC code follows from the kind and is for those who know
//! nothing of molt, such as proxies and metrics:
//!
//! | what | code | metadata |
//! | --- | --- | --- |
//! | somebody else has it | `ALREADY_EXISTS` | `kind` = `held`, `refusal`, `id` |
//! | what the caller had is gone | `UNAUTHENTICATED` | `kind` = `lost`, `refusal`, `id` |
//! | no such thing | `NOT_FOUND` | `kind` = `not-found`, `refusal`, `id` |
//! | nothing to take now | `RESOURCE_EXHAUSTED` | `kind` = `empty`, `refusal`, `id` |
//! | a gate says no | `FAILED_PRECONDITION` | `kind` = `gate`, `refusal`, `id` |
//! | the right is missing | `PERMISSION_DENIED` | `kind` = `forbidden`, `refusal`, `id` |
//! | nobody is proven | `UNAUTHENTICATED` | `kind` = `forbidden`, `refusal`, `id` |
//! | a fact changed | `ABORTED` | `kind` = `precondition`, `refusal`, `id` |
//! | the command is wrong | `INVALID_ARGUMENT` | `kind` = `usage`, `refusal`, `id` |
//! | nothing changed, try again | `UNAVAILABLE` | `retry_after_ms`, `leader` |
//! | whether it was done is not known | `UNKNOWN` | |
//! | the entries asked for are gone | `OUT_OF_RANGE` | `oldest` |
//!
//! `refusal` is the refusal as JSON, `id` the number under which it can be explained. Not here:
//! exit codes, which the command line has.

mod failure;
mod short;
mod status;

use molt_domain::board::Kind;
use tonic::Code;

pub use self::failure::Failure;
pub use self::status::{
    compacted, hindered, message, standby, status, unavailable, unknown_outcome,
};

/// The domain of every `ErrorInfo` of a coordinator.
pub const DOMAIN: &str = "molt";

const UNAVAILABLE: &str = "UNAVAILABLE";
const STANDBY: &str = "STANDBY";
const UNKNOWN_OUTCOME: &str = "UNKNOWN_OUTCOME";
const COMPACTED: &str = "COMPACTED";

/// Each kind with its word and its code.
const KINDS: [(Kind, &str, Code); 8] = [
    (Kind::Held, "held", Code::AlreadyExists),
    (Kind::Lost, "lost", Code::Unauthenticated),
    (Kind::NotFound, "not-found", Code::NotFound),
    (Kind::Empty, "empty", Code::ResourceExhausted),
    (Kind::Gate, "gate", Code::FailedPrecondition),
    (Kind::Forbidden, "forbidden", Code::PermissionDenied),
    (Kind::Precondition, "precondition", Code::Aborted),
    (Kind::Usage, "usage", Code::InvalidArgument),
];

#[cfg(test)]
mod tests;
