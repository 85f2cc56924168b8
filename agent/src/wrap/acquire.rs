//! Asking for something shared, and waiting for it in line.

use std::time::Duration;

use molt_domain::board::Refusal;
use molt_domain::id::HoldId;
use molt_proto::v1;
use molt_proto::v1::attendance::Became;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer;
use molt_retry::{Delays, Policy};

use super::ask::{Ask, Asked};
use super::hold::{Place, run_id};
use super::interrupt::Interrupts;
use super::{Failure, Patience, Wrapper};
use crate::error::Error;
use crate::run::ProcessIdentity;
use crate::session::Earlier;
use crate::ui;

/// How long giving a place back is tried before that is left to the daemon.
const PARTING: Duration = Duration::from_secs(5);

/// What was asked for.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is granted, and its run has this name.
    Held(Box<v1::HoldView>, Place),
    /// The build is there, with artifacts of this digest.
    Built(String),
}

/// What a request was answered.
#[derive(Debug)]
enum Told {
    Held(Box<v1::HoldView>, Place),
    Waiting(u32, Place),
    Built(String),
}

/// How waiting for a place ended.
pub(super) enum Waited {
    /// It is the session's.
    Held(Box<v1::HoldView>),
    /// It is not in line any more: ask again.
    Gone,
}

