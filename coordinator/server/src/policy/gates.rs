//! The `[gate.*]` tables, the pools that they take slots of, and what has to pass.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use molt_domain::gate::{Compare, Gate, Reader, UnknownReader};
use molt_domain::name::{GateName, PoolName};
use molt_domain::policy::{CHANGE_GATES, Merge, Method, Pool, Trust};
use molt_domain::scope::Pattern;

use super::amount::{Bytes, Span};
use super::document::{Findings, Item, Keys, Table};
use super::finding::Problem;
use super::read::DEFAULT_TIMEOUT;

const POOL: Keys = Keys { honoured: &["slots"], unsupported: &["budget", "max_age"] };

const GATE: Keys = Keys {
    honoured: &["run", "result", "compare", "timeout", "memory", "pool", "minimum", "env"],
    // A narrowed gate must run in a tree that holds nothing else, and a pin must be probed on the
    // host: until both are so, a proof would claim more than its run has shown.
    unsupported: &["git", "inputs", "pins"],
};

const MERGE: Keys =
    Keys { honoured: &["method", "required", "trust_agent_hosts", "protect"], unsupported: &[] };

/// Reads every pool under `root`. A faulty one is there too: its name is good.
pub(super) fn pools(root: &Table<'_>, findings: &mut Findings<'_>) -> BTreeMap<PoolName, Pool> {
    named(root, "pool", findings, |_, table, findings| {
        table.allow(&POOL, findings);
        let slots = table.require("slots", "slots = 1", findings);
        let slots = slots.and_then(|item| item.count(findings));
        Pool { slots: slots.unwrap_or(1) }
    })
}

/// Reads every gate under `root`. A faulty one is there too: its name is good.
pub(super) fn gates(
    root: &Table<'_>,
    pools: &BTreeMap<PoolName, Pool>,
    findings: &mut Findings<'_>,
) -> BTreeMap<GateName, Gate> {
    named(root, "gate", findings, |name, table, findings| gate(name, table, pools, findings))
}

/// The tables under `kind` by their names.
fn named<N, T>(
    root: &Table<'_>,
    kind: &str,
    findings: &mut Findings<'_>,
    mut read: impl FnMut(&N, &Table<'_>, &mut Findings<'_>) -> T,
) -> BTreeMap<N, T>
where
    N: FromStr<Err: fmt::Display> + Ord,
{
    let mut all = BTreeMap::new();
    let tables = root.table(kind, findings);
    for (text, item) in tables.iter().flat_map(Table::entries) {
        match text.parse::<N>() {
            Ok(name) => {
                if let Some(table) = item.table(findings) {
                    let value = read(&name, &table, findings);
                    all.insert(name, value);
                }
            }
            Err(error) => findings.error(item.at, &item.key, Problem::Invalid(error.to_string())),
        }
    }
    all
}

fn gate(
    name: &GateName,
    table: &Table<'_>,
    pools: &BTreeMap<PoolName, Pool>,
    findings: &mut Findings<'_>,
) -> Gate {
    table.allow(&GATE, findings);
    if CHANGE_GATES.contains(&name.as_str()) {
        let why = format!("`{name}` is a gate that the coordinator decides itself");
        findings.error(table.at, &table.key, Problem::Invalid(why));
    }
    let run = table.require("run", "run = \"the command line\"", findings);
    let run = run.and_then(|item| command(&item, findings));
    let result = table.get("result").map(|item| reader(&item, findings));
    // A faulty `result` is neither: what it allows is not known.
    let result = result.unwrap_or(Some(Reader::Exit));
    let bases = [("base", Compare::Base)];
    let compare = table.get("compare").and_then(|item| item.choice(&bases, findings));
    let timeout = table.get("timeout").and_then(|item| item.parse(findings));
    let memory = table.get("memory").and_then(|item| item.parse(findings));
    let pool = table.get("pool").and_then(|item| pool(&item, pools, findings));
    let minimum = table.get("minimum").and_then(|item| {
        let minimum = item.count(findings)?;
        if minimum > 1 && result == Some(Reader::Exit) {
            return item.invalid("an exit code is one result, so more never come", findings);
        }
        Some(minimum)
    });
    let env = table.table("env", findings).map(|table| environment(&table, findings));
    Gate {
        run: run.unwrap_or_default().to_owned(),
        result: result.unwrap_or(Reader::Exit),
        compare: compare.unwrap_or_default(),
        timeout: timeout.map_or(DEFAULT_TIMEOUT, |Span(span)| span),
        memory: memory.map(|Bytes(bytes)| bytes),
        pool,
        minimum: minimum.unwrap_or(1),
        env: env.unwrap_or_default(),
    }
}

/// A command line. `{jobs}` is part of the format, and a shell would take it as it stands.
fn command<'d>(item: &Item<'d>, findings: &mut Findings<'_>) -> Option<&'d str> {
    let command = item.words(findings)?;
    let placeholder = command.match_indices("{jobs}").any(|(at, _)| !command[..at].ends_with('$'));
    if placeholder {
        let problem = Problem::Unsupported {
            what: "`{jobs}`".to_owned(),
            instead: Some("write a number, or read the machine's in the command"),
        };
        findings.error(item.at, &item.key, problem);
    }
    Some(command)
}

