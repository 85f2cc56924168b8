//! Gates, what their runs found, and what that means for a change.
//!
//! Results are stored, verdicts are not: a verdict is worked out from the
//! results of the candidate and of the base that it replaces, at the moment it
//! is needed. Not here: running a gate ([`crate::job`]) and reading a tool's
//! output (the agent's `gates` room).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::name::{GateName, HostName, PoolName};

/// Red items that a result set names at most; more than this is told as a count.
pub const MAX_RED: usize = 200;

/// A gate that is a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The command line, given to `sh -c` on the host.
    pub run: String,
    /// How the outcome is read.
    pub result: Reader,
    /// Whether failures that the base has as well are forgiven.
    #[serde(default)]
    pub compare: Compare,
    /// After how long a run is stopped.
    pub timeout: Duration,
    /// Memory of the whole process tree, in bytes.
    #[serde(default)]
    pub memory: Option<u64>,
    /// The pool whose slot the run takes.
    #[serde(default)]
    pub pool: Option<PoolName>,
    /// Fewer results than this prove nothing.
    pub minimum: u32,
    /// Environment of the run, beside the host's allowed one.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// How a run's outcome is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Reader {
    /// One result: the exit code.
    Exit,
    /// Lines `ok NAME` and `not ok NAME` on standard output, closed by a plan `1..N`.
    Tap,
    /// A JUnit report at a path below the checkout.
    Junit(String),
}

/// A reader that this version does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("result `{0}` is not supported: use exit, tap or junit:PATH")]
pub struct UnknownReader(pub String);

impl From<Reader> for String {
    fn from(reader: Reader) -> String {
        reader.to_string()
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit => f.write_str("exit"),
            Self::Tap => f.write_str("tap"),
            Self::Junit(path) => write!(f, "junit:{path}"),
        }
    }
}

impl TryFrom<String> for Reader {
    type Error = UnknownReader;

    fn try_from(text: String) -> Result<Self, UnknownReader> {
        match text.as_str() {
            "exit" => Ok(Self::Exit),
            "tap" => Ok(Self::Tap),
            _ => match text.strip_prefix("junit:") {
                Some(path)
                    if !path.is_empty() && !path.starts_with('/') && !path.contains("..") =>
                {
                    Ok(Self::Junit(path.to_owned()))
                }
                _ => Err(UnknownReader(text)),
            },
        }
    }
}

/// Whether a failure that the base has as well counts against a change.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compare {
    /// Every red item blocks.
    #[default]
    Nothing,
    /// Only red items that the base does not have block.
    Base,
}

/// The digest of everything that could change a gate's results: command, environment, input tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `gate` run on input trees that hash to `inputs`.
    ///
    /// Timeout, memory, pool and minimum are not in it: they do not change what a run finds.
    #[must_use]
    pub fn of(name: &GateName, gate: &Gate, inputs: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part("molt results 1");
        part(name.as_str());
        part(&gate.run);
        part(&gate.result.to_string());
        for (key, value) in &gate.env {
            part(key);
            part(value);
        }
        part(inputs);
        Self(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// The digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a run ended, as the supervisor and the reader saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Every result is green, and there are enough of them.
    Passed,
    /// Some result is red.
    Failed,
    /// The memory limit ended it.
    Oom,
    /// The time limit ended it.
    Timeout,
    /// Somebody or something else ended it.
    Killed,
    /// The host could not run it.
    Infra,
    /// It ended well but proved nothing: too few results.
    Vacuous,
}

impl Class {
    /// Whether another attempt may find something else: nobody judged the tree.
    #[must_use]
    pub fn is_about_the_host(self) -> bool {
        matches!(self, Self::Killed | Self::Infra)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Oom => "oom",
            Self::Timeout => "timeout",
            Self::Killed => "killed",
            Self::Infra => "infra",
            Self::Vacuous => "vacuous",
        })
    }
}

/// Places of red items that a finding has at most.
pub const MAX_PLACES: usize = 200;

/// Where in the files a red item is, by what the tool says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The item, which is one of the red ones.
    pub item: String,
    /// The file, from the top of the tree.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong there, in a few words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub says: String,
}

/// What a run found, as a host reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How it ended.
    pub class: Class,
    /// How many items were green.
    pub green: u32,
    /// The red items, at most [`MAX_RED`] of them.
    pub red: BTreeSet<String>,
    /// How many were red in all.
    pub red_count: u32,
    /// Where some of them are, at most [`MAX_PLACES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// The exit code, when the run ended by itself.
    pub exit: Option<i32>,
    /// One line for people: the first error, the signal, the limit.
    pub note: String,
    /// Digest of the log, so that a report can be matched with its log.
    pub log: String,
    /// The command line that ran, as the host ran it.
    pub argv: Vec<String>,
    /// The commit that was checked out when it ran.
    pub commit: String,
    /// The tree of that commit.
    pub tree: String,
    /// How long it took.
    pub duration: Duration,
    /// Peak memory of its process tree, in bytes.
    pub peak: u64,
}

impl Finding {
    /// The line for people, where these red items block. It is about one item, nobody knows which,
    /// so that there is none where some of them are excused.
    #[must_use]
    pub fn note_on(&self, red: &[String]) -> &str {
        if self.red.iter().all(|item| red.contains(item)) { &self.note } else { "" }
    }
}

/// What a gate found on trees of one digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The gate.
    pub gate: GateName,
    /// The run that found it.
    pub job: JobId,
    /// Where it ran.
    pub host: HostName,
    /// What it found.
    pub finding: Finding,
}

