//! Opening: a pull request for each change that a session submitted, and closing it again.
//!
//! Its branch is made first, and the pull request is looked for before it is opened, so that each
//! step may be done again by whoever leads next. A change for which none can be opened is put aside
//! with the reason. Not here: what is written in it (`molt_domain::pull::proposal`), and what becomes
//! of it afterwards, which is as with any other.

use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::{Command, Tables};
use molt_domain::id::CarId;
use molt_domain::message::Announcement;
use molt_domain::name::RepoName;
use molt_domain::pull::proposal::{self, Mark};
use molt_domain::pull::{Closes, ForgeTime, Opened};
use molt_domain::train::{Car, Origin, Passage, Proposer, State};
use molt_forge::github::{Cause, GithubError, Proposal, shape};
use molt_forge::{Branch, ForgeError};
use molt_repo::{Oid, RepoError};
use tokio::time::Instant;
use tracing::{info, warn};

use super::judge::STANDS;
use super::read::{commit, forge_time, moment, origin, user};
use super::{Memory, OnBoard, Pulls, PullsError};
use crate::reconcile::chain;

/// Changes that one is opened for before people are heard and told again.
const AT_ONCE: usize = 8;

/// What a look at the changes without a pull request left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Nothing before something changes.
    Idle,
    /// Some were opened, which nobody has judged yet, or wait for their turn.
    Again,
}

/// What came of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// It has a pull request.
    Shown,
    /// It has none, and nothing is wrong with that for now.
    Unshown,
}

/// A session's change without a pull request.
#[derive(Debug)]
struct Unshown {
    car: Arc<Car>,
    announced: Vec<Announcement>,
}

/// What a change changes.
struct Changed {
    paths: Vec<String>,
    /// Paths that are no text.
    odd: usize,
}

impl Pulls {
    /// Opens some of what is to be opened. Where it came to nothing it is tried again now and then.
    pub(super) async fn open(&self, memory: &mut Memory) -> Result<Opening, PullsError> {
        let unshown = self.unshown().await?;
        memory.tried.retain(|id, _| unshown.iter().any(|change| change.car.id == *id));
        let span: Duration = self.account.every * STANDS;
        let is_due = |change: &Unshown| {
            memory.tried.get(&change.car.id).is_none_or(|at| at.elapsed() >= span)
        };
        let due: Vec<Unshown> = unshown.into_iter().filter(is_due).collect();
        let mut opening = if due.len() > AT_ONCE { Opening::Again } else { Opening::Idle };
        for change in due.into_iter().take(AT_ONCE) {
            let id = change.car.id;
            match self.open_one(memory, &change).await {
                Ok(Tried::Shown) => opening = Opening::Again,
                Ok(Tried::Unshown) => {}
                Err(error) => self.hinder(id, error).await?,
            }
            // What is shown by now is not looked at again in any case.
            memory.tried.insert(id, Instant::now());
        }
        Ok(opening)
    }

    /// Puts a change aside for which none can be opened, so that it holds up nobody. What passes by
    /// itself, and what is about all of them, ends the round.
    async fn hinder(&self, car: CarId, error: PullsError) -> Result<(), PullsError> {
        warn!(phase = "pulls", repo = %self.repo, %car, error = %chain(&error), "no pull request");
        let Some((code, what)) = error.hindrance() else { return Err(error) };
        let code = code.to_owned();
        self.tell_board_of(car, Command::HinderCar { car, code, what }).await
    }

    async fn unshown(&self) -> Result<Vec<Unshown>, PullsError> {
        let repo = self.repo.clone();
        Ok(self.handle.read(move |at| unshown(at.board.tables(), &repo)).await?)
    }

