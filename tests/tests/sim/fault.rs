//! Faults: what can be done to a fleet, drawn from the seed, and how it is undone.

use std::fmt;

use crate::net::{Link, Place};
use crate::random::Random;

/// How many coordinators and hosts a fleet has.
pub(crate) const COORDINATORS: usize = 3;
pub(crate) const HOSTS: usize = 8;

/// Something that goes wrong for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing arrives on these links.
    Cut(Vec<Link>),
    /// Everything on these links takes so long, in milliseconds.
    Slow(Vec<Link>, (u64, u64)),
    /// A coordinator loses power.
    Crash(usize),
    /// A coordinator is stopped in order, and started again.
    Restart(usize),
    /// Coordinators get no turns, as under SIGSTOP.
    Stall(Vec<usize>),
    /// A host loses power.
    PowerLoss(usize),
    /// A host gets no turns: daemon, supervisors, children and all.
    Freeze(usize),
    /// A host's daemon is dead; what runs goes on.
    DaemonAway(usize),
    /// The agents of a host only look.
    Quiet(usize),
    /// People on a host only add work.
    Adds(usize),
    /// What the agents of a host run takes long.
    LongRuns(usize),
    /// A host's clock runs ahead by so many milliseconds, at once.
    Jump(usize, u64),
    /// The store takes no change.
    Full,
    /// Parcels are lost, late and repeated.
    Storm,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links = |links: &[Link]| {
            let texts: Vec<_> = links.iter().map(|(from, to)| format!("{from}>{to}")).collect();
            texts.join(" ")
        };
        match self {
            Self::Cut(cut) => write!(f, "cut {}", links(cut)),
            Self::Slow(slow, span) => write!(f, "slow {} {span:?}", links(slow)),
            other => write!(f, "{other:?}"),
        }
    }
}

/// A fault with its beginning and its end, in milliseconds from now.
pub(crate) type Timed = (Fault, u64, u64);

/// Draws what goes wrong next. `leader` is who leads now.
pub(crate) fn draw(random: &mut Random, leader: usize) -> Vec<Timed> {
    let host = random.below(HOSTS as u64) as usize;
    let coordinator = match random.permille(750) {
        true => leader,
        false => random.below(COORDINATORS as u64) as usize,
    };
    let at_once = |fault, span| vec![(fault, 0, span)];
    match random.below(100) {
        0..12 => at_once(Fault::Cut(split(random, coordinator)), random.within((2_000, 20_000))),
        12..18 => at_once(Fault::Cut(pair(random, coordinator)), random.within((500, 15_000))),
        18..24 => {
            let me = Place::Coordinator(coordinator);
            if random.permille(600) {
                // Commits arrive late, in any order, after others that were sent for them.
                let slow = Fault::Slow(vec![(me, Place::Store)], (50, 3_000));
                return at_once(slow, random.within((3_000, 9_000)));
            }
            let link = (Place::Store, me);
            at_once(Fault::Slow(vec![link], (50, 2_500)), random.within((1_000, 8_000)))
        }
        24..29 => limp(random, coordinator),
        29..42 => lonely(random, coordinator, host),
        42..48 => handover(random, coordinator),
        48..54 => at_once(Fault::Crash(coordinator), random.within((100, 10_000))),
        54..58 => at_once(Fault::Restart(coordinator), random.within((100, 3_000))),
        58..69 => at_once(Fault::Stall(vec![coordinator]), random.within((200, 15_000))),
        69..72 => {
            at_once(Fault::Stall((0..COORDINATORS).collect()), random.within((1_000, 25_000)))
        }
        72..76 => at_once(Fault::PowerLoss(host), random.within((200, 30_000))),
        76..86 => {
            let span = match random.permille(600) {
                true => random.within((200, 4_500)),
                false => random.within((6_000, 40_000)),
            };
            at_once(Fault::Freeze(host), span)
        }
        86..90 => at_once(Fault::DaemonAway(host), random.within((1_000, 30_000))),
        90..92 => at_once(Fault::Jump(host, random.within((1_000, 3_600_000))), 0),
        92..94 => at_once(Fault::Full, random.within((500, 10_000))),
        _ => at_once(Fault::Storm, random.within((2_000, 20_000))),
    }
}

