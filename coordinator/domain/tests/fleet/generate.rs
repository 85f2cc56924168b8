//! Commands of a fleet at work, made up from the board as it is: mostly sensible,
//! often stale, sometimes wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use molt_domain::board::{Board, Caller, Command, Now, Presence, Refusal, Reply, Request};
use molt_domain::build::{Build, BuildKey};
use molt_domain::claim::{Claim, Otherwise, Outcome, Wanted};
use molt_domain::gate::{Class, Finding};
use molt_domain::hold::{End, Hold, Holder, Waiter};
use molt_domain::host::Means;
use molt_domain::id::{BoardTime, CarId, ClaimId, Fence, HoldId, JobId, SessionId, TaskId};
use molt_domain::job::{self, Job};
use molt_domain::lock;
use molt_domain::name::{HostName, RepoName};
use molt_domain::scope::ScopeName;
use molt_domain::session::{self, Credentials, Root};
use molt_domain::task;
use molt_domain::train::{self, Candidate, Car};

use super::policy::{self, PATHS, SCOPES, name, policy, repo};
use super::{Act, Deed, Random};

const AGENTS: usize = 7;
const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// How often each kind is tried, beside the others.
const WEIGHTS: [(&str, usize); 32] = [
    ("join", 3),
    ("resume", 4),
    ("leave", 2),
    ("root-dead", 1),
    ("claim", 30),
    ("release", 12),
    ("unqueue", 4),
    ("announce", 10),
    ("revoke-claim", 1),
    ("revoke-session", 1),
    ("add-task", 5),
    ("next", 8),
    ("end-task", 6),
    ("acquire-lock", 8),
    ("acquire-slot", 8),
    ("ask-build", 8),
    ("end-build", 5),
    ("release-hold", 12),
    ("see-host", 2),
    ("end-job", 24),
    ("submit", 8),
    ("dequeue", 1),
    ("retry", 3),
    ("read-base", 2),
    ("set-candidate", 24),
    ("conflict", 2),
    ("unmergeable", 1),
    ("set-base-inputs", 5),
    ("intend", 12),
    ("confirm-landing", 8),
    ("withdraw-intent", 2),
    ("tick", 16),
];

#[derive(Debug, Default)]
struct Agent {
    shown: Option<Credentials>,
    old: Vec<Credentials>,
    number: u64,
    last: Option<Request>,
    silent: bool,
}

