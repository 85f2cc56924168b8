//! A small board for tests that tell a story: agents who ask, and what they are told.

use molt_domain::board::{Board, Caller, Command, Now, Refusal, Reply, Request};
use molt_domain::id::BoardTime;
use molt_domain::policy::{Merge, Method, Policy, Spans};
use molt_domain::scope::{Case, Reach, Risk, Scope, ScopeTree};
use molt_domain::session::{Credentials, Root};

/// A board with one repository.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) board: Board,
    pub(crate) now: Now,
}

impl World {
    /// With these scopes of one pattern each.
    pub(crate) fn new(scopes: &[(&str, &str)]) -> Self {
        let now = Now { board: BoardTime(1_000), wall: 0 };
        let mut world = Self { board: Board::new(Spans::default()), now };
        world.read_policy("p", scopes);
        world
    }

    /// From now on a policy of this digest is in force, with these scopes.
    pub(crate) fn read_policy(&mut self, digest: &str, scopes: &[(&str, &str)]) {
        let scope = |(name, path): &(&str, &str)| Scope {
            name: name.parse().unwrap(),
            paths: vec![path.parse().unwrap()],
            reach: if *name == "carve" { Reach::Carve } else { Reach::Plain },
            max: (*name == "brief").then_some(60_000),
            tests: Vec::new(),
            risk: Risk::Med,
        };
        let scopes = scopes.iter().map(scope).collect();
        let policy = Policy {
            digest: digest.to_owned(),
            scopes: ScopeTree::new(Case::Sensitive, Vec::new(), scopes).unwrap(),
            pools: [("cargo".parse().unwrap(), molt_domain::policy::Pool { slots: 1 })].into(),
            gates: [].into(),
            merge: Merge {
                method: Method::Merge,
                required: Vec::new(),
                trust: molt_domain::policy::Trust::Provers,
                protect: vec!["tools/**".parse().unwrap()],
            },
        };
        let base = Command::ReadBase {
            repo: "molt".parse().unwrap(),
            branch: "main".to_owned(),
            commit: "0".repeat(40),
            tree: "1".repeat(40),
            policy: Ok(policy),
        };
        self.ask(Caller::Coordinator, base).unwrap();
    }

    pub(crate) fn ask(&mut self, caller: Caller, command: Command) -> Result<Reply, Box<Refusal>> {
        let request = Request { caller, ..Request::own(command) };
        let decision = self.board.decide(&request, self.now)?;
        for change in decision.changes {
            self.board.apply(change);
        }
        let ledger = self.board.ledger().clone();
        self.board.set_ledger(ledger.at(decision.fence));
        Ok(decision.reply)
    }

    pub(crate) fn join(&mut self, name: &str) -> Credentials {
        let command = Command::Join {
            repo: "molt".parse().unwrap(),
            name: name.parse().unwrap(),
            host: "h1".parse().unwrap(),
            root: Root::Use,
            worktree: "/w".to_owned(),
            secret: name.to_owned(),
        };
        match self.ask(Caller::Nobody, command) {
            Ok(Reply::Session { id, epoch, .. }) => {
                Credentials { session: id, secret: name.to_owned(), epoch }
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn by(
        &mut self,
        who: &Credentials,
        command: Command,
    ) -> Result<Reply, Box<Refusal>> {
        self.ask(Caller::Session(who.clone()), command)
    }

    pub(crate) fn why(&self, id: impl std::fmt::Display) -> Vec<String> {
        self.board.why(&id.to_string(), self.now.board).unwrap()
    }
}
