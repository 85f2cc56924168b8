//! What others do with a run: look, wait, follow, stop, extend.
//!
//! Every answer holds before, during and after the run: while its supervisor
//! lives it is asked, later the files tell. Not here: starting a run
//! (`supervisor`), and ending one whose supervisor is lost (`reap`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::folder::{FileError, RunFolder};
use super::log::LogLine;
use super::reap;
use super::record::ExitRecord;
use super::spec::{RunId, RunSpec};
use super::wire::{Reply, Report, Request};
use crate::clock::{self, Millis};

/// Between two looks at a run whose supervisor starts or ends right now.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How long a supervisor may take to begin or cease to listen, for requests that
/// are to be answered at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a run could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file of the run could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its supervisor is dead or never was, and nobody recorded the end: reap it.
    #[error("the supervisor of {run} is lost")]
    SupervisorLost {
        /// The run.
        run: String,
    },
    /// The supervisor said no; nothing changed.
    #[error("{run} refuses: {reason}")]
    Refused {
        /// The run.
        run: String,
        /// In the supervisor's words.
        reason: String,
    },
    /// Its supervisor lives and cannot be reached; SIGTERM to it stops the run.
    #[error("the supervisor of {run} lives and nobody answers on {socket}")]
    Unreachable {
        /// The run.
        run: String,
        /// Where it should listen.
        socket: String,
    },
    /// Something else than a supervisor of this version answers.
    #[error("the supervisor of {run} answered something unexpected: {answer}")]
    Unexpected {
        /// The run.
        run: String,
        /// What it said.
        answer: String,
    },
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It goes on.
    Live(Report),
    /// It has ended, and all its processes are gone.
    Ended(Box<ExitRecord>),
    /// Nobody supervises it: reap it.
    Lost,
}

/// A run by its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    folder: RunFolder,
}

/// All runs of the state folder `state`, by name; none where there is no folder.
pub fn list(state: &Path) -> Result<Vec<Run>, FileError> {
    let runs = RunFolder::all(state);
    let entries = match std::fs::read_dir(&runs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::when("list", &runs))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::when("list", &runs))?.path();
        // A folder without a specification is one that is just being made.
        if path.join("spec.json").exists() {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| Run::open(path)).collect()
}

impl Run {
    /// The run whose folder is `folder`.
    pub fn open(folder: &Path) -> Result<Self, FileError> {
        Ok(Self { folder: RunFolder::open(folder)? })
    }

    /// Makes the folder of a run under the state folder `state`. Nothing runs
    /// before [`crate::supervisor::spawn`].
    pub fn create(state: &Path, spec: &RunSpec) -> Result<Self, FileError> {
        Ok(Self { folder: RunFolder::create(state, spec)? })
    }

    /// The run `id` of the state folder `state`.
    pub fn find(state: &Path, id: &RunId) -> Result<Self, FileError> {
        Self::open(RunFolder::of(state, id).path())
    }

    /// Its folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// What it was asked to do.
    pub fn spec(&self) -> Result<RunSpec, FileError> {
        self.folder.spec()
    }

    /// Where it stands.
    pub async fn status(&self) -> Result<Standing, RunError> {
        let answer = self.ask(&Request::Status).await;
        match answer {
            Ok(Reply::Report(report)) => Ok(Standing::Live(report)),
            Ok(Reply::Exit { record }) => Ok(Standing::Ended(record)),
            Ok(reply) => Err(self.unexpected(&reply)),
            Err(RunError::SupervisorLost { .. }) => Ok(Standing::Lost),
            Err(error) => Err(error),
        }
    }

    /// Waits until the run has ended and all its processes are gone.
    pub async fn wait(&self) -> Result<ExitRecord, RunError> {
        match self.ask(&Request::Wait).await? {
            Reply::Exit { record } => Ok(*record),
            reply => Err(self.unexpected(&reply)),
        }
    }

    /// Asks for the end of the run. To know that it has ended, wait. A run that
    /// ends or has ended already is no error.
    pub async fn stop(&self, reason: &str) -> Result<(), RunError> {
        match self.ask(&Request::Stop { reason: reason.to_owned() }).await? {
            Reply::Stopping | Reply::Exit { .. } => Ok(()),
            reply => Err(self.unexpected(&reply)),
        }
    }

    /// Moves the deadline to `deadline` unless it is later already; returns what
    /// it is now (`None` never). A run that is being stopped refuses.
    pub async fn extend(&self, deadline: Millis) -> Result<Option<Millis>, RunError> {
        match self.ask(&Request::Extend { deadline_ms: deadline }).await? {
            Reply::Deadline { deadline_ms } => Ok(deadline_ms),
            Reply::Refused { reason } => Err(RunError::Refused { run: self.name(), reason }),
            Reply::Exit { .. } => {
                Err(RunError::Refused { run: self.name(), reason: "it has ended".to_owned() })
            }
            reply => Err(self.unexpected(&reply)),
        }
    }

