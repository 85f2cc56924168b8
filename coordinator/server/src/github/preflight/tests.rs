//! Rules and installations as GitHub answers them, read as the domain has them.

use molt_domain::policy::Method;
use molt_domain::pull::rules::{Met, Obstacle, met, preflight, wanted};
use serde_json::{Value, json};

use super::*;

/// A branch's rules in the form of GitHub's answer, in rulesets 42 and 73.
fn rules() -> Vec<shape::Rule> {
    let of = |ruleset: u64, kind: &str, parameters: Value| {
        json!({
            "type": kind, "parameters": parameters, "ruleset_source_type": "Repository",
            "ruleset_source": "acme/widget", "ruleset_id": ruleset,
        })
    };
    let rules = json!([
        of(42, "pull_request", json!({
            "required_approving_review_count": 2, "dismiss_stale_reviews_on_push": false,
            "require_code_owner_review": false, "require_last_push_approval": false,
            "required_review_thread_resolution": false, "allowed_merge_methods": ["merge"],
        })),
        of(42, "required_status_checks", json!({
            "strict_required_status_checks_policy": true, "do_not_enforce_on_create": false,
            "required_status_checks": [
                {"context": "build", "integration_id": 15368}, {"context": "lint"},
            ],
        })),
        {"type": "deletion", "ruleset_source_type": "Organization", "ruleset_source": "acme",
         "ruleset_id": 73},
        of(73, "commit_message_pattern", json!({"operator": "starts_with", "pattern": "issue"})),
        of(73, "rule_of_next_year", json!({"anything": [1]})),
    ]);
    serde_json::from_value(rules).expect("rules")
}

fn rulesets(word: &str) -> Rulesets {
    let ruleset = |id: u64, name: &str, word: Option<&str>| {
        let ruleset = json!({
            "id": id, "name": name, "target": "branch", "source_type": "Repository",
            "source": "acme/widget", "enforcement": "active", "current_user_can_bypass": word,
        });
        (id, serde_json::from_value(ruleset).expect("a ruleset"))
    };
    [ruleset(42, "main", Some(word)), ruleset(73, "acme's", None)].into()
}

fn read(word: &str) -> Vec<Found> {
    let rulesets = rulesets(word);
    rules().iter().map(|rule| found(rule, &rulesets)).collect()
}

#[test]
fn a_rule_is_read_with_where_it_stands_and_whether_it_holds() {
    let read = read("always");
    let place = || Place::Ruleset("main".to_owned());
    let pull_request = Rule::PullRequest { approvals: 2, beyond: BTreeSet::new() };
    let bypass = Bypass::Always;
    assert_eq!(read[0], Found { rule: pull_request, place: place(), bypass });
    let required = |name: &str, source| Required { name: name.to_owned(), source };
    let contexts =
        vec![required("build", Source::App(AppId(15368))), required("lint", Source::Anybody)];
    let checks = Rule::StatusChecks { contexts: contexts.clone(), strict: Strict::Yes };
    assert_eq!(read[1], Found { rule: checks, place: place(), bypass });
    let words: Vec<Rule> = read[2..].iter().map(|found| found.rule.clone()).collect();
    let expected = ["deletion", "commit_message_pattern", "rule_of_next_year"].map(Rule::plain);
    assert_eq!(words, expected);
    assert!(read[2..].iter().all(|found| found.place == Place::Ruleset("acme's".to_owned())));
    assert!(read[2..].iter().all(|found| found.bypass == Bypass::Never), "it is not told");
    let wanted = wanted(&read);
    assert_eq!((wanted.contexts, wanted.approvals), (contexts, 2));
}

#[test]
fn a_rule_holds_unless_its_ruleset_says_otherwise() {
    let bypass = |word: &str| read(word)[0].bypass;
    assert_eq!(bypass("exempt"), Bypass::Always);
    assert_eq!(bypass("pull_requests_only"), Bypass::PullRequests);
    for word in ["never", "sometimes", ""] {
        assert_eq!(bypass(word), Bypass::Never, "{word}");
    }
    let unseen = found(&rules()[0], &Rulesets::new());
    assert_eq!(unseen.bypass, Bypass::Never);
    assert_eq!(unseen.place, Place::Ruleset("number 42".to_owned()));
}

#[test]
fn parameters_of_a_new_shape_are_in_the_way_of_everybody() {
    for (kind, parameters) in [
        ("pull_request", json!({"required_approving_review_count": "two"})),
        ("pull_request", Value::Null),
        ("required_status_checks", json!({"required_status_checks": ["build"]})),
        ("required_status_checks", json!({})),
    ] {
        let rule = json!({"type": kind, "parameters": parameters, "ruleset_id": 42});
        let rule: shape::Rule = serde_json::from_value(rule).expect("a rule");
        let found = found(&rule, &rulesets("always"));
        assert_eq!(found.rule, Rule::Unknown(kind.to_owned()), "{parameters}");
        for method in Method::ALL {
            assert_eq!(met(&found, method), Met::InTheWay, "{kind} {parameters}");
        }
    }
}

