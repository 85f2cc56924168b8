//! What a reconciler reads of pull requests at a forge: heads that move, comments that come again
//! or too late, wishes that are old by now.

use molt_domain::board::{Board, Command, Request};
use molt_domain::pull::command::{Author, Edits};
use molt_domain::pull::{
    CommitId, Entry, ForgeTime, Heard, Known, Left, Opened, PullKey, Right, Told, UserId,
};
use molt_domain::train::{Car, Origin, Proposer};

use super::{Generator, commit};
use crate::fleet::policy::{name, repo};

/// Pull requests at once. One comes from a fork, and those from [`OURS`] on are opened for sessions'
/// changes, though they may be seen before that is known.
const NUMBERS: u64 = 7;
const FORK: u64 = 4;
const OURS: u64 = 5;

/// Comments; what they say is known to the checks by these texts.
const TEXTS: [&str; 12] = [
    "@molt land",
    "@molt land",
    "@molt land",
    "@molt cancel",
    "@molt approve head I read it",
    "@molt approve head I read it",
    "@molt approve lint it is the linter",
    "@molt approve diff it flakes",
    "@molt retry lint",
    "@molt why",
    "@molt merge",
    "thank you",
];

impl Generator {
    pub(super) fn of_pulls(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let unknown = self.random.percent(8);
        let number = if unknown { 99 } else { 1 + self.random.next() % NUMBERS };
        let known = board.tables().pulls.get(&PullKey::of(&repo(), number)).map(AsRef::as_ref);
        let repo = if self.random.percent(4) { name("elsewhere") } else { repo() };
        let command = match kind {
            "see-pull" => return self.see_pull(number, known),
            "keep-head" => {
                let head = self.moved(known?)?;
                Command::KeepHead { repo, number, head, at: ForgeTime(self.now / 1000) }
            }
            "open-pull" => return self.open_pull(board),
            "hinder-car" => return self.hinder_car(board),
            "hear-comment" => {
                let comment = self.comment(board);
                Command::HearComment { repo, number, comment }
            }
            "enter-pull" => Command::EnterPull { repo, number, entry: self.entry(known?)? },
            "leave-pull" => Command::LeavePull { repo, number, why: self.left() },
            "tell-pull" => {
                let digest = format!("told-{}", self.random.below(3));
                let told = Told { digest, ..Told::default() };
                Command::TellPull { repo, number, told }
            }
            "forget-pull" => Command::ForgetPull { repo, number },
            "open-desk" => {
                let (comment, since) = (self.made(), ForgeTime(self.now / 1000));
                let forge_id = Some(comment % 3);
                Command::OpenDesk { repo, forge_id, comment, since }
            }
            _ => Command::CoolForge { repo, span: self.random.next() % 90_000 },
        };
        Some(self.own(command))
    }

    /// Mostly the head of before, now and then a new one, or one that it had once.
    fn see_pull(&mut self, number: u64, known: Option<&Known>) -> Option<Request> {
        let head = match (known, self.random.below(10)) {
            (Some(known), 0..5) => known.head().clone(),
            (Some(known), 5) => known.seen[self.random.below(known.seen.len())].head.clone(),
            (Some(known), 6 | 7) if !known.moved.is_empty() => self.moved(known)?,
            _ => self.head()?,
        };
        let origin = match number {
            FORK => Origin::Fork("eve/molt".to_owned()),
            99 => Origin::Fork(String::new()),
            _ => Origin::Own,
        };
        let (at, opened_by) = (ForgeTime(self.now / 1000), UserId(number));
        Some(self.own(Command::SeePull { repo: repo(), number, head, at, origin, opened_by }))
    }

    /// Where we moved the branch of a head, or anywhere else.
    fn moved(&mut self, known: &Known) -> Option<CommitId> {
        let moved = self.random.pick(&known.moved).cloned();
        moved.map_or_else(|| self.head(), |moved| moved.parse().ok())
    }

    /// Mostly for a session's change that has none, at the head that was submitted; now and then for
    /// any change, at a head that somebody pushed meanwhile, or at an address that is too long.
    fn open_pull(&mut self, board: &Board) -> Option<Request> {
        let cars: Vec<&Car> = board.tables().cars.values().map(AsRef::as_ref).collect();
        let lacks = |car: &&Car| {
            car.state.is_open()
                && matches!(car.proposer, Proposer::Session(_))
                && car.shown.is_none()
        };
        let lacking: Vec<&Car> = cars.iter().copied().filter(lacks).collect();
        let any = self.random.percent(12);
        let car = *self.random.pick(if any { &cars } else { &lacking })?;
        let head = if self.random.percent(8) { self.head()? } else { car.head.parse().ok()? };
        let long = if self.random.percent(12) { 500 } else { 5 };
        let number = OURS + self.random.next() % (NUMBERS - OURS + 1);
        let opened = Opened {
            car: car.id,
            branch: format!("molt/{}", car.id),
            url: "u".repeat(long),
            head,
            at: ForgeTime(self.now / 1000),
            opened_by: UserId(number),
        };
        Some(self.own(Command::OpenPull { repo: repo(), number, opened }))
    }

    fn hinder_car(&mut self, board: &Board) -> Option<Request> {
        let cars: Vec<&Car> = board.tables().cars.values().map(AsRef::as_ref).collect();
        let car = self.random.pick(&cars)?.id;
        let (code, what) = ("auth-lost".to_owned(), "not allowed".to_owned());
        Some(self.own(Command::HinderCar { car, code, what }))
    }

    fn head(&mut self) -> Option<CommitId> {
        commit(self.made()).parse().ok()
    }

    /// A comment that is new, or is read again.
    fn comment(&mut self, board: &Board) -> Heard {
        let desk = board.tables().desks.get(&repo());
        let heard = desk.map_or(0, |desk| desk.comment);
        let id = match self.random.below(6) {
            0 => heard.saturating_sub(self.random.next() % 3),
            _ => heard.max(self.made()) + 1,
        };
        let right = [Right::Read, Right::Write, Right::Maintain, Right::Maintain, Right::Admin];
        let by = UserId(1 + self.random.next() % 6);
        let program = self.random.percent(5);
        Heard {
            id,
            written: ForgeTime(self.now / 1000 + self.random.next() % 3),
            by,
            login: format!("user-{}", by.0),
            right: right[self.random.below(right.len())],
            author: if program { Author::Program } else { Author::Person(by) },
            edits: if self.random.percent(5) { Edits::Some } else { Edits::None },
            text: TEXTS[self.random.below(TEXTS.len())].to_owned(),
            handle: name("molt"),
        }
    }

    /// The head now, or one of before; for a comment that asked, or for a label.
    fn entry(&mut self, known: &Known) -> Option<Entry> {
        let head = match self.random.below(10) {
            0 => self.random.pick(&known.seen)?.head.clone(),
            1 => self.head()?,
            _ => known.head().clone(),
        };
        let asked = known.asked.as_ref().map(|asked| asked.comment);
        let comment = if self.random.percent(70) { asked } else { None };
        Some(Entry {
            head,
            title: "change".to_owned(),
            body: String::new(),
            login: "eve".to_owned(),
            comment,
        })
    }

    fn left(&mut self) -> Left {
        match self.random.below(3) {
            0 => Left::Closed,
            1 => Left::Withdrawn,
            _ => {
                let (code, what) = ("building".to_owned(), "a check is pending".to_owned());
                Left::Hindered { code, what }
            }
        }
    }
}
