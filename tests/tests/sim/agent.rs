//! A simulated agent: one session at a time, which claims, takes tasks, and runs things under
//! locks, slots and builds.
//!
//! It repeats a request whose outcome it does not know under the same number, and comes back when
//! it is lost, as the commands of `molt-agent` do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use molt_domain::board::Kind;
use molt_domain::id::{ClaimId, SessionId};
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::attendance::Became;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer;

use crate::bug::{Bug, is_on};
use crate::host::{AGAIN, Here};
use crate::random::Random;

/// The scopes that agents ask for; some cover others, and some overlap.
const SCOPES: [&str; 6] = ["docs", "front", "headers", "runtime", "runtime/gc", "tests"];

/// How long a place in line is waited for, and how long a stream may be silent.
const PATIENCE: Duration = Duration::from_secs(25);
const SILENCE: Duration = Duration::from_secs(5);

/// Why a request was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The session was lost, or is over.
    Lost,
    /// The rules say no.
    Refused,
}

/// An agent.
pub(crate) struct Agent {
    pub(crate) here: Arc<Here>,
    name: String,
    pub(crate) random: Random,
    pub(crate) me: Option<Me>,
    made: u64,
}

/// A session, as its file has it.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) session: SessionId,
    secret: String,
    epoch: u64,
    next: u64,
}

impl Me {
    pub(crate) fn caller(&self) -> v1::Caller {
        let credentials = v1::Credentials {
            session: self.session.to_string(),
            secret: self.secret.clone(),
            epoch: self.epoch,
        };
        v1::Caller { who: Some(v1::caller::Who::Session(credentials)) }
    }
}

impl Agent {
    pub(crate) fn new(here: Arc<Here>, n: usize, random: Random) -> Self {
        let name = format!("agent-{}-{n}", here.host);
        Self { here, name, random, me: None, made: 0 }
    }

    fn winding_up(&self) -> bool {
        self.here.switches.winding_up.load(Ordering::Relaxed)
    }

    /// Works until everybody winds up, then gives back what it has.
    pub(crate) async fn work(mut self) {
        while !self.winding_up() {
            self.pause((100, 1_500)).await;
            if self.me.is_none() {
                self.join().await;
            }
            if self.act_once().await == Err(Stop::Lost) {
                self.come_back().await;
            }
        }
        while self.me.is_some() {
            match self.say(Verb::Leave(v1::Leave { park_ms: 0 })).await {
                Err(Stop::Lost) => self.come_back().await,
                Ok(_) | Err(Stop::Refused) => self.forget(),
            }
        }
    }

    pub(crate) async fn pause(&mut self, span: (u64, u64)) {
        let span = self.random.within(span);
        tokio::time::sleep(Duration::from_millis(span)).await;
    }

    async fn act_once(&mut self) -> Result<(), Stop> {
        if self.here.switches.quiet.load(Ordering::Relaxed) {
            return self.look().await;
        }
        if self.here.switches.adds.load(Ordering::Relaxed) {
            return self.add_task().await;
        }
        match self.random.below(100) {
            0..30 => self.claim().await,
            30..40 => self.add_task().await,
            40..55 => self.take_task().await,
            55..75 => self.use_lock().await,
            75..86 => self.use_slot().await,
            86..95 => self.use_build().await,
            95..96 => self.park().await,
            96..98 => self.look().await,
            _ => {
                self.say(Verb::Leave(v1::Leave { park_ms: 0 })).await?;
                self.forget();
                Ok(())
            }
        }
    }

    // Requests.

    /// Carries out a verb as this session, however long it takes.
    pub(crate) async fn say(&mut self, verb: Verb) -> Result<Answer, Stop> {
        let mut number = self.number();
        loop {
            let Some(me) = &self.me else { return Err(Stop::Lost) };
            let caller = Some(me.caller());
            let command = v1::Command { caller, number, verb: Some(verb.clone()) };
            match self.here.client.act(command).await {
                Ok(v1::Reply { answer: Some(answer), .. }) => return Ok(answer),
                Ok(v1::Reply { answer: None, .. }) => return Err(Stop::Refused),
                Err(Failure::Unavailable { .. } | Failure::Unknown { .. }) => {
                    tokio::time::sleep(AGAIN).await;
                    if is_on(Bug::RepeatedUnderNewNumber) {
                        number = self.number();
                    }
                }
                Err(failure) if failure.kind() == Some(Kind::Lost) => return Err(Stop::Lost),
                Err(_) => return Err(Stop::Refused),
            }
        }
    }

    fn number(&mut self) -> u64 {
        let Some(me) = &mut self.me else { return 0 };
        me.next += 1;
        me.next
    }

