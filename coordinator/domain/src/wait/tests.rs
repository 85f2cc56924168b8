//! The walk against the whole graph: every wait on the board, and who is left of it in the end.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::board::{Board, Change, Now};
use crate::build::{Build, BuildKey};
use crate::claim::{Claim, Mode, Part, Piece, State, meets};
use crate::hold::{Hold, Waiter};
use crate::id::{BoardTime, ClaimId, Fence, HoldId, JobId, SessionId};
use crate::lock::{self, Lock, LockKey};
use crate::policy::{Merge, Method, Policy, Repo, Spans, Trust};
use crate::scope::{Case, Reach, Risk, Scope, ScopeTree};
use crate::slot::SlotKey;

/// Whoever may hold something, or wait.
const HOLDERS: [Holder; 7] = [
    Holder::Session(SessionId::from_counter(1)),
    Holder::Session(SessionId::from_counter(2)),
    Holder::Session(SessionId::from_counter(3)),
    Holder::Session(SessionId::from_counter(4)),
    Holder::Session(SessionId::from_counter(5)),
    Holder::Job(JobId::from_counter(6)),
    Holder::Job(JobId::from_counter(7)),
];

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn repo() -> Repo {
    let scope = |(name, path): (&str, &str)| Scope {
        name: parsed(name),
        paths: vec![parsed(path)],
        reach: if name == "carve" { Reach::Carve } else { Reach::Plain },
        max: None,
        tests: Vec::new(),
        risk: Risk::Med,
    };
    let scopes = [("a", "a/**"), ("a/b", "a/b/**"), ("c", "c/**"), ("d", "d/**"), ("carve", "*/k")];
    let scopes = scopes.into_iter().map(scope).collect();
    let policy = Policy {
        digest: "new".to_owned(),
        scopes: ScopeTree::new(Case::Sensitive, Vec::new(), scopes).unwrap(),
        pools: [].into(),
        gates: [].into(),
        merge: Merge {
            method: Method::Merge,
            required: Vec::new(),
            trust: Trust::Provers,
            protect: Vec::new(),
        },
    };
    let (base, tree) = ("0".repeat(40), "1".repeat(40));
    Repo {
        name: parsed("molt"),
        branch: "main".to_owned(),
        base,
        tree,
        policy,
        unreadable: None,
        accepted: Vec::new(),
    }
}

/// Numbers that a record is made of, low ones first.
#[derive(Debug, Clone, Copy)]
struct Bits(u64);

impl Bits {
    fn below(&mut self, bound: usize) -> usize {
        let (bound, bits) = (bound as u64, self.0);
        self.0 = bits / bound;
        (bits % bound) as usize
    }

    fn holder(&mut self) -> Holder {
        HOLDERS[self.below(HOLDERS.len())]
    }

    fn hold(&mut self) -> Hold {
        self.waiter().granted(Fence { epoch: 0, n: 1 }, BoardTime(1))
    }

    fn waiter(&mut self) -> Waiter {
        let holder = self.holder();
        let (id, host) = (HoldId::from_counter(1), parsed("h1"));
        Waiter { id, holder, host, since: BoardTime(1), what: String::new() }
    }

    fn line(&mut self) -> Vec<Waiter> {
        (0..self.below(4)).map(|_| self.waiter()).collect()
    }
}

/// A record that is written, or removed where there was one.
fn record(policy: &Policy, mut bits: Bits) -> Change {
    let kind = bits.below(7);
    let is_gone = bits.below(8) == 0;
    match kind {
        0 => {
            let key = LockKey { repo: parsed("molt"), name: parsed(["l1", "l2"][bits.below(2)]) };
            let state = match bits.below(5) {
                0 => lock::State::Delayed { until: BoardTime(9), last: None },
                _ => lock::State::Held(bits.hold()),
            };
            let lock = Lock { state, line: bits.line() };
            Change::Lock(key, (!is_gone).then(|| Arc::new(lock)))
        }
        1 => {
            let key = BuildKey {
                name: parsed(["b1", "b2"][bits.below(2)]),
                fingerprint: parsed("f"),
                profile: parsed("dev"),
                place: parsed("p"),
            };
            let build = match bits.below(5) {
                0 => Build::Built { artifacts: None, at: BoardTime(1) },
                _ => Build::Building { hold: bits.hold(), line: bits.line() },
            };
            Change::Build(key, (!is_gone).then(|| Arc::new(build)))
        }
        2 | 3 => {
            let key = SlotKey { host: parsed("h1"), pool: parsed(["p1", "p2"][bits.below(2)]) };
            let size = bits.below(4) as u32;
            let used = (0..bits.below(4)).map(|slot| (slot as u32, bits.hold())).collect();
            let slots = Slots { size, used, line: bits.line() };
            Change::Slots(key, (!is_gone).then(|| Arc::new(slots)))
        }
        _ => {
            let id = ClaimId::from_counter(1 + bits.below(12) as u64);
            let claim = claim(policy, id, bits);
            Change::Claim(id, (!is_gone).then(|| Arc::new(claim)))
        }
    }
}

