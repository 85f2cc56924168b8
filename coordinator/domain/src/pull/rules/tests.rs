//! Rules of the forge, each met by each way of landing.

use proptest::prelude::*;

use super::*;
use crate::pull::AppId;
use crate::pull::check::Source;

fn found(rule: Rule, bypass: Bypass) -> Found {
    Found { rule, place: Place::Ruleset("main".to_owned()), bypass }
}

fn checks(strict: Strict) -> Rule {
    let required = |name: &str| Required { name: name.to_owned(), source: Source::App(AppId(2)) };
    Rule::StatusChecks { contexts: vec![required("ci")], strict }
}

fn reviewed(approvals: u32, beyond: &[Beyond]) -> Rule {
    Rule::PullRequest { approvals, beyond: beyond.iter().copied().collect() }
}

fn active(granted: &[(Permission, Level)]) -> Installation {
    Installation::Active(granted.iter().copied().collect())
}

/// How a rule is met without a bypass and with one: merging, as commits of our own, and
/// fast-forwarding.
fn ways(rule: &Rule) -> [Met; 6] {
    let way = |bypass, method| met(&found(rule.clone(), bypass), method);
    for method in Method::ALL {
        assert_eq!(way(Bypass::PullRequests, method), way(Bypass::Never, method), "{rule}");
    }
    let [one, two] = [Bypass::Never, Bypass::Always].map(|bypass| {
        assert_eq!(way(bypass, Method::Squash), way(bypass, Method::Rebase), "{rule}");
        [Method::Merge, Method::Squash, Method::Ff].map(|method| way(bypass, method))
    });
    [one[0], one[1], one[2], two[0], two[1], two[2]]
}

#[test]
fn each_rule_is_kept_judged_or_in_the_way() {
    use Met::{AtLanding, Bypassed, InTheWay, Judged, Kept};
    let cases = [
        (Rule::Creation, [Kept; 6]),
        (Rule::Deletion, [Kept; 6]),
        (Rule::NonFastForward, [Kept; 6]),
        (Rule::MergeQueue, [InTheWay; 6]),
        (Rule::Update, [InTheWay, InTheWay, InTheWay, Bypassed, Bypassed, Bypassed]),
        (Rule::Deployments, [InTheWay, InTheWay, InTheWay, Bypassed, Bypassed, Bypassed]),
        (Rule::LinearHistory, [InTheWay, Kept, AtLanding, Bypassed, Kept, Bypassed]),
        (Rule::Signatures, [InTheWay, InTheWay, AtLanding, Bypassed, Bypassed, Bypassed]),
        (checks(Strict::Yes), [InTheWay, InTheWay, Judged, Judged, Judged, Judged]),
        (checks(Strict::No), [InTheWay, InTheWay, Judged, Judged, Judged, Judged]),
        (reviewed(1, &[]), [InTheWay, InTheWay, InTheWay, Judged, Judged, Judged]),
        (
            reviewed(1, &[Beyond::CodeOwners]),
            [InTheWay, InTheWay, InTheWay, Bypassed, Bypassed, Bypassed],
        ),
        (
            Rule::plain("commit_message_pattern"),
            [AtLanding, AtLanding, AtLanding, Bypassed, Bypassed, Bypassed],
        ),
        (
            Rule::plain("code_scanning"),
            [InTheWay, InTheWay, InTheWay, Bypassed, Bypassed, Bypassed],
        ),
        (Rule::plain("moon_phase"), [InTheWay, InTheWay, InTheWay, Bypassed, Bypassed, Bypassed]),
    ];
    for (rule, expected) in cases {
        assert_eq!(ways(&rule), expected, "{rule}");
    }
}

