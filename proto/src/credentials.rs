//! What a client shows of itself: a certificate, a token, and whom it believes.
//!
//! Both programs find it in the same places. A machine has an identity of its
//! own, beside that of whoever works on it. A token is never printed, and never
//! sent where others could read it. Not here: who is called, and what is tried
//! again.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::error::Failure;
use crate::protocol;
use crate::v1::coordinator_client::CoordinatorClient;

/// How every token begins, so that a leaked one is found by its looks.
pub const TOKEN_PREFIX: &str = "molt_";

/// The longest token, in bytes.
const MAX_TOKEN: usize = 256;

/// How long it may take to find out whether a certificate is taken.
const DOUBT: Duration = Duration::from_secs(2);

/// How often the other side is asked whether it is there, and how long its answer may take.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
const ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// The header that a token travels in.
const HEADER: &str = "authorization";

/// A client that shows its token with every call.
pub type Stub = CoordinatorClient<InterceptedService<Channel, Bearer>>;

/// What can be set, in the environment or in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The file of whoever signs the coordinators' certificates.
    Ca,
    /// The file of the client's own certificate.
    Cert,
    /// The file of that certificate's key.
    Key,
    /// The file that has a token and nothing else.
    TokenFile,
    /// The token itself, for machines that have no files of their own.
    Token,
    /// The file of the certificate of the machine.
    HostCert,
    /// The file of that certificate's key.
    HostKey,
    /// The file that has the machine's token and nothing else.
    HostTokenFile,
}

impl Setting {
    /// Its variable in the environment.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Ca => "MOLT_COORD_CA",
            Self::Cert => "MOLT_COORD_CERT",
            Self::Key => "MOLT_COORD_KEY",
            Self::TokenFile => "MOLT_COORD_TOKEN_FILE",
            Self::Token => "MOLT_COORD_TOKEN",
            Self::HostCert => "MOLT_HOST_CERT",
            Self::HostKey => "MOLT_HOST_KEY",
            Self::HostTokenFile => "MOLT_HOST_TOKEN_FILE",
        }
    }

    /// Its key below `molt.` in git's configuration; a token itself is in no such file.
    #[must_use]
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Ca => Some("ca"),
            Self::Cert => Some("cert"),
            Self::Key => Some("key"),
            Self::TokenFile => Some("tokenFile"),
            Self::Token => None,
            Self::HostCert => Some("hostCert"),
            Self::HostKey => Some("hostKey"),
            Self::HostTokenFile => Some("hostTokenFile"),
        }
    }
}

/// Where settings come from: the environment first, then a file.
struct Source<E, F> {
    environment: E,
    file: F,
}

impl<E, F> Source<E, F>
where
    E: Fn(&str) -> Option<String>,
    F: Fn(&str) -> Option<String>,
{
    /// What the environment alone says.
    fn in_environment(&self, setting: Setting) -> Option<String> {
        (self.environment)(setting.variable()).filter(|value| !value.is_empty())
    }

    fn get(&self, setting: Setting) -> Option<String> {
        let filed = || setting.key().and_then(&self.file).filter(|value| !value.is_empty());
        self.in_environment(setting).or_else(filed)
    }

    fn ca(&self) -> Result<Option<String>, CredentialsError> {
        self.get(Setting::Ca).map(|path| read(&path, Setting::Ca)).transpose()
    }

    /// A certificate and its key: both or neither.
    fn identity(&self, cert: Setting, key: Setting) -> Result<Option<Pair>, CredentialsError> {
        let without = |there, missing| Err(CredentialsError::Without { there, missing });
        match (self.get(cert), self.get(key)) {
            (Some(cert_file), Some(key_file)) => {
                let (cert, key) = (read(&cert_file, cert)?, secret(&key_file, key)?);
                Ok(Some(Pair { cert, key }))
            }
            (Some(_), None) => without(cert, key),
            (None, Some(_)) => without(key, cert),
            (None, None) => Ok(None),
        }
    }

    /// The token in the file that `setting` names.
    fn filed_token(&self, setting: Setting) -> Result<Bearer, CredentialsError> {
        match self.get(setting) {
            Some(path) => bearer(&secret(&path, setting)?, setting),
            None => Ok(Bearer::default()),
        }
    }
}

