//! What can be asked of the board, by whom, and which room decides it.

use std::collections::BTreeMap;

use crate::access::{self, Peer, Right};
use crate::board::{Actor, Draft, Refusal, Reply, format, rollback};
use crate::build::{self, BuildKey};
use crate::claim::{self, Outcome, Wanted};
use crate::gate::{Class, Finding};
use crate::hold::End;
use crate::host::{self, Means};
use crate::id::{CarId, ClaimId, Fence, HoldId, JobId, MessageId, SessionId, TaskId, TokenId};
use crate::name::{AgentName, GateName, HostName, LockName, PoolName, RepoName};
use crate::policy::Policy;
use crate::pull::{self, CommitId, ForgeTime, PullKey, UserId};
use crate::scope::{Pattern, Risk, ScopeName};
use crate::session::{self, Credentials, Root};
use crate::{job, lock, message, plan, repo, report, slot, task, train};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// An agent, with what proves it.
    Session(Credentials),
    /// A person with the operator's right.
    Operator(String),
    /// A host's daemon.
    Host(HostName),
    /// The coordinator's own reconcilers.
    Coordinator,
    /// Somebody who is not known yet.
    Nobody,
}

/// A command and what it takes to answer it once.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Who it came from, as far as that was proven.
    pub peer: Peer,
    /// Who asks.
    pub caller: Caller,
    /// The request's number in its session; numbers only grow.
    pub number: Option<u64>,
    /// Digest of the request's content.
    pub digest: String,
    /// What is asked.
    pub command: Command,
}

impl Request {
    /// A request of the coordinator itself, which needs no number: it is made from the state.
    #[must_use]
    pub fn own(command: Command) -> Self {
        let (peer, caller) = (Peer::Local, Caller::Coordinator);
        Self { peer, caller, number: None, digest: String::new(), command }
    }

    /// Who the audit names, given the board that the request is checked against.
    #[must_use]
    pub fn actor(&self, board: &crate::board::Board) -> Actor {
        let Peer::Known(identity) = &self.peer else { return self.stated(board) };
        let (name, role) = (identity.name.clone(), identity.role);
        match (self.stated(board), &self.caller) {
            (Actor::Session { id, name: agent, .. }, _) => {
                Actor::Session { id, name: agent, by: Some(name) }
            }
            // Who says it is an operator is called as its certificate or token says.
            (_, Caller::Operator(_)) => Actor::Operator(name.to_string()),
            (Actor::Host(host), _) if host.as_str() == name.as_str() => Actor::Host(host),
            _ => Actor::Peer { name, role },
        }
    }

    /// Who it says it is from.
    fn stated(&self, board: &crate::board::Board) -> Actor {
        match (&self.caller, &self.command) {
            (Caller::Nobody, Command::Join { name, .. }) => Actor::Agent(name.clone()),
            _ => self.caller.actor(board),
        }
    }
}

