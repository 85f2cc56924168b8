//! A board with a desk, and what a reconciler tells it of pull requests.

use molt_domain::board::{Caller, Command, Event, Refusal, Reply, Request};
use molt_domain::id::CarId;
use molt_domain::name::RepoName;
use molt_domain::pull::command::{Author, Edits};
use molt_domain::pull::{
    CommitId, Desk, Entry, ForgeTime, Heard, Known, Left, PullKey, Right, UserId,
};
use molt_domain::train::{Car, Origin, Proposer};

use super::world::World;

/// Who opens pull requests, and who decides over the repository.
pub(crate) const EVE: UserId = UserId(13);
pub(crate) const PAT: UserId = UserId(7);

pub(crate) fn repo() -> RepoName {
    "molt".parse().unwrap()
}

/// A head by one digit.
pub(crate) fn head(digit: u8) -> CommitId {
    format!("{digit:x}").repeat(40).parse().unwrap()
}

/// A comment of a maintainer.
pub(crate) fn comment(id: u64, written: u64, text: &str) -> Heard {
    Heard {
        id,
        written: ForgeTime(written),
        by: PAT,
        login: "pat".to_owned(),
        right: Right::Maintain,
        author: Author::Person(PAT),
        edits: Edits::None,
        text: text.to_owned(),
        handle: "molt".parse().unwrap(),
    }
}

pub(crate) fn entry(head: &CommitId, comment: Option<u64>) -> Entry {
    Entry {
        head: head.clone(),
        title: "Collect faster".to_owned(),
        body: String::new(),
        login: "eve[bot]".to_owned(),
        comment,
    }
}

pub(crate) type Told = Result<(Reply, Vec<Event>), Box<Refusal>>;

/// A board whose desk is open after comment 100.
pub(crate) struct Forge {
    pub(crate) world: World,
}

impl Forge {
    pub(crate) fn new() -> Self {
        let mut forge = Self { world: World::new(&[("runtime", "runtime/**")]) };
        let open = Command::OpenDesk {
            repo: repo(),
            forge_id: Some(5),
            comment: 100,
            since: ForgeTime(0),
        };
        forge.tell(open).expect("the repository is there");
        forge
    }

    /// Tells the board something, and says what happened.
    pub(crate) fn tell(&mut self, command: Command) -> Told {
        let decision = self.world.board.decide(&Request::own(command.clone()), self.world.now)?;
        let reply = self.world.ask(Caller::Coordinator, command)?;
        Ok((reply, decision.events))
    }

    pub(crate) fn see(&mut self, number: u64, head: &CommitId, at: u64) -> Vec<Event> {
        self.see_of(number, head, at, Origin::Own)
    }

    pub(crate) fn see_of(
        &mut self,
        number: u64,
        head: &CommitId,
        at: u64,
        origin: Origin,
    ) -> Vec<Event> {
        let (head, at) = (head.clone(), ForgeTime(at));
        let see = Command::SeePull { repo: repo(), number, head, at, origin, opened_by: EVE };
        self.tell(see).expect("whatever is seen is taken").1
    }

    pub(crate) fn hear(&mut self, number: u64, comment: Heard) -> Vec<Event> {
        let hear = Command::HearComment { repo: repo(), number, comment };
        self.tell(hear).expect("the desk is open").1
    }

    pub(crate) fn enter(&mut self, number: u64, entry: Entry) -> Result<CarId, Box<Refusal>> {
        match self.tell(Command::EnterPull { repo: repo(), number, entry })? {
            (Reply::Submitted { car, .. }, _) => Ok(car),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn leave(&mut self, number: u64, why: Left) -> Vec<Event> {
        self.tell(Command::LeavePull { repo: repo(), number, why }).expect("it is known").1
    }

    pub(crate) fn known(&self, number: u64) -> &Known {
        &self.world.board.tables().pulls[&PullKey::of(&repo(), number)]
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.world.board.tables().desks[&repo()]
    }

    pub(crate) fn car(&self, id: CarId) -> &Car {
        &self.world.board.tables().cars[&id]
    }

    /// Where a car is, by its reason code.
    pub(crate) fn state(&self, id: CarId) -> &'static str {
        self.car(id).state.reason()
    }

    /// The cars of a pull request that are on their way.
    pub(crate) fn open_cars(&self, number: u64) -> Vec<&Car> {
        let cars = self.world.board.tables().cars.values().map(AsRef::as_ref);
        cars.filter(|car| car.proposer == Proposer::Pull(number) && car.state.is_open()).collect()
    }

    /// What was answered last, if anything was.
    pub(crate) fn answer(&self, number: u64) -> Option<&str> {
        self.known(number).answers.last().map(|answer| answer.problem.as_str())
    }
}
