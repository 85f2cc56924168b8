//! The loop that owns a run, from its start to its exit record.

use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::getpid;
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Failure;
use super::life::{Act, Cause, Leader, Life, Look};
use super::output::Output;
use super::serve::{Order, Socket, View, serve};
use super::tree::Tree;
use crate::clock::{self, Millis};
use crate::run::folder::RunFolder;
use crate::run::log::Log;
use crate::run::process::ProcessIdentity;
use crate::run::record::{Class, Ending, ExitRecord, Moment, Status, SupervisorRecord};
use crate::run::sources::{Outcome, Sources};
use crate::run::spec::{RunSpec, RunUser};
use crate::run::wire::{Reply, Report, RunState};

/// How long clients may take to read the end. After that the files tell it.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long the processes may be unreadable before the run is stopped: the
/// system may run out of files for a moment.
const BLIND_LIMIT: Duration = Duration::from_secs(10);

/// How many clients may be connected at once; more wait for their turn.
const MAX_CLIENTS: usize = 256;

/// Why a run did not begin.
pub(super) enum NotBegun {
    /// Its program cannot be executed; that is how the run ended.
    Program(Ending),
    /// The supervisor cannot do its work.
    Wrapper(Failure),
}

impl<E: Into<Failure>> From<E> for NotBegun {
    fn from(failure: E) -> Self {
        Self::Wrapper(failure.into())
    }
}

/// Starts the run in `folder`. If this fails, nothing of it runs.
pub(super) fn begin<'a>(
    folder: &'a RunFolder,
    spec: &'a RunSpec,
    started: &'a Moment,
) -> Result<Owner<'a>, NotBegun> {
    // Before the run exists, so that no signal finds nobody.
    let signals = Signals::listen().map_err(Failure::when("listen for signals"))?;
    let socket = Socket::bind(&folder.new_socket()?).map_err(Failure::when("make the socket"))?;
    let log = Log::create(&spec.log, spec.phase.clone())
        .map_err(Failure::when(&format!("create the log {}", spec.log.display())))?;
    let (stdout, to_stdout) = io::pipe().map_err(Failure::when("make a pipe"))?;
    let (stderr, to_stderr) = io::pipe().map_err(Failure::when("make a pipe"))?;
    let output = Output::new(stdout.into(), stderr.into(), log)
        .map_err(Failure::when("prepare the pipes"))?;
    let mut record = SupervisorRecord {
        supervisor: ProcessIdentity::own().map_err(Failure::when("look at this process"))?,
        child: None,
        started: started.wall.clone(),
        started_at: started.clock,
    };
    folder.write_supervisor(&record)?;
    let mut child = start(spec, to_stdout, to_stderr).map_err(NotBegun::Program)?;
    let leader = identify(&child).and_then(|leader| {
        record.child = Some(leader.clone());
        folder.write_supervisor(&record)?;
        Ok(leader)
    });
    match leader {
        Ok(leader) => Ok(Owner {
            folder,
            spec,
            started,
            life: Life::new(spec, started.clock),
            tree: Tree::new(getpid().as_raw(), child, leader),
            output,
            record,
            signals,
            socket,
            signalled: None,
            blind_since: None,
        }),
        Err(failure) => {
            child.kill().and_then(|()| child.wait()).map_err(Failure::when("end the run"))?;
            Err(failure.into())
        }
    }
}

/// Starts the run's own process as leader of its process group, unless whoever asked for it may
/// have lost what it is to hold: a suspend can come between.
fn start(spec: &RunSpec, stdout: PipeWriter, stderr: PipeWriter) -> Result<Child, Ending> {
    if let Some(at) = spec.deadline.filter(|&at| clock::boottime() >= at) {
        let (status, by) = (Status::NotStarted(125), Cause::Deadline { at }.text());
        return Err(Ending { status, class: Class::Deadline, by: Some(by) });
    }
    if !spec.cwd.is_dir() {
        let why = format!("no folder {}", spec.cwd.display());
        return Err(Ending::of_wrapper(Status::NotStarted(126), why));
    }
    let mut command = Command::new(spec.argv.program());
    if let Some(RunUser { uid, gid }) = spec.user {
        keep_powers().map_err(|error| {
            let why = format!("cannot keep the daemon's powers from the run: {error}");
            Ending::of_wrapper(Status::NotStarted(125), why)
        })?;
        // What other groups this process is in, the system forgets with its user.
        command.uid(uid).gid(gid);
    }
    command
        .args(spec.argv.arguments())
        .current_dir(&spec.cwd)
        .env_clear()
        .envs(&spec.environment)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn()
        .map_err(|error| {
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            let why = format!("cannot execute {}: {error}", spec.argv.program());
            Ending::of_wrapper(Status::NotStarted(code), why)
        })
}

