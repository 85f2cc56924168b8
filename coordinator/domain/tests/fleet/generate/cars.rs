//! Commands of those who propose changes, and of the reconcilers that land them.

use std::collections::BTreeMap;

use molt_domain::board::{Board, Command, Request};
use molt_domain::gate::Class;
use molt_domain::id::{CarId, Fence};
use molt_domain::name::RepoName;
use molt_domain::train::{self, Candidate, Car, Ejection, Origin, Proposer};

use super::{Generator, commit};
use crate::fleet::policy::{self, PATHS, name, policy, repo};

impl Generator {
    pub(super) fn of_proposers(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        let at = self.agent()?;
        let me = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
        let cars: Vec<&Car> = tables.cars.values().map(AsRef::as_ref).collect();
        let command = match kind {
            "submit" => {
                if cars.iter().filter(|car| car.state.is_open()).count() > 6 {
                    return None;
                }
                let heads: Vec<&String> = cars.iter().map(|car| &car.head).collect();
                let head = match self.random.below(20) {
                    0 => "no-commit".to_owned(),
                    1..4 => (*self.random.pick(&heads)?).clone(),
                    _ => commit(self.made()),
                };
                let origin = match self.random.below(12) {
                    0 => Origin::Fork("eve/molt".to_owned()),
                    _ => Origin::Own,
                };
                let (title, body) = ("change".to_owned(), String::new());
                Command::Submit { head, title, body, origin }
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
                    matches!(car.state, train::State::Ejected { .. })
                        && car.proposer == Proposer::Session(me)
                });
                let ended: Vec<CarId> = ended.map(|car| car.id).collect();
                // Older ones stay where a pull request is told of them, and come back no more.
                let is_interrupted = |car: &&&Car| car.state.reason() == "gate-interrupted";
                let interrupted = cars.iter().rev().find(is_interrupted);
                if let Some(car) = interrupted.filter(|_| self.random.percent(70)) {
                    return Some(self.operator(Command::Retry { car: car.id }));
                }
                if self.random.below(70) > 0 {
                    return None;
                }
                Command::Retry { car: *self.random.pick(&ended)? }
            }
        };
        Some(self.by_agent(at, command))
    }

    /// A person's word for a change that waits for it, or now and then for any other, or for
    /// another head; or an agent's, which counts for nothing.
    pub(super) fn approve(&mut self, board: &Board) -> Option<Request> {
        let cars: Vec<&Car> = board.tables().cars.values().map(AsRef::as_ref).collect();
        let waits = |car: &&Car| matches!(car.state, train::State::Withheld { .. });
        let waiting: Vec<&Car> = cars.iter().copied().filter(waits).collect();
        let any = self.random.percent(4);
        let car = *self.random.pick(if any { &cars } else { &waiting })?;
        let head = if self.random.percent(8) { commit(7) } else { car.head.clone() };
        let command = Command::Approve { car: car.id, head, reason: self.reason() };
        match self.agent().filter(|_| self.random.percent(10)) {
            Some(at) => Some(self.by_agent(at, command)),
            None => Some(self.operator(command)),
        }
    }

    /// A person's word for what a gate found red of a change that it ejected lately; now and then
    /// for another gate, head or change, or an agent's, which counts for nothing.
    pub(super) fn answer_for(&mut self, board: &Board) -> Option<Request> {
        let cars: Vec<&Car> = board.tables().cars.values().map(AsRef::as_ref).collect();
        let failed = |car: &&Car| {
            matches!(&car.state, train::State::Ejected { ejection, .. }
                if matches!(ejection, Ejection::GateFailed { class: Class::Failed, .. }))
        };
        let lately: Vec<&Car> = cars.iter().rev().copied().filter(failed).take(6).collect();
        let any = self.random.percent(4);
        let car = *self.random.pick(if any { &cars } else { &lately })?;
        let gate = match &car.state {
            train::State::Ejected { ejection: Ejection::GateFailed { gate, .. }, .. }
                if !self.random.percent(8) =>
            {
                gate.clone()
            }
            _ => name(["lint", "diff"][self.random.below(2)]),
        };
        let head = if self.random.percent(8) { commit(7) } else { car.head.clone() };
        let command = Command::Override { car: car.id, head, gate, reason: self.reason() };
        match self.agent().filter(|_| self.random.percent(10)) {
            Some(at) => Some(self.by_agent(at, command)),
            None => Some(self.operator(command)),
        }
    }

    pub(super) fn of_reconcilers(&mut self, kind: &str, board: &Board) -> Option<Request> {
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
        let policy =
            if chance == 8 { Err("line 1: no".to_owned()) } else { Ok(policy(self.policy)) };
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
                    | (
                        "confirm-landing" | "withdraw-intent" | "decline-landing" | "leave-head",
                        train::State::Landing { .. }
                    )
            )
        };
        let turns = open.iter().filter(|car| car.state.has_a_turn());
        let first = turns.min_by_key(|car| car.id).filter(wanted);
        first
            .or_else(|| open.iter().find(wanted).filter(|_| self.random.percent(10)))
            .map(|car| Car::clone(car))
    }

    fn on_car(&mut self, kind: &str, base: &str, car: &Car) -> Option<Command> {
        // Rare, and wrong in one way only: about a car that is not there.
        let alone = kind == "unmergeable";
        let stale = self.random.percent(if alone { 20 } else { 10 });
        let base = if stale { commit(u64::MAX - 1) } else { base.to_owned() };
        let gone = stale && (alone || self.random.percent(50));
        let id = if gone { CarId::from_counter(3) } else { car.id };
        let fence = match car.state {
            train::State::Landing { fence, .. } if !stale => fence,
            _ => Fence { epoch: 0, n: 1 },
        };
        Some(match kind {
            "set-candidate" => {
                Command::SetCandidate { car: id, candidate: self.candidate(base, car) }
            }
            "conflict" => Command::Conflict { car: id, base, paths: vec!["x".to_owned()] },
            "unmergeable" => Command::Unmergeable { car: id, reason: "gone".to_owned() },
            "set-base-inputs" => {
                let inputs = BTreeMap::from([(name("diff"), format!("b{}", self.random.below(3)))]);
                Command::SetBaseInputs { car: id, base, inputs }
            }
            "intend" => {
                let branch = ["", "topic", "topic", "topic"][self.random.below(4)];
                let named = self.random.percent(70);
                Command::Intend { car: id, branch: named.then(|| branch.to_owned()) }
            }
            "leave-head" => {
                Command::LeaveHead { car: id, fence, reason: "it is protected".to_owned() }
            }
            "confirm-landing" => Command::ConfirmLanding { car: id, fence },
            "decline-landing" => {
                Command::DeclineLanding { car: id, fence, reason: "a rule says no".to_owned() }
            }
            "withdraw-intent" => Command::WithdrawIntent {
                car: id,
                fence,
                reason: "the push was refused".to_owned(),
            },
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
            3 | 4 => vec!["tools/dev.py".to_owned()],
            1 | 2 => vec![PATHS[self.random.below(PATHS.len())].to_owned()],
            // Nothing covers what a pull request changes.
            5..10 if matches!(car.proposer, Proposer::Pull(_)) => vec!["docs/a.md".to_owned()],
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
            unreadable: self.random.percent(2).then(|| "line 1: no".to_owned()),
            protected: Vec::new(),
            inputs,
            base_inputs,
        }
    }
}
