//! Runs of this host that hold something: their deadlines and their ends.
//!
//! Every beat looks at every run that is not settled. A run is settled when it
//! is over and what it held was given back. Its wrapper gives back if it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use molt_domain::id::{HoldId, SessionId};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer;
use tokio::task::JoinSet;

use super::beat::Beat;
use super::host::{Host, blocking, reap};
use super::job::Gate;
use super::jobs::Jobs;
use super::machine;
use super::orphans::{Held, Orphans};
use super::serve::Done;
use crate::clock::{self, Millis};
use crate::error::{Error, in_full};
use crate::run::{ExitRecord, ProcessIdentity, Run, RunError, RunFolder, RunId, Standing};
use crate::session::alive;
use crate::wrap::ask::Asked;
use crate::wrap::hold::{Hold, LOST, Next, Place, Waits, is_being_made, run_id};

/// How long a live wrapper may take to give back before the daemon does.
const WRAPPERS_TURN: Duration = Duration::from_secs(10);

/// What is to be done about a run.
#[derive(Debug)]
enum Order {
    /// Nothing, if its supervisor lives.
    Look,
    /// Move its deadline.
    Extend(Millis),
    /// End it for this reason.
    End(String),
    /// It is over: give back what it has.
    Settle(Box<ExitRecord>),
}

/// The runs that are looked after, and those that need no more looking after.
#[derive(Debug, Default)]
pub(super) struct Holds {
    busy: BTreeSet<RunId>,
    settled: BTreeMap<RunId, Option<HoldId>>,
    waits: Waits,
}

impl Holds {
    /// Looks at all runs after a beat that was answered with `reply`.
    pub(super) fn tend(
        &mut self,
        host: &Arc<Host>,
        beat: &Beat,
        reply: &v1::BeatReply,
        jobs: &Jobs,
        tasks: &mut JoinSet<Done>,
    ) -> Result<(), Error> {
        let lost: BTreeSet<SessionId> = reply.lost.iter().flat_map(|id| id.parse()).collect();
        let held: BTreeSet<HoldId> = reply.holds.iter().flat_map(|id| id.parse()).collect();
        // A coordinator that was restored may have what it had been given back.
        self.settled.retain(|_, hold| hold.is_none_or(|hold| !held.contains(&hold)));
        let mut there = BTreeSet::new();
        for run in crate::run::list(&host.options.state)? {
            let name = run.folder().path().file_name().unwrap_or_default().to_string_lossy();
            let Ok(id) = name.parse::<RunId>() else { continue };
            there.insert(id.clone());
            if self.busy.contains(&id) || self.settled.contains_key(&id) {
                continue;
            }
            let hold = Hold::read(run.folder())?;
            if let Some(hold) = &hold
                && !host.is_ours(&hold.host, &hold.coordinator)
            {
                continue;
            }
            let order = match &hold {
                Some(hold) => self.order(&id, &run, hold, (&lost, &held, beat))?,
                None => self.order_without_hold(host, &id, &run, jobs)?,
            };
            if let Some(order) = order {
                self.busy.insert(id.clone());
                tasks.spawn(carry_out(Arc::clone(host), id, run, hold, order));
            }
        }
        let settled = &self.settled;
        self.waits.retain(|id| there.contains(id) && !settled.contains_key(id));
        Ok(())
    }

    fn order(
        &mut self,
        id: &RunId,
        run: &Run,
        hold: &Hold,
        (lost, held, beat): (&BTreeSet<SessionId>, &BTreeSet<HoldId>, &Beat),
    ) -> Result<Option<Order>, Error> {
        if let Some(record) = run.folder().exit_record()? {
            let given_back = Hold::is_given_back(run.folder()) && !held.contains(&hold.hold);
            if given_back {
                self.settled.insert(id.clone(), Some(hold.hold));
                return Ok(None);
            }
            let wrapper_lives = hold.wrapper.is_alive().unwrap_or(true);
            let waited = self.waits.waited(id, Next::Return, clock::boottime());
            let waits = wrapper_lives && waited < WRAPPERS_TURN;
            return Ok((!waits).then(|| Order::Settle(Box::new(record))));
        }
        if self.is_being_made(id, run) {
            return Ok(None);
        }
        if hold.of.is_of_fleet_reach() && lost.contains(&hold.session) {
            return Ok(Some(Order::End(format!("{LOST} session {} was lost", hold.session))));
        }
        if hold.of.is_of_fleet_reach() && beat.sessions.contains(&hold.session) {
            return Ok(Some(Order::Extend(beat.deadline())));
        }
        Ok(Some(Order::Look))
    }

