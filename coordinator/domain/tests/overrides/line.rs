//! A train with a host: candidates are made, their gates run, and what passed lands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molt_domain::board::{Caller, Command, Event, Refusal, Reply, Request};
use molt_domain::gate::{Class, Compare, Finding, Gate, Reader};
use molt_domain::host::Means;
use molt_domain::id::{CarId, Fence, JobId};
use molt_domain::name::{GateName, HostName};
use molt_domain::policy::{Policy, Repo};
use molt_domain::session::Credentials;
use molt_domain::train::{Candidate, Car, Ejection, Origin, State};

use super::desk::{Forge, Told, repo};

pub(crate) const GATES: [&str; 3] = ["lint", "unit", "slow"];

pub(crate) fn gate(name: &str) -> GateName {
    name.parse().unwrap()
}

/// The head of a change that is no pull request, by one digit.
pub(crate) fn sha(digit: u8) -> String {
    format!("{digit:x}").repeat(40)
}

/// What a run found whose red items are all named.
pub(crate) fn found(class: Class, red: &[&str]) -> Finding {
    Finding {
        class,
        green: 3,
        red: red.iter().map(|&item| item.to_owned()).collect(),
        red_count: red.len() as u32,
        places: Vec::new(),
        exit: Some(i32::from(class != Class::Passed)),
        note: "see its log".to_owned(),
        log: String::new(),
        argv: Vec::new(),
        commit: String::new(),
        tree: String::new(),
        duration: Duration::ZERO,
        peak: 0,
    }
}

pub(crate) fn red(items: &[&str]) -> Finding {
    found(Class::Failed, items)
}

/// A train whose gates are `lint`, which is read by its exit code, `unit` and `slow`.
pub(crate) struct Line {
    pub(crate) forge: Forge,
    pub(crate) ann: Credentials,
    inputs: String,
    made: u64,
}

impl Line {
    pub(crate) fn new() -> Self {
        let mut forge = Forge::new();
        let ann = forge.world.join("ann");
        let mut line = Self { forge, ann, inputs: String::new(), made: 0 };
        line.rules(|policy| {
            policy.gates = GATES.into_iter().map(|name| (gate(name), rules_of(name))).collect();
            policy.merge.required = GATES.into_iter().map(gate).collect();
        });
        let labels = BTreeSet::new();
        let means = Means { jobs: 9, cores: 8, memory: 1 << 30, labels, job_user: None };
        let host = Caller::Host(host());
        line.forge.world.ask(host, Command::SeeHost { means }).unwrap();
        line
    }

    /// The same train, to go on in another way.
    pub(crate) fn again(&self) -> Self {
        let forge = Forge { world: self.forge.world.clone() };
        Self { forge, ann: self.ann.clone(), inputs: self.inputs.clone(), made: self.made }
    }

    pub(crate) fn repo(&self) -> &Repo {
        &self.forge.world.board.tables().repos[&repo()]
    }

    pub(crate) fn car(&self, id: CarId) -> &Car {
        self.forge.car(id)
    }

