//! What happened: the entries of the audit and of the watch stream.
//!
//! Events are in the past tense and carry what a reader needs who has nothing
//! else: an independent check of every landing reads git and these alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access::{Repos, Role};
use crate::board::format::Format;
use crate::board::refusal::display_list;
use crate::build::BuildKey;
use crate::claim::{Mode, Outcome};
use crate::gate::{Class, Digest, Finding};
use crate::hold::{End, Holder};
use crate::id::{CarId, ClaimId, Fence, HoldId, JobId, MessageId, SessionId, TaskId, TokenId};
use crate::name::{ActorName, AgentName, GateName, HostName, LockName, PoolName, RepoName};
use crate::pull::words::plain;
use crate::pull::{Look, UserId};
use crate::report::Subject;
use crate::scope::{Pattern, Risk, ScopeName};
use crate::session::{Loss, Sign, reason};
use crate::train::{Ejection, Need, Origin, Passage, Proposer};

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// An agent's session.
    Session {
        /// The session.
        id: SessionId,
        /// Its agent.
        name: AgentName,
        /// Who was authenticated; `None` on loopback, where nobody has to be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ActorName>,
    },
    /// Somebody of this machine who begins a session under this name.
    Agent(AgentName),
    /// Somebody who was authenticated, and speaks for no session, host or operator.
    Peer {
        /// Its name.
        name: ActorName,
        /// What it may do.
        role: Role,
    },
    /// A person with the operator's right.
    Operator(String),
    /// A host's daemon.
    Host(HostName),
    /// The coordinator itself.
    Coordinator,
    /// Somebody of this machine who said nothing.
    Nobody,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session { name, by: Some(by), .. } if by.as_str() != name.as_str() => {
                write!(f, "{name} ({by})")
            }
            Self::Session { name, .. } | Self::Agent(name) => write!(f, "{name}"),
            Self::Peer { name, role } => write!(f, "{role} {name}"),
            Self::Operator(name) => write!(f, "operator {name}"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::Coordinator => f.write_str("coordinator"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

/// What happened.
#[expect(missing_docs, reason = "each field is named after the record field that it repeats")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Event {
    /// The base was read: at the start, after a landing, or after a push by others.
    BaseRead {
        repo: RepoName,
        branch: String,
        commit: String,
        tree: String,
        policy: String,
        by: BaseMove,
    },
    /// The base is where it was, and its policy is another one from now on.
    PolicyRead { repo: RepoName, commit: String, policy: String },
    /// The base's policy could not be read; the last readable one holds for claims.
    PolicyUnreadable { repo: RepoName, commit: String, reason: String },
    /// Lost records were given up: every fence is higher from now on than all before.
    EpochRaised { epoch: u64, reason: String },
    /// Records are written in a higher format from now on: no older program leads any more.
    FormatRaised { from: u32, format: Format, reason: String },
    /// The bearer of a token was let in.
    TokenIssued { token: TokenId, name: ActorName, role: Role, repos: Repos, expires: Option<u64> },
    /// An operator took a token back.
    TokenRevoked { token: TokenId, name: ActorName, reason: String },
    /// An agent began to work.
    Joined { session: SessionId, repo: RepoName, host: HostName, name: AgentName },
    /// A session came back under a new epoch.
    Resumed { session: SessionId, epoch: u64 },
    /// A session went away for a while and keeps its claims.
    Parked { session: SessionId, until: u64 },
    /// A session was lost; its claims wait for it until the grace is over.
    Lost { session: SessionId, name: AgentName, cause: Loss, grace: u64 },
    /// A lost session shows signs of life, and its claims wait for it longer.
    GraceExtended { session: SessionId, name: AgentName, signs: Vec<Sign>, grace: u64 },
    /// A session ended.
    Left { session: SessionId, name: AgentName },
    /// Scopes were granted.
    Claimed {
        claim: ClaimId,
        session: SessionId,
        name: AgentName,
        scopes: Vec<ScopeName>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
        fence: Fence,
        task: Option<TaskId>,
        #[serde(default, skip_serializing_if = "Mode::is_exclusive")]
        mode: Mode,
    },
    /// A held claim is another one from now on: its mode, its end, its task.
    Changed {
        claim: ClaimId,
        session: SessionId,
        scopes: Vec<ScopeName>,
        mode: Mode,
        until: Option<u64>,
        task: Option<TaskId>,
    },
    /// Of a held scope only those below it are kept.
    Narrowed {
        claim: ClaimId,
        session: SessionId,
        from: ScopeName,
        to: Vec<ScopeName>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
    },
    /// A holder offers its claim to somebody.
    HandoverOffered {
        claim: ClaimId,
        session: SessionId,
        to: SessionId,
        name: AgentName,
        scopes: Vec<ScopeName>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
        until: u64,
        note: String,
    },
    /// Such an offer ended, and the claim stays where it is.
    HandoverEnded { claim: ClaimId, session: SessionId, to: SessionId, reason: String },
    /// A claim went from `session` to whom it was offered to.
    HandedOver {
        claim: ClaimId,
        session: SessionId,
        to: SessionId,
        name: AgentName,
        scopes: Vec<ScopeName>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
        fence: Fence,
        task: Option<TaskId>,
    },
    /// A request joined the line.
    Queued {
        claim: ClaimId,
        session: SessionId,
        name: AgentName,
        scopes: Vec<ScopeName>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
        ahead: u32,
        #[serde(default, skip_serializing_if = "Mode::is_exclusive")]
        mode: Mode,
    },
    /// Scopes are free for an absent waiter.
    Offered { claim: ClaimId, session: SessionId, scopes: Vec<ScopeName>, until: u64 },
    /// An offer went by.
    OfferMissed { claim: ClaimId, session: SessionId, missed: u32 },
    /// A waiter left the line.
    Unqueued { claim: ClaimId, session: SessionId, reason: String },
    /// A holder gave a claim back.
    Released {
        claim: ClaimId,
        session: SessionId,
        scopes: Vec<ScopeName>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
        outcome: Outcome,
    },
    /// A claim ended without its holder: the grace or its own maximum was over.
    Lapsed { claim: ClaimId, session: SessionId, scopes: Vec<ScopeName>, reason: String },
    /// The holder of an idle claim was asked whether it still works on it: somebody waits.
    IdleAsked { claim: ClaimId, session: SessionId, scopes: Vec<ScopeName>, until: u64 },
    /// That question is settled, and the claim stays where it is.
    IdleSettled { claim: ClaimId, session: SessionId, reason: String },
    /// An operator took a claim away.
    Revoked { claim: ClaimId, session: SessionId, scopes: Vec<ScopeName>, reason: String },
    /// A holder told the others.
    Announced {
        claim: ClaimId,
        scopes: Vec<ScopeName>,
        files: Vec<String>,
        tests: Vec<String>,
        risk: Risk,
        note: String,
    },
    /// Agents were told something: by one of them, or by the coordinator.
    Sent {
        message: MessageId,
        repo: RepoName,
        from: Option<SessionId>,
        epoch: Option<u64>,
        to: Vec<SessionId>,
        kind: String,
        text: String,
        risky: bool,
    },
    /// An agent took what it was told.
    InboxRead { session: SessionId, upto: MessageId },
    /// An agent reported; the digest is of a full report's text.
    Reported {
        about: Subject,
        session: SessionId,
        name: AgentName,
        epoch: u64,
        line: String,
        full: Option<String>,
    },
    /// A report came from somebody who has the task no more; it is a note.
    ReportRefused { task: TaskId, session: SessionId, epoch: u64, line: String, reason: String },
    /// Work was added.
    TaskAdded { task: TaskId, repo: RepoName, title: String },
    /// Work was taken together with its scopes.
    TaskTaken { task: TaskId, session: SessionId, name: AgentName, claim: Option<ClaimId> },
    /// Work was given back, by its holder or because the holder was lost.
    TaskReturned { task: TaskId, losses: u32, reason: String },
    /// Work ended.
    TaskEnded { task: TaskId, state: String, reason: String },
    /// A person opened work again that had waited for one; so often its holder had been lost.
    TaskReopened { task: TaskId, losses: u32, reason: String },
    /// Ready work was dealt: the scopes of each agent's share.
    Planned { repo: RepoName, shares: Vec<Vec<ScopeName>> },
    /// A plan holds no longer.
    PlanEnded { repo: RepoName, reason: String },
    /// An agent took work of a share that nobody had, and the share with it.
    ShareTaken { repo: RepoName, share: u32, session: SessionId, name: AgentName },
    /// A lock was granted.
    LockGranted { repo: RepoName, lock: LockName, hold: HoldId, holder: Holder, fence: Fence },
    /// A lock was given back.
    LockFreed { repo: RepoName, lock: LockName, hold: HoldId, end: End },
    /// A lock whose holder was lost is open again: its delay is over.
    LockOpened { repo: RepoName, lock: LockName },
    /// A slot was granted.
    SlotGranted {
        host: HostName,
        pool: PoolName,
        slot: u32,
        hold: HoldId,
        holder: Holder,
        in_use: u32,
        size: u32,
    },
    /// A slot was given back.
    SlotFreed { host: HostName, pool: PoolName, slot: u32, hold: HoldId, end: End },
    /// Somebody joined the line of a lock, slot or build.
    Waits { hold: HoldId, holder: Holder, line: String, ahead: u32 },
    /// Somebody left such a line without being served.
    WaitEnded { hold: HoldId, holder: Holder, line: String },
    /// A build began: the one run for its fingerprint.
    BuildBegun { build: BuildKey, hold: HoldId, session: SessionId },
    /// A build ended; everybody who waits inherits it.
    BuildEnded {
        build: BuildKey,
        hold: HoldId,
        class: Class,
        artifacts: Option<String>,
        waiters: u32,
    },
    /// Somebody used a build that was there.
    BuildShared { build: BuildKey, session: SessionId },
    /// A host's daemon appeared, or announced other means.
    HostSeen { host: HostName, jobs: u32, cores: u32, memory: u64 },
    /// A host's daemon fell silent.
    HostLost { host: HostName },
    /// A gate's run is wanted.
    JobQueued { job: JobId, gate: GateName, digest: Digest, commit: String },
    /// A run was given to a host.
    JobAssigned { job: JobId, gate: GateName, host: HostName, attempt: u32 },
    /// A run ended, and what it found is stored.
    JobFinished {
        job: JobId,
        gate: GateName,
        host: HostName,
        attempt: u32,
        digest: Digest,
        finding: Finding,
    },
    /// A run went back into the line.
    JobReturned { job: JobId, gate: GateName, attempt: u32, reason: String },
    /// A run that nobody needs any more was given up.
    JobCancelled { job: JobId, gate: GateName },
    /// A change entered the train.
    Submitted {
        car: CarId,
        repo: RepoName,
        #[serde(flatten)]
        proposer: Proposer,
        name: AgentName,
        head: String,
        title: String,
        scopes: Vec<ScopeName>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        globs: Vec<Pattern>,
        #[serde(default, skip_serializing_if = "Origin::is_own")]
        origin: Origin,
    },
    /// A change waits for a person's approval.
    Withheld { car: CarId, name: AgentName, head: String, need: Need },
    /// What the forge asked for of a change is there, and it goes on.
    Admitted { car: CarId, name: AgentName, head: String },
    /// A person lets a change's head go on.
    Approved { car: CarId, name: AgentName, head: String, reason: String },
    /// A person answers for what a gate's run found red of a change; no items: for that run alone.
    Overridden {
        car: CarId,
        name: AgentName,
        head: String,
        gate: GateName,
        job: JobId,
        items: Vec<String>,
        by: String,
        reason: String,
    },
    /// A change's candidate was made and published.
    CandidateMade { car: CarId, base: String, commit: String, tree: String, changed: u32 },
    /// A gate passed for a change's candidate.
    GatePassed { car: CarId, gate: GateName, commit: String, tree: String, proof: Option<Proof> },
    /// Every required gate has a proof.
    Ready { car: CarId, commit: String },
    /// The landing is decided: the point of no return.
    Intended {
        car: CarId,
        branch: String,
        base: String,
        commit: String,
        tree: String,
        fence: Fence,
        gates: Vec<GateName>,
        policy: String,
        #[serde(default, skip_serializing_if = "Passage::is_within")]
        passage: Passage,
    },
    /// The branch of a change's head is not moved to what lands: its pull request is to be closed.
    HeadLeft { car: CarId, branch: String, reason: String },
    /// The base moved to the candidate, and was read back.
    Landed { car: CarId, branch: String, base: String, commit: String, tree: String, fence: Fence },
    /// A landing turned out not to have happened; the change goes on.
    IntentWithdrawn { car: CarId, branch: String, reason: String, fence: Fence },
    /// A change whose run was interrupted went back into the train.
    Retried { car: CarId, name: AgentName, head: String },
    /// A change left the train without landing.
    Ejected { car: CarId, name: AgentName, head: String, ejection: Ejection },
    /// Comments of a repository at a forge are heard from now on: those after this one.
    DeskOpened { repo: RepoName, comment: u64 },
    /// A forge wants to hear nothing for a while.
    ForgeCooled { repo: RepoName, until: u64 },
    /// A pull request was read for the first time, or its head is another one.
    PullSeen { repo: RepoName, number: u64, head: String },
    /// A pull request was opened for a change that a session submitted.
    PullOpened { repo: RepoName, number: u64, car: CarId, head: String },
    /// Somebody asked by a comment that a pull request land.
    PullAsked { repo: RepoName, number: u64, head: String, by: UserId, comment: u64 },
    /// Somebody cancelled by a comment what had asked for it.
    PullCancelled { repo: RepoName, number: u64, head: String, by: UserId, comment: u64 },
    /// A person looked at a pull request's head and lets it go on.
    PullLooked { repo: RepoName, number: u64, look: Look },
    /// A pull request is in the train no more, for a reason of the forge.
    PullLeft { repo: RepoName, number: u64, reason: String },
    /// A comment was answered.
    CommentAnswered { repo: RepoName, number: u64, comment: u64, login: String, problem: String },
    /// Nothing is left to say of a pull request.
    PullForgotten { repo: RepoName, number: u64 },
}

/// The run that proves a gate for a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What the result is stored under.
    pub digest: Digest,
    /// The run.
    pub job: JobId,
    /// Red items that the base has as well, or that somebody answers for.
    pub forgiven: u32,
}

