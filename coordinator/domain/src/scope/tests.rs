//! Scopes against each other, and the tree's index against comparing everything.

use proptest::prelude::*;

use super::*;

pub(super) fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn scope(name: &str, reach: Reach, paths: &[&str]) -> Scope {
    Scope {
        name: name.parse().unwrap(),
        paths: patterns(paths),
        reach,
        max: None,
        tests: vec![],
        risk: Risk::Med,
    }
}

#[test]
fn scopes_conflict_by_name_or_by_path() {
    let runtime = scope("runtime", Reach::Plain, &["runtime/**"]);
    let gc = scope("runtime/gc", Reach::Plain, &["elsewhere/**"]);
    let docs = scope("docs", Reach::Plain, &["*.md", "runtime/docs/**"]);
    let tools = scope("tools", Reach::Plain, &["tools/**"]);
    let case = Case::Sensitive;
    assert_eq!(conflict(&runtime, &runtime, case), Some(Conflict::Ancestor));
    assert_eq!(conflict(&runtime, &gc, case), Some(Conflict::Ancestor));
    assert_eq!(conflict(&gc, &runtime, case), Some(Conflict::Ancestor));
    assert_eq!(conflict(&runtime, &tools, case), None);
    let overlap = conflict(&runtime, &docs, case).unwrap();
    assert_eq!(
        overlap.to_string(),
        "`runtime/**` and `runtime/docs/**` both match `runtime/docs/x`"
    );
}

#[test]
fn a_carve_conflicts_only_with_carves() {
    let plain = scope("runtime", Reach::Plain, &["**"]);
    let manifests = scope("manifests", Reach::Carve, &["**/Cargo.toml"]);
    let inside = scope("runtime/manifests", Reach::Carve, &["runtime/**/Cargo.toml"]);
    let case = Case::Sensitive;
    assert_eq!(conflict(&plain, &manifests, case), None);
    assert_eq!(conflict(&inside, &plain, case), None);
    assert!(matches!(conflict(&inside, &manifests, case), Some(Conflict::Overlap { .. })));
}

#[test]
fn what_a_stored_scope_leaves_out_is_the_usual() {
    let text = r#"{"name":"docs","paths":["docs/**"]}"#;
    let docs: Scope = serde_json::from_str(text).unwrap();
    assert_eq!(docs, scope("docs", Reach::Plain, &["docs/**"]));
}

fn any_tree() -> impl Strategy<Value = ScopeTree> {
    let texts = vec!["**", "a/**", "A/*", "{a,b}/c", "b/**/c", "c*", "{b/c,c}/**", "*/c"];
    let paths = proptest::sample::subsequence(texts, 1..=2);
    let reach = prop_oneof![3 => Just(Reach::Plain), 1 => Just(Reach::Carve)];
    let case = prop_oneof![Just(Case::Sensitive), Just(Case::Insensitive)];
    let names = vec!["a", "a-b", "a/b", "a/b/c", "a/c", "b", "b/c", "c"];
    let named = proptest::sample::subsequence(names, 1..=8);
    (named, proptest::collection::vec((paths, reach), 8), case).prop_map(|(names, of, case)| {
        let scopes = names.iter().zip(of).map(|(name, (paths, reach))| scope(name, reach, &paths));
        ScopeTree::new(case, vec![], scopes.collect()).unwrap()
    })
}

proptest! {
    #[test]
    fn the_index_says_what_a_comparison_of_all_pairs_says(tree in any_tree()) {
        for a in tree.names() {
            let compared: Vec<&ScopeName> =
                tree.names().filter(|b| tree.explain(a.as_str(), b.as_str()).is_some()).collect();
            prop_assert_eq!(compared, tree.conflicting(a.as_str()).iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_two_scopes_that_can_be_held_side_by_side_cover_one_path(
        tree in any_tree(),
        path in "[abcA](/[abcx]){0,3}",
    ) {
        for a in tree.names().filter(|name| tree.covers([*name], &path)) {
            for b in tree.names().filter(|name| tree.covers([*name], &path)) {
                prop_assert!(tree.explain(a.as_str(), b.as_str()).is_some(), "{a} {b} {path}");
            }
        }
    }

    #[test]
    fn the_index_finds_every_scope_that_matches(
        tree in any_tree(),
        path in "[abcA](/[abcx]){0,3}",
    ) {
        let matches = |scope: &Scope| {
            scope.paths.iter().any(|pattern| pattern.matches_in(&path, tree.case()))
        };
        let compared: Vec<usize> =
            (0..tree.scopes().len()).filter(|&i| matches(&tree.scopes()[i])).collect();
        prop_assert_eq!(tree.matching(&path), compared);
    }
}
