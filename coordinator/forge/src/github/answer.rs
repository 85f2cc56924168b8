//! What GitHub answered: status, body, and of the head what anybody needs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::{Cause, Limit};
use super::operation::Operation;

/// How long to wait at least where GitHub wants it and does not say how long (its documentation on
/// rate limits, "exceeding the rate limit").
const UNSAID: Duration = Duration::from_secs(60);

/// So many characters of a body that cannot be read are shown.
const SHOWN: usize = 120;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
    /// What it said beside the body.
    pub head: Head,
}

/// Of an answer's head what decides something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// GitHub's clock.
    pub date: Option<SystemTime>,
    /// By what the same answer is known again.
    pub etag: Option<String>,
    /// Path and query of the next page, as routes have them: without the host, since tokens follow
    /// no address, and below the API's address.
    pub next: Option<String>,
    /// Where it is now.
    pub location: Option<String>,
    /// How many requests are left until the limit is counted anew.
    pub remaining: Option<u64>,
    /// When the limit is counted anew.
    pub reset: Option<SystemTime>,
    /// How long GitHub wants to hear nothing.
    pub retry_after: Option<Duration>,
}

impl Head {
    /// Reads a head; what is malformed counts as unsaid.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|text| text.trim().parse::<u64>().ok());
        let moment = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        Self {
            date: text("date").and_then(|text| httpdate::parse_http_date(text).ok()),
            etag: text("etag").map(str::to_owned),
            next: text("link").and_then(next_of),
            location: text("location").map(str::to_owned),
            remaining: number("x-ratelimit-remaining"),
            reset: number("x-ratelimit-reset").and_then(moment),
            retry_after: number("retry-after").map(Duration::from_secs),
        }
    }

    /// The same of an API that is not at its host's root: an enterprise's server names pages from
    /// there, and routes begin below `root`. A page elsewhere stays what it is, and is not found.
    pub(super) fn below(mut self, root: &str) -> Self {
        let inner = |next: &str| Some(next.strip_prefix(root)?.to_owned());
        let inner = self.next.as_deref().and_then(inner).filter(|next| next.starts_with('/'));
        self.next = inner.or(self.next);
        self
    }

    /// How long it is until the limit is counted anew, by GitHub's own clock.
    fn until_reset(&self) -> Option<Duration> {
        Some(self.reset?.duration_since(self.date?).unwrap_or_default())
    }
}

/// Path and query of the link to the next page.
fn next_of(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains(r#"rel="next""#))?;
    let address = next.trim().strip_prefix('<')?.split_once('>')?.0;
    let (_, rest) = address.split_once("://")?;
    rest.find('/').map(|at| rest[at..].to_owned())
}

/// That too much was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limited {
    /// Which limit was met.
    pub(super) limit: Limit,
    /// For how long GitHub wants to hear nothing; `None` where it does not say.
    pub(super) wait: Option<Duration>,
}

/// What GitHub writes into the body of an error.
#[derive(Debug, Default, Deserialize)]
struct Complaint {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: serde_json::Value,
}