/// What can be asked of the board.
#[expect(missing_docs, reason = "each field is named after the record field that it sets")]
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    // Sessions.
    /// Begin to work.
    Join {
        repo: RepoName,
        name: AgentName,
        host: HostName,
        root: Root,
        worktree: String,
        secret: String,
    },
    /// Come back under a new epoch with the claims that are still there.
    Resume { root: Root },
    /// End, or go away for `park` milliseconds and keep the claims.
    Leave { park: Option<u64> },
    /// A host saw that a session's root is dead.
    RootDead { session: SessionId },

    // Claims.
    /// Take scopes.
    Claim(Wanted),
    /// Give scopes back; none named: all.
    Release { scopes: Vec<ScopeName>, globs: Vec<Pattern>, outcome: Outcome },
    /// Hold scopes that end by themselves for `span` milliseconds from now on; none named: all.
    Extend { scopes: Vec<ScopeName>, globs: Vec<Pattern>, span: u64 },
    /// Keep of a held scope only those below it that are named.
    Narrow { from: ScopeName, to: Vec<ScopeName>, globs: Vec<Pattern> },
    /// Offer a claim to another agent.
    Handoff { claim: claim::Named, to: AgentName, note: String },
    /// Take such an offer back.
    Withdraw { claim: claim::Named },
    /// Take what another agent offers.
    Accept(claim::Accepted),
    /// Leave the line.
    Unqueue { claim: ClaimId },
    /// Tell the others what a claim is about to do.
    Announce { files: Vec<String>, tests: Vec<String>, risk: Option<Risk>, note: String },
    /// Send a text to an agent, or to whoever holds a scope.
    Send { to: message::Addressee, text: String },
    /// Take the messages after a cursor, `limit` at most; `None`: after what was taken last.
    ReadInbox { after: Option<MessageId>, limit: usize },
    /// Report of the session's task, else of the session itself.
    Report { about: Option<TaskId>, word: report::Word },
    /// Take a claim away, as an operator.
    RevokeClaim { claim: ClaimId, reason: String },
    /// End a session, as an operator.
    RevokeSession { session: SessionId, reason: String },

    // Tasks.
    /// Add work.
    AddTask(task::New),
    /// Take the first task that is ready together with its scopes.
    Next,
    /// End the task that the session has.
    EndTask { task: TaskId, end: task::End },
    /// Open a task again that waits for a person, as one.
    ReopenTask { task: TaskId, reason: String },
    /// Deal the ready work over so many agents, as an operator; 0 ends the plan.
    PlanScopes { repo: RepoName, agents: u32 },

    // Locks, slots, builds.
    /// Take a lock, or a place in its line.
    AcquireLock { lock: LockName, what: String, otherwise: claim::Otherwise },
    /// Take a slot on the caller's host, or a place in its line.
    AcquireSlot { pool: PoolName, host: HostName, what: String, otherwise: claim::Otherwise },
    /// Ask for a build: run it, wait for it, or use it.
    AskBuild { build: BuildKey, missing: Option<String>, what: String },
    /// A build ended.
    EndBuild { hold: HoldId, class: Class, artifacts: Option<String> },
    /// Give a lock or slot back, or a place in its line.
    ReleaseHold { hold: HoldId, end: End },

    // Hosts and jobs.
    /// A host's daemon says what the host can do.
    SeeHost { means: Means },
    /// A run on a host ended.
    EndJob { job: JobId, attempt: u32, finding: Finding },

    // The train.
    /// Propose a change.
    Submit { head: String, title: String, body: String, origin: train::Origin },
    /// Take a change out.
    Dequeue { car: CarId },
    /// Let a change's head go on, as a person who looked at it.
    Approve { car: CarId, head: String, reason: String },
    /// Answer, as a person, for what a gate found red of a head.
    Override { car: CarId, head: String, gate: GateName, reason: String },
    /// Put an ejected change's head in again, once for a gate that was not about the tree.
    Retry { car: CarId },

    /// Give lost records up: begin a new epoch of fences.
    RaiseEpoch { reason: String },
    /// Write records as this leader's program does from now on, as an operator.
    RaiseFormat { reason: String },
    /// Let the bearer of a token in, as an operator.
    IssueToken(access::Details),
    /// Take a token back, as an operator.
    RevokeToken { token: TokenId, reason: String },

    // What reconcilers found out.
    /// The base as it is now, with its policy or the reason why that cannot be read.
    ReadBase {
        repo: RepoName,
        branch: String,
        commit: String,
        tree: String,
        policy: Result<Policy, String>,
    },
    /// A candidate was made and published.
    SetCandidate { car: CarId, candidate: train::Candidate },
    /// A change does not merge with the base.
    Conflict { car: CarId, base: String, paths: Vec<String> },
    /// A change cannot be proposed to the remote.
    Unmergeable { car: CarId, reason: String },
    /// Digests of the base's inputs, where a verdict needs them.
    SetBaseInputs { car: CarId, base: String, inputs: BTreeMap<GateName, String> },
    /// Decide the landing of a change that is ready; the branch is the one that the head of its
    /// pull request is on, where that may be moved.
    Intend { car: CarId, branch: Option<String> },
    /// The forge does not let the branch of its head be moved: the landing goes on without.
    LeaveHead { car: CarId, fence: Fence, reason: String },
    /// The base was read back: the candidate is on it.
    ConfirmLanding { car: CarId, fence: Fence },
    /// The fence moved on without the base: the landing can not happen any more.
    WithdrawIntent { car: CarId, fence: Fence, reason: String },
    /// The same, because the forge says that it may not happen.
    DeclineLanding { car: CarId, fence: Fence, reason: String },
    /// Do what time calls for, a bounded step of it.
    Tick,

    // What reconcilers read at a forge.
    /// A pull request as it was read: its first sighting, or a head that moved.
    SeePull {
        repo: RepoName,
        number: u64,
        head: CommitId,
        at: ForgeTime,
        origin: train::Origin,
        opened_by: UserId,
    },
    /// The branch of a head that we moved may not be brought back.
    KeepHead { repo: RepoName, number: u64, head: CommitId, at: ForgeTime },
    /// A comment that was read: what it says is done, once.
    HearComment { repo: RepoName, number: u64, comment: pull::Heard },
    /// A pull request was opened for a session's change, or found again.
    OpenPull { repo: RepoName, number: u64, opened: pull::Opened },
    /// No pull request can be opened for a session's change.
    HinderCar { car: CarId, code: String, what: String },
    /// A pull request that was admitted enters the train.
    EnterPull { repo: RepoName, number: u64, entry: pull::Entry },
    /// It leaves it again, for a reason of the forge.
    LeavePull { repo: RepoName, number: u64, why: pull::Left },
    /// What was said of it at the forge.
    TellPull { repo: RepoName, number: u64, told: pull::Told },
    /// It is closed and nothing is left to say of it.
    ForgetPull { repo: RepoName, number: u64 },
    /// The first reading of a repository at a forge: comments up to this one are not ours to hear.
    OpenDesk { repo: RepoName, forge_id: Option<u64>, comment: u64, since: ForgeTime },
    /// The forge wants to hear nothing for so long, in milliseconds.
    CoolForge { repo: RepoName, span: u64 },
}