    /// Detached runs, and gates' runs that nobody wants any more.
    fn order_without_hold(
        &mut self,
        host: &Host,
        id: &RunId,
        run: &Run,
        jobs: &Jobs,
    ) -> Result<Option<Order>, Error> {
        let gate = Gate::read(run.folder())?;
        if let Some(gate) = &gate
            && (!host.is_ours(&gate.host, &gate.coordinator) || jobs.has(&gate.key()))
        {
            return Ok(None);
        }
        if run.folder().exit_record()?.is_some() {
            self.settled.insert(id.clone(), None);
            return Ok(None);
        }
        if self.is_being_made(id, run) {
            return Ok(None);
        }
        let unwanted = || Order::End("this host is not to run it any more".to_owned());
        Ok(Some(gate.map_or(Order::Look, |_| unwanted())))
    }

    fn is_being_made(&mut self, id: &RunId, run: &Run) -> bool {
        let waited = self.waits.waited(id, Next::Begin, clock::boottime());
        is_being_made(run.folder(), waited)
    }

    /// Takes note that a run was looked after.
    pub(super) fn done(&mut self, run: &RunId) {
        self.busy.remove(run);
    }
}

async fn carry_out(host: Arc<Host>, id: RunId, run: Run, hold: Option<Hold>, order: Order) -> Done {
    if let Err(error) = try_carry_out(&host, &run, hold.as_ref(), order).await {
        tracing::warn!(run = %id, error = error.in_full(), "a run could not be looked after");
    }
    Done::Tended(id)
}

async fn try_carry_out(
    host: &Host,
    run: &Run,
    hold: Option<&Hold>,
    order: Order,
) -> Result<(), Error> {
    let ended = match order {
        Order::Settle(record) => Some(*record),
        Order::End(reason) => {
            tracing::info!(run = %run.folder().path().display(), reason, "stopping a run");
            Some(end(run, &reason).await?)
        }
        Order::Extend(deadline) => match run.extend(deadline).await {
            // One that is being stopped, or has ended, is looked at again.
            Ok(_) | Err(RunError::Refused { .. }) => None,
            Err(RunError::SupervisorLost { .. }) => Some(reaped(run).await?),
            Err(error) => return Err(told(&error)),
        },
        Order::Look => match run.status().await.map_err(|error| told(&error))? {
            Standing::Live(_) | Standing::Ended(_) => None,
            Standing::Lost => Some(reaped(run).await?),
        },
    };
    match (ended, hold) {
        (Some(record), Some(hold)) => settle(host, run, hold, &record).await,
        (Some(record), None) => release(host, &record),
        (None, _) => Ok(()),
    }
}

/// Ends a run and waits until nothing of it is left.
pub(super) async fn end(run: &Run, reason: &str) -> Result<ExitRecord, Error> {
    let stopped = match run.stop(reason).await {
        Ok(()) => run.wait().await,
        Err(error) => Err(error),
    };
    match stopped {
        Err(RunError::SupervisorLost { .. }) => reaped(run).await,
        ended => ended.map_err(|error| told(&error)),
    }
}

/// Ends what a killed supervisor left, and says so.
pub(super) async fn reaped(run: &Run) -> Result<ExitRecord, Error> {
    let record = reap(run).await?.map_err(|error| told(&error))?;
    tracing::warn!(run = %record.run, "its supervisor was lost; what was left of it is gone");
    Ok(record)
}

/// Gives back what an ended run held.
pub(super) async fn settle(
    host: &Host,
    run: &Run,
    hold: &Hold,
    record: &ExitRecord,
) -> Result<(), Error> {
    release(host, record)?;
    let (held, ended) = (hold.clone(), record.clone());
    let verb = blocking(move || held.end(&ended)).await??;
    match host.insist(verb).await {
        Ok(()) => tracing::info!(hold = %hold.hold, run = %record.run, "given back"),
        // It is somebody else's, or over: there is nothing to give back.
        Err(error @ (Error::Refused { .. } | Error::Told { .. })) => {
            tracing::info!(hold = %hold.hold, error = error.in_full(), "was not ours any more");
        }
        Err(error) => return Err(error),
    }
    Ok(Hold::mark_given_back(run.folder())?)
}

fn release(host: &Host, record: &ExitRecord) -> Result<(), Error> {
    host.ledger().and_then(|ledger| ledger.release(&record.run)).map_err(|error| told(&error))
}

/// What wrappers left that died before they had a run.
#[derive(Debug)]
pub(super) enum Left {
    /// A place or a grant.
    Place(Place),
    /// A request whose answer nobody heard.
    Asked(Asked),
}

