//! One run under one hold: started once, followed, ended, given back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use molt_proto::v1;

use super::acquire::Waited;
use super::hold::{Hold, LOST, Next, Of, Place, Waits, is_being_made};
use super::interrupt::Interrupts;
use super::{Command, Failure, Patience, Wrapper, copy, ledger_folder};
use crate::clock::{self, Millis};
use crate::daemon::{self, Beat, Keeper, machine};
use crate::error::Error;
use crate::ledger::{Admission, Demand, Ledger, Request, Shortage};
use crate::run::{
    Class, ExitRecord, Phase, Run, RunError, RunFolder, RunId, RunSpec, Sources, Status, reap,
};
use crate::{supervisor, ui};

/// Between two looks at a ledger that is full.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How long a daemon may take to begin to renew this session.
const DAEMON_PATIENCE: Duration = Duration::from_secs(15);

/// What is to run under a hold.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) command: &'a Command,
    pub(super) of: Of,
    /// Names that one run of this machine may have at a time.
    pub(super) names: BTreeSet<String>,
    pub(super) phase: Phase,
    /// Variables that tell the command what it has.
    pub(super) variables: BTreeMap<String, String>,
    /// Until when what the session has been given cannot be somebody else's; `None` for what stays
    /// with this host. Afterwards the session may have been lost and resumed: the machine may have
    /// slept.
    pub(super) sure_until: Option<Millis>,
    /// The tree that its result is named after.
    pub(super) sources: Option<Sources>,
}

/// Whether a hold got its run.
pub(super) enum Started {
    /// It did.
    Run(Box<UnderWay>),
    /// Another command of the same session used the hold, and is over by now; or the hold was
    /// lost before anything used it.
    Spent,
}

/// A run under way and what it holds.
pub(super) struct UnderWay {
    run: Run,
    hold: Hold,
}

