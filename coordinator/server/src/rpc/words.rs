//! What arrives and is no message, in words that say so.
//!
//! The transport refuses such messages by itself, with codes that also mean
//! other things; a caller is told that its message is wrong.

use molt_domain::board::Invalid;
use molt_proto::error;
use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::{Code, Status};

/// A response as it came from the transport, or in our words where it refuses a message.
#[must_use]
pub fn worded(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if is_about_the_message(&status) => unreadable(status).into_http(),
        _ => response,
    }
}

/// A status of the transport about a message, in our words.
pub(super) fn unreadable(status: Status) -> Status {
    if !is_about_the_message(&status) {
        return status;
    }
    let problem = match status.code() {
        Code::OutOfRange => format!("larger than {}, the limit", limit(status.message())),
        _ => format!("it does not read: {}", status.message()),
    };
    error::status(&Invalid::field("message", problem).into(), None)
}

/// The limit that the transport names, which is the one that it was given.
fn limit(text: &str) -> &str {
    text.rsplit_once("the limit is: ").map_or("what is taken", |(_, limit)| limit)
}

/// Whether the transport made a status because of a message; ours have details.
fn is_about_the_message(status: &Status) -> bool {
    let text = status.message();
    status.details().is_empty()
        && match status.code() {
            Code::OutOfRange => text.contains("message length too large"),
            Code::Internal => {
                text.contains("failed to decode Protobuf message")
                    || text.starts_with("protocol error")
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_transport_says_of_a_message_is_said_anew() {
        let large = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
        let broken = "failed to decode Protobuf message: invalid tag value: 0";
        let table = [
            (Status::out_of_range(large), "message: larger than 8 bytes, the limit"),
            (Status::internal(broken), "message: it does not read: failed to decode Protobuf"),
        ];
        for (status, words) in table {
            let said = Status::from_header_map(worded(status.into_http()).headers());
            let said = said.expect("a status");
            assert_eq!(said.code(), Code::InvalidArgument);
            assert!(said.message().starts_with(words), "{}", said.message());
        }
        for status in [error::compacted(7), Status::internal("a disk"), Status::not_found(large)] {
            let (code, text) = (status.code(), status.message().to_owned());
            let said = Status::from_header_map(worded(status.into_http()).headers());
            let said = said.expect("a status");
            assert_eq!((said.code(), said.message()), (code, text.as_str()));
        }
    }
}
