//! The product's client against the simulation: what it does is what GitHub describes, done once.

use std::collections::BTreeMap;

use molt_forge::Oid;
use molt_forge::github::permission::asked_for;
use molt_forge::github::shape::{Installation, Permission, Pull, Repository, Review, Rule};
use molt_forge::github::{
    Annotation, App, Cause, CheckReport, Client, Clock, CommentReport, Course, Credentials, Moved,
    Operation, Ourselves, Outcome, RefMove, Slug, Transport,
};
use serde_json::{Value, json};

use crate::sim::{APP_KEY, Consistency, Fault, GitHub, Kind, Right, When};

/// What the App asks for where it is installed, and nothing that it doesn't use.
pub(crate) const MANIFEST: [(&str, &str); 6] = [
    ("metadata", "read"),
    ("contents", "write"),
    ("pull_requests", "write"),
    ("checks", "write"),
    ("statuses", "read"),
    ("issues", "read"),
];

/// A repository with one open pull request.
struct Ground {
    github: GitHub,
    widget: u64,
    place: Slug,
    base: String,
    head: String,
    number: u64,
}

impl Ground {
    fn new() -> Self {
        let github = GitHub::start(&MANIFEST);
        github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
        let widget = github.add_repository("acme/widget", true, &[("README.md", "# widget\n")]);
        github.set_right(widget, "mona", Right::Write);
        let base = github.git(widget, &["rev-parse", "main"]);
        let head = github.push_commit(widget, "feature/a#b", &[("a", "1\n")]);
        let number = github.open_pull(widget, "mona", "feature/a#b");
        let place = "acme/widget".parse().expect("a name");
        Self { github, widget, place, base, head, number }
    }

    fn app(&self) -> Client {
        let app = App::new(self.github.app_id(), APP_KEY.as_bytes()).expect("the key is one");
        let installation = self.github.installation_id();
        self.client(Credentials::installation(app, installation, Clock::machine()))
    }

    fn client(&self, credentials: Credentials) -> Client {
        Client::new(Transport::new(&self.github.url()).expect("it is loopback"), credentials)
    }

    /// How often an operation was asked for.
    fn asked(&self, operation: Operation) -> usize {
        let name = operation.to_string();
        self.github.journal().iter().filter(|entry| entry.operation == name).count()
    }

    /// An operation went wrong once, after it had its effect.
    fn loses_answer(&self, operation: &'static str) {
        self.github.plan(Fault { operation, nth: 1, when: When::After, kind: Kind::Drop });
    }

    fn report(&self, outcome: Outcome) -> CheckReport {
        CheckReport {
            name: "molt".to_owned(),
            id: "car_0001".to_owned(),
            head: oid(&self.head),
            outcome,
            title: "on its way".to_owned(),
            summary: "the gates of this head".to_owned(),
            annotations: (1..=120).map(annotation).collect(),
        }
    }
}

fn annotation(line: u64) -> Annotation {
    Annotation { path: "a".into(), line, message: "no".into() }
}

