//! A certificate authority for a first fleet: made once, kept in a folder.
//!
//! It signs what one folder of files needs and is put away. Not here: renewal,
//! revocation lists and everything else that a fleet that stays wants from an
//! authority of its own.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::access::Role;
use molt_domain::name::ActorName;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::clock;

/// Clocks of a fleet differ: certificates are good from a little before they are made.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5 * 60);

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file is there already.
    #[error("{} is there already: name another folder", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name that no certificate can have.
    #[error("`{name}` is no host's name or address")]
    Host {
        /// What was given.
        name: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// Two certificates would have the same files.
    #[error("`{0}` is asked for twice")]
    Twice(String),
    /// The cryptography failed.
    #[error("a certificate could not be made")]
    Making(#[from] rcgen::Error),
}

/// What a folder of certificates is to have.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The names and addresses that the coordinators are reached by.
    pub hosts: Vec<String>,
    /// Who gets a client certificate.
    pub clients: Vec<(Role, ActorName)>,
    /// How long all of it is good.
    pub life: Duration,
}

/// A file of a folder of certificates.
#[derive(Debug)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its text, in PEM.
    text: String,
}

impl Plan {
    /// The names of the files, in the order in which they are written.
    ///
    /// # Errors
    ///
    /// Two clients of one name.
    pub fn names(&self) -> Result<Vec<String>, AuthorityError> {
        let mut stems = vec!["ca".to_owned(), "server".to_owned()];
        stems.extend(self.clients.iter().map(|(role, name)| stem(*role, name)));
        let mut seen = BTreeSet::new();
        if let Some(twice) = stems.iter().find(|stem| !seen.insert(*stem)) {
            return Err(AuthorityError::Twice(twice.clone()));
        }
        Ok(stems.iter().flat_map(|stem| [format!("{stem}.pem"), format!("{stem}.key")]).collect())
    }

    /// Makes the keys and certificates.
    ///
    /// # Errors
    ///
    /// A host's name that no certificate can have.
    pub fn make(&self) -> Result<Vec<File>, AuthorityError> {
        let names = self.names()?;
        let key = KeyPair::generate()?;
        let authority = self.authority()?;
        let signed = authority.self_signed(&key)?.pem();
        let mut texts = vec![signed, key.serialize_pem()];
        let issuer = Issuer::new(authority, key);
        let mut sign = |params: CertificateParams| -> Result<(), rcgen::Error> {
            let key = KeyPair::generate()?;
            texts.push(params.signed_by(&key, &issuer)?.pem());
            texts.push(key.serialize_pem());
            Ok(())
        };
        sign(self.server()?)?;
        for (role, name) in &self.clients {
            sign(self.client(*role, name)?)?;
        }
        Ok(names.into_iter().zip(texts).map(|(name, text)| File { name, text }).collect())
    }

    fn authority(&self) -> Result<CertificateParams, AuthorityError> {
        let mut params = self.params(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "molt first fleet");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }

    fn server(&self) -> Result<CertificateParams, AuthorityError> {
        let mut params = self.params(self.hosts.clone())?;
        params.distinguished_name.push(DnType::CommonName, "molt-coordinator");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn client(&self, role: Role, name: &ActorName) -> Result<CertificateParams, AuthorityError> {
        let mut params = self.params(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.distinguished_name.push(DnType::OrganizationName, role.word());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn params(&self, hosts: Vec<String>) -> Result<CertificateParams, AuthorityError> {
        let name = hosts.join(", ");
        let mut params = CertificateParams::new(hosts)
            .map_err(|source| AuthorityError::Host { name, source })?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(clock::wall());
        params.not_before = now - CLOCKS_DIFFER;
        params.not_after = now + self.life;
        Ok(params)
    }
}

/// What the files of a client's certificate are called.
fn stem(role: Role, name: &ActorName) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    format!("{role}-{}", name.as_str().chars().map(plain).collect::<String>())
}

/// That none of the files is there.
///
/// # Errors
///
/// The first that is.
pub fn absent(folder: &Path, names: &[String]) -> Result<(), AuthorityError> {
    match names.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(AuthorityError::Exists(path)),
        None => Ok(()),
    }
}

/// Writes the files into `folder`, none over another: keys for their owner alone.
///
/// # Errors
///
/// A file that is there already or cannot be written; those before it stay.
pub fn write(folder: &Path, files: &[File]) -> Result<(), AuthorityError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| AuthorityError::Write { path, source }
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    for File { name, text } in files {
        let path = folder.join(name);
        let mode = if name.ends_with(".key") { 0o600 } else { 0o644 };
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let mut file = opened.map_err(failed(&path))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&path))?;
    }
    Ok(())
}
