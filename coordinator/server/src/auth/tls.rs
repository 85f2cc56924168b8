//! The transport's security, from the files that the configuration names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use x509_parser::pem::Pem;
use x509_parser::time::ASN1Time;

use crate::clock;
use crate::config::TlsFiles;

/// How long a caller may take over its handshake.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file does not read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file has something else in it.
    #[error("{}: no {what} in PEM", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
    },
    /// A certificate is damaged.
    #[error("{}: a certificate does not read: {problem}", path.display())]
    Unreadable {
        /// Its file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A certificate's time is over, or has not begun.
    #[error("{}: the certificate of `{subject}` is good {span} only", path.display())]
    Time {
        /// Its file.
        path: PathBuf,
        /// Whose it is.
        subject: String,
        /// When it is good.
        span: String,
    },
}

/// What a server shows, and whom it trusts to sign the certificates of its callers.
///
/// A caller may come without a certificate, since it may have a token: what it may do then is
/// the gate's to say.
///
/// # Errors
///
/// The file that is missing or wrong, or whose certificate is not good now.
pub fn tls(files: &TlsFiles) -> Result<ServerTlsConfig, TlsError> {
    let cert = certificates(&files.identity.cert)?;
    let key = read(&files.identity.key)?;
    let is_key = |pem: &Pem| pem.label.ends_with("PRIVATE KEY");
    if !Pem::iter_from_buffer(&key).flatten().any(|pem| is_key(&pem)) {
        return Err(TlsError::Empty { path: files.identity.key.clone(), what: "private key" });
    }
    let config = ServerTlsConfig::new().identity(Identity::from_pem(cert, key)).timeout(HANDSHAKE);
    let Some(authority) = &files.client_ca else { return Ok(config) };
    let authority = Certificate::from_pem(certificates(authority)?);
    Ok(config.client_ca_root(authority).client_auth_optional(true))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

/// The text of a file of certificates, each of which is good now.
fn certificates(path: &Path) -> Result<Vec<u8>, TlsError> {
    let text = read(path)?;
    let unreadable = |problem: String| TlsError::Unreadable { path: path.to_owned(), problem };
    let now = ASN1Time::from_timestamp(i64::try_from(clock::wall() / 1000).unwrap_or(i64::MAX))
        .map_err(|error| unreadable(error.to_string()))?;
    let mut count = 0;
    for pem in Pem::iter_from_buffer(&text) {
        let pem = pem.map_err(|error| unreadable(error.to_string()))?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        let certificate = pem.parse_x509().map_err(|error| unreadable(error.to_string()))?;
        let validity = certificate.validity();
        if !validity.is_valid_at(now) {
            let subject = certificate.subject().to_string();
            let span = format!("from {} to {}", validity.not_before, validity.not_after);
            return Err(TlsError::Time { path: path.to_owned(), subject, span });
        }
        count += 1;
    }
    if count == 0 {
        return Err(TlsError::Empty { path: path.to_owned(), what: "certificate" });
    }
    Ok(text)
}