    /// Begins a session; the same secret is shown until the answer is known.
    async fn join(&mut self) {
        let secret = blake3::hash(&self.random.next().to_le_bytes()).to_hex().to_string();
        let join = v1::Join {
            repo: "main".to_owned(),
            name: self.name.clone(),
            host: self.here.name(),
            root: Some(v1::Root { pid: 7, start: 1 }),
            worktree: format!("/w/{}", self.name),
            secret: secret.clone(),
        };
        while !self.winding_up() {
            let verb = Some(Verb::Join(join.clone()));
            let reply = self.here.client.act(v1::Command { caller: None, number: 0, verb }).await;
            if let Ok(v1::Reply { answer: Some(Answer::Session(reply)), .. }) = reply {
                let Ok(session) = reply.id.parse() else { return };
                self.here.referee.told(&format!("{session} {}", reply.epoch));
                let epoch = reply.epoch;
                self.me = Some(Me { session, secret, epoch, next: 0 });
                self.here.disk().sessions.insert(session, epoch);
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Resumes a session that was lost, with nothing of what it had; a new one begins when it is
    /// over.
    pub(crate) async fn come_back(&mut self) {
        self.disclaim();
        let Some(me) = self.me.clone() else { return };
        let resume = v1::Resume { root: Some(v1::Root { pid: 7, start: 1 }) };
        loop {
            let caller = Some(me.caller());
            let verb = Some(Verb::Resume(resume));
            match self.here.client.act(v1::Command { caller, number: 0, verb }).await {
                Ok(v1::Reply { answer: Some(Answer::Session(reply)), .. }) => {
                    self.here.referee.told(&format!("{} {}", me.session, reply.epoch));
                    if let Some(me) = &mut self.me {
                        me.epoch = reply.epoch;
                    }
                    break;
                }
                Err(Failure::Unavailable { .. } | Failure::Unknown { .. }) => {
                    tokio::time::sleep(AGAIN).await;
                }
                _ => return self.forget(),
            }
        }
        let all = v1::Release::default();
        // A refusal says that there is nothing to give back, or that it was lost again.
        if self.say(Verb::Release(all)).await.is_ok() {
            self.here.referee.told_released(me.session);
        }
    }

    fn disclaim(&self) {
        if let Some(me) = &self.me {
            let session = me.session;
            self.here.referee.journal(|journal, _, _, _| {
                journal.disclaimed(session);
                Ok(())
            });
        }
    }

    fn forget(&mut self) {
        self.disclaim();
        if let Some(me) = self.me.take() {
            self.here.disk().sessions.remove(&me.session);
        }
    }

    async fn park(&mut self) -> Result<(), Stop> {
        self.disclaim();
        let park_ms = 1_000 + self.random.below(10_000);
        self.say(Verb::Leave(v1::Leave { park_ms })).await?;
        tokio::time::sleep(Duration::from_millis(self.random.within((100, park_ms)))).await;
        Err(Stop::Lost)
    }

    /// Reads the board, which the leader answers from memory.
    async fn look(&mut self) -> Result<(), Stop> {
        let Some(me) = &self.me else { return Err(Stop::Lost) };
        let what = Some(v1::query::What::Status(v1::Empty {}));
        let query = v1::Query { caller: Some(me.caller()), repo: "main".to_owned(), what };
        // Who is answered at all is the referee's business.
        drop(self.here.client.read(query).await);
        Ok(())
    }

    // Claims and tasks.

    async fn claim(&mut self) -> Result<(), Stop> {
        let count = 1 + self.random.below(2);
        let scopes: BTreeSet<String> =
            (0..count).map(|_| (*self.random.pick(&SCOPES)).to_owned()).collect();
        let claim = v1::Claim {
            scopes: scopes.into_iter().collect(),
            why: "work".to_owned(),
            wait: self.random.permille(700),
            ..v1::Claim::default()
        };
        let granted = match self.say(Verb::Claim(claim)).await {
            Ok(Answer::Granted(claim)) => claim,
            Ok(Answer::Queued(place)) => match self.wait_in_line(&place.id).await? {
                Some(Became::Granted(claim)) => claim,
                _ => {
                    let unqueue = v1::Unqueue { claim: place.id.clone() };
                    let gone = self.say(Verb::Unqueue(unqueue)).await;
                    // It may have been granted in between: nothing is kept.
                    let all = v1::Release::default();
                    return match (gone, self.say(Verb::Release(all)).await) {
                        (Err(Stop::Lost), _) | (_, Err(Stop::Lost)) => Err(Stop::Lost),
                        _ => Ok(()),
                    };
                }
            },
            Err(Stop::Refused) => return Ok(()),
            Err(Stop::Lost) => return Err(Stop::Lost),
            Ok(_) => return Ok(()),
        };
        let claim = self.granted(&granted);
        self.edit().await?;
        self.unclaimed(claim);
        let release = v1::Release { scopes: granted.scopes, ..v1::Release::default() };
        match self.say(Verb::Release(release)).await {
            Err(Stop::Lost) => Err(Stop::Lost),
            _ => Ok(()),
        }
    }

    /// Works under a claim, unless the session is lost meanwhile.
    async fn edit(&mut self) -> Result<(), Stop> {
        let Some(session) = self.me.as_ref().map(|me| me.session) else { return Err(Stop::Lost) };
        let span = Duration::from_millis(self.random.within((200, 6_000)));
        let mut beats = self.here.beats.reader();
        let lost = beats.until(|beat| beat.lost.contains(&session));
        tokio::select! {
            biased;
            () = lost => Err(Stop::Lost),
            () = tokio::time::sleep(span) => Ok(()),
        }
    }

    fn granted(&self, claim: &v1::ClaimView) -> Option<ClaimId> {
        self.here.referee.told(&format!("{} {}", claim.id, claim.fence));
        let id: ClaimId = claim.id.parse().ok()?;
        let host = self.here.host;
        self.here.referee.journal(|journal, now, board, renewed| {
            journal.claimed((now, host), id, board, renewed)
        });
        Some(id)
    }

    fn unclaimed(&self, claim: Option<ClaimId>) {
        if let Some(claim) = claim {
            self.here.referee.journal(|journal, _, _, _| {
                journal.unclaimed(claim);
                Ok(())
            });
        }
    }

    async fn add_task(&mut self) -> Result<(), Stop> {
        self.made += 1;
        let secret = self.me.as_ref().map_or("", |me| &me.secret[..8]);
        let title = format!("{} {secret} {}", self.name, self.made);
        let scopes = match self.random.below(2) {
            0 => Vec::new(),
            _ => vec![(*self.random.pick(&SCOPES)).to_owned()],
        };
        let add = v1::AddTask { title, scopes, ..v1::AddTask::default() };
        match self.say(Verb::AddTask(add)).await {
            Ok(Answer::Task(task)) => self.here.referee.told(&task.id),
            Err(Stop::Lost) => return Err(Stop::Lost),
            _ => {}
        }
        Ok(())
    }

    async fn take_task(&mut self) -> Result<(), Stop> {
        let task = match self.say(Verb::NextTask(v1::NextTask {})).await {
            Ok(Answer::Task(task)) => task,
            Err(Stop::Lost) => return Err(Stop::Lost),
            _ => return Ok(()),
        };
        if let Some(me) = &self.me {
            self.here.referee.told(&format!("{} {}", task.id, me.session));
        }
        let claim = task.claim.as_ref().and_then(|claim| self.granted(claim));
        self.edit().await?;
        self.unclaimed(claim);
        let end = match self.random.below(6) {
            0 => "return",
            1 => "fail",
            _ => "done",
        };
        let reason = if end == "done" { String::new() } else { "because".to_owned() };
        let end = v1::EndTask { task: task.id, end: end.to_owned(), reason };
        match self.say(Verb::EndTask(end)).await {
            Err(Stop::Lost) => Err(Stop::Lost),
            _ => Ok(()),
        }
    }

    // Lines.

    /// Attends to a place until something became of it; `None`: nothing did in good time.
    pub(crate) async fn wait_in_line(&mut self, id: &str) -> Result<Option<Became>, Stop> {
        let Some(me) = self.me.clone() else { return Err(Stop::Lost) };
        let mut beats = self.here.beats.reader();
        let session = me.session;
        let attending = async {
            loop {
                if let Ok(mut stream) = self.here.client.attend(me.caller(), id).await {
                    loop {
                        let message = tokio::time::timeout(SILENCE, stream.message()).await;
                        let Ok(Ok(Some(attendance))) = message else { break };
                        match attendance.became {
                            Some(Became::Waiting(_)) | None => {}
                            became => return became,
                        }
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let became = tokio::select! {
            biased;
            () = beats.until(|beat| beat.lost.contains(&session)) => return Err(Stop::Lost),
            became = tokio::time::timeout(PATIENCE, attending) => became.ok().flatten(),
        };
        if let Some(
            Became::Granted(v1::ClaimView { fence, .. }) | Became::Held(v1::HoldView { fence, .. }),
        ) = &became
        {
            // What it says is a fence was written by the coordinator.
            drop(self.here.client.note(fence));
        }
        Ok(became)
    }
}