/// The store's answers to a coordinator come late, and then nothing goes either way: a leader
/// that is cut off just after it was heard.
fn limp(random: &mut Random, coordinator: usize) -> Vec<Timed> {
    let me = Place::Coordinator(coordinator);
    let late = random.within((2_000, 5_000));
    let both = vec![(me, Place::Store), (Place::Store, me)];
    let slow = Fault::Slow(vec![(Place::Store, me)], (1_500, 2_900));
    vec![(slow, 0, late), (Fault::Cut(both), late, late + random.within((5_000, 12_000)))]
}

/// A coordinator and one host, where people only look, are cut off from everybody else: nothing
/// but its horizon keeps the coordinator from answering. The store's answers may come late before.
fn lonely(random: &mut Random, coordinator: usize, host: usize) -> Vec<Timed> {
    let (me, there) = (Place::Coordinator(coordinator), Place::Host(host));
    let mut cut = across(&[me, there], &everybody_but(&[me, there]));
    let (at, end) = (14_000, 14_000 + random.within((6_000, 14_000)));
    let mut all = vec![(Fault::Quiet(host), 0, end)];
    if random.permille(500) {
        // Nothing is under way to the store, and what it heard last is answered when it hears no
        // more.
        let others = (0..HOSTS).filter(|it| *it != host);
        all.extend(others.map(|other| (Fault::Quiet(other), 0, at + 500)));
        let answers = (Place::Store, me);
        cut.retain(|link| *link != answers);
        all.push((Fault::Slow(vec![answers], (2_400, 2_900)), at - 3_000, end));
    }
    all.push((Fault::Cut(cut), at, end));
    all
}

/// A coordinator's answers come late while it gives the lead to another one.
fn handover(random: &mut Random, coordinator: usize) -> Vec<Timed> {
    let slow = Fault::Slow(to_hosts(coordinator), (300, 2_600));
    vec![(slow, 0, 3_000), (Fault::Restart(coordinator), 500, 600 + random.below(2_000))]
}

/// The links from a coordinator to every host.
pub(crate) fn to_hosts(coordinator: usize) -> Vec<Link> {
    (0..HOSTS).map(|host| (Place::Coordinator(coordinator), Place::Host(host))).collect()
}

/// Every place but some.
pub(crate) fn everybody_but(some: &[Place]) -> Vec<Place> {
    let coordinators = (0..COORDINATORS).map(Place::Coordinator);
    let all = [Place::Store].into_iter().chain(coordinators).chain((0..HOSTS).map(Place::Host));
    all.filter(|place| !some.contains(place)).collect()
}

/// Both or one of the directions between a coordinator and another place.
fn pair(random: &mut Random, coordinator: usize) -> Vec<Link> {
    let me = Place::Coordinator(coordinator);
    let other = match random.permille(600) {
        true => Place::Store,
        false => Place::Host(random.below(HOSTS as u64) as usize),
    };
    match random.below(3) {
        0 => vec![(me, other)],
        1 => vec![(other, me)],
        _ => vec![(me, other), (other, me)],
    }
}

/// A coordinator and some hosts on one side, the store and everybody else on the other.
fn split(random: &mut Random, coordinator: usize) -> Vec<Link> {
    let mut sides = [vec![Place::Coordinator(coordinator)], vec![Place::Store]];
    let rest = (0..COORDINATORS).filter(|other| *other != coordinator).map(Place::Coordinator);
    sides[1].extend(rest);
    for host in (0..HOSTS).map(Place::Host) {
        sides[random.below(2) as usize].push(host);
    }
    across(&sides[0], &sides[1])
}

/// Every link between two sides.
pub(crate) fn across(one: &[Place], other: &[Place]) -> Vec<Link> {
    one.iter().flat_map(|a| other.iter().flat_map(|b| [(*a, *b), (*b, *a)])).collect()
}
