//! The daemon's loop: beat, do what the answer says, listen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use molt_domain::id::SessionId;
use molt_domain::name::RepoName;
use molt_proto::v1;
use molt_retry::{Delays, Policy};
use nix::sys::stat::{Mode, umask};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::beat::Beat;
use super::channel::Channel;
use super::holds::{self, Holds};
use super::host::Host;
use super::job::Key;
use super::jobs::Jobs;
use super::office::Office;
use super::orphans::{Held, Orphans};
use super::sessions::{self, Sign, Uses};
use super::signs::Signs;
use super::{Options, Origin};
use crate::clock::{self, Millis};
use crate::error::Error;
use crate::guard::Snapshot;
use crate::run::RunId;
use crate::session::alive::Registration;

/// How often it looks whether a session was registered or its place is wanted.
const LOOK: Duration = Duration::from_millis(100);

/// The least that lies between two beats, whatever happens.
const BREATH: Duration = Duration::from_millis(50);

/// Between two beats before a coordinator has said how long.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(1);

/// Work of the daemon that is over.
#[derive(Debug)]
pub(super) enum Done {
    /// A run was looked after.
    Tended(RunId),
    /// What dead wrappers left was dealt with, but for these requests.
    Recovered(Orphans),
    /// A dead or lost session was dealt with.
    Session(SessionId),
    /// A job is over for this host.
    Job(Key),
}

/// Serves as the daemon until a signal or, if it was only missed, until another
/// one is asked for. Runs go on under their supervisors.
pub async fn run(options: Options) -> Result<(), Error> {
    let office = Office::new(&options.state, &options.host, &options.coordinator);
    let seat = match options.origin {
        Origin::Missed => office.take()?,
        Origin::Asked => office.claim()?,
    };
    let Some(_seat) = seat else {
        return match options.origin {
            // The other one does what this one was started for.
            Origin::Missed => Ok(()),
            Origin::Asked => Err(taken(&office, &options)?),
        };
    };
    if let Some(user) = &options.job_user {
        user.check(&options.state)?;
        // What is made from here on is nobody else's, and least of all the jobs'.
        umask(Mode::from_bits_truncate(0o077));
    }
    office.sign(&options.host, &options.coordinator, options.jobs)?;
    office.withdraw()?;
    let host = Arc::new(Host::new(options)?);
    tracing::info!(
        host = %host.options.host,
        jobs = host.options.jobs,
        job_user = host.options.job_user.as_ref().map(|user| user.name.as_str()),
        coordinator = ?host.options.coordinator,
        "daemon begins"
    );
    let bell = Arc::new(Notify::new());
    let channel = Channel::new(Arc::clone(&host), Arc::clone(&bell));
    let ended = Daemon::new(host, office, channel).serve(&bell).await;
    tracing::info!("daemon ends; what runs is left to its supervisors");
    ended
}

fn taken(office: &Office, options: &Options) -> Result<Error, Error> {
    let pid = office.holder()?.map_or_else(String::new, |pid| format!(" with pid {pid}"));
    let problem = format!("a daemon of host {}{pid} serves this fleet already", options.host);
    Ok(Error::Precondition { problem })
}

/// SIGTERM and SIGINT as they arrive.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn listen() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::bug(format!("cannot listen for signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

struct Daemon {
    host: Arc<Host>,
    office: Office,
    channel: Channel,
    tasks: JoinSet<Done>,
    holds: Holds,
    jobs: Jobs,
    /// Sessions that a task deals with.
    sessions: BTreeSet<SessionId>,
    uses: Uses,
    signs: Signs,
    /// Requests of sessions that are over; `None` while a task deals with what dead wrappers left.
    orphans: Option<Orphans>,
    heartbeat: Duration,
    /// Waits between beats that are not answered.
    delays: Delays,
    next: Millis,
    last: Millis,
    /// When the folder of registrations last changed.
    registered: Option<SystemTime>,
    /// Whether the verbs were told that the coordinator does not take its word.
    complained: bool,
    /// What the coordinator said last of the worth of what this host finds.
    doubt: Option<String>,
    /// Why there is no use in going on.
    useless: Option<Error>,
}

