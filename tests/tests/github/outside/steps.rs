//! The steps that are taken everywhere, and what each comes to at GitHub.
//!
//! What a step comes to has no ids and names of a place in it, so that it is the same wherever it is
//! taken. A refusal is the class that the product puts it into.

use std::collections::BTreeMap;

use molt_forge::Oid;
use molt_forge::github::shape::{
    App, Branch, CheckRun, CheckRuns, Comment, Installation, Permission, Pull, Ref, Repository,
    Review, Rule,
};
use molt_forge::github::webhook::Dirty;
use molt_forge::github::{
    Cause, CheckReport, Client, CommentReport, Course, GithubError, Moved, Operation, Ourselves,
    Outcome, RefMove,
};
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use super::place::Place;
use crate::webhooks::stand::Stand;

/// How long a webhook may take that has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the check run is called, and what we call it.
const CHECK: &str = "molt-steps";
const CAR: &str = "car_0001";

/// What our comment begins with.
const MARK: &str = "<!-- molt:steps -->";

/// The one step that takes somebody to be reached from there.
pub(super) const WEBHOOKS: &str = "webhooks of both are heard";

/// What steps came to, by their names.
pub(super) type Taken = BTreeMap<&'static str, Value>;

/// What GitHub documents that each step comes to.
pub(super) fn documented() -> Taken {
    Taken::from([
        ("the app is known by its key", json!({"ours": true})),
        ("another key is none", json!({"refused": "unauthorized"})),
        ("it is installed", json!({"ours": true, "suspended": false})),
        (
            "its token may",
            json!({"checks": "write", "contents": "write", "pull_requests": "write"}),
        ),
        ("pull requests are listed", json!([{"head": "ahead", "state": "open", "ours": true}])),
        ("one is read", json!({"head": "ahead", "state": "open", "merged": false})),
        ("nobody reviewed it", json!(0)),
        ("a comment is made once", json!({"same": true, "ours": 1})),
        ("a check run is made once", json!({"same": true, "runs": ["in_progress", null]})),
        ("it is edited in place", json!({"same": true, "runs": ["completed", "success"]})),
        ("the branch is read", json!({"stands": "base", "protected": false})),
        ("its rules are read", json!(0)),
        ("a ref moves on", json!({"moved": "all", "stands": "ahead"})),
        ("it does not move back", json!({"moved": "none", "stands": "ahead"})),
        ("two refs are made together", json!({"moved": "all", "stands": ["base", "ahead"]})),
        ("they are not made again", json!({"moved": "none"})),
        ("who may write is known", json!({"permission": "write", "theirs": true})),
        (WEBHOOKS, json!({"pull": true, "head": true})),
    ])
}

/// Takes every step; that of webhooks if there is somebody to hear them.
pub(super) async fn taken(place: &Place, hears: Option<&Stand>) -> Taken {
    let mut taken = Taken::new();
    let mut note = |name, came: Result<Value, GithubError>| {
        let came = came.unwrap_or_else(|error| json!({"refused": class(&error.cause)}));
        assert!(taken.insert(name, came).is_none(), "{name}: there are two");
    };
    note("the app is known by its key", place.known(&place.app).await);
    note("another key is none", place.known(&place.stranger).await);
    note("it is installed", place.installed().await);
    note("its token may", place.granted().await);
    note("pull requests are listed", place.listed().await);
    note("one is read", place.read().await);
    note("nobody reviewed it", place.reviewed().await);
    note("a comment is made once", place.commented().await);
    note("a check run is made once", place.checked(Outcome::Open).await);
    note("it is edited in place", place.checked(Outcome::Passed).await);
    note("the branch is read", place.branch().await);
    note("its rules are read", place.rules().await);
    note("a ref moves on", place.moved(&place.head).await);
    note("it does not move back", place.moved(&place.base).await);
    note("two refs are made together", place.made_together().await);
    note("they are not made again", place.made_again().await);
    note("who may write is known", place.permission().await);
    if let Some(stand) = hears {
        note(WEBHOOKS, place.heard(stand).await);
    }
    taken
}