impl Wrapper<'_> {
    /// Asks for something, and waits in line for it.
    pub(super) async fn take(
        &self,
        ask: &Ask,
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<Taken, Failure> {
        let mut delays: Delays = Policy::RECONNECT.within(patience.left()).into();
        loop {
            match self.ask_through(ask, interrupts).await? {
                Ok(Told::Held(view, place)) => return Ok(Taken::Held(view, place)),
                Ok(Told::Built(artifacts)) => return Ok(Taken::Built(artifacts)),
                Ok(Told::Waiting(ahead, place)) => {
                    delays.reset();
                    say_waiting(ask.kind(), ahead);
                    let waited = self.wait_in_line(&place, patience, interrupts).await;
                    match waited {
                        Ok(Waited::Held(view)) => return Ok(Taken::Held(view, place)),
                        Ok(Waited::Gone) => place.forget(self.state)?,
                        Err(failure) => {
                            self.give_up(&place).await;
                            return Err(failure);
                        }
                    }
                }
                Err(error @ (Error::Unavailable { .. } | Error::Unknown { .. })) => {
                    let Some(delay) = delays.next_delay() else { return Err(error.into()) };
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        signal = interrupts.next() => return Err(interrupted(signal)),
                    }
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }

    /// Asks once. A signal does not cut the answer off: what it names would be
    /// nobody's. It is given back then.
    async fn ask_through(
        &self,
        ask: &Ask,
        interrupts: &mut Interrupts,
    ) -> Result<Result<Told, Error>, Failure> {
        let asking = self.ask(ask);
        tokio::pin!(asking);
        let mut stop = None;
        let told = loop {
            tokio::select! {
                told = &mut asking => break told,
                signal = interrupts.next(), if stop.is_none() => stop = Some(signal),
            }
        };
        let Some(signal) = stop else { return Ok(told) };
        if let Ok(Told::Held(_, place) | Told::Waiting(_, place)) = &told {
            self.give_up(place).await;
        }
        Err(interrupted(signal))
    }

    /// Sends a request and writes down what it is answered. Until then the
    /// request itself is written down.
    async fn ask(&self, ask: &Ask) -> Result<Told, Error> {
        let verb = ask.verb();
        let (number, record) = self.file.begin(&digest(&verb), Earlier::Dropped)?;
        let asked = Asked {
            ask: ask.clone(),
            number,
            session: record.id,
            file: self.file.path().to_owned(),
            coordinator: self.client.addresses().to_vec(),
            host: self.host.clone(),
            wrapper: own()?,
        };
        asked.write(self.state)?;
        let caller = Some(record.caller());
        let outcome = self.client.act(v1::Command { caller, number, verb: Some(verb) }).await;
        let told = match outcome.map(|reply| reply.answer) {
            // This wrapper asks again, or the daemon does once it is gone.
            Err(error @ Error::Unknown { .. }) => return Err(error),
            // As unknown as it was: this try reached nobody.
            Err(error @ Error::Unavailable { .. }) if self.file.unsent(number)? => {
                return Err(error);
            }
            // An earlier try may have been carried out, before the session was lost.
            Err(error) if error.is_lost() => return Err(error),
            Ok(Some(Answer::Held(view))) => {
                let place = self.place(ask.kind(), &view.id)?;
                Ok(Told::Held(Box::new(view), place))
            }
            Ok(Some(Answer::Waiting(queued))) => {
                Ok(Told::Waiting(queued.ahead, self.place(ask.kind(), &queued.id)?))
            }
            Ok(Some(Answer::Built(built))) => Ok(Told::Built(built.artifacts)),
            Ok(_) => Err(Error::bug("the coordinator answered no hold")),
            Err(error) => Err(error),
        };
        asked.forget(self.state)?;
        self.file.settle(number)?;
        told
    }

    /// Carries out a verb as the session: its number is on disk before it is sent.
    pub(super) async fn act(&self, verb: Verb) -> Result<(), Error> {
        let (number, record) = self.file.begin(&digest(&verb), Earlier::Dropped)?;
        let caller = Some(record.caller());
        let outcome = self.client.act(v1::Command { caller, number, verb: Some(verb) }).await;
        match &outcome {
            Err(Error::Unknown { .. }) => {}
            Err(Error::Unavailable { .. }) => drop(self.file.unsent(number)?),
            _ => self.file.settle(number)?,
        }
        outcome.map(drop)
    }

    /// Writes down which place or grant this wrapper has, for the daemon to give
    /// back if the wrapper dies.
    fn place(&self, of: &str, hold: &str) -> Result<Place, Error> {
        let odd = |error| Error::bug(format!("the coordinator's hold: {error}"));
        let hold: HoldId = hold.parse().map_err(odd)?;
        let record = self.record()?;
        let place = Place {
            hold,
            run: run_id(of, hold, &record)?,
            coordinator: self.client.addresses().to_vec(),
            host: self.host.clone(),
            wrapper: own()?,
        };
        place.write(self.state)?;
        Ok(place)
    }

    /// Gives back a place or a grant without a run. What fails here, the daemon
    /// does once this process is gone.
    pub(super) async fn give_up(&self, place: &Place) {
        let hold = place.hold.to_string();
        let verb = Verb::ReleaseHold(v1::ReleaseHold { hold, gone: true });
        match tokio::time::timeout(PARTING, self.act(verb)).await {
            Ok(Ok(_)) => drop(place.forget(self.state)),
            Ok(Err(error)) => ui::warn(&format!("{}: {}", place.hold, error.in_full())),
            Err(_) => ui::warn(&format!("{}: no answer in {PARTING:?}", place.hold)),
        }
    }

    /// Attends to a place until it is granted or gone. One that is granted already is so at once.
    pub(super) async fn wait_in_line(
        &self,
        place: &Place,
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<Waited, Failure> {
        let mut delays: Delays = Policy::RECONNECT.within(patience.left()).into();
        loop {
            let attended = tokio::select! {
                attended = self.attend(place) => attended,
                () = tokio::time::sleep(patience.left()) => {
                    return Err(Failure::not_acquired("the wait is over; the place is given back"));
                }
                signal = interrupts.next() => return Err(interrupted(signal)),
            };
            match attended {
                Ok(Some(waited)) => return Ok(waited),
                // The stream broke: the place is kept for a while.
                Ok(None) | Err(Error::Unavailable { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let Some(delay) = delays.next_delay() else {
                return Err(Failure::not_acquired("the wait is over; the place is given back"));
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn attend(&self, place: &Place) -> Result<Option<Waited>, Error> {
        let caller = self.file.read()?.ok_or_else(|| self.no_session())?.caller();
        let mut stream = self.client.attend(caller, &place.hold.to_string()).await?;
        loop {
            let Ok(Some(attendance)) = stream.message().await else { return Ok(None) };
            match attendance.became {
                Some(Became::Held(view)) => {
                    self.client.granted(&view.fence)?;
                    return Ok(Some(Waited::Held(Box::new(view))));
                }
                Some(Became::Gone(_)) => return Ok(Some(Waited::Gone)),
                Some(Became::Waiting(_)) | None => {}
                Some(Became::Granted(_) | Became::Told(_)) => {
                    return Err(Error::bug("a place for a hold was granted something else"));
                }
            }
        }
    }

    pub(super) fn record(&self) -> Result<crate::session::Record, Error> {
        self.file.read()?.ok_or_else(|| self.no_session())
    }

    fn no_session(&self) -> Error {
        let path = self.file.path().display();
        Error::Precondition { problem: format!("{path} is gone: its session was left") }
    }
}

/// A build that failed is a failure of its own: it is not run again.
fn refused(error: Error) -> Failure {
    match &error {
        Error::Refused { refusal, .. } => match &**refusal {
            Refusal::BuildFailed { build, class } => {
                let reason = format!("{build} failed a moment ago ({class}) and was not run again");
                Failure::FailedBefore { reason }
            }
            _ => error.into(),
        },
        _ => error.into(),
    }
}

/// This process, as others can see whether it lives.
fn own() -> Result<ProcessIdentity, Error> {
    ProcessIdentity::own().map_err(|error| Error::bug(format!("cannot see this process: {error}")))
}

/// What makes two requests the same.
fn digest(verb: &Verb) -> String {
    let mut bytes = Vec::with_capacity(verb.encoded_len());
    verb.encode(&mut bytes);
    blake3::hash(&bytes).to_hex().to_string()
}

fn say_waiting(of: &str, ahead: u32) {
    let ahead = match ahead {
        0 => "next in line".to_owned(),
        ahead => format!("{ahead} ahead"),
    };
    ui::note(&ui::row("waiting", [format!("for the {of}"), ahead]));
}

pub(super) fn interrupted(signal: &str) -> Failure {
    Failure::not_acquired(format!("{signal} ended the wait; the place is given back"))
}