impl Answer {
    /// What was asked for, if that is what came.
    ///
    /// # Errors
    ///
    /// Why not. A success that cannot be read is one still: see [`Cause::Unreadable`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Cause> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Cause::Unreadable { detail: error.to_string() })
    }

    /// What is wrong, if this is no success. `304` is one.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        let complaint: Complaint = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = || self.words(&complaint);
        Some(match self.status {
            200..=299 | 304 => return None,
            301 | 302 | 307 | 308 => Cause::Moved { to: self.head.location.clone() },
            401 => Cause::Unauthorized { message: message() },
            403 | 429 => self.forbidden(message()),
            404 => Cause::Missing { message: message() },
            405 => Cause::NotAllowed { message: message() },
            409 => Cause::Conflict { message: message() },
            410 | 451 => Cause::Gone { message: message() },
            400 | 422 => Cause::Invalid { message: message() },
            // The request was not waited for: whether it was carried out is not said.
            408 | 500..=599 => Cause::Outage { status: self.status },
            // What else may be wrong with a request does not pass by itself, whatever it is.
            status @ 402..=499 => Cause::Invalid { message: format!("{status}: {}", message()) },
            status => Cause::Unexpected { status, message: message() },
        })
    }

    /// Two statuses say many things: not allowed, suspended, and three kinds of too much.
    fn forbidden(&self, message: String) -> Cause {
        if let Some(Limited { limit, wait }) = self.too_much(&message) {
            return Cause::Cooldown { limit, wait: wait.unwrap_or(UNSAID) };
        }
        if message.to_ascii_lowercase().contains("suspended") {
            return Cause::Suspended { message };
        }
        Cause::Forbidden { message }
    }

    /// That too much was asked, if this says so. GraphQL does in an answer that is fine.
    pub(super) fn limited(&self, operation: Operation) -> Option<Limited> {
        let is_graphql = self.status == 200 && operation == Operation::GRAPHQL;
        if !is_graphql && !matches!(self.status, 403 | 429) {
            return None;
        }
        let complaint: Complaint = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = self.words(&complaint);
        match is_graphql {
            true if !complaint.is_of_limits(&message) => None,
            true => {
                let unsaid = Limited { limit: Limit::Primary, wait: None };
                Some(self.too_much(&message).unwrap_or(unsaid))
            }
            false => self.too_much(&message),
        }
    }

    /// Which limit was met, if one was, and until when: by the head first, then by the words.
    fn too_much(&self, message: &str) -> Option<Limited> {
        if let Some(wait) = self.head.retry_after {
            return Some(Limited { limit: Limit::Secondary, wait: Some(wait) });
        }
        if self.head.remaining == Some(0) {
            return Some(Limited { limit: Limit::Primary, wait: self.head.until_reset() });
        }
        let is_secondary = says_secondary(message) || self.status == 429;
        is_secondary.then_some(Limited { limit: Limit::Secondary, wait: None })
    }

    /// The complaint in a line: message, and what each error says.
    fn words(&self, complaint: &Complaint) -> String {
        if complaint.message.is_empty() {
            let text = String::from_utf8_lossy(&self.body);
            return text.trim().chars().take(SHOWN).collect();
        }
        let mut words = vec![complaint.message.clone()];
        words.extend(complaint.errors.as_array().into_iter().flatten().map(one_error));
        words.join("; ")
    }
}

impl Complaint {
    /// Whether something in GraphQL was refused for a limit, and for nothing else.
    fn is_of_limits(&self, message: &str) -> bool {
        let kinds = self.errors.as_array().into_iter().flatten().map(|error| &error["type"]);
        kinds.clone().any(|kind| kind == "RATE_LIMITED") || says_secondary(message)
    }
}

fn says_secondary(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["secondary rate limit", "abuse detection"].iter().any(|words| message.contains(words))
}

