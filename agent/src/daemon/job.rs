//! One job, from its assignment to a definite answer about what it found.
//!
//! `gate.json` in the run's folder says which job the run is, so that a later
//! daemon goes on with it: nothing runs twice, and what was found is told.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use molt_domain::gate::Reader;
use molt_domain::name::HostName;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::checkout::{self, Wanted};
use super::holds::{end, reaped, told};
use super::host::{Host, blocking};
use super::room::Room;
use super::serve::Done;
use crate::client::Address;
use crate::error::Error;
use crate::gates::{self, Ended};
use crate::ledger::{Admission, Demand, Request};
use crate::run::folder::{Survives, read_json, replace_json};
use crate::run::{
    Argv, DEFAULT_ALLOW, ExitRecord, FileError, Limits, ProcessIdentity, Run, RunError, RunFolder,
    RunId, RunSpec, RunUser, is_over, scrubbed_environment,
};
use crate::wrap::slot_name;
use crate::{clock, supervisor};

/// Between two looks at a ledger that is full.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Variables that begin so are between the daemon and its coordinator.
const OWN_VARIABLES: [&str; 7] = [
    "MOLT_AGENT_",
    "MOLT_COORD",
    "MOLT_HOST_",
    "MOLT_JOB_USER",
    "MOLT_STATE",
    "MOLT_SLOT",
    "MOLT_DAEMON",
];

/// Which job, and which try of it.
pub(super) type Key = (String, u32);

/// A gate's run, as its folder says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gate {
    pub(super) host: HostName,
    pub(super) coordinator: Vec<Address>,
    /// The folder of the slot that it has.
    pub(super) slot: PathBuf,
    /// Who it runs as; `None`: whoever the daemon is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<RunUser>,
    /// Where the repository is.
    remote: String,
    job: String,
    attempt: u32,
    gate: String,
    run: String,
    reader: Reader,
    commit: String,
    tree: String,
    from: String,
    minimum: u32,
}

impl Gate {
    /// The gate that the run in `folder` is of, if it is of one.
    pub(super) fn read(folder: &RunFolder) -> Result<Option<Self>, FileError> {
        read_json(&folder.path().join("gate.json"))
    }

    fn write(&self, folder: &RunFolder) -> Result<(), FileError> {
        replace_json(&folder.path().join("gate.json"), self, 0o600, Survives::Machine)
    }

    pub(super) fn key(&self) -> Key {
        (self.job.clone(), self.attempt)
    }

    /// Whether `other` is the same try of the same job. Where it ran is no matter.
    fn is_of_same_job(&self, other: &Self) -> bool {
        let (slot, remote, user) = (self.slot.clone(), self.remote.clone(), self.user);
        *self == Self { slot, remote, user, ..other.clone() }
    }

    /// The room of the other user that it runs as.
    fn room(&self, state: &Path) -> Option<Room> {
        self.user.map(|user| Room::of(state, &self.slot, user))
    }

    /// The folder of its tree and its target.
    fn folder(&self, state: &Path) -> PathBuf {
        self.room(state).map_or_else(|| self.slot.clone(), |room| room.path().to_owned())
    }

    fn tree_path(&self, state: &Path) -> PathBuf {
        self.folder(state).join("tree")
    }

    fn argv(&self) -> Vec<String> {
        vec!["sh".to_owned(), "-c".to_owned(), self.run.clone()]
    }
}

/// The name of an assignment's run.
pub(super) fn run_id(assignment: &v1::Assignment) -> Result<RunId, Error> {
    let name = format!("{}-{}", assignment.job, assignment.attempt);
    name.parse().map_err(|error| told(&error))
}

/// A job to be carried out here.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) host: Arc<Host>,
    pub(super) assignment: v1::Assignment,
    /// Where the repository is, if the coordinator said so.
    pub(super) remote: Option<String>,
    /// The folder of the slot that it gets.
    pub(super) slot: PathBuf,
    /// Becomes the reason when this host is not to run it any more.
    pub(super) cancelled: watch::Receiver<Option<String>>,
}

