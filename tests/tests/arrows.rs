//! Dependencies between the crates run one way, as `docs/architecture.md` draws them.

#![expect(clippy::expect_used, reason = "a test: what it reads is cargo's own output")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each crate may depend on among the crates of this workspace, outside of its own tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("molt-fault", &[]),
    ("molt-domain", &["molt-fault"]),
    ("molt-retry", &[]),
    ("molt-proto", &["molt-domain"]),
    ("molt-store", &["molt-domain", "molt-fault", "molt-retry"]),
    ("molt-forge", &["molt-domain", "molt-retry"]),
    ("molt-repo", &["molt-domain"]),
    ("molt-agent", &["molt-domain", "molt-proto", "molt-repo", "molt-retry"]),
    (
        "molt-coordinator",
        &[
            "molt-domain",
            "molt-fault",
            "molt-forge",
            "molt-proto",
            "molt-repo",
            "molt-retry",
            "molt-store",
        ],
    ),
];

/// Third-party crates that one crate alone may name, and the reason's short form.
const FENCED: &[(&str, &[&str])] = &[
    ("backoff", &["molt-retry"]),
    ("rusqlite", &["molt-store"]),
    ("git2", &["molt-repo"]),
    ("octocrab", &["molt-forge"]),
];

/// What `domain` may use: pure crates only, and the switch of bugs that tests alone have.
const PURE: &[&str] =
    &["blake3", "molt-fault", "serde", "serde_json", "thiserror", "unicode-normalization"];

type Graph = BTreeMap<String, BTreeSet<String>>;

fn metadata() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs: it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    graph(&value)
}

/// Normal and build dependencies by package; what a crate needs only for its tests is free.
fn graph(metadata: &serde_json::Value) -> Graph {
    let mut graph = Graph::new();
    for package in metadata["packages"].as_array().expect("packages is a list") {
        let name = package["name"].as_str().expect("a package has a name").to_owned();
        let needs = graph.entry(name).or_default();
        for dependency in package["dependencies"].as_array().expect("dependencies is a list") {
            if dependency["kind"].as_str() != Some("dev") {
                needs.insert(dependency["name"].as_str().expect("named").to_owned());
            }
        }
    }
    graph
}

/// Every arrow that should not be there, as a sentence.
fn violations(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (name, needs) in graph.iter().filter(|(name, _)| *name != "molt-tests") {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            found.push(format!("{name} is not in the table of arrows"));
            continue;
        };
        let ours = needs.iter().filter(|need| need.starts_with("molt-"));
        found.extend(
            ours.filter(|need| !allowed.contains(&need.as_str()))
                .map(|need| format!("{name} may not depend on {need}")),
        );
        for (fenced, holders) in FENCED {
            if needs.contains(*fenced) && !holders.contains(&name.as_str()) {
                found.push(format!("{name} may not depend on {fenced}"));
            }
        }
        if name == "molt-domain" {
            let impure = needs.iter().filter(|need| !PURE.contains(&need.as_str()));
            found.extend(impure.map(|need| format!("{name} may not depend on {need}")));
        }
    }
    found
}

#[test]
fn every_arrow_is_drawn() {
    let graph = metadata();
    assert_eq!(graph.len(), ARROWS.len() + 1, "a crate came or went: {:?}", graph.keys());
    assert_eq!(violations(&graph), Vec::<String>::new());
}

#[test]
fn a_wrong_arrow_is_found() {
    let mut graph = metadata();
    for (from, to) in [
        ("molt-domain", "tokio"),
        ("molt-agent", "molt-store"),
        ("molt-store", "molt-repo"),
        ("molt-coordinator", "git2"),
    ] {
        graph.get_mut(from).expect("a crate of ours").insert(to.to_owned());
    }
    assert_eq!(
        violations(&graph),
        [
            "molt-agent may not depend on molt-store",
            "molt-coordinator may not depend on git2",
            "molt-domain may not depend on tokio",
            "molt-store may not depend on molt-repo",
        ]
    );
}