impl Wrapper<'_> {
    /// Makes sure that a daemon renews this session, and says how long.
    pub(super) async fn renewed(&self) -> Result<Beat, Failure> {
        let session = self.record()?.id;
        let addresses = self.client.addresses();
        let keeper = daemon::ensure(&self.program, self.state, &self.host, addresses)?;
        if let Keeper::Nobody { problem: reason } = keeper {
            return Err(Failure::Unavailable { reason });
        }
        let end = clock::boottime().plus(DAEMON_PATIENCE);
        loop {
            let beat = Beat::read(self.state, &self.host, addresses)?;
            if let Some(beat) = beat.filter(|beat| beat.covers(session, clock::boottime())) {
                return Ok(beat);
            }
            if clock::boottime() >= end {
                let log = daemon::log_path(self.state);
                let reason = format!(
                    "no daemon of host {} renews session {session}: see {}",
                    self.host,
                    log.display()
                );
                return Err(Failure::Unavailable { reason });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts the command under the hold `view`, unless that was used already.
    pub(super) async fn start(
        &self,
        task: &Task<'_>,
        (view, place): (&v1::HoldView, &Place),
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<Started, Failure> {
        let begun = self.begin(task, (view, place), patience, interrupts).await;
        match begun {
            Ok(Some(started)) => {
                place.forget(self.state)?;
                Ok(Started::Run(Box::new(started)))
            }
            Ok(None) => {
                place.forget(self.state)?;
                // Its own wrapper gives the hold back now, or the daemon soon.
                tokio::time::sleep(BETWEEN_LOOKS).await;
                Ok(Started::Spent)
            }
            Err(failure) if self.is_anothers(place)? => {
                place.forget(self.state)?;
                Err(failure)
            }
            Err(failure) => {
                self.ledger()?.release(&place.run)?;
                self.give_up(place).await;
                Err(failure)
            }
        }
    }

    /// Whether another command of this session uses the hold.
    fn is_anothers(&self, place: &Place) -> Result<bool, Failure> {
        let hold = Hold::read(&RunFolder::of(self.state, &place.run))?;
        Ok(hold.is_some_and(|hold| hold.wrapper != place.wrapper))
    }

    async fn begin(
        &self,
        task: &Task<'_>,
        (view, place): (&v1::HoldView, &Place),
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<Option<UnderWay>, Failure> {
        let record = self.record()?;
        let folder = RunFolder::of(self.state, &place.run);
        if folder.path().exists() {
            self.outlast(&place.run, patience, interrupts).await?;
            return Ok(None);
        }
        self.admit(task, place, patience, interrupts).await?;
        let spec = self.spec(task, place).await?;
        if task.sure_until.is_some_and(|end| clock::boottime() >= end)
            && !self.still_stands(place, patience, interrupts).await?
        {
            self.ledger()?.release(&place.run)?;
            return Ok(None);
        }
        let run = match Run::create(self.state, &spec) {
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                self.outlast(&place.run, patience, interrupts).await?;
                return Ok(None);
            }
            run => run?,
        };
        let hold = Hold {
            hold: place.hold,
            of: task.of.clone(),
            session: record.id,
            holder: record.name.to_string(),
            fence: view.fence.clone(),
            coordinator: place.coordinator.clone(),
            host: self.host.clone(),
            wrapper: place.wrapper.clone(),
        };
        hold.write(run.folder())?;
        let (program, path) = (self.program.clone(), run.folder().path().to_owned());
        blocking(move || supervisor::spawn(&program, &path)).await??;
        Ok(Some(UnderWay { run, hold }))
    }

    /// Whether a grant still stands: a beat says that the session is renewed, and not that it
    /// was all the time.
    async fn still_stands(
        &self,
        place: &Place,
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<bool, Failure> {
        let stands = self.wait_in_line(place, patience, interrupts).await?;
        if matches!(stands, Waited::Gone) {
            ui::note(&ui::row("lost", [place.hold.to_string(), "asking again".to_owned()]));
        }
        Ok(matches!(stands, Waited::Held(_)))
    }

    async fn spec(&self, task: &Task<'_>, place: &Place) -> Result<RunSpec, Failure> {
        let log = self.state.join("logs/runs").join(format!("{}.log", place.run));
        let command = task.command;
        let (argv, cwd) = (command.argv.clone(), self.cwd.clone());
        let mut spec = RunSpec::new(place.run.clone(), argv, cwd, log, task.phase.clone());
        spec.environment = command.environment.clone();
        spec.environment.extend(task.variables.clone());
        spec.environment.insert("MOLT_RUN_ID".to_owned(), place.run.to_string());
        spec.facts = task.sources.as_ref().map(Sources::facts).unwrap_or_default();
        spec.sources = task.sources.clone();
        if task.of.is_of_fleet_reach() {
            let beat = self.renewed().await?;
            spec.deadline = Some(beat.deadline());
            spec.kill_grace_ms = beat.kill_grace_ms;
        }
        Ok(spec)
    }

    pub(super) fn ledger(&self) -> Result<Ledger, Failure> {
        Ok(Ledger::open(&ledger_folder(self.state), machine::budget())?)
    }

    /// Waits until the machine has room for the run. Runs of this state folder
    /// that are in its way and whose hold is not theirs any more are stopped.
    async fn admit(
        &self,
        task: &Task<'_>,
        place: &Place,
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<(), Failure> {
        let ledger = self.ledger()?;
        let request = Request {
            run: place.run.clone(),
            holder: place.wrapper.clone(),
            folder: RunFolder::of(self.state, &place.run).path().to_owned(),
            slot: None,
            locks: task.names.clone(),
            demand: Demand { memory: 0, millicores: 0 },
        };
        let mut said = false;
        loop {
            let by = match ledger.admit(&request)? {
                Admission::Admitted(_) => return Ok(()),
                Admission::Full { by, .. } => by,
                Admission::TooLarge { shortage } => return Err(too_large(&shortage)),
            };
            for run in &by {
                self.clear(&ledger, run, place).await?;
            }
            if !said {
                said = true;
                ui::note(&ui::row("waiting", ["for this machine", &ui::list(&by)]));
            }
            if patience.is_over() {
                let reason = format!("{} still runs on this machine", ui::list(&by));
                return Err(Failure::not_acquired(reason));
            }
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                signal = interrupts.next() => return Err(super::acquire::interrupted(signal)),
            }
        }
    }

    /// Ends an older run that is in the way. This wrapper was granted what that
    /// run had, so that run has it no more.
    async fn clear(&self, ledger: &Ledger, older: &RunId, place: &Place) -> Result<(), Failure> {
        let Ok(run) = Run::find(self.state, older) else { return Ok(()) };
        let Some(hold) = Hold::read(run.folder())? else { return Ok(()) };
        if hold.hold == place.hold {
            return Ok(());
        }
        if run.folder().exit_record()?.is_none() {
            let reason = format!("{LOST} {} was granted to {}", hold.hold, place.hold);
            match run.stop(&reason).await {
                Ok(()) => drop(run.wait().await?),
                Err(RunError::SupervisorLost { .. }) => drop(reaped(&run).await?),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ledger.release(older)?)
    }

    /// Waits for the end of the run that has the same hold.
    async fn outlast(
        &self,
        id: &RunId,
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<(), Failure> {
        ui::note(&ui::row("waiting", ["for another command of this session", id.as_str()]));
        let run = Run::find(self.state, id)?;
        let mut waits = Waits::default();
        loop {
            let ended = tokio::select! {
                ended = run.wait() => ended,
                () = tokio::time::sleep(patience.left()) => {
                    return Err(Failure::not_acquired(format!("{id} of this session still runs")));
                }
                signal = interrupts.next() => return Err(super::acquire::interrupted(signal)),
            };
            match ended {
                Ok(_) => return Ok(()),
                Err(RunError::SupervisorLost { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let waited = waits.waited(id, Next::Begin, clock::boottime());
            if !is_being_made(run.folder(), waited) {
                return reaped(&run).await.map(drop);
            }
            if patience.is_over() {
                return Err(Failure::not_acquired(format!("{id} of this session does not begin")));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Follows the run to its end and gives back what it had; the exit record.
    pub(super) async fn see_through(
        &self,
        started: UnderWay,
        interrupts: &mut Interrupts,
    ) -> Result<ExitRecord, Failure> {
        let UnderWay { run, hold } = started;
        let record = followed(&run, interrupts).await?;
        self.ledger()?.release(&record.run)?;
        let verb = hold.end(&record)?;
        match self.act(verb).await {
            Ok(_) => Hold::mark_given_back(run.folder())?,
            // Whoever has it by now is not this wrapper's business.
            Err(Error::Refused { .. } | Error::Told { .. }) if is_lost(&record) => {}
            Err(error) => {
                let left = format!("{} is left to the daemon: {}", hold.hold, error.in_full());
                ui::warn(&left);
            }
        }
        Ok(record)
    }
}

/// What a command's wrapper returns for the end of its run.
pub(super) fn code(command: &Command, record: &ExitRecord) -> Result<u8, Failure> {
    let by = record.by.clone().unwrap_or_default();
    if is_lost(record) {
        return Err(Failure::Lost { reason: by });
    }
    if matches!(record.status, Status::NotStarted(_) | Status::Unknown) {
        ui::warn(&by);
    }
    let code = record.exit_code();
    if code != 0 && !command.withheld.is_empty() {
        let names = ui::list(&command.withheld);
        ui::note(&ui::row("withheld", [names, "(--env NAME passes a variable on)".to_owned()]));
    }
    Ok(code)
}

fn is_lost(record: &ExitRecord) -> bool {
    let told = record.by.as_deref().is_some_and(|by| by.starts_with(LOST));
    record.class == Class::Deadline || (record.class == Class::Killed && told)
}

/// Copies the run's output until it has ended. A signal to the wrapper stops it.
pub(super) async fn followed(
    run: &Run,
    interrupts: &mut Interrupts,
) -> Result<ExitRecord, Failure> {
    let follow = run.follow(|line| copy::line(&line));
    tokio::pin!(follow);
    let ended = loop {
        tokio::select! {
            ended = &mut follow => break ended,
            signal = interrupts.next() => {
                // When this fails, the run is about to end by itself or is lost.
                drop(run.stop(&format!("the wrapper got {signal}")).await);
            }
        }
    };
    match ended {
        Err(RunError::SupervisorLost { .. }) => reaped(run).await,
        ended => Ok(ended?),
    }
}

/// Ends what a killed supervisor left.
pub(super) async fn reaped(run: &Run) -> Result<ExitRecord, Failure> {
    let path = run.folder().path().to_owned();
    Ok(blocking(move || reap(&path)).await??)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::wrapper(format!("a task of the wrapper failed: {error}")))
}

fn too_large(shortage: &Shortage) -> Failure {
    Failure::wrapper(format!("this machine never has enough: {shortage:?}"))
}

/// For callers that name the phase of their runs.
pub(super) fn phase(word: &str) -> Result<Phase, Failure> {
    Ok(word.parse()?)
}
