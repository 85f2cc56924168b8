//! The seeded network: what is sent arrives later, or never, or twice.
//!
//! A parcel is a deed that is done where and when it arrives. It is lost when its link is cut as
//! it is sent or as it arrives. Parcels are handed over between two quanta of virtual time, in
//! the order of their arrival, so a run has one order of everything. Not here: who is frozen or
//! dead (`world`), and what the parcels mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::random::Random;
use crate::trace::Trace;

/// The least time that a parcel is on its way, in milliseconds: one quantum of virtual time.
pub(crate) const QUANTUM: u64 = 10;

/// Who can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Store,
    Coordinator(usize),
    Host(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => write!(f, "store"),
            Self::Coordinator(n) => write!(f, "c{n}"),
            Self::Host(n) => write!(f, "h{n}"),
        }
    }
}

/// One direction between two places.
pub(crate) type Link = (Place, Place);

/// What is done where a parcel arrives.
type Deed = Box<dyn FnOnce() + Send>;

/// What may happen to parcels that nothing else happens to, in a thousand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) repeated: u64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { lost: 0, late: 0, repeated: 0 };
    pub(crate) const ROUGH: Self = Self { lost: 12, late: 25, repeated: 25 };
}

/// A number of which there is one: what happens in the same moment happens in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// How long an ordinary parcel, and a late one, is on its way, in milliseconds.
const ORDINARY: (u64, u64) = (QUANTUM, 3 * QUANTUM);
const LATE: (u64, u64) = (200, 8_000);

/// The network, shared by everything that sends.
#[derive(Clone)]
pub(crate) struct Net(Arc<Mutex<Inner>>);

struct Inner {
    now: u64,
    random: Random,
    weather: Weather,
    /// A machine loses power at this moment: what its tasks send as they are dropped leaves nothing.
    mute: bool,
    cuts: BTreeSet<Link>,
    slow: BTreeMap<Link, (u64, u64)>,
    /// By arrival, then in the order of sending.
    under_way: BTreeMap<(u64, Ticket), Parcel>,
    /// What did not arrive. It is kept, because nobody is told: not even by a destructor.
    lost: Vec<Deed>,
    tickets: u64,
    trace: Trace,
}

struct Parcel {
    way: Way,
    deed: Deed,
}

/// How something comes about.
#[derive(Clone, Copy)]
enum Way {
    /// It is sent.
    Sent(Link, &'static str),
    /// Somebody notices that a connection is gone: over a link, or by waiting.
    Noticed(Option<Link>),
}

impl Net {
    pub(crate) fn new(random: Random, kept: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now: 0,
            random,
            weather: Weather::FAIR,
            mute: false,
            cuts: BTreeSet::new(),
            slow: BTreeMap::new(),
            under_way: BTreeMap::new(),
            lost: Vec::new(),
            tickets: 0,
            trace: Trace::new(kept),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True virtual time, in milliseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        self.inner().now
    }

    /// Sends a parcel. `false`: it is lost already.
    pub(crate) fn send(&self, link: Link, what: &'static str, deed: Deed) -> bool {
        self.send_after(link, what, 0, deed).is_some()
    }

    /// Sends a parcel that arrives no earlier than `after`, for streams that keep their order.
    /// Answers when it arrives, unless it is lost already.
    pub(crate) fn send_after(
        &self,
        link: Link,
        what: &'static str,
        after: u64,
        deed: Deed,
    ) -> Option<u64> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if inner.mute {
            inner.lost.push(deed);
            return None;
        }
        let weather = inner.weather;
        if inner.cuts.contains(&link) || inner.random.permille(weather.lost) {
            inner.note("lost", link, what);
            inner.lost.push(deed);
            return None;
        }
        let span = match inner.slow.get(&link) {
            Some(span) => *span,
            None if inner.random.permille(weather.late) => LATE,
            None => ORDINARY,
        };
        let due = (inner.now + inner.random.within(span)).max(after);
        let (now, ticket) = (inner.now, inner.ticket());
        inner.trace.detail(now, || {
            format!("sent  {} -> {} {what} as {}, due {due}", link.0, link.1, ticket.0)
        });
        inner.under_way.insert((due, ticket), Parcel { way: Way::Sent(link, what), deed });
        Some(due)
    }

