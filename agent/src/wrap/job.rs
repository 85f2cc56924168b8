//! Detached runs on the own machine: they survive a disconnect, and hold nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use molt_domain::id::JobId;
use molt_proto::v1;
use molt_retry::{Delays, Policy};

use super::interrupt::Interrupts;
use super::under::{blocking, followed, phase, reaped};
use super::{Command, Failure, copy};
use crate::client::{Client, PATIENCE};
use crate::error::Error;
use crate::run::{self, ExitRecord, LogLine, Report, Run, RunError, RunId, RunSpec, Standing};
use crate::supervisor;

/// A run with where it stands.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub id: RunId,
    /// What runs.
    pub argv: Vec<String>,
    /// Where it stands.
    pub state: State,
}

/// Where a run stands, as far as this machine can tell.
#[derive(Debug)]
pub enum State {
    /// It goes on.
    Live(Box<Report>),
    /// It has ended.
    Ended(Box<ExitRecord>),
    /// Its supervisor was killed; whoever waits for it cleans up.
    Lost,
}

/// Starts `command` in `cwd` under a supervisor of its own.
pub async fn start(
    program: &Path,
    state: &Path,
    cwd: PathBuf,
    command: &Command,
) -> Result<Run, Failure> {
    let id = RunId::fresh();
    let log = state.join("logs/jobs").join(format!("{id}.log"));
    let mut spec = RunSpec::new(id.clone(), command.argv.clone(), cwd, log, phase("job")?);
    spec.environment = command.environment.clone();
    spec.environment.insert("MOLT_RUN_ID".to_owned(), id.to_string());
    let run = Run::create(state, &spec)?;
    let (program, folder) = (program.to_owned(), run.folder().path().to_owned());
    Ok(blocking(move || supervisor::spawn(&program, &folder)).await??.run)
}

/// The run whose name is `name` or the only one that begins so.
pub fn find(state: &Path, name: &str) -> Result<Run, Error> {
    let ids = names(state)?;
    let matching: Vec<&RunId> = ids.iter().filter(|id| id.as_str().starts_with(name)).collect();
    let exact = ids.iter().find(|id| id.as_str() == name);
    match (exact, &matching[..]) {
        (Some(id), _) => Ok(Run::find(state, id)?),
        (None, [id]) => Ok(Run::find(state, id)?),
        (None, []) => {
            let known = ids.iter().map(RunId::as_str);
            let nearest = molt_domain::scope::nearest(name, known).map(str::to_owned);
            Err(Error::NotFound { kind: "run", name: name.to_owned(), nearest })
        }
        (None, several) => {
            Err(Error::usage(format!("`{name}` begins the names of {} runs", several.len())))
        }
    }
}

fn names(state: &Path) -> Result<Vec<RunId>, Error> {
    let runs = run::list(state)?;
    Ok(runs.iter().map(|run| Ok(run.spec()?.id)).collect::<Result<_, run::FileError>>()?)
}

/// All runs of this state folder, by name; those of one kind by age.
pub async fn list(state: &Path) -> Result<Vec<Listed>, Failure> {
    let mut listed = Vec::new();
    for run in run::list(state)? {
        let spec = run.spec()?;
        let state = match run.status().await? {
            Standing::Live(report) => State::Live(Box::new(report)),
            Standing::Ended(record) => State::Ended(record),
            Standing::Lost => State::Lost,
        };
        listed.push(Listed { id: spec.id, argv: spec.argv.into(), state });
    }
    Ok(listed)
}

/// Copies the run's output until it ends; its exit record. The run is stopped by
/// a signal to this process.
pub async fn attach(run: &Run) -> Result<ExitRecord, Failure> {
    followed(run, &mut Interrupts::listen()?).await
}

/// Waits for the end of the run.
pub async fn wait(run: &Run) -> Result<ExitRecord, Failure> {
    match run.wait().await {
        Err(RunError::SupervisorLost { .. }) => reaped(run).await,
        ended => Ok(ended?),
    }
}

/// Ends the run and waits until it is gone.
pub async fn stop(run: &Run, reason: &str) -> Result<ExitRecord, Failure> {
    match run.stop(reason).await {
        Err(RunError::SupervisorLost { .. }) => reaped(run).await,
        stopped => {
            stopped?;
            wait(run).await
        }
    }
}

/// Prints the lines that the run's log has now.
pub fn print_log(run: &Run) -> Result<(), Failure> {
    let log = run.spec()?.log;
    match std::fs::read(&log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            text.lines().filter_map(LogLine::parse).for_each(|line| copy::whole(&line));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(run::FileError::when("read", &log)(error).into()),
    }
    Ok(())
}

/// Prints the lines of the run's log, those that come included, until the run
/// has ended. It goes on if this is dropped.
pub async fn follow_log(run: &Run) -> Result<(), Failure> {
    match run.follow(|line| copy::whole(&line)).await {
        Err(RunError::SupervisorLost { .. }) => reaped(run).await.map(drop),
        ended => Ok(ended.map(drop)?),
    }
}

/// Prints the log of a fleet's job, wherever it runs or ran; with `Follow::ToTheEnd` also the
/// lines that come, until the job has ended. A stream that breaks is taken up where it broke.
pub async fn show_log(client: &Client, job: JobId, follow: Follow) -> Result<(), Failure> {
    let (mut from, mut rest) = (0, Vec::new());
    let mut delays: Delays = Policy::RECONNECT.within(follow.patience()).into();
    loop {
        let request =
            v1::LogRequest { job: job.to_string(), from, follow: follow == Follow::ToTheEnd };
        let mut parts = client.log(request).await?;
        let broken = loop {
            match parts.message().await {
                Ok(Some(part)) => {
                    delays.reset();
                    from = part.at + part.text.len() as u64;
                    rest.extend_from_slice(&part.text);
                    print_whole_lines(&mut rest);
                }
                Ok(None) => return Ok(()),
                Err(status) => break status,
            }
        };
        let reason = broken.message().to_owned();
        if let Some(error) = client.broken(broken) {
            return Err(error.into());
        }
        let Some(delay) = delays.next_delay() else { return Err(Failure::Unavailable { reason }) };
        tokio::time::sleep(delay).await;
    }
}

/// Whether a log is read to what there is, or to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// What there is.
    No,
    /// Until the job has ended.
    ToTheEnd,
}

impl Follow {
    /// How long nothing may be heard.
    fn patience(self) -> Duration {
        match self {
            Self::No => PATIENCE,
            // A takeover fits in it.
            Self::ToTheEnd => Duration::from_secs(60),
        }
    }
}

/// Prints the lines of `text` that are whole, and leaves what follows them.
fn print_whole_lines(text: &mut Vec<u8>) {
    let Some(end) = text.iter().rposition(|&byte| byte == b'\n') else { return };
    let whole: Vec<u8> = text.drain(..=end).collect();
    let whole = String::from_utf8_lossy(&whole);
    whole.lines().filter_map(LogLine::parse).for_each(|line| copy::whole(&line));
}