impl Command {
    /// The command in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Resume { .. } => "resume",
            Self::Leave { .. } => "leave",
            Self::RootDead { .. } => "root-dead",
            Self::Claim(_) => "claim",
            Self::Release { .. } => "release",
            Self::Extend { .. } => "extend",
            Self::Narrow { .. } => "narrow",
            Self::Handoff { .. } => "handoff",
            Self::Withdraw { .. } => "withdraw",
            Self::Accept(_) => "accept",
            Self::Unqueue { .. } => "unqueue",
            Self::Announce { .. } => "announce",
            Self::Send { .. } => "send",
            Self::ReadInbox { .. } => "read-inbox",
            Self::Report { .. } => "report",
            Self::RevokeClaim { .. } => "revoke-claim",
            Self::RevokeSession { .. } => "revoke-session",
            Self::AddTask(_) => "add-task",
            Self::Next => "next",
            Self::EndTask { .. } => "end-task",
            Self::ReopenTask { .. } => "reopen-task",
            Self::PlanScopes { .. } => "plan-scopes",
            Self::AcquireLock { .. } => "acquire-lock",
            Self::AcquireSlot { .. } => "acquire-slot",
            Self::AskBuild { .. } => "ask-build",
            Self::EndBuild { .. } => "end-build",
            Self::ReleaseHold { .. } => "release-hold",
            Self::SeeHost { .. } => "see-host",
            Self::EndJob { .. } => "end-job",
            Self::Submit { .. } => "submit",
            Self::Dequeue { .. } => "dequeue",
            Self::Approve { .. } => "approve",
            Self::Override { .. } => "override",
            Self::Retry { .. } => "retry",
            Self::ReadBase { .. } => "read-base",
            Self::SetCandidate { .. } => "set-candidate",
            Self::Conflict { .. } => "conflict",
            Self::Unmergeable { .. } => "unmergeable",
            Self::SetBaseInputs { .. } => "set-base-inputs",
            Self::Intend { .. } => "intend",
            Self::LeaveHead { .. } => "leave-head",
            Self::ConfirmLanding { .. } => "confirm-landing",
            Self::WithdrawIntent { .. } => "withdraw-intent",
            Self::DeclineLanding { .. } => "decline-landing",
            Self::RaiseEpoch { .. } => "raise-epoch",
            Self::RaiseFormat { .. } => "raise-format",
            Self::IssueToken(_) => "issue-token",
            Self::RevokeToken { .. } => "revoke-token",
            Self::Tick => "tick",
            Self::SeePull { .. } => "see-pull",
            Self::KeepHead { .. } => "keep-head",
            Self::HearComment { .. } => "hear-comment",
            Self::OpenPull { .. } => "open-pull",
            Self::HinderCar { .. } => "hinder-car",
            Self::EnterPull { .. } => "enter-pull",
            Self::LeavePull { .. } => "leave-pull",
            Self::TellPull { .. } => "tell-pull",
            Self::ForgetPull { .. } => "forget-pull",
            Self::OpenDesk { .. } => "open-desk",
            Self::CoolForge { .. } => "cool-forge",
        }
    }
}

