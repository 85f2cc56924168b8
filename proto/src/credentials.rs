//! What a client shows of itself: a certificate, a token, and whom it believes.
//!
//! Both programs find it in the same places. A token is never printed, and
//! never sent where others could read it. Not here: who is called, and what is
//! tried again.

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
        let set = |value: Option<String>| value.filter(|value| !value.is_empty());
        let in_environment = |setting: Setting| set(environment(setting.variable()));
        let setting = |setting: Setting| {
            in_environment(setting).or_else(|| set(setting.key().and_then(&file)))
        };
        let ca = setting(Setting::Ca).map(|path| read(&path, Setting::Ca)).transpose()?;
        let identity = identity(setting(Setting::Cert), setting(Setting::Key))?;
        let bearer = match (in_environment(Setting::Token), in_environment(Setting::TokenFile)) {
            (Some(_), Some(_)) => return Err(CredentialsError::TwoTokens),
            (Some(token), None) => bearer(&token, Setting::Token)?,
            (None, _) => match setting(Setting::TokenFile) {
                Some(path) => bearer(&secret(&path, Setting::TokenFile)?, Setting::TokenFile)?,
                None => Bearer::default(),
            },
        };
        Ok(Self { ca, identity, bearer })
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

fn identity(cert: Option<String>, key: Option<String>) -> Result<Option<Pair>, CredentialsError> {
    let without = |there, missing| Err(CredentialsError::Without { there, missing });
    match (cert, key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (read(&cert, Setting::Cert)?, secret(&key, Setting::Key)?);
            Ok(Some(Pair { cert, key }))
        }
        (Some(_), None) => without(Setting::Cert, Setting::Key),
        (None, Some(_)) => without(Setting::Key, Setting::Cert),
        (None, None) => Ok(None),
    }
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
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    /// A file of this test's own process, with that mode; gone with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, mode: u32, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("molt-{}-{name}", std::process::id()));
            drop(fs::remove_file(&path));
            let mut options = fs::OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(mode).open(&path).expect("a file");
            file.write_all(text.as_bytes()).expect("a file");
            Self(path)
        }

        fn path(&self) -> String {
            self.0.display().to_string()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_file(&self.0));
        }
    }

    fn find(set: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
        let set: Vec<(String, String)> =
            set.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let get =
            |key: &str| set.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
        Credentials::find(get, get)
    }

    fn header(credentials: &Credentials) -> Option<String> {
        let request = credentials.bearer.clone().call(Request::new(())).expect("a request");
        let shown = shown(request.metadata()).expect("a header that reads");
        shown.map(str::to_owned)
    }

    #[test]
    fn a_token_comes_from_the_environment_or_from_a_file_of_one() {
        let file = Scratch::new("token", 0o600, "molt_filed\n");
        let path = file.path();
        assert_eq!(header(&find(&[]).expect("nothing")), None);
        let named = find(&[("MOLT_COORD_TOKEN", "molt_abc")]).expect("a token");
        assert_eq!(header(&named).as_deref(), Some("molt_abc"));
        assert_eq!(
            format!("{named:?}"),
            "Credentials { ca: false, certificate: false, token: true }"
        );
        for key in ["MOLT_COORD_TOKEN_FILE", "tokenFile"] {
            let filed = find(&[(key, &path)]).expect("a token");
            assert_eq!(header(&filed).as_deref(), Some("molt_filed"), "{key}");
        }
        let both = [("MOLT_COORD_TOKEN", "molt_abc"), ("tokenFile", &path)];
        assert_eq!(header(&find(&both).expect("a token")).as_deref(), Some("molt_abc"));
    }

    #[test]
    fn what_does_not_fit_says_why_and_keeps_the_secret() {
        let open = Scratch::new("open", 0o644, "molt_secret");
        let other = Scratch::new("other", 0o600, "hunter2");
        let (open, other) = (open.path(), other.path());
        let table = [
            (
                vec![("MOLT_COORD_TOKEN_FILE", open.as_str())],
                format!("{open}: others can read it (mode 644): chmod 600 it"),
            ),
            (
                vec![("MOLT_COORD_TOKEN_FILE", other.as_str())],
                "MOLT_COORD_TOKEN_FILE has no token: one begins with molt_".to_owned(),
            ),
            (vec![("MOLT_COORD_TOKEN", "molt_a b\n")], String::new()),
            (
                vec![("MOLT_COORD_TOKEN", "molt_a"), ("MOLT_COORD_TOKEN_FILE", other.as_str())],
                "MOLT_COORD_TOKEN and MOLT_COORD_TOKEN_FILE are both set: unset one".to_owned(),
            ),
            (
                vec![("MOLT_COORD_CERT", open.as_str())],
                "MOLT_COORD_CERT is of no use without MOLT_COORD_KEY".to_owned(),
            ),
            (
                vec![("MOLT_COORD_CERT", open.as_str()), ("MOLT_COORD_KEY", open.as_str())],
                format!("{open}: others can read it (mode 644): chmod 600 it"),
            ),
            (
                vec![("MOLT_COORD_CA", "/nowhere/ca")],
                "cannot read /nowhere/ca, which MOLT_COORD_CA names".to_owned(),
            ),
        ];
        for (set, problem) in table {
            match find(&set) {
                Err(error) => {
                    let text = error.to_string();
                    assert_eq!(text, problem);
                    assert!(!text.contains("hunter2") && !text.contains("molt_secret"), "{text}");
                }
                Ok(_) => assert_eq!(problem, "", "{set:?}"),
            }
        }
    }

    #[test]
    fn a_token_never_leaves_the_machine_in_the_clear() {
        let token = find(&[("MOLT_COORD_TOKEN", "molt_abc")]).expect("a token");
        for near in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert!(token.endpoint(near).is_ok(), "{near}");
        }
        for far in ["http://10.0.0.1:1", "http://localhost.example:1", "http://127.0.0.1.example:1"]
        {
            let error = token.endpoint(far).expect_err("a refusal").to_string();
            assert!(error.starts_with(&format!("the token is not sent to {far}")), "{error}");
        }
        assert!(find(&[]).expect("nothing").endpoint("http://10.0.0.1:1").is_ok());
        let unbelieved = token.endpoint("https://10.0.0.1:1").expect_err("a refusal").to_string();
        assert!(unbelieved.starts_with("https://10.0.0.1:1 needs MOLT_COORD_CA"), "{unbelieved}");
    }

    #[test]
    fn a_header_is_one_bearer_token_or_an_error_without_it() {
        let head = |texts: &[&str]| {
            let mut metadata = MetadataMap::new();
            for text in texts {
                metadata.append(HEADER, text.parse().expect("ASCII"));
            }
            shown(&metadata).map(|token| token.map(str::to_owned))
        };
        assert_eq!(head(&[]), Ok(None));
        assert_eq!(head(&["bearer  molt_x "]), Ok(Some("molt_x".to_owned())));
        let wrong = Err("the header authorization is no `Bearer molt_…`".to_owned());
        for text in ["Basic molt_x", "Bearer secret", "molt_x", ""] {
            assert_eq!(head(&[text]), wrong, "{text}");
        }
        assert_eq!(
            head(&["Bearer molt_x", "Bearer molt_y"]),
            Err("the header authorization is there twice".to_owned())
        );
    }
}
