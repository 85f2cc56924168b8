//! Who leads: a coordinator asks for the lead, serves a term, or stands by.
//!
//! Several coordinators may share a store; one of them leads, the others
//! answer with its address. A term has an engine and reconcilers of its own,
//! made from what the store holds; nothing is carried from one term to the
//! next but files. Not here: what the store promises about leaders
//! (`molt-store`), and what is served while leading (`rpc`).

pub mod charter;
mod patience;
mod seat;
mod term;

use std::sync::Arc;

use molt_domain::policy::Spans;
use molt_store::{CampaignError, Candidate, FORMAT, Format, Store, Tenure};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::auth::Gate;
use crate::clock::Clock;
use crate::engine::{Ended, Engine, Failure, OpenError};
use crate::reconcile::{Archive, TrainError, chain};
use crate::webhooks::DirtySet;

use self::patience::Patience;
use self::seat::Away;
pub use self::seat::{Seat, Switch};
pub use self::term::{AtGithub, Found, Place, Term};

/// Why a coordinator can neither lead nor stand by.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// The board.
    #[error("the board could not be loaded")]
    Board(#[from] OpenError),
    /// A repository, at the first start.
    #[error("the repository `{repo}`")]
    Train {
        /// Which.
        repo: molt_domain::name::RepoName,
        /// Why.
        #[source]
        source: TrainError,
    },
    /// The leader keeps to other settings.
    #[error(transparent)]
    Differs(#[from] charter::Differs),
    /// The epoch.
    #[error("the epoch could not be raised")]
    Epoch(#[source] Failure),
    /// The term ended for good.
    #[error("the lead was lost")]
    Ended(#[from] Ended),
}

/// What a campaign came to.
#[derive(Debug)]
pub enum Standing {
    /// This coordinator leads.
    Leading(Box<Term>),
    /// Another one leads.
    StandingBy {
        /// Where clients reach it.
        leader: String,
    },
    /// Nobody is known to lead, and this coordinator cannot for now.
    Hindered {
        /// What is in its way.
        reason: String,
    },
}

/// What a coordinator leads with, in every term.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Who it is.
    pub candidate: Candidate,
    /// The spans that its rules use.
    pub spans: Spans,
    /// Whose time it lives in.
    pub clock: Clock,
    /// Where sealed audit entries are.
    pub archive: Archive,
    /// Who may call how often; counts outlive a term.
    pub gate: Gate,
    /// The repositories and where their mirrors are.
    pub places: Arc<[Place]>,
    /// What a forge's webhooks say has changed; nothing where none are taken in.
    pub hints: Arc<DirtySet>,
}

/// One coordinator's share in leading.
pub struct Lead {
    store: Arc<dyn Store>,
    ground: Ground,
    seat: Seat,
    format: Format,
}

impl Lead {
    /// A coordinator that may lead over `store`; clients are served as `seat` says.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ground: Ground, seat: Seat) -> Self {
        Self { store, ground, seat, format: FORMAT }
    }

    /// The same for a program of this format: it leads over no store that needs a newer one, and
    /// raises the store's to this one when it is told to.
    #[must_use]
    pub fn writing(mut self, format: Format) -> Self {
        self.ground.candidate.program = format.written;
        Self { format, ..self }
    }

    /// Asks for the lead once, and reads what there is.
    ///
    /// # Errors
    ///
    /// What no waiting mends: damaged records, or a program that is too old.
    pub async fn campaign(&self) -> Result<Standing, LeadError> {
        let Ground { candidate, spans, clock, .. } = &self.ground;
        match Engine::open(Arc::clone(&self.store), candidate, *spans, *clock).await {
            Ok((engine, handle, start)) => {
                let engine = engine.writing(self.format);
                let term = Term::begin(engine, handle, start, &self.ground)?;
                Ok(Standing::Leading(Box::new(term)))
            }
            Err(OpenError::Campaign(CampaignError::Held { name, address, charter })) => {
                charter::compare(&name, &charter, &candidate.charter)?;
                Ok(Standing::StandingBy { leader: address })
            }
            Err(error) if self.others_may_lead() && passes(&error) => {
                Ok(Standing::Hindered { reason: chain(&error) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Leads or stands by until `stop`, beginning with `standing`.
    ///
    /// # Errors
    ///
    /// As [`Self::campaign`], and what ends a lead for good.
    pub async fn hold(
        &self,
        mut standing: Standing,
        stop: &CancellationToken,
    ) -> Result<(), LeadError> {
        let mut patience = Patience::new();
        loop {
            let wait = patience.after(&standing);
            match standing {
                Standing::Leading(term) => self.serve(*term, stop).await?,
                Standing::StandingBy { leader } => self.seat.leave(Away::Leader(leader)).await,
                Standing::Hindered { reason } => {
                    let gate = self.ground.gate.clone();
                    self.seat.leave(Away::Hindered { reason, gate }).await;
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
            if stop.is_cancelled() {
                return Ok(());
            }
            standing = self.campaign().await?;
        }
    }

    /// Serves one term to its end.
    async fn serve(&self, term: Term, stop: &CancellationToken) -> Result<(), LeadError> {
        let number = term.term();
        info!(phase = "lead", term = number, "leading");
        let ended = term.serve(&self.seat, &self.ground, stop).await;
        self.seat.leave(Away::Unknown).await;
        match ended {
            Ok(()) => Ok(()),
            Err(
                ended @ (Ended::Deposed { .. } | Ended::CutOff { .. } | Ended::Overtaken { .. }),
            ) if self.others_may_lead() => {
                warn!(phase = "lead", term = number, reason = %ended, "stepped down");
                Ok(())
            }
            Err(ended) => Err(ended.into()),
        }
    }

    fn others_may_lead(&self) -> bool {
        matches!(self.store.facts().tenure, Tenure::Lease { .. })
    }
}

/// Whether an error may pass without anybody doing anything.
fn passes(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::Campaign(CampaignError::Unavailable(_))
            | OpenError::Load(
                molt_store::LoadError::Unavailable(_) | molt_store::LoadError::Deposed { .. }
            )
    )
}

#[cfg(test)]
mod tests;
