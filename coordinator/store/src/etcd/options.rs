//! How an etcd is reached, checked before anything is sent.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::keys::Fleet;
use crate::store::Cause;

/// How long a silent leader is waited for, unless said otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15);

/// How long making a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a connection may be still before the other side is asked whether it is there. etcd
/// hangs up on who asks more often than each 5 s.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
/// How long the answer to that may take.
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(2);

/// How an etcd is reached, and as whom.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    pub(super) endpoints: Vec<String>,
    pub(super) fleet: Fleet,
    pub(super) ttl: Duration,
    pub(super) user: Option<User>,
    pub(super) tls: Option<Tls>,
    pub(super) history: History,
    pub(super) versions: Versions,
}

/// Whom etcd knows us as.
#[derive(Clone)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Who etcd must be, and who we are, by certificates. All texts are PEM.
#[derive(Clone)]
pub struct Tls {
    /// Who may have signed etcd's certificate.
    pub ca: Vec<u8>,
    /// Our certificate and its key, where etcd asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}

/// How much of etcd's history the leader keeps. Only a load that is under way needs any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// How often the leader looks.
    pub every: Duration,
    /// What is older than this goes.
    pub keep: Duration,
    /// What is further back than this many revisions goes too, however young.
    pub keep_revisions: u32,
}

impl Default for History {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            keep: Duration::from_secs(600),
            keep_revisions: 100_000,
        }
    }
}

/// Whether versions of etcd that are known to lose writes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    Checked,
    #[cfg_attr(not(feature = "test-util"), expect(dead_code, reason = "tests alone say so"))]
    Any,
}

/// Why the options cannot be used.
#[derive(Debug, Error)]
pub enum OptionsError {
    /// No endpoint is named.
    #[error("no endpoint of etcd is named")]
    NoEndpoint,
    /// An endpoint is no address.
    #[error("endpoint `{endpoint}` is not of the form `http://host:port` or `https://host:port`")]
    Endpoint {
        /// The text.
        endpoint: String,
    },
    /// An endpoint is encrypted, but nothing says whom to trust.
    #[error("endpoint `{endpoint}` needs a certificate authority")]
    NoAuthority {
        /// The endpoint.
        endpoint: String,
    },
    /// An endpoint is not encrypted, although certificates are given.
    #[error("endpoint `{endpoint}` is not encrypted, but certificates are given")]
    NotEncrypted {
        /// The endpoint.
        endpoint: String,
    },
    /// A certificate or key cannot be used.
    #[error("certificates for endpoint `{endpoint}` cannot be used")]
    Certificates {
        /// The endpoint.
        endpoint: String,
        /// Why.
        #[source]
        cause: Cause,
    },
}

impl EtcdOptions {
    /// The etcd whose members are reached at `endpoints`, such as `http://10.0.0.1:2379`, for the
    /// records of `fleet`. All endpoints are of one cluster; one suffices, all are better.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>, fleet: Fleet) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            fleet,
            ttl: DEFAULT_TTL,
            user: None,
            tls: None,
            history: History::default(),
            versions: Versions::Checked,
        }
    }

    /// Waits `ttl` for a silent leader instead of [`DEFAULT_TTL`]. All candidates of a fleet use
    /// the same.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Presents this name and password.
    #[must_use]
    pub fn user(self, name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: Some(User { name: name.into(), password: password.into() }), ..self }
    }

    /// Uses these certificates.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Keeps so much history instead of the default.
    #[must_use]
    pub fn history(self, history: History) -> Self {
        Self { history, ..self }
    }

    /// Takes etcds too that are known to lose writes when they crash, for tests that crash none.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn any_version(self) -> Self {
        Self { versions: Versions::Any, ..self }
    }

    /// One channel for each endpoint, none of them connected yet.
    pub(super) fn channels(&self) -> Result<Vec<(String, Channel)>, OptionsError> {
        if self.endpoints.is_empty() {
            return Err(OptionsError::NoEndpoint);
        }
        let channel = |endpoint: &String| Ok((endpoint.clone(), self.channel(endpoint)?));
        self.endpoints.iter().map(channel).collect()
    }

    fn channel(&self, text: &str) -> Result<Channel, OptionsError> {
        let endpoint = text.to_owned();
        let Some(parsed) = parse(text) else {
            return Err(OptionsError::Endpoint { endpoint });
        };
        let built = parsed
            .connect_timeout(CONNECT)
            .tcp_keepalive(Some(KEEPALIVE_AFTER))
            .http2_keep_alive_interval(KEEPALIVE_AFTER)
            .keep_alive_timeout(KEEPALIVE_WITHIN);
        let encrypted = text.starts_with("https://");
        let built = match &self.tls {
            None if encrypted => return Err(OptionsError::NoAuthority { endpoint }),
            Some(_) if !encrypted => return Err(OptionsError::NotEncrypted { endpoint }),
            None => built,
            Some(tls) => tls
                .config()
                .and_then(|config| Ok(built.tls_config(config)?))
                .map_err(|cause| OptionsError::Certificates { endpoint, cause })?,
        };
        Ok(built.connect_lazy())
    }
}