/// Hands a command to its room.
pub(super) fn dispatch(draft: &mut Draft<'_>, request: &Request) -> Result<Reply, Box<Refusal>> {
    let caller = &request.caller;
    may_say(caller, &request.command)?;
    match &request.command {
        Command::Join { repo, name, host, root, worktree, secret } => {
            session::join(draft, session::Joining { repo, name, host, root, worktree, secret })
        }
        Command::Resume { root } => session::resume(draft, caller, root),
        Command::Leave { park } => session::leave(draft, caller, *park),
        Command::RootDead { session } => session::root_dead(draft, caller, *session),
        Command::Claim(wanted) => claim::claim(draft, &acting(draft, caller)?, wanted),
        Command::Release { scopes, globs, outcome } => {
            claim::release(draft, &acting(draft, caller)?, (scopes, globs), *outcome)
        }
        Command::Extend { scopes, globs, span } => {
            claim::extend(draft, &acting(draft, caller)?, (scopes, globs), *span)
        }
        Command::Narrow { from, to, globs } => {
            claim::narrow(draft, &acting(draft, caller)?, from, (to, globs))
        }
        Command::Handoff { claim, to, note } => {
            claim::offer(draft, &acting(draft, caller)?, claim, (to, note))
        }
        Command::Withdraw { claim } => claim::withdraw(draft, &acting(draft, caller)?, claim),
        Command::Accept(which) => claim::accept(draft, &acting(draft, caller)?, which),
        Command::Unqueue { claim } => claim::unqueue(draft, &acting(draft, caller)?, *claim),
        Command::Announce { files, tests, risk, note } => {
            claim::announce(draft, &acting(draft, caller)?, files, tests, *risk, note)
        }
        Command::Send { to, text } => message::send(draft, &acting(draft, caller)?, to, text),
        Command::ReadInbox { after, limit } => {
            message::read(draft, &acting(draft, caller)?, *after, *limit)
        }
        // What comes too late is kept as a note, so its session may be gone.
        Command::Report { about, word } => report::report(draft, caller, *about, word),
        Command::RevokeClaim { claim, reason } => claim::revoke(draft, caller, *claim, reason),
        Command::RevokeSession { session, reason } => {
            session::revoke(draft, caller, *session, reason)
        }
        Command::AddTask(new) => task::add(draft, &acting(draft, caller)?, new),
        Command::Next => task::next(draft, &acting(draft, caller)?),
        Command::EndTask { task, end } => task::end(draft, &acting(draft, caller)?, *task, end),
        Command::ReopenTask { task, reason } => {
            task::reopen(draft, caller, &request.actor(draft.board()), (*task, reason))
        }
        Command::PlanScopes { repo, agents } => plan::make(draft, caller, repo, *agents),
        Command::AcquireLock { lock, what, otherwise } => {
            lock::acquire(draft, &acting(draft, caller)?, lock, what, *otherwise)
        }
        Command::AcquireSlot { pool, host, what, otherwise } => {
            slot::acquire(draft, &acting(draft, caller)?, pool, host, what, *otherwise)
        }
        Command::AskBuild { build, missing, what } => {
            build::ask(draft, &acting(draft, caller)?, build, missing.as_deref(), what)
        }
        Command::EndBuild { hold, class, artifacts } => {
            build::end(draft, caller, *hold, *class, artifacts.clone())
        }
        Command::ReleaseHold { hold, end } => lock::release_hold(draft, caller, *hold, *end),
        Command::SeeHost { means } => host::see(draft, &request.peer, caller, means),
        Command::EndJob { job, attempt, finding } => {
            job::end(draft, caller, *job, *attempt, finding)
        }
        Command::Submit { head, title, body, origin } => {
            let proposal = train::Proposal { head, title, body, origin };
            train::submit(draft, &acting(draft, caller)?, proposal)
        }
        Command::Dequeue { car } => train::dequeue(draft, caller, *car),
        Command::Approve { car, head, reason } => {
            let actor = request.actor(draft.board());
            train::approve(draft, caller, &actor, train::Approving { car: *car, head, reason })
        }
        Command::Override { car, head, gate, reason } => {
            let actor = request.actor(draft.board());
            let overriding = train::Overriding { car: *car, head, gate, reason };
            train::override_gate(draft, caller, &actor, overriding)
        }
        Command::Retry { car } => train::retry(draft, caller, *car),
        Command::ReadBase { repo, branch, commit, tree, policy } => {
            repo::read_base(draft, repo, branch, commit, tree, policy)
        }
        Command::SetCandidate { car, candidate } => train::set_candidate(draft, *car, candidate),
        Command::Conflict { car, base, paths } => train::conflict(draft, *car, base, paths),
        Command::Unmergeable { car, reason } => train::unmergeable(draft, *car, reason),
        Command::SetBaseInputs { car, base, inputs } => {
            train::set_base_inputs(draft, *car, base, inputs)
        }
        Command::Intend { car, branch } => train::intend(draft, *car, branch.as_deref()),
        Command::LeaveHead { car, fence, reason } => train::leave_head(draft, *car, *fence, reason),
        Command::ConfirmLanding { car, fence } => train::confirm(draft, *car, *fence),
        Command::WithdrawIntent { car, fence, reason } => {
            train::withdraw(draft, *car, *fence, reason)
        }
        Command::DeclineLanding { car, fence, reason } => {
            train::decline(draft, *car, *fence, reason)
        }
        Command::RaiseEpoch { reason } => rollback::raise_epoch(draft, caller, reason),
        Command::RaiseFormat { reason } => format::raise(draft, caller, reason),
        Command::IssueToken(new) => {
            access::issue(draft, caller, &request.actor(draft.board()), new)
        }
        Command::RevokeToken { token, reason } => {
            access::revoke(draft, caller, &request.actor(draft.board()), *token, reason)
        }
        Command::Tick => Ok(crate::schedule::tick(draft)),
        Command::SeePull { repo, number, head, at, origin, opened_by } => {
            let read = pull::Read { head, at: *at, origin, opened_by: *opened_by };
            pull::see(draft, &PullKey::of(repo, *number), read)
        }
        Command::KeepHead { repo, number, head, at } => {
            pull::keep_head(draft, &PullKey::of(repo, *number), head, *at)
        }
        Command::HearComment { repo, number, comment } => {
            pull::hear(draft, &PullKey::of(repo, *number), comment)
        }
        Command::OpenPull { repo, number, opened } => {
            pull::opened(draft, &PullKey::of(repo, *number), opened)
        }
        Command::HinderCar { car, code, what } => pull::hinder(draft, *car, (code, what)),
        Command::EnterPull { repo, number, entry } => {
            pull::enter(draft, &PullKey::of(repo, *number), entry)
        }
        Command::LeavePull { repo, number, why } => {
            pull::leave(draft, &PullKey::of(repo, *number), why)
        }
        Command::TellPull { repo, number, told } => {
            pull::tell(draft, &PullKey::of(repo, *number), told)
        }
        Command::ForgetPull { repo, number } => pull::forget(draft, &PullKey::of(repo, *number)),
        Command::OpenDesk { repo, forge_id, comment, since } => {
            pull::open(draft, repo, *forge_id, *comment, *since)
        }
        Command::CoolForge { repo, span } => pull::cool(draft, repo, *span),
    }
}