/// Keeps from the run what this process may do beyond its user: of a user that is not root, such
/// powers pass to what it starts, whoever that is.
#[cfg(target_os = "linux")]
fn keep_powers() -> io::Result<()> {
    Ok(rustix::thread::clear_ambient_capability_set()?)
}

/// Only root has powers here, and they go with the user.
#[cfg(not(target_os = "linux"))]
fn keep_powers() -> io::Result<()> {
    Ok(())
}

/// Who the child is. It cannot have vanished: nobody has waited for it.
fn identify(child: &Child) -> Result<ProcessIdentity, Failure> {
    let pid = i32::try_from(child.id()).map_err(Failure::when("read the pid of the run"))?;
    ProcessIdentity::of(pid)
        .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map_err(Failure::when("look at the run's own process"))
}

struct Signals {
    child: Arrivals,
    terminate: Arrivals,
    interrupt: Arrivals,
    /// Caught and not ignored, because what is ignored the run would inherit.
    hangup: Arrivals,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            child: signal(SignalKind::child())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// A run that is under way.
pub(super) struct Owner<'a> {
    folder: &'a RunFolder,
    spec: &'a RunSpec,
    started: &'a Moment,
    life: Life,
    tree: Tree,
    output: Output,
    record: SupervisorRecord,
    signals: Signals,
    socket: Socket,
    /// The last signal that the run's processes got.
    signalled: Option<Signal>,
    /// Since when the processes cannot be read.
    blind_since: Option<Millis>,
}

impl Owner<'_> {
    /// Goes on until the run has ended and its exit record is written.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let (view, _) = watch::channel(self.view());
        let (orders, mut incoming) = mpsc::channel(16);
        let mut clients = JoinSet::new();
        let mut pace = Pace::new();
        let exit = loop {
            if pace.is_due(&self.life) {
                let looking = clock::boottime();
                if let Some(status) = self.look() {
                    break status;
                }
                pace.looked(looking, &self.life);
                let seen = self.view();
                view.send_replace(seen);
            }
            tokio::select! {
                done = self.output.pump() => {
                    self.stop_unless(done);
                    let bytes = self.output.log().bytes();
                    view.send_modify(|view| view.log_bytes = bytes);
                }
                Some(()) = self.signals.child.recv() => {
                    if matches!(self.tree.leader(), Ok(Leader::Ended)) {
                        pace.hurry();
                    }
                }
                Some(()) = self.signals.terminate.recv() => {
                    self.stop("the supervisor got SIGTERM", &mut pace);
                }
                Some(()) = self.signals.interrupt.recv() => {
                    self.stop("the supervisor got SIGINT", &mut pace);
                }
                Some(()) = self.signals.hangup.recv() => {}
                Some(order) = incoming.recv() => {
                    self.obey(order, &mut pace);
                    let seen = self.view();
                    view.send_replace(seen);
                }
                Ok((stream, _)) = self.socket.listener.accept(), if clients.len() < MAX_CLIENTS => {
                    clients.spawn(serve(stream, view.subscribe(), orders.clone()));
                }
                Some(_) = clients.join_next() => {}
                () = tokio::time::sleep(pace.rest(&self.life)) => {}
            }
        };
        let mut record = self.finish(exit);
        let log_bytes = self.output.log().bytes();
        view.send_modify(|view| view.log_bytes = log_bytes);
        if let Some(sources) = self.spec.sources.clone() {
            record.sources = Some(look_again(sources).await);
        }
        self.folder.write_exit_record(&record)?;
        view.send_modify(|view| view.exit = Some(Box::new(record)));
        drop((self.socket, incoming));
        let farewell = async { while clients.join_next().await.is_some() {} };
        // Who has not read by then finds the record in the folder.
        drop(tokio::time::timeout(FAREWELL, farewell).await);
        Ok(())
    }

    /// Looks at the processes and does what that calls for; how the run's own
    /// process ended, when nobody is left.
    fn look(&mut self) -> Option<Status> {
        let look = match self.tree.look() {
            Ok(look) => {
                self.blind_since = None;
                look
            }
            Err(error) => {
                let since = *self.blind_since.get_or_insert(clock::boottime());
                if since.until(clock::boottime()) >= BLIND_LIMIT {
                    let error = format!("cannot look at the processes: {error}");
                    self.life.stop(Cause::Wrapper { error });
                }
                // Not known is not gone, and time goes on.
                self.tree.blind_look()
            }
        };
        match self.carry_out(look) {
            Ok(status) => status,
            Err(error) => {
                self.life.stop(Cause::Wrapper { error });
                None
            }
        }
    }

    fn carry_out(&mut self, look: Look) -> Result<Option<Status>, String> {
        let signal = match self.life.step(look) {
            Act::Wait => None,
            Act::Terminate => Some(Signal::SIGTERM),
            Act::Kill => Some(Signal::SIGKILL),
            Act::Finish => {
                let gone = self.tree.confirm_gone();
                return gone.map_err(|error| format!("cannot wait for the processes: {error}"));
            }
        };
        if let Some(signal) = signal {
            self.tree.signal(signal).map_err(|error| format!("cannot send {signal}: {error}"))?;
            self.remark(signal)?;
        }
        let written = self.tree.write_witnesses(self.folder);
        written.map_err(|error| format!("{error}: {}", error.source))?;
        Ok(None)
    }

    /// Says in the log that the processes got `signal`, unless that was the last
    /// thing that they got.
    fn remark(&mut self, signal: Signal) -> Result<(), String> {
        if self.signalled.replace(signal) == Some(signal) {
            return Ok(());
        }
        let by = match self.life.state() {
            RunState::Stopping { by: Some(by) } => by,
            _ => "its own process has ended".to_owned(),
        };
        self.output.remark(&format!("{signal} to {} processes: {by}", self.tree.processes()))
    }

    fn stop_unless(&mut self, done: Result<(), String>) {
        if let Err(error) = done {
            self.life.stop(Cause::Wrapper { error });
        }
    }

    fn stop(&mut self, reason: &str, pace: &mut Pace) {
        self.life.stop(Cause::Stop { reason: reason.to_owned() });
        pace.hurry();
    }

    /// Does what a client wants, if the rules allow it. A client that went away
    /// before the answer has its wish all the same.
    fn obey(&mut self, order: Order, pace: &mut Pace) {
        let (reply, to) = match order {
            Order::Stop { reason, reply } => {
                self.stop(&reason, pace);
                (Reply::Stopping, reply)
            }
            Order::Extend { deadline, reply } => {
                match self.life.extend(deadline, clock::boottime()) {
                    Ok(deadline_ms) => (Reply::Deadline { deadline_ms }, reply),
                    Err(reason) => {
                        pace.hurry();
                        (Reply::Refused { reason }, reply)
                    }
                }
            }
        };
        drop(to.send(reply));
    }

    /// Takes the rest of the output; the exit record, but for the tree.
    fn finish(&mut self, status: Status) -> ExitRecord {
        let ending = match self.output.finish() {
            Ok(()) => self.life.ending(status),
            Err(error) => Ending::of_wrapper(status, error),
        };
        let mut record = ExitRecord::new(self.spec, self.started, &Moment::now(), ending);
        record.peak_memory = Some(self.tree.peak());
        record.lines = self.output.log().lines();
        record.process = Some(self.tree.leader_identity().clone());
        record.stragglers = self.life.stragglers();
        record
    }

    fn view(&self) -> View {
        View {
            report: Report {
                run: self.spec.id.clone(),
                state: self.life.state(),
                supervisor: self.record.supervisor.clone(),
                child: self.tree.leader_identity().clone(),
                started: self.record.started.clone(),
                deadline: self.life.deadline(),
                processes: self.tree.processes(),
                memory: self.tree.memory(),
                peak_memory: self.tree.peak(),
                lines: self.output.log().lines(),
            },
            log_bytes: self.output.log().bytes(),
            exit: None,
        }
    }
}

