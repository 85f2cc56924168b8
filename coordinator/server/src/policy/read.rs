//! From the text of `molt.toml` to a policy, or to everything that is wrong with it.

use std::time::Duration;

use molt_domain::policy::Policy;
use molt_domain::scope::Case;
use toml::de::DeTable;

use super::MAX_BYTES;
use super::document::{Findings, Keys, Table};
use super::finding::{Finding, Problem, Severity};
use super::gates::{self, Landing};
use super::scopes::{self, Scopes};

/// The version of the format that this program reads.
pub const FORMAT: u32 = 1;

/// After how long a gate's run is stopped when the policy does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

const ROOT: Keys = Keys {
    honoured: &["version", "requires", "case", "open", "scope", "pool", "gate", "merge"],
    unsupported: &["sweep"],
};

/// Reads a policy.
///
/// # Errors
///
/// Everything that keeps the policy from being in force, in the order of the lines.
pub fn read(text: &str) -> Result<Policy, Vec<Finding>> {
    let mut findings = Findings::new(text);
    let examined = examine(text, &mut findings);
    let mut errors = findings.into_sorted();
    errors.retain(|finding| finding.severity == Severity::Error);
    match examined {
        Some(examined) if errors.is_empty() => Ok(examined.policy),
        _ => Err(errors),
    }
}

/// Reads a policy from the bytes of its file.
///
/// # Errors
///
/// As [`read`], and when the bytes are no UTF-8.
pub fn read_bytes(bytes: &[u8]) -> Result<Policy, Vec<Finding>> {
    read(text(bytes)?)
}

/// The bytes as text, or the one finding that says where they are none.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Vec<Finding>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        vec![Finding {
            severity: Severity::Error,
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: None,
            key: String::new(),
            problem: Problem::Syntax("the text is not UTF-8".to_owned()),
            nearest: None,
        }]
    })
}

/// A policy as far as it could be read: in force only when no errors were found.
pub(super) struct Examined {
    pub(super) policy: Policy,
    pub(super) scopes: Scopes,
    /// Where each pattern of `policy.merge.protect` is.
    pub(super) protected: Vec<usize>,
}

/// Reads what can be read, and notes what cannot. `None` when nothing can.
pub(super) fn examine(text: &str, findings: &mut Findings<'_>) -> Option<Examined> {
    if text.len() > MAX_BYTES {
        let why = format!("{} bytes are more than {MAX_BYTES}", text.len());
        findings.error(0, "", Problem::Invalid(why));
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What the parser made of a faulty text is not worth judging.
        errors.iter().for_each(|error| findings.syntax(error));
        return None;
    }
    let root = Table::root(document.get_ref());
    if !is_our_format(&root, findings) {
        return None;
    }
    root.allow(&ROOT, findings);
    requires(&root, findings);
    let cases = [("sensitive", Case::Sensitive), ("insensitive", Case::Insensitive)];
    let case = root.get("case").and_then(|item| item.choice(&cases, findings));
    let open = root.get("open").and_then(|item| item.parse_all(findings)).unwrap_or_default();
    let scopes = scopes::read(&root, case.unwrap_or_default(), &open, findings);
    let pools = gates::pools(&root, findings);
    let gates = gates::gates(&root, &pools, findings);
    let Landing { merge, protected } = gates::merge(&root, &gates, findings);
    let digest = blake3::hash(text.as_bytes()).to_hex()[..32].to_owned();
    let policy = Policy { digest, scopes: scopes.tree.clone(), pools, gates, merge };
    Some(Examined { policy, scopes, protected })
}

/// Whether the format is the one that the rest of this room reads: keys of another mean nothing.
fn is_our_format(root: &Table<'_>, findings: &mut Findings<'_>) -> bool {
    let Some(item) = root.require("version", "version = 1", findings) else {
        // Most likely forgotten: the rest is read as if it were there.
        return true;
    };
    match item.count(findings) {
        Some(FORMAT) | None => true,
        Some(other) => {
            let what = format!("format {other}");
            let instead = Some("it reads format 1");
            findings.error(item.at, &item.key, Problem::Unsupported { what, instead });
            false
        }
    }
}

/// Refuses a policy that was written for a newer program.
fn requires(root: &Table<'_>, findings: &mut Findings<'_>) {
    let Some(item) = root.get("requires") else {
        return;
    };
    let Some(text) = item.text(findings) else {
        return;
    };
    let program = env!("CARGO_PKG_VERSION");
    let why = match (release(text), release(program)) {
        (None, _) => format!("`{text}` is no version such as 0.1"),
        (wanted, ours) if wanted > ours => {
            format!("version {text} is needed, this program is {program}")
        }
        _ => return,
    };
    findings.error(item.at, &item.key, Problem::Invalid(why));
}

/// The numbers of a version of one to three numbers; those left out are zero.
fn release(text: &str) -> Option<[u64; 3]> {
    let mut release = [0; 3];
    for (index, part) in text.split('.').enumerate() {
        let number = part.bytes().all(|byte| byte.is_ascii_digit()).then_some(part)?;
        *release.get_mut(index)? = number.parse().ok()?;
    }
    Some(release)
}