#[test]
fn whatever_a_review_rule_asks_beside_a_count_is_kept_apart() {
    for (key, beyond) in [
        ("require_code_owner_review", Beyond::CodeOwners),
        ("require_last_push_approval", Beyond::LastPush),
        ("required_review_thread_resolution", Beyond::Threads),
    ] {
        let mut rule = rules().remove(0);
        rule.parameters[key] = true.into();
        let found = found(&rule, &rulesets("always"));
        let Rule::PullRequest { beyond: asked, .. } = &found.rule else { panic!("{found:?}") };
        assert_eq!(asked, &BTreeSet::from([beyond]));
        assert_eq!(met(&found, Method::Merge), Met::Bypassed);
    }
    let mut rule = rules().remove(0);
    rule.parameters["required_reviewers"] = json!([
        {"file_patterns": ["*"], "minimum_approvals": 1, "reviewer": {"id": 1, "type": "Team"}},
    ]);
    let Rule::PullRequest { beyond, .. } = found(&rule, &rulesets("always")).rule else {
        panic!("a rule about pull requests")
    };
    assert_eq!(beyond, BTreeSet::from([Beyond::Reviewers]));
}

#[test]
fn classic_protection_tells_its_checks_and_lets_nobody_through() {
    let of = |protection: Value| {
        let protection: Protection = serde_json::from_value(protection).expect("a summary");
        super::protection(&protection)
    };
    // As a branch has it.
    let found = of(json!({
        "enabled": true,
        "required_status_checks": {
            "enforcement_level": "non_admins", "contexts": ["build", "lint", "old"],
            "checks": [{"context": "build", "app_id": 15368}, {"context": "lint", "app_id": null}],
        },
    }));
    let found = found.expect("a rule");
    let Rule::StatusChecks { contexts, strict: Strict::No } = &found.rule else {
        panic!("{found:?}")
    };
    let named: Vec<(&str, Source)> =
        contexts.iter().map(|it| (it.name.as_str(), it.source)).collect();
    let anybody = Source::Anybody;
    assert_eq!(named, [("build", Source::App(AppId(15368))), ("lint", anybody), ("old", anybody)]);
    assert_eq!((&found.place, found.bypass), (&Place::Protection, Bypass::Never));
    assert_eq!(met(&found, Method::Merge), Met::InTheWay);
    assert_eq!(met(&found, Method::Ff), Met::Judged);
    let off = json!({"enforcement_level": "off", "contexts": [], "checks": []});
    assert_eq!(of(json!({"enabled": true, "required_status_checks": off})), None);
    assert_eq!(of(json!({"enabled": false})), None);
}

/// As GitHub answers where the App is installed for a repository.
fn installed(permissions: &Value, suspended_at: &Value) -> shape::Installation {
    let installation = json!({
        "id": 678, "account": {"login": "acme", "id": 1}, "repository_selection": "selected",
        "app_id": 12345, "target_type": "Organization", "permissions": permissions,
        "events": ["push"], "suspended_at": suspended_at, "suspended_by": null,
    });
    serde_json::from_value(installation).expect("an installation")
}

#[test]
fn an_installation_grants_what_it_names() {
    let granted = json!({
        "metadata": "read", "contents": "write", "pull_requests": "write", "checks": "write",
        "statuses": "read", "issues": "read",
    });
    let full = installed(&granted, &Value::Null);
    let active = installation(&full, None);
    assert_eq!(preflight(&[], Method::Merge, &active), []);
    assert_eq!(active.level(Permission::Workflows), Level::None);
    // What its token has counts before what it was granted.
    let rights: Rights =
        [("metadata", "read"), ("contents", "read"), ("workflows", "write"), ("checks", "all")]
            .map(|(name, word)| (name.to_owned(), word.to_owned()))
            .into();
    let less = installation(&full, Some(&rights));
    let missing = |permission, level| Obstacle::Permission(permission, level);
    assert_eq!(
        preflight(&[], Method::Merge, &less),
        [
            missing(Permission::Contents, Level::Write),
            missing(Permission::PullRequests, Level::Write),
            missing(Permission::Checks, Level::Write),
            missing(Permission::Statuses, Level::Read),
        ]
    );
    assert_eq!(less.level(Permission::Workflows), Level::Write);
    let suspended = installed(&granted, &json!("2026-01-02T03:04:05Z"));
    assert_eq!(installation(&suspended, Some(&rights)), Installation::Suspended);
}

#[test]
fn a_personal_token_is_taken_to_suffice() {
    assert_eq!(preflight(&[], Method::Merge, &personal()), []);
}
