//! GitHub: whether it takes our key or token, what it lets us do, and what of its rules is in the
//! way of everything that is to land.
//!
//! How a base's policy lands changes is not known before it was read, so every way is looked at:
//! what is not in the way of all is told as a thing to know.

use molt_domain::policy::Method;
use molt_domain::pull::rules::{Found, Installation, Obstacle, preflight, wanted};
use molt_forge::Fencing;
use molt_forge::github::shape::{Account, App, Branch};
use molt_forge::github::{Cause, Client, GithubError, Operation, Slug};
use molt_proto::exit::Exit;

use super::Finding;
use crate::config::{GithubAccess, GithubConfig, RepoConfig};
use crate::github::{ConnectError, Door, UNFENCED, preflight as rules};
use crate::reconcile::chain;

/// Looks at GitHub and at the repositories that are there.
pub(super) async fn examine(config: &GithubConfig, repos: &[RepoConfig]) -> Vec<Finding> {
    let door = match Door::new(config) {
        Ok(door) => door,
        Err(error) => return vec![failure(&error.to_string(), &error)],
    };
    let mut findings = match ourselves(&door, &config.access).await {
        Ok(detail) => vec![Finding::ok("github", format!("{detail}, at {}", config.api))],
        // Nothing else will be told either.
        Err(error) => return vec![failure(&config.api, &error)],
    };
    if config.fencing == Fencing::BaseAlone {
        findings.push(Finding::warn("github", UNFENCED.to_owned()));
    }
    for repo in repos {
        let Some(slug) = &repo.github else { continue };
        match look(&door, &config.access, repo, slug).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(failure(&format!("{}: {slug}", repo.name), &error)),
        }
    }
    findings
}

/// Who we are to GitHub.
async fn ourselves(door: &Door<'_>, access: &GithubAccess) -> Result<String, ConnectError> {
    let client = door.own()?;
    match access {
        GithubAccess::App { .. } => {
            let app: App = client.read(Operation::APP.route()).await?;
            Ok(format!("app {} `{}`", app.id, app.name))
        }
        GithubAccess::Token { .. } => {
            let owner: Account = client.read(Operation::USER.route()).await?;
            Ok(format!("a personal token of {}: statuses in place of check runs", owner.login))
        }
    }
}

/// What we may do in a repository; `Err` for an installation that is not the one it is told to be.
async fn installation(
    door: &Door<'_>,
    access: &GithubAccess,
    slug: &Slug,
) -> Result<Result<Installation, String>, ConnectError> {
    let told = match access {
        GithubAccess::Token { .. } => return Ok(Ok(rules::personal())),
        GithubAccess::App { installation, .. } => *installation,
    };
    let Some(found) = door.installation(slug).await? else {
        return Ok(Ok(Installation::Gone));
    };
    if let Some(told) = told.filter(|told| *told != found.id) {
        return Ok(Err(format!(
            "the app's installation there is {}, not {told}: leave `installation` out, and it is \
             looked up",
            found.id
        )));
    }
    Ok(Ok(rules::installation(&found, None)))
}

/// Looks at one repository.
async fn look(
    door: &Door<'_>,
    access: &GithubAccess,
    repo: &RepoConfig,
    slug: &Slug,
) -> Result<Vec<Finding>, ConnectError> {
    let name = &repo.name;
    let installation = match installation(door, access, slug).await? {
        Ok(installation) => installation,
        Err(why) => {
            let detail = format!("{name}: {slug}: {why}");
            return Ok(vec![Finding::fail("github", Exit::Usage, detail)]);
        }
    };
    if !matches!(installation, Installation::Active(_)) {
        let obstacles = preflight(&[], Method::Merge, &installation);
        return Ok(obstacles.iter().map(|it| blocked(repo, slug, it, &[])).collect());
    }
    let client = door.client(slug).await?;
    let seen = client.look(slug).await?;
    let branch = branch(&client, slug, &repo.branch).await?;
    let found = rules::read(&client, slug, &branch).await?;
    let mut findings = obstacles(repo, slug, &found, &installation);
    let now = client.called(slug);
    if !now.is_same(slug) {
        let detail =
            format!("{name}: {slug} was renamed to {now}: change `github` of its [[repo]]");
        findings.push(Finding::warn("github", detail));
    }
    if branch.protection.as_ref().is_some_and(|protection| protection.enabled) {
        let detail = format!(
            "{name}: {} of {slug} has classic branch protection, of which only required checks \
             are told: a ruleset tells all of it, and lets the App through by name",
            branch.name
        );
        findings.push(Finding::warn("github", detail));
    }
    let commit = branch.commit.sha.get(..10).unwrap_or(&branch.commit.sha);
    let judged = judged(&found);
    let detail = format!("{name}: {}, {} at {commit}{judged}", seen.full_name, branch.name);
    findings.insert(0, Finding::ok("github", detail));
    Ok(findings)
}

async fn branch(client: &Client, slug: &Slug, name: &str) -> Result<Branch, GithubError> {
    client.read(slug.route(Operation::BRANCH).branch("branch", name)).await
}

/// What of GitHub's rules is asked of each change here.
fn judged(found: &[Found]) -> String {
    let wanted = wanted(found);
    let mut words = String::new();
    if wanted.approvals > 0 {
        words.push_str(&format!("; approvals: {}", wanted.approvals));
    }
    if !wanted.contexts.is_empty() {
        let names: Vec<&str> = wanted.contexts.iter().map(|it| it.name.as_str()).collect();
        words.push_str(&format!("; checks: {}", names.join(", ")));
    }
    words
}

