//! Reading a pattern: text to atoms, and every way through its braces.
//!
//! A way is one choice of alternatives, as a shell would expand them. Each is
//! checked by itself, so that a fault inside a brace is found wherever it
//! hides. Not here: what atoms match ([`super::automaton`]).

use super::pattern::PatternFault;

/// The longest pattern, in bytes of its normal form.
pub const MAX_PATTERN_BYTES: usize = 256;

/// The most alternatives that the braces of one pattern may expand to.
pub const MAX_ALTERNATIVES: usize = 64;

/// One unit of a pattern.
#[derive(Debug, Clone)]
pub(super) enum Atom {
    /// `/`.
    Slash,
    /// A character that stands for itself.
    Literal(char),
    /// `?`.
    One,
    /// `*`.
    Star,
    /// `**`, a whole segment.
    Deep,
    /// `[set]`.
    Set { ranges: Vec<(char, char)>, negated: Negated },
}

/// Whether a set names what it matches or what it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Negated {
    No,
    Yes,
}

/// A pattern that has been read.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The atoms in the order of the text.
    pub(super) atoms: Vec<Atom>,
    /// Where each atom starts; the first character is 1.
    columns: Vec<usize>,
    /// Every way through the braces, as indexes of atoms.
    pub(super) ways: Vec<Vec<usize>>,
}

/// A fault and where it is; the first character is 1.
pub(super) type Located = (usize, PatternFault);

enum Node {
    Atom(usize),
    /// The branches of a brace, and where it starts.
    Choice(usize, Vec<Vec<Node>>),
}

/// Reads `text`, which is in normal form C.
pub(super) fn parse(text: &str) -> Result<Parsed, Located> {
    if text.is_empty() {
        return Err((1, PatternFault::Empty));
    }
    if text.len() > MAX_PATTERN_BYTES {
        let fits = |&(index, c): &(usize, char)| index + c.len_utf8() <= MAX_PATTERN_BYTES;
        let at = text.char_indices().take_while(fits).count() + 1;
        return Err((at, PatternFault::TooLong { bytes: text.len() }));
    }
    let mut reader =
        Reader { chars: text.chars().collect(), at: 0, atoms: vec![], columns: vec![] };
    let nodes = reader.sequence(0)?;
    if count(&nodes) > MAX_ALTERNATIVES {
        let brace = nodes.iter().find_map(|node| match node {
            Node::Choice(at, _) => Some(*at),
            Node::Atom(_) => None,
        });
        return Err((brace.unwrap_or(1), PatternFault::TooManyAlternatives));
    }
    let ways = expand(&nodes);
    let parsed = Parsed { atoms: reader.atoms, columns: reader.columns, ways };
    for way in &parsed.ways {
        parsed.check(way)?;
    }
    Ok(parsed)
}

/// How many ways there are; saturates.
fn count(nodes: &[Node]) -> usize {
    let ways = |node: &Node| match node {
        Node::Atom(_) => 1,
        Node::Choice(_, branches) => {
            branches.iter().map(|branch| count(branch)).fold(0, usize::saturating_add)
        }
    };
    nodes.iter().map(ways).fold(1, usize::saturating_mul)
}

fn expand(nodes: &[Node]) -> Vec<Vec<usize>> {
    let mut ways = vec![vec![]];
    for node in nodes {
        match node {
            Node::Atom(atom) => ways.iter_mut().for_each(|way| way.push(*atom)),
            Node::Choice(_, branches) => {
                let tails: Vec<Vec<usize>> =
                    branches.iter().flat_map(|branch| expand(branch)).collect();
                ways = ways
                    .iter()
                    .flat_map(|way| tails.iter().map(move |tail| [&way[..], tail].concat()))
                    .collect();
            }
        }
    }
    ways
}

impl Parsed {
    /// The segments of `way`.
    fn segments<'a>(&'a self, way: &'a [usize]) -> impl Iterator<Item = &'a [usize]> {
        way.split(|&atom| matches!(self.atoms[atom], Atom::Slash))
    }

    /// The text of a segment without wildcards.
    fn literal(&self, segment: &[usize]) -> Option<String> {
        segment
            .iter()
            .map(|&atom| match self.atoms[atom] {
                Atom::Literal(c) => Some(c),
                _ => None,
            })
            .collect()
    }

    /// The leading segments without wildcards of each way.
    pub(super) fn literal_prefixes(&self) -> impl Iterator<Item = Vec<String>> {
        self.ways
            .iter()
            .map(|way| self.segments(way).map_while(|segment| self.literal(segment)).collect())
    }

