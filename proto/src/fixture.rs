//! A small board for tests, moved by the rules themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use molt_domain::board::{Board, Caller, Command, Ledger, Now, Refusal, Reply, Request};
use molt_domain::claim::{Mode, Otherwise, Wanted};
use molt_domain::gate::{Class, Compare, Finding, Gate, Reader};
use molt_domain::host::Means;
use molt_domain::id::{BoardTime, CarId, SessionId};
use molt_domain::policy::{Merge, Method, Policy, Pool, Spans};
use molt_domain::scope::{Case, Reach, Risk, Scope, ScopeTree};
use molt_domain::session::{Credentials, Root};
use molt_domain::{job, train};

/// A digest of a secret.
pub(crate) const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Commits of tests.
pub(crate) const BASE: &str = "1111111111111111111111111111111111111111";
pub(crate) const HEAD: &str = "2222222222222222222222222222222222222222";
pub(crate) const MADE: &str = "3333333333333333333333333333333333333333";

/// A board, and the time at which it is moved.
pub(crate) struct World {
    pub(crate) board: Board,
    pub(crate) now: BoardTime,
}

pub(crate) fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a valid name")
}

fn scope(name: &str, path: &str) -> Scope {
    Scope {
        name: parsed(name),
        paths: vec![parsed(path)],
        reach: Reach::Plain,
        max: None,
        tests: vec![format!("test {name}")],
        risk: Risk::Med,
    }
}

fn gate() -> Gate {
    Gate {
        run: "make test".to_owned(),
        result: Reader::Tap,
        compare: Compare::Base,
        timeout: Duration::from_secs(60),
        memory: Some(1024),
        pool: Some(parsed("cargo")),
        minimum: 1,
        env: BTreeMap::from([("LANG".to_owned(), "C".to_owned())]),
    }
}

/// Scopes `docs`, `runtime` and `runtime/gc`, a pool of one slot, one run gate and both others.
pub(crate) fn policy(digest: &str) -> Policy {
    let scopes = vec![
        scope("runtime", "runtime/**"),
        scope("runtime/gc", "runtime/gc/**"),
        scope("docs", "docs/**"),
    ];
    Policy {
        digest: digest.to_owned(),
        scopes: ScopeTree::new(Case::default(), Vec::new(), scopes).expect("a tree"),
        pools: BTreeMap::from([(parsed("cargo"), Pool { slots: 1 })]),
        gates: BTreeMap::from([(parsed("test"), gate())]),
        merge: Merge {
            method: Method::Merge,
            required: vec![parsed("scope"), parsed("announce"), parsed("test")],
            trust: molt_domain::policy::Trust::Provers,
            protect: vec![parsed("runtime/build.rs")],
        },
    }
}

impl World {
    /// A board that coordinates the repository `molt` and nothing else.
    pub(crate) fn new() -> Self {
        let mut world = Self { board: Board::new(Spans::default()), now: BoardTime(1000) };
        world.read_base("molt");
        world
    }

    pub(crate) fn read_base(&mut self, repo: &str) {
        self.own(Command::ReadBase {
            repo: parsed(repo),
            branch: "main".to_owned(),
            commit: BASE.to_owned(),
            tree: "base-tree".to_owned(),
            policy: Ok(policy("policy-1")),
        });
    }

    pub(crate) fn request(&mut self, request: &Request) -> Result<Reply, Box<Refusal>> {
        let now = Now { board: self.now, wall: 0 };
        let decision = self.board.decide(request, now)?;
        for change in decision.changes {
            self.board.apply(change);
        }
        let ledger = self.board.ledger().clone();
        self.board.set_ledger(Ledger { time: self.now, ..ledger.at(decision.fence) });
        Ok(decision.reply)
    }

    pub(crate) fn act(&mut self, caller: Caller, command: Command) -> Reply {
        let request = Request { caller, ..Request::own(command) };
        self.request(&request).expect("a command that the rules carry out")
    }

    pub(crate) fn own(&mut self, command: Command) -> Reply {
        self.act(Caller::Coordinator, command)
    }

