//! Overlap against brute force: generated patterns, every pair of them, every path of a small
//! alphabet, and `globset` as the judge of what matches.
//!
//! The seed is fixed, so that a failure is the same everywhere; `OVERLAP_SEED` tries another one.

use std::collections::HashMap;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use globset::{Candidate, GlobBuilder, GlobMatcher};
use molt_domain::scope::{Case, Pattern, overlap};

const PATTERNS: usize = 2_000;
/// `x` is among them because witnesses prefer it, and can then be looked up.
const ALPHABET: [char; 3] = ['a', 'x', '.'];
const MAX_SEGMENTS: usize = 3;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// A part of a generated pattern, which knows its alternatives without any parser.
#[derive(Clone)]
enum Part {
    Text(&'static str),
    Choice(Vec<Vec<Part>>),
}

/// Stands for `**` until the text is written out, so that two stars that meet are not one.
const DEEP: &str = "\u{1}";

fn written(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.replace(DEEP, "**"),
        Part::Choice(branches) => {
            let branches: Vec<String> = branches.iter().map(|branch| written(branch)).collect();
            format!("{{{}}}", branches.join(","))
        }
    };
    parts.iter().map(part).collect()
}

fn expanded(parts: &[Part]) -> Vec<String> {
    parts.iter().fold(vec![String::new()], |heads, part| {
        let tails = match part {
            Part::Text(text) => vec![(*text).to_owned()],
            Part::Choice(branches) => branches.iter().flat_map(|b| expanded(b)).collect(),
        };
        heads
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
            .collect()
    })
}

fn segment(random: &mut Random, nesting: usize) -> Vec<Part> {
    let atoms = 1 + random.below(2);
    let atom = |random: &mut Random| match random.below(100) {
        0..20 => Part::Text("*"),
        20..34 => Part::Text("?"),
        34..44 => Part::Text(random.pick(&["[ax]", "[a-x]", "[.a]", "[x-]", "[-.a]"])),
        44..53 => Part::Text(random.pick(&["[!a]", "[^x]", "[!.x]", "[!b-z]"])),
        53..65 if nesting < 2 => {
            let branches = 2 + random.below(2);
            Part::Choice((0..branches).map(|_| branch(random, nesting + 1)).collect())
        }
        _ => Part::Text(random.pick(&["a", "x", ".", r"\a", "ax", "xa"])),
    };
    (0..atoms).map(|_| atom(random)).collect()
}

/// An alternative: part of a segment, or several segments, or nothing.
fn branch(random: &mut Random, nesting: usize) -> Vec<Part> {
    match random.below(10) {
        0 => vec![],
        1..3 => path(random, 2, nesting),
        _ => segment(random, nesting),
    }
}

fn path(random: &mut Random, max: usize, nesting: usize) -> Vec<Part> {
    let segments = 1 + random.below(max);
    let mut parts = vec![];
    for index in 0..segments {
        if index > 0 {
            parts.push(Part::Text("/"));
        }
        if random.percent(22) {
            parts.push(Part::Text(DEEP));
        } else {
            parts.extend(segment(random, nesting));
        }
    }
    parts
}

/// Whether a way through the braces is a pattern by the rules, judged from its text alone.
fn is_sound(way: &str) -> bool {
    let sound = |segment: &str| {
        let partial = segment.contains(DEEP) && segment != DEEP;
        !(segment.is_empty() || segment == "." || segment == ".." || partial)
    };
    // Two stars that meet would be `**` for the judge.
    way.split('/').all(sound) && !way.contains("**")
}

struct Generated {
    pattern: Pattern,
    judges: Vec<GlobMatcher>,
}

impl Generated {
    fn judged(&self, path: &str) -> bool {
        self.judges.iter().any(|judge| judge.is_match(path))
    }
}

