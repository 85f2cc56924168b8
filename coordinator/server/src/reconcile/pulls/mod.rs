//! Pull requests at GitHub become cars of the train, and are told what became of them.
//!
//! A round has five steps, in an order that matters: heads are seen before comments are heard, so
//! that a comment is about what its writer saw; then each pull request is judged, and what came of
//! it is told; at last some of what sessions submitted is opened, however much that is, to be judged
//! in a round that comes soon. All is read anew: a webhook only begins a round sooner ([`DirtySet`]),
//! and with none at all everything still happens. What GitHub forgets or never told is on the board
//! ([`molt_domain::pull::Known`]); what can be read again is kept in memory alone.
//!
//! Not here: what a word of a person or of GitHub means (`molt_domain::pull`), and landing
//! ([`super::train`]).

mod branch;
mod heed;
mod judge;
mod open;
mod read;
mod see;
mod tell;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::{Command, Event, Tables};
use molt_domain::id::CarId;
use molt_domain::name::RepoName;
use molt_domain::pull::{Closes, Desk, Known, PullKey, closes};
use molt_domain::train::{Car, Need, State};
use molt_forge::github::{Cause, GithubError, Slug, shape};
use molt_forge::{Forge, ForgeError, InvalidName};
use molt_repo::Mirror;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use self::branch::Standing;
use self::judge::Judged;
use self::open::Opening;
use self::tell::Spoken;
use super::chain;
use crate::engine::{Failure, Handle};
use crate::github::Account;
use crate::webhooks::DirtySet;

/// Hints begin rounds no more often: what we write ourselves is hinted at as well.
const PAUSE: Duration = Duration::from_secs(1);

