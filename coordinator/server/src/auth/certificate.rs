//! What a certificate says of its owner: CN is the name, O the role.
//!
//! The handshake has verified the signature, the authority and the time at
//! which it was made; what is left is to read it. A connection outlives its
//! handshake, so the end of that time is read too.

use molt_domain::access::{Identity, Repos};
use molt_domain::board::Refusal;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// A verified certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Whom it names.
    pub(super) identity: Identity,
    /// The wall time from which it is good no more, in milliseconds since 1970.
    pub(super) until: u64,
}

/// What a verified certificate says.
pub(super) fn read(der: &[u8]) -> Result<Certificate, Box<Refusal>> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|error| wrong(format!("the client certificate does not read: {error}")))?;
    let subject = certificate.subject();
    let name = one("CN", "the actor's name", subject.iter_common_name(), subject)?;
    let role = one("O", "the actor's role", subject.iter_organization(), subject)?;
    // It is good in the last second too, as the handshake reckons.
    let seconds = certificate.validity().not_after.timestamp().saturating_add(1);
    let until = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    let identity = Identity {
        name: name
            .parse()
            .map_err(|error| wrong(format!("the client certificate's CN: {error}")))?,
        role: role
            .parse()
            .map_err(|error| wrong(format!("the client certificate's O of {name}: {error}")))?,
        repos: Repos::All,
        token: None,
    };
    Ok(Certificate { identity, until })
}

/// The one value of an attribute: of two, nobody could say which is meant.
fn one<'a>(
    key: &str,
    meaning: &str,
    mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
    subject: &X509Name<'_>,
) -> Result<&'a str, Box<Refusal>> {
    let (first, second) = (values.next(), values.next());
    match (first.map(AttributeTypeAndValue::as_str), second) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(wrong(format!(
            "the client certificate of `{subject}` has not one {key}, which is {meaning}"
        ))),
    }
}

fn wrong(problem: String) -> Box<Refusal> {
    let needs = "a certificate of this fleet, with CN the name and O the role".to_owned();
    Refusal::Unauthenticated { problem, needs }.into()
}
