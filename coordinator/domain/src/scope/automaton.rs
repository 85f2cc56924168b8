//! What a pattern matches, as an automaton over the characters of a path.
//!
//! Each atom is one state (Glushkov's construction): a state is entered by
//! reading a character that its label has, so there are no empty moves and at
//! most [`MAX_STATES`] states, however the braces are nested. Braces share
//! states because what may follow an atom does not depend on the way to it.
//! Not here: two patterns at once ([`super::overlap()`]).

use super::case::{self, Case};
use super::parse::{Atom, MAX_PATTERN_BYTES, Negated, Parsed};

/// One state per character of the pattern, and the start.
const MAX_STATES: usize = MAX_PATTERN_BYTES + 1;

/// The state before anything was read.
pub(super) const START: usize = 0;

/// How far the current segment of a path has been read.
///
/// It keeps automata to real paths: no segment is empty, `.` or `..`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    Empty,
    Dot,
    DotDot,
    Named,
}

impl Segment {
    /// The segment after `c`, or `None` when no path goes on like that.
    pub(super) fn step(self, c: char) -> Option<Self> {
        match (self, c) {
            (_, '\0') => None,
            (Self::Named, '/') => Some(Self::Empty),
            (_, '/') => None,
            (Self::Empty, '.') => Some(Self::Dot),
            (Self::Dot, '.') => Some(Self::DotDot),
            _ => Some(Self::Named),
        }
    }
}

/// A set of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct States([u64; MAX_STATES.div_ceil(64)]);

impl States {
    const NONE: Self = Self([0; MAX_STATES.div_ceil(64)]);

    fn insert(&mut self, state: usize) {
        self.0[state / 64] |= 1 << (state % 64);
    }

    fn contains(&self, state: usize) -> bool {
        self.0[state / 64] >> (state % 64) & 1 == 1
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        let mut words = self.0;
        let mut index = 0;
        std::iter::from_fn(move || {
            while *words.get(index)? == 0 {
                index += 1;
            }
            let lowest = words[index].trailing_zeros() as usize;
            words[index] &= words[index] - 1;
            Some(index * 64 + lowest)
        })
    }
}

/// The characters that lead into a state: never NUL, and `/` only alone.
#[derive(Debug, Clone)]
pub(super) struct Label {
    /// One bit per ASCII character.
    ascii: u128,
    /// Ranges beyond ASCII, sorted and apart.
    wide: Vec<(char, char)>,
}

const SLASH: u128 = bit('/');
const UPPER: u128 = span('A', 'Z');
const LOWER: u128 = span('a', 'z');
/// NUL ends a path for every host, and `/` a segment.
const IN_SEGMENT: u128 = !SLASH & !bit('\0');
const CONTROL: u128 = span('\0', '\u{1f}') | bit('\u{7f}');

/// ASCII characters from the plainest to the oddest: a witness is made to be read.
const PLAINEST: [u128; 6] = [
    bit('x') | SLASH,
    LOWER,
    span('0', '9') | UPPER,
    bit('_') | bit('-'),
    !CONTROL & !bit('.') & !bit(' '),
    bit(' '),
];

const FIRST_WIDE: char = '\u{80}';

const fn bit(c: char) -> u128 {
    1 << c as u32
}

const fn span(low: char, high: char) -> u128 {
    (u128::MAX >> (127 - high as u32)) & (u128::MAX << low as u32)
}

impl Label {
    fn slash() -> Self {
        Self { ascii: SLASH, wide: vec![] }
    }

    fn of(atom: &Atom, case: Case) -> Self {
        match atom {
            Atom::Slash => Self::slash(),
            Atom::Literal(c) => Self::ranges(&[(*c, *c)], case),
            Atom::One | Atom::Star | Atom::Deep => Self::ranges(&[], case).complement(case),
            Atom::Set { ranges, negated: Negated::No } => Self::ranges(ranges, case),
            Atom::Set { ranges, negated: Negated::Yes } => {
                Self::ranges(ranges, case).complement(case)
            }
        }
    }

