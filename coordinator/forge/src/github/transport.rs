//! One exchange with GitHub, by octocrab: a request goes out once, and an answer comes or does not.
//!
//! octocrab's retries and redirects are left out of the build. It would repeat a comment four times
//! within 3 ms on a 502, and follow an address to another host. What is tried again is decided in
//! [`client`](super::client), by operation.

use std::time::Duration;

use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH};
use http_body_util::{BodyExt, Limited};
use octocrab::{OctoBody, Octocrab};
use secrecy::{ExposeSecret, SecretString};

use super::answer::{Answer, Head};
use super::error::Cause;
use super::operation::{Operation, Route};

/// How long an exchange may take. GitHub ends requests itself after 10 s.
const LIMIT: Duration = Duration::from_secs(12);

/// How long it may take until somebody is there.
const CONNECT: Duration = Duration::from_secs(5);

/// No answer that is asked for is longer: a page of a hundred pull requests has 3 MB.
const MAX_BODY: usize = 32 << 20;

/// The version of GitHub's API that requests name.
const API: &str = "2022-11-28";

/// GitHub's own address for its API.
pub const GITHUB: &str = "https://api.github.com";

/// The API's address is none.
#[derive(Debug, thiserror::Error)]
#[error("`{address}` is no address of a github api: expected https://HOST or https://HOST/api/v3")]
pub struct InvalidAddress {
    /// What was given.
    pub address: String,
}

/// Carries requests.
#[derive(Debug, Clone)]
pub struct Transport {
    octocrab: Octocrab,
    base: String,
}

impl Transport {
    /// To the API at `base`: GitHub's own, or that of an enterprise's server.
    ///
    /// # Errors
    ///
    /// When that is no address. Plain `http` is taken for loopback alone.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(base: &str) -> Result<Self, InvalidAddress> {
        let base = Self::address(base)?;
        let octocrab = Octocrab::builder()
            .set_connect_timeout(Some(CONNECT))
            .build()
            .map_err(|_| InvalidAddress { address: base.to_owned() })?;
        Ok(Self { octocrab, base: base.to_owned() })
    }

    /// The API's address as it is used: what `base` says, without a slash at its end.
    ///
    /// # Errors
    ///
    /// As [`Transport::new`], and what nobody can say before there is a connection is not looked at.
    pub fn address(base: &str) -> Result<&str, InvalidAddress> {
        let invalid = || InvalidAddress { address: base.to_owned() };
        let base = base.trim_end_matches('/');
        let uri: http::Uri = base.parse().map_err(|_| invalid())?;
        // A secret before the host would be told wherever the address is, as would one behind it.
        let is_bare = uri.query().is_none() && !base.contains(['@', '#']);
        if is_bare && is_private(&uri) { Ok(base) } else { Err(invalid()) }
    }

    /// Sends a request once.
    ///
    /// # Errors
    ///
    /// No whole answer came. An answer of any status is none of that.
    pub async fn exchange(
        &self,
        route: &Route,
        bearer: &SecretString,
        etag: Option<&str>,
    ) -> Result<Answer, Cause> {
        let request = self.request(route, bearer, etag)?;
        match tokio::time::timeout(LIMIT, self.send(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered(format!("nothing within {}s", LIMIT.as_secs()))),
        }
    }

    async fn send(&self, request: Request<OctoBody>) -> Result<Answer, Cause> {
        let response = self.octocrab.execute(request).await;
        let (head, body) = response.map_err(|error| unanswered(chain(&error)))?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|error| unanswered(format!("half of one: {error}")))?;
        Ok(Answer {
            status: head.status.as_u16(),
            body: body.to_bytes().to_vec(),
            head: Head::of(&head.headers).below(self.root()),
        })
    }

    fn request(
        &self,
        route: &Route,
        bearer: &SecretString,
        etag: Option<&str>,
    ) -> Result<Request<OctoBody>, Cause> {
        let unsendable = |error: http::Error| Cause::Invalid { message: error.to_string() };
        let mut credentials = HeaderValue::try_from(format!("Bearer {}", bearer.expose_secret()))
            .map_err(|error| unsendable(error.into()))?;
        credentials.set_sensitive(true);
        let mut request = Request::builder()
            .method(route.method())
            .uri(self.uri(route))
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", API)
            .header(AUTHORIZATION, credentials);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let body = route.sent().map(ToString::to_string);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(body.map_or_else(OctoBody::empty, OctoBody::from)).map_err(unsendable)
    }

    /// Path and query of an address of this API; `None` for any other, where no token may go.
    pub(super) fn within<'a>(&self, address: &'a str) -> Option<&'a str> {
        address.strip_prefix(&self.base).filter(|path| path.starts_with('/'))
    }

    /// The path on its host that the API is below: none at GitHub itself.
    fn root(&self) -> &str {
        let host = self.base.split_once("://").map_or("", |(_, host)| host);
        host.find('/').map_or("", |at| &host[at..])
    }

    /// An enterprise's server has its REST below `/api/v3`, and GraphQL beside it.
    fn uri(&self, route: &Route) -> String {
        let base = match route.operation() {
            Operation::GRAPHQL => self.base.strip_suffix("/v3").unwrap_or(&self.base),
            _ => &self.base,
        };
        format!("{base}{}", route.address())
    }
}