/// Makes up the steps of a history.
#[derive(Debug)]
pub struct Generator {
    random: Random,
    now: u64,
    beaten: u64,
    made: u64,
    policy: usize,
    agents: Vec<Agent>,
    dead_hosts: BTreeSet<usize>,
    asker: Option<usize>,
    ahead: VecDeque<Deed>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let agents = (0..AGENTS).map(|_| Agent::default()).collect();
        let mut ahead = VecDeque::new();
        let first = Command::ReadBase {
            repo: repo(),
            branch: "main".to_owned(),
            commit: commit(0),
            tree: commit(1),
            policy: Ok(policy(0)),
        };
        ahead.push_back(Deed::Ask(Box::new(Request::own(first))));
        Self {
            random: Random::new(seed),
            now: 1000,
            beaten: 0,
            made: 2,
            policy: 0,
            agents,
            dead_hosts: BTreeSet::new(),
            asker: None,
            ahead,
        }
    }

    /// The next step.
    pub fn next(&mut self, board: &Board) -> Act {
        self.asker = None;
        if self.ahead.is_empty() {
            self.pass_time(board);
        }
        let deed = match self.ahead.pop_front() {
            Some(deed) => deed,
            None => Deed::Ask(Box::new(self.request(board))),
        };
        Act { now: Now { board: BoardTime(self.now), wall: self.now }, deed }
    }

    /// Takes what a command was answered.
    pub fn learn(&mut self, act: &Act, answer: &Result<Reply, Box<Refusal>>) {
        let (Deed::Ask(request), Some(asker)) = (&act.deed, self.asker) else { return };
        let agent = &mut self.agents[asker];
        match (&request.command, answer) {
            (Command::Join { secret, .. }, Ok(Reply::Session { id, epoch, .. })) => {
                agent.old.extend(agent.shown.take());
                agent.shown = Some(Credentials { session: *id, secret: secret.clone(), epoch: *epoch });
                agent.silent = false;
            }
            (Command::Resume { .. }, Ok(Reply::Session { id, epoch, .. })) => {
                if let Some(shown) = agent.shown.as_mut().filter(|it| it.session == *id) {
                    agent.old.push(shown.clone());
                    shown.epoch = (*epoch).max(shown.epoch);
                    agent.silent = false;
                }
            }
            (Command::Leave { park: None }, Ok(_)) => agent.old.extend(agent.shown.take()),
            _ => {}
        }
        let excess = agent.old.len().saturating_sub(4);
        agent.old.drain(..excess);
    }

    fn pass_time(&mut self, board: &Board) {
        self.now += match self.random.below(1000) {
            0..2 => 60_000 + self.random.next() % 600_000,
            2..12 => 5_000 + self.random.next() % 60_000,
            _ => self.random.next() % 900,
        };
        for agent in &mut self.agents {
            let chance = if agent.silent { 12 } else { 1 };
            if self.random.below(1000) < chance {
                agent.silent = !agent.silent;
            }
        }
        if self.random.below(300) == 0 {
            let host = self.random.below(HOSTS.len());
            if !self.dead_hosts.remove(&host) && host != 0 {
                self.dead_hosts.insert(host);
            }
        }
        if self.now - self.beaten > 5_000 {
            self.beaten = self.now;
            self.beats(board);
        }
        if self.random.percent(4) {
            let waiting: Vec<&ClaimId> = board.tables().claims.keys().collect();
            if let Some(id) = self.random.pick(&waiting) {
                let here = if self.random.percent(60) { Presence::Here } else { Presence::Gone };
                self.ahead.push_back(Deed::Attend(**id, here));
            }
        }
    }

    fn beats(&mut self, board: &Board) {
        let loud = self.agents.iter().filter(|agent| !agent.silent);
        let shown = loud.filter_map(|agent| agent.shown.as_ref());
        self.ahead.extend(shown.map(|shown| Deed::Beat(shown.session)));
        let hosts = HOSTS.iter().enumerate().filter(|(at, _)| !self.dead_hosts.contains(at));
        self.ahead.extend(hosts.map(|(_, host)| Deed::BeatHost(name(host))));
        if board.tables().sessions.len() > 5 {
            self.ahead.push_back(Deed::Tidy);
        }
    }

    fn request(&mut self, board: &Board) -> Request {
        loop {
            let total: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
            let mut at = self.random.below(total);
            let kind = WEIGHTS.iter().find(|(_, weight)| {
                let here = at < *weight;
                at = at.saturating_sub(*weight);
                here
            });
            let Some((kind, _)) = kind else { continue };
            if let Some(request) = self.of_kind(kind, board) {
                return request;
            }
        }
    }

    fn of_kind(&mut self, kind: &str, board: &Board) -> Option<Request> {
        match kind {
            "join" | "resume" | "leave" | "root-dead" | "revoke-session" | "see-host" => {
                self.life(kind, board)
            }
            "claim" | "release" | "unqueue" | "announce" | "revoke-claim" => {
                self.of_claims(kind, board)
            }
            "add-task" | "next" | "end-task" => self.of_tasks(kind, board),
            "acquire-lock" | "acquire-slot" | "ask-build" | "end-build" | "release-hold" => {
                self.of_holds(kind, board)
            }
            "end-job" => self.end_job(board),
            "submit" | "dequeue" | "retry" => self.of_proposers(kind, board),
            _ => self.of_reconcilers(kind, board),
        }
    }

    // Who asks.

    fn agent(&mut self) -> Option<usize> {
        let at = self.random.below(AGENTS);
        self.agents[at].shown.is_some().then_some(at)
    }

    /// A request of an agent: under its own name and number, or stale, or repeated, or forged.
    fn by_agent(&mut self, at: usize, command: Command) -> Request {
        self.asker = Some(at);
        let chance = self.random.below(100);
        let agent = &mut self.agents[at];
        if chance < 3
            && let Some(last) = agent.last.clone()
        {
            return last;
        }
        let mut shown = agent.shown.clone().expect("only agents that joined are asked for");
        match chance {
            3..9 if !agent.old.is_empty() => {
                let old = self.random.below(agent.old.len());
                shown = agent.old[old].clone();
            }
            9..11 => shown.secret = "forged".to_owned(),
            11..13 => shown.epoch += 1,
            _ => {}
        }
        let reused = chance == 13 && agent.number > 0;
        agent.number += u64::from(!reused);
        let request = Request {
            caller: Caller::Session(shown),
            number: Some(agent.number),
            digest: format!("{command:?}"),
            command,
        };
        if chance > 13 {
            agent.last = Some(request.clone());
        }
        request
    }

    fn own(&mut self, command: Command) -> Request {
        if self.random.percent(7) {
            let caller = Caller::Operator("ann".to_owned());
            return Request { caller, ..Request::own(command) };
        }
        Request::own(command)
    }

    fn operator(&mut self, command: Command) -> Request {
        let caller = match self.random.below(10) {
            0 => Caller::Host(name("h1")),
            1 => Caller::Nobody,
            _ => Caller::Operator("ann".to_owned()),
        };
        Request { caller, ..Request::own(command) }
    }

    fn made(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    // Sessions and hosts.

    fn life(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        let root = Root::Process { pid: 7, start: self.random.next() % 3 };
        match kind {
            "join" => {
                let at = self.random.below(AGENTS);
                let gone = self.agents[at].shown.as_ref().is_none_or(|shown| {
                    !tables.sessions.contains_key(&shown.session)
                });
                if !gone {
                    return None;
                }
                self.asker = Some(at);
                let secret = format!("secret-{}", self.made());
                let unknown = self.random.percent(12);
                let command = Command::Join {
                    repo: if unknown { name("elsewhere") } else { repo() },
                    name: name(["codex", "claude", "pi"][at % 3]),
                    host: name(HOSTS[at % HOSTS.len()]),
                    root,
                    worktree: format!("/w/{at}"),
                    secret,
                };
                Some(Request { caller: Caller::Nobody, ..Request::own(command) })
            }
            "resume" => {
                let at = self.agent()?;
                let session = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
                let state = tables.sessions.get(&session).map(|session| session.state);
                if state == Some(session::State::Live) && self.random.percent(90) {
                    return None;
                }
                Some(self.by_agent(at, Command::Resume { root }))
            }
            "leave" => {
                let at = self.agent()?;
                let park = self.random.percent(60).then(|| match self.random.below(8) {
                    0 => 90_000_000,
                    _ => 1000 + self.random.next() % 200_000,
                });
                Some(self.by_agent(at, Command::Leave { park }))
            }
            "root-dead" => {
                let sessions: Vec<SessionId> = tables.sessions.keys().copied().collect();
                let session = *self.random.pick(&sessions)?;
                let host = tables.sessions[&session].host.clone();
                let host = if self.random.percent(15) { name("h9") } else { host };
                let command = Command::RootDead { session };
                Some(Request { caller: Caller::Host(host), ..Request::own(command) })
            }
            "revoke-session" => {
                let sessions: Vec<SessionId> = tables.sessions.keys().copied().collect();
                let session = *self.random.pick(&sessions)?;
                let reason = self.reason();
                Some(self.operator(Command::RevokeSession { session, reason }))
            }
            _ => {
                let at = self.random.below(HOSTS.len());
                let jobs = 1 + self.random.below(3) as u32;
                let means = Means { jobs, cores: 8, memory: 3 + self.random.next() % 5, labels: BTreeSet::new() };
                self.dead_hosts.remove(&at);
                let caller = match self.random.percent(10) {
                    true => Caller::Nobody,
                    false => Caller::Host(name(HOSTS[at])),
                };
                Some(Request { caller, ..Request::own(Command::SeeHost { means }) })
            }
        }
    }

    fn reason(&mut self) -> String {
        if self.random.percent(10) { String::new() } else { "it is in the way".to_owned() }
    }

    // Claims.

    fn scopes(&mut self) -> Vec<ScopeName> {
        let count = [1, 1, 1, 2, 2, 3][self.random.below(6)];
        (0..count).map(|_| name(SCOPES[self.random.below(SCOPES.len())])).collect()
    }

    fn otherwise(&mut self) -> Otherwise {
        if self.random.percent(60) { Otherwise::Wait } else { Otherwise::Refuse }
    }

    fn of_claims(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        if kind == "revoke-claim" {
            let claims: Vec<ClaimId> = tables.claims.keys().copied().collect();
            let claim = *self.random.pick(&claims)?;
            let reason = self.reason();
            return Some(self.operator(Command::RevokeClaim { claim, reason }));
        }
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        let mine: Vec<&Claim> =
            tables.claims.values().map(AsRef::as_ref).filter(|claim| claim.session == me).collect();
        let held: Vec<ScopeName> =
            mine.iter().filter(|claim| claim.is_held()).flat_map(|claim| claim.scope_list()).collect();
        let command = match kind {
            "claim" => self.claim(&mine, board),
            "release" => {
                if held.is_empty() && self.random.percent(80) {
                    return None;
                }
                let scopes = match self.random.below(10) {
                    0 => Vec::new(),
                    1 => self.scopes(),
                    _ => self.random.pick(&held).cloned().into_iter().collect(),
                };
                let outcome = if self.random.percent(50) { Outcome::Done } else { Outcome::Blocked };
                Command::Release { scopes, outcome }
            }
            "unqueue" => {
                let claims: Vec<ClaimId> = match self.random.percent(85) {
                    true => mine.iter().map(|claim| claim.id).collect(),
                    false => tables.claims.keys().copied().collect(),
                };
                Command::Unqueue { claim: *self.random.pick(&claims)? }
            }
            _ => {
                if held.is_empty() && self.random.percent(85) {
                    return None;
                }
                let files = vec![PATHS[self.random.below(PATHS.len())].to_owned()];
                Command::Announce { files, tests: Vec::new(), risk: None, note: "soon".to_owned() }
            }
        };
        Some(self.by_agent(at, command))
    }

    fn claim(&mut self, mine: &[&Claim], board: &Board) -> Command {
        let mut scopes = self.scopes();
        let waits = mine.iter().filter(|claim| !claim.is_held()).copied();
        let waits: Vec<&Claim> = waits.collect();
        // A waiter asks again, and takes what it is offered.
        if let Some(claim) = self.random.pick(&waits)
            && self.random.percent(30)
        {
            scopes = claim.scope_list();
        }
        let tasks: Vec<TaskId> = board.tables().tasks.keys().copied().collect();
        let task = if self.random.percent(5) { self.random.pick(&tasks).copied() } else { None };
        Command::Claim(Wanted {
            scopes,
            why: "work".to_owned(),
            task,
            risk: None,
            tests: Vec::new(),
            max: self.random.percent(15).then(|| 10_000 + self.random.next() % 400_000),
            otherwise: self.otherwise(),
        })
    }

    // Tasks.

    fn of_tasks(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        let tasks: Vec<TaskId> = tables.tasks.keys().rev().take(40).copied().collect();
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        let command = match kind {
            "add-task" => {
                let open = tables.tasks.values().filter(|task| task.state == task::State::Open).count();
                if open > 12 {
                    return None;
                }
                let mut needs = Vec::new();
                if self.random.percent(30) {
                    needs.extend(self.random.pick(&tasks).copied());
                }
                if self.random.percent(5) {
                    needs.push(TaskId::from_counter(u64::MAX));
                }
                let count = self.random.below(3);
                let mut scopes: Vec<ScopeName> = self.scopes();
                scopes.truncate(count);
                let priority = self.random.below(3) as i32;
                let title = format!("task {}", self.made());
                let (body, acceptance) = (String::new(), String::new());
                Command::AddTask(task::New { title, body, priority, needs, scopes, acceptance })
            }
            "next" => Command::Next,
            _ => {
                let mine = tables.tasks.values().find(|task| {
                    matches!(task.state, task::State::Taken { session, .. } if session == me)
                });
                let mine = mine.map(|task| task.id).filter(|_| self.random.percent(90));
                let other = self.random.pick(&tasks).copied().filter(|_| self.random.percent(15));
                let why = "because".to_owned();
                let end = match self.random.below(8) {
                    0 => task::End::Fail(why),
                    1 => task::End::Block(why),
                    2 => task::End::Return(why),
                    _ => task::End::Done,
                };
                Command::EndTask { task: mine.or(other)?, end }
            }
        };
        Some(self.by_agent(at, command))
    }

    // Locks, slots, builds.

    fn of_holds(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let what = format!("run {}", self.random.below(3));
        let command = match kind {
            "acquire-lock" => {
                let lock = name(["diff:a", "diff:b", "bench"][self.random.below(3)]);
                Command::AcquireLock { lock, what, otherwise: self.otherwise() }
            }
            "acquire-slot" => {
                let pool = name(if self.random.percent(6) { "npm" } else { "cargo" });
                let host = name(HOSTS[self.random.below(2)]);
                Command::AcquireSlot { pool, host, what, otherwise: self.otherwise() }
            }
            "ask-build" => {
                let build = BuildKey {
                    name: name("molt"),
                    fingerprint: name(["aaaa", "bbbb", "cccc", "dddd"][self.random.below(4)]),
                    profile: name("dev"),
                    place: name("h1/0"),
                };
                let missing = match board.tables().builds.get(&build).map(AsRef::as_ref) {
                    Some(Build::Built { artifacts, .. }) if self.random.percent(50) => artifacts.clone(),
                    _ => None,
                };
                Command::AskBuild { build, missing, what }
            }
            "end-build" => return self.end_build(board),
            _ => return self.release_hold(board),
        };
        let at = self.agent()?;
        Some(self.by_agent(at, command))
    }

    fn end_build(&mut self, board: &Board) -> Option<Request> {
        let holds: Vec<Hold> = board.tables().builds.values().filter_map(|build| match build.as_ref() {
            Build::Building { hold, .. } => Some(hold.clone()),
            Build::Built { .. } | Build::Failed { .. } => None,
        }).collect();
        let hold = self.random.pick(&holds)?.clone();
        let class = [Class::Passed, Class::Passed, Class::Failed, Class::Killed, Class::Infra, Class::Oom]
            [self.random.below(6)];
        let artifacts = (class == Class::Passed).then(|| format!("art-{}", self.made()));
        let command = Command::EndBuild { hold: hold.id, class, artifacts };
        self.by_holder(hold.holder, &hold.host, command)
    }

    fn release_hold(&mut self, board: &Board) -> Option<Request> {
        let mut all: Vec<(HoldId, Holder, HostName)> = Vec::new();
        let hold = |hold: &Hold| (hold.id, hold.holder, hold.host.clone());
        let waiter = |waiter: &Waiter| (waiter.id, waiter.holder, waiter.host.clone());
        let tables = board.tables();
        for it in tables.locks.values() {
            match &it.state {
                lock::State::Held(held) | lock::State::Delayed { last: Some(held), .. } => all.push(hold(held)),
                lock::State::Delayed { last: None, .. } => {}
            }
            all.extend(it.line.iter().map(waiter));
        }
        for it in tables.slots.values() {
            all.extend(it.used.values().map(hold));
            all.extend(it.line.iter().map(waiter));
        }
        for it in tables.builds.values() {
            if let Build::Building { line, .. } = it.as_ref() {
                all.extend(line.iter().map(waiter));
            }
        }
        let (id, holder, host) = self.random.pick(&all)?.clone();
        if let Holder::Job(job) = holder {
            // A run that its host still has ends with its result.
            let runs = tables.jobs.get(&job).is_some_and(|job| {
                matches!(&job.state, job::State::Assigned { host: at, .. } if *at == host)
            });
            if runs {
                return None;
            }
        }
        let end = if self.random.percent(80) { End::Gone } else { End::Silent };
        self.by_holder(holder, &host, Command::ReleaseHold { hold: id, end })
    }

    /// By the holder's session, by its host, or by somebody whose it is not.
    fn by_holder(&mut self, holder: Holder, host: &HostName, command: Command) -> Option<Request> {
        let owner = self.agents.iter().position(|agent| {
            agent.shown.as_ref().is_some_and(|shown| Holder::Session(shown.session) == holder)
        });
        match (self.random.below(10), owner) {
            (0, _) => {
                let at = self.agent()?;
                Some(self.by_agent(at, command))
            }
            (1..6, Some(at)) => Some(self.by_agent(at, command)),
            _ => Some(Request { caller: Caller::Host(host.clone()), ..Request::own(command) }),
        }
    }

    // Jobs.

    fn end_job(&mut self, board: &Board) -> Option<Request> {
        let jobs: Vec<&Job> = board.tables().jobs.values().map(AsRef::as_ref).collect();
        let job = *self.random.pick(&jobs)?;
        let job::State::Assigned { host, .. } = &job.state else {
            return None;
        };
        // A host that has a bad day interrupts a run on every attempt.
        let bad_day = job.id.counter() % 9 == 0;
        let class = match self.random.below(20) {
            _ if bad_day => Class::Infra,
            0..14 => Class::Passed,
            14..16 => Class::Failed,
            16 | 17 => Class::Killed,
            18 => Class::Timeout,
            _ => Class::Vacuous,
        };
        let red: BTreeSet<String> = match class {
            Class::Failed => BTreeSet::from([["t1", "t2"][self.random.below(2)].to_owned()]),
            _ => BTreeSet::new(),
        };
        let other = self.random.percent(3);
        let finding = Finding {
            class,
            green: u32::from(class == Class::Passed) * 5,
            red_count: red.len() as u32,
            red,
            exit: Some(0),
            note: String::new(),
            log: String::new(),
            argv: Vec::new(),
            commit: if other { commit(u64::MAX) } else { job.commit.clone() },
            tree: job.tree.clone(),
            duration: Duration::ZERO,
            peak: 0,
        };
        let chance = self.random.below(20);
        let attempt = if chance == 0 { job.attempt.saturating_sub(1) } else { job.attempt };
        let host = if chance == 1 { name("h9") } else { host.clone() };
        let id = if chance == 2 { JobId::from_counter(1) } else { job.id };
        let command = Command::EndJob { job: id, attempt, finding };
        Some(Request { caller: Caller::Host(host), ..Request::own(command) })
    }

    // The train.

    fn of_proposers(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        let cars: Vec<&Car> = tables.cars.values().map(AsRef::as_ref).collect();
        let command = match kind {
            "submit" => {
                if cars.iter().filter(|car| car.state.is_open()).count() > 5 {
                    return None;
                }
                let heads: Vec<&String> = cars.iter().map(|car| &car.head).collect();
                let head = match self.random.below(20) {
                    0 => "no-commit".to_owned(),
                    1..4 => (*self.random.pick(&heads)?).clone(),
                    _ => commit(self.made()),
                };
                Command::Submit { head, title: "change".to_owned(), body: String::new() }
            }
            "dequeue" => {
                let open: Vec<CarId> =
                    cars.iter().filter(|car| car.state.is_open()).map(|car| car.id).collect();
                let car = *self.random.pick(&open)?;
                if self.random.percent(50) {
                    return Some(self.operator(Command::Dequeue { car }));
                }
                Command::Dequeue { car }
            }
            _ => {
                let ended = cars.iter().filter(|car| {
                    matches!(car.state, train::State::Ejected { .. }) && car.session == me
                });
                let ended: Vec<CarId> = ended.map(|car| car.id).collect();
                let interrupted = cars.iter().find(|car| car.state.reason() == "gate-interrupted");
                if let Some(car) = interrupted.filter(|_| self.random.percent(70)) {
                    return Some(self.operator(Command::Retry { car: car.id }));
                }
                if self.random.percent(97) {
                    return None;
                }
                Command::Retry { car: *self.random.pick(&ended)? }
            }
        };
        Some(self.by_agent(at, command))
    }

    fn of_reconcilers(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        let base = tables.repos.get(&repo())?;
        let command = match kind {
            "tick" => Command::Tick,
            "read-base" => self.read_base(base.base.clone(), base.tree.clone()),
            _ => {
                let car = self.car(board, kind)?;
                self.on_car(kind, &base.base.clone(), &car)?
            }
        };
        Some(self.own(command))
    }

    fn read_base(&mut self, base: String, tree: String) -> Command {
        let chance = self.random.below(20);
        if chance == 0 {
            let (commit, policy) = (commit(self.made()), Err("line 3: no".to_owned()));
            let repo: RepoName = name("elsewhere");
            return Command::ReadBase { repo, branch: "main".to_owned(), commit, tree, policy };
        }
        if chance < 8 {
            self.policy = self.random.below(policy::COUNT);
        }
        let (commit, tree) = match chance {
            0..5 => (base, tree),
            _ => (commit(self.made()), commit(self.made())),
        };
        let policy = if chance == 8 { Err("line 1: no".to_owned()) } else { Ok(policy(self.policy)) };
        Command::ReadBase { repo: repo(), branch: "main".to_owned(), commit, tree, policy }
    }

    /// A car that a reconciler would work on, or now and then any other.
    fn car(&mut self, board: &Board, kind: &str) -> Option<Car> {
        let cars = board.tables().cars.values().map(AsRef::as_ref);
        let open: Vec<&Car> = cars.filter(|car: &&Car| car.state.is_open()).collect();
        if self.random.percent(4) {
            return self.random.pick(&open).map(|car| Car::clone(car));
        }
        let wanted = |car: &&&Car| {
            matches!(
                (kind, &car.state),
                ("set-candidate" | "conflict" | "unmergeable", train::State::Queued)
                    | ("set-base-inputs", train::State::Building { .. })
                    | ("intend", train::State::Ready { .. })
                    | ("confirm-landing" | "withdraw-intent", train::State::Landing { .. })
            )
        };
        let first = open.iter().min_by_key(|car| car.id).filter(wanted);
        first.or_else(|| open.iter().find(wanted).filter(|_| self.random.percent(10))).map(|car| Car::clone(car))
    }

    fn on_car(&mut self, kind: &str, base: &str, car: &Car) -> Option<Command> {
        let stale = self.random.percent(10);
        let base = if stale { commit(u64::MAX - 1) } else { base.to_owned() };
        let id = if stale && self.random.percent(50) { CarId::from_counter(3) } else { car.id };
        let fence = match car.state {
            train::State::Landing { fence, .. } if !stale => fence,
            _ => Fence { epoch: 0, n: 1 },
        };
        Some(match kind {
            "set-candidate" => Command::SetCandidate { car: id, candidate: self.candidate(base, car) },
            "conflict" => Command::Conflict { car: id, base, paths: vec!["x".to_owned()] },
            "unmergeable" => Command::Unmergeable { car: id, reason: "gone".to_owned() },
            "set-base-inputs" => {
                let inputs = BTreeMap::from([(name("diff"), format!("b{}", self.random.below(3)))]);
                Command::SetBaseInputs { car: id, base, inputs }
            }
            "intend" => Command::Intend { car: id },
            "confirm-landing" => Command::ConfirmLanding { car: id, fence },
            "withdraw-intent" => {
                Command::WithdrawIntent { car: id, fence, reason: "the push was refused".to_owned() }
            }
            _ => return None,
        })
    }

    fn candidate(&mut self, base: String, car: &Car) -> Candidate {
        let covered: Vec<&str> = PATHS
            .into_iter()
            .filter(|path| {
                car.parts.iter().any(|part| part.paths.iter().any(|pattern| pattern.matches(path)))
                    && !path.ends_with("Cargo.toml")
            })
            .collect();
        let changed = match self.random.below(20) {
            0 => vec!["molt.toml".to_owned()],
            1 | 2 => vec![PATHS[self.random.below(PATHS.len())].to_owned()],
            _ => covered.into_iter().take(2).map(str::to_owned).collect(),
        };
        let input = |text: &str, n: usize| format!("{text}{n}");
        let inputs = BTreeMap::from([
            (name("lint"), input("l", self.random.below(40))),
            (name("diff"), input("d", self.random.below(20))),
        ]);
        let base_inputs = match self.random.percent(40) {
            true => BTreeMap::from([(name("diff"), input("b", self.random.below(3)))]),
            false => BTreeMap::new(),
        };
        Candidate {
            base,
            commit: commit(self.made()),
            tree: commit(self.made()),
            from: format!("refs/molt/train/{}", car.id),
            changed,
            odd: u32::from(self.random.percent(2)),
            inputs,
            base_inputs,
        }
    }
}

/// A commit or tree id.
fn commit(n: u64) -> String {
    format!("{n:040x}")
}
