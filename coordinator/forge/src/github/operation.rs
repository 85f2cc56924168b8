//! Every operation of GitHub that is asked for, and the one way to make a request.
//!
//! A request is of an operation in this list and of nothing else, so that the list can be held
//! against the rights that an App asks for, and against GitHub's own description.

use http::Method;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use super::place::Slug;

/// What of a name may stand in a path as it is. `/` may not: see [`Route::branch`].
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What of a value may stand in a query as it is.
const QUERY: &AsciiSet = &SEGMENT.add(b'\'').add(b':').add(b'@');

/// Who an operation is asked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// The App itself, by a token that its key signs.
    App,
    /// Its installation, or the owner of a personal token.
    Installation,
}

/// What sending an operation twice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changes: it is asked again where no answer came.
    Read,
    /// Something changes: where no answer came, somebody looks before it is sent again.
    Write,
    /// As a write, of what people are told of: GitHub counts those apart.
    Post,
}

impl Effect {
    /// Whether something changes.
    #[must_use]
    pub fn changes(self) -> bool {
        self != Self::Read
    }
}

/// An operation as GitHub's description has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its HTTP method.
    pub method: &'static str,
    /// Its path, with names in braces.
    pub template: &'static str,
    /// Who asks.
    pub by: As,
    /// What it does.
    pub effect: Effect,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $by:ident $effect:ident $method:literal $template:literal;)*) => {
        impl Operation {
            $($(#[$doc])* pub const $name: Self = Self {
                method: $method,
                template: $template,
                by: As::$by,
                effect: Effect::$effect,
            };)*

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

operations! {
    /// The App that the key belongs to.
    APP: App Read "GET" "/app";
    /// Where the App is installed for a repository.
    INSTALLATION: App Read "GET" "/repos/{owner}/{repo}/installation";
    /// A token for an installation.
    TOKEN: App Write "POST" "/app/installations/{installation_id}/access_tokens";
    /// Whose token it is; personal tokens only.
    USER: Installation Read "GET" "/user";
    /// The repository.
    REPOSITORY: Installation Read "GET" "/repos/{owner}/{repo}";
    /// A branch, with a summary of how it is protected.
    BRANCH: Installation Read "GET" "/repos/{owner}/{repo}/branches/{branch}";
    /// The active rules for a branch.
    RULES: Installation Read "GET" "/repos/{owner}/{repo}/rules/branches/{branch}";
    /// A ruleset, and whether it holds for whoever asks.
    RULESET: Installation Read "GET" "/repos/{owner}/{repo}/rulesets/{ruleset_id}";
    /// What somebody may do here.
    PERMISSION: Installation Read "GET" "/repos/{owner}/{repo}/collaborators/{username}/permission";
    /// The pull requests.
    PULLS: Installation Read "GET" "/repos/{owner}/{repo}/pulls";
    /// One pull request.
    PULL: Installation Read "GET" "/repos/{owner}/{repo}/pulls/{pull_number}";
    /// Opens a pull request.
    OPEN_PULL: Installation Post "POST" "/repos/{owner}/{repo}/pulls";
    /// Edits or closes a pull request.
    EDIT_PULL: Installation Post "PATCH" "/repos/{owner}/{repo}/pulls/{pull_number}";
    /// The reviews of a pull request.
    REVIEWS: Installation Read "GET" "/repos/{owner}/{repo}/pulls/{pull_number}/reviews";
    /// Comments of all pull requests, by when they changed.
    COMMENTS: Installation Read "GET" "/repos/{owner}/{repo}/issues/comments";
    /// The comments of one pull request.
    COMMENTS_OF: Installation Read "GET" "/repos/{owner}/{repo}/issues/{issue_number}/comments";
    /// Comments on a pull request.
    COMMENT: Installation Post "POST" "/repos/{owner}/{repo}/issues/{issue_number}/comments";
    /// Edits a comment.
    EDIT_COMMENT: Installation Post "PATCH" "/repos/{owner}/{repo}/issues/comments/{comment_id}";
    /// The check runs of a commit.
    CHECKS: Installation Read "GET" "/repos/{owner}/{repo}/commits/{ref}/check-runs";
    /// Makes a check run; Apps only.
    MAKE_CHECK: Installation Write "POST" "/repos/{owner}/{repo}/check-runs";
    /// Edits a check run.
    EDIT_CHECK: Installation Write "PATCH" "/repos/{owner}/{repo}/check-runs/{check_run_id}";
    /// What a check run says at lines of files.
    ANNOTATIONS: Installation Read "GET" "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations";
    /// The statuses of a commit, the last one of each context.
    STATUS: Installation Read "GET" "/repos/{owner}/{repo}/commits/{ref}/status";
    /// Sets a status, where there are no check runs.
    SET_STATUS: Installation Write "POST" "/repos/{owner}/{repo}/statuses/{sha}";
    /// Where a ref stands.
    REF: Installation Read "GET" "/repos/{owner}/{repo}/git/ref/{ref}";
    /// Moves a ref.
    MOVE_REF: Installation Write "PATCH" "/repos/{owner}/{repo}/git/refs/{ref}";
    /// Moves several refs together; also all else that is asked in GraphQL.
    GRAPHQL: Installation Write "POST" "/graphql";
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

impl Operation {
    /// A request of this operation, whose names are to be filled in.
    #[must_use]
    pub fn route(self) -> Route {
        let (path, query) = (self.template.to_owned(), String::new());
        Route { operation: self, place: None, path, query, body: None }
    }
}

/// A request of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    operation: Operation,
    /// The repository that it is about, if its path names one.
    place: Option<Slug>,
    path: String,
    query: String,
    body: Option<Value>,
}

impl Route {
    /// Fills in a name that is one segment, whatever is in it.
    #[must_use]
    pub fn with(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.filled(name, &utf8_percent_encode(&value.to_string(), SEGMENT).to_string())
    }

    /// Fills in the repository.
    pub(super) fn about(self, place: &Slug) -> Self {
        let route = self.with("owner", place.owner()).with("repo", place.name());
        Self { place: Some(place.clone()), ..route }
    }

    /// The repository that it is about, as whoever asks calls it.
    pub(super) fn place(&self) -> Option<&Slug> {
        self.place.as_ref()
    }

    /// The same request of the repository that is called so now. An address that GitHub gave names
    /// it by its id, and stays what it is.
    pub(super) fn called(&self, now: &Slug) -> Self {
        let rest =
            self.place.as_ref().and_then(|it| self.path.strip_prefix(&format!("/repos/{it}")));
        let path = rest.map_or_else(|| self.path.clone(), |rest| format!("/repos/{now}{rest}"));
        Self { path, ..self.clone() }
    }

    /// Fills in a branch or ref, whose slashes stay what they are.
    #[must_use]
    pub fn branch(self, name: &str, value: &str) -> Self {
        let parts: Vec<String> =
            value.split('/').map(|part| utf8_percent_encode(part, SEGMENT).to_string()).collect();
        self.filled(name, &parts.join("/"))
    }

    fn filled(mut self, name: &str, value: &str) -> Self {
        self.path = self.path.replace(&format!("{{{name}}}"), value);
        self
    }

    /// Adds a parameter behind the path.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let sign = if self.query.is_empty() { '?' } else { '&' };
        let value = value.to_string();
        self.query.push_str(&format!("{sign}{name}={}", utf8_percent_encode(&value, QUERY)));
        self
    }

    /// What is sent with it.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The same request for another page, which GitHub names as an address of its own.
    pub(super) fn at(&self, path_and_query: &str) -> Self {
        let (path, query) = path_and_query
            .split_once('?')
            .map_or((path_and_query, String::new()), |(path, query)| (path, format!("?{query}")));
        Self { path: path.to_owned(), query, ..self.clone() }
    }

    /// What it is a request of.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    pub(super) fn method(&self) -> Method {
        match self.operation.method {
            "GET" => Method::GET,
            "PATCH" => Method::PATCH,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            _ => Method::POST,
        }
    }

    /// Path and query.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}{}", self.path, self.query)
    }

    pub(super) fn sent(&self) -> Option<&Value> {
        self.body.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        let route = |branch| {
            let route = Operation::BRANCH.route().with("owner", "a/b").with("repo", "c");
            route.branch("branch", branch).address()
        };
        assert_eq!(route("feature/x#y"), "/repos/a%2Fb/c/branches/feature/x%23y");
        assert_eq!(route("a?b=c&d"), "/repos/a%2Fb/c/branches/a%3Fb%3Dc%26d");
        assert_eq!(route("größe %"), "/repos/a%2Fb/c/branches/gr%C3%B6%C3%9Fe%20%25");
    }

    #[test]
    fn a_request_goes_where_its_repository_is_now() {
        let (old, new): (Slug, Slug) = ("acme/wid".parse().unwrap(), "b/gadget".parse().unwrap());
        let route = old.route(Operation::PULLS).query("state", "open");
        assert_eq!(route.called(&new).address(), "/repos/b/gadget/pulls?state=open");
        assert_eq!(route.called(&old).address(), route.address());
        let page = route.at("/repositories/12/pulls?page=2");
        assert_eq!(page.called(&new).address(), "/repositories/12/pulls?page=2");
        assert_eq!(Operation::USER.route().called(&new).address(), "/user");
    }

    #[test]
    fn a_query_keeps_its_values_apart() {
        let route = Operation::PULLS.route().with("owner", "o").with("repo", "r");
        let address = route.query("head", "o:a&b=c").query("per_page", 100).address();
        assert_eq!(address, "/repos/o/r/pulls?head=o%3Aa%26b%3Dc&per_page=100");
    }

    #[test]
    fn reads_are_gets_and_nothing_is_listed_twice() {
        for (at, operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(operation.method != "GET", operation.effect.changes(), "{operation}");
            assert!(!Operation::ALL[..at].contains(operation), "{operation} is there twice");
        }
    }
}
