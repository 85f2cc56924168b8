//! The sessions that are registered here: whose roots live, and what becomes of
//! those that died or were lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use molt_domain::board::Kind;
use molt_domain::id::SessionId;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer;
use molt_retry::{Delays, Policy};

use super::holds::{Left, end, settle, try_recover};
use super::host::{Host, blocking};
use super::orphans::{Held, Orphans};
use super::serve::Done;
use crate::clock::{self, Millis};
use crate::error::Error;
use crate::run::Run;
use crate::session::alive::{self, Registration};
use crate::session::{Root, SessionFile};
use crate::wrap::hold::Hold;

/// A session without a root process lives by being used: so long after its last
/// command it is not renewed any more.
const USE: Duration = Duration::from_secs(600);

/// What is to be done about a registered session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It is renewed.
    Lives,
    /// Its root is dead.
    RootDead,
    /// It was not used for a while.
    Unused,
}

/// The sessions of this daemon's host and fleet, with what is known of them.
pub(super) fn registered(host: &Host, uses: &mut Uses) -> Result<Vec<(Registration, Sign)>, Error> {
    let mut found = alive::registered(&host.options.state)?;
    found.retain(|known| host.is_ours(&known.host, &known.coordinator));
    found.into_iter().map(|known| Ok((known.clone(), sign(host, &known, uses)?))).collect()
}

/// When sessions without a root were used. The time of a session's file tells that it was used,
/// and not when: somebody may set the clock on the wall.
#[derive(Debug, Default)]
pub(super) struct Uses(BTreeMap<SessionId, (Option<SystemTime>, Millis)>);

impl Uses {
    /// For how long a session was not used, as far as was seen; `written` is its file's time.
    fn idle(&mut self, session: SessionId, written: Option<SystemTime>, now: Millis) -> Duration {
        let seen = self.0.entry(session).or_insert((written, now));
        if seen.0 != written {
            *seen = (written, now);
        }
        seen.1.until(now)
    }
}

fn sign(host: &Host, known: &Registration, uses: &mut Uses) -> Result<Sign, Error> {
    match &known.root {
        // A root that cannot be seen is not dead.
        Root::Process(_) if known.root.is_dead().unwrap_or(false) => Ok(Sign::RootDead),
        Root::Process(_) => Ok(Sign::Lives),
        Root::Use => {
            let written = known.file.metadata().and_then(|file| file.modified()).ok();
            let idle = uses.idle(known.session, written, clock::boottime());
            let works = || Ok::<bool, Error>(!live_runs(host, known)?.is_empty());
            let lives = idle < USE || works()?;
            Ok(if lives { Sign::Lives } else { Sign::Unused })
        }
    }
}

/// The runs of a session that have not ended.
pub(super) fn live_runs(host: &Host, known: &Registration) -> Result<Vec<(Run, Hold)>, Error> {
    let mut live = Vec::new();
    for run in crate::run::list(&host.options.state)? {
        if run.folder().exit_record()?.is_some() {
            continue;
        }
        let hold = Hold::read(run.folder())?;
        let ours = |hold: &Hold| {
            hold.session == known.session && host.is_ours(&hold.host, &hold.coordinator)
        };
        live.extend(hold.filter(ours).map(|hold| (run, hold)));
    }
    Ok(live)
}

/// Ends what runs for a session whose root is dead, says so, and forgets it.
pub(super) async fn bury(host: Arc<Host>, known: Registration) -> Done {
    let session = known.session;
    match try_bury(&host, &known).await {
        Ok(()) => tracing::info!(%session, "its root is dead"),
        Err(error) => tracing::warn!(%session, error = error.in_full(), "not buried yet"),
    }
    Done::Session(session)
}