/// One entry of an error's list: a sentence, or a code of a field.
fn one_error(error: &serde_json::Value) -> String {
    let text = |name: &str| error[name].as_str();
    match (error.as_str().or(text("message")), text("field"), text("code")) {
        (Some(message), ..) => message.to_owned(),
        (None, Some(field), Some(code)) => format!("{field}: {code}"),
        (None, ..) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, head: &[(&'static str, &str)], body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in head {
            headers.insert(*name, value.parse().unwrap());
        }
        Answer { status, body: body.as_bytes().to_vec(), head: Head::of(&headers) }
    }

    #[test]
    fn the_next_page_is_a_path_and_never_a_host() {
        let link = r#"<https://api.github.com/repositories/1/pulls?page=1>; rel="prev", <https://evil.example/repositories/1/pulls?page=3&per_page=2>; rel="next""#;
        let read = answer(200, &[("link", link)], "[]");
        assert_eq!(read.head.next.as_deref(), Some("/repositories/1/pulls?page=3&per_page=2"));
        for none in [r#"<https://h/a>; rel="last""#, "", "<x>; rel=\"next\"", "rel=\"next\""] {
            assert_eq!(answer(200, &[("link", none)], "[]").head.next, None, "{none}");
        }
    }

    #[test]
    fn the_next_page_of_an_enterprise_is_below_its_api() {
        for (next, below) in [
            ("/api/v3/repositories/1/pulls?page=2", "/repositories/1/pulls?page=2"),
            ("/repositories/1/pulls?page=2", "/repositories/1/pulls?page=2"),
            ("/api/v31/repositories/1", "/api/v31/repositories/1"),
        ] {
            let head = Head { next: Some(next.to_owned()), ..Head::default() };
            assert_eq!(head.below("/api/v3").next.as_deref(), Some(below));
        }
        assert_eq!(Head::default().below("/api/v3").next, None);
        let head = Head { next: Some("/user".to_owned()), ..Head::default() };
        assert_eq!(head.below("").next.as_deref(), Some("/user"));
    }

    #[test]
    fn too_much_is_told_from_not_allowed() {
        let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
        let cooldown =
            |limit, seconds| Some(Cause::Cooldown { limit, wait: Duration::from_secs(seconds) });
        let date = ("date", "Tue, 01 Dec 2026 10:00:00 GMT");
        let spent = [date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1796119320")];
        for (said, cause) in [
            (answer(403, &spent, "{}"), cooldown(Limit::Primary, 120)),
            (answer(429, &[("retry-after", "2")], "{}"), cooldown(Limit::Secondary, 2)),
            (answer(403, &[], secondary), cooldown(Limit::Secondary, 60)),
            (answer(429, &[], ""), cooldown(Limit::Secondary, 60)),
        ] {
            assert_eq!(said.cause(), cause);
        }
        let denied = answer(403, &[], r#"{"message":"Resource not accessible by integration"}"#);
        let message = "Resource not accessible by integration".to_owned();
        assert_eq!(denied.cause(), Some(Cause::Forbidden { message }));
        let suspended =
            answer(403, &[], r#"{"message":"This installation has been suspended"}"#).cause();
        assert!(matches!(suspended, Some(Cause::Suspended { .. })), "{suspended:?}");
    }

    #[test]
    fn in_graphql_too_much_is_said_in_an_answer_that_is_fine() {
        let date = ("date", "Tue, 01 Dec 2026 10:00:00 GMT");
        let spent = [date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1796119320")];
        let typed = r#"{"data":null,"errors":[{"type":"RATE_LIMITED","message":"wait"}]}"#;
        let secondary = r#"{"errors":[{"message":"You have exceeded a secondary rate limit."}]}"#;
        let said = |answer: &Answer| {
            answer.limited(Operation::GRAPHQL).map(|it| (it.limit, it.wait.map(|it| it.as_secs())))
        };
        for (answer, limited) in [
            (answer(200, &spent, typed), Some((Limit::Primary, Some(120)))),
            (answer(200, &[], typed), Some((Limit::Primary, None))),
            (answer(200, &[], secondary), Some((Limit::Secondary, None))),
            (answer(200, &[("retry-after", "9")], secondary), Some((Limit::Secondary, Some(9)))),
            (answer(200, &spent, r#"{"data":{"updateRefs":{}}}"#), None),
            (answer(200, &spent, r#"{"errors":[{"message":"no"}]}"#), None),
        ] {
            assert_eq!(said(&answer), limited, "{answer:?}");
        }
        assert_eq!(answer(200, &[], secondary).limited(Operation::COMMENT), None);
    }

    #[test]
    fn errors_say_all_that_github_said() {
        let body = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"base","code":"invalid"},{"message":"No commits between main and x"},"plain"]}"#;
        let message =
            "Validation Failed; base: invalid; No commits between main and x; plain".to_owned();
        assert_eq!(answer(422, &[], body).cause(), Some(Cause::Invalid { message }));
        let html = answer(404, &[], "<html>not here</html>").cause();
        assert_eq!(html, Some(Cause::Missing { message: "<html>not here</html>".to_owned() }));
        assert_eq!(answer(503, &[], "<html>").cause(), Some(Cause::Outage { status: 503 }));
        assert_eq!(answer(304, &[], "").cause(), None);
    }

    #[test]
    fn a_status_that_is_nowhere_described_is_a_refusal() {
        for status in [402, 406, 412, 413, 415, 423, 428, 431] {
            let cause = answer(status, &[], r#"{"message":"no"}"#).cause();
            assert_eq!(cause, Some(Cause::Invalid { message: format!("{status}: no") }));
        }
        assert_eq!(answer(408, &[], "").cause(), Some(Cause::Outage { status: 408 }));
        let odd = answer(305, &[], "").cause();
        assert!(matches!(odd, Some(Cause::Unexpected { status: 305, .. })), "{odd:?}");
    }
}