/// Why a job came to no finding.
enum Stop {
    /// Nobody wants it any more.
    Cancelled,
    /// This host cannot run it; somebody is to be told.
    Infra(String),
}

impl<E: std::error::Error + 'static> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Infra(match told(&error) {
            Error::Unavailable { problem } => problem,
            error => error.in_full(),
        })
    }
}

impl Job {
    /// Carries the job out, or goes on with it.
    pub(super) async fn carry_out(mut self) -> Done {
        let key = (self.assignment.job.clone(), self.assignment.attempt);
        let (gate, argv) = (self.assignment.gate.clone(), self.assignment.run.clone());
        let finding = match self.find().await {
            Ok(finding) => finding,
            Err(Stop::Cancelled) => {
                tracing::info!(job = key.0, attempt = key.1, gate, "not wanted any more");
                return Done::Job(key);
            }
            Err(Stop::Infra(reason)) => {
                tracing::warn!(job = key.0, attempt = key.1, gate, reason, "cannot be run here");
                gates::not_run(&["sh".to_owned(), "-c".to_owned(), argv], &reason)
            }
        };
        let class = finding.class.clone();
        tracing::info!(job = key.0, attempt = key.1, gate, class, note = finding.note, "ended");
        self.tell(finding).await;
        Done::Job(key)
    }

    /// Reports until there is a definite answer.
    async fn tell(&self, finding: v1::Finding) {
        let v1::Assignment { job, attempt, .. } = &self.assignment;
        let end = |finding| {
            Verb::EndJob(v1::EndJob { job: job.clone(), attempt: *attempt, finding: Some(finding) })
        };
        let argv = finding.argv.clone();
        match self.host.insist(end(finding)).await {
            Ok(()) => {}
            Err(Error::Refused { refusal, .. })
                if refusal.kind() == molt_domain::board::Kind::Usage =>
            {
                // Somebody has to learn that this host's findings cannot be read.
                let reason = format!("the finding was refused: {refusal}");
                tracing::error!(job, attempt, reason, "a finding was not understood");
                if let Err(error) = self.host.insist(end(gates::not_run(&argv, &reason))).await {
                    tracing::error!(job, attempt, error = error.in_full(), "not told");
                }
            }
            Err(error) => tracing::info!(job, attempt, error = error.in_full(), "dropped"),
        }
    }

    async fn find(&mut self) -> Result<v1::Finding, Stop> {
        let id = run_id(&self.assignment)?;
        let gate = self.gate()?;
        let folder = RunFolder::of(&self.host.options.state, &id);
        let earlier = self.earlier(&folder, &gate)?;
        let gate = earlier.as_ref().map_or(gate, |(_, gate)| gate.clone());
        self.check_isolation(&gate)?;
        // Until it is read, nobody else may have the tree.
        self.admit(&id, &gate).await?;
        let finding = self.find_on(id.clone(), gate, earlier.map(|(run, _)| run)).await;
        self.host.ledger()?.release(&id)?;
        finding
    }

    /// That it runs apart from agents, if it must.
    fn check_isolation(&self, gate: &Gate) -> Result<(), Stop> {
        if !self.assignment.isolated {
            return Ok(());
        }
        let user = self.host.options.job_user.as_ref().filter(|user| Some(user.ids) == gate.user);
        let refused = match user {
            None => Some("it must run as a user that no agent is, and has none".to_owned()),
            Some(user) => user.shared(&self.host.options.state)?,
        };
        refused.map_or(Ok(()), |reason| Err(Stop::Infra(reason)))
    }

    async fn find_on(
        &mut self,
        id: RunId,
        gate: Gate,
        earlier: Option<Run>,
    ) -> Result<v1::Finding, Stop> {
        let run = match earlier {
            Some(run) => run,
            None => self.start(id, &gate).await?,
        };
        let record = self.outlast(&run).await?;
        read(run, (gate, self.host.options.state.clone()), record).await
    }

