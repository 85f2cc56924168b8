//! What a test does to the simulated GitHub besides asking it: sets it up, plans what goes wrong,
//! moves its clock, and looks at what was asked.
//!
//! Not here: what people and other Apps do in it meanwhile, which is `people`'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::follow::Mover;
use super::git::Git;
use super::hooks::Hooks;
use super::state::{Repository, machine_now};
use super::{
    Bug, Consistency, Delivery, Entry, Fate, Fault, GitHub, Load, NEXT_KEY, Right, key_of,
};

impl GitHub {
    /// Where its API is; `URL/OWNER/NAME.git` is git's.
    pub(crate) fn url(&self) -> String {
        self.world().state.base.clone()
    }

    pub(crate) fn app_id(&self) -> u64 {
        self.world().state.app.id
    }

    pub(crate) fn installation_id(&self) -> u64 {
        self.world().state.app.installation
    }

    /// Somebody's account, which is made if it isn't there.
    pub(crate) fn user(&self, login: &str) -> u64 {
        self.world().state.user(login)
    }

    /// A personal token of somebody's.
    pub(crate) fn personal_token(&self, login: &str) -> String {
        let state = &mut self.world().state;
        let token = format!("ghp_simulated{:020}", state.user(login));
        state.personal.insert(token.clone(), login.to_owned());
        token
    }

    /// A repository, `owner/name`, whose `main` has one commit with these files.
    pub(crate) fn add_repository(
        &self,
        full_name: &str,
        private: bool,
        files: &[(&str, &str)],
    ) -> u64 {
        let git = self.new_git(full_name);
        let first = git.commit_files(&[], files, "First");
        git.run(&["update-ref", "refs/heads/main", &first]);
        self.register(full_name, private, git)
    }

    /// Somebody's fork of a repository, with its `main`.
    pub(crate) fn fork(&self, of: u64, owner: &str) -> u64 {
        let (source, name, private) = {
            let world = self.world();
            let source = world.state.repository(of);
            (source.git.clone(), source.name.clone(), source.private)
        };
        let full_name = format!("{owner}/{name}");
        let git = self.new_git(&full_name);
        let place = source.dir.display().to_string();
        git.run(&[
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            &place,
            "refs/heads/main:refs/heads/main",
        ]);
        self.register(&full_name, private, git)
    }

    fn new_git(&self, full_name: &str) -> Git {
        let folder = self.world().state.folder.join(full_name);
        // One that was renamed stays where it is.
        let mut names =
            (0..).map(|taken| folder.with_extension(format!("{}git", "x".repeat(taken))));
        Git::init(&names.find(|place| !place.exists()).expect("names do not end"))
    }

    fn register(&self, full_name: &str, private: bool, git: Git) -> u64 {
        let (owner, name) = full_name.split_once('/').expect("a name is owner/name");
        let state = &mut self.world().state;
        state.user(owner);
        let id = state.id();
        let repository = Repository {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            private,
            refs: Arc::new(git.refs()),
            git,
            rights: [(owner.to_owned(), Right::Admin)].into(),
            rules: Default::default(),
            bypass: "never",
            protected: Default::default(),
            pulls: Default::default(),
            comments: Vec::new(),
            runs: Vec::new(),
            statuses: Vec::new(),
            labels: Default::default(),
            declined: Vec::new(),
        };
        state.repositories.insert(id, repository);
        id
    }

    /// Has time pass only where the test says so.
    pub(crate) fn stop_clock(&self) {
        self.world().state.stopped = Some(machine_now());
    }

    pub(crate) fn advance_clock(&self, by: Duration) {
        self.world().state.ahead += by;
    }

    /// Sets the clock back, as it is where the machine's is ahead of GitHub's.
    pub(crate) fn set_clock_back(&self, by: Duration) {
        self.world().state.behind += by;
    }

    /// Has the App's key replaced by [`NEXT_KEY`]: what the old one has signed is nothing, and the
    /// tokens that were made by it are none.
    pub(crate) fn replace_key(&self) {
        let state = &mut self.world().state;
        state.app.key = key_of(NEXT_KEY);
        state.tokens.clear();
    }

    pub(crate) fn set_consistency(&self, consistency: Consistency) {
        self.world().state.consistency = consistency;
    }

    pub(crate) fn plan(&self, fault: Fault) {
        self.world().faults.add(fault);
    }

    /// Has every token that was made so far be none any more.
    pub(crate) fn forget_tokens(&self) {
        self.world().state.tokens.clear();
    }

    /// What git says; it has to work. Whatever it moves, somebody moved who may do so.
    pub(crate) fn git(&self, repository: u64, arguments: &[&str]) -> String {
        let mut world = self.world();
        let said = world.state.repository(repository).git.run(arguments);
        world.follow_git(Mover::Test("mona"));
        said
    }

    /// Sends webhooks to an address from now on, signed with that secret.
    pub(crate) fn deliver_to(&self, address: SocketAddr, path: &str, secret: &str) {
        let mut world = self.world();
        world.state.listening = true;
        world.hooks = Some(Hooks::new(address, path, secret));
    }

    /// What becomes of the `nth` webhook of an event, counted from 1 from now on.
    pub(crate) fn plan_delivery(&self, event: &'static str, nth: u64, fate: Fate) {
        self.with_hooks(|hooks| hooks.plan(event, nth, fate));
    }

    /// Sends the webhooks that were to be late.
    pub(crate) fn release_deliveries(&self) {
        self.with_hooks(Hooks::release);
    }

    /// Sends a webhook again, as somebody may ask GitHub to.
    pub(crate) fn redeliver(&self, id: &str) {
        self.with_hooks(|hooks| hooks.redeliver(id));
    }

    /// All webhooks so far, once those that are on their way were answered.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let record = self.with_hooks(|hooks| hooks.record());
        record.settled()
    }

    fn with_hooks<T>(&self, act: impl FnOnce(&mut Hooks) -> T) -> T {
        act(self.world().hooks.as_mut().expect("an address was given"))
    }

    /// How near GitHub's limits it was so far.
    pub(crate) fn load(&self) -> Load {
        self.world().meter.load()
    }

    /// How many requests an account may make in an hour.
    pub(crate) fn limit_requests(&self, an_hour: u64) {
        self.world().meter.limits.requests_an_hour = an_hour;
    }

    /// Has something wrong with this GitHub on purpose.
    pub(crate) fn seed(&self, bug: Bug) {
        self.world().state.bug = Some(bug);
    }

    /// All requests so far, in order.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        self.world().journal.clone()
    }

    /// Pushes by git that moved something, each by whoever pushed.
    pub(crate) fn pushes(&self) -> Vec<String> {
        self.world().pushes.clone()
    }

    /// What was wrong so far; a test that expects it has taken it, and the rest fails at the end.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.world().violations)
    }
}
