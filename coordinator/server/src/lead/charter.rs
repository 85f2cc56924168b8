//! What all coordinators of a fleet must agree on: the spans, and what each repository is.
//!
//! A standby with a shorter ttl would take the lead while the leader still
//! answers; one with another remote would land elsewhere. Who leads shows its
//! charter, and who stands by compares. Not here: the policy of a repository,
//! which is read from its base and is no setting.

use std::collections::BTreeMap;
use std::time::Duration;

use molt_domain::policy::Spans;

use crate::config::RepoConfig;

/// A setting on which the leader and this coordinator differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{setting}` is {theirs} at {leader}, which leads, and {ours} here: give both the same, then \
     start this one again"
)]
pub struct Differs {
    leader: String,
    setting: String,
    theirs: String,
    ours: String,
}

/// The charter of these settings: names and values as a JSON object.
#[must_use]
pub fn of(spans: &Spans, repos: &[RepoConfig]) -> String {
    let text = |span: Duration| humantime::format_duration(span).to_string();
    let spans = [
        ("heartbeat", spans.heartbeat),
        ("session-ttl", spans.session_ttl),
        ("margin", spans.margin),
        ("kill-grace", spans.kill_grace),
        ("delay", spans.delay),
        ("grace", spans.grace),
        ("extension", spans.extension),
        ("fresh", spans.fresh),
        ("idle", spans.idle),
        ("answer", spans.answer),
        ("offer", spans.offer),
        ("failure-memory", spans.failure_memory),
        ("leader-ttl", spans.leader_ttl),
    ];
    let spans = spans.map(|(name, span)| (format!("spans.{name}"), text(span)));
    let repos = repos.iter().map(|repo| (format!("repo.{}", repo.name), place(repo)));
    let charter: BTreeMap<String, String> = spans.into_iter().chain(repos).collect();
    match serde_json::to_string(&charter) {
        Ok(text) => text,
        Err(error) => unreachable!("texts have a JSON form: {error}"),
    }
}

/// What a repository is: where it lands, and whose pull requests are its changes. What an earlier
/// version knows of it reads as that version wrote it.
fn place(repo: &RepoConfig) -> String {
    let RepoConfig { name: _, remote, branch, github } = repo;
    let place = format!("{remote}#{branch}");
    match github {
        None => place,
        Some(slug) => format!("{place} github {}", slug.to_string().to_ascii_lowercase()),
    }
}

/// Whether this coordinator may stand by for a leader. A setting that only one of the two knows is
/// of another version, and no difference; a repository that only one has is one.
pub(super) fn compare(leader: &str, theirs: &str, ours: &str) -> Result<(), Differs> {
    let read = |text: &str| serde_json::from_str::<BTreeMap<String, String>>(text);
    // A leader of an earlier version, or one that is no coordinator, says nothing.
    let (Ok(theirs), Ok(ours)) = (read(theirs), read(ours)) else { return Ok(()) };
    let differs = |setting: &String, theirs: Option<&String>, ours: Option<&String>| Differs {
        leader: leader.to_owned(),
        setting: setting.clone(),
        theirs: theirs.map_or("missing", String::as_str).to_owned(),
        ours: ours.map_or("missing", String::as_str).to_owned(),
    };
    for setting in theirs.keys().chain(ours.keys()) {
        let (their, our) = (theirs.get(setting), ours.get(setting));
        let known_to_both = their.is_some() && our.is_some() || setting.starts_with("repo.");
        if their != our && known_to_both {
            return Err(differs(setting, their, our));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(name: &str, remote: &str) -> RepoConfig {
        let (remote, branch) = (remote.to_owned(), "main".to_owned());
        RepoConfig { name: name.parse().unwrap(), remote, branch, github: None }
    }

    #[test]
    fn the_first_difference_is_named_with_both_values() {
        let spans = Spans::default();
        let ours = of(&spans, &[repo("core", "a"), repo("docs", "b")]);
        assert_eq!(compare("c1", &ours, &ours), Ok(()));
        let said = |theirs: &str| compare("c1", theirs, &ours).unwrap_err().to_string();
        let shorter = Spans { delay: Duration::from_secs(9), ..spans };
        let delay = said(&of(&shorter, &[repo("core", "a"), repo("docs", "b")]));
        assert!(
            delay.starts_with("`spans.delay` is 9s at c1, which leads, and 15s here"),
            "{delay}"
        );
        let elsewhere = said(&of(&spans, &[repo("core", "x"), repo("docs", "b")]));
        assert!(elsewhere.starts_with("`repo.core` is x#main at c1"), "{elsewhere}");
        let github =
            |slug: &str| RepoConfig { github: Some(slug.parse().unwrap()), ..repo("core", "a") };
        let pulls = said(&of(&spans, &[github("acme/core"), repo("docs", "b")]));
        assert!(pulls.starts_with("`repo.core` is a#main github acme/core at c1"), "{pulls}");
        let (lower, upper) = (of(&spans, &[github("a/c")]), of(&spans, &[github("A/C")]));
        assert_eq!(compare("c1", &lower, &upper), Ok(()));
        let fewer = said(&of(&spans, &[repo("core", "a")]));
        assert!(fewer.starts_with("`repo.docs` is missing at c1"), "{fewer}");
    }

    #[test]
    fn a_setting_of_another_version_is_no_difference() {
        let ours = of(&Spans::default(), &[]);
        assert_eq!(compare("c1", "", &ours), Ok(()));
        assert_eq!(compare("c1", "{\"spans.new\":\"1s\"}", &ours), Ok(()));
    }
}