    pub(crate) fn state(&self, id: CarId) -> &'static str {
        self.forge.state(id)
    }

    /// The red items that a car was ejected for.
    pub(crate) fn blocking(&self, id: CarId) -> Vec<&str> {
        match &self.car(id).state {
            State::Ejected { ejection: Ejection::GateFailed { red, .. }, .. } => {
                red.iter().map(String::as_str).collect()
            }
            state => panic!("{id} is {}", state.reason()),
        }
    }

    /// Puts another policy in force, on the base as it is.
    pub(crate) fn rules(&mut self, change: impl FnOnce(&mut Policy)) {
        self.made += 1;
        let Repo { branch, base, tree, mut policy, .. } = self.repo().clone();
        change(&mut policy);
        policy.digest = format!("policy-{}", self.made);
        let policy = Ok(policy);
        let read = Command::ReadBase { repo: repo(), branch, commit: base, tree, policy };
        self.forge.tell(read).unwrap();
    }

    /// Puts a change of a newcomer in the train.
    pub(crate) fn submit(&mut self, head: u8) -> CarId {
        let who = self.forge.world.join(&format!("agent-{head}"));
        self.submit_by(&who, head)
    }

    pub(crate) fn submit_by(&mut self, who: &Credentials, head: u8) -> CarId {
        let (title, body, origin) = ("change".to_owned(), String::new(), Origin::Own);
        let submit = Command::Submit { head: sha(head), title, body, origin };
        match self.forge.world.by(who, submit) {
            Ok(Reply::Submitted { car, .. }) => car,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a candidate whose inputs are these, of every gate.
    pub(crate) fn candidate(&mut self, car: CarId, inputs: &str) -> Vec<Event> {
        self.made += 1;
        let of = |text: &str| GATES.into_iter().map(|name| (gate(name), text.to_owned())).collect();
        let candidate = Candidate {
            base: self.repo().base.clone(),
            commit: format!("{:040x}", 0xc000 + self.made),
            tree: format!("{:040x}", 0xd000 + self.made),
            from: "refs/molt/train/x".to_owned(),
            changed: vec!["runtime/x.rs".to_owned()],
            odd: 0,
            unreadable: None,
            protected: Vec::new(),
            inputs: of(inputs),
            base_inputs: of("of the base"),
        };
        self.forge.tell(Command::SetCandidate { car, candidate }).unwrap().1
    }

    /// Makes another candidate on the inputs of the last: what was found of it is looked at anew.
    pub(crate) fn look_again(&mut self, car: CarId) -> Vec<Event> {
        self.candidate(car, &self.inputs.clone())
    }

    /// Ends an attempt of a run of a gate, if there is one.
    pub(crate) fn end_one(&mut self, name: &str, finding: &Finding) -> Option<JobId> {
        let jobs = &self.forge.world.board.tables().jobs;
        let job = jobs.values().find(|job| job.name == gate(name))?;
        let (id, attempt) = (job.id, job.attempt);
        let (commit, tree) = (job.commit.clone(), job.tree.clone());
        let end = Command::EndJob {
            job: id,
            attempt,
            finding: Finding { commit, tree, ..finding.clone() },
        };
        self.forge.world.ask(Caller::Host(host()), end).unwrap();
        Some(id)
    }

    /// Ends every run of a gate, and every attempt that is left to them.
    pub(crate) fn end(&mut self, name: &str, finding: &Finding) -> JobId {
        let mut ended = self.end_one(name, finding).expect("the gate runs");
        while let Some(next) = self.end_one(name, finding) {
            ended = next;
        }
        ended
    }

    /// Tests a new candidate on inputs that nobody knows: the gates that are not named pass.
    pub(crate) fn test(&mut self, car: CarId, found_by: &[(&str, Finding)]) {
        self.inputs = format!("inputs {}", self.made);
        self.look_again(car);
        let named: BTreeMap<&str, &Finding> =
            found_by.iter().map(|(name, finding)| (*name, finding)).collect();
        let passed = found(Class::Passed, &[]);
        for name in GATES.into_iter().filter(|name| !named.contains_key(name)) {
            self.end(name, &passed);
        }
        for (name, finding) in named {
            self.end(name, finding);
        }
    }

    /// Lands a car that is ready.
    pub(crate) fn land(&mut self, car: CarId) {
        self.forge.tell(Command::Intend { car, branch: None }).unwrap();
        let fence = self.fence(car);
        self.forge.tell(Command::ConfirmLanding { car, fence }).unwrap();
        assert_eq!(self.state(car), "landed");
    }

    pub(crate) fn fence(&self, car: CarId) -> Fence {
        match self.car(car).state {
            State::Landing { fence, .. } => fence,
            ref state => panic!("{car} is {}", state.reason()),
        }
    }

    pub(crate) fn override_by(
        &mut self,
        caller: Caller,
        (car, head): (CarId, &str),
        (name, reason): (&str, &str),
    ) -> Told {
        let (gate, head, reason) = (gate(name), head.to_owned(), reason.to_owned());
        let command = Command::Override { car, head, gate, reason };
        let request = Request { caller: caller.clone(), ..Request::own(command.clone()) };
        let decision = self.forge.world.board.decide(&request, self.forge.world.now)?;
        self.forge.world.ask(caller, command).map(|reply| (reply, decision.events))
    }

    /// An operator answers for what a gate found red of the head that the car has.
    pub(crate) fn answer_for(
        &mut self,
        car: CarId,
        gate: &str,
    ) -> Result<Vec<Event>, Box<Refusal>> {
        let head = self.car(car).head.clone();
        let (reply, events) = self.override_by(
            Caller::Operator("pat".to_owned()),
            (car, &head),
            (gate, "it flakes"),
        )?;
        assert_eq!(reply, Reply::Done);
        Ok(events)
    }

    /// Why an operator's word for a gate is not taken.
    pub(crate) fn refused(&mut self, car: CarId, gate: &str) -> String {
        let before = self.car(car).clone();
        let refusal = self.answer_for(car, gate).expect_err("nothing to answer for");
        assert_eq!(*self.car(car), before);
        refusal.to_string()
    }
}

fn host() -> HostName {
    "h1".parse().unwrap()
}

fn rules_of(name: &str) -> Gate {
    Gate {
        run: name.to_owned(),
        result: if name == "lint" { Reader::Exit } else { Reader::Tap },
        compare: Compare::Nothing,
        timeout: Duration::from_secs(60),
        memory: None,
        pool: None,
        minimum: 1,
        env: BTreeMap::new(),
    }
}