fn oid(text: &str) -> Oid {
    text.parse().expect("git prints ids")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_read_reported_and_landed() {
    let ground = Ground::new();
    let (client, place) = (ground.app(), &ground.place);
    let installed: Installation =
        client.read(place.route(Operation::INSTALLATION)).await.expect("it is installed");
    assert_eq!(installed.app_id, ground.github.app_id());
    let repository: Repository =
        client.read(place.route(Operation::REPOSITORY)).await.expect("it is there");
    let open = place.route(Operation::PULLS).query("state", "open");
    let pulls = client.pages(open, |page: Vec<Pull>| page).await.expect("a list");
    let [pull] = pulls.as_slice() else { panic!("one is open: {pulls:?}") };
    assert_eq!((&pull.head.branch, &pull.head.sha), (&"feature/a#b".to_owned(), &ground.head));
    let reviews = place.route(Operation::REVIEWS).with("pull_number", pull.number);
    assert_eq!(client.pages(reviews, |page: Vec<Review>| page).await, Ok(Vec::new()));
    let rules = place.route(Operation::RULES).branch("branch", "main");
    assert_eq!(client.pages(rules, |page: Vec<Rule>| page).await, Ok(Vec::new()));
    let right = place.route(Operation::PERMISSION).with("username", "mona");
    let right: Permission = client.read(right).await.expect("a right");
    assert_eq!(right.permission, "write");

    let run = client.report_check(place, None, &ground.report(Outcome::Open)).await;
    let run = run.expect("it is said");
    let moves = [
        RefMove {
            name: "refs/heads/main".to_owned(),
            from: Some(oid(&ground.base)),
            to: oid(&ground.head),
            course: Course::Forward,
        },
        RefMove {
            name: "refs/molt/fence".to_owned(),
            from: None,
            to: oid(&ground.base),
            course: Course::Forward,
        },
    ];
    assert_eq!(client.move_together(&repository.node_id, &moves).await, Ok(Moved::All));
    let again = client.move_together(&repository.node_id, &moves).await;
    assert!(matches!(again, Ok(Moved::None(_))), "it stands elsewhere by now: {again:?}");
    let over = CheckReport { annotations: Vec::new(), ..ground.report(Outcome::Passed) };
    assert_eq!(client.report_check(place, Some(run), &over).await, Ok(run));

    assert_eq!(ground.github.git(ground.widget, &["rev-parse", "main"]), ground.head);
    let landed = place.route(Operation::PULL).with("pull_number", ground.number);
    let landed: Pull = client.read(landed).await.expect("it is there");
    assert!(landed.merged_at.is_some(), "{landed:?}");
    let changing = |entry: &&crate::sim::Entry| !entry.operation.starts_with("GET ");
    let changes = ground.github.journal().iter().filter(changing).count();
    assert!(changes <= 8, "{changes} calls that change something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lost_its_answer_is_there_once() {
    let ground = Ground::new();
    let (client, place) = (ground.app(), &ground.place);
    ground.loses_answer("POST /repos/{owner}/{repo}/check-runs");
    let run = client.report_check(place, None, &ground.report(Outcome::Failed)).await;
    let run = run.expect("it is found again");
    assert_eq!(ground.asked(Operation::MAKE_CHECK), 1);
    assert_eq!(
        ground.app().report_check(place, None, &ground.report(Outcome::Failed)).await,
        Ok(run)
    );
    assert_eq!(ground.asked(Operation::MAKE_CHECK), 1, "after a crash");

    let ours = ground.github.comment_as(ground.widget, ground.number, "mona", "<!-- molt:1 -->");
    ground.loses_answer("POST /repos/{owner}/{repo}/issues/{issue_number}/comments");
    let us = Ourselves::Bot("molt[bot]".to_owned());
    let said = CommentReport { us: &us, mark: "<!-- molt:1 -->", text: "<!-- molt:1 -->\nrefused" };
    let comment = client.report_comment(place, ground.number, None, said).await;
    assert!(comment.as_ref().is_ok_and(|comment| *comment != ours), "{comment:?}");
    assert_eq!(client.report_comment(place, ground.number, None, said).await, comment);
    assert_eq!(ground.asked(Operation::COMMENT), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_annotated_once_whatever_is_lost_and_said_again() {
    let ground = Ground::new();
    let (client, place) = (ground.app(), &ground.place);
    let failed = ground.report(Outcome::Failed);
    // The second fifty arrive, and nobody hears of it.
    let (operation, when) = ("PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", When::After);
    ground.github.plan(Fault { operation, nth: 2, when, kind: Kind::Drop });
    let run = client.report_check(place, None, &failed).await.expect("it is said");
    let lines = || -> Vec<u64> {
        let said = ground.github.annotations(ground.widget, &ground.head);
        said.iter().filter_map(|it| it["start_line"].as_u64()).collect()
    };
    assert_eq!(lines(), (1..=120).collect::<Vec<_>>());
    assert_eq!(ground.asked(Operation::EDIT_CHECK), 3);
    let sent = ground.github.journal();
    let sizes = sent.iter().filter_map(|it| it.body["output"]["annotations"].as_array());
    assert_eq!(sizes.map(Vec::len).collect::<Vec<_>>(), [50, 50, 20], "as many as GitHub takes");
    let more = (100..=130).map(annotation).collect();
    let again = CheckReport { title: "still".to_owned(), annotations: more, ..failed };
    assert_eq!(client.report_check(place, Some(run), &again).await, Ok(run));
    assert_eq!(lines(), (1..=130).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_lost_its_answer_is_never_sent_again() {
    let ground = Ground::new();
    let client = ground.app();
    let repository: Repository =
        client.read(ground.place.route(Operation::REPOSITORY)).await.expect("it is there");
    ground.loses_answer("POST /graphql");
    let name = "refs/heads/main".to_owned();
    let course = Course::Forward;
    let step = RefMove { name, from: Some(oid(&ground.base)), to: oid(&ground.head), course };
    let error = client.move_together(&repository.node_id, &[step]).await.expect_err("no answer");
    assert!(error.may_have_changed(), "{error}");
    assert_eq!(ground.asked(Operation::GRAPHQL), 1);
    assert_eq!(ground.github.git(ground.widget, &["rev-parse", "main"]), ground.head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_repository_is_read_and_written_at_its_new_name() {
    let ground = Ground::new();
    let (client, place) = (ground.app(), &ground.place);
    ground.github.rename_repository(ground.widget, "acme/gadget");
    let open = place.route(Operation::PULLS).query("state", "open");
    let pulls = client.pages(open.clone(), |page: Vec<Pull>| page).await.expect("a list");
    assert_eq!(pulls.len(), 1);
    assert_eq!(client.called(place).to_string(), "acme/gadget");
    // Another client begins with something that changes.
    let client = ground.app();
    let route = place.route(Operation::COMMENT).with("issue_number", ground.number);
    let said: Result<Value, _> = client.read(route.body(json!({"body": "hello"}))).await;
    assert!(said.is_ok(), "{said:?}");
    let sent = ground.github.journal();
    let sent: Vec<(&str, u16)> = sent
        .iter()
        .filter(|entry| !entry.operation.ends_with("access_tokens"))
        .map(|entry| (entry.path.split('?').next().unwrap_or_default(), entry.status))
        .collect();
    let (id, comments) = (ground.widget, format!("issues/{}/comments", ground.number));
    assert_eq!(
        sent,
        [
            ("/repos/acme/widget/pulls", 301),
            (&*format!("/repositories/{id}"), 200),
            ("/repos/acme/gadget/pulls", 200),
            (&*format!("/repos/acme/widget/{comments}"), 307),
            (&*format!("/repositories/{id}"), 200),
            (&*format!("/repos/acme/gadget/{comments}"), 201),
        ]
    );
    client.expect(place, id + 1);
    let cause = client.look(place).await.expect_err("it is another one").cause;
    assert!(matches!(cause, Cause::Replaced { .. }), "{cause:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_follows_to_no_other_place() {
    let ground = Ground::new();
    let client = ground.app();
    for to in ["https://evil.example/repositories/1", "//evil.example/x", "/user", ""] {
        let headers = vec![("Location", to.to_owned())];
        for operation in ["GET /repos/{owner}/{repo}", "POST /repos/{owner}/{repo}/check-runs"] {
            let kind = Kind::Status { status: 301, message: "Moved", headers: headers.clone() };
            ground.github.plan(Fault { operation, nth: 1, when: When::Before, kind });
        }
        let before = ground.github.journal().len();
        let read = client.look(&ground.place).await.expect_err("it is elsewhere");
        let made = ground.place.route(Operation::MAKE_CHECK).body(json!({"name": "molt"}));
        let made = client.read::<Value>(made).await.expect_err("it is elsewhere");
        for error in [read, made] {
            assert_eq!(error.cause, Cause::Moved { to: Some(to.to_owned()) });
        }
        let tokens = usize::from(before == 0);
        assert_eq!(ground.github.journal().len(), before + 2 + tokens, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_is_not_asked_for_again() {
    let ground = Ground::new();
    let client = ground.app();
    assert!(client.look(&ground.place).await.is_ok());
    for (status, message) in
        [(410, "Issues are disabled for this repo"), (451, "Repository access blocked")]
    {
        let kind = Kind::Status { status, message, headers: Vec::new() };
        let (operation, when) = ("GET /repos/{owner}/{repo}", When::Before);
        ground.github.plan(Fault { operation, nth: 1, when, kind });
        let before = ground.asked(Operation::REPOSITORY);
        let cause = client.look(&ground.place).await.expect_err("it is gone").cause;
        assert_eq!(cause, Cause::Gone { message: message.to_owned() });
        assert_eq!(ground.asked(Operation::REPOSITORY), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_shut_out_is_told_so() {
    let ground = Ground::new();
    let client = ground.app();
    let ask = || client.read::<Repository>(ground.place.route(Operation::REPOSITORY));
    assert!(ask().await.is_ok());
    ground.github.suspend_installation(true);
    let cause = ask().await.expect_err("suspended").cause;
    assert!(matches!(cause, Cause::Suspended { .. } | Cause::Unauthorized { .. }), "{cause:?}");

    let stranger = ground.client(Credentials::personal(ground.github.personal_token("eve").into()));
    let route = ground.place.route(Operation::REPOSITORY);
    let cause = stranger.read::<Repository>(route).await.expect_err("a private one").cause;
    assert!(matches!(cause, Cause::Missing { .. }), "{cause:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_personal_token_sets_a_status_for_want_of_check_runs() {
    let ground = Ground::new();
    let mona = ground.client(Credentials::personal(ground.github.personal_token("mona").into()));
    let report = ground.report(Outcome::Passed);
    let refused = mona.report_check(&ground.place, None, &report).await.expect_err("apps alone");
    assert!(matches!(refused.cause, Cause::Forbidden { .. }), "{refused}");
    assert_eq!(mona.report_status(&ground.place, &report).await, Ok(()));
    let status = ground.place.route(Operation::STATUS).with("ref", &ground.head);
    let status: Value = mona.read(status).await.expect("a status");
    assert_eq!((&status["state"], &status["total_count"]), (&json!("success"), &json!(1)));
}

/// What an operation needs, by GitHub's own table: one of these, each a right and its level.
fn needs(table: &Value, operation: Operation) -> Vec<(String, String)> {
    // The table has REST alone; `updateRefs` moves refs as the operations on refs do.
    if operation == Operation::GRAPHQL {
        return vec![("contents".to_owned(), "write".to_owned())];
    }
    let rows = table["operations"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["op"] == operation.to_string().as_str());
    let row = row.unwrap_or_else(|| panic!("{operation} is in no row of GitHub's table"));
    let needed = row["permission"].as_str().expect("a text");
    let needed = needed.split(" (").next().expect("a part");
    let pairs = needed.split(" | ").filter_map(|one| one.split_once(':'));
    pairs.map(|(right, level)| (right.to_owned(), level.to_owned())).collect()
}

#[test]
fn what_an_operation_takes_is_what_github_says() {
    let table = include_str!("data/permissions.json");
    let table: Value = serde_json::from_str(table).expect("the table is JSON");
    for operation in Operation::ALL {
        let said = needs(&table, *operation);
        let taken = operation.needs().unwrap_or_else(|| panic!("{operation} takes nothing known"));
        let grant = taken.grant.map(|(name, access)| (name.to_owned(), access.to_string()));
        match grant {
            Some(grant) => assert!(said.contains(&grant), "{operation} takes one of {said:?}"),
            None => assert_eq!(said, [], "{operation}"),
        }
    }
}

#[test]
fn what_is_granted_here_is_what_an_app_asks_for() {
    let granted: BTreeMap<&str, String> =
        MANIFEST.into_iter().map(|(name, level)| (name, level.to_owned())).collect();
    let asked: BTreeMap<&str, String> =
        asked_for().into_iter().map(|(name, access)| (name, access.to_string())).collect();
    assert_eq!(granted, asked);
}