    async fn open_one(&self, memory: &mut Memory, change: &Unshown) -> Result<Tried, PullsError> {
        let car = &change.car;
        let branch = proposal::branch(car);
        // A token that was made before something was granted has it not: this makes another one.
        self.account.installation(&self.slug).await?;
        let found = self.account.client().pulls_from(&self.slug, &branch).await?;
        let at = forge_time(found.date);
        for pull in found.entries {
            if self.is_of(&pull, car).await? {
                self.opened(memory, car.id, pull, at).await?;
                return Ok(Tried::Shown);
            }
        }
        let Some(Changed { paths, odd }) = self.publish(car, &branch).await? else {
            // The train finds the same, and puts it out.
            return Ok(Tried::Unshown);
        };
        let announced = &change.announced;
        let words = proposal::Proposal { car, announced, changed: &paths, odd };
        let (title, body) = (words.title(), words.body());
        let to_open = Proposal { title: &title, body: &body, head: &branch, base: &self.branch };
        let (us, _) = self.account.ourselves().await?;
        let is_it = |pull: &shape::Pull| shows(pull, us) == Some(car.id) && pull.state == "open";
        let pull = self.account.client().open_pull(&self.slug, to_open, is_it).await?;
        info!(phase = "pulls", repo = %self.repo, car = %car.id, number = pull.number, "opened");
        if pull.head.sha != car.head {
            // Somebody has pushed to it: when that was seen, the next list says.
            return Ok(Tried::Unshown);
        }
        let at = moment(&pull.created_at)?;
        self.opened(memory, car.id, pull, at).await?;
        Ok(Tried::Shown)
    }

    /// Whether a pull request from a change's branch was opened for it. A closed one may be another
    /// fleet's, of a change that had the same name.
    async fn is_of(&self, pull: &shape::Pull, car: &Car) -> Result<bool, PullsError> {
        let (us, _) = self.account.ourselves().await?;
        let same = pull.state == "open" || pull.head.sha == car.head;
        Ok(same && shows(pull, us) == Some(car.id))
    }

    /// The change that a pull request was opened for by us, if it says so.
    pub(super) async fn shown_by(&self, pull: &shape::Pull) -> Result<Option<CarId>, PullsError> {
        if mark(pull).is_none() {
            return Ok(None);
        }
        let (us, _) = self.account.ourselves().await?;
        Ok(shows(pull, us))
    }

    /// Tells the board of a pull request that was opened for a change. That it refuses is an error:
    /// the change would stay without one, and the same be done for ever.
    pub(super) async fn opened(
        &self,
        memory: &mut Memory,
        car: CarId,
        pull: shape::Pull,
        at: ForgeTime,
    ) -> Result<(), PullsError> {
        let opened = Opened {
            car,
            branch: pull.head.branch.clone(),
            url: pull.html_url.clone(),
            head: commit(&pull.head.sha)?,
            at,
            opened_by: user(pull.user.as_ref()),
        };
        let (repo, number) = (self.repo.clone(), pull.number);
        self.handle.own(Command::OpenPull { repo, number, opened }).await?;
        memory.pulls.insert(number, pull);
        Ok(())
    }

    /// Makes the branch of a change; `None` if there is nothing to be shown: its head is nowhere to
    /// be had, or has nothing that the base lacks.
    async fn publish(&self, car: &Car, branch: &str) -> Result<Option<Changed>, PullsError> {
        let (mirror, forge) = (self.mirror.clone(), Arc::clone(&self.forge));
        let (base, head, name) = (self.branch.clone(), car.head.clone(), branch.to_owned());
        let work = move || {
            let (Ok(oid), Ok(pushed)) = (head.parse::<Oid>(), head.parse::<molt_forge::Oid>())
            else {
                return Ok(None);
            };
            let branch: Branch = name.parse()?;
            let base = mirror.branch(&base)?;
            let from = match mirror.merge_base(&base, &oid) {
                Err(RepoError::MissingCommit { .. }) => {
                    mirror.fetch()?;
                    mirror.merge_base(&base, &oid)
                }
                found => found,
            };
            let from = match from {
                Err(RepoError::MissingCommit { .. }) => return Ok(None),
                found => found?,
            };
            if from.as_ref() == Some(&oid) {
                return Ok(None);
            }
            let changed = mirror.changed_paths(&from.unwrap_or(base), &oid)?;
            let texts = changed.iter().filter_map(|it| it.path.as_text()).map(str::to_owned);
            let mut paths: Vec<String> = texts.collect();
            let odd = changed.len() - paths.len();
            paths.sort();
            paths.dedup();
            forge.publish_branch(&branch, &pushed)?;
            Ok(Some(Changed { paths, odd }))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PullsError::Panicked)?
    }

    /// Closes a pull request that has served, once people were told why; it, as it is then.
    pub(super) async fn close(&self, number: u64) -> Result<shape::Pull, PullsError> {
        Ok(self.account.client().close_pull(&self.slug, number).await?)
    }