/// What reconcilers found out is taken from them alone.
fn may_say(caller: &Caller, command: &Command) -> Result<(), Box<Refusal>> {
    let found_out = Right::of(command, caller) == Right::FindOut;
    if !found_out || *caller == Caller::Coordinator {
        return Ok(());
    }
    let needs = "the coordinator itself".to_owned();
    Err(Refusal::Forbidden { what: command.word().to_owned(), needs }.into())
}

/// The living session that a caller proves to be.
fn acting(draft: &Draft<'_>, caller: &Caller) -> Result<session::Session, Box<Refusal>> {
    match caller {
        Caller::Session(credentials) => session::check(draft.board().tables(), credentials),
        _ => Err(Box::new(Refusal::Forbidden {
            what: "this command".to_owned(),
            needs: "a session: run `molt-agent join`".to_owned(),
        })),
    }
}

impl Caller {
    /// Who it says it is, in the words of the audit.
    fn actor(&self, board: &crate::board::Board) -> Actor {
        match self {
            Self::Session(credentials) => match board.tables().sessions.get(&credentials.session) {
                Some(session) => {
                    Actor::Session { id: session.id, name: session.name.clone(), by: None }
                }
                None => Actor::Session {
                    id: credentials.session,
                    name: credentials.session.as_name(),
                    by: None,
                },
            },
            Self::Operator(name) => Actor::Operator(name.clone()),
            Self::Host(name) => Actor::Host(name.clone()),
            Self::Coordinator => Actor::Coordinator,
            Self::Nobody => Actor::Nobody,
        }
    }
}