async fn try_bury(host: &Host, known: &Registration) -> Result<(), Error> {
    // Only the living session can ask again what its dead wrappers asked.
    let own = |left: &Left| matches!(left, Left::Asked(asked) if asked.session == known.session);
    try_recover(host, own, &mut Orphans::default(), &Held::default()).await?;
    for (run, hold) in live_runs(host, known)? {
        let record = end(&run, &format!("the root of session {} is dead", known.session)).await?;
        settle(host, &run, &hold, &record).await?;
    }
    if !still_registered(host, known)? {
        // Somebody resumed it under another root.
        return Ok(());
    }
    match host.root_dead(known.session).await {
        Ok(()) | Err(Error::Refused { .. } | Error::Told { .. }) => {}
        Err(error) => return Err(error),
    }
    if still_registered(host, known)? {
        alive::forget(&host.options.state, known.session)?;
    }
    Ok(())
}

fn still_registered(host: &Host, known: &Registration) -> Result<bool, Error> {
    Ok(alive::registered(&host.options.state)?.contains(known))
}

/// Brings a lost session whose root lives back, once nothing of it runs that the
/// fleet may have given to others.
pub(super) async fn revive(host: Arc<Host>, known: Registration) -> Done {
    let session = known.session;
    if let Err(error) = try_revive(&host, &known).await {
        tracing::warn!(%session, error = error.in_full(), "a lost session was not resumed");
    }
    Done::Session(session)
}

async fn try_revive(host: &Host, known: &Registration) -> Result<(), Error> {
    let lost = |(run, hold): (Run, Hold)| hold.of.is_of_fleet_reach().then_some(run);
    for run in live_runs(host, known)?.into_iter().filter_map(lost) {
        end(&run, &format!("{} session {} was lost", crate::wrap::hold::LOST, known.session))
            .await?;
    }
    let mut delays: Delays = Policy::RECONNECT.into();
    loop {
        match resume(host, known).await {
            // An unknown outcome may have raised the epoch: only asking again tells.
            Err(Error::Unavailable { .. } | Error::Unknown { .. }) => {
                tokio::time::sleep(delays.next_delay().unwrap_or(Duration::from_secs(5))).await;
            }
            Err(Error::Refused { refusal, .. })
                if matches!(refusal.kind(), Kind::Lost | Kind::NotFound) =>
            {
                tracing::info!(session = %known.session, %refusal, "a lost session is over");
                return alive::forget(&host.options.state, known.session);
            }
            resumed => return resumed,
        }
    }
}

/// Resumes the session under the lock of its file, so that no command of the
/// agent sees an epoch that is not written down.
async fn resume(host: &Host, known: &Registration) -> Result<(), Error> {
    let file = SessionFile::at(&known.file);
    let lock = blocking(move || file.lock()).await??;
    let Some(mut record) = lock.read()? else {
        return alive::forget(&host.options.state, known.session);
    };
    if record.id != known.session || record.epoch != known.epoch {
        return Ok(());
    }
    let root = Some((&known.root).into());
    let verb = Some(Verb::Resume(v1::Resume { root }));
    let command = v1::Command { caller: Some(record.caller()), number: 0, verb };
    let Some(Answer::Session(reply)) = host.client.act(command).await?.answer else {
        return Err(Error::bug("the coordinator answered something else than a session"));
    };
    record.epoch = reply.epoch;
    lock.write(&record)?;
    tracing::info!(session = %known.session, epoch = reply.epoch, "a lost session was resumed");
    let renewed = Registration { epoch: reply.epoch, ..known.clone() };
    alive::keep(&host.options.state, &renewed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_idle_from_its_last_use_on_whatever_the_wall_says() {
        let (session, mut uses) = (SessionId::from_counter(1), Uses::default());
        let hour = Duration::from_secs(3600);
        let mut idle = |written: SystemTime, now| {
            uses.idle(session, Some(written), Millis::since_boot(now)).as_millis()
        };
        let ahead = SystemTime::UNIX_EPOCH + 2 * hour;
        assert_eq!(idle(ahead, 1_000), 0, "what was before is not known");
        assert_eq!(idle(ahead, 5_000), 4_000);
        assert_eq!(idle(ahead - hour, 6_000), 0, "it was used after the clock was set back");
        assert_eq!(idle(ahead - hour, 9_000), 3_000);
    }
}
