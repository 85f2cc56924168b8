//! A fleet that lives through random histories, and what must hold at every step of them.
//!
//! [`play`] makes a history from a seed and checks each command that it sends;
//! a history that breaks an invariant is cut down before it is shown. Not here:
//! the invariants ([`check`]) and how commands are made up ([`generate`]).

pub mod check;
pub mod generate;
pub mod graph;
pub mod policy;
pub mod tally;

use std::fmt;

use molt_domain::board::{Now, Presence, Request};
use molt_domain::id::{ClaimId, SessionId};
use molt_domain::name::HostName;
use molt_domain::session::Told;

use self::check::{Broken, Fleet};
use self::generate::Generator;
use self::tally::Tally;

/// Numbers from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Whether something happens that happens so many times in a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// Steps that are replayed at most to cut a history down.
const SHRINKING: usize = 60_000;

/// One step of a history.
#[derive(Debug, Clone)]
pub struct Act {
    pub now: Now,
    pub deed: Deed,
}

/// What is done at a step.
#[derive(Debug, Clone)]
pub enum Deed {
    Ask(Box<Request>),
    Beat(SessionId),
    BeatHost(HostName),
    /// A host tells what it sees of a session.
    Tell(HostName, SessionId, Told),
    Attend(ClaimId, Presence),
    Tidy,
    /// Another coordinator takes the lead: all that it has is what was committed.
    Takeover,
}

/// A history that breaks an invariant, cut down.
pub struct Failure {
    pub seed: u64,
    pub step: usize,
    pub broken: Broken,
    pub history: Vec<Act>,
}

impl Failure {
    /// The first place where the history breaks an invariant, and what of it is needed for that.
    fn of(seed: u64, step: usize, broken: Broken, mut history: Vec<Act>) -> Self {
        let (end, broken) = replay(&history).unwrap_or((history.len(), broken));
        history.truncate(end);
        let history = shrink(history, broken.invariant);
        Self { seed, step, broken, history }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, broken, history } = self;
        writeln!(f, "seed {seed:#x}, step {step}: {broken}")?;
        writeln!(f, "a history of {} steps that does it:", history.len())?;
        let skipped = history.len().saturating_sub(60);
        for act in &history[skipped..] {
            match &act.deed {
                Deed::Ask(request) => {
                    let Request { caller, number, command, .. } = request.as_ref();
                    let text = format!("{command:?}");
                    let text: String = text.chars().take(300).collect();
                    writeln!(
                        f,
                        "  {:>8} {caller:?} {number:?}\n           {text}",
                        act.now.board.0
                    )?;
                }
                deed => writeln!(f, "  {:>8} {deed:?}", act.now.board.0)?,
            }
        }
        Ok(())
    }
}

/// Lives through `commands` commands made from `seed`.
pub fn play(seed: u64, commands: usize) -> Result<Tally, Box<Failure>> {
    live(seed, commands)
        .map_err(|(step, broken, history)| Box::new(Failure::of(seed, step, broken, history)))
}

/// The same, without cutting a history down that breaks an invariant.
pub fn live(seed: u64, commands: usize) -> Result<Tally, (usize, Broken, Vec<Act>)> {
    let mut fleet = Fleet::new();
    let mut generator = Generator::new(seed);
    let mut history = Vec::new();
    let mut step = 0;
    while step < commands {
        let act = generator.next(&fleet.board);
        step += usize::from(matches!(act.deed, Deed::Ask(_)));
        history.push(act);
        let act = &history[history.len() - 1];
        match fleet.act(act) {
            Ok(Some(answer)) => generator.learn(act, &answer),
            Ok(None) => {}
            Err(broken) => return Err((step, broken, history)),
        }
    }
    Ok(fleet.tally)
}

/// Leaves out what the broken invariant does not need, in ever smaller pieces.
fn shrink(mut history: Vec<Act>, invariant: &'static str) -> Vec<Act> {
    let mut piece = history.len() / 2;
    let mut replayed = 0;
    while piece > 0 && replayed < SHRINKING {
        let mut from = 0;
        while from < history.len() && replayed < SHRINKING {
            replayed += history.len();
            let mut shorter = history.clone();
            shorter.drain(from..(from + piece).min(history.len()));
            match replay(&shorter) {
                Some((end, broken)) if broken.invariant == invariant => {
                    shorter.truncate(end);
                    history = shorter;
                }
                _ => from += piece,
            }
        }
        piece /= 2;
    }
    history
}

/// Where a recorded history breaks an invariant, if it does; the dear checks are made at the
/// end at every command.
fn replay(history: &[Act]) -> Option<(usize, Broken)> {
    let mut fleet = Fleet::new();
    let commands = history.iter().filter(|act| matches!(act.deed, Deed::Ask(_))).count();
    // A command that was refused had no dear check: the one before was several rounds ago.
    fleet.dear_from = commands.saturating_sub(8 * check::DEAR);
    history.iter().enumerate().find_map(|(at, act)| Some((at + 1, fleet.act(act).err()?)))
}
