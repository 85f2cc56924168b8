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

/// Where the words of a refusal are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A recorded answer of GitHub's.
    Recorded,
    /// GitHub's documentation.
    Documented,
    /// What people have quoted in threads.
    Quoted,
}

/// A refusal in GitHub's words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: &'static str,
    pub(super) source: Source,
}

impl Refusal {
    /// The words alone, as GraphQL has them.
    pub(super) fn words(self) -> String {
        self.message.to_owned()
    }
}

impl From<Refusal> for Answer {
    fn from(Refusal { status, message, .. }: Refusal) -> Self {
        let mut body = json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.to_string(),
        });
        if status == 422 {
            body = json!({ "errors": [], "message": message, "documentation_url": body["documentation_url"] });
        }
        Self::new(status, body)
    }
}

/// Refused in words that name what was asked. They are as GitHub's description has them.
fn unprocessable(message: &str) -> Answer {
    let documentation = "https://docs.github.com/rest";
    Answer::new(
        422,
        json!({ "message": message, "documentation_url": documentation, "errors": [] }),
    )
}

/// Recorded for reads; documented for what changes something: sent again as it is, and no `GET`.
pub(super) fn moved(method: &str, location: String) -> Answer {
    let (status, message) =
        if method == "GET" { (301, "Moved Permanently") } else { (307, "Temporary Redirect") };
    let documentation = "https://docs.github.com/v3/#http-redirects";
    let body = json!({ "message": message, "url": location, "documentation_url": documentation });
    let headers = vec![("Location".to_owned(), location)];
    Answer { headers, ..Answer::new(status, body) }
}

/// Documented: a field that the operation can't do without.
pub(super) fn missing(field: &str) -> Answer {
    unprocessable(&format!("Invalid request.\n\n\"{field}\" wasn't supplied."))
}

/// Recorded.
pub(super) fn no_commit(name: &str) -> Answer {
    unprocessable(&format!("No commit found for SHA: {name}"))
}

/// Documented: a head that has nothing which its base lacks.
pub(super) fn no_commits(base: &str, head: &str) -> Answer {
    unprocessable(&format!("Validation Failed: No commits between {base} and {head}"))
}

/// Recorded.
pub(super) fn same_pull(head: &str) -> Answer {
    unprocessable(&format!("Validation Failed: A pull request already exists for {head}."))
}

/// A ref that doesn't move, in the words of [`super::refs::moved`].
pub(super) fn unmoved(words: &str) -> Answer {
    unprocessable(words)
}

/// Documented by issue threads: the rules of a branch are in the way of a ref.
pub(super) fn ruled(name: &str) -> String {
    format!("Repository rule violations found\n\nCannot update {name}")
}

/// Documented by GitHub's schema of `updateRefs`: a ref isn't where it is expected.
pub(super) fn elsewhere(name: &str, expected: &str, stands: &str) -> String {
    format!("Expected {name} to point at {expected}, but it is at {stands}")
}

macro_rules! refusals {
    ($($source:ident $name:ident = $status:literal $message:literal;)*) => {
        $(pub(super) const $name: Refusal =
            Refusal { status: $status, message: $message, source: Source::$source };)*

        /// All of them.
        pub(super) const REFUSALS: &[Refusal] = &[$($name),*];
    };
}

refusals! {
    Recorded NOT_FOUND = 404 "Not Found";
    Recorded BAD_CREDENTIALS = 401 "Bad credentials";
    Recorded NO_CREDENTIALS = 401 "Requires authentication";
    Quoted NO_JWT = 401 "A JSON web token could not be decoded";
    Recorded JWT_OVER = 401 "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
    Quoted JWT_TOO_LONG = 401 "'Expiration time' claim ('exp') is too far in the future";
    Quoted JWT_EARLY = 401 "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    Recorded NO_RIGHT = 403 "Resource not accessible by integration";
    Documented NO_RIGHT_OF_TOKEN = 403 "Resource not accessible by personal access token";
    Documented NO_BRANCH = 404 "Branch not found";
    Documented NO_LABEL = 404 "Label does not exist";
    Quoted FOREIGN_CHECK = 403 "Invalid app_id - check run can only be modified by the GitHub App that created it.";
    Recorded APPS_ONLY = 403 "You must authenticate via a GitHub App.";
    Documented SUSPENDED = 403 "This installation has been suspended";
    Recorded MUST_PUSH = 403 "Must have push access to view collaborator permission.";
    Recorded NOT_GRANTED = 422 "The permissions requested are not granted to this installation.";
    Documented NO_JSON = 400 "Problems parsing JSON";
    Documented NO_SINCE = 422 "Invalid since";
    Documented SECONDARY = 403 "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    Documented PRIMARY = 403 "API rate limit exceeded for installation.";
    Documented NO_HEAD = 422 "Validation Failed: head is invalid";
    Documented NO_BASE = 422 "Validation Failed: base is invalid";
    Documented MERGED = 422 "Validation Failed: state cannot be changed";
    Quoted BRANCH_GONE = 422 "state cannot be changed. The head branch has been deleted.";
    Quoted BRANCH_REWRITTEN = 422 "state cannot be changed. The head branch was force-pushed or recreated.";
    Documented BLANK = 422 "Validation Failed: body cannot be blank";
    Documented TOO_LONG = 422 "Validation Failed: body is too long (maximum is 65536 characters)";
    Documented TOO_MANY_ANNOTATIONS = 422 "Invalid request.\n\nNo more than 50 items are allowed.";
    Quoted TOO_MANY_STATUSES = 422 "This SHA and context has reached the maximum number of statuses.";
    Documented NO_REF_NAME = 422 "Reference name must start with 'refs/'";
    Quoted REF_THERE = 422 "Reference already exists";
    Quoted REF_MISSING = 422 "Reference does not exist";
    Quoted REF_HIDDEN = 422 "Reference cannot be updated";
    Quoted NO_OBJECT = 422 "Object does not exist";
    Quoted NOT_FORWARD = 422 "Update is not a fast forward";
    Documented NO_NODE = 200 "Could not resolve to a node with the global id";
}