/// What dead wrappers of this daemon's host and fleet left.
pub(super) fn forsaken(host: &Host) -> Result<Vec<Left>, Error> {
    let state = &host.options.state;
    let died = |wrapper: &ProcessIdentity| matches!(wrapper.is_alive(), Ok(false));
    let mut asked = Asked::all(state)?;
    asked.retain(|left| host.is_ours(&left.host, &left.coordinator) && died(&left.wrapper));
    let mut places = Place::all(state)?;
    places.retain(|left| host.is_ours(&left.host, &left.coordinator) && died(&left.wrapper));
    // A request first: its answer may have been written down a moment ago.
    Ok(asked.into_iter().map(Left::Asked).chain(places.into_iter().map(Left::Place)).collect())
}

/// Gives back what dead wrappers left, as far as `held` shows it.
pub(super) async fn recover(host: Arc<Host>, mut orphans: Orphans, held: Held) -> Done {
    if let Err(error) = try_recover(&host, |_| true, &mut orphans, &held).await {
        tracing::warn!(error = error.in_full(), "what a dead wrapper left is not given back yet");
    }
    Done::Recovered(orphans)
}

/// Gives back what dead wrappers left in requests and places that `concerns`.
pub(super) async fn try_recover(
    host: &Host,
    concerns: impl Fn(&Left) -> bool,
    orphans: &mut Orphans,
    held: &Held,
) -> Result<(), Error> {
    for left in forsaken(host)?.into_iter().filter(concerns) {
        match left {
            Left::Place(place) => give_back(host, &place).await?,
            Left::Asked(asked) if recall(host, &asked).await? == Recall::Orphaned => {
                orphans.settle(host, &asked, held).await?;
            }
            Left::Asked(_) => {}
        }
    }
    Ok(())
}

/// What became of asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recall {
    /// What it was for is given back, or there is nothing to give back, or it is tried again.
    Done,
    /// Nobody can ask again: its session is over, or lives on elsewhere.
    Orphaned,
}

/// Asks the same under the same number, and gives back what the answer names.
async fn recall(host: &Host, asked: &Asked) -> Result<Recall, Error> {
    let state = &host.options.state;
    let Some(record) = asked.record()? else { return Ok(Recall::Orphaned) };
    if !asked.adopt()? || !asked.is_there(state) {
        // Another command asks the same, or was told by now.
        asked.forget(state)?;
        return Ok(Recall::Done);
    }
    let (caller, number) = (Some(record.caller()), asked.number);
    let command = v1::Command { caller, number, verb: Some(asked.ask.verb()) };
    let hold = match host.client.act(command).await.map(|reply| reply.answer) {
        Ok(Some(Answer::Held(view))) => Some(view.id),
        Ok(Some(Answer::Waiting(queued))) => Some(queued.id),
        Ok(_) => None,
        Err(error) if error.is_lost() => {
            let registered = alive::registered(state)?;
            // It may be resumed yet, and then it is asked again.
            let may_ask = registered.iter().any(|known| known.session == asked.session);
            return Ok(if may_ask { Recall::Done } else { Recall::Orphaned });
        }
        Err(Error::Refused { .. } | Error::Told { .. }) => None,
        Err(error) => return Err(error),
    };
    // Before anything is given back: the same request would be told of it again.
    asked.settle()?;
    if let Some(hold) = hold {
        let hold: HoldId = hold.parse().map_err(|error| Error::bug(format!("a hold: {error}")))?;
        let place = Place {
            hold,
            run: run_id(asked.ask.kind(), hold, &record)?,
            coordinator: asked.coordinator.clone(),
            host: asked.host.clone(),
            wrapper: asked.wrapper.clone(),
        };
        give_back(host, &place).await?;
    }
    asked.forget(state)?;
    Ok(Recall::Done)
}

/// Gives back a place that a dead wrapper left, unless a run has the hold.
async fn give_back(host: &Host, place: &Place) -> Result<(), Error> {
    let folder = RunFolder::of(&host.options.state, &place.run);
    let has_run = matches!(Hold::read(&folder), Ok(Some(hold)) if hold.wrapper != place.wrapper)
        || matches!(folder.supervisor(), Ok(Some(_)) | Err(_));
    if !has_run {
        let hold = place.hold.to_string();
        match host.insist(Verb::ReleaseHold(v1::ReleaseHold { hold, gone: true })).await {
            Ok(()) => tracing::info!(hold = %place.hold, "a dead wrapper's place is given back"),
            Err(Error::Refused { .. } | Error::Told { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(place.forget(&host.options.state)?)
}

/// An error of a room below as one of the daemon.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::unavailable(in_full(error))
}

/// What this host says of itself in every beat.
pub(super) fn means(host: &Host, sessions: &[SessionId]) -> Result<v1::BeatRequest, Error> {
    Ok(v1::BeatRequest {
        host: host.options.host.to_string(),
        jobs: host.options.jobs,
        cores: machine::cores(),
        memory: machine::memory(),
        labels: machine::labels(),
        sessions: sessions.iter().map(ToString::to_string).collect(),
        job_user: host.job_user()?,
        signs: Vec::new(),
    })
}