    fn gate(&self) -> Result<Gate, Stop> {
        let v1::Assignment { job, attempt, gate, run, result, commit, tree, from, minimum, .. } =
            self.assignment.clone();
        let remote = self.remote.clone().ok_or_else(|| {
            let repo = &self.assignment.repo;
            Stop::Infra(format!("the coordinator named no remote for {repo}"))
        })?;
        Ok(Gate {
            host: self.host.options.host.clone(),
            coordinator: self.host.options.coordinator.clone(),
            slot: self.slot.clone(),
            user: self.host.options.job_user.as_ref().map(|user| user.ids),
            remote,
            job,
            attempt,
            gate,
            run,
            reader: Reader::try_from(result)?,
            commit,
            tree,
            from,
            minimum,
        })
    }

    /// The run of this job that an earlier daemon started. A folder of another
    /// fleet's job of the same name is moved out of the way.
    fn earlier(&self, folder: &RunFolder, gate: &Gate) -> Result<Option<(Run, Gate)>, Stop> {
        if !folder.path().exists() {
            return Ok(None);
        }
        let found = Gate::read(folder)?;
        let started = folder.supervisor()?.is_some() || folder.exit_record()?.is_some();
        if let Some(found) = found
            && found.is_of_same_job(gate)
            && started
        {
            return Ok(Some((Run::open(folder.path())?, found)));
        }
        if !is_over(folder.path())? {
            let path = folder.path().display();
            return Err(Stop::Infra(format!("{path} is the run of another job, and goes on")));
        }
        let unique = format!("{}-{}", clock::boottime().get(), std::process::id());
        let aside = folder.path().with_extension(unique);
        std::fs::rename(folder.path(), &aside)?;
        Ok(None)
    }

    /// Waits until the machine has room. The slot's folder has one user at a time.
    async fn admit(&mut self, id: &RunId, gate: &Gate) -> Result<(), Stop> {
        let request = Request {
            run: id.clone(),
            holder: ProcessIdentity::own()?,
            folder: RunFolder::of(&self.host.options.state, id).path().to_owned(),
            slot: None,
            locks: BTreeSet::from([slot_name(&gate.slot)]),
            demand: Demand { memory: self.assignment.memory, millicores: 0 },
        };
        loop {
            match self.host.ledger()?.admit(&request)? {
                Admission::Admitted(_) => return Ok(()),
                Admission::TooLarge { shortage } => {
                    let reason = format!("this machine never has enough: {shortage:?}");
                    return Err(Stop::Infra(reason));
                }
                Admission::Full { .. } => {}
            }
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                () = cancelled(&mut self.cancelled) => return Err(Stop::Cancelled),
            }
        }
    }

    /// Prepares the tree and starts the run on it.
    async fn start(&mut self, id: RunId, gate: &Gate) -> Result<Run, Stop> {
        let state = &self.host.options.state;
        if let Some(room) = gate.room(state) {
            let state = state.clone();
            blocking(move || room.open(&state)).await??;
        }
        let wanted = Wanted {
            path: gate.tree_path(state),
            remote: gate.remote.clone(),
            commit: gate.commit.parse()?,
            from: gate.from.clone(),
        };
        let tree = tokio::select! {
            prepared = checkout::prepare(wanted) => prepared.map_err(Stop::Infra)?,
            () = cancelled(&mut self.cancelled) => return Err(Stop::Cancelled),
        };
        if tree.tree.as_str() != gate.tree {
            return Err(Stop::Infra(format!(
                "commit {} has tree {}, not {}",
                gate.commit, tree.tree, gate.tree
            )));
        }
        if let Some(room) = gate.room(state) {
            blocking(move || room.hand_over()).await??;
        }
        let mut spec = self.spec(&id, gate)?;
        spec.facts.insert("commit".to_owned(), tree.commit.to_string());
        spec.facts.insert("tree".to_owned(), tree.tree.to_string());
        spec.facts.insert("dirty".to_owned(), tree.dirty.unwrap_or_default());
        let run = Run::create(&self.host.options.state, &spec)?;
        gate.write(run.folder())?;
        let (program, path) = (self.host.options.program.clone(), run.folder().path().to_owned());
        let started = blocking(move || supervisor::spawn(&program, &path)).await??;
        tracing::info!(run = %spec.id, gate = gate.gate, log = %spec.log.display(), "started");
        Ok(started.run)
    }

    fn spec(&self, id: &RunId, gate: &Gate) -> Result<RunSpec, Stop> {
        let log = free_log(&self.host.options.state, gate)?;
        let argv = Argv::try_from(gate.argv())?;
        let state = &self.host.options.state;
        let (tree, folder) = (gate.tree_path(state), gate.folder(state));
        let mut spec = RunSpec::new(id.clone(), argv, tree, log, "gate".parse()?);
        let mut environment = scrubbed_environment(DEFAULT_ALLOW);
        // Whose daemon this is, and whom it asks, is nothing to a job.
        environment.retain(|name, _| !OWN_VARIABLES.iter().any(|own| name.starts_with(own)));
        if let Some((user, room)) = self.host.options.job_user.as_ref().zip(gate.room(state)) {
            environment.extend(user.variables(&room));
        }
        environment.extend(self.assignment.env.clone());
        let target = folder.join("target").display().to_string();
        environment.insert("CARGO_TARGET_DIR".to_owned(), target);
        environment.insert("MOLT_SLOT_DIR".to_owned(), folder.display().to_string());
        environment.insert("MOLT_RUN_ID".to_owned(), id.to_string());
        spec.environment = environment;
        spec.user = gate.user;
        let some = |limit: u64| Some(limit).filter(|&limit| limit > 0);
        spec.limits = Limits {
            timeout_ms: some(self.assignment.timeout_ms),
            memory_bytes: some(self.assignment.memory),
        };
        Ok(spec)
    }

    /// Waits for the end of the run, or ends it when nobody wants it any more.
    async fn outlast(&mut self, run: &Run) -> Result<ExitRecord, Stop> {
        let waited = tokio::select! {
            waited = run.wait() => waited,
            () = cancelled(&mut self.cancelled) => {
                let reason = "this host is not to run it any more";
                end(run, reason).await?;
                return Err(Stop::Cancelled);
            }
        };
        match waited {
            Err(RunError::SupervisorLost { .. }) => Ok(reaped(run).await?),
            ended => Ok(ended?),
        }
    }
}