    fn check(&self, way: &[usize]) -> Result<(), Located> {
        if way.is_empty() {
            return Err((1, PatternFault::EmptyAlternative));
        }
        let mut start = 0;
        for segment in self.segments(way) {
            let end = start + segment.len();
            let fault = match (segment.is_empty(), start) {
                (true, 0) => Some(PatternFault::LeadingSlash),
                (true, _) if end == way.len() => Some(PatternFault::TrailingSlash),
                (true, _) => Some(PatternFault::EmptySegment),
                (false, _) => self.segment_fault(segment),
            };
            if let Some(fault) = fault {
                // An empty segment has no column: its `/` has, or the one before it.
                let at = way.get(start).or(way.last());
                return Err((at.map_or(1, |&atom| self.columns[atom]), fault));
            }
            start = end + 1;
        }
        Ok(())
    }

    fn segment_fault(&self, segment: &[usize]) -> Option<PatternFault> {
        let deep = segment.iter().any(|&atom| matches!(self.atoms[atom], Atom::Deep));
        if deep && segment.len() > 1 {
            return Some(PatternFault::PartialDeep);
        }
        let dots = self.literal(segment).is_some_and(|text| text == "." || text == "..");
        dots.then_some(PatternFault::DotSegment)
    }
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    atoms: Vec<Atom>,
    columns: Vec<usize>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Atoms and braces up to the end of the text, or of the branch when inside of a brace.
    fn sequence(&mut self, nesting: usize) -> Result<Vec<Node>, Located> {
        let mut nodes = vec![];
        while let Some(c) = self.peek() {
            let start = self.at;
            if nesting > 0 && matches!(c, ',' | '}') {
                break;
            }
            self.at += 1;
            let atom = match c {
                '{' => {
                    nodes.push(self.choice(nesting + 1)?);
                    continue;
                }
                '}' => return Err((start + 1, PatternFault::UnopenedBrace)),
                '/' => Atom::Slash,
                '?' => Atom::One,
                '*' => self.stars()?,
                '[' => self.set()?,
                '\\' => self.escaped()?,
                c => literal(c, start)?,
            };
            nodes.push(Node::Atom(self.atoms.len()));
            self.atoms.push(atom);
            self.columns.push(start + 1);
        }
        Ok(nodes)
    }

    /// The branches of a brace whose `{` has been read.
    fn choice(&mut self, nesting: usize) -> Result<Node, Located> {
        let start = self.at;
        let mut branches = vec![];
        loop {
            branches.push(self.sequence(nesting)?);
            let end = self.peek();
            self.at += 1;
            match end {
                Some(',') => {}
                Some(_) => return Ok(Node::Choice(start, branches)),
                None => return Err((start, PatternFault::UnclosedBrace)),
            }
        }
    }

    /// The rest of a run of stars whose first has been read.
    fn stars(&mut self) -> Result<Atom, Located> {
        let start = self.at;
        while self.peek() == Some('*') {
            self.at += 1;
        }
        match self.at - start {
            0 => Ok(Atom::Star),
            1 => Ok(Atom::Deep),
            _ => Err((start, PatternFault::PartialDeep)),
        }
    }

    /// The character after a `\`.
    fn escaped(&mut self) -> Result<Atom, Located> {
        let start = self.at;
        let c = self.peek().ok_or((start, PatternFault::DanglingEscape))?;
        self.at += 1;
        if c == '/' { Err((start, PatternFault::EscapedSlash)) } else { literal(c, start) }
    }

    /// The rest of a set whose `[` has been read. As in every shell, `]` is a
    /// member when it is first, and `-` when it is first or last.
    fn set(&mut self) -> Result<Atom, Located> {
        let open = self.at;
        let negated = if matches!(self.peek(), Some('!' | '^')) {
            self.at += 1;
            Negated::Yes
        } else {
            Negated::No
        };
        let first = self.at;
        let mut after_range = false;
        let mut ranges = vec![];
        loop {
            let start = self.at;
            let low = self.member(open)?;
            if low == ']' && start > first {
                return Ok(Atom::Set { ranges, negated });
            }
            let dash = self.peek() == Some('-');
            if after_range && low == '-' && self.peek() != Some(']') {
                return Err((start + 1, PatternFault::RangeOfRange));
            }
            after_range = dash && self.chars.get(self.at + 1).is_some_and(|&c| c != ']');
            let mut high = low;
            if after_range {
                self.at += 1;
                high = self.member(open)?;
            }
            if high < low {
                return Err((start + 1, PatternFault::ReversedRange { low, high }));
            }
            ranges.push((low, high));
        }
    }

    /// The next character of the set that was opened before `open`.
    fn member(&mut self, open: usize) -> Result<char, Located> {
        let c = self.peek().ok_or((open, PatternFault::UnclosedSet))?;
        self.at += 1;
        match c {
            '/' => Err((self.at, PatternFault::SlashInSet)),
            c if c.is_control() => Err((self.at, PatternFault::Control)),
            c => Ok(c),
        }
    }
}

fn literal(c: char, index: usize) -> Result<Atom, Located> {
    if c.is_control() { Err((index + 1, PatternFault::Control)) } else { Ok(Atom::Literal(c)) }
}
