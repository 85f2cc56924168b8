//! What the simulator says, and the words of GitHub's refusals with where they are from.

use serde_json::{Value, json};

/// An answer before its headers of every answer are put to it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// Null for none.
    pub(super) body: Value,
    /// The elements that a list is cut into pages of: the field that holds them, or none if the
    /// body is the list.
    pub(super) pages: Option<Option<&'static str>>,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body, pages: None }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub(super) fn created(body: Value) -> Self {
        Self::new(201, body)
    }

    pub(super) fn nothing() -> Self {
        Self::new(204, Value::Null)
    }

    /// A list that is answered in pages.
    pub(super) fn list(items: Vec<Value>) -> Self {
        Self { pages: Some(None), ..Self::ok(Value::Array(items)) }
    }

    /// An object whose `field` is answered in pages.
    pub(super) fn list_in(field: &'static str, body: Value) -> Self {
        Self { pages: Some(Some(field)), ..Self::ok(body) }
    }
}

/// A refusal in GitHub's words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    status: u16,
    message: &'static str,
}

impl From<Refusal> for Answer {
    fn from(Refusal { status, message }: Refusal) -> Self {
        let body = json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.to_string(),
        });
        Self::new(status, body)
    }
}

/// Refused for what a body or a path says.
pub(super) fn unprocessable(message: &str) -> Answer {
    let documentation = "https://docs.github.com/rest";
    Answer::new(
        422,
        json!({ "message": message, "documentation_url": documentation, "errors": [] }),
    )
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:literal $message:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Refusal = Refusal { status: $status, message: $message };)*
    };
}

refusals! {
    /// Recorded for private repositories and for what is not there.
    NOT_FOUND = 404 "Not Found";
    /// Recorded.
    BAD_CREDENTIALS = 401 "Bad credentials";
    /// Recorded.
    NO_CREDENTIALS = 401 "Requires authentication";
    /// GitHub's words for a token of an App where it asks for the App itself.
    NO_JWT = 401 "A JSON web token could not be decoded";
    /// Recorded.
    JWT_OVER = 401 "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
    /// Documented by issue threads.
    JWT_TOO_LONG = 401 "'Expiration time' claim ('exp') is too far in the future";
    /// Documented by issue threads.
    JWT_EARLY = 401 "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    /// Recorded.
    NO_RIGHT = 403 "Resource not accessible by integration";
    /// GitHub's words for a personal token.
    NO_RIGHT_OF_TOKEN = 403 "Resource not accessible by personal access token";
    /// Documented.
    NO_BRANCH = 404 "Branch not found";
    /// Documented.
    NO_LABEL = 404 "Label does not exist";
    /// Documented by issue threads.
    FOREIGN_CHECK = 403 "Invalid app_id - check run can only be modified by the GitHub App that created it.";
    /// Recorded: check runs are for Apps.
    APPS_ONLY = 403 "You must authenticate via a GitHub App.";
    /// Documented.
    SUSPENDED = 403 "This installation has been suspended";
    /// Recorded.
    MUST_PUSH = 403 "Must have push access to view collaborator permission.";
}