/// Returns once there is a reason.
async fn cancelled(reason: &mut watch::Receiver<Option<String>>) {
    if reason.wait_for(Option::is_some).await.is_err() {
        // The daemon ends; it leaves its runs to their supervisors.
        std::future::pending::<()>().await;
    }
}

/// What the ended run found, on which tree.
async fn read(
    run: Run,
    (gate, state): (Gate, PathBuf),
    record: ExitRecord,
) -> Result<v1::Finding, Stop> {
    blocking(move || {
        let path = gate.tree_path(&state);
        let tree = checkout::look(&path, &gate.remote).map_err(Stop::Infra)?;
        let mut finding = gates::find(&Ended {
            gate: &gate.gate,
            reader: &gate.reader,
            minimum: gate.minimum,
            checkout: &path,
            folder: run.folder(),
            record: &record,
        })?;
        let before = record.facts.get("dirty").map(String::as_str).unwrap_or_default();
        let after = tree.dirty.as_deref().unwrap_or_default();
        if before != after {
            let short = |digest: &str| match digest.get(..8) {
                Some(short) => short.to_owned(),
                None => "clean".to_owned(),
            };
            let changed = format!("tree {} before, {} after", short(before), short(after));
            finding.note = match finding.note.as_str() {
                "" => changed,
                note => format!("{note}; {changed}"),
            };
        }
        finding.commit = tree.commit.to_string();
        finding.tree = tree.tree.to_string();
        Ok(finding)
    })
    .await?
}

/// A path for the log that nobody has used: logs are never overwritten.
fn free_log(state: &Path, gate: &Gate) -> Result<PathBuf, io::Error> {
    let folder = state.join("logs/gates").join(gate.gate.replace('/', "%"));
    let stem = format!("{}-{}", gate.job, gate.attempt);
    let mut n = 1;
    loop {
        let name = if n == 1 { format!("{stem}.log") } else { format!("{stem}.{n}.log") };
        let path = folder.join(name);
        if !path.try_exists()? {
            return Ok(path);
        }
        n += 1;
    }
}