fn obstacles(
    repo: &RepoConfig,
    slug: &Slug,
    found: &[Found],
    installation: &Installation,
) -> Vec<Finding> {
    let of_each = Method::ALL.map(|method| (method, preflight(found, method, installation)));
    let without = |obstacle: &Obstacle| -> Vec<&str> {
        let without = of_each.iter().filter(|(_, obstacles)| !obstacles.contains(obstacle));
        without.map(|(method, _)| method.as_str()).collect()
    };
    // Nothing is in the way of another method that is not in the way of a merge commit.
    let [(_, merges), ..] = &of_each;
    merges.iter().map(|obstacle| blocked(repo, slug, obstacle, &without(obstacle))).collect()
}

/// What is told of an obstacle; `without` are the methods that it is in no way of.
fn blocked(repo: &RepoConfig, slug: &Slug, obstacle: &Obstacle, without: &[&str]) -> Finding {
    let (reason, fix) = (obstacle.reason(), obstacle.fix());
    let detail = format!("{}: {slug}: {reason}: {obstacle}: {fix}", repo.name);
    let exit = match obstacle {
        Obstacle::Rule { .. } | Obstacle::Stacked | Obstacle::OnTop { .. } => Exit::Precondition,
        Obstacle::Permission(..)
        | Obstacle::Suspended
        | Obstacle::Gone
        | Obstacle::Workflows { .. } => Exit::Forbidden,
    };
    if without.is_empty() {
        return Finding::fail("github", exit, detail);
    }
    let without = without.join(" or ");
    Finding::warn("github", format!("{detail} (not with `method` {without} in molt.toml)"))
}

/// What failed at `place`, by who can act on it.
fn failure(place: &str, error: &ConnectError) -> Finding {
    let exit = match error {
        ConnectError::File { .. } | ConnectError::Key { .. } | ConnectError::Address(_) => {
            Exit::Usage
        }
        ConnectError::NotInstalled { .. } => Exit::Forbidden,
        ConnectError::Github(error) => match error.cause {
            Cause::Unauthorized { .. } | Cause::Suspended { .. } | Cause::Forbidden { .. } => {
                Exit::Forbidden
            }
            Cause::Missing { .. } | Cause::Gone { .. } | Cause::Moved { .. } => Exit::NotFound,
            Cause::Unanswered { .. } | Cause::Outage { .. } | Cause::Cooldown { .. } => {
                Exit::Unavailable
            }
            _ => Exit::Precondition,
        },
    };
    Finding::fail("github", exit, format!("{place}: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use molt_domain::pull::rules::{Bypass, Level, Permission, Place, Rule};

    use super::*;
    use crate::doctor::Level as Seen;

    fn repo() -> RepoConfig {
        RepoConfig {
            name: "core".parse().expect("a name"),
            remote: "r".to_owned(),
            branch: "main".to_owned(),
            github: Some("acme/core".parse().expect("a slug")),
        }
    }

    fn told(found: &[Found], installation: &Installation) -> Vec<(Seen, String)> {
        let slug = "acme/core".parse().expect("a slug");
        let findings = obstacles(&repo(), &slug, found, installation);
        findings.into_iter().map(|finding| (finding.level, finding.detail)).collect()
    }

    #[test]
    fn an_obstacle_is_told_with_its_fix_and_who_must_act() {
        let rule = |word: &str| Found {
            rule: Rule::plain(word),
            place: Place::Ruleset("trunk".to_owned()),
            bypass: Bypass::Never,
        };
        let queue = told(&[rule("merge_queue"), rule("deletion")], &rules::personal());
        let [(Seen::Fail(Exit::Precondition), detail)] = &*queue else { panic!("{queue:?}") };
        assert_eq!(
            detail,
            "core: acme/core: ruleset-blocked: the ruleset trunk wants merge queue: turn the merge \
             queue off for this branch: the train is one"
        );
        let linear = told(&[rule("required_linear_history")], &rules::personal());
        let [(Seen::Warn, detail)] = &*linear else { panic!("{linear:?}") };
        let methods = "(not with `method` ff or squash or rebase in molt.toml)";
        assert!(detail.ends_with(methods), "{detail}");
        let signed = told(&[rule("required_signatures")], &rules::personal());
        let [(Seen::Warn, detail)] = &*signed else { panic!("{signed:?}") };
        assert!(detail.ends_with("(not with `method` ff in molt.toml)"), "{detail}");
        let Installation::Active(mut granted) = rules::personal() else { panic!("it works") };
        granted.insert(Permission::Contents, Level::Read);
        let less = told(&[], &Installation::Active(granted));
        let [(Seen::Fail(Exit::Forbidden), detail)] = &*less else { panic!("{less:?}") };
        assert_eq!(
            detail,
            "core: acme/core: auth-lost: the installation lacks `contents: write`: grant it in the \
             App's settings and accept it for the installation"
        );
        assert_eq!(told(&[rule("deletion")], &rules::personal()), []);
    }

    #[test]
    fn a_failure_says_who_must_act() {
        let exit = |cause: Cause| {
            let error = GithubError { operation: Operation::APP, cause };
            failure("there", &error.into()).level
        };
        let message = || "no".to_owned();
        assert_eq!(exit(Cause::Unauthorized { message: message() }), Seen::Fail(Exit::Forbidden));
        assert_eq!(exit(Cause::Missing { message: message() }), Seen::Fail(Exit::NotFound));
        assert_eq!(exit(Cause::Outage { status: 502 }), Seen::Fail(Exit::Unavailable));
    }
}
