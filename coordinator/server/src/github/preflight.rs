//! What GitHub demands of those who land on a branch, and what it lets us do, as the domain has it.
//!
//! GitHub's shapes are only turned into the domain's here. A rule whose parameters are of a shape
//! that nobody knows is an unknown one, which nothing bypasses: half of what it asks for would else
//! be forgotten. Not here: how a rule is met, and what stands in the way
//! ([`molt_domain::pull::rules`]).

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::pull::AppId;
use molt_domain::pull::check::{Required, Source};
use molt_domain::pull::rules::{
    Beyond, Bypass, Found, Installation, Level, NEEDS, Permission, Place, Rule, Strict,
};
use molt_forge::github::shape::{self, Branch, Protection, Ruleset};
use molt_forge::github::{Cause, Client, GithubError, Operation, Rights, Slug};
use serde::Deserialize;

/// Rulesets by their ids.
pub(crate) type Rulesets = BTreeMap<u64, Ruleset>;

/// Everything that GitHub demands of those who land on `branch`, as it is now.
///
/// # Errors
///
/// Not all of it was read.
pub(crate) async fn read(
    client: &Client,
    slug: &Slug,
    branch: &Branch,
) -> Result<Vec<Found>, GithubError> {
    let route = slug.route(Operation::RULES).branch("branch", &branch.name);
    let rules: Vec<shape::Rule> = client.pages(route, |page: Vec<shape::Rule>| page).await?;
    let ids: BTreeSet<u64> = rules.iter().filter_map(|rule| rule.ruleset_id).collect();
    let mut rulesets = Rulesets::new();
    for id in ids {
        let route = slug.route(Operation::RULESET).with("ruleset_id", id);
        match client.read::<Ruleset>(route).await {
            Ok(ruleset) => {
                rulesets.insert(id, ruleset);
            }
            // One that is not shown to us holds for us.
            Err(GithubError { cause: Cause::Missing { .. } | Cause::Forbidden { .. }, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let of_rulesets = rules.iter().map(|rule| found(rule, &rulesets));
    Ok(of_rulesets.chain(branch.protection.as_ref().and_then(protection)).collect())
}

/// A rule that is active for a branch. Whether it holds for us, its ruleset says.
pub(crate) fn found(rule: &shape::Rule, rulesets: &Rulesets) -> Found {
    let ruleset = rule.ruleset_id.and_then(|id| rulesets.get(&id));
    let word = ruleset.and_then(|ruleset| ruleset.current_user_can_bypass.as_deref());
    let name = match (ruleset, rule.ruleset_id) {
        (Some(ruleset), _) => ruleset.name.clone(),
        (None, Some(id)) => format!("number {id}"),
        (None, None) => "without a number".to_owned(),
    };
    let place = Place::Ruleset(name);
    match self::rule(rule) {
        Some(rule) => Found { rule, place, bypass: Bypass::of(word.unwrap_or_default()) },
        None => Found { rule: Rule::Unknown(rule.kind.clone()), place, bypass: Bypass::Never },
    }
}

/// The rule alone; `None` if its parameters are of another shape than is known.
fn rule(rule: &shape::Rule) -> Option<Rule> {
    match rule.kind.as_str() {
        "pull_request" => PullRequest::deserialize(&rule.parameters).ok().map(PullRequest::rule),
        "required_status_checks" => {
            StatusChecks::deserialize(&rule.parameters).ok().map(StatusChecks::rule)
        }
        word => Some(Rule::plain(word)),
    }
}

/// What classic protection tells to everybody who reads: the checks that it requires. Nobody can be
/// let through there but those who administer the repository.
pub(crate) fn protection(protection: &Protection) -> Option<Found> {
    let required = protection.required_status_checks.as_ref()?;
    if required.enforcement_level.as_deref() == Some("off") {
        return None;
    }
    let bound = required
        .checks
        .iter()
        .map(|check| Required { name: check.context.clone(), source: source(check.app_id) });
    // Servers of old have names alone.
    let is_bound = |name: &&String| required.checks.iter().any(|check| check.context == **name);
    let named = required.contexts.iter().filter(|name| !is_bound(name));
    let named = named.map(|name| Required { name: name.clone(), source: Source::Anybody });
    let contexts: Vec<Required> = bound.chain(named).collect();
    if contexts.is_empty() {
        return None;
    }
    let rule = Rule::StatusChecks { contexts, strict: Strict::No };
    Some(Found { rule, place: Place::Protection, bypass: Bypass::Never })
}

/// An App by its id; no id, or -1, is anybody.
fn source(app: Option<i64>) -> Source {
    let app = app.and_then(|id| u64::try_from(id).ok());
    app.map_or(Source::Anybody, |id| Source::App(AppId(id)))
}

/// An installation: what its token may do, if one was made, else what it was granted.
pub(crate) fn installation(found: &shape::Installation, rights: Option<&Rights>) -> Installation {
    if found.suspended_at.is_some() {
        return Installation::Suspended;
    }
    let rights = rights.unwrap_or(&found.permissions);
    let known = NEEDS.map(|(permission, _)| permission).into_iter().chain([Permission::Workflows]);
    let level = |permission: Permission| {
        let word = rights.get(&permission.to_string());
        word.map_or(Level::None, |word| Level::of(word))
    };
    Installation::Active(known.map(|permission| (permission, level(permission))).collect())
}

/// A personal token in place of an installation. What it may do is told to nobody, so nothing is
/// taken to be missing: GitHub refuses what it may not.
pub(crate) fn personal() -> Installation {
    let all = NEEDS.map(|(permission, _)| permission).into_iter().chain([Permission::Workflows]);
    Installation::Active(all.map(|permission| (permission, Level::Write)).collect())
}

/// The parameters of a rule about pull requests.
#[derive(Debug, Deserialize)]
struct PullRequest {
    required_approving_review_count: u32,
    #[serde(default)]
    require_code_owner_review: bool,
    #[serde(default)]
    require_last_push_approval: bool,
    #[serde(default)]
    required_review_thread_resolution: bool,
    #[serde(default)]
    required_reviewers: Vec<serde::de::IgnoredAny>,
}

impl PullRequest {
    fn rule(self) -> Rule {
        let beyond = [
            (self.require_code_owner_review, Beyond::CodeOwners),
            (self.require_last_push_approval, Beyond::LastPush),
            (self.required_review_thread_resolution, Beyond::Threads),
            (!self.required_reviewers.is_empty(), Beyond::Reviewers),
        ];
        let beyond = beyond.into_iter().filter_map(|(asked, beyond)| asked.then_some(beyond));
        Rule::PullRequest {
            approvals: self.required_approving_review_count,
            beyond: beyond.collect(),
        }
    }
}

/// The parameters of a rule about checks.
#[derive(Debug, Deserialize)]
struct StatusChecks {
    required_status_checks: Vec<StatusCheck>,
    #[serde(default)]
    strict_required_status_checks_policy: bool,
}

#[derive(Debug, Deserialize)]
struct StatusCheck {
    context: String,
    #[serde(default)]
    integration_id: Option<i64>,
}

impl StatusChecks {
    fn rule(self) -> Rule {
        let contexts = self
            .required_status_checks
            .into_iter()
            .map(|check| Required { name: check.context, source: source(check.integration_id) });
        let strict = self.strict_required_status_checks_policy;
        let strict = if strict { Strict::Yes } else { Strict::No };
        Rule::StatusChecks { contexts: contexts.collect(), strict }
    }
}

#[cfg(test)]
mod tests;
