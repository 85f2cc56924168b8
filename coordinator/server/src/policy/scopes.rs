//! The `[scope.*]` tables: what part of the repository a name stands for.

use std::collections::BTreeMap;

use molt_domain::id::millis;
use molt_domain::scope::{
    Case, InvalidScopeTree, Pattern, Reach, Risk, Scope, ScopeName, ScopeTree,
};

use super::amount::Span;
use super::document::{Findings, Item, Keys, Table, dotted};
use super::finding::Problem;

const KEYS: Keys = Keys { honoured: &["paths", "tests", "risk", "carve", "max"], unsupported: &[] };

const RISKS: [(&str, Risk); 3] = [("low", Risk::Low), ("med", Risk::Med), ("high", Risk::High)];

/// The scopes of a document, as far as they could be read.
pub(super) struct Scopes {
    /// The tree of the sound scopes.
    pub(super) tree: ScopeTree,
    /// The byte where each scope is named, the faulty ones too.
    pub(super) places: BTreeMap<ScopeName, usize>,
}

/// Reads every scope under `root`.
pub(super) fn read(
    root: &Table<'_>,
    case: Case,
    open: &[Pattern],
    findings: &mut Findings<'_>,
) -> Scopes {
    let mut sound = Vec::new();
    let mut faulty = Vec::new();
    let mut places = BTreeMap::new();
    let table = root.table("scope", findings);
    for (text, item) in table.iter().flat_map(Table::entries) {
        let name: ScopeName = match text.parse() {
            Ok(name) => name,
            Err(error) => {
                findings.error(item.at, &item.key, Problem::Invalid(format!("{error}")));
                continue;
            }
        };
        places.insert(name.clone(), item.at);
        let before = findings.errors();
        match scope(&name, &item, findings) {
            Some(scope) if findings.errors() == before => sound.push(scope),
            _ => faulty.push(name),
        }
    }
    let tree = tree(case, open, sound, |error| {
        let InvalidScopeTree::NoPaths { name } = error else {
            return;
        };
        // The paths that a faulty scope lacks are its fault's doing.
        if !faulty.iter().any(|faulty| name.is_ancestor_of(faulty)) {
            let key = dotted("scope", name.as_str());
            findings.error(places[name], &key, Problem::Invalid(error.to_string()));
        }
    });
    Scopes { tree, places }
}

/// One scope; what is wrong in it is left out.
fn scope(name: &ScopeName, item: &Item<'_>, findings: &mut Findings<'_>) -> Option<Scope> {
    let table = item.table(findings)?;
    for (key, item) in table.unknown(&KEYS, findings) {
        if item.is_table() {
            let child = Problem::ChildScope(format!("{name}/{key}"));
            findings.error(item.at, &item.key, child);
        } else {
            item.unknown_key(key, &KEYS, findings);
        }
    }
    let mut reach = Reach::Plain;
    if table.get("carve").and_then(|item| item.flag(findings)) == Some(true) {
        reach = Reach::Carve;
    }
    let max = table.get("max").and_then(|item| item.parse(findings));
    let risk = table.get("risk").and_then(|item| item.choice(&RISKS, findings));
    let tests = table.get("tests").and_then(|item| item.all_words(findings));
    let paths = table.get("paths").and_then(|item| item.parse_all(findings));
    Some(Scope {
        name: name.clone(),
        paths: paths.unwrap_or_default(),
        reach,
        max: max.map(|Span(span)| millis(span)),
        tests: tests.unwrap_or_default(),
        risk: risk.unwrap_or_default(),
    })
}

/// The tree of `scopes` without those that no tree can have, each of which is told to `refused`.
fn tree(
    case: Case,
    open: &[Pattern],
    mut scopes: Vec<Scope>,
    mut refused: impl FnMut(&InvalidScopeTree),
) -> ScopeTree {
    loop {
        let error = match ScopeTree::new(case, open.to_vec(), scopes.clone()) {
            Ok(tree) => return tree,
            Err(error) => error,
        };
        refused(&error);
        let (InvalidScopeTree::Duplicate { name } | InvalidScopeTree::NoPaths { name }) = &error;
        scopes.retain(|scope| scope.name != *name);
    }
}
