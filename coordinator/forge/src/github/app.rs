//! Who the App is: its id and key, and the short-lived tokens that it signs for itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use secrecy::SecretString;

/// A token says that it is this old, for a clock of ours that is ahead (GitHub's documentation on
/// JSON web tokens).
const AGE: Duration = Duration::from_secs(60);

/// How long a token is good for. GitHub takes ten minutes at most.
const LIFE: Duration = Duration::from_secs(9 * 60);

/// A key that cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no private key in PEM.
    #[error("no private key in PEM: download one from the app's settings")]
    NoPem(#[source] rustls_pki_types::pem::Error),
    /// A key of another kind than Apps have.
    #[error("the key is no RSA key: apps have RSA keys alone")]
    Kind,
    /// The key is broken or too short.
    #[error("the key was rejected: {reason}")]
    Rejected {
        /// The library's words.
        reason: String,
    },
}

/// An App's key, of which nothing is ever shown.
pub struct App {
    id: u64,
    key: RsaKeyPair,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("id", &self.id).finish_non_exhaustive()
    }
}

impl App {
    /// The App of this id, by the key that GitHub made for it, in PEM.
    ///
    /// # Errors
    ///
    /// The key is none.
    pub fn new(id: u64, pem: &[u8]) -> Result<Self, KeyError> {
        let rejected =
            |error: ring::error::KeyRejected| KeyError::Rejected { reason: error.to_string() };
        let key = match PrivateKeyDer::from_pem_slice(pem).map_err(KeyError::NoPem)? {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(KeyError::Kind),
        };
        Ok(Self { id, key: key.map_err(rejected)? })
    }

    /// Its id at GitHub.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A token for requests of the App itself, as of `now` by GitHub's clock.
    ///
    /// # Errors
    ///
    /// The system has no randomness to sign with.
    pub fn token(&self, now: SystemTime) -> Result<SecretString, KeyError> {
        let seconds =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = serde_json::json!({
            "iat": seconds(now.checked_sub(AGE).unwrap_or(UNIX_EPOCH)),
            "exp": seconds(now + LIFE),
            "iss": self.id.to_string(),
        });
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; modulus_len(&self.key)];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| KeyError::Rejected { reason: "it cannot sign".to_owned() })?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

fn modulus_len(key: &RsaKeyPair) -> usize {
    let public: &rsa::PublicKey = key.public();
    public.modulus_len()
}