    /// Gives every line of the log to `on_line`, from the first on and as they
    /// come, until the run has ended.
    pub async fn follow(&self, mut on_line: impl FnMut(LogLine)) -> Result<ExitRecord, RunError> {
        let mut tail = Tail::new(self.spec()?.log);
        let record = loop {
            let mut connection = match self.reach(&Request::Follow).await? {
                Reached::Ended(record) => break record,
                Reached::Supervisor(connection) => connection,
            };
            let ended = loop {
                match connection.next(self).await? {
                    Some(Reply::Grown { bytes }) => tail.read_to(bytes, &mut on_line)?,
                    Some(Reply::Exit { record }) => break Some(record),
                    Some(reply) => return Err(self.unexpected(&reply)),
                    None => break None,
                }
            };
            if let Some(record) = ended {
                break record;
            }
        };
        tail.read_to(u64::MAX, &mut on_line)?;
        Ok(*record)
    }

    /// One request and its answer.
    async fn ask(&self, request: &Request) -> Result<Reply, RunError> {
        loop {
            match self.reach(request).await? {
                Reached::Ended(record) => return Ok(Reply::Exit { record }),
                Reached::Supervisor(mut connection) => {
                    if let Some(reply) = connection.next(self).await? {
                        return Ok(reply);
                    }
                }
            }
        }
    }

    /// Sends `request` to the supervisor, or finds that the run has ended. For
    /// the moments in which a supervisor begins or ceases to listen, it looks
    /// again: what it waits for is the record or the supervisor's death.
    async fn reach(&self, request: &Request) -> Result<Reached, RunError> {
        // The end comes whether a supervisor can be reached or not.
        let waits = matches!(request, Request::Wait | Request::Follow);
        let give_up_at = clock::boottime().plus(PATIENCE);
        loop {
            if let Some(record) = self.folder.exit_record()? {
                return Ok(Reached::Ended(Box::new(record)));
            }
            if let Some(connection) = Connection::open(&self.folder, request).await? {
                return Ok(Reached::Supervisor(connection));
            }
            if !reap::is_supervised(&self.folder)? {
                // The record is written before the supervisor's death.
                return match self.folder.exit_record()? {
                    Some(record) => Ok(Reached::Ended(Box::new(record))),
                    None => Err(RunError::SupervisorLost { run: self.name() }),
                };
            }
            if !waits && clock::boottime() >= give_up_at {
                let socket = self.folder.socket()?.display().to_string();
                return Err(RunError::Unreachable { run: self.name(), socket });
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    fn name(&self) -> String {
        let name = self.folder.path().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn unexpected(&self, reply: &Reply) -> RunError {
        RunError::Unexpected { run: self.name(), answer: format!("{reply:?}") }
    }
}

enum Reached {
    Ended(Box<ExitRecord>),
    Supervisor(Connection),
}

struct Connection {
    replies: tokio::io::BufReader<OwnedReadHalf>,
    /// Dropping it would end the conversation.
    _requests: OwnedWriteHalf,
}

impl Connection {
    /// Connects and sends `request`; `None` when nobody listens.
    async fn open(folder: &RunFolder, request: &Request) -> Result<Option<Self>, FileError> {
        let socket = folder.socket()?;
        let attempt = async {
            let (replies, mut requests) = UnixStream::connect(&socket).await?.into_split();
            let mut line = serde_json::to_vec(request)?;
            line.push(b'\n');
            requests.write_all(&line).await?;
            let replies = tokio::io::BufReader::new(replies);
            Ok::<_, io::Error>(Self { replies, _requests: requests })
        };
        match attempt.await {
            Ok(connection) => Ok(Some(connection)),
            Err(error) if nobody_listens(&error) => Ok(None),
            Err(error) => Err(FileError::when("talk to", &socket)(error)),
        }
    }

    /// The next answer; `None` when the supervisor closed the connection.
    async fn next(&mut self, run: &Run) -> Result<Option<Reply>, RunError> {
        let mut line = String::new();
        match self.replies.read_line(&mut line).await {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if nobody_listens(&error) => return Ok(None),
            Err(error) => return Err(FileError::when("talk to", run.folder.path())(error).into()),
        }
        if !line.ends_with('\n') {
            return Ok(None);
        }
        let unexpected = |_| RunError::Unexpected { run: run.name(), answer: line.clone() };
        serde_json::from_str(&line).map(Some).map_err(unexpected)
    }
}

fn nobody_listens(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotFound | Kind::ConnectionRefused | Kind::ConnectionReset | Kind::BrokenPipe
    )
}

/// Reads a log while it grows.
struct Tail {
    path: std::path::PathBuf,
    file: Option<BufReader<File>>,
    position: u64,
}

impl Tail {
    fn new(path: std::path::PathBuf) -> Self {
        Self { path, file: None, position: 0 }
    }

    /// Gives the lines up to `end` to `on_line`. A log that does not exist has
    /// none: the run could not begin.
    fn read_to(&mut self, end: u64, on_line: &mut impl FnMut(LogLine)) -> Result<(), FileError> {
        self.read_lines(end, on_line).map_err(FileError::when("read", &self.path))
    }

    fn read_lines(&mut self, end: u64, on_line: &mut impl FnMut(LogLine)) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => self.file.insert(BufReader::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read =
                file.take(end.saturating_sub(self.position)).read_until(b'\n', &mut bytes)?;
            self.position += read as u64;
            match LogLine::parse(String::from_utf8_lossy(&bytes).trim_end_matches('\n')) {
                Some(line) => on_line(line),
                None if read == 0 => return Ok(()),
                // Only a supervisor that was killed leaves a line cut off.
                None => {}
            }
        }
    }
}