/// Why what is set cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file does not read.
    #[error("cannot read {}, which {} names", path.display(), setting.variable())]
    File {
        /// Which.
        path: PathBuf,
        /// What named it.
        setting: Setting,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read a secret.
    #[error("{}: others can read it (mode {mode:03o}): chmod 600 it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// One thing is set without another.
    #[error("{} is of no use without {}", there.variable(), missing.variable())]
    Without {
        /// What is set.
        there: Setting,
        /// What is not.
        missing: Setting,
    },
    /// Two things are set that say the same.
    #[error("MOLT_COORD_TOKEN and MOLT_COORD_TOKEN_FILE are both set: unset one")]
    TwoTokens,
    /// What should be a token is none. It is not repeated here.
    #[error("{} has no token: one begins with {TOKEN_PREFIX}", setting.variable())]
    NoToken {
        /// What was read.
        setting: Setting,
    },
    /// TLS is asked for, and nobody is believed.
    #[error("{url} needs MOLT_COORD_CA: the file of whoever signed the coordinator's certificate")]
    NoCa {
        /// Who was to be called.
        url: String,
    },
    /// A token would travel in the clear.
    #[error("the token is not sent to {url}: without TLS others could read it; use https://")]
    InTheClear {
        /// Who was to be called.
        url: String,
    },
    /// An address that none can be made of, or certificates that do not read.
    #[error("{url} cannot be called")]
    Endpoint {
        /// Who was to be called.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a client shows of itself. Nothing is set by default.
#[derive(Clone, Default)]
pub struct Credentials {
    ca: Option<String>,
    identity: Option<Pair>,
    bearer: Bearer,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct Pair {
    cert: String,
    key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ca", &self.ca.is_some())
            .field("certificate", &self.identity.is_some())
            .field("token", &self.bearer.0.is_some())
            .finish()
    }
}

/// Puts the version of the wire into the head of each call, and the token, if there is one.
#[derive(Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Bearer(..)" } else { "Bearer(none)" })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        protocol::tell(request.metadata_mut());
        if let Some(header) = &self.0 {
            request.metadata_mut().insert(HEADER, header.clone());
        }
        Ok(request)
    }
}

impl Bearer {
    /// One that shows `token`; `None` when it is none.
    fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        let sound = token.starts_with(TOKEN_PREFIX) && token.len() <= MAX_TOKEN;
        let mut header: MetadataValue<Ascii> =
            format!("Bearer {token}").parse().ok().filter(|_| sound)?;
        header.set_sensitive(true);
        Some(Self(Some(header)))
    }
}

impl Credentials {
    /// What the environment says, else what `file` has under a key of [`Setting::key`].
    ///
    /// # Errors
    ///
    /// A file that is not there or that others can read, and what does not fit together.
    pub fn find(
        environment: impl Fn(&str) -> Option<String>,
        file: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let source = Source { environment, file };
        let ca = source.ca()?;
        let identity = source.identity(Setting::Cert, Setting::Key)?;
        let named = source.in_environment(Setting::TokenFile);
        let bearer = match (source.in_environment(Setting::Token), named) {
            (Some(_), Some(_)) => return Err(CredentialsError::TwoTokens),
            (Some(token), None) => bearer(&token, Setting::Token)?,
            (None, _) => source.filed_token(Setting::TokenFile)?,
        };
        Ok(Self { ca, identity, bearer })
    }

