//! The policies of the fleet under test: scopes with children, overlaps and a carve.

use std::collections::BTreeMap;
use std::time::Duration;

use molt_domain::gate::{Compare, Gate, Reader};
use molt_domain::name::{GateName, PoolName, RepoName};
use molt_domain::policy::{Merge, Method, Policy, Pool, Trust};
use molt_domain::scope::{Case, Pattern, Reach, Risk, Scope, ScopeName, ScopeTree};

/// How many policies there are.
pub const COUNT: usize = 4;

/// Every scope name of any policy, and one of none.
pub const SCOPES: [&str; 10] = [
    "docs",
    "front",
    "headers",
    "manifests",
    "nowhere",
    "runtime",
    "runtime/gc",
    "runtime/jit",
    "tests",
    "tools",
];

/// Paths that are claimed beside scopes: in one, across two, in a carve, in none.
pub const GLOBS: [&str; 8] = [
    "docs/*.md",
    "runtime/gc/**",
    "runtime/*.rs",
    "**/*.rs",
    "runtime/{jit,gc}/x.rs",
    "front/**",
    "loose/**",
    "tools/dev.py",
];

/// Paths, one or more in each scope.
pub const PATHS: [&str; 11] = [
    "loose/a.c",
    "docs/a.md",
    "front/x.rs",
    "include/m.h",
    "runtime/gc/x.rs",
    "runtime/jit/x.rs",
    "runtime/x.rs",
    "runtime/v.h",
    "tests/x.py",
    "tools/dev.py",
    "front/Cargo.toml",
];

pub fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid name")
}

pub fn repo() -> RepoName {
    name("molt")
}

fn scope(name_: &str, paths: &[&str]) -> Scope {
    Scope {
        name: name::<ScopeName>(name_),
        paths: paths.iter().map(|path| name::<Pattern>(path)).collect(),
        reach: Reach::Plain,
        max: None,
        tests: Vec::new(),
        risk: Risk::Med,
    }
}

/// One of the policies: they differ in what overlaps, in pools and in required gates.
pub fn policy(which: usize) -> Policy {
    let which = which % COUNT;
    let mut scopes = vec![
        scope("runtime", &["runtime/**"]),
        scope("runtime/gc", &["runtime/gc/**"]),
        scope("headers", &["include/**", "runtime/*.h"]),
        scope("docs", &["docs/**"]),
        Scope { max: Some(240_000), ..scope("tools", &["tools/**"]) },
        Scope { reach: Reach::Carve, max: Some(120_000), ..scope("manifests", &["**/Cargo.toml"]) },
    ];
    scopes.push(match which {
        // In one of them the tests reach into the documentation.
        1 => scope("tests", &["tests/**", "docs/**/*.py"]),
        _ => scope("tests", &["tests/**"]),
    });
    if which != 2 {
        scopes.push(scope("front", &["front/**"]));
    }
    if which != 3 {
        scopes.push(scope("runtime/jit", &["runtime/jit/**"]));
    }
    let open = vec![name::<Pattern>("logs/**")];
    let required: &[&str] = match which {
        3 => &["lint", "scope"],
        _ => &["lint", "diff", "scope", "announce"],
    };
    let protect: &[&str] = match which {
        0 => &["tools/**"],
        2 => &["tools/**", "tests/*.py"],
        _ => &[],
    };
    Policy {
        digest: format!("policy-{which}"),
        scopes: ScopeTree::new(Case::Sensitive, open, scopes).expect("a tree"),
        pools: BTreeMap::from([(name::<PoolName>("cargo"), Pool { slots: [2, 1, 3, 2][which] })]),
        gates: gates(),
        merge: Merge {
            method: [Method::Merge, Method::Squash, Method::Rebase, Method::Ff][which],
            required: required.iter().map(|gate| name::<GateName>(gate)).collect(),
            protect: protect.iter().map(|pattern| name::<Pattern>(pattern)).collect(),
            trust: if which == 1 { Trust::AgentHosts } else { Trust::Provers },
        },
    }
}

fn gates() -> BTreeMap<GateName, Gate> {
    let lint = Gate {
        run: "lint".to_owned(),
        result: Reader::Exit,
        compare: Compare::Nothing,
        timeout: Duration::from_secs(60),
        memory: Some(3),
        pool: None,
        minimum: 1,
        env: BTreeMap::new(),
    };
    let diff = Gate {
        run: "diff".to_owned(),
        result: Reader::Tap,
        compare: Compare::Base,
        pool: Some(name("cargo")),
        ..lint.clone()
    };
    BTreeMap::from([(name("lint"), lint), (name("diff"), diff)])
}
