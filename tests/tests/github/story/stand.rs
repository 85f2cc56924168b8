//! A repository at the simulated GitHub with a coordinator that serves it.
//!
//! The coordinator runs in the test's process; what kills it has it run as a program (`crash`).

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser as _;
use molt_coordinator::config::{Config, ServeArgs};
use molt_coordinator::serve::{Ready, ServeError, prepare};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::operation::{is_change, undue};
pub(super) use crate::client::MANIFEST;
use crate::sim::{APP_KEY, Consistency, Entry, Fault, Gate, GitHub, Kind, Right, When};

/// How long something may take that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A policy of which the board decides everything by itself, and asks nobody.
pub(super) const OPEN: &str = "version = 1\n[merge]\nmethod = \"merge\"\nrequired = []\n\
                               [scope.all]\npaths = [\"**\"]\n";

/// The same, where the head itself lands.
pub(super) const FORWARD: &str = "version = 1\n[merge]\nmethod = \"ff\"\nrequired = []\n\
                                  [scope.all]\npaths = [\"**\"]\n";

/// The same, where one commit with all of a change lands.
pub(super) const SQUASH: &str = "version = 1\n[merge]\nmethod = \"squash\"\nrequired = []\n\
                                 [scope.all]\npaths = [\"**\"]\n";

/// The same, where each commit of a change lands anew.
pub(super) const REBASE: &str = "version = 1\n[merge]\nmethod = \"rebase\"\nrequired = []\n\
                                 [scope.all]\npaths = [\"**\"]\n";

/// What webhooks are signed with.
pub(super) const SECRET: &str = "a secret of more than enough letters";

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    serve: ServeArgs,
}

/// As whom the coordinator asks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Account {
    /// The App, where it is installed.
    App,
    /// Somebody by a personal token.
    Person(&'static str),
}

