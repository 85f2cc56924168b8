//! Why the rules said no, with the facts that they decided on.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::build::BuildKey;
use crate::claim::{Obstacle, Piece};
use crate::gate::Class;
use crate::hold::{Hold, Holder};
use crate::id::{BoardTime, CarId, ClaimId, Fence, JobId, MessageId, SessionId, TaskId};
use crate::name::{AgentName, GateName, LockName, PoolName, RepoName};
use crate::scope::Conflict;

/// Why a command was not carried out. Nothing changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Somebody holds or was promised a scope that conflicts.
    ScopeHeld {
        /// The first scope that was asked for and conflicts.
        obstacle: Obstacle,
        /// The holder's name.
        holder: AgentName,
        /// The task it works on.
        task: Option<TaskId>,
        /// How long ago the holder was heard of, in milliseconds.
        seen: u64,
        /// Until when, in board time, if the claim ends by itself.
        until: Option<BoardTime>,
        /// What was free and not taken.
        free: Vec<Piece>,
        /// How many wait already.
        ahead: u32,
    },
    /// A lock is held.
    LockHeld {
        /// The lock.
        lock: LockName,
        /// Its hold; `None` while it is closed after a loss.
        hold: Option<Hold>,
        /// The holder's name.
        holder: Option<AgentName>,
        /// How many wait.
        ahead: u32,
    },
    /// Every slot of a pool is in use.
    PoolFull {
        /// The pool.
        pool: PoolName,
        /// How many slots it has.
        size: u32,
        /// Who uses them.
        users: Vec<Holder>,
        /// How many wait.
        ahead: u32,
    },
    /// The session is not the holder, or not any more.
    Lost {
        /// What was lost.
        what: String,
        /// Why.
        reason: String,
    },
    /// Somebody else came first to something that has one holder.
    TaskTaken {
        /// The task.
        task: TaskId,
        /// By whom.
        holder: AgentName,
    },
    /// The waits would close a circle.
    WaitCycle {
        /// The names around the circle.
        cycle: Vec<String>,
    },
    /// A build of the same inputs failed a moment ago.
    BuildFailed {
        /// The build.
        build: BuildKey,
        /// How.
        class: Class,
    },
    /// There is nothing to take.
    NothingReady {
        /// What stands in the way of each open task.
        reasons: Vec<String>,
    },
    /// Nobody was told anything since.
    NothingNew {
        /// The cursor that was read after.
        cursor: MessageId,
    },
    /// Messages after a cursor are not kept any more: whoever reads on has missed them.
    CursorExpired {
        /// The cursor.
        cursor: MessageId,
        /// The oldest cursor after which everything is there.
        oldest: MessageId,
    },
    /// A thing of that name is not there.
    NotFound {
        /// What kind of thing.
        kind: String,
        /// The name given.
        name: String,
        /// The nearest that is there.
        nearest: Option<String>,
    },
    /// The fleet does not coordinate that repository.
    NoRepo {
        /// Its name.
        repo: RepoName,
    },
    /// Nothing lands or is granted while this stands.
    Closed {
        /// Why.
        reason: String,
    },
    /// A gate stands in the way.
    Gate {
        /// The change.
        car: CarId,
        /// The gate.
        gate: GateName,
        /// Why.
        reason: String,
    },
    /// The role does not have the right.
    Forbidden {
        /// What was asked for.
        what: String,
        /// What it takes.
        needs: String,
    },
    /// Nobody is proven: by no certificate, and by no token that is good.
    Unauthenticated {
        /// What is wrong with what was shown.
        problem: String,
        /// What it takes.
        needs: String,
    },
    /// A fact that the caller named is not so any more.
    Stale {
        /// What.
        what: String,
        /// What the caller had.
        given: String,
        /// What is so.
        current: String,
    },
    /// The store is still kept for programs that do not know what was asked for.
    FormatTooLow {
        /// The command's kind.
        what: String,
        /// The format that has it.
        needed: u32,
        /// The store's.
        stored: u32,
    },
    /// The command itself is wrong.
    Invalid(Invalid),
}

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "invalid", rename_all = "snake_case")]
pub enum Invalid {
    /// The request's answer is not kept any more.
    #[error("request {number} is older than the last {kept} answers: read the state", kept = crate::board::answer::KEPT)]
    RequestExpired {
        /// Its number.
        number: u64,
    },
    /// A request's number was used for another request.
    #[error("request {number} was made before with other content")]
    RequestReused {
        /// Its number.
        number: u64,
    },
    /// A field does not hold what it must.
    #[error("{field}: {problem}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Invalid {
    /// A wrong field.
    pub fn field(field: &str, problem: impl Into<String>) -> Self {
        Self::Field { field: field.to_owned(), problem: problem.into() }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Invalid> for Box<Refusal> {
    fn from(invalid: Invalid) -> Self {
        Box::new(Refusal::Invalid(invalid))
    }
}

/// What a caller can do about a refusal: decides the exit code and the wire's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody else has it: wait or choose something else.
    Held,
    /// What the caller had is gone: stop.
    Lost,
    /// No such thing.
    NotFound,
    /// Nothing to take now.
    Empty,
    /// A gate says no.
    Gate,
    /// The right is missing.
    Forbidden,
    /// A fact changed.
    Precondition,
    /// The command is wrong.
    Usage,
}

impl Refusal {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::ScopeHeld { .. }
            | Self::LockHeld { .. }
            | Self::PoolFull { .. }
            | Self::TaskTaken { .. }
            | Self::WaitCycle { .. }
            | Self::BuildFailed { .. } => Kind::Held,
            Self::Lost { .. } => Kind::Lost,
            Self::NotFound { .. } | Self::NoRepo { .. } => Kind::NotFound,
            Self::NothingReady { .. } | Self::NothingNew { .. } => Kind::Empty,
            Self::Gate { .. } | Self::Closed { .. } => Kind::Gate,
            Self::Forbidden { .. } | Self::Unauthenticated { .. } => Kind::Forbidden,
            Self::Stale { .. } | Self::FormatTooLow { .. } | Self::CursorExpired { .. } => {
                Kind::Precondition
            }
            Self::Invalid(_) => Kind::Usage,
        }
    }

    /// The stable reason that programs may match on.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ScopeHeld { .. } => "SCOPE_HELD",
            Self::LockHeld { .. } => "LOCK_HELD",
            Self::PoolFull { .. } => "POOL_FULL",
            Self::TaskTaken { .. } => "TASK_TAKEN",
            Self::WaitCycle { .. } => "WAIT_CYCLE",
            Self::BuildFailed { .. } => "BUILD_FAILED",
            Self::Lost { .. } => "LOST",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::NoRepo { .. } => "NO_REPO",
            Self::NothingReady { .. } => "NOTHING_READY",
            Self::NothingNew { .. } => "NOTHING_NEW",
            Self::CursorExpired { .. } => "CURSOR_EXPIRED",
            Self::Closed { .. } => "CLOSED",
            Self::Gate { .. } => "GATE",
            Self::Forbidden { .. } => "FORBIDDEN",
            Self::Unauthenticated { .. } => "UNAUTHENTICATED",
            Self::Stale { .. } => "STALE",
            Self::FormatTooLow { .. } => "FORMAT_TOO_LOW",
            Self::Invalid(_) => "INVALID",
        }
    }

    /// That a claim is not held by the caller.
    #[must_use]
    pub fn claim_lost(claim: ClaimId, reason: impl Into<String>) -> Box<Self> {
        Box::new(Self::Lost { what: claim.to_string(), reason: reason.into() })
    }

    /// That a session is not on the board, or not under that epoch.
    #[must_use]
    pub fn session_lost(session: SessionId, reason: impl Into<String>) -> Box<Self> {
        Box::new(Self::Lost { what: session.to_string(), reason: reason.into() })
    }

    /// That a run was given to somebody else since.
    #[must_use]
    pub fn job_lost(job: JobId, reason: impl Into<String>) -> Box<Self> {
        Box::new(Self::Lost { what: job.to_string(), reason: reason.into() })
    }

    /// That a fence is older than what is recorded.
    #[must_use]
    pub fn stale_fence(what: impl Into<String>, given: Fence, current: Fence) -> Box<Self> {
        Box::new(Self::Stale {
            what: what.into(),
            given: given.to_string(),
            current: current.to_string(),
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScopeHeld { obstacle, holder, task, seen, until, free, ahead } => {
                write!(f, "refused  {}  held by {holder} (", obstacle.wanted)?;
                if let Some(task) = task {
                    write!(f, "task {task}, ")?;
                }
                write!(f, "seen {} ago", seconds(*seen))?;
                match until {
                    Some(until) => write!(f, ", ends at board time {} s)", until.0 / 1000)?,
                    None => f.write_str(")")?,
                }
                match &obstacle.conflict {
                    Conflict::Ancestor => {
                        write!(
                            f,
                            "\noverlap  {} and {} are one family",
                            obstacle.wanted, obstacle.held
                        )?;
                    }
                    Conflict::Overlap { left, right, witness } => {
                        write!(f, "\noverlap  {left} ~ {right}  e.g. {witness}")?;
                    }
                }
                if !free.is_empty() {
                    write!(f, "\nfree     {}; not taken (all or nothing)", display_list(free))?;
                }
                write!(f, "\nwait     --wait 15m ({ahead} ahead)")
            }
            Self::LockHeld { lock, hold, holder, ahead } => {
                match (hold, holder) {
                    (Some(hold), Some(holder)) => {
                        write!(
                            f,
                            "lock {lock} is held by {holder} on {} for `{}`",
                            hold.host, hold.what
                        )?;
                    }
                    (Some(hold), None) => {
                        write!(f, "lock {lock} is held on {} for `{}`", hold.host, hold.what)?;
                    }
                    (None, _) => {
                        write!(f, "lock {lock} is closed until its last holder is certainly gone")?;
                    }
                }
                write!(f, "; {ahead} waiting")
            }
            Self::PoolFull { pool, size, users, ahead } => {
                write!(f, "pool {pool} has {size} slots, all in use by ")?;
                let users: Vec<String> = users
                    .iter()
                    .map(|user| match user {
                        Holder::Session(id) => id.to_string(),
                        Holder::Job(id) => id.to_string(),
                    })
                    .collect();
                write!(f, "{}; {ahead} waiting", users.join(", "))
            }
            Self::Lost { what, reason } => write!(f, "{what} is lost: {}", brief(reason)),
            Self::TaskTaken { task, holder } => write!(f, "{task} is taken by {holder}"),
            Self::WaitCycle { cycle } => {
                write!(f, "waiting would close a circle: {}", cycle.join(" waits for "))
            }
            Self::BuildFailed { build, class } => {
                write!(f, "{build} {class} a moment ago on the same inputs")
            }
            Self::NothingReady { reasons } if reasons.is_empty() => f.write_str("no open task"),
            Self::NothingReady { reasons } => write!(f, "no task is ready: {}", reasons.join("; ")),
            Self::NothingNew { cursor } => write!(f, "nothing new after {cursor}"),
            Self::CursorExpired { cursor, oldest } => {
                write!(f, "messages after {cursor} are not kept any more, up to {oldest}")
            }
            Self::NotFound { kind, name, nearest } => {
                write!(f, "no {kind} `{name}`")?;
                nearest.as_ref().map_or(Ok(()), |nearest| write!(f, ": did you mean `{nearest}`?"))
            }
            Self::NoRepo { repo } => write!(f, "repository `{repo}` is not coordinated here"),
            Self::Closed { reason } => write!(f, "closed: {}", brief(reason)),
            Self::Gate { car, gate, reason } => {
                write!(f, "{car} is held up by gate {gate}: {}", brief(reason))
            }
            Self::Forbidden { what, needs } => write!(f, "{what} needs {needs}"),
            Self::Unauthenticated { problem, needs } => {
                write!(f, "{}: show {needs}", brief(problem))
            }
            Self::Stale { what, given, current } => {
                write!(f, "{what} is {current} by now, not {given}")
            }
            Self::FormatTooLow { what, needed, stored } => write!(
                f,
                "such a {what} needs records of format {needed}, the store has {stored}: \
                 an operator raises it with `molt-coordinator format raise`"
            ),
            Self::Invalid(invalid) => write!(f, "{invalid}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// A reason of somebody else's making, as many lines of it as a refusal has room for.
fn brief(text: &str) -> String {
    text.lines().take(6).collect::<Vec<_>>().join("\n")
}

fn seconds(millis: u64) -> String {
    format!("{}s", millis / 1000)
}

/// Names with a space between them.
pub(crate) fn display_list<T: fmt::Display>(items: &[T]) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push(' ');
        }
        let written = write!(text, "{item}");
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    text
}