/// Why the base is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseMove {
    /// It was read for the first time.
    First,
    /// A landing of this train moved it.
    Landing,
    /// Somebody pushed past the train.
    Outside,
}

impl Event {
    /// The format of the records that first had it: a program of an older one neither reads the
    /// entry nor acts by what it stands for.
    #[must_use]
    pub fn format(&self) -> u32 {
        match self {
            Self::Changed { .. } | Self::Narrowed { .. } => 2,
            Self::HandoverOffered { .. } | Self::HandoverEnded { .. } | Self::HandedOver { .. } => {
                2
            }
            Self::Planned { .. } | Self::PlanEnded { .. } | Self::ShareTaken { .. } => 2,
            Self::TaskReopened { .. } => 2,
            Self::Sent { .. } | Self::InboxRead { .. } => 2,
            Self::Reported { .. } | Self::ReportRefused { .. } => 2,
            Self::GraceExtended { .. } | Self::IdleAsked { .. } | Self::IdleSettled { .. } => 2,
            Self::Claimed { mode, globs, .. } | Self::Queued { mode, globs, .. }
                if !mode.is_exclusive() || !globs.is_empty() =>
            {
                2
            }
            Self::DeskOpened { .. } | Self::ForgeCooled { .. } | Self::Overridden { .. } => 3,
            Self::HeadLeft { .. } => 3,
            Self::Intended { passage, .. } if !passage.is_within() => 3,
            Self::Submitted { proposer: Proposer::Pull(_), .. } => 3,
            Self::Withheld { need: Need::Forge { .. }, .. } | Self::Admitted { .. } => 3,
            _ if self.pull().is_some() => 3,
            _ => 1,
        }
    }