fn reader(item: &Item<'_>, findings: &mut Findings<'_>) -> Option<Reader> {
    match Reader::try_from(item.text(findings)?.to_owned()) {
        Ok(reader) => Some(reader),
        Err(error @ UnknownReader(_)) => item.invalid(error, findings),
    }
}

fn pool(
    item: &Item<'_>,
    pools: &BTreeMap<PoolName, Pool>,
    findings: &mut Findings<'_>,
) -> Option<PoolName> {
    let name: PoolName = item.parse(findings)?;
    if !pools.contains_key(&name) {
        let problem = Problem::UnknownName { kind: "pool", name: name.to_string() };
        let known = pools.keys().map(PoolName::as_str);
        findings.misnamed(item.at, &item.key, problem, (name.as_str(), known));
    }
    Some(name)
}

fn environment(table: &Table<'_>, findings: &mut Findings<'_>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (name, item) in table.entries() {
        let letter = |c: char| c == '_' || c.is_ascii_alphabetic();
        if !name.starts_with(letter) || !name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
            let why = format!("{name:?} is no name of a variable: use letters, digits and _");
            findings.error(item.at, &item.key, Problem::Invalid(why));
        }
        match item.text(findings) {
            Some(value) if value.contains('\0') => {
                let why = "has a NUL character".to_owned();
                findings.error(item.at, &item.key, Problem::Invalid(why));
            }
            Some(value) => {
                environment.insert(name.to_owned(), value.to_owned());
            }
            None => {}
        }
    }
    environment
}

/// How changes land, and where each protected pattern is said.
pub(super) struct Landing {
    pub(super) merge: Merge,
    pub(super) protected: Vec<usize>,
}

/// Reads how changes land. Without `required`, every gate of the file and of the coordinator is.
pub(super) fn merge(
    root: &Table<'_>,
    gates: &BTreeMap<GateName, Gate>,
    findings: &mut Findings<'_>,
) -> Landing {
    let table = root.table("merge", findings);
    if let Some(table) = &table {
        table.allow(&MERGE, findings);
    }
    let item = |name| table.as_ref().and_then(|table| table.get(name));
    let method = item("method").and_then(|item| method(&item, findings));
    let required = item("required").and_then(|item| required(&item, gates, findings));
    let trusted = item("trust_agent_hosts").and_then(|item| item.flag(findings));
    let protect = item("protect").and_then(|item| protect(&item, findings));
    let (protect, protected) = protect.unwrap_or_default().into_iter().unzip();
    let merge = Merge {
        protect,
        trust: if trusted == Some(true) { Trust::AgentHosts } else { Trust::Provers },
        method: method.unwrap_or(Method::Merge),
        required: required.unwrap_or_else(|| all_gates(gates)),
    };
    Landing { merge, protected }
}

/// The patterns of what takes a person's approval, each said once, with their places.
fn protect(item: &Item<'_>, findings: &mut Findings<'_>) -> Option<Vec<(Pattern, usize)>> {
    let mut patterns: Vec<(Pattern, usize)> = Vec::new();
    for member in item.list(findings)? {
        let Some(pattern) = member.parse::<Pattern>(findings) else { continue };
        if patterns.iter().any(|(known, _)| *known == pattern) {
            let why = format!("names `{}` twice", pattern.as_str());
            findings.error(member.at, &member.key, Problem::Invalid(why));
        }
        patterns.push((pattern, member.at));
    }
    Some(patterns)
}

fn method(item: &Item<'_>, findings: &mut Findings<'_>) -> Option<Method> {
    item.choice(&Method::ALL.map(|method| (method.as_str(), method)), findings)
}

fn required(
    item: &Item<'_>,
    gates: &BTreeMap<GateName, Gate>,
    findings: &mut Findings<'_>,
) -> Option<Vec<GateName>> {
    let mut required: Vec<GateName> = Vec::new();
    let members = item.list(findings)?;
    if members.is_empty() {
        findings.note(item.at, &item.key, Problem::NothingRequired);
    }
    for member in members {
        let Some(name) = member.parse::<GateName>(findings) else {
            continue;
        };
        let known = || gates.keys().map(GateName::as_str).chain(CHANGE_GATES);
        if required.contains(&name) {
            let why = format!("names `{name}` twice");
            findings.error(member.at, &member.key, Problem::Invalid(why));
        } else if !known().any(|gate| gate == name.as_str()) {
            let problem = Problem::UnknownName { kind: "gate", name: name.to_string() };
            findings.misnamed(member.at, &member.key, problem, (name.as_str(), known()));
        }
        required.push(name);
    }
    Some(required)
}

#[expect(clippy::expect_used, reason = "the names are constants")]
fn all_gates(gates: &BTreeMap<GateName, Gate>) -> Vec<GateName> {
    let change_gate = |name: &str| name.parse().expect("the change gates have valid names");
    gates.keys().cloned().chain(CHANGE_GATES.into_iter().map(change_gate)).collect()
}