/// Whether nobody on the way reads what is sent there.
pub(super) fn is_private(uri: &http::Uri) -> bool {
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => matches!(host, "127.0.0.1" | "[::1]" | "localhost"),
        _ => false,
    }
}

fn unanswered(reason: String) -> Cause {
    Cause::Unanswered { reason }
}

/// octocrab's errors name their kind alone; the reason is further down.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_go_to_no_address_in_the_clear() {
        for good in [GITHUB, "https://git.example/api/v3/", "http://127.0.0.1:1", "http://[::1]:1"]
        {
            assert!(Transport::new(good).is_ok(), "{good}");
        }
        for bad in
            ["http://api.github.com", "api.github.com", "", "ssh://git@github.com", "https://"]
        {
            assert!(Transport::new(bad).is_err(), "{bad}");
        }
        for bad in ["https://me:s3cret@git.example/api/v3", "https://git.example/?token=s3cret"] {
            assert!(Transport::new(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_enterprise_has_graphql_beside_rest() {
        let transport = Transport::new("https://git.example/api/v3/").unwrap();
        let uri = |operation: Operation| transport.uri(&operation.route());
        assert_eq!(uri(Operation::APP), "https://git.example/api/v3/app");
        assert_eq!(uri(Operation::GRAPHQL), "https://git.example/api/graphql");
    }

    #[tokio::test]
    async fn an_address_elsewhere_is_not_gone_to() {
        let transport = Transport::new("https://git.example/api/v3").unwrap();
        let within = |address| transport.within(address);
        assert_eq!(within("https://git.example/api/v3/repositories/1"), Some("/repositories/1"));
        for elsewhere in [
            "https://git.example.evil/api/v3/repositories/1",
            "https://git.example/api/v31/repositories/1",
            "http://git.example/api/v3/repositories/1",
            "//git.example/api/v3/repositories/1",
            "/api/v3/repositories/1",
            "",
        ] {
            assert_eq!(within(elsewhere), None, "{elsewhere}");
        }
    }

    #[tokio::test]
    async fn a_secret_is_not_shown() {
        let transport = Transport::new(GITHUB).unwrap();
        let secret = SecretString::from("s3cret");
        let request = transport.request(&Operation::APP.route(), &secret, None).unwrap();
        assert!(!format!("{:?} {secret:?}", request.headers()).contains("s3cret"));
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        let transport = Transport::new("http://127.0.0.1:1").unwrap();
        let said =
            transport.exchange(&Operation::APP.route(), &SecretString::from("x"), None).await;
        assert!(matches!(said, Err(Cause::Unanswered { .. })), "{said:?}");
    }
}