fn claim(policy: &Policy, id: ClaimId, mut bits: Bits) -> Claim {
    let state = match bits.below(6) {
        0 | 1 => State::Held { fence: Fence { epoch: 0, n: 1 }, since: BoardTime(1), until: None },
        2 => State::Offered { place: 0, until: BoardTime(9), missed: 0 },
        _ => {
            let (place, missed) = (bits.below(6) as u64, bits.below(2) as u32);
            State::Waiting { place, overtaken: 0, missed }
        }
    };
    let session = SessionId::from_counter(1 + bits.below(5) as u64);
    let mode = if bits.below(4) == 0 { Mode::Shared } else { Mode::Exclusive };
    let is_old = bits.below(5) == 0;
    let mut names = vec![["a", "a/b", "c", "d", "carve"][bits.below(5)]];
    names.extend([None, None, Some("c"), Some("d")][bits.below(4)]);
    names.extend((is_old && bits.below(3) == 0).then_some("gone"));
    names.dedup();
    let globs = [None, None, None, Some("c/x/*"), Some("e/**")][bits.below(5)];
    let part = |name: &&str| Part {
        scope: parsed(name),
        reach: if *name == "carve" { Reach::Carve } else { Reach::Plain },
        // An older policy had other paths.
        paths: if is_old { vec![parsed("e/y")] } else { policy.scopes.patterns(name) },
    };
    Claim {
        id,
        repo: parsed("molt"),
        session,
        parts: names.iter().map(part).collect(),
        globs: globs.into_iter().map(parsed).collect(),
        policy: if is_old { "old" } else { "new" }.to_owned(),
        why: String::new(),
        task: None,
        mode,
        risk: Risk::Med,
        tests: Vec::new(),
        asked: BoardTime(1),
        max: None,
        state,
        handover: None,
        idle: None,
    }
}

fn write(draft: &mut Draft<'_>, change: Change) {
    fn put<K: Ord + Clone, V: Clone>(
        view: &mut crate::board::View<'_, K, V>,
        key: &K,
        value: Option<Arc<V>>,
    ) {
        match value {
            Some(value) => view.put(key.clone(), V::clone(&value)),
            None => view.delete(key),
        }
    }
    match change {
        Change::Claim(key, value) => put(&mut draft.tables.claims, &key, value),
        Change::Lock(key, value) => put(&mut draft.tables.locks, &key, value),
        Change::Build(key, value) => put(&mut draft.tables.builds, &key, value),
        Change::Slots(key, value) => put(&mut draft.tables.slots, &key, value),
        other => panic!("{other:?}"),
    }
}

/// Every wait on the board, as this decision has it.
fn all(draft: &Draft<'_>) -> Vec<Wait> {
    let mut waits = waits_for_scopes(draft);
    for (key, lock) in draft.tables.locks.iter() {
        let held = match &lock.state {
            lock::State::Held(hold) => Some(hold.holder),
            lock::State::Delayed { .. } => None,
        };
        waits.extend(in_line(&key.to_string(), held, &lock.line));
    }
    for (key, build) in draft.tables.builds.iter() {
        if let Build::Building { hold, line } = build {
            waits.extend(in_line(key.name.as_str(), Some(hold.holder), line));
        }
    }
    for (key, slots) in draft.tables.slots.iter() {
        waits.extend((0..slots.line.len()).map(|at| for_slot(&key.to_string(), slots, at)));
    }
    waits
}

fn in_line(on: &str, held: Option<Holder>, line: &[Waiter]) -> Vec<Wait> {
    let before = |at: usize| held.into_iter().chain(line[..at].iter().map(|waiter| waiter.holder));
    let waits = line.iter().enumerate();
    waits.map(|(at, waiter)| Wait::for_all(waiter.holder, on, before(at))).collect()
}

fn waits_for_scopes(draft: &Draft<'_>) -> Vec<Wait> {
    let Some((_, repo)) = draft.tables.repos.iter().next() else { return Vec::new() };
    let policy = &repo.policy;
    let claims: Vec<&Claim> = draft.tables.claims.iter().map(|(_, claim)| claim).collect();
    let mut line: Vec<_> = claims
        .iter()
        .filter_map(|claim| match claim.state {
            State::Waiting { place, missed, .. } => {
                Some(((place, missed, claim.id), renewed(policy, claim)))
            }
            State::Held { .. } | State::Offered { .. } => None,
        })
        .collect();
    line.sort_by_key(|(order, _)| *order);
    let wait = |(at, (_, mine)): (usize, &(_, Claim))| {
        let meets = |other: &Claim| {
            !(other.mode == Mode::Shared && mine.mode == Mode::Shared)
                && mine.pieces().any(|piece| meets(policy, other, &piece).is_some())
        };
        let closing = claims.iter().copied();
        let closing = closing.filter(|it| !matches!(it.state, State::Waiting { .. }) && meets(it));
        let before = line[..at].iter().map(|(_, other)| other).filter(|other| meets(other));
        let others = closing.chain(before).map(|it| Holder::Session(it.session));
        let on = mine.pieces().next().map(|it: Piece| it.to_string());
        Wait::for_all(Holder::Session(mine.session), on.unwrap_or_default(), others)
    };
    line.iter().enumerate().map(wait).collect()
}