    fn ranges(ranges: &[(char, char)], case: Case) -> Self {
        let mut ascii = 0;
        let mut wide = vec![];
        for &(low, high) in ranges {
            if low.is_ascii() {
                ascii |= span(low, high.min('\u{7f}'));
            }
            if !high.is_ascii() {
                wide.push((low.max(FIRST_WIDE), high));
            }
        }
        if case == Case::Insensitive {
            ascii = (ascii & !UPPER) | (ascii & UPPER) << ('a' as u32 - 'A' as u32);
            let folded: Vec<char> =
                wide.iter().flat_map(|&(low, high)| case::folds(low, high)).collect();
            for c in folded {
                if c.is_ascii() {
                    ascii |= bit(c);
                } else {
                    wide.push((c, c));
                }
            }
        }
        Self { ascii: ascii & IN_SEGMENT, wide: merged(wide) }
    }

    /// Every other character of a segment.
    fn complement(&self, case: Case) -> Self {
        let upper = if case == Case::Insensitive { UPPER } else { 0 };
        let mut wide = vec![];
        let mut next = Some(FIRST_WIDE);
        for &(low, high) in &self.wide {
            wide.extend(next.zip(before(low)).filter(|(low, high)| low <= high));
            next = after(high);
        }
        wide.extend(next.map(|low| (low, char::MAX)));
        Self { ascii: !self.ascii & IN_SEGMENT & !upper, wide }
    }

    fn contains(&self, c: char) -> bool {
        if c.is_ascii() {
            return self.ascii & bit(c) != 0;
        }
        let index = self.wide.partition_point(|&(_, high)| high < c);
        self.wide.get(index).is_some_and(|&(low, _)| low <= c)
    }

    /// A character that both labels have, the plainest there is.
    ///
    /// `.` comes last: where another character will do, it leaves more ways to
    /// go on, so that trying one character per pair of labels is enough.
    pub(super) fn common(&self, other: &Self, case: Case) -> Option<char> {
        let ascii = self.ascii & other.ascii;
        if ascii != 0
            && let Some(hit) = PLAINEST.iter().map(|group| ascii & group).find(|&hit| hit != 0)
        {
            return Some(lowest(hit));
        }
        self.common_wide(other, case).or_else(|| {
            let control = ascii & CONTROL;
            (ascii != 0).then(|| lowest(if control == 0 { ascii } else { control }))
        })
    }

    fn common_wide(&self, other: &Self, case: Case) -> Option<char> {
        if self.wide.is_empty() || other.wide.is_empty() {
            return None;
        }
        let shared = self.wide.iter().flat_map(|&(low, high)| {
            other.wide.iter().filter_map(move |&(from, to)| {
                let (low, high) = (low.max(from), high.min(to));
                (low <= high).then_some((low, high))
            })
        });
        let mut control = None;
        for c in shared.flat_map(|(low, high)| low..=high) {
            // A path that is read without case never has a character that folds to another.
            if case.fold(c) != c {
                continue;
            }
            if !c.is_control() {
                return Some(c);
            }
            control = Some(c);
        }
        control
    }
}

/// The first character of a non-empty set.
fn lowest(ascii: u128) -> char {
    char::from(ascii.trailing_zeros() as u8)
}

