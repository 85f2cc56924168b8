//! One term: an engine, what follows from its board, and the calls that reach it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use molt_domain::board::{Caller, Command, Request};
use molt_domain::name::RepoName;
use molt_domain::policy::Repo;
use molt_forge::github::Slug;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::seat::Away;
use super::{Ground, LeadError, Seat};
use crate::engine::{Ended, Engine, Handle, Start};
use crate::github::Account;
use crate::reconcile::{self, Pulls, Train, TrainError, chain, spread};
use crate::rpc::Service;
use crate::webhooks::DirtySet;

/// How long what is under way at the end of a term may take.
const WIND_UP: Duration = Duration::from_secs(5);

/// A repository, where it is fetched from, and where its mirror is.
#[derive(Debug, Clone)]
pub struct Place {
    /// What it is called here.
    pub repo: RepoName,
    /// What it is fetched from and pushed to.
    pub remote: String,
    /// The branch that changes land on.
    pub branch: String,
    /// The folder of mirrors.
    pub mirrors: PathBuf,
    /// Its pull requests, if those are the changes.
    pub github: Option<AtGithub>,
}

/// A repository at GitHub.
#[derive(Debug, Clone)]
pub struct AtGithub {
    /// Who asks there.
    pub account: Arc<Account>,
    /// Its name there.
    pub slug: Slug,
}

/// What a term began with.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its number, the revision and the number of records.
    pub start: Start,
    /// The repositories as their bases were read.
    pub repos: Vec<Repo>,
}

/// A term that begins.
#[derive(Debug)]
pub struct Term {
    start: Start,
    handle: Handle,
    engine: JoinHandle<Result<(), Ended>>,
    trains: Vec<Train>,
    pulls: Vec<Arc<Pulls>>,
    /// Ends what follows from the board, and the calls.
    over: CancellationToken,
    /// Ends the engine, once the rest is over.
    stop_engine: CancellationToken,
}

impl Term {
    /// Starts the engine, and opens the repositories' mirrors.
    pub(super) fn begin(
        engine: Engine,
        handle: Handle,
        start: Start,
        ground: &Ground,
    ) -> Result<Self, LeadError> {
        let stop_engine = CancellationToken::new();
        let engine = engine.start(stop_engine.clone());
        let mut trains = Vec::with_capacity(ground.places.len());
        let mut pulls = Vec::new();
        for place in ground.places.iter() {
            let failed = |source| LeadError::Train { repo: place.repo.clone(), source };
            let (train, of_place) = open(&handle, place).map_err(failed)?;
            trains.push(train);
            pulls.extend(of_place);
        }
        let over = CancellationToken::new();
        Ok(Self { start, handle, engine, trains, pulls, over, stop_engine })
    }

    pub(super) fn term(&self) -> u64 {
        self.start.term
    }

    /// Reads every repository's base, so that a coordinator that starts knows each policy or says
    /// why not.
    ///
    /// # Errors
    ///
    /// A remote is not to be had, or its base has no policy that reads.
    pub async fn read_bases(&self) -> Result<Found, LeadError> {
        let mut repos = Vec::with_capacity(self.trains.len());
        for train in &self.trains {
            let read = train.begin().await;
            let repo = train.repo().clone();
            repos.push(read.map_err(|source| LeadError::Train { repo, source })?);
        }
        Ok(Found { start: self.start, repos })
    }

    /// Gives lost records up in the name of `operator`, before anybody is answered.
    ///
    /// # Errors
    ///
    /// The epoch is as it was.
    pub async fn raise_epoch(&self, operator: String, reason: String) -> Result<(), LeadError> {
        let command = Command::RaiseEpoch { reason };
        let request = Request { caller: Caller::Operator(operator), ..Request::own(command) };
        self.handle.submit(request, |_, _| ()).await.map_err(LeadError::Epoch)
    }

    /// Serves until the lead is lost or `stop`; then ends what is under way, and gives the lead
    /// back if it still has it.
    pub(super) async fn serve(
        self,
        seat: &Seat,
        ground: &Ground,
        stop: &CancellationToken,
    ) -> Result<(), Ended> {
        let Self { handle, mut engine, trains, pulls, over, stop_engine, .. } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(reconcile::tick(handle.clone(), over.clone()));
        tasks.spawn(reconcile::seal(handle.clone(), ground.archive.clone(), over.clone()));
        for train in trains {
            tasks.spawn(train.run(over.clone()));
        }
        let mut hinted = Vec::with_capacity(pulls.len());
        for pulls in pulls {
            let dirty = Arc::<DirtySet>::default();
            hinted.push(Arc::clone(&dirty));
            tasks.spawn(pulls.run(dirty, over.clone()));
        }
        tasks.spawn(spread(Arc::clone(&ground.hints), hinted, over.clone()));
        let remotes: BTreeMap<RepoName, String> =
            ground.places.iter().map(|place| (place.repo.clone(), place.remote.clone())).collect();
        let service = Service::new(handle, ground.archive.clone(), remotes, over.clone())
            .behind(ground.gate.clone());
        seat.take(service).await;
        let lost = tokio::select! {
            // A lead that is lost is not given back.
            biased;
            ended = &mut engine => Some(ended),
            () = stop.cancelled() => None,
        };
        seat.leave(Away::Unknown).await;
        over.cancel();
        stop_engine.cancel();
        let ended = match lost {
            Some(ended) => Ok(ended),
            None => tokio::time::timeout(WIND_UP, engine).await,
        };
        if tokio::time::timeout(WIND_UP, wind_up(&mut tasks)).await.is_err() {
            warn!(phase = "lead", "what was under way is left to the next term");
        }
        match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            Err(_) => {
                warn!(phase = "lead", "the store does not answer: the lead is left to run out");
                Ok(())
            }
        }
    }
}

/// What carries the train of a place, and what brings its pull requests there, if it has any.
fn open(handle: &Handle, place: &Place) -> Result<(Train, Option<Arc<Pulls>>), TrainError> {
    let Place { repo, remote, branch, mirrors, github } = place;
    let Some(AtGithub { account, slug }) = github else {
        let train = Train::open(handle.clone(), mirrors, repo.clone(), remote, branch)?;
        return Ok((train, None));
    };
    let at = reconcile::AtGithub {
        place: slug.clone(),
        client: Arc::clone(account.client()),
        fencing: account.fencing,
    };
    let train = Train::open_at_github(handle.clone(), mirrors, repo.clone(), remote, branch, at)?;
    let (account, slug, branch) = (Arc::clone(account), slug.clone(), branch.clone());
    let git = (train.mirror().clone(), train.forge());
    let pulls = Pulls::new(handle.clone(), account, repo.clone(), slug, branch, git);
    let pulls = Arc::new(pulls);
    Ok((train.behind(Arc::clone(&pulls)), Some(pulls)))
}

async fn wind_up(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            warn!(phase = "lead", error = %chain(&error), "a reconciler ended badly");
        }
    }
}
