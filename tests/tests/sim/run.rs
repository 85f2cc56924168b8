//! What agents run under locks, slots and builds, as wrappers and supervisors do.
//!
//! A run of fleet reach has a deadline on its host's own clock: so long after the sending of the
//! last beat that renewed its session. At its deadline it is told to end, and is killed when the
//! kill grace is over. A run of machine reach ends when it ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use molt_domain::id::{Fence, HoldId, SessionId};
use molt_proto::v1;
use molt_proto::v1::attendance::Became;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer;
use tokio::time::Instant;

use crate::agent::{Agent, Stop};
use crate::bug::{Bug, is_on};
use crate::journal::Open;

const LOCKS: [&str; 3] = ["bench", "diff-a", "diff-b"];

/// How long a daemon may take to renew a session before its run does not begin.
const RENEWAL: Duration = Duration::from_secs(4);

/// How far a hold reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Fleet,
    Machine,
}

/// What is held.
struct Held {
    hold: HoldId,
    fence: Option<Fence>,
    of: String,
    reach: Reach,
}

impl Agent {
    pub(crate) async fn use_lock(&mut self) -> Result<(), Stop> {
        let lock = (*self.random.pick(&LOCKS)).to_owned();
        let (what, wait) = (self.what(), self.random.permille(800));
        let verb = Verb::AcquireLock(v1::AcquireLock { lock: lock.clone(), what, wait });
        let Some(view) = self.acquire(verb).await? else { return Ok(()) };
        let told = format!("{} {}", view.id, view.fence);
        self.run(view, &told, format!("lock {lock}"), Reach::Fleet).await
    }

    pub(crate) async fn use_slot(&mut self) -> Result<(), Stop> {
        let host = self.here.name();
        let (what, wait) = (self.what(), self.random.permille(800));
        let pool = "cargo".to_owned();
        let verb = Verb::AcquireSlot(v1::AcquireSlot { pool, host: host.clone(), what, wait });
        let Some(view) = self.acquire(verb).await? else { return Ok(()) };
        let (told, of) =
            (view.id.clone(), format!("slot {host}/{}", view.slot.unwrap_or_default()));
        self.run(view, &told, of, Reach::Machine).await
    }

    pub(crate) async fn use_build(&mut self) -> Result<(), Stop> {
        // A tree that changes every half a minute, and two places.
        let (tree, place) = (self.here.net.now() / 30_000, self.random.below(2));
        let build = v1::BuildKey {
            name: "molt".to_owned(),
            fingerprint: format!("{tree:08x}"),
            profile: "dev".to_owned(),
            place: format!("store-{place}"),
        };
        let of = format!("build {tree} {place}");
        let ask = v1::AskBuild { build: Some(build), missing: String::new(), what: self.what() };
        let Some(view) = self.acquire(Verb::AskBuild(ask)).await? else { return Ok(()) };
        let told = view.id.clone();
        let hold = view.id.clone();
        if !self.child(view, &told, &of, Reach::Machine).await {
            return Ok(());
        }
        let class = if self.random.permille(850) { "passed" } else { "killed" };
        let artifacts = if class == "passed" { format!("art-{tree}") } else { String::new() };
        let end = v1::EndBuild { hold: hold.clone(), class: class.to_owned(), artifacts };
        let ended = self.say(Verb::EndBuild(end)).await;
        let Ok(hold) = hold.parse() else { return Ok(()) };
        match ended {
            Ok(_) => drop(self.here.disk().places.remove(&hold)),
            // Its host says what the session cannot say any more.
            Err(_) => self.here.give_back(hold).await,
        }
        if ended == Err(Stop::Lost) { Err(Stop::Lost) } else { Ok(()) }
    }

    fn what(&mut self) -> String {
        format!("run {:x}", self.random.next())
    }

    /// Asks for something until the answer is known, and waits in line for it. A session that was
    /// lost meanwhile asks again once it is back, so that nothing is left to nobody.
    async fn acquire(&mut self, verb: Verb) -> Result<Option<v1::HoldView>, Stop> {
        let here = self.here.clone();
        here.asking.fetch_add(1, Ordering::Relaxed);
        let acquired = self.acquire_counted(verb).await;
        here.asking.fetch_sub(1, Ordering::Relaxed);
        acquired
    }

