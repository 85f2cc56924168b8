//! GitHub itself: the steps, and one gated merge, in a repository that somebody has to spare.
//!
//! **Not run by anybody who has no such repository**, nor by continuous integration: it takes an App
//! that is installed there and a person's token, and without them it says which are missing. What
//! it does is rehearsed at the simulation with every `make test`. It works on branches of its own
//! below `molt-sandbox/` and takes them away; its pull request, and refs below `refs/molt`, stay.

use std::collections::BTreeMap;

use molt_forge::github::{GITHUB, Slug};

use super::git::Checkout;
use super::place::{Place, Registered, person};
use super::{landing, steps};
use crate::client::MANIFEST;
use crate::sim::{APP_KEY, Consistency, GitHub, Right};
use crate::webhooks::stand::Stand;

/// What the simulation's webhooks are signed with.
const SECRET: &str = "between us";

/// What the script takes from its environment, and what each is.
const VARIABLES: [(&str, &str); 5] = [
    ("MOLT_SANDBOX_REPO", "the repository, OWNER/NAME: its branch `main` is read, never moved"),
    ("MOLT_SANDBOX_APP", "the id of an App that is installed there with the manifest's rights"),
    ("MOLT_SANDBOX_KEY", "the file with the App's key"),
    ("MOLT_SANDBOX_LOGIN", "a person with the right to write there, and no more"),
    ("MOLT_SANDBOX_TOKEN", "the file with a token of that person: contents and pull requests"),
];

/// Where everything is.
#[derive(Debug)]
struct Sandbox {
    api: String,
    slug: String,
    registered: Registered,
    login: String,
    token: String,
}

impl Sandbox {
    /// What the environment says, or what it lacks.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let found: BTreeMap<&str, String> =
            VARIABLES.iter().filter_map(|(name, _)| Some((*name, variable(name)?))).collect();
        let missing = VARIABLES.iter().filter(|(name, _)| !found.contains_key(name));
        let missing: Vec<String> = missing.map(|(name, what)| format!("{name}: {what}")).collect();
        if !missing.is_empty() {
            return Err(format!("the sandbox is not named; set\n{}", missing.join("\n")));
        }
        let file = |name: &str| {
            std::fs::read_to_string(&found[name]).map_err(|error| format!("{name}: {error}"))
        };
        let id = found["MOLT_SANDBOX_APP"].parse::<u64>();
        let id = id.map_err(|error| format!("MOLT_SANDBOX_APP: {error}"))?;
        Ok(Self {
            api: variable("MOLT_SANDBOX_API").unwrap_or_else(|| GITHUB.to_owned()),
            slug: found["MOLT_SANDBOX_REPO"].clone(),
            registered: Registered { id, key: file("MOLT_SANDBOX_KEY")? },
            login: found["MOLT_SANDBOX_LOGIN"].clone(),
            token: file("MOLT_SANDBOX_TOKEN")?.trim_end().to_owned(),
        })
    }

    /// Takes the steps, lands the pull request, and takes the branches away.
    async fn tried(self, hears: Option<&Stand>) {
        let Self { api, slug, registered, login, token } = self;
        let slug: Slug = slug.parse().expect("MOLT_SANDBOX_REPO is OWNER/NAME");
        let checkout = Checkout::of(&api, &slug, &token);
        let person = (person(&api, &token), &*login);
        let place = Place::open(&api, slug, registered, person, checkout.branches()).await;
        let taken = steps::taken(&place, hears).await;
        let mut documented = steps::documented();
        documented.retain(|name, _| hears.is_some() || *name != steps::WEBHOOKS);
        assert_eq!(taken, documented);
        landing::landed(&place, &checkout).await;
        let [one, two] = place.pair();
        checkout.delete(&[&place.trunk, &place.feature, &place.spare, &one, &two]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes a repository at GitHub: `make github-sandbox`"]
async fn the_steps_and_a_gated_merge_at_github() {
    let sandbox = Sandbox::of(|name| std::env::var(name).ok());
    // Nobody out there reaches this machine with a webhook.
    sandbox.unwrap_or_else(|missing| panic!("{missing}")).tried(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_steps_and_a_gated_merge_are_rehearsed() {
    let github = GitHub::start(&MANIFEST);
    github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
    let widget = github.add_repository("acme/widget", true, &[("README.md", "# widget\n")]);
    github.set_right(widget, "mona", Right::Write);
    let sandbox = Sandbox {
        api: github.url(),
        slug: "acme/widget".to_owned(),
        registered: Registered { id: github.app_id(), key: APP_KEY.to_owned() },
        login: "mona".to_owned(),
        token: github.personal_token("mona"),
    };
    let stand = Stand::with(&[SECRET]).await;
    github.deliver_to(stand.address, "/webhooks/github", SECRET);
    let before = github.git(widget, &["for-each-ref", "refs/heads"]);
    sandbox.tried(Some(&stand)).await;
    assert_eq!(github.git(widget, &["for-each-ref", "refs/heads"]), before, "nothing is left");
    // The trunk is taken away at the end, which nobody else may do to a base.
    let found = github.take_violations();
    assert!(
        found.iter().all(|it| it.starts_with("mona moved refs/heads/molt-sandbox/")),
        "{found:?}"
    );
}

#[test]
fn it_names_what_it_lacks() {
    let lacks = |set: &[&str]| {
        let given = |name: &str| set.contains(&name).then(|| "7".to_owned());
        Sandbox::of(given).expect_err("nothing is there")
    };
    let all = lacks(&[]);
    for (name, _) in VARIABLES {
        assert!(all.contains(name), "{all}");
        let one = lacks(&[name]);
        assert!(!one.contains(&format!("{name}:")), "{one}");
    }
    let every: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
    assert!(lacks(&every).starts_with("MOLT_SANDBOX_KEY: "), "a file that is not there");
}
