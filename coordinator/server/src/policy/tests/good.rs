//! What is sound reads as what it says.

use std::time::Duration;

use molt_domain::gate::{Compare, Reader};
use molt_domain::name::GateName;
use molt_domain::policy::Method;
use molt_domain::scope::{Case, Reach, Risk};

use crate::policy::{DEFAULT_TIMEOUT, Outcome, check, read, read_bytes};

/// A policy of everything that there is.
pub(super) const FULL: &str = r#"# Everything that this version honours.
version = 1
requires = "0.1"
case = "insensitive"
open = ["logs/**", "tmp/**"]

[scope.runtime]
paths = ["runtime/**", "include/molt/**"]
tests = ["cargo test -p molt-runtime"]
risk = "high"
[scope."runtime/gc"]
paths = ["runtime/gc/**"]
[scope.manifests]
carve = true
max = "10m"
paths = ["**/Cargo.toml"]

[pool.cargo]
slots = 2

[gate.lint]
run = "make lint"
[gate.diff]
run = "python3 -u tests/diff.py --jobs ${jobs}"
result = "junit:out/report.xml"
compare = "base"
timeout = "10m"
memory = "4GB"
pool = "cargo"
minimum = 12
env = { PYTHONHASHSEED = "0" }

[merge]
method = "ff"
required = ["lint", "diff", "scope", "announce"]
protect = ["tools/**", ".github/**"]
"#;

#[test]
fn every_key_is_honoured() {
    let policy = read(FULL).unwrap();
    let tree = &policy.scopes;
    assert_eq!(tree.case(), Case::Insensitive);
    assert_eq!(tree.open(), ["logs/**".parse().unwrap(), "tmp/**".parse().unwrap()]);
    let runtime = tree.get("runtime").unwrap();
    assert_eq!(runtime.paths.len(), 2);
    assert_eq!(runtime.tests, ["cargo test -p molt-runtime"]);
    assert_eq!((runtime.risk, runtime.max, runtime.reach), (Risk::High, None, Reach::Plain));
    let manifests = tree.get("manifests").unwrap();
    assert_eq!((manifests.reach, manifests.max), (Reach::Carve, Some(600_000)));
    assert_eq!(manifests.risk, Risk::Med);
    assert_eq!(tree.names().count(), 3);
    assert_eq!(policy.pools[&"cargo".parse().unwrap()].slots, 2);
    let required: Vec<&str> = policy.merge.required.iter().map(GateName::as_str).collect();
    assert_eq!(required, ["lint", "diff", "scope", "announce"]);
    assert_eq!(policy.merge.method, Method::Ff);
    assert_eq!(policy.gates.len(), 2);
    assert_eq!(policy.merge.protect, ["tools/**".parse().unwrap(), ".github/**".parse().unwrap()]);
    // The repository's case is the patterns' too, and the policy protects itself.
    for path in ["tools/dev.py", "Tools/DEV.py", ".github/w/ci.yml", "molt.toml", "Molt.toml"] {
        assert!(policy.protects(path), "{path}");
    }
    assert!(!policy.protects("src/molt.toml") && !policy.protects("tools"));

    let diff = &policy.gates[&"diff".parse().unwrap()];
    assert_eq!(diff.run, "python3 -u tests/diff.py --jobs ${jobs}");
    assert_eq!(diff.result, Reader::Junit("out/report.xml".to_owned()));
    assert_eq!(diff.compare, Compare::Base);
    assert_eq!(diff.timeout, Duration::from_secs(600));
    assert_eq!(diff.memory, Some(4_000_000_000));
    assert_eq!(diff.pool, Some("cargo".parse().unwrap()));
    assert_eq!(diff.minimum, 12);
    assert_eq!(diff.env, [("PYTHONHASHSEED".to_owned(), "0".to_owned())].into());
}

#[test]
fn every_method_has_its_word() {
    for (word, method) in [
        ("merge", Method::Merge),
        ("ff", Method::Ff),
        ("squash", Method::Squash),
        ("rebase", Method::Rebase),
    ] {
        let text = format!("version = 1\n[gate.lint]\nrun = 'true'\n[merge]\nmethod = '{word}'\n");
        assert_eq!(read(&text).unwrap().merge.method, method);
        assert_eq!(serde_json::to_value(method).unwrap(), word, "in records too");
    }
}

