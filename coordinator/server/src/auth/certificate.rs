//! What a certificate says of its owner: CN is the name, O the role.
//!
//! The handshake has verified the signature, the authority and the time; what
//! is left is to read it.

use molt_domain::access::{Identity, Repos};
use molt_domain::board::Refusal;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Who a verified certificate names.
pub(super) fn identity(der: &[u8]) -> Result<Identity, Box<Refusal>> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|error| wrong(format!("the client certificate does not read: {error}")))?;
    let subject = certificate.subject();
    let name = one("CN", "the actor's name", subject.iter_common_name(), subject)?;
    let role = one("O", "the actor's role", subject.iter_organization(), subject)?;
    Ok(Identity {
        name: name
            .parse()
            .map_err(|error| wrong(format!("the client certificate's CN: {error}")))?,
        role: role
            .parse()
            .map_err(|error| wrong(format!("the client certificate's O of {name}: {error}")))?,
        repos: Repos::All,
        token: None,
    })
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