/// Looks at the tree once nothing of the run can change it any more, and before anybody
/// hears of the end: what its caller does next is no change during the run.
async fn look_again(sources: Sources) -> Outcome {
    let looked = tokio::task::spawn_blocking(move || sources.look_again()).await;
    looked.unwrap_or_else(|error| Outcome::Unknown { reason: error.to_string() })
}

/// When the processes are looked at: often, but for a small share of one core,
/// whatever a look costs on this machine.
struct Pace {
    next: Millis,
    /// Not before this, whatever is due: what fails must not fail in a spin.
    earliest: Millis,
}

impl Pace {
    const SHORTEST: Duration = Duration::from_millis(5);

    fn new() -> Self {
        let now = clock::boottime();
        Self { next: now, earliest: now }
    }

    fn is_due(&self, life: &Life) -> bool {
        self.rest(life).is_zero()
    }

    /// How long until the next look. Sleeping stops in suspend, so no sleep is
    /// longer than a look's distance: on waking, a deadline is late by that.
    fn rest(&self, life: &Life) -> Duration {
        let next = life.next_due().map_or(self.next, |due| due.min(self.next));
        clock::boottime().until(next.max(self.earliest))
    }

    fn looked(&mut self, began: Millis, life: &Life) {
        let now = clock::boottime();
        let cost = began.until(now);
        let distance = if life.is_ending() {
            (cost * 10).clamp(Duration::from_millis(10), Duration::from_millis(250))
        } else {
            (cost * 50).clamp(Duration::from_millis(100), Duration::from_secs(2))
        };
        self.next = now.plus(distance);
        self.earliest = now.plus(Self::SHORTEST);
    }

    fn hurry(&mut self) {
        self.next = self.earliest;
    }
}