    async fn acquire_counted(&mut self, verb: Verb) -> Result<Option<v1::HoldView>, Stop> {
        loop {
            match self.say(verb.clone()).await {
                Ok(Answer::Held(view)) => return Ok(self.place(view)),
                Ok(Answer::Waiting(place)) => match self.wait_in_line(&place.id).await {
                    Ok(Some(Became::Held(view))) => return Ok(self.place(view)),
                    // What was built meanwhile is there for who asks again; nobody does here.
                    Ok(Some(_)) => return Ok(None),
                    Ok(None) => {
                        let leave = v1::ReleaseHold { hold: place.id, gone: true };
                        return match self.say(Verb::ReleaseHold(leave)).await {
                            Err(Stop::Lost) => Err(Stop::Lost),
                            _ => Ok(None),
                        };
                    }
                    Err(_) => {
                        self.come_back().await;
                        if self.me.is_none() {
                            return Ok(None);
                        }
                    }
                },
                Ok(_) | Err(Stop::Refused) => return Ok(None),
                Err(Stop::Lost) => {
                    self.come_back().await;
                    if self.me.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Writes down what was granted.
    fn place(&self, view: v1::HoldView) -> Option<v1::HoldView> {
        let hold = view.id.parse().ok()?;
        self.here.disk().places.insert(hold);
        Some(view)
    }

    async fn run(
        &mut self,
        view: v1::HoldView,
        told: &str,
        of: String,
        reach: Reach,
    ) -> Result<(), Stop> {
        let Ok(hold) = view.id.parse::<HoldId>() else { return Ok(()) };
        let early = is_on(Bug::GivenBackEarly) && reach == Reach::Fleet;
        if early {
            self.here.give_back(hold).await;
        }
        self.child(view, told, &of, reach).await;
        let release = v1::ReleaseHold { hold: hold.to_string(), gone: true };
        let released = self.say(Verb::ReleaseHold(release)).await;
        match released {
            Ok(_) => drop(self.here.disk().places.remove(&hold)),
            Err(_) => self.here.give_back(hold).await,
        }
        if released == Err(Stop::Lost) { Err(Stop::Lost) } else { Ok(()) }
    }

    /// Runs the child from its start to its end; `false`: it did not start.
    async fn child(&mut self, view: v1::HoldView, told: &str, of: &str, reach: Reach) -> bool {
        let Some(session) = self.me.as_ref().map(|me| me.session) else { return false };
        let Ok(hold) = view.id.parse::<HoldId>() else { return false };
        self.here.referee.told(told);
        let fence = view.fence.parse().ok().filter(|_| reach == Reach::Fleet);
        let held = Held { hold, fence, of: of.to_owned(), reach };
        let deadline = match reach {
            Reach::Machine => None,
            Reach::Fleet => match self.renewed(session).await {
                Some(deadline) => Some(deadline),
                None => return false,
            },
        };
        self.begin(session, &held);
        let most = if self.random.permille(200) { 30_000 } else { 5_000 };
        let least = if self.here.switches.long_runs.load(Ordering::Relaxed) { 25_000 } else { 200 };
        let span = self.random.within((least, most.max(least)));
        let ended = Instant::now() + Duration::from_millis(span);
        if self.outlives(session, ended, deadline, held.reach).await {
            self.here.referee.stopped();
            let grace = self.here.beats.get().kill_grace;
            let grace = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            self.pause((0, grace)).await;
        }
        self.here.referee.journal(|journal, now, _, renewed| journal.end(hold, now, renewed));
        true
    }

    fn begin(&self, session: SessionId, held: &Held) {
        let (host, hold, fence, of) = (self.here.host, held.hold, held.fence, held.of.clone());
        self.here.net.step(|| format!("run   {hold} of {of} on h{host}"));
        self.here.referee.journal(|journal, since, _, _| {
            journal.begin(hold, Open { of, host, session, fence, since, paused: 0 })
        });
    }

    /// Waits until the daemon renews the session; its deadline.
    async fn renewed(&self, session: SessionId) -> Option<Instant> {
        let mut beats = self.here.beats.reader();
        let fresh = |deadline: &Option<Instant>| deadline.is_some_and(|it| it > Instant::now());
        let renewal = async {
            let mut beat = beats.get();
            loop {
                let deadline = beat.deadline(session);
                if fresh(&deadline) {
                    return deadline;
                }
                beat = beats.changed().await;
            }
        };
        tokio::time::timeout(RENEWAL, renewal).await.ok().flatten()
    }

    /// Whether the child still runs when its deadline passes or its session is lost, and has to
    /// be stopped.
    async fn outlives(
        &self,
        session: SessionId,
        ended: Instant,
        mut deadline: Option<Instant>,
        reach: Reach,
    ) -> bool {
        let mut beats = self.here.beats.reader();
        loop {
            let stop = match deadline {
                Some(deadline) if !is_on(Bug::DeadlineIgnored) => deadline,
                _ => ended + Duration::from_secs(1),
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(stop) => return true,
                () = tokio::time::sleep_until(ended) => return false,
                beat = beats.changed() => {
                    if reach == Reach::Fleet && beat.lost.contains(&session) {
                        return true;
                    }
                    deadline = deadline.max(beat.deadline(session).filter(|_| reach == Reach::Fleet));
                }
            }
        }
    }
}