    /// A place in the order of what happens in one moment.
    pub(crate) fn ticket(&self) -> Ticket {
        self.inner().ticket()
    }

    /// Does something at a time, unless `over` is cut then, as part of what a destructor sets off:
    /// destructors run in any order, so it has its place in the order already.
    pub(crate) fn notice(&self, ticket: Ticket, at: u64, over: Option<Link>, deed: Deed) {
        let parcel = Parcel { way: Way::Noticed(over), deed };
        self.inner().under_way.insert((at, ticket), parcel);
    }

    /// Whether the network sends something twice this time.
    pub(crate) fn repeats(&self) -> bool {
        let mut inner = self.inner();
        let chance = inner.weather.repeated;
        inner.random.permille(chance)
    }

    /// Passes a quantum of time and hands over what arrives.
    pub(crate) fn pass(&self) {
        self.inner().now += QUANTUM;
        while let Some(deed) = self.arrives() {
            deed();
        }
    }

    fn arrives(&self) -> Option<Deed> {
        let mut inner = self.inner();
        loop {
            let due = *inner.under_way.first_key_value()?.0;
            if due.0 > inner.now {
                return None;
            }
            let Parcel { way, deed } = inner.under_way.remove(&due)?;
            let (Way::Sent(link, _) | Way::Noticed(Some(link))) = way else { return Some(deed) };
            let cut = inner.cuts.contains(&link);
            if let Way::Sent(_, what) = way {
                inner.note(if cut { "cut" } else { "got" }, link, what);
            }
            if !cut {
                return Some(deed);
            }
            inner.lost.push(deed);
        }
    }

    pub(crate) fn cut(&self, link: Link) {
        self.inner().cuts.insert(link);
    }

    pub(crate) fn mend(&self, link: Link) {
        let mut inner = self.inner();
        inner.cuts.remove(&link);
        inner.slow.remove(&link);
    }

    /// Everything on a link takes between so many milliseconds from now on.
    pub(crate) fn slow(&self, link: Link, span: (u64, u64)) {
        self.inner().slow.insert(link, span);
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.inner().weather = weather;
    }

    /// Drops a machine that loses power: in whichever order its tasks end, nothing leaves it.
    pub(crate) fn drop_silently<T>(&self, machine: T) {
        self.inner().mute = true;
        drop(machine);
        self.inner().mute = false;
    }

    /// Mends every link.
    pub(crate) fn heal(&self) {
        let mut inner = self.inner();
        inner.cuts.clear();
        inner.slow.clear();
        inner.weather = Weather::FAIR;
    }

    /// Notes a step of the run: one event or fault.
    pub(crate) fn step(&self, line: impl FnOnce() -> String) {
        let mut inner = self.inner();
        let now = inner.now;
        inner.trace.step(now, line);
    }

    /// How many steps there were.
    pub(crate) fn steps(&self) -> u64 {
        self.inner().trace.steps()
    }

    /// A digest of every step so far.
    pub(crate) fn digest(&self) -> String {
        self.inner().trace.digest()
    }

    /// The last steps, oldest first.
    pub(crate) fn last_steps(&self) -> Vec<String> {
        self.inner().trace.last()
    }

    /// Lets go of everything that is under way or lost, which is what keeps a run in memory.
    pub(crate) fn close(&self) {
        let gone = {
            let mut inner = self.inner();
            (std::mem::take(&mut inner.under_way), std::mem::take(&mut inner.lost))
        };
        self.drop_silently(gone);
    }
}

impl Inner {
    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn note(&mut self, became: &str, (from, to): Link, what: &str) {
        let now = self.now;
        self.trace.step(now, || format!("{became:<5} {from} -> {to} {what}"));
    }
}