/// The repository `acme/widget`, and a coordinator that lands there.
pub(super) struct Stand {
    pub(super) github: GitHub,
    pub(super) widget: u64,
    pub(super) folder: TempDir,
    /// What the App was installed with beside the manifest's.
    granted: Vec<(String, String)>,
    account: Account,
    /// The App's key.
    key: &'static str,
    /// What the configuration calls the repository.
    name: &'static str,
    every: &'static str,
    /// More of the configuration's table.
    more: &'static str,
    /// Whether webhooks are sent to it.
    hears: bool,
    /// Where the coordinator answers.
    address: Option<SocketAddr>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Stand {
    /// A repository with this policy, where `mona` may write and `lead` maintains, and nobody
    /// serves it yet.
    pub(super) fn new(policy: &str) -> Self {
        Self::granted(policy, &MANIFEST)
    }

    /// The same where the App may do no more than this.
    pub(super) fn granted(policy: &str, permissions: &[(&str, &str)]) -> Self {
        let github = GitHub::start(permissions);
        github.set_consistency(Consistency { mergeable_null_reads: 0, list_lag: 0, head_lag: 0 });
        let files = [("README.md", "# widget\n"), ("molt.toml", policy)];
        let widget = github.add_repository("acme/widget", true, &files);
        github.set_right(widget, "mona", Right::Write);
        github.set_right(widget, "lead", Right::Maintain);
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (stop, running) = (CancellationToken::new(), JoinSet::new());
        let (account, every, hears) = (Account::App, "1s", false);
        let (name, more, address) = ("acme/widget", "", None);
        let owned = |(name, level): &(&str, &str)| ((*name).to_owned(), (*level).to_owned());
        let granted = permissions.iter().map(owned).collect();
        let key = APP_KEY;
        Self {
            github,
            widget,
            folder,
            granted,
            account,
            key,
            name,
            every,
            more,
            hears,
            address,
            stop,
            running,
        }
    }

    /// The same, where GitHub is looked at so often when nothing hints.
    pub(super) fn every(self, every: &'static str) -> Self {
        Self { every, ..self }
    }

    /// The same with another setting of the table `[github]`.
    pub(super) fn set(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    /// From now on the configuration calls the repository so.
    pub(super) fn call(&mut self, name: &'static str) {
        self.name = name;
    }

    /// From now on this is the App's key.
    pub(super) fn sign_with(&mut self, key: &'static str) {
        self.key = key;
    }

    /// The same with webhooks.
    pub(super) fn hearing(self) -> Self {
        Self { hears: true, ..self }
    }

    /// The same where the coordinator is somebody, by a personal token.
    pub(super) fn by_person(self, login: &'static str) -> Self {
        self.github.set_right(self.widget, login, Right::Write);
        Self { account: Account::Person(login), ..self }
    }

    /// Lets a coordinator serve it.
    pub(super) async fn serve(&mut self) {
        let ready = self.prepared(&self.config()).await.expect("it begins");
        self.address = Some(ready.serving.address);
        if let Some(address) = ready.serving.webhooks {
            self.deliver_to(address);
        }
        let before = self.rounds();
        self.stop = CancellationToken::new();
        let stop = self.stop.clone();
        self.running.spawn(async move { ready.run(stop).await.expect("it ends well") });
        // What is said before it listens is not for it.
        self.until("it listens", |stand| stand.rounds() > before).await;
    }

    /// Has webhooks sent there.
    pub(super) fn deliver_to(&self, address: SocketAddr) {
        self.github.deliver_to(address, "/webhooks/github", SECRET);
    }

    /// Whether webhooks are sent.
    pub(super) fn hears(&self) -> bool {
        self.hears
    }

    /// Why a coordinator does not begin, with all that is below it.
    pub(super) async fn refused(&self) -> String {
        let Err(error) = self.prepared(&self.config()).await else { panic!("it begins") };
        let mut words = vec![error.to_string()];
        let mut below = error.source();
        while let Some(error) = below {
            words.push(error.to_string());
            below = error.source();
        }
        words.join(": ")
    }

    fn config(&self) -> Config {
        let file = self.configuration();
        let file = file.to_str().expect("a UTF-8 path");
        let line = Line::try_parse_from(["serve", "--config", file]).expect("a line");
        line.serve.config().expect("a sound configuration")
    }

    /// Where the coordinator answers that was started last.
    pub(super) fn address(&self) -> String {
        self.address.expect("it was started").to_string()
    }

    /// A coordinator that is set up, once the one before has let go of its folder.
    async fn prepared(&self, config: &Config) -> Result<Ready, ServeError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match prepare(config, "t").await {
                Err(ServeError::Store(_)) if Instant::now() < until => {}
                prepared => return prepared,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the coordinator, which has to end well and to have asked for nothing beyond the
    /// manifest.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.expect("it does not panic");
        }
        let granted = self.granted.iter().map(|(name, level)| (name.as_str(), level.as_str()));
        let granted: Vec<_> = MANIFEST.into_iter().chain(granted).collect();
        assert_eq!(undue(&self.github.journal(), &granted), BTreeSet::new(), "never asked for");
    }

    /// Writes the configuration; its file.
    pub(super) fn configuration(&self) -> PathBuf {
        let access = match self.account {
            Account::App => format!(
                "app = {}\ninstallation = {}\nkey_file = '{}'\n",
                self.github.app_id(),
                self.github.installation_id(),
                self.secret_file("app.pem", self.key)
            ),
            Account::Person(login) => {
                let token = self.github.personal_token(login);
                format!("token_file = '{}'\n", self.secret_file("token", &token))
            }
        };
        let webhooks = match self.hears {
            true => format!(
                "[webhooks]\nlisten = '127.0.0.1:0'\nsecret_files = ['{}']\n",
                self.secret_file("secret", SECRET)
            ),
            false => String::new(),
        };
        let text = format!(
            "data = 'state'\nlisten = '127.0.0.1:0'\n\
             [github]\napi = '{}'\n{access}label = 'molt:land'\nevery = '{}'\n{}\n\
             [[repo]]\ngithub = '{}'\n{webhooks}",
            self.github.url(),
            self.every,
            self.more,
            self.name
        );
        let file = self.folder.path().join("c.toml");
        fs::write(&file, text).expect("a configuration");
        file
    }

    /// How often a program that was started with [`super::crash`] wrote this into its log.
    pub(super) fn logged(&self, words: &str) -> usize {
        let log = self.folder.path().join("state/logs/coordinator.log");
        let log = fs::read_to_string(log).expect("it logs from its start on");
        log.lines().filter(|line| line.contains(words)).count()
    }

    /// A file that nobody else may read; its name.
    fn secret_file(&self, name: &'static str, text: &str) -> &'static str {
        let file = self.folder.path().join(name);
        fs::write(&file, text).expect("a secret");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its mode");
        name
    }

    /// Whether some record of the board has this in it, which is JSON.
    pub(super) fn has_record_with(&self, text: &str) -> bool {
        let files = fs::read_dir(self.folder.path().join("state")).expect("the state's folder");
        let mut files = files.map(|file| file.expect("a file that is listed").path());
        files.any(|path| {
            let bytes =
                if path.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    /// How often an operation was asked for.
    pub(super) fn times(&self, operation: &str) -> usize {
        self.github.journal().iter().filter(|entry| entry.operation == operation).count()
    }

    /// What was changed at GitHub so far by requests, each kind with how often.
    pub(super) fn changes(&self) -> BTreeMap<String, usize> {
        let mut changes = BTreeMap::new();
        for entry in self.github.journal().into_iter().filter(is_change) {
            *changes.entry(entry.operation).or_default() += 1;
        }
        changes
    }

    /// How many rounds asked for comments so far.
    pub(super) fn rounds(&self) -> usize {
        let asks = |entry: &Entry| entry.path.contains("comments?since=");
        self.github.journal().iter().filter(|entry| asks(entry)).count()
    }

    /// Waits until a round that began after this has ended.
    pub(super) async fn round(&self) {
        // The first may have begun before; that the third has gone on ends the second.
        let enough = self.rounds() + 3;
        self.until("rounds go on", |stand| stand.rounds() >= enough).await;
    }

    /// Opens a pull request of `author` that writes one file.
    pub(super) fn pull(&self, author: &str, branch: &str, files: &[(&str, &str)]) -> u64 {
        self.github.push_commit(self.widget, branch, files);
        self.github.open_pull(self.widget, author, branch)
    }

    pub(super) fn comment(&self, number: u64, who: &str, text: &str) -> u64 {
        self.github.comment_as(self.widget, number, who, text)
    }

    /// Has somebody ask for a pull request's head to land.
    pub(super) fn ask(&self, number: u64, who: &str) {
        self.comment(number, who, &format!("@molt land head={}", self.head(number)));
    }

    /// How often a head was landed.
    pub(super) fn landings(&self, head: &str) -> usize {
        let grep = format!("--grep=Molt-Head: {head}");
        self.git(&["log", "--first-parent", "--format=%H", &grep, "main"]).lines().count()
    }

    /// Where the base stands.
    pub(super) fn main(&self) -> String {
        self.git(&["rev-parse", "main"])
    }

    /// Holds the `nth` request of an operation from now on, until its gate is opened.
    pub(super) fn hold(&self, operation: &'static str, nth: u64, when: When) -> Gate {
        let gate = Gate::default();
        self.github.plan(Fault { operation, nth, when, kind: Kind::Held(gate.clone()) });
        gate
    }

    /// The head of a pull request.
    pub(super) fn head(&self, number: u64) -> String {
        self.git(&["rev-parse", &format!("refs/pull/{number}/head")])
    }

    /// Our check runs of a pull request's head.
    pub(super) fn checks(&self, number: u64) -> Vec<Value> {
        self.github.own_checks(self.widget, &self.head(number))
    }

    /// What the check runs of a pull request's head say at length.
    pub(super) fn summary(&self, number: u64) -> String {
        let checks = self.checks(number);
        checks.iter().filter_map(|check| check["output"]["summary"].as_str()).collect()
    }

    /// Whether there is one check run of a pull request's head, with this conclusion.
    pub(super) fn check(&self, number: u64, conclusion: &str) -> bool {
        let checks = self.checks(number);
        assert!(checks.len() <= 1, "one check run for a head: {checks:?}");
        checks.iter().any(|check| check["conclusion"] == conclusion)
    }

    /// Whether the check run of a pull request's head says something in its title.
    pub(super) fn check_says(&self, number: u64, words: &str) -> bool {
        let says =
            |check: &Value| check["output"]["title"].as_str().is_some_and(|it| it.contains(words));
        self.checks(number).iter().any(says)
    }

    /// Whether it is told to have landed: in its one check run, or in a status where a person tells.
    pub(super) fn is_green(&self, number: u64) -> bool {
        match self.account {
            Account::App => self.check(number, "success"),
            Account::Person(_) => self.status(&self.head(number)) == "success",
        }
    }

    /// Our status of a head.
    pub(super) fn status(&self, head: &str) -> String {
        self.github.status(self.widget, head, "molt")
    }

    /// What we said of a pull request in comments.
    pub(super) fn said(&self, number: u64) -> Vec<String> {
        let us = match self.account {
            Account::App => "molt[bot]",
            Account::Person(login) => login,
        };
        let said = self.github.written_by(self.widget, number, us);
        said.into_iter().filter(|it| it.starts_with("<!-- molt:")).collect()
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.until_within(PATIENCE, what, is_so).await;
    }

    /// Waits no longer than that until something is so.
    pub(super) async fn until_within(
        &self,
        patience: Duration,
        what: &str,
        is_so: impl Fn(&Self) -> bool,
    ) {
        let until = Instant::now() + patience;
        while !is_so(self) {
            assert!(Instant::now() < until, "it never came: {what}\n{}", self.asked());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last requests, for who looks for what went wrong.
    fn asked(&self) -> String {
        let journal = self.github.journal();
        let last = journal.iter().rev().take(40).rev();
        last.map(|it| format!("{} {} {} {}\n", it.status, it.operation, it.path, it.body)).collect()
    }

    /// What git says of the repository at GitHub.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        self.github.git(self.widget, arguments)
    }
}
