//! The exported audit: its chain, and the shapes of the entries that matter here.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::Report;

/// What the first entry's hash covers in place of a hash before it.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The part of a line that holds the hash: it is always last.
const HASH_KEY: &str = ",\"hash\":\"";

/// A chain that holds.
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) entries: Vec<Entry>,
}

/// One entry.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) at: u64,
    pub(super) actor: Value,
    #[serde(rename = "event")]
    pub(super) raw: Value,
}

/// The events that the check is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Event {
    BaseRead {
        repo: String,
        branch: String,
        commit: String,
        tree: String,
        by: String,
    },
    Claimed {
        claim: String,
        session: String,
        scopes: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
        fence: Fence,
    },
    Narrowed {
        claim: String,
        from: String,
        to: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
    },
    HandedOver {
        claim: String,
        to: String,
        fence: Fence,
    },
    Released {
        claim: String,
        scopes: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
    },
    Lapsed {
        claim: String,
    },
    Revoked {
        claim: String,
    },
    Announced {
        claim: String,
    },
    LockGranted {
        fence: Fence,
    },
    JobAssigned {
        job: String,
        host: String,
        attempt: u32,
    },
    JobFinished(Finished),
    Submitted {
        car: String,
        #[serde(default)]
        session: Option<String>,
        #[serde(default)]
        pull: Option<u64>,
        name: String,
        head: String,
        scopes: BTreeSet<String>,
        #[serde(default)]
        globs: BTreeSet<String>,
        #[serde(default)]
        origin: Value,
    },
    Approved {
        car: String,
        head: String,
    },
    Overridden(Overridden),
    PullSeen {
        number: u64,
    },
    PullOpened {
        number: u64,
        car: String,
    },
    PullLooked {
        number: u64,
        look: Look,
    },
    CandidateMade {
        car: String,
        base: String,
        commit: String,
        tree: String,
    },
    GatePassed {
        car: String,
        gate: String,
        commit: String,
        tree: String,
        proof: Option<Proof>,
    },
    Intended(Step),
    Landed(Step),
    IntentWithdrawn {
        car: String,
        fence: Fence,
    },
    Ejected {
        car: String,
        ejection: Value,
    },
    #[serde(other)]
    Other,
}

/// That a person looked at a pull request's head.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Look {
    pub(super) head: String,
    pub(super) right: String,
}

/// A run that ended.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Finished {
    pub(super) job: String,
    pub(super) gate: String,
    pub(super) host: String,
    pub(super) attempt: u32,
    pub(super) digest: String,
    pub(super) finding: Finding,
}

/// What a run found.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Finding {
    pub(super) class: String,
    pub(super) green: u64,
    pub(super) red: BTreeSet<String>,
    pub(super) red_count: u64,
    pub(super) exit: Option<i64>,
    pub(super) argv: Vec<String>,
    pub(super) commit: String,
    pub(super) tree: String,
}

/// That a person answers for what a gate's run found red of a change.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Overridden {
    pub(super) car: String,
    pub(super) head: String,
    pub(super) gate: String,
    pub(super) job: String,
    pub(super) items: BTreeSet<String>,
    pub(super) by: String,
    pub(super) reason: String,
}

/// The run that a passed gate rests on.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Proof {
    pub(super) digest: String,
    pub(super) job: String,
    pub(super) forgiven: u64,
}

/// A landing that was decided, or done.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Step {
    pub(super) car: String,
    pub(super) branch: String,
    pub(super) base: String,
    pub(super) commit: String,
    pub(super) tree: String,
    pub(super) fence: Fence,
    /// The gates that an intent names.
    #[serde(default)]
    pub(super) gates: Vec<String>,
}

/// A grant's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Fence {
    pub(super) epoch: u64,
    pub(super) n: u64,
}

impl Audit {
    /// Reads the lines and follows the chain; `None` when it does not hold.
    pub(super) fn read(bytes: &[u8], report: &mut Report) -> Option<Self> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            report.violation("audit: the file is not UTF-8");
            return None;
        };
        let mut before = GENESIS.to_owned();
        let mut entries: Vec<Entry> = Vec::new();
        for (line, at) in text.lines().zip(1_u64..) {
            match follow(line, at, &before) {
                Ok((entry, hash)) => {
                    if entries.last().is_some_and(|last| entry.at < last.at) {
                        report.violation(format!("audit {at}: board time goes back"));
                    }
                    before = hash;
                    entries.push(entry);
                }
                Err(problem) => {
                    report.violation(format!("audit {at}: {problem}"));
                    return None;
                }
            }
        }
        if entries.is_empty() {
            report.violation("audit: there is no entry");
            return None;
        }
        report.chain(entries.len(), &before);
        Some(Self { entries })
    }
}

/// One line of the chain: its entry and its hash. The hash covers the very bytes of the
/// line, so that no altered byte can hide behind a reader's tolerance.
fn follow(line: &str, at: u64, before: &str) -> Result<(Entry, String), String> {
    let (content, rest) = line.rsplit_once(HASH_KEY).ok_or("there is no hash at its end")?;
    let hash = rest.strip_suffix("\"}").ok_or("there is no hash at its end")?;
    let entry: Entry = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if entry.seq != at {
        return Err(format!("entry {at} is missing: found {}", entry.seq));
    }
    let covered = blake3::hash(format!("{before}\n{content}}}").as_bytes()).to_hex();
    if covered.as_str() != hash {
        return Err("its hash does not fit: it was altered, or one before it".to_owned());
    }
    Ok((entry, hash.to_owned()))
}

impl Entry {
    /// The word for what happened.
    pub(super) fn what(&self) -> &str {
        self.raw["what"].as_str().unwrap_or_default()
    }

    /// What happened, as far as the check is about it.
    pub(super) fn event(&self) -> Result<Event, serde_json::Error> {
        Event::deserialize(&self.raw)
    }
}