/// A waiter as it would be granted what it waits for now.
fn renewed(policy: &Policy, claim: &Claim) -> Claim {
    let part = |part: &Part| {
        let scope = policy.scopes.get(part.scope.as_str())?;
        let (scope, reach) = (scope.name.clone(), scope.reach);
        let paths = policy.scopes.patterns(scope.as_str());
        Some(Part { scope, reach, paths })
    };
    match claim.parts.iter().map(part).collect::<Option<Vec<Part>>>() {
        Some(parts) => Claim { parts, policy: policy.digest.clone(), ..claim.clone() },
        None => claim.clone(),
    }
}

/// Those who are left when all have gone on who can.
fn stuck(waits: &[Wait]) -> BTreeSet<Holder> {
    let mut stuck: BTreeSet<Holder> = waits.iter().map(|wait| wait.who).collect();
    loop {
        let left = waits.iter().filter(|wait| !wait.ends(|it| !stuck.contains(it)));
        let kept: BTreeSet<Holder> = left.map(|wait| wait.who).collect();
        if kept.len() == stuck.len() {
            return stuck;
        }
        stuck = kept;
    }
}

/// The names around the circle that is reached from `who`.
fn circle(waits: &[Wait], stuck: &BTreeSet<Holder>, who: Holder) -> Vec<String> {
    let mut path: Vec<(Holder, String)> = Vec::new();
    let mut at = who;
    while !path.iter().any(|(holder, _)| *holder == at) {
        let is_left = |wait: &&Wait| wait.who == at && !wait.ends(|it| !stuck.contains(it));
        let wait = waits.iter().find(is_left).unwrap();
        path.push((at, wait.on.clone()));
        at = *wait.blockers.iter().find(|it| stuck.contains(it)).unwrap();
    }
    let start = path.iter().position(|(holder, _)| *holder == at).unwrap();
    path.into_iter().skip(start).map(|(_, on)| on).collect()
}

/// What is refused by the whole graph.
fn refused(draft: &Draft<'_>, new: &[Wait]) -> Option<Vec<String>> {
    let mut waits = all(draft);
    waits.extend(new.iter().cloned());
    let stuck = stuck(&waits);
    let who = new.iter().map(|wait| wait.who).find(|who| stuck.contains(who))?;
    new.iter().any(|it| !it.blockers.is_empty()).then(|| circle(&waits, &stuck, who))
}

/// Waits that somebody asks for: one, or some of those whom a grant passes.
fn asked(mut bits: Bits) -> Vec<Wait> {
    let count = 1 + bits.below(2);
    let wait = |_| {
        let who = bits.holder();
        let blockers: Vec<Holder> = (0..bits.below(4)).map(|_| bits.holder()).collect();
        let wait = Wait::for_all(who, "asked", blockers);
        let need = wait.need.saturating_sub(bits.below(2));
        Wait { need, ..wait }
    };
    (0..count).map(wait).collect()
}

fn cycle(answer: Result<(), Box<Refusal>>) -> Option<Vec<String>> {
    match answer.map_err(|refusal| *refusal) {
        Ok(()) => None,
        Err(Refusal::WaitCycle { cycle }) => Some(cycle),
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn a_walk_finds_what_the_whole_graph_says(
        stored in prop::collection::vec(any::<u64>(), 0..24),
        written in prop::collection::vec(any::<u64>(), 0..6),
        questions in prop::collection::vec(any::<u64>(), 1..6),
    ) {
        let repo = repo();
        let mut board = Board::new(Spans::default());
        board.apply(Change::Repo(repo.name.clone(), Some(Arc::new(repo.clone()))));
        for bits in stored {
            board.apply(record(&repo.policy, Bits(bits)));
        }
        let mut draft = Draft::new(&board, Now { board: BoardTime(1), wall: 1 });
        for bits in written {
            write(&mut draft, record(&repo.policy, Bits(bits)));
        }
        let waits = all(&draft);
        let stuck = stuck(&waits);
        prop_assert_eq!(&who_is_stuck(&draft), &stuck);
        for who in HOLDERS {
            prop_assert_eq!(is_stuck(&draft, who), stuck.contains(&who));
            let circle = stuck.contains(&who).then(|| circle(&waits, &stuck, who));
            prop_assert_eq!(cycle(refuse_stuck(&draft, who)), circle);
        }
        for bits in questions {
            let new = asked(Bits(bits));
            prop_assert_eq!(refused(&draft, &new), cycle(refuse_cycle(&draft, new)));
        }
    }
}