/// How long to wait after a round that went wrong.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// Why a round was not finished; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub enum PullsError {
    /// GitHub.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// The board.
    #[error("board")]
    Board(#[from] Failure),
    /// A commit whose name is none.
    #[error("github names a commit `{text}`")]
    Commit {
        /// The name.
        text: String,
    },
    /// A moment that does not read.
    #[error("github names a moment `{text}`")]
    Time {
        /// What was read.
        text: String,
    },
    /// The mirror.
    #[error("git mirror")]
    Repo(#[from] molt_repo::RepoError),
    /// The remote.
    #[error("forge")]
    Forge(#[from] ForgeError),
    /// A branch's name that git does not take.
    #[error("branch name")]
    Branch(#[from] InvalidName),
    /// A git step panicked: a bug.
    #[error("a git step panicked")]
    Panicked,
    /// The repository is not on the board: its base was never read.
    #[error("the base of {repo} was not read yet")]
    NoBase {
        /// The repository.
        repo: RepoName,
    },
}

/// The pull requests of one repository.
#[derive(Debug)]
pub struct Pulls {
    handle: Handle,
    account: Arc<Account>,
    repo: RepoName,
    slug: Slug,
    branch: String,
    mirror: Mirror,
    forge: Arc<dyn Forge>,
}

/// Why there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// GitHub may have changed.
    Look,
    /// The board has, which is to be told.
    Tell,
}

/// What was read of GitHub; all of it can be read again.
#[derive(Debug, Default)]
struct Memory {
    /// What every round since the first reading has seen.
    seen: see::Seen,
    /// The pull requests that are open, or that the board knows of.
    pulls: BTreeMap<u64, shape::Pull>,
    /// How each was judged last.
    judged: BTreeMap<u64, Judged>,
    /// What was said of each last.
    spoken: BTreeMap<u64, Spoken>,
    /// What GitHub did not let us say of each, by its digest, and when that was.
    unsaid: BTreeMap<u64, (String, Instant)>,
    /// Why the last round failed, which is told once.
    failed: Option<String>,
    /// The changes for which none was opened though it was tried, and when that was last.
    tried: BTreeMap<CarId, Instant>,
    /// Whether it was told that somebody's right cannot be read.
    blind: bool,
}

/// What the board has of a pull request.
#[derive(Debug, Clone)]
struct OnBoard {
    known: Arc<Known>,
    /// The car that it was made last.
    car: Option<Arc<Car>>,
    /// Whether it has served.
    closes: Closes,
}

impl OnBoard {
    fn of(tables: &Tables, known: &Arc<Known>) -> Self {
        let car = known.entered.as_ref().and_then(|entered| tables.cars.get(&entered.car));
        Self { known: Arc::clone(known), car: car.map(Arc::clone), closes: closes(tables, known) }
    }

    /// Whether it is in the train.
    fn is_in(&self) -> bool {
        self.car.as_ref().is_some_and(|car| car.state.is_open())
    }

    /// Whether it was put aside until GitHub has what it asks for.
    fn is_hindered(&self) -> bool {
        let hindered = |it: &State| matches!(it, State::Withheld { need: Need::Forge { .. } });
        self.car.as_ref().is_some_and(|car| hindered(&car.state))
    }
}

impl PullsError {
    /// Whether GitHub is only to be asked again later.
    pub(crate) fn is_passing(&self) -> bool {
        let Self::Github(error) = self else { return false };
        error.cause.is_passing() || matches!(error.cause, Cause::Cooldown { .. })
    }

    /// Whether it is about one pull request, so that the others can be gone on with.
    fn is_of_one(&self) -> bool {
        match self {
            Self::Github(error) => matches!(
                error.cause,
                Cause::Forbidden { .. }
                    | Cause::Missing { .. }
                    | Cause::Gone { .. }
                    | Cause::Conflict { .. }
                    | Cause::NotAllowed { .. }
                    | Cause::Invalid { .. }
                    | Cause::Unreadable { .. }
            ),
            Self::Commit { .. }
            | Self::Time { .. }
            | Self::Repo(_)
            | Self::Branch(_)
            | Self::Panicked
            | Self::Board(Failure::Refused { .. }) => true,
            Self::Forge(_) | Self::Board(_) | Self::NoBase { .. } => false,
        }
    }
}

impl Pulls {
    /// The pull requests of `slug` that are to land on `branch`, for which `forge` makes branches of
    /// what `mirror` has.
    #[must_use]
    pub fn new(
        handle: Handle,
        account: Arc<Account>,
        repo: RepoName,
        slug: Slug,
        branch: String,
        (mirror, forge): (Mirror, Arc<dyn Forge>),
    ) -> Self {
        Self { handle, account, repo, slug, branch, mirror, forge }
    }

    /// Reads and tells until stopped.
    pub(crate) async fn run(self: Arc<Self>, dirty: Arc<DirtySet>, stop: CancellationToken) {
        let nudge = self.handle.history().nudge(concerns_pulls);
        let (mut memory, mut wake) = (Memory::default(), Wake::Look);
        let (mut next, mut earliest) = (Instant::now(), Instant::now());
        loop {
            if wake == Wake::Look {
                // Whatever woke us: no hint waits for another round than this.
                memory.seen.hinted(&dirty.take());
                (next, earliest) = (Instant::now() + self.account.every, Instant::now() + PAUSE);
            }
            let failed = match self.work(&mut memory, wake).await {
                Ok(opening) => {
                    if memory.failed.take().is_some() {
                        info!(phase = "pulls", repo = %self.repo, "goes on");
                    }
                    if opening == Opening::Again {
                        next = next.min(earliest);
                    }
                    None
                }
                Err(error) => Some(Instant::now() + self.after(&error, &mut memory).await),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = sleep_until(failed.unwrap_or(next)) => wake = Wake::Look,
                () = hinted(&dirty, earliest), if failed.is_none() => wake = Wake::Look,
                () = nudge.notified(), if failed.is_none() => wake = Wake::Tell,
            }
        }
    }

    async fn work(&self, memory: &mut Memory, wake: Wake) -> Result<Opening, PullsError> {
        match wake {
            Wake::Look => self.round(memory).await,
            Wake::Tell => {
                self.tell(memory).await?;
                self.open(memory).await
            }
        }
    }

    /// What a failed round asks for: how long to wait before the next one.
    async fn after(&self, error: &PullsError, memory: &mut Memory) -> Duration {
        let words = chain(error);
        if memory.failed.as_ref() != Some(&words) {
            warn!(phase = "pulls", repo = %self.repo, error = %words, "will try again");
            self.look_for_what_is_missing(error).await;
        }
        memory.failed = Some(words);
        let PullsError::Github(GithubError { cause: Cause::Cooldown { wait, .. }, .. }) = error
        else {
            return AFTER_ERROR;
        };
        let span = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        // Whoever leads next is to keep to it too. If it cannot be written, we still do.
        if let Err(failure) =
            self.handle.own(Command::CoolForge { repo: self.repo.clone(), span }).await
        {
            warn!(phase = "pulls", repo = %self.repo, error = %chain(&failure), "a cooldown is not on the board");
        }
        *wait
    }

    /// Where GitHub does not let us do something, it knows better why: reading what we may do also
    /// tells what is missing.
    async fn look_for_what_is_missing(&self, error: &PullsError) {
        let PullsError::Github(GithubError { cause, .. }) = error else { return };
        if !matches!(
            cause,
            Cause::Unauthorized { .. }
                | Cause::Suspended { .. }
                | Cause::Forbidden { .. }
                | Cause::Missing { .. }
        ) {
            return;
        }
        self.account.forget_installations().await;
        if let Err(error) = self.account.installation(&self.slug).await {
            warn!(phase = "pulls", repo = %self.repo, %error, "what we may do is not known");
        }
        // Somebody may mend it before the next round.
        self.account.forget_installations().await;
    }

    /// Sees, hears, judges, tells and opens once.
    async fn round(&self, memory: &mut Memory) -> Result<Opening, PullsError> {
        let desk = self.desk().await?;
        self.see(memory).await?;
        self.listen(&desk, memory).await?;
        if memory.seen.anew {
            memory.tried.clear();
            memory.unsaid.clear();
        }
        self.judge(memory).await?;
        self.tell(memory).await?;
        self.open(memory).await
    }

    /// The repository's desk, which the first round opens. One of old does not say which repository
    /// it is of: the one that is there now is, from now on.
    async fn desk(&self) -> Result<Desk, PullsError> {
        let desk = self.desk_on_board().await?;
        if let Some(desk) = &desk
            && desk.forge_id.is_some()
        {
            return Ok(desk.clone());
        }
        let forge_id = Some(self.account.client().look(&self.slug).await?.id);
        let (comment, since) = match desk {
            Some(desk) => (desk.comment, desk.since),
            None => {
                let (comment, since) = self.newest_comment().await?;
                info!(phase = "pulls", repo = %self.repo, comment, "comments are heard from here on");
                (comment, since)
            }
        };
        let repo = self.repo.clone();
        self.handle.own(Command::OpenDesk { repo: repo.clone(), forge_id, comment, since }).await?;
        Ok(Desk { repo, forge_id, comment, since, cooldown: None })
    }

    /// Looks whether the repository is the one that it was.
    pub(crate) async fn recognize(&self) -> Result<(), PullsError> {
        self.account.client().look(&self.slug).await?;
        Ok(())
    }

    /// Says which repository it is to be, if the board knows: a name may be another one's by now.
    pub(crate) async fn recall(&self) -> Result<(), PullsError> {
        let desk = self.desk_on_board().await?;
        if let Some(id) = desk.and_then(|desk| desk.forge_id) {
            self.account.client().expect(&self.slug, id);
        }
        Ok(())
    }

    async fn desk_on_board(&self) -> Result<Option<Desk>, PullsError> {
        let repo = self.repo.clone();
        let read = self.handle.read(move |at| {
            let desk = at.board.tables().desks.get(&repo).map(|desk| Desk::clone(desk))?;
            let left = desk.cooldown.map(|until| until.since(at.now));
            Some((desk, left))
        });
        let Some((desk, left)) = read.await? else { return Ok(None) };
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            self.account.client().governor().obey(left);
        }
        Ok(Some(desk))
    }

    /// Whether GitHub wants to hear nothing for now.
    pub(crate) fn is_cooling(&self) -> bool {
        self.account.client().governor().cooldown().is_some()
    }

    /// Tells the board of one pull request. That it refuses keeps nobody else's from being looked
    /// at.
    async fn tell_board(&self, number: u64, command: Command) -> Result<(), PullsError> {
        match self.handle.own(command).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused { refusal, .. }) => {
                warn!(phase = "pulls", repo = %self.repo, number, %refusal, "the board refuses");
                Ok(())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Tells the board of one change; that it refuses keeps no other from being looked at.
    async fn tell_board_of(&self, car: CarId, command: Command) -> Result<(), PullsError> {
        match self.handle.own(command).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused { refusal, .. }) => {
                warn!(phase = "pulls", repo = %self.repo, %car, %refusal, "the board refuses");
                Ok(())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// All that the board knows of this repository's pull requests.
    async fn on_board(&self) -> Result<BTreeMap<u64, OnBoard>, PullsError> {
        let repo = self.repo.clone();
        let read = self.handle.read(move |at| {
            let tables = at.board.tables();
            let of_repo = tables.pulls.range(PullKey::of(&repo, 0)..=PullKey::of(&repo, u64::MAX));
            of_repo.map(|(key, known)| (key.number, OnBoard::of(tables, known))).collect()
        });
        Ok(read.await?)
    }

    /// What the board knows of one.
    async fn one_on_board(&self, number: u64) -> Result<Option<OnBoard>, PullsError> {
        let key = PullKey::of(&self.repo, number);
        let read = self.handle.read(move |at| {
            let tables = at.board.tables();
            tables.pulls.get(&key).map(|known| OnBoard::of(tables, known))
        });
        Ok(read.await?)
    }

    /// Goes on after what went wrong with one pull request; what is about all of them does not.
    fn or_skip(&self, number: u64, done: Result<(), PullsError>) -> Result<(), PullsError> {
        let Err(error) = done else { return Ok(()) };
        if !error.is_of_one() {
            return Err(error);
        }
        warn!(phase = "pulls", repo = %self.repo, number, error = %chain(&error), "skipped for now");
        Ok(())
    }
}

/// Waits for a hint, and until it may begin a round. It stays until it is taken.
async fn hinted(dirty: &DirtySet, earliest: Instant) {
    dirty.notified().await;
    sleep_until(earliest).await;
}

/// Whether there may be something to tell after an event.
fn concerns_pulls(event: &Event) -> bool {
    matches!(
        event,
        Event::Submitted { .. }
            | Event::Approved { .. }
            | Event::Withheld { .. }
            | Event::Admitted { .. }
            | Event::CandidateMade { .. }
            | Event::GatePassed { .. }
            | Event::Ready { .. }
            | Event::Ejected { .. }
            | Event::Retried { .. }
            | Event::Landed { .. }
            | Event::IntentWithdrawn { .. }
    )
}

/// Hands every hint to each repository's round: they know better what concerns them.
pub(crate) async fn spread(hints: Arc<DirtySet>, to: Vec<Arc<DirtySet>>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = hints.notified(), if !to.is_empty() => {}
        }
        for hint in hints.take() {
            to.iter().for_each(|set| set.mark(hint.clone()));
        }
    }
}