fn generate(random: &mut Random) -> Generated {
    loop {
        let parts = path(random, MAX_SEGMENTS, 0);
        let mut ways = expanded(&parts);
        ways.sort_unstable();
        ways.dedup();
        if ways.len() <= 8 && ways.iter().all(|way| is_sound(way)) {
            let text = written(&parts);
            let pattern = text.parse().unwrap_or_else(|error| panic!("{error}"));
            // `globset` reads `**` inside of a brace in its own way, so it gets the ways instead.
            let whole = ways.len() == 1 || !text.contains("**");
            let judged = if whole { vec![text] } else { ways };
            return Generated { pattern, judges: judged.iter().map(|text| judge(text)).collect() };
        }
    }
}

fn judge(text: &str) -> GlobMatcher {
    // For `globset`, unlike for us, a negated set matches `/`.
    let text = text.replace(DEEP, "**").replace("[!", "[!/").replace("[^", "[^/");
    GlobBuilder::new(&text)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
        .compile_matcher()
}

/// Every path of up to three segments of up to two letters.
fn all_paths() -> Vec<String> {
    let one = ALPHABET.iter().map(ToString::to_string);
    let two = ALPHABET.iter().flat_map(|a| ALPHABET.iter().map(move |b| format!("{a}{b}")));
    let segments: Vec<String> = one.chain(two).filter(|s| s != "." && s != "..").collect();
    let mut paths = segments.clone();
    let mut longest = segments.clone();
    for _ in 1..MAX_SEGMENTS {
        longest = longest
            .iter()
            .flat_map(|path| segments.iter().map(move |segment| format!("{path}/{segment}")))
            .collect();
        paths.extend(longest.iter().cloned());
    }
    paths
}

/// Paths with the patterns, and which of the paths each pattern matches by the judge.
struct World {
    generated: Vec<Generated>,
    paths: HashMap<String, usize>,
    matched: Vec<Vec<u64>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Tally {
    overlapping: usize,
    apart: usize,
}

impl World {
    /// Generates patterns; fails where `Pattern::matches` and the judge differ.
    fn new(seed: u64, patterns: usize) -> Result<Self, String> {
        let mut random = Random(seed);
        let mut generated = vec![];
        let mut texts = HashMap::new();
        while generated.len() < patterns {
            let new = generate(&mut random);
            if texts.insert(new.pattern.to_string(), ()).is_none() {
                generated.push(new);
            }
        }
        let paths = all_paths();
        let candidates: Vec<Candidate<'_>> = paths.iter().map(Candidate::new).collect();
        let matched = parallel(generated.len(), |index| {
            let Generated { pattern, judges } = &generated[index];
            let mut bits = vec![0; paths.len().div_ceil(64)];
            for (bit, (path, candidate)) in paths.iter().zip(&candidates).enumerate() {
                let judged = judges.iter().any(|judge| judge.is_match_candidate(candidate));
                if judged != pattern.matches(path) {
                    return Err(format!("`{pattern}` matches `{path}`: the judge says {judged}"));
                }
                bits[bit / 64] |= u64::from(judged) << (bit % 64);
            }
            Ok(bits)
        })?;
        let paths = paths.into_iter().enumerate().map(|(index, path)| (path, index)).collect();
        Ok(Self { generated, paths, matched })
    }

    /// Asks `overlap` about every pair; fails at the first wrong answer.
    fn check(
        &self,
        overlap: impl Fn(&Pattern, &Pattern) -> Option<String> + Sync,
    ) -> Result<Tally, String> {
        let rows = parallel(self.generated.len(), |left| {
            let mut tally = Tally::default();
            for right in left + 1..self.generated.len() {
                let (a, b) = (&self.generated[left].pattern, &self.generated[right].pattern);
                let mut both = self.matched[left].iter().zip(&self.matched[right]);
                let known = both.any(|(left, right)| left & right != 0);
                match overlap(a, b) {
                    Some(path) if !self.matches(left, &path) || !self.matches(right, &path) => {
                        return Err(format!("`{path}` does not match both `{a}` and `{b}`"));
                    }
                    Some(_) => tally.overlapping += 1,
                    None if known => return Err(format!("`{a}` and `{b}` overlap")),
                    None => tally.apart += 1,
                }
            }
            Ok(tally)
        })?;
        Ok(rows.iter().fold(Tally::default(), |all, row| Tally {
            overlapping: all.overlapping + row.overlapping,
            apart: all.apart + row.apart,
        }))
    }