    /// What the machine itself shows, found as [`find`](Self::find) finds what its users show.
    ///
    /// Nothing of theirs is part of it but whom to believe: who happens to start a machine's
    /// daemon is nobody to it.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn of_host(
        environment: impl Fn(&str) -> Option<String>,
        file: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let source = Source { environment, file };
        Ok(Self {
            ca: source.ca()?,
            identity: source.identity(Setting::HostCert, Setting::HostKey)?,
            bearer: source.filed_token(Setting::HostTokenFile)?,
        })
    }

    /// Whether these say who somebody is: by a certificate or by a token.
    #[must_use]
    pub fn prove_somebody(&self) -> bool {
        self.identity.is_some() || self.bearer.0.is_some()
    }

    /// The way to `url`, with TLS where it says so.
    ///
    /// # Errors
    ///
    /// No address, nobody to believe, or a token that would travel in the clear.
    pub fn endpoint(&self, url: &str) -> Result<Endpoint, CredentialsError> {
        let wrong = |source: Box<dyn std::error::Error + Send + Sync>| CredentialsError::Endpoint {
            url: url.to_owned(),
            source,
        };
        let endpoint =
            Endpoint::from_shared(url.to_owned()).map_err(|error| wrong(error.into()))?;
        // A stream on which nothing comes is told from one that was cut without a word.
        let endpoint = endpoint
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN)
            .keep_alive_while_idle(true);
        let host = endpoint.uri().host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if endpoint.uri().scheme_str() != Some("https") {
            if self.bearer.0.is_some() && !is_loopback(&host) {
                return Err(CredentialsError::InTheClear { url: url.to_owned() });
            }
            return Ok(endpoint);
        }
        let Some(ca) = &self.ca else {
            return Err(CredentialsError::NoCa { url: url.to_owned() });
        };
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name(host);
        let tls = match &self.identity {
            Some(Pair { cert, key }) => tls.identity(Identity::from_pem(cert, key)),
            None => tls,
        };
        endpoint.tls_config(tls).map_err(|error| wrong(error.into()))
    }

    /// A client over a connection that was made by an [`endpoint`](Self::endpoint) of these.
    #[must_use]
    pub fn stub(&self, channel: Channel) -> Stub {
        CoordinatorClient::with_interceptor(channel, self.bearer.clone())
    }
}

impl Credentials {
    /// Whether somebody at `url` does not take the certificate of these, asked by a handshake
    /// alone; `None` when it does, and when nothing is found out. Blocks for two seconds at most.
    ///
    /// Since TLS 1.3 a server looks at a client's certificate when the client has finished its
    /// handshake: what it says of it is lost when a call is under way already.
    #[must_use]
    pub fn doubted(&self, url: &str) -> Option<Failure> {
        let pair = self.identity.as_ref()?;
        let uri: tonic::codegen::http::Uri = url.parse().ok()?;
        if uri.scheme_str() != Some("https") {
            return None;
        }
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let mut tls = handshake(self.ca.as_deref()?, pair, host)?;
        let place = (host, uri.port_u16()?).to_socket_addrs().ok()?.next()?;
        let mut tcp = TcpStream::connect_timeout(&place, DOUBT / 2).ok()?;
        tcp.set_read_timeout(Some(DOUBT / 2)).ok()?;
        tcp.set_write_timeout(Some(DOUBT / 2)).ok()?;
        // One that takes it begins to speak HTTP/2.
        let heard = rustls::Stream::new(&mut tls, &mut tcp).read(&mut [0]);
        let error = heard.err()?;
        error.get_ref()?.downcast_ref().and_then(Failure::unproven)
    }
}

fn handshake(ca: &str, pair: &Pair, host: &str) -> Option<ClientConnection> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes()).collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).ok()?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = config.with_client_auth_cert(chain.ok()?, key).ok()?;
    let host = ServerName::try_from(host.to_owned()).ok()?;
    ClientConnection::new(Arc::new(config), host).ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

fn bearer(text: &str, setting: Setting) -> Result<Bearer, CredentialsError> {
    Bearer::new(text).ok_or(CredentialsError::NoToken { setting })
}

fn read(path: &str, setting: Setting) -> Result<String, CredentialsError> {
    let failed = |source| CredentialsError::File { path: path.into(), setting, source };
    fs::read_to_string(path).map_err(failed)
}

/// The text of a file that nobody else can read.
fn secret(path: &str, setting: Setting) -> Result<String, CredentialsError> {
    let failed = |source| CredentialsError::File { path: path.into(), setting, source };
    let mode = Path::new(path).metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(CredentialsError::Open { path: path.into(), mode });
    }
    read(path, setting)
}

/// The token that a call shows, on the side that is called.
///
/// # Errors
///
/// What is wrong with the header; the token is not repeated.
pub fn shown(metadata: &MetadataMap) -> Result<Option<&str>, String> {
    let mut values = metadata.get_all(HEADER).iter();
    let Some(header) = values.next() else { return Ok(None) };
    let wrong = || format!("the header {HEADER} is no `Bearer {TOKEN_PREFIX}…`");
    if values.next().is_some() {
        return Err(format!("the header {HEADER} is there twice"));
    }
    let text = header.to_str().map_err(|_| wrong())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(wrong)?;
    let token = token.trim();
    let sound = token.starts_with(TOKEN_PREFIX) && token.len() <= MAX_TOKEN;
    if !scheme.eq_ignore_ascii_case("bearer") || !sound {
        return Err(wrong());
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests;