#[test]
fn what_is_left_out_is_the_careful_choice() {
    let policy = read("version = 1\n[gate.lint]\nrun = 'true'\n").unwrap();
    let lint = &policy.gates[&"lint".parse().unwrap()];
    assert_eq!((&lint.result, lint.minimum), (&Reader::Exit, 1));
    assert_eq!((lint.compare, lint.timeout), (Compare::Nothing, DEFAULT_TIMEOUT));
    assert_eq!((lint.memory, &lint.pool), (None, &None));
    assert!(lint.env.is_empty());
    let required: Vec<&str> = policy.merge.required.iter().map(GateName::as_str).collect();
    assert_eq!(required, ["lint", "scope", "announce"]);
    assert_eq!(policy.merge.method, Method::Merge);
    assert_eq!(policy.scopes.case(), Case::Sensitive);
    assert!(policy.merge.protect.is_empty() && policy.protects("molt.toml"));
    assert!(!policy.protects("Molt.toml"));
}

#[test]
fn the_digest_is_the_text_s() {
    let policy = read(FULL).unwrap();
    assert_eq!(policy.digest, blake3::hash(FULL.as_bytes()).to_hex()[..32]);
    let other = read(&format!("{FULL}# A comment.\n")).unwrap();
    assert_ne!(other.digest, policy.digest);
    assert_eq!(other.gates, policy.gates);
}

#[test]
fn a_stored_policy_reads_back() {
    let policy = read(FULL).unwrap();
    let stored = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<molt_domain::policy::Policy>(&stored).unwrap(), policy);
}

#[test]
fn the_bytes_of_other_systems_read_as_well() {
    let same = read(FULL).unwrap();
    let text = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    let policy = read_bytes(text.as_bytes()).unwrap();
    assert_eq!((policy.scopes, policy.gates), (same.scopes, same.gates));
}

#[test]
fn a_check_notes_what_is_odd_and_shows_a_path() {
    let text = r#"version = 1
[scope.docs]
paths = ["docs/**", "*.md"]
[scope.tools]
paths = ["tools/**", "docs/tools/**"]
[scope.old]
paths = ["old/**"]
[merge]
required = []
protect = ["tools/x", "tool/**"]
"#;
    let tracked = ["docs/a.md", "tools/x", "s1", "s2", "s3", "s4", "s5", "s6"];
    let report = check(text, tracked);
    assert_eq!(report.outcome(), Outcome::Sound);
    assert_eq!(
        report.in_file("molt.toml"),
        "molt.toml:2: note: scope: tracked files in no scope: 6, first s1, s2, s3, s4, s5\n\
         molt.toml:4: note: scope.tools: scopes `docs` and `tools` overlap: \
         `docs/**` and `docs/tools/**` both match `docs/tools/x`\n\
         molt.toml:6: note: scope.old: scope `old` matches no tracked file\n\
         molt.toml:9: note: merge.required: nothing is required: \
         every change that is submitted lands\n\
         molt.toml:10: note: merge.protect: `tool/**` matches no tracked file: \
         it protects nothing yet\n\
         molt.toml: sound, 3 scopes, 0 gates, 5 notes\n"
    );
    assert!(read(text).is_ok(), "notes keep no policy from being in force");
    let scoped = ["runtime/a", "runtime/gc/b", "Cargo.toml", "LOGS/x"];
    let plain = FULL.replace("protect = [\"tools/**\", \".github/**\"]\n", "");
    assert_eq!(check(&plain, scoped).findings, []);
}

#[test]
fn a_check_tells_errors_and_oddities_at_once() {
    let report = check("version = 1\nopn = []\n[scope.a]\npaths = [\"a/**\"]\n", ["b"]);
    assert_eq!(report.outcome(), Outcome::Faulty);
    assert_eq!(
        report.in_file("x.toml"),
        "x.toml:2: opn: unknown key, did you mean `open`?\n\
         x.toml:3: note: scope.a: scope `a` matches no tracked file\n\
         x.toml:3: note: scope: tracked files in no scope: 1, first b\n\
         x.toml: 1 error, 2 notes\n"
    );
}