fn merged(mut ranges: Vec<(char, char)>) -> Vec<(char, char)> {
    ranges.sort_unstable();
    let mut merged: Vec<(char, char)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

fn before(c: char) -> Option<char> {
    ('\0'..c).next_back()
}

fn after(c: char) -> Option<char> {
    (c..=char::MAX).nth(1)
}

/// A pattern's automaton for paths of one case.
#[derive(Debug)]
pub(super) struct Automaton {
    case: Case,
    /// What leads into each state; nothing leads into the start.
    labels: Vec<Label>,
    /// The states that may follow each state, all in one list.
    edges: Vec<usize>,
    /// Where each state's part of `edges` ends.
    ends: Vec<usize>,
    /// The states in which a path may end.
    accepting: States,
    /// The ASCII characters that a path may end with; NUL stands for all others.
    endings: u128,
    /// The literal segments that a path starts with: one of these, sorted, none in front of another.
    prefixes: Vec<Vec<String>>,
}

impl Automaton {
    pub(super) fn new(parsed: &Parsed, case: Case) -> Self {
        let mut draft = Draft::new(parsed, case);
        for way in &parsed.ways {
            draft.follow(parsed, way);
        }
        draft.finish(parsed, case)
    }

    pub(super) fn case(&self) -> Case {
        self.case
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn prefixes(&self) -> &[Vec<String>] {
        &self.prefixes
    }

    pub(super) fn endings(&self) -> u128 {
        self.endings
    }

    pub(super) fn label(&self, state: usize) -> &Label {
        &self.labels[state]
    }

    pub(super) fn is_accepting(&self, state: usize) -> bool {
        self.accepting.contains(state)
    }

    /// The states that may follow `state`.
    pub(super) fn edges(&self, state: usize) -> &[usize] {
        let start = if state == START { 0 } else { self.ends[state - 1] };
        &self.edges[start..self.ends[state]]
    }

    /// Whether the pattern matches `path`, which is canonical for this case.
    pub(super) fn matches(&self, path: &str) -> bool {
        let mut segment = Segment::Empty;
        let mut now = States::NONE;
        now.insert(START);
        for c in path.chars() {
            let Some(longer) = segment.step(c) else {
                return false;
            };
            segment = longer;
            let mut next = States::NONE;
            for state in now.iter() {
                for &to in self.edges(state) {
                    if self.labels[to].contains(c) {
                        next.insert(to);
                    }
                }
            }
            if next == States::NONE {
                return false;
            }
            now = next;
        }
        segment == Segment::Named && now.iter().any(|state| self.is_accepting(state))
    }
}

/// An automaton whose edges are still being found.
struct Draft {
    labels: Vec<Label>,
    follow: Vec<States>,
    accepting: States,
}

impl Draft {
    /// The states and what they do by themselves.
    fn new(parsed: &Parsed, case: Case) -> Self {
        let mut labels = vec![Label { ascii: 0, wide: vec![] }];
        labels.extend(parsed.atoms.iter().map(|atom| Label::of(atom, case)));
        let mut follow = vec![States::NONE; labels.len()];
        for (index, atom) in parsed.atoms.iter().enumerate() {
            let state = index + 1;
            if matches!(atom, Atom::Star | Atom::Deep) {
                follow[state].insert(state);
            }
            if matches!(atom, Atom::Deep) {
                // The `/` between two segments of one `**`.
                let inner = labels.len();
                labels.push(Label::slash());
                follow.push(States::NONE);
                follow[state].insert(inner);
                follow[inner].insert(state);
            }
        }
        Self { labels, follow, accepting: States::NONE }
    }

    /// Adds what follows what on one way through the braces.
    fn follow(&mut self, parsed: &Parsed, way: &[usize]) {
        let states = std::iter::once(START).chain(way.iter().map(|atom| atom + 1));
        for (read, state) in states.enumerate() {
            let mut next = read;
            loop {
                let Some(&atom) = way.get(next) else {
                    self.accepting.insert(state);
                    break;
                };
                self.follow[state].insert(atom + 1);
                match parsed.atoms[atom] {
                    Atom::Star => next += 1,
                    // No segment at all, and then not its `/` either. At the end there is one.
                    Atom::Deep if next + 1 < way.len() => next += 2,
                    _ => break,
                }
            }
        }
    }

    fn finish(self, parsed: &Parsed, case: Case) -> Automaton {
        let mut edges = vec![];
        let ends = self
            .follow
            .iter()
            .map(|states| {
                edges.extend(states.iter());
                edges.len()
            })
            .collect();
        let endings = self
            .accepting
            .iter()
            .map(|state| &self.labels[state])
            .fold(0, |all, label| all | label.ascii | u128::from(!label.wide.is_empty()));
        Automaton {
            case,
            labels: self.labels,
            edges,
            ends,
            accepting: self.accepting,
            endings,
            prefixes: prefixes(parsed, case),
        }
    }
}

fn prefixes(parsed: &Parsed, case: Case) -> Vec<Vec<String>> {
    let canonical = |segment: String| case.canonical(&segment).into_owned();
    let mut prefixes: Vec<Vec<String>> =
        parsed.literal_prefixes().map(|way| way.into_iter().map(canonical).collect()).collect();
    prefixes.sort_unstable();
    // Whatever starts with the kept one follows it directly.
    prefixes.dedup_by(|longer, kept| longer.starts_with(kept));
    prefixes
}