    /// The pull request whose record is another one from now on, by its repository and number.
    #[must_use]
    pub fn pull(&self) -> Option<(&RepoName, u64)> {
        match self {
            Self::PullSeen { repo, number, .. }
            | Self::PullOpened { repo, number, .. }
            | Self::PullAsked { repo, number, .. }
            | Self::PullCancelled { repo, number, .. }
            | Self::PullLooked { repo, number, .. }
            | Self::PullLeft { repo, number, .. }
            | Self::CommentAnswered { repo, number, .. }
            | Self::PullForgotten { repo, number }
            | Self::Submitted { repo, proposer: Proposer::Pull(number), .. } => {
                Some((repo, *number))
            }
            _ => None,
        }
    }

    /// The event in one line for people, without time and actor.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::BaseRead { branch, commit, by, .. } => match by {
                BaseMove::First => format!("base      {branch} is at {}", short(commit)),
                BaseMove::Landing => format!("base      {branch} moved to {}", short(commit)),
                BaseMove::Outside => {
                    format!("base      {branch} was pushed to {} past the train", short(commit))
                }
            },
            Self::PolicyRead { commit, .. } => {
                format!("policy    of {} is in force", short(commit))
            }
            Self::PolicyUnreadable { reason, .. } => format!("policy    unreadable: {reason}"),
            Self::EpochRaised { epoch, reason } => format!("epoch     raised to {epoch}: {reason}"),
            Self::FormatRaised { from, format, reason } => {
                format!("format    raised from {from} to {}: {reason}", format.written)
            }
            Self::TokenIssued { token, name, role, .. } => {
                format!("token     {token} issued to {role} {name}")
            }
            Self::TokenRevoked { token, name, reason } => {
                format!("token     {token} of {name} revoked: {reason}")
            }
            Self::Joined { host, name, .. } => format!("joined    {name} on {host}"),
            Self::Resumed { session, epoch } => format!("resumed   {session} epoch {epoch}"),
            Self::Parked { session, .. } => format!("parked    {session}"),
            Self::Lost { name, cause, .. } => match cause {
                Loss::Silence => format!("lost      {name} fell silent"),
                Loss::RootDead => format!("lost      {name}: its process died"),
            },
            Self::GraceExtended { name, signs, .. } => {
                format!("extended  {name} is lost, but {}", reason(signs))
            }
            Self::Left { name, .. } => format!("left      {name}"),
            Self::Claimed { name, scopes, globs, fence, .. } => {
                format!("claimed   {} by {name}, fence {fence}", all(scopes, globs))
            }
            Self::Changed { claim, scopes, mode, .. } => {
                let mode = if mode.is_exclusive() { "exclusive" } else { "shared" };
                format!("changed   {}, {mode}", named(*claim, scopes))
            }
            Self::Narrowed { claim, from, to, globs, .. } => {
                format!("narrowed  {claim} from {from} to {}", all(to, globs))
            }
            Self::HandoverOffered { claim, name, scopes, globs, .. } => {
                format!("handover  {claim} on {} offered to {name}", all(scopes, globs))
            }
            Self::HandoverEnded { claim, reason, .. } => {
                format!("handover  offer of {claim} ended: {reason}")
            }
            Self::HandedOver { name, scopes, globs, fence, .. } => {
                format!("accepted  {} by {name}, fence {fence}", all(scopes, globs))
            }
            Self::Queued { name, scopes, globs, ahead, .. } => {
                format!("queued    {name} for {}, {ahead} ahead", all(scopes, globs))
            }
            Self::Offered { claim, scopes, session, .. } => {
                format!("offered   {} to {session}", named(*claim, scopes))
            }
            Self::OfferMissed { claim, missed, .. } => {
                format!("missed    offer {missed} of {claim}")
            }
            Self::Unqueued { claim, reason, .. } => format!("unqueued  {claim}: {reason}"),
            Self::Released { scopes, globs, outcome, .. } => {
                format!("released  {} ({})", all(scopes, globs), outcome.word())
            }
            Self::Lapsed { claim, scopes, reason, .. } => {
                format!("lapsed    {}: {reason}", named(*claim, scopes))
            }
            Self::IdleAsked { claim, scopes, .. } => {
                format!("idle      {}: its holder is asked", named(*claim, scopes))
            }
            Self::IdleSettled { claim, reason, .. } => format!("idle      {claim}: {reason}"),
            Self::Revoked { claim, scopes, reason, .. } => {
                format!("revoked   {}: {reason}", named(*claim, scopes))
            }
            Self::Announced { claim, scopes, files, .. } => {
                format!("announced {}: {}", named(*claim, scopes), files.join(" "))
            }
            Self::Sent { message, to, text, .. } => {
                format!("sent      {message} to {}: {text}", to.len())
            }
            Self::Reported { about, name, line, .. } => {
                format!("report    of {about} by {name}: {line}")
            }
            Self::ReportRefused { task, session, line, .. } => {
                format!("late      report of {task} by {session}: {line}")
            }
            Self::InboxRead { session, upto } => format!("read      {session} up to {upto}"),
            Self::TaskAdded { task, title, .. } => format!("task      {task} added: {title}"),
            Self::TaskTaken { task, name, .. } => format!("task      {task} taken by {name}"),
            Self::TaskReturned { task, reason, .. } => {
                format!("task      {task} is open again: {reason}")
            }
            Self::TaskEnded { task, state, .. } => format!("task      {task} {state}"),
            Self::TaskReopened { task, reason, .. } => {
                format!("task      {task} opened again: {reason}")
            }
            Self::Planned { repo, shares } => {
                format!("plan      of {repo}: {} shares", shares.len())
            }
            Self::PlanEnded { repo, reason } => format!("plan      of {repo} ended: {reason}"),
            Self::ShareTaken { share, name, .. } => format!("plan      share {share} is {name}'s"),
            Self::LockGranted { lock, hold, .. } => format!("lock      {lock} granted to {hold}"),
            Self::LockFreed { lock, .. } => format!("lock      {lock} free"),
            Self::LockOpened { lock, .. } => format!("lock      {lock} open after its delay"),
            Self::SlotGranted { host, pool, slot, in_use, size, .. } => {
                format!("slot      {pool}/{slot} on {host} taken, {in_use} of {size} in use")
            }
            Self::SlotFreed { host, pool, slot, .. } => {
                format!("slot      {pool}/{slot} on {host} free")
            }
            Self::Waits { hold, line, ahead, .. } => {
                format!("waits     {hold} for {line}, {ahead} ahead")
            }
            Self::WaitEnded { hold, line, .. } => format!("waits     {hold} for {line} no more"),
            Self::BuildBegun { build, .. } => format!("build     {build} begun"),
            Self::BuildEnded { build, class, waiters, .. } => {
                format!("build     {build} {class}, {waiters} waiting")
            }
            Self::BuildShared { build, .. } => format!("build     {build} shared, not built again"),
            Self::HostSeen { host, jobs, .. } => format!("host      {host} takes {jobs} jobs"),
            Self::HostLost { host } => format!("host      {host} fell silent"),
            Self::JobQueued { job, gate, .. } => format!("job       {job} {gate} queued"),
            Self::JobAssigned { job, gate, host, .. } => {
                format!("job       {job} {gate} runs on {host}")
            }
            Self::JobFinished { job, gate, finding, .. } => format!(
                "job       {job} {gate} {}: {} green, {} red",
                finding.class, finding.green, finding.red_count
            ),
            Self::JobReturned { job, gate, reason, .. } => {
                format!("job       {job} {gate} again: {reason}")
            }
            Self::JobCancelled { job, gate } => {
                format!("job       {job} {gate} not needed any more")
            }
            Self::Submitted { car, name, title, .. } => {
                format!("submitted {car} by {name}: {title}")
            }
            Self::Withheld { car, name, need, .. } => {
                format!("withheld  {car} of {name}: {}: {need}", need.reason())
            }
            Self::Overridden { car, name, gate, items, by, reason, .. } => {
                let what = if items.is_empty() { "its run".to_owned() } else { items.join(" ") };
                format!("override  {gate} of {car} of {name} by {by}: {what} ({reason})")
            }
            Self::Admitted { car, name, .. } => {
                format!("admitted  {car} of {name}: the forge has what it asked for")
            }
            Self::Approved { car, name, reason, .. } => {
                format!("approved  {car} of {name}: {reason}")
            }
            Self::CandidateMade { car, commit, changed, .. } => {
                format!("candidate {} of {car}, {changed} paths", short(commit))
            }
            Self::GatePassed { car, gate, .. } => format!("gate      {gate} passed for {car}"),
            Self::Ready { car, .. } => format!("ready     {car}"),
            Self::Intended { car, commit, .. } => format!("landing   {car} as {}", short(commit)),
            Self::Landed { car, commit, .. } => format!("landed    {car} as {}", short(commit)),
            Self::HeadLeft { car, branch, reason } => {
                format!("head left {car} on {branch}: {reason}")
            }
            Self::IntentWithdrawn { car, reason, .. } => format!("withdrawn {car}: {reason}"),
            Self::Retried { car, name, .. } => format!("retried   {car} of {name}"),
            Self::Ejected { car, name, ejection, .. } => {
                format!("ejected   {car} of {name}: {ejection}")
            }
            Self::DeskOpened { repo, comment } => {
                format!("desk      of {repo} open after comment {comment}")
            }
            Self::ForgeCooled { repo, until } => {
                format!("forge     of {repo} is not asked until board time {} s", until / 1000)
            }
            Self::PullSeen { repo, number, head } => {
                format!("pull      {repo}#{number} is at {}", short(head))
            }
            Self::PullOpened { repo, number, car, head } => {
                format!("pull      {repo}#{number} opened for {car} at {}", short(head))
            }
            Self::PullAsked { repo, number, head, by, .. } => {
                format!("asked     {repo}#{number} at {} by github {}", short(head), by.0)
            }
            Self::PullCancelled { repo, number, by, .. } => {
                format!("cancelled {repo}#{number} by github {}", by.0)
            }
            Self::PullLooked { repo, number, look } => {
                let (login, reason) = (plain(&look.login), plain(&look.reason));
                format!("looked    at {repo}#{number} {} by {login}: {reason}", look.head.short())
            }
            Self::PullLeft { repo, number, reason } => {
                format!("left      {repo}#{number} the train: {}", plain(reason))
            }
            Self::CommentAnswered { repo, number, login, problem, .. } => {
                format!("answered  {repo}#{number} to {}: {}", plain(login), plain(problem))
            }
            Self::PullForgotten { repo, number } => format!("pull      {repo}#{number} forgotten"),
        }
    }
}

/// Scopes and paths, one after another.
fn all(scopes: &[ScopeName], globs: &[Pattern]) -> String {
    let globs = globs.iter().map(Pattern::as_str);
    let names: Vec<&str> = scopes.iter().map(ScopeName::as_str).chain(globs).collect();
    display_list(&names)
}

/// A claim by its scopes; one of paths alone by its id.
fn named(claim: ClaimId, scopes: &[ScopeName]) -> String {
    if scopes.is_empty() { claim.to_string() } else { display_list(scopes) }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
