//! A repository with one open pull request, and those who ask there.

use molt_forge::Oid;
use molt_forge::github::shape::{Installation, Made};
use molt_forge::github::{App, Client, Clock, Credentials, Operation, Slug, Transport};
use serde_json::json;

/// A key that is no App's of any place.
const STRANGE: &str = include_str!("../../../../coordinator/forge/tests/github/app.pem");

/// Stands for an installation while the App asks where it is installed.
const UNKNOWN: u64 = 0;

/// An App and its key.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) id: u64,
    pub(super) key: String,
}

/// Where it is, who asks, and how it stands before the first step.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) api: String,
    pub(super) slug: Slug,
    pub(super) registered: Registered,
    /// The App, where it is installed.
    pub(super) app: Client,
    /// Somebody who says to be the App, and has another key.
    pub(super) stranger: Client,
    /// A person who may write.
    pub(super) person: Client,
    pub(super) login: String,
    /// The branch that the pull request is for, and where it stands.
    pub(super) trunk: String,
    pub(super) base: Oid,
    /// The pull request's branch, and where it stands: after the base.
    pub(super) feature: String,
    pub(super) head: Oid,
    /// A branch that nobody else moves, where the base is. Others may be made below its name.
    pub(super) spare: String,
    pub(super) number: u64,
}

/// The branches, and where they stand.
#[derive(Debug)]
pub(super) struct Branches {
    pub(super) trunk: String,
    pub(super) base: Oid,
    pub(super) feature: String,
    pub(super) head: Oid,
    pub(super) spare: String,
}

/// Asks as a person, by a personal token.
pub(super) fn person(api: &str, token: &str) -> Client {
    client(api, Credentials::personal(token.to_owned().into()))
}

fn client(api: &str, credentials: Credentials) -> Client {
    Client::new(Transport::new(api).expect("an address of an API"), credentials)
}

impl Registered {
    fn at(&self, api: &str, installation: u64) -> Client {
        let app = App::new(self.id, self.key.as_bytes()).expect("the key is one");
        client(api, Credentials::installation(app, installation, Clock::machine()))
    }
}

impl Place {
    /// The place where these branches are, with a pull request that is opened now.
    pub(super) async fn open(
        api: &str,
        slug: Slug,
        registered: Registered,
        (person, login): (Client, &str),
        branches: Branches,
    ) -> Self {
        let alone = registered.at(api, UNKNOWN);
        let installed: Installation =
            alone.read(slug.route(Operation::INSTALLATION)).await.expect("it is installed");
        let strange = Registered { key: STRANGE.to_owned(), ..registered.clone() };
        let (app, stranger) = (registered.at(api, installed.id), strange.at(api, installed.id));
        let Branches { trunk, base, feature, head, spare } = branches;
        let body = json!({"title": "Add a case", "head": feature, "base": trunk});
        let opened = person.read(slug.route(Operation::OPEN_PULL).body(body)).await;
        let Numbered { number } = opened.expect("it is opened");
        let (api, login) = (api.to_owned(), login.to_owned());
        Self {
            api,
            slug,
            registered,
            app,
            stranger,
            person,
            login,
            trunk,
            base,
            feature,
            head,
            spare,
            number,
        }
    }

    /// The person says something of the pull request.
    pub(super) async fn say(&self, text: &str) {
        let route = self.slug.route(Operation::COMMENT).with("issue_number", self.number);
        let said = self.person.read::<Made>(route.body(json!({"body": text}))).await;
        said.expect("it is said");
    }
}

#[derive(serde::Deserialize)]
struct Numbered {
    number: u64,
}