    /// Whether a pattern matches a path, by the judge and by itself.
    fn matches(&self, index: usize, path: &str) -> bool {
        match self.paths.get(path) {
            // Both were asked, and agreed, when the world was made.
            Some(&bit) => self.matched[index][bit / 64] >> (bit % 64) & 1 == 1,
            None => {
                let generated = &self.generated[index];
                generated.judged(path) && generated.pattern.matches(path)
            }
        }
    }
}

/// The results of `work` for every index below `count`, or one of its errors.
fn parallel<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut results: Vec<(usize, T)> = thread::scope(|scope| {
        let share = |first: usize| (first..count).step_by(threads);
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let work = &work;
                scope.spawn(move || {
                    share(first)
                        .map(|index| Ok((index, work(index)?)))
                        .collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.collect::<Result<Vec<_>, String>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    results.sort_unstable_by_key(|&(index, _)| index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

fn seed() -> u64 {
    let given = std::env::var("OVERLAP_SEED").ok();
    given.map_or(0x6d6f_6c74, |text| {
        text.parse().unwrap_or_else(|_| panic!("OVERLAP_SEED is `{text}`, not a number"))
    })
}

fn exact(a: &Pattern, b: &Pattern) -> Option<String> {
    overlap(a, b, Case::Sensitive)
}

/// Whether the pattern uses the construct, whose text is told apart from longer ones.
fn uses(text: &str, construct: &str) -> bool {
    let negated = |text: &str| text.contains("[!") || text.contains("[^");
    match construct {
        "*" => text.replace("**", "").contains('*'),
        "[set]" => text.replace("[!", "").replace("[^", "").contains('['),
        "[!set]" => negated(text),
        other => text.contains(other),
    }
}

#[test]
fn overlap_is_what_brute_force_says() {
    let seed = seed();
    let world = World::new(seed, PATTERNS).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    for construct in ["*", "?", "**", "[set]", "[!set]", "{"] {
        let users = world.generated.iter().filter(|g| uses(g.pattern.as_str(), construct)).count();
        println!("seed {seed}: {construct} is in {users} of {PATTERNS} patterns");
        assert!(users * 10 >= PATTERNS, "seed {seed}: only {users} patterns use {construct}");
    }
    let tally = world.check(exact).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    println!("seed {seed}: {tally:?}");
    let pairs = PATTERNS * (PATTERNS - 1) / 2;
    assert_eq!(tally.overlapping + tally.apart, pairs, "seed {seed}");
    assert!(tally.overlapping * 5 >= pairs, "seed {seed}: {tally:?}");
    assert!(tally.apart * 5 >= pairs, "seed {seed}: {tally:?}");
}

/// The checker must see a wrong answer of each kind.
#[test]
fn a_wrong_overlap_is_caught() {
    let world = World::new(seed(), 150).unwrap();
    assert!(world.check(exact).is_ok());

    let star_matches_slash = |a: &Pattern, b: &Pattern| {
        let loose = |pattern: &Pattern| {
            let text = pattern.as_str().replace("**", DEEP).replace('*', "{*,*/*}");
            text.replace(DEEP, "**").parse::<Pattern>().unwrap_or_else(|_| pattern.clone())
        };
        exact(&loose(a), &loose(b))
    };
    let error = world.check(star_matches_slash).unwrap_err();
    assert!(error.contains("does not match both"), "{error}");

    let deep_is_never_empty = |a: &Pattern, b: &Pattern| {
        let strict = |pattern: &Pattern| {
            let text = pattern.as_str().replace("**/", "*/**/");
            text.parse::<Pattern>().unwrap_or_else(|_| pattern.clone())
        };
        exact(&strict(a), &strict(b))
    };
    let error = world.check(deep_is_never_empty).unwrap_err();
    assert!(error.ends_with("overlap"), "{error}");

    let leading_dots_are_hidden = |a: &Pattern, b: &Pattern| {
        exact(a, b).filter(|path| !path.split('/').any(|segment| segment.starts_with('.')))
    };
    let error = world.check(leading_dots_are_hidden).unwrap_err();
    assert!(error.ends_with("overlap"), "{error}");
}
