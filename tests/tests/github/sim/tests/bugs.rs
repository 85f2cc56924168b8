//! What is wrong with a GitHub on purpose, the product's own parts see.

use molt_forge::Oid;
use molt_forge::github::shape::{Comment, Permission, Pull, Repository, Statuses};
use molt_forge::github::{Client, Course, Credentials, Moved, Operation, RefMove, Slug, Transport};

use super::super::{Bug, Consistency, GitHub, Right};
use super::client::PERMISSIONS;
use super::receiver::Receiver;

/// More than a page holds.
const MANY: usize = 101;

struct Ground {
    github: GitHub,
    widget: u64,
    client: Client,
    place: Slug,
    base: Oid,
    head: Oid,
    number: u64,
}

impl Ground {
    fn with(bug: Option<Bug>) -> Self {
        let github = GitHub::start(&PERMISSIONS);
        github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
        let widget = github.add_repository("acme/widget", false, &[("README.md", "# widget\n")]);
        github.set_right(widget, "mona", Right::Write);
        let base = github.git(widget, &["rev-parse", "main"]);
        let head = github.push_commit(widget, "feature", &[("README.md", "mine\n")]);
        let number = github.open_pull(widget, "mona", "feature");
        if let Some(bug) = bug {
            github.seed(bug);
        }
        let token = Credentials::personal(github.personal_token("mona").into());
        let transport = Transport::new(&github.url()).expect("it is loopback");
        let client = Client::new(transport, token);
        let place = "acme/widget".parse().expect("a name");
        let oid = |text: String| text.parse().expect("git prints ids");
        Self { github, widget, client, place, base: oid(base), head: oid(head), number }
    }

    async fn last_status_counts(&self) -> bool {
        for state in ["failure", "success"] {
            self.github.set_status_as(self.widget, "mona", &self.head.to_string(), ("ci", state));
        }
        let route = self.place.route(Operation::STATUS).with("ref", &self.head);
        let told: Statuses = self.client.read(route).await.expect("a status");
        told.statuses.len() == 1 && told.statuses[0].state == "success"
    }

    async fn conflict_shows(&self) -> bool {
        self.github.push_commit(self.widget, "main", &[("README.md", "theirs\n")]);
        let route = self.place.route(Operation::PULL).with("pull_number", self.number);
        let told: serde_json::Value = self.client.read(route).await.expect("it is there");
        told["mergeable"] == false
    }

    fn hooks_arrive(&self) -> bool {
        let receiver = Receiver::with("between us");
        self.github.deliver_to(receiver.address, "/", "between us");
        self.github.comment_as(self.widget, self.number, "mona", "land");
        self.github.deliveries();
        matches!(receiver.arrived().as_slice(), [one] if one.genuine)
    }

    async fn all_pages_come(&self) -> bool {
        for _ in 0..MANY {
            self.github.comment_as(self.widget, self.number, "mona", "hello");
        }
        let comments = self.place.route(Operation::COMMENTS).query("per_page", 100);
        let comments = self.client.pages(comments, |page: Vec<Comment>| page).await;
        comments.expect("a list").len() == MANY
    }

    async fn stranger_has_no_right(&self) -> bool {
        self.github.user("eve");
        let route = self.place.route(Operation::PERMISSION).with("username", "eve");
        let told: Permission = self.client.read(route).await.expect("a right");
        told.permission == "read"
    }

    async fn moved(&self, moves: &[(&str, Option<Oid>, Oid)]) -> Moved {
        let route = self.place.route(Operation::REPOSITORY);
        let repository: Repository = self.client.read(route).await.expect("it is there");
        let step = |(name, from, to): &(&str, Option<Oid>, Oid)| RefMove {
            name: (*name).to_owned(),
            from: from.clone(),
            to: to.clone(),
            course: Course::Forward,
        };
        let moves: Vec<_> = moves.iter().map(step).collect();
        self.client.move_together(&repository.node_id, &moves).await.expect("an answer")
    }

    async fn lost_race_is_lost(&self) -> bool {
        let moves = [("refs/heads/main", Some(self.head.clone()), self.head.clone())];
        matches!(self.moved(&moves).await, Moved::None(_))
    }

    async fn halves_stay(&self) -> bool {
        let moves = [
            ("refs/heads/main", Some(self.base.clone()), self.head.clone()),
            ("refs/molt/fence", Some(self.base.clone()), self.head.clone()),
        ];
        let refused = matches!(self.moved(&moves).await, Moved::None(_));
        let route = self.place.route(Operation::PULL).with("pull_number", self.number);
        let pull: Pull = self.client.read(route).await.expect("it is there");
        refused && pull.merged_at.is_none()
    }

    fn check_is_kept(&self) -> bool {
        let app = super::client::Client::installed(&self.github);
        let head = self.head.to_string();
        let made = serde_json::json!({ "name": "molt", "head_sha": head });
        app.ask("POST", "/repos/acme/widget/check-runs", &made).is(201);
        self.github.own_checks(self.widget, &head).len() == 1
    }

    /// Whether what this bug breaks is sound.
    async fn is_sound(&self, bug: Bug) -> bool {
        match bug {
            Bug::FirstStatusCounts => self.last_status_counts().await,
            Bug::AlwaysMergeable => self.conflict_shows().await,
            Bug::SilentHooks | Bug::WrongSignature => self.hooks_arrive(),
            Bug::OnePage => self.all_pages_come().await,
            Bug::EverybodyAdmin => self.stranger_has_no_right().await,
            Bug::UncheckedMoves => self.lost_race_is_lost().await,
            Bug::HalfMoves => self.halves_stay().await,
            Bug::LostChecks => self.check_is_kept(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bug_is_seen_and_nothing_is_seen_without_it() {
    for bug in Bug::ALL {
        assert!(Ground::with(None).is_sound(bug).await, "{bug:?} isn't there");
        assert!(!Ground::with(Some(bug)).is_sound(bug).await, "{bug:?} is there");
    }
}
