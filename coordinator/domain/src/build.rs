//! Builds that are done once for a fingerprint, at a place.
//!
//! Callers of the same key wait for the one run and inherit its end. Not here:
//! the fingerprint, which the host takes of the tree, and the artifacts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::board::{Caller, Draft, Event, Refusal, Reply};
use crate::fault::fault;
use crate::gate::Class;
use crate::hold::{Hold, Holder, Waiter};
use crate::id::{BoardTime, HoldId};
use crate::lock;
use crate::name::{BuildName, HostName};
use crate::session::{self, Session};

/// What makes two builds the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BuildKey {
    /// What is built.
    pub name: BuildName,
    /// Digest of everything it is built from.
    pub fingerprint: BuildName,
    /// How it is built, such as `dev` or `release`.
    pub profile: BuildName,
    /// Where the artifacts are: nobody consumes those of another place.
    pub place: BuildName,
}

impl From<BuildKey> for String {
    fn from(key: BuildKey) -> String {
        format!("{},{},{},{}", key.name, key.fingerprint, key.profile, key.place)
    }
}

impl TryFrom<String> for BuildKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').collect();
        let [name, fingerprint, profile, place] = parts[..] else {
            return Err(format!("`{text}` is no build key"));
        };
        let part = |text: &str| text.parse().map_err(|error| format!("{error}"));
        Ok(Self {
            name: part(name)?,
            fingerprint: part(fingerprint)?,
            profile: part(profile)?,
            place: part(place)?,
        })
    }
}

impl fmt::Display for BuildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.fingerprint.as_str();
        let short = fingerprint.get(..8).unwrap_or(fingerprint);
        write!(f, "{}:{short} ({}, {})", self.name, self.profile, self.place)
    }
}

/// A build that runs, or ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Build {
    /// The one run.
    Building {
        /// Who builds.
        hold: Hold,
        /// Who inherits.
        line: Vec<Waiter>,
    },
    /// It is there.
    Built {
        /// Digest of its artifacts, if the builder named any.
        artifacts: Option<String>,
        /// When it ended.
        at: BoardTime,
    },
    /// It failed on these inputs; remembered for a while, so that waiters inherit it.
    Failed {
        /// How.
        class: Class,
        /// Until when.
        until: BoardTime,
    },
}

impl Build {
    /// Who waits for it, first come first.
    pub(crate) fn line(&self) -> &[Waiter] {
        match self {
            Self::Building { line, .. } => line,
            Self::Built { .. } | Self::Failed { .. } => &[],
        }
    }

    pub(crate) fn whose(&self, id: HoldId) -> Option<(Holder, HostName)> {
        let Self::Building { hold, line } = self else {
            return None;
        };
        if hold.id == id {
            return Some((hold.holder, hold.host.clone()));
        }
        let waiter = line.iter().find(|waiter| waiter.id == id)?;
        Some((waiter.holder, waiter.host.clone()))
    }
}

/// Answers who asks for a build: run it, wait for it, use it, or its failure.
///
/// `missing` is the digest of artifacts that the caller was told of and did not find.
pub(crate) fn ask(
    draft: &mut Draft<'_>,
    session: &Session,
    key: &BuildKey,
    missing: Option<&str>,
    what: &str,
) -> Result<Reply, Box<Refusal>> {
    let holder = Holder::Session(session.id);
    lock::limited("what", what, 500)?;
    match draft.tables.builds.get(key).cloned() {
        Some(Build::Built { artifacts, .. })
            if missing.is_none() || artifacts.as_deref() != missing =>
        {
            draft.record(Event::BuildShared { build: key.clone(), session: session.id });
            Ok(Reply::Built { artifacts })
        }
        Some(Build::Failed { class, until }) if until > draft.now.board => {
            Err(Refusal::BuildFailed { build: key.clone(), class }.into())
        }
        Some(Build::Building { hold, mut line }) => {
            if hold.holder == holder && hold.what == what {
                return Ok(Reply::Held { hold: Box::new(hold), slot: None });
            }
            if let Some(at) = line.iter().position(|it| it.holder == holder && it.what == what) {
                return Ok(Reply::Waiting { hold: line[at].id, ahead: at as u32 });
            }
            lock::may_use_more(draft, holder)?;
            if fault!(BuiltTwice) {
                let again = waiter(draft, session, what);
                return Ok(begin(draft, key, again, line));
            }
            lock::refuse_circle(draft, Some(hold.holder), &line, holder, key.name.as_str())?;
            let waiter = waiter(draft, session, what);
            let ahead = line.len() as u32;
            draft.record(Event::Waits { hold: waiter.id, holder, line: key.to_string(), ahead });
            let reply = Reply::Waiting { hold: waiter.id, ahead };
            line.push(waiter);
            draft.tables.builds.put(key.clone(), Build::Building { hold, line });
            Ok(reply)
        }
        Some(Build::Built { .. } | Build::Failed { .. }) | None => {
            lock::may_use_more(draft, holder)?;
            let first = waiter(draft, session, what);
            Ok(begin(draft, key, first, Vec::new()))
        }
    }
}

fn waiter(draft: &mut Draft<'_>, session: &Session, what: &str) -> Waiter {
    Waiter {
        id: HoldId::from_counter(draft.number()),
        holder: Holder::Session(session.id),
        host: session.host.clone(),
        since: draft.now.board,
        what: what.to_owned(),
    }
}