/// A word for each class that the product tells apart.
fn class(cause: &Cause) -> &'static str {
    match cause {
        Cause::Unanswered { .. } => "unanswered",
        Cause::Outage { .. } => "outage",
        Cause::Cooldown { .. } => "cooldown",
        Cause::Unauthorized { .. } => "unauthorized",
        Cause::Suspended { .. } => "suspended",
        Cause::Forbidden { .. } => "forbidden",
        Cause::Missing { .. } => "missing",
        Cause::Gone { .. } => "gone",
        Cause::Moved { .. } => "moved",
        Cause::Conflict { .. } => "conflict",
        Cause::NotAllowed { .. } => "not allowed",
        Cause::Invalid { .. } => "invalid",
        Cause::Unreadable { .. } => "unreadable",
        _ => "unexpected",
    }
}

fn all_or_none(moved: &Moved) -> &'static str {
    match moved {
        Moved::All => "all",
        Moved::None(_) => "none",
    }
}

impl Place {
    /// Where a commit is, in words that are the same everywhere.
    fn is(&self, sha: &str) -> &'static str {
        match sha {
            _ if sha == self.base.as_str() => "base",
            _ if sha == self.head.as_str() => "ahead",
            _ => "elsewhere",
        }
    }

    async fn known(&self, client: &Client) -> Result<Value, GithubError> {
        let app: App = client.read(Operation::APP.route()).await?;
        Ok(json!({"ours": app.id == self.registered.id}))
    }

    async fn installed(&self) -> Result<Value, GithubError> {
        let route = self.slug.route(Operation::INSTALLATION);
        let found: Installation = self.app.read(route).await?;
        let ours = found.app_id == self.registered.id;
        Ok(json!({"ours": ours, "suspended": found.suspended_at.is_some()}))
    }

    async fn granted(&self) -> Result<Value, GithubError> {
        let mut rights = self.app.rights().await?.unwrap_or_default();
        // What else an App of somebody's may do is his to say.
        rights.retain(|name, _| ["checks", "contents", "pull_requests"].contains(&&**name));
        Ok(json!(rights))
    }

    async fn listed(&self) -> Result<Value, GithubError> {
        let route = self.slug.route(Operation::PULLS).query("state", "open");
        let list = self.app.list::<Pull>(route.query("sort", "updated"), None, |_| true).await?;
        let mut pulls = list.map(|list| list.entries).unwrap_or_default();
        pulls.retain(|pull| pull.base.branch == self.trunk);
        let shown = |pull: &Pull| {
            let ours = pull.number == self.number && pull.head.branch == self.feature;
            json!({"head": self.is(&pull.head.sha), "state": pull.state, "ours": ours})
        };
        Ok(pulls.iter().map(shown).collect())
    }

    async fn read(&self) -> Result<Value, GithubError> {
        let route = self.slug.route(Operation::PULL).with("pull_number", self.number);
        let pull: Pull = self.app.read(route).await?;
        let merged = pull.merged_at.is_some();
        Ok(json!({"head": self.is(&pull.head.sha), "state": pull.state, "merged": merged}))
    }

    async fn reviewed(&self) -> Result<Value, GithubError> {
        let route = self.slug.route(Operation::REVIEWS).with("pull_number", self.number);
        Ok(self.app.pages(route, |page: Vec<Review>| page).await?.len().into())
    }

    /// Our comment, made twice by who does not know of the first time.
    async fn commented(&self) -> Result<Value, GithubError> {
        let app: App = self.app.read(Operation::APP.route()).await?;
        let us = Ourselves::Bot(format!("{}[bot]", app.slug));
        let report = CommentReport { us: &us, mark: MARK, text: MARK };
        let first = self.app.report_comment(&self.slug, self.number, None, report).await?;
        let again = self.app.report_comment(&self.slug, self.number, None, report).await?;
        let route = self.slug.route(Operation::COMMENTS_OF).with("issue_number", self.number);
        let all = self.app.pages(route, |page: Vec<Comment>| page).await?;
        let ours = |comment: &&Comment| comment.body.as_deref() == Some(MARK);
        Ok(json!({"same": first == again, "ours": all.iter().filter(ours).count()}))
    }

    /// Our check run, reported twice by who does not know of the first time.
    async fn checked(&self, outcome: Outcome) -> Result<Value, GithubError> {
        let report = CheckReport {
            name: CHECK.to_owned(),
            id: CAR.to_owned(),
            head: self.head.clone(),
            outcome,
            title: "steps".to_owned(),
            summary: "what this head comes to".to_owned(),
            annotations: Vec::new(),
        };
        let first = self.app.report_check(&self.slug, None, &report).await?;
        let again = self.app.report_check(&self.slug, None, &report).await?;
        let route = self.slug.route(Operation::CHECKS).with("ref", &self.head);
        let route = route.query("check_name", CHECK).query("filter", "all");
        let runs = self.app.pages(route, |page: CheckRuns| page.check_runs).await?;
        let shown = |run: &CheckRun| [json!(run.status), json!(run.conclusion)];
        let runs: Vec<Value> = runs.iter().flat_map(shown).collect();
        Ok(json!({"same": first == again, "runs": runs}))
    }

    async fn branch(&self) -> Result<Value, GithubError> {
        let route = self.slug.route(Operation::BRANCH).branch("branch", &self.trunk);
        let branch: Branch = self.app.read(route).await?;
        Ok(json!({"stands": self.is(&branch.commit.sha), "protected": branch.protected}))
    }

    async fn rules(&self) -> Result<Value, GithubError> {
        let route = self.slug.route(Operation::RULES).branch("branch", &self.trunk);
        Ok(self.app.pages(route, |page: Vec<Rule>| page).await?.len().into())
    }

    async fn stands(&self, branch: &str) -> Result<&'static str, GithubError> {
        let route = self.slug.route(Operation::REF).branch("ref", &format!("heads/{branch}"));
        let found: Ref = self.app.read(route).await?;
        Ok(self.is(&found.object.sha))
    }

    /// The spare branch, moved by REST.
    async fn moved(&self, to: &Oid) -> Result<Value, GithubError> {
        let name = format!("heads/{}", self.spare);
        let route = self.slug.route(Operation::MOVE_REF).branch("ref", &name);
        let moved = self.app.move_forward(route, to).await?;
        Ok(json!({"moved": all_or_none(&moved), "stands": self.stands(&self.spare).await?}))
    }

    /// Two branches beside the spare one, in one step: which is how a landing moves.
    async fn together(&self) -> Result<Moved, GithubError> {
        let repository: Repository = self.app.read(self.slug.route(Operation::REPOSITORY)).await?;
        let made = |branch: String, to: &Oid| RefMove {
            name: format!("refs/heads/{branch}"),
            from: None,
            to: to.clone(),
            course: Course::Forward,
        };
        let [one, two] = self.pair();
        let moves = [made(one, &self.base), made(two, &self.head)];
        self.app.move_together(&repository.node_id, &moves).await
    }

    /// The names of the branches that are made together.
    pub(super) fn pair(&self) -> [String; 2] {
        ["one", "two"].map(|name| format!("{}-{name}", self.spare))
    }

    async fn made_together(&self) -> Result<Value, GithubError> {
        let moved = self.together().await?;
        let [one, two] = self.pair();
        let stands = [self.stands(&one).await?, self.stands(&two).await?];
        Ok(json!({"moved": all_or_none(&moved), "stands": stands}))
    }

    async fn made_again(&self) -> Result<Value, GithubError> {
        Ok(json!({"moved": all_or_none(&self.together().await?)}))
    }

    async fn permission(&self) -> Result<Value, GithubError> {
        let route = self.slug.route(Operation::PERMISSION).with("username", &self.login);
        let right: Permission = self.app.read(route).await?;
        let theirs = right.user.is_some_and(|user| user.login == self.login);
        Ok(json!({"permission": right.permission, "theirs": theirs}))
    }

    /// Whether the service for webhooks, which hears nothing that is not signed, has heard of the
    /// pull request and of its head.
    async fn heard(&self, stand: &Stand) -> Result<Value, GithubError> {
        let repository: Repository = self.app.read(self.slug.route(Operation::REPOSITORY)).await?;
        let repository = repository.id;
        let pull = Dirty::Pull { repository, number: self.number };
        let head = Dirty::Head { repository, sha: self.head.clone() };
        let mut marks = stand.dirty();
        let all = async {
            while !(marks.contains(&pull) && marks.contains(&head)) {
                stand.marked().await;
                marks.extend(stand.dirty());
            }
        };
        // What did not come is told by its name.
        _ = timeout(PATIENCE, all).await;
        Ok(json!({"pull": marks.contains(&pull), "head": marks.contains(&head)}))
    }
}