    /// Takes the branch of a pull request away that landed or that we closed. One that a person
    /// closed may be opened again, and to one that was pushed to somebody has a claim.
    pub(super) async fn retire(&self, entry: &OnBoard) -> Result<(), PullsError> {
        let Some(shows) = &entry.known.shows else { return Ok(()) };
        let landed = entry
            .car
            .as_ref()
            .is_some_and(|car| car.id == shows.car && matches!(car.state, State::Landed { .. }));
        if !landed && entry.closes == Closes::No {
            return Ok(());
        }
        let forge = Arc::clone(&self.forge);
        let head = match entry.car.as_ref().map(|car| &car.state) {
            Some(State::Landed { commit, passage: Passage::Ahead { .. }, .. }) => commit.clone(),
            _ => shows.head.to_string(),
        };
        let branch = shows.branch.clone();
        let work = move || {
            let branch: Branch = branch.parse()?;
            let head = head.parse().map_err(|_| PullsError::Commit { text: head.clone() })?;
            Ok(forge.retire_branch(&branch, &head)?)
        };
        match tokio::task::spawn_blocking(work).await.map_err(|_| PullsError::Panicked)? {
            Err(error @ PullsError::Forge(ForgeError::Declined { .. })) => {
                let number = entry.known.number;
                warn!(phase = "pulls", repo = %self.repo, number, error = %chain(&error), "its branch stays");
                Ok(())
            }
            retired => retired,
        }
    }
}

/// Sessions' changes on their way that no pull request shows. A fork's is shown once a person has
/// looked at it: its head is in a branch of the repository itself then.
fn unshown(tables: &Tables, repo: &RepoName) -> Vec<Unshown> {
    let lacks = |car: &&Arc<Car>| {
        let is_trusted = car.origin == Origin::Own || car.approval.is_some();
        let is_sessions = matches!(car.proposer, Proposer::Session(_));
        car.repo == *repo && car.state.is_open() && is_sessions && is_trusted && car.shown.is_none()
    };
    let announced = |car: &Car| {
        let found = car.claims.iter().filter_map(|claim| tables.announcements.get(claim));
        found.map(|it| Announcement::clone(it)).collect()
    };
    let cars = tables.cars.values().filter(lacks);
    cars.map(|car| Unshown { car: Arc::clone(car), announced: announced(car) }).collect()
}

fn mark(pull: &shape::Pull) -> Option<Mark> {
    pull.body.as_deref().and_then(Mark::of)
}

/// The change that a pull request was opened for by us: its mark says so, and its branch.
fn shows(pull: &shape::Pull, us: &molt_forge::github::Ourselves) -> Option<CarId> {
    let Mark(car) = mark(pull)?;
    let ours = pull.user.as_ref().is_some_and(|user| us.is(user));
    let named = pull.head.branch.strip_prefix("molt/")?.ends_with(&format!("/{car}"));
    (ours && named && origin(pull) == Origin::Own).then_some(car)
}

impl PullsError {
    /// What keeps a pull request from being opened until somebody mends it, by its stable code.
    fn hindrance(&self) -> Option<(&'static str, String)> {
        let code = match self {
            Self::Github(GithubError { cause, .. }) => match cause {
                Cause::Forbidden { .. } | Cause::Missing { .. } | Cause::Gone { .. } => {
                    Some("auth-lost")
                }
                Cause::NotAllowed { .. } | Cause::Invalid { .. } | Cause::Conflict { .. } => {
                    Some("ruleset-blocked")
                }
                Cause::Unreadable { .. } => Some("closed"),
                _ => None,
            },
            Self::Forge(ForgeError::RemoteDenied { .. } | ForgeError::GithubDenied { .. }) => {
                Some("auth-lost")
            }
            Self::Forge(ForgeError::Declined { .. }) | Self::Branch(_) => Some("ruleset-blocked"),
            Self::Repo(RepoError::RemoteDenied { .. }) => Some("auth-lost"),
            // The remote is away for all of them.
            Self::Repo(
                RepoError::RemoteGone { .. }
                | RepoError::RemoteMoved { .. }
                | RepoError::NoAccess { .. },
            ) => None,
            error => error.is_of_one().then_some("closed"),
        };
        code.map(|code| (code, format!("no pull request can be opened: {}", chain(self))))
    }
}