    /// A living session of that name on that host.
    pub(crate) fn join(&mut self, name: &str, host: &str) -> Caller {
        let secret = blake3::hash(name.as_bytes()).to_hex().to_string();
        let join = Command::Join {
            repo: parsed("molt"),
            name: parsed(name),
            host: parsed(host),
            root: Root::Use,
            worktree: format!("/home/{name}"),
            secret: secret.clone(),
        };
        let Reply::Session { id, epoch, .. } = self.act(Caller::Nobody, join) else {
            panic!("a join is answered with a session");
        };
        Caller::Session(Credentials { session: id, secret, epoch })
    }

    pub(crate) fn claim(&mut self, caller: &Caller, scopes: &[&str]) -> Reply {
        let wanted = Wanted {
            scopes: scopes.iter().map(|name| parsed(name)).collect(),
            globs: Vec::new(),
            why: "tests".to_owned(),
            task: None,
            mode: Mode::Exclusive,
            risk: None,
            tests: Vec::new(),
            max: None,
            otherwise: Otherwise::Wait,
        };
        self.act(caller.clone(), Command::Claim(wanted))
    }

    pub(crate) fn announce(&mut self, caller: &Caller) {
        let announce = Command::Announce {
            files: vec!["runtime/vm.rs".to_owned()],
            tests: Vec::new(),
            risk: None,
            note: String::new(),
        };
        self.act(caller.clone(), announce);
    }

    pub(crate) fn see(&mut self, host: &str) {
        let means = Means {
            jobs: 2,
            cores: 4,
            memory: 1 << 30,
            labels: ["linux".to_owned()].into(),
            job_user: None,
        };
        self.act(Caller::Host(parsed(host)), Command::SeeHost { means });
    }

    pub(crate) fn submit(&mut self, caller: &Caller) -> CarId {
        let submit = Command::Submit {
            head: HEAD.to_owned(),
            title: "Collect faster".to_owned(),
            body: String::new(),
            origin: train::Origin::Own,
        };
        match self.act(caller.clone(), submit) {
            Reply::Submitted { car, .. } => car,
            other => panic!("a submission is answered with a car, not {other:?}"),
        }
    }

    /// Makes the candidate of a car, which changes one path of `runtime`.
    pub(crate) fn candidate(&mut self, car: CarId) {
        self.candidate_of(car, "runtime/vm.rs");
    }

    /// Makes the candidate of a car, which changes `path`.
    pub(crate) fn candidate_of(&mut self, car: CarId, path: &str) {
        let inputs = BTreeMap::from([(parsed("test"), "inputs".to_owned())]);
        let candidate = train::Candidate {
            base: BASE.to_owned(),
            commit: MADE.to_owned(),
            tree: "made-tree".to_owned(),
            from: "refs/molt/made".to_owned(),
            changed: vec![path.to_owned()],
            odd: 0,
            unreadable: None,
            protected: Vec::new(),
            inputs,
            base_inputs: BTreeMap::new(),
        };
        self.own(Command::SetCandidate { car, candidate });
    }

    /// Ends the one run that a host has, with `class` and these red items.
    pub(crate) fn finish(&mut self, class: Class, red: &[&str]) {
        let jobs = &self.board.tables().jobs;
        let (job, host) = jobs
            .values()
            .find_map(|job| match &job.state {
                job::State::Assigned { host, .. } => Some((job.clone(), host.clone())),
                job::State::Queued => None,
            })
            .expect("a run on a host");
        let finding = Finding {
            class,
            green: 7,
            red: red.iter().map(|&item| item.to_owned()).collect(),
            red_count: red.len() as u32,
            places: Vec::new(),
            exit: Some(0),
            note: "a note".to_owned(),
            log: String::new(),
            argv: Vec::new(),
            commit: job.commit.clone(),
            tree: job.tree.clone(),
            duration: Duration::from_secs(1),
            peak: 0,
        };
        let end = Command::EndJob { job: job.id, attempt: job.attempt, finding };
        self.act(Caller::Host(host), end);
    }
}

/// The session of a caller that has one.
pub(crate) fn session(caller: &Caller) -> SessionId {
    match caller {
        Caller::Session(credentials) => credentials.session,
        other => panic!("{other:?} has no session"),
    }
}