/// What results mean for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The gate passes.
    Pass {
        /// Red items that the base has as well.
        forgiven: usize,
    },
    /// The base's own results are needed first.
    NeedsBase,
    /// The gate does not pass.
    Fail {
        /// How the run ended.
        class: Class,
        /// The items that block.
        red: Vec<String>,
    },
}

/// What a gate's results mean for a candidate that replaces a base.
#[must_use]
pub fn verdict(gate: &Gate, candidate: &Finding, base: Option<&Finding>) -> Verdict {
    let enough = candidate.green.saturating_add(candidate.red_count) >= gate.minimum;
    match candidate.class {
        Class::Passed if enough && candidate.red_count == 0 => Verdict::Pass { forgiven: 0 },
        Class::Passed => Verdict::Fail { class: Class::Vacuous, red: Vec::new() },
        Class::Failed if gate.compare == Compare::Base && enough => against_base(candidate, base),
        class => Verdict::Fail { class, red: candidate.red.iter().cloned().collect() },
    }
}

fn against_base(candidate: &Finding, base: Option<&Finding>) -> Verdict {
    let Some(base) = base else {
        return Verdict::NeedsBase;
    };
    let judged = matches!(base.class, Class::Passed | Class::Failed);
    let named = candidate.red.len() == candidate.red_count as usize;
    let is_new = |item: &&String| !judged || !base.red.contains(*item);
    let new: Vec<String> = candidate.red.iter().filter(is_new).cloned().collect();
    if named && !candidate.red.is_empty() && new.is_empty() {
        Verdict::Pass { forgiven: candidate.red.len() }
    } else {
        Verdict::Fail { class: Class::Failed, red: new }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(compare: Compare) -> Gate {
        Gate {
            run: "make check".to_owned(),
            result: Reader::Tap,
            compare,
            timeout: Duration::from_secs(60),
            memory: None,
            pool: None,
            minimum: 2,
            env: BTreeMap::new(),
        }
    }

    fn finding(class: Class, green: u32, red: &[&str]) -> Finding {
        Finding {
            class,
            green,
            red: red.iter().map(|&item| item.to_owned()).collect(),
            red_count: red.len() as u32,
            places: Vec::new(),
            exit: Some(0),
            note: String::new(),
            log: String::new(),
            argv: Vec::new(),
            commit: String::new(),
            tree: String::new(),
            duration: Duration::ZERO,
            peak: 0,
        }
    }

    #[test]
    fn a_pass_means_something() {
        let gate = gate(Compare::Nothing);
        let verdict =
            |class, green, red: &[&str]| verdict(&gate, &finding(class, green, red), None);
        assert_eq!(verdict(Class::Passed, 2, &[]), Verdict::Pass { forgiven: 0 });
        let vacuous = Verdict::Fail { class: Class::Vacuous, red: Vec::new() };
        assert_eq!(verdict(Class::Passed, 1, &[]), vacuous);
        assert_eq!(verdict(Class::Passed, 2, &["a"]), vacuous);
        for class in [Class::Oom, Class::Timeout, Class::Killed, Class::Infra, Class::Vacuous] {
            assert_eq!(verdict(class, 9, &[]), Verdict::Fail { class, red: Vec::new() });
        }
    }

    #[test]
    fn a_note_that_may_be_about_an_excused_item_is_left_out() {
        let note = "not ok 1 - a".to_owned();
        let found = Finding { note, ..finding(Class::Failed, 5, &["a", "b"]) };
        let red = |items: &[&str]| items.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert_eq!(found.note_on(&red(&["a", "b"])), "not ok 1 - a");
        assert_eq!(found.note_on(&red(&["b"])), "");
        let killed = Finding { red: BTreeSet::new(), ..found };
        assert_eq!(killed.note_on(&[]), "not ok 1 - a");
    }

    #[test]
    fn only_new_failures_block_where_the_base_is_compared() {
        let gate = gate(Compare::Base);
        let red = finding(Class::Failed, 5, &["a"]);
        assert_eq!(verdict(&gate, &red, None), Verdict::NeedsBase);
        let base = finding(Class::Failed, 5, &["a", "b"]);
        assert_eq!(verdict(&gate, &red, Some(&base)), Verdict::Pass { forgiven: 1 });
        let worse = finding(Class::Failed, 5, &["a", "c"]);
        assert_eq!(
            verdict(&gate, &worse, Some(&base)),
            Verdict::Fail { class: Class::Failed, red: vec!["c".to_owned()] }
        );
        let unjudged = finding(Class::Killed, 0, &["a"]);
        assert_eq!(
            verdict(&gate, &red, Some(&unjudged)),
            Verdict::Fail { class: Class::Failed, red: vec!["a".to_owned()] }
        );
    }

    #[test]
    fn the_digest_follows_what_could_change_results_and_nothing_else() {
        let name: GateName = "diff".parse().expect("a name");
        let plain = gate(Compare::Base);
        let digest = Digest::of(&name, &plain, "tree");
        let slower = Gate { timeout: Duration::from_secs(1), minimum: 9, ..plain.clone() };
        assert_eq!(Digest::of(&name, &slower, "tree"), digest);
        let other = Gate { run: "true".to_owned(), ..plain.clone() };
        assert_ne!(Digest::of(&name, &other, "tree"), digest);
        assert_ne!(Digest::of(&name, &plain, "other"), digest);
    }
}