#[test]
fn an_obstacle_names_its_fix() {
    let all = active(&NEEDS);
    let rules = [
        found(Rule::MergeQueue, Bypass::Always),
        found(Rule::LinearHistory, Bypass::Never),
        found(Rule::NonFastForward, Bypass::Never),
    ];
    let told: Vec<String> = preflight(&rules, Method::Merge, &all)
        .iter()
        .map(|obstacle| format!("{}: {obstacle}: {}", obstacle.reason(), obstacle.fix()))
        .collect();
    let expected = [
        "ruleset-blocked: the ruleset main wants merge queue: turn the merge queue off for this \
         branch: the train is one",
        "ruleset-blocked: the ruleset main wants linear history: set `method` in molt.toml to \
         squash, rebase or ff, or let the App bypass the rule",
    ];
    assert_eq!(told, expected);
    for method in [Method::Ff, Method::Squash, Method::Rebase] {
        assert_eq!(preflight(&rules[1..], method, &all), []);
    }
}

#[test]
fn a_missing_permission_is_found_before_anything_is_tested() {
    assert_eq!(preflight(&[], Method::Merge, &active(&NEEDS)), []);
    for at in 0..NEEDS.len() {
        let mut granted = NEEDS;
        let (permission, needed) = granted[at];
        granted[at].1 = if needed == Level::Write { Level::Read } else { Level::None };
        let obstacles = preflight(&[], Method::Merge, &active(&granted));
        assert_eq!(obstacles, [Obstacle::Permission(permission, needed)]);
        assert_eq!(obstacles[0].reason(), "auth-lost");
    }
    assert_eq!(preflight(&[], Method::Ff, &Installation::Suspended), [Obstacle::Suspended]);
    assert_eq!(preflight(&[], Method::Ff, &Installation::Gone), [Obstacle::Gone]);
    let told = Obstacle::Permission(Permission::PullRequests, Level::Write).to_string();
    assert_eq!(told, "the installation lacks `pull_requests: write`");
    assert_eq!(Level::of("owner"), Level::None);
}

#[test]
fn workflows_and_stacks_are_in_the_way_of_one_change() {
    let paths = ["src/lib.rs", ".github/workflows/ci.yml"];
    let plain = active(&NEEDS);
    let workflows = Obstacle::Workflows { path: paths[1].to_owned() };
    assert_eq!(of_change(Stack::None, paths, &plain), std::slice::from_ref(&workflows));
    assert_eq!(of_change(Stack::Part, paths, &plain), [Obstacle::Stacked, workflows]);
    let on_top = Stack::OnTop { of: 7 };
    assert_eq!(of_change(on_top, [], &plain), [Obstacle::OnTop { of: 7 }]);
    let more = active(&[(Permission::Workflows, Level::Write)]);
    assert_eq!(of_change(Stack::None, paths, &more), []);
    let near = [".github/workflows.md", "docs/.github/workflows/a.yml", ".github/CODEOWNERS"];
    assert_eq!(of_change(Stack::None, near, &plain), []);
}

#[test]
fn rules_add_up_and_a_bypass_takes_nothing_away() {
    let rules = [
        found(checks(Strict::No), Bypass::Always),
        found(checks(Strict::Yes), Bypass::Never),
        found(reviewed(2, &[]), Bypass::Always),
        found(reviewed(1, &[Beyond::LastPush]), Bypass::Never),
    ];
    let wanted = wanted(&rules);
    assert_eq!((wanted.contexts.len(), wanted.approvals), (1, 2));
    assert_eq!(super::wanted(&[]), Wanted::default());
}

fn words() -> impl Strategy<Value = String> {
    let words = vec!["always", "exempt", "never", "pull_requests_only", "update", "merge_queue"];
    prop_oneof![proptest::sample::select(words).prop_map(str::to_owned), "[a-z_]{0,16}"]
}

proptest! {
    #[test]
    fn an_unknown_word_never_allows(word in words()) {
        let known = ["always", "exempt"].contains(&word.as_str());
        prop_assert!(known || Bypass::of(&word) != Bypass::Always);
        let rule = Rule::plain(&word);
        if matches!(rule, Rule::Unknown(_)) {
            for method in Method::ALL {
                prop_assert_eq!(met(&found(rule.clone(), Bypass::Never), method), Met::InTheWay);
            }
        }
    }
}
