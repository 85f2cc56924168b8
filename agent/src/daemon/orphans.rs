//! Requests that nobody can ask again: what they were granted is found by whose it is.
//!
//! A slot or a build stays its holder's until the machine says that nothing runs under it. Where
//! the answer to a request was lost, its wrapper has died, and its session has ended, nobody was
//! told of the grant; only the board knows of it, and says so with every beat. Not here: requests
//! that can be asked again (`holds`).

use std::collections::BTreeMap;

use molt_domain::id::{HoldId, SessionId};
use molt_proto::v1;
use molt_proto::v1::command::Verb;

use super::host::Host;
use crate::clock::{self, Millis};
use crate::error::Error;
use crate::wrap::ask::Asked;
use crate::wrap::hold::{Hold, Place};

/// What a beat's answer says that this host has, and whose it is.
#[derive(Debug)]
pub(super) struct Held {
    /// When the beat was sent.
    sent: Millis,
    of: BTreeMap<HoldId, String>,
}

impl Default for Held {
    /// Nothing, as of before everything.
    fn default() -> Self {
        Self { sent: Millis::since_boot(0), of: BTreeMap::new() }
    }
}

impl Held {
    /// What `reply` says, to a beat that was sent at `sent`.
    pub(super) fn told(sent: Millis, reply: &v1::BeatReply) -> Self {
        let holds = reply.holds.iter().zip(&reply.holders);
        let of = holds.filter_map(|(hold, holder)| Some((hold.parse().ok()?, holder.clone())));
        Self { sent, of: of.collect() }
    }

    fn of(&self, session: SessionId) -> impl Iterator<Item = HoldId> {
        let session = session.to_string();
        self.of.iter().filter(move |(_, holder)| **holder == session).map(|(hold, _)| *hold)
    }
}

/// Requests whose session cannot ask again, and since when that is known.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    known: BTreeMap<(SessionId, u64), Millis>,
}

impl Orphans {
    /// Gives back what `asked` was granted, once `held` is of a time at which it could be granted
    /// nothing any more.
    pub(super) async fn settle(
        &mut self,
        host: &Host,
        asked: &Asked,
        held: &Held,
    ) -> Result<(), Error> {
        let (key, now) = ((asked.session, asked.number), clock::boottime());
        if held.sent <= *self.known.entry(key).or_insert(now) || may_be_told(host, asked)? {
            return Ok(());
        }
        for hold in held.of(asked.session) {
            if is_known(host, hold)? {
                continue;
            }
            let release = v1::ReleaseHold { hold: hold.to_string(), gone: true };
            match host.insist(Verb::ReleaseHold(release)).await {
                Ok(()) => tracing::info!(%hold, "what nobody was told of is given back"),
                Err(Error::Refused { .. } | Error::Told { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        asked.forget(&host.options.state)?;
        self.known.remove(&key);
        Ok(())
    }
}

/// Whether a living wrapper of the same session waits for an answer, which may name the same hold.
fn may_be_told(host: &Host, asked: &Asked) -> Result<bool, Error> {
    let all = Asked::all(&host.options.state)?;
    let mut same = all.iter().filter(|other| other.session == asked.session);
    Ok(same.any(|other| other.wrapper.is_alive().unwrap_or(true)))
}

/// Whether somebody here was told of a hold: it is theirs to give back.
fn is_known(host: &Host, hold: HoldId) -> Result<bool, Error> {
    let state = &host.options.state;
    // A place before a run, as the one becomes the other.
    if Place::all(state)?.iter().any(|place| place.hold == hold) {
        return Ok(true);
    }
    for run in crate::run::list(state)? {
        if Hold::read(run.folder())?.is_some_and(|of| of.hold == hold) {
            return Ok(true);
        }
    }
    Ok(false)
}
