//! The payloads, of the folder here and of those that somebody names.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use molt_forge::github::webhook::Dirty;
use ring::hmac;
use serde::Deserialize;
use serde_json::Value;

use crate::folders;

/// What a folder's `index.json` says of it.
#[derive(Debug, Deserialize)]
struct Index {
    secret: String,
    known_answer: Option<KnownAnswer>,
    payloads: Vec<Entry>,
}

/// The example that GitHub gives of a signature.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct KnownAnswer {
    pub(super) secret: String,
    pub(super) payload: String,
    pub(super) signature: String,
}

#[derive(Debug, Deserialize)]
struct Entry {
    file: String,
    event: String,
    #[serde(rename = "sha256_signature_with_fixture_secret")]
    signature: Option<String>,
}

/// One payload, as it was sent.
#[derive(Debug, Clone)]
pub(super) struct Payload {
    pub(super) name: String,
    pub(super) event: String,
    pub(super) body: Vec<u8>,
    pub(super) signature: String,
}

/// Payloads that are signed with one secret.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) secret: String,
    pub(super) known_answer: Option<KnownAnswer>,
    pub(super) payloads: Vec<Payload>,
}

/// The folder of this repository.
pub(super) fn own() -> Folder {
    read(&folders::own())
}

/// Every folder there is; each has payloads.
pub(super) fn all() -> Vec<Folder> {
    folders::all().iter().map(|folder| read(folder)).collect()
}

fn told(path: &Path, error: &dyn Display) -> ! {
    panic!("{}: {error}", path.display())
}

/// Reads the webhooks in a folder of GitHub's data.
fn read(folder: &Path) -> Folder {
    let path = folders::webhooks(folder);
    let bytes = |path: &Path| fs::read(path).unwrap_or_else(|error| told(path, &error));
    let index = serde_json::from_slice(&bytes(&path));
    let index: Index = index.unwrap_or_else(|error| told(&path, &error));
    let payload = |entry: Entry| {
        let body = bytes(&path.with_file_name(&entry.file));
        let signature = sign(&index.secret, &body);
        if let Some(known) = &entry.signature {
            assert_eq!(*known, signature, "{}: these are not the bytes that were sent", entry.file);
        }
        Payload { name: entry.file, event: entry.event, body, signature }
    };
    let payloads: Vec<Payload> = index.payloads.into_iter().map(payload).collect();
    assert!(!payloads.is_empty(), "{}: no payloads", path.display());
    Folder { secret: index.secret, known_answer: index.known_answer, payloads }
}

/// The header that GitHub would send.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let digits = hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let digits: String = digits;
    format!("sha256={digits}")
}

impl Payload {
    /// What a person reads in the payload as the thing that it is about.
    pub(super) fn names(&self) -> Option<Dirty> {
        let body: Value = serde_json::from_slice(&self.body).expect("GitHub's JSON");
        let number = |path: &str| body.pointer(path).and_then(Value::as_u64).expect("a number");
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).expect("a text");
        let repository = || number("/repository/id");
        let pull = |path| Dirty::Pull { repository: repository(), number: number(path) };
        let head = |path| {
            let sha = text(path).parse().expect("an object id");
            Dirty::Head { repository: repository(), sha }
        };
        Some(match &*self.event {
            "pull_request" => pull("/number"),
            "pull_request_review"
            | "pull_request_review_comment"
            | "pull_request_review_thread" => pull("/pull_request/number"),
            "issue_comment" => pull("/issue/number"),
            "check_run" => head("/check_run/head_sha"),
            "check_suite" => head("/check_suite/head_sha"),
            "merge_group" => head("/merge_group/head_sha"),
            "status" => head("/sha"),
            "branch_protection_rule"
            | "branch_protection_configuration"
            | "repository_ruleset"
            | "member" => Dirty::Rules { repository: repository() },
            "repository" | "public" => Dirty::Repository { repository: repository() },
            "installation" | "installation_repositories" | "installation_target" => {
                Dirty::Installation { installation: number("/installation/id") }
            }
            "push" => {
                let branch = text("/ref").strip_prefix("refs/heads/")?.to_owned();
                Dirty::Branch { repository: repository(), branch }
            }
            _ => return None,
        })
    }
}

#[test]
fn the_index_names_every_payload_here() {
    let files = fs::read_dir(folders::own().join("webhooks")).expect("the folder");
    let files = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut files: Vec<String> =
        files.filter(|name| name.ends_with(".json") && name != "index.json").collect();
    let mut named: Vec<String> = own().payloads.into_iter().map(|payload| payload.name).collect();
    files.sort();
    named.sort();
    assert_eq!(files, named);
}