impl Tls {
    fn config(&self) -> Result<ClientTlsConfig, Cause> {
        // A text without a certificate would be taken as nobody to trust, and fail much later.
        expect_pem("the certificate authority", &self.ca, "CERTIFICATE-----")?;
        let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca));
        let Some((cert, key)) = &self.identity else { return Ok(config) };
        expect_pem("our certificate", cert, "CERTIFICATE-----")?;
        expect_pem("our key", key, "PRIVATE KEY-----")?;
        Ok(config.identity(Identity::from_pem(cert, key)))
    }
}

fn expect_pem(what: &str, text: &[u8], label: &str) -> Result<(), Cause> {
    if String::from_utf8_lossy(text).contains(label) {
        return Ok(());
    }
    Err(format!("{what} is no PEM text with `{label}`").into())
}

fn parse(text: &str) -> Option<Endpoint> {
    let address = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    if address.is_empty() || address.contains('/') {
        return None;
    }
    Endpoint::from_shared(text.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(endpoint: &str) -> EtcdOptions {
        EtcdOptions::new([endpoint], Fleet::parse("main").unwrap())
    }

    #[tokio::test]
    async fn an_endpoint_is_an_address_with_a_scheme() {
        options("http://127.0.0.1:2379").channels().unwrap();
        for bad in ["", "127.0.0.1:2379", "ftp://a:1", "http://", "http://a:1/v3", "http://a b"] {
            let error = options(bad).channels().unwrap_err();
            assert!(matches!(&error, OptionsError::Endpoint { endpoint } if endpoint == bad));
        }
        let none = EtcdOptions::new(Vec::<String>::new(), Fleet::parse("main").unwrap());
        assert!(matches!(none.channels(), Err(OptionsError::NoEndpoint)));
    }

    #[tokio::test]
    async fn certificates_and_schemes_belong_together() {
        let tls = Tls { ca: b"no certificate".to_vec(), identity: None };
        let error = options("https://a:1").channels().unwrap_err();
        assert!(matches!(error, OptionsError::NoAuthority { .. }), "{error}");
        let error = options("http://a:1").tls(tls.clone()).channels().unwrap_err();
        assert!(matches!(error, OptionsError::NotEncrypted { .. }), "{error}");
        let error = options("https://a:1").tls(tls).channels().unwrap_err();
        assert!(matches!(error, OptionsError::Certificates { .. }), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let tls = Tls { ca: Vec::new(), identity: Some((b"cert".to_vec(), b"secret".to_vec())) };
        let options = options("https://a:1").user("root", "hunter2").tls(tls);
        let shown = format!("{options:?}");
        assert!(shown.contains("root") && !shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains("115, 101, 99"), "{shown}");
    }
}
