//! What `doctor` says of a GitHub, against the simulation.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use molt_coordinator::doctor::{self, Finding, Level, Subject};
use molt_proto::exit::Exit;
use serde_json::json;
use tempfile::TempDir;

use crate::sim::{APP_KEY, GitHub};

/// What an App is installed with.
const GRANTED: [(&str, &str); 5] = [
    ("metadata", "read"),
    ("contents", "write"),
    ("pull_requests", "write"),
    ("checks", "write"),
    ("statuses", "read"),
];

/// A configuration of the repository `acme/widget` at a simulated GitHub.
struct Ground {
    github: GitHub,
    widget: u64,
    folder: TempDir,
}

impl Ground {
    fn new(granted: &[(&str, &str)]) -> Self {
        let github = GitHub::start(granted);
        let widget = github.add_repository("acme/widget", true, &[("README.md", "# widget\n")]);
        let folder = tempfile::tempdir().expect("a scratch folder");
        let ground = Self { github, widget, folder };
        ground.write("github.pem", APP_KEY);
        ground
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
    }

    /// Asks with the App's own settings, and `more` of the table.
    async fn as_app(&self, more: &str) -> Vec<Finding> {
        let app = format!("app = {}\nkey_file = 'github.pem'\n{more}", self.github.app_id());
        self.doctor(&app, "acme/widget").await
    }

    /// What is said of GitHub.
    async fn doctor(&self, access: &str, slug: &str) -> Vec<Finding> {
        let text = format!(
            "data = 'state'\n[github]\napi = '{}'\n{access}\n[[repo]]\ngithub = '{slug}'\n",
            self.github.url()
        );
        self.write("c.toml", &text);
        let config = self.folder.path().join("c.toml");
        let findings = doctor::examine(Subject { config: Some(&config), data: None }).await;
        let remote = findings.iter().find(|finding| finding.what == "remote");
        assert_eq!(remote, None, "git is not asked where GitHub tells");
        findings.into_iter().filter(|finding| finding.what == "github").collect()
    }
}

/// Checks that nothing but the last finding is wrong, and what that says.
#[track_caller]
fn fails(findings: &[Finding], exit: Exit, says: &str) {
    let (last, before) = findings.split_last().expect("a finding");
    assert!(before.iter().all(|finding| finding.level == Level::Ok), "{before:?}");
    assert_eq!(last.level, Level::Fail(exit), "{last:?}");
    assert!(last.detail.contains(says), "{}", last.detail);
}

#[tokio::test]
async fn an_app_that_may_land_is_well() {
    let ground = Ground::new(&GRANTED);
    let base = ground.github.git(ground.widget, &["rev-parse", "main"]);
    let findings = ground.as_app("").await;
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:?}");
    let [app, widget] = &*findings else { panic!("{findings:?}") };
    assert!(app.detail.starts_with(&format!("app {} ", ground.github.app_id())), "{app:?}");
    assert_eq!(widget.detail, format!("main: acme/widget, main at {}", &base[..10]));
    let known = format!("installation = {}", ground.github.installation_id());
    assert_eq!(ground.as_app(&known).await, findings);
    let other = format!("installation = {}", ground.github.installation_id() + 1);
    fails(&ground.as_app(&other).await, Exit::Usage, "leave `installation` out");
}

#[tokio::test]
async fn what_is_missing_is_told_with_its_fix() {
    let less: Vec<_> = GRANTED.into_iter().filter(|(name, _)| *name != "checks").collect();
    let ground = Ground::new(&less);
    fails(
        &ground.as_app("").await,
        Exit::Forbidden,
        "the installation lacks `checks: write`: grant",
    );
    ground.github.suspend_installation(true);
    fails(
        &ground.as_app("").await,
        Exit::Forbidden,
        "the installation is suspended: let the owner",
    );
}

#[tokio::test]
async fn a_rule_in_the_way_is_told_before_anything_lands() {
    let ground = Ground::new(&GRANTED);
    let rule = |kind: &str| json!({"type": kind});
    ground.github.set_rules(ground.widget, "main", vec![rule("deletion"), rule("merge_queue")]);
    fails(&ground.as_app("").await, Exit::Precondition, "turn the merge queue off for this branch");
    ground.github.set_rules(ground.widget, "main", vec![rule("required_linear_history")]);
    let findings = ground.as_app("").await;
    let last = findings.last().expect("a finding");
    assert_eq!(last.level, Level::Warn, "{findings:?}");
    assert!(last.detail.contains("linear history"), "{last:?}");
}

#[tokio::test]
async fn who_lands_without_a_fence_is_warned() {
    let ground = Ground::new(&GRANTED);
    let findings = ground.as_app("fencing = 'base'").await;
    let [_, fence, _] = &*findings else { panic!("{findings:?}") };
    assert_eq!(fence.level, Level::Warn);
    assert!(fence.detail.starts_with("landings have no fence"), "{fence:?}");
}

#[tokio::test]
async fn a_token_says_whose_it_is() {
    let ground = Ground::new(&GRANTED);
    ground.write("github.token", &format!("{}\n", ground.github.personal_token("mona")));
    ground.github.set_right(ground.widget, "mona", crate::sim::Right::Admin);
    let findings = ground.doctor("token_file = 'github.token'", "acme/widget").await;
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:?}");
    assert!(findings[0].detail.starts_with("a personal token of mona: statuses"), "{findings:?}");
    ground.write("github.token", "nobodys\n");
    let findings = ground.doctor("token_file = 'github.token'", "acme/widget").await;
    fails(&findings, Exit::Forbidden, "github refused the credentials");
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_told_by_its_new_name() {
    let ground = Ground::new(&GRANTED);
    ground.github.rename_repository(ground.widget, "acme/gadget");
    let findings = ground.as_app("").await;
    let [app, widget, last] = &*findings else { panic!("{findings:?}") };
    assert_eq!((app.level, widget.level, last.level), (Level::Ok, Level::Ok, Level::Warn));
    assert!(widget.detail.starts_with("main: acme/gadget, main at "), "{widget:?}");
    let told = "main: acme/widget was renamed to acme/gadget: change `github` of its [[repo]]";
    assert_eq!(last.detail, told);
}

#[tokio::test]
async fn a_repository_without_the_app_is_told() {
    let ground = Ground::new(&GRANTED);
    let app = format!("app = {}\nkey_file = 'github.pem'", ground.github.app_id());
    fails(&ground.doctor(&app, "acme/other").await, Exit::Forbidden, "the installation is gone");
    let stranger = "app = 1\nkey_file = 'github.pem'";
    let findings = ground.doctor(stranger, "acme/widget").await;
    assert_eq!(findings.len(), 1, "nothing else is asked: {findings:?}");
    fails(&findings, Exit::Forbidden, "github refused the credentials");
}
