//! The host's own voice: commands that the daemon sends in its name.

use std::time::Duration;

use molt_domain::id::SessionId;
use molt_domain::name::HostName;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_retry::{Delays, Policy};

use super::office::sorted;
use super::{Options, Origin, machine};
use crate::client::{Address, Client};
use crate::error::Error;
use crate::ledger::{Ledger, LedgerError};
use crate::run::{ReapError, Run};
use crate::session::config;
use crate::wrap::ledger_folder;

/// What all tasks of a daemon share.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) client: Client,
    pub(super) options: Options,
}

impl Host {
    pub(super) fn new(options: Options) -> Result<Self, Error> {
        let own = config::host_credentials()?;
        // One that a service manager starts may have its environment to itself.
        let shown = match options.origin {
            Origin::Asked if !own.prove_somebody() => config::credentials()?,
            Origin::Asked | Origin::Missed => own,
        };
        let client = Client::showing(shown, options.coordinator.clone(), &options.state)?;
        Ok(Self { client, options })
    }

    /// Whether something that names a host and coordinators is this daemon's.
    pub(super) fn is_ours(&self, host: &HostName, coordinator: &[Address]) -> bool {
        *host == self.options.host && sorted(coordinator) == sorted(&self.options.coordinator)
    }

    /// Whom its jobs run as, and why that is no proof, for the coordinator.
    pub(super) fn job_user(&self) -> Result<Option<v1::JobUser>, Error> {
        let Some(user) = &self.options.job_user else { return Ok(None) };
        let shared = user.shared(&self.options.state)?.unwrap_or_default();
        Ok(Some(v1::JobUser { uid: user.ids.uid, shared }))
    }

    /// Sends a command again until there is a definite answer. Only for commands
    /// that have one effect however often they are sent.
    pub(super) async fn insist(&self, verb: Verb) -> Result<(), Error> {
        let mut delays: Delays = Policy::RECONNECT.into();
        loop {
            match self.act(verb.clone()).await {
                Err(error @ (Error::Unavailable { .. } | Error::Unknown { .. })) => {
                    tracing::debug!(error = error.in_full(), "no answer yet");
                    let delay = delays.next_delay().unwrap_or(Duration::from_secs(5));
                    tokio::time::sleep(delay).await;
                }
                answer => return answer.map(drop),
            }
        }
    }

    async fn act(&self, verb: Verb) -> Result<v1::Reply, Error> {
        let who = v1::caller::Who::Host(self.options.host.to_string());
        let caller = Some(v1::Caller { who: Some(who) });
        self.client.act(v1::Command { caller, number: 0, verb: Some(verb) }).await
    }

    /// Says that the root of a session is dead.
    pub(super) async fn root_dead(&self, session: SessionId) -> Result<(), Error> {
        self.insist(Verb::RootDead(v1::RootDead { session: session.to_string() })).await
    }

    /// The machine's ledger.
    pub(super) fn ledger(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&ledger_folder(&self.options.state), machine::budget())
    }
}

/// Work that blocks, on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::bug(format!("a task of the daemon failed: {error}")))
}

/// Ends what a killed supervisor left behind.
pub(super) async fn reap(run: &Run) -> Result<Result<crate::run::ExitRecord, ReapError>, Error> {
    let path = run.folder().path().to_owned();
    blocking(move || crate::run::reap(&path)).await
}