impl Daemon {
    fn new(host: Arc<Host>, office: Office, channel: Channel) -> Self {
        let now = clock::boottime();
        Self {
            host,
            office,
            channel,
            tasks: JoinSet::new(),
            holds: Holds::default(),
            jobs: Jobs::default(),
            sessions: BTreeSet::new(),
            uses: Uses::default(),
            signs: Signs::default(),
            orphans: Some(Orphans::default()),
            heartbeat: FIRST_HEARTBEAT,
            delays: Policy::RECONNECT.into(),
            next: now,
            last: Millis::since_boot(0),
            registered: None,
            complained: false,
            doubt: None,
            useless: None,
        }
    }

    async fn serve(mut self, bell: &Notify) -> Result<(), Error> {
        let mut ends = Ends::listen()?;
        loop {
            let now = clock::boottime();
            if self.next <= now && self.last.plus(BREATH) <= now {
                tokio::select! {
                    () = self.beat() => {}
                    () = ends.wanted() => return Ok(()),
                }
                if let Some(error) = self.useless.take() {
                    return Err(error);
                }
            }
            let rest = self.rest();
            tokio::select! {
                () = ends.wanted() => return Ok(()),
                () = bell.notified() => self.hurry(),
                Some(done) = self.tasks.join_next() => self.note(done),
                () = tokio::time::sleep(rest) => {
                    if self.is_unseated()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Until the next beat, but no longer than until the next look.
    fn rest(&self) -> Duration {
        let next = self.next.max(self.last.plus(BREATH));
        clock::boottime().until(next).clamp(Duration::from_millis(1), LOOK)
    }

    fn hurry(&mut self) {
        self.next = clock::boottime();
    }

    /// Looks for news in files; whether another daemon wants this one's place.
    fn is_unseated(&mut self) -> Result<bool, Error> {
        let folder = self.host.options.state.join("sessions");
        let changed = folder.metadata().and_then(|folder| folder.modified()).ok();
        if changed != self.registered {
            self.registered = changed;
            self.hurry();
        }
        if !self.office.exists() {
            return Ok(true);
        }
        if !self.office.is_wished()? {
            return Ok(false);
        }
        match self.host.options.origin {
            Origin::Missed => Ok(true),
            Origin::Asked => self.office.deny().map(|()| false),
        }
    }

    fn note(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Tended(run)) => self.holds.done(&run),
            Ok(Done::Recovered(orphans)) => self.orphans = Some(orphans),
            Ok(Done::Session(session)) => drop(self.sessions.remove(&session)),
            Ok(Done::Job(key)) => {
                self.jobs.done(&key);
                // There is room for another one.
                self.hurry();
            }
            Err(error) => tracing::error!(%error, "a task of the daemon failed"),
        }
    }

    /// One beat, and what its answer calls for.
    async fn beat(&mut self) {
        self.last = clock::boottime();
        match self.exchange().await {
            Ok(()) => {
                self.delays.reset();
                self.next = self.last.plus(self.heartbeat);
                self.tell_verbs(None);
            }
            Err(error) => {
                tracing::warn!(error = error.in_full(), "a beat failed");
                if matches!(error, Error::Refused { .. } | Error::Told { .. }) {
                    self.tell_verbs(Some(&error));
                }
                let delay = self.delays.next_delay().unwrap_or(FIRST_HEARTBEAT);
                self.next = clock::boottime().plus(delay);
            }
        }
    }

    /// Leaves word for the verbs, which nobody else tells that the sessions are not renewed.
    fn tell_verbs(&mut self, refused: Option<&Error>) {
        let told = match refused {
            Some(error) => self.office.complain(&error.in_full()),
            None if self.complained => self.office.withdraw(),
            None => return,
        };
        self.complained = refused.is_some();
        if let Err(error) = told {
            tracing::warn!(error = error.in_full(), "the verbs cannot be told");
        }
    }

    async fn exchange(&mut self) -> Result<(), Error> {
        let known = sessions::registered(&self.host, &mut self.uses)?;
        let renewed: Vec<SessionId> = known
            .iter()
            .filter(|(_, sign)| *sign != Sign::Unused)
            .map(|(known, _)| known.session)
            .collect();
        let signs = self.signs.seen(&self.host, &known).await?;
        let sent = clock::boottime();
        let means = v1::BeatRequest { signs, ..holds::means(&self.host, &renewed)? };
        let reply = self.channel.beat(means).await?;
        self.weigh(&reply);
        self.signs.want(&reply);
        if reply.heartbeat_ms > 0 {
            self.heartbeat = Duration::from_millis(reply.heartbeat_ms);
        }
        let lost: BTreeSet<SessionId> = reply.lost.iter().flat_map(|id| id.parse()).collect();
        let live = renewed.into_iter().filter(|session| !lost.contains(session)).collect();
        let beat = Beat::new(sent, live, &reply);
        beat.write(&self.office)?;
        // Before the runs are looked at: those of wanted jobs are not to be ended.
        self.jobs.update(&self.host, &reply, sent, &mut self.tasks);
        self.holds.tend(&self.host, &beat, &reply, &self.jobs, &mut self.tasks)?;
        self.attend(known, &lost);
        if !holds::forsaken(&self.host)?.is_empty()
            && let Some(orphans) = self.orphans.take()
        {
            let held = Held::told(sent, &reply);
            self.tasks.spawn(holds::recover(Arc::clone(&self.host), orphans, held));
        }
        self.keep_snapshots(&reply)
    }

    /// Takes note of whether what this host finds counts anywhere. A prover that begins and could
    /// count does not go on until it does: nobody would miss its results in time.
    fn weigh(&mut self, reply: &v1::BeatReply) {
        let doubt = if self.host.options.jobs > 0 { reply.doubt.as_str() } else { "" };
        if self.doubt.is_none() && reply.wants_job_user && !doubt.is_empty() {
            self.useless = Some(Error::usage(format!(
                "host {} is a prover, and {doubt}: name a user that no agent is, by --job-user or \
                 MOLT_JOB_USER",
                self.host.options.host
            )));
        }
        if self.doubt.as_deref() != Some(doubt) {
            if !doubt.is_empty() {
                tracing::warn!(doubt, "what this host finds does not count for landing");
            }
            self.doubt = Some(doubt.to_owned());
        }
    }

    /// Deals with sessions whose root is dead and with those that were lost.
    fn attend(&mut self, known: Vec<(Registration, Sign)>, lost: &BTreeSet<SessionId>) {
        for (known, sign) in known {
            let session = known.session;
            let (dead, lost) = (sign == Sign::RootDead, lost.contains(&session));
            if !(dead || lost && sign == Sign::Lives) || !self.sessions.insert(session) {
                continue;
            }
            let host = Arc::clone(&self.host);
            match dead {
                true => self.tasks.spawn(sessions::bury(host, known)),
                false => self.tasks.spawn(sessions::revive(host, known)),
            };
        }
    }

    fn keep_snapshots(&self, reply: &v1::BeatReply) -> Result<(), Error> {
        for v1::RepoSnapshot { repo, snapshot } in &reply.snapshots {
            let Some(snapshot) = snapshot else { continue };
            let repo: RepoName =
                repo.parse().map_err(|error| Error::bug(format!("a snapshot's repo: {error}")))?;
            Snapshot::received(repo, reply.rev, snapshot)?.write(&self.host.options.state)?;
        }
        Ok(())
    }
}