fn begin(draft: &mut Draft<'_>, key: &BuildKey, first: Waiter, line: Vec<Waiter>) -> Reply {
    let hold = first.granted(draft.fence(), draft.now.board);
    if let Holder::Session(session) = hold.holder {
        draft.record(Event::BuildBegun { build: key.clone(), hold: hold.id, session });
    }
    draft.tables.builds.put(key.clone(), Build::Building { hold: hold.clone(), line });
    Reply::Held { hold: Box::new(hold), slot: None }
}

/// Takes the end of a build's run.
pub(crate) fn end(
    draft: &mut Draft<'_>,
    caller: &Caller,
    id: HoldId,
    class: Class,
    artifacts: Option<String>,
) -> Result<Reply, Box<Refusal>> {
    let found = draft.tables.builds.iter().find_map(|(key, build)| match build {
        Build::Building { hold, line } if hold.id == id => {
            Some((key.clone(), hold.clone(), line.clone()))
        }
        _ => None,
    });
    let Some((key, hold, line)) = found else {
        return Err(Refusal::Lost {
            what: id.to_string(),
            reason: "the build was given to somebody else".to_owned(),
        }
        .into());
    };
    let own = match caller {
        Caller::Session(credentials) => {
            let session = session::check(draft.board().tables(), credentials)?;
            hold.holder == Holder::Session(session.id)
        }
        Caller::Host(name) => *name == hold.host,
        Caller::Operator(_) | Caller::Coordinator => true,
        Caller::Nobody => false,
    };
    if !own {
        return Err(
            Refusal::Lost { what: id.to_string(), reason: "it is not yours".to_owned() }.into()
        );
    }
    draft.record(Event::BuildEnded {
        build: key.clone(),
        hold: id,
        class,
        artifacts: artifacts.clone(),
        waiters: line.len() as u32,
    });
    let now = draft.now.board;
    match class {
        Class::Passed => draft.tables.builds.put(key, Build::Built { artifacts, at: now }),
        Class::Killed | Class::Infra => hand_on(draft, &key, line),
        Class::Failed | Class::Oom | Class::Timeout | Class::Vacuous => {
            let until = now.plus(draft.spans().failure_memory);
            draft.tables.builds.put(key, Build::Failed { class, until });
        }
    }
    Ok(Reply::Done)
}

/// Nobody judged the inputs: the first who waits builds.
fn hand_on(draft: &mut Draft<'_>, key: &BuildKey, mut line: Vec<Waiter>) {
    if line.is_empty() {
        draft.tables.builds.delete(key);
        return;
    }
    let first = line.remove(0);
    begin(draft, key, first, line);
}

/// Ends a build without a result, or a place in its line.
pub(crate) fn give_up(draft: &mut Draft<'_>, key: &BuildKey, id: HoldId) {
    let Some(Build::Building { hold, mut line }) = draft.tables.builds.get(key).cloned() else {
        return;
    };
    if hold.id == id {
        draft.record(Event::BuildEnded {
            build: key.clone(),
            hold: id,
            class: Class::Killed,
            artifacts: None,
            waiters: line.len() as u32,
        });
        hand_on(draft, key, line);
    } else {
        let Some(at) = line.iter().position(|waiter| waiter.id == id) else {
            return;
        };
        let waiter = line.remove(at);
        draft.record(Event::WaitEnded { hold: id, holder: waiter.holder, line: key.to_string() });
        draft.tables.builds.put(key.clone(), Build::Building { hold, line });
    }
}

/// Takes a holder out of every build's line. A build that it runs is ended by its host's word.
pub(crate) fn leave_lines(draft: &mut Draft<'_>, holder: Holder) {
    let waits: Vec<(BuildKey, HoldId)> = draft
        .tables
        .builds
        .iter()
        .filter_map(|(key, build)| match build {
            Build::Building { line, .. } => Some((key, line)),
            Build::Built { .. } | Build::Failed { .. } => None,
        })
        .flat_map(|(key, line)| line.iter().map(move |waiter| (key, waiter)))
        .filter(|(_, waiter)| waiter.holder == holder)
        .map(|(key, waiter)| (key.clone(), waiter.id))
        .collect();
    for (key, id) in waits {
        give_up(draft, &key, id);
    }
}

/// Forgets failures that are old enough, and hands builds on whose host is silent for so
/// long that their processes have certainly ended.
pub(crate) fn expire(draft: &mut Draft<'_>) {
    let now = draft.now.board;
    let is_gone = |hold: &Hold| {
        let orphaned = match hold.holder {
            Holder::Session(id) => {
                let session = draft.tables.sessions.get(&id);
                session.is_none_or(|session| session.state != session::State::Live)
            }
            Holder::Job(_) => false,
        };
        let silent = now.since(draft.board().heard_host(&hold.host));
        orphaned && silent >= draft.spans().session_ttl + draft.spans().delay
    };
    let due: Vec<(BuildKey, Option<HoldId>)> = draft
        .tables
        .builds
        .iter()
        .filter_map(|(key, build)| match build {
            Build::Building { hold, .. } => is_gone(hold).then(|| (key.clone(), Some(hold.id))),
            Build::Failed { until, .. } => (*until <= now).then(|| (key.clone(), None)),
            Build::Built { .. } => None,
        })
        .take(draft.room())
        .collect();
    for (key, hold) in due {
        match hold {
            Some(id) => give_up(draft, &key, id),
            None => draft.tables.builds.delete(&key),
        }
    }
}
