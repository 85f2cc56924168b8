//! One member of the cluster: its channel, its client, and whether it is well.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{Channel, Client, ConnectOptions, Error, KvClient};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::failure::{Class, Failure};
use super::options::User;

/// The longest answer that is taken: five hundred records of the length that the board's rules
/// allow, several times over.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// After how many failed probes in a row a member is out.
const STRIKES: u32 = 2;

/// One member, reached at one endpoint by a channel of its own: what one does wrong never shows
/// on another.
pub(super) struct Member {
    endpoint: String,
    channel: tonic::transport::Channel,
    options: ConnectOptions,
    client: OnceCell<Client>,
    health: Mutex<Health>,
}

#[derive(Debug)]
struct Health {
    state: State,
    strikes: u32,
    round_trip: Duration,
}

/// Whether a member is asked.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It answers.
    In,
    /// It does not answer, or has not yet: asked only if no other is there.
    Out,
    /// It must never be asked, for the reason given.
    Barred(String),
}

impl Member {
    pub(super) fn new(
        endpoint: String,
        channel: tonic::transport::Channel,
        user: Option<&User>,
    ) -> Self {
        let options = ConnectOptions::new().with_require_leader(true).with_auto_token_refresh(true);
        let options = match user {
            Some(user) => options.with_user(&user.name, &user.password),
            None => options,
        };
        let health =
            Mutex::new(Health { state: State::Out, strikes: 0, round_trip: Duration::ZERO });
        Self { endpoint, channel, options, client: OnceCell::new(), health }
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn is_in(&self) -> bool {
        self.health().state == State::In
    }

    /// Why it must never be asked, if so.
    pub(super) fn barred(&self) -> Option<String> {
        match &self.health().state {
            State::Barred(reason) => Some(reason.clone()),
            State::In | State::Out => None,
        }
    }

    /// How long its last probe took.
    pub(super) fn round_trip(&self) -> Duration {
        self.health().round_trip
    }

    /// Notes that it answered a probe in this time.
    pub(super) fn answered(&self, round_trip: Duration) {
        let mut health = self.health();
        health.strikes = 0;
        health.round_trip = round_trip;
    }

    /// Lets it in, unless it is barred: it may be asked from now on.
    pub(super) fn admit(&self) {
        let mut health = self.health();
        if health.state == State::Out {
            health.state = State::In;
            tracing::info!(endpoint = self.endpoint, "member of etcd answers");
        }
    }

    /// Notes that it did not answer a probe.
    pub(super) fn strike(&self, failure: &Failure) {
        let strikes = {
            let mut health = self.health();
            health.strikes += 1;
            health.strikes
        };
        if strikes >= STRIKES {
            self.put_out(failure);
        }
    }

    /// Asks it no more until it answers a probe. A call that failed is reason enough: its caller
    /// has waited already.
    pub(super) fn put_out(&self, failure: &Failure) {
        let mut health = self.health();
        if health.state == State::In {
            health.state = State::Out;
            tracing::warn!(
                endpoint = self.endpoint,
                reason = failure.reason,
                "member of etcd is out"
            );
        }
    }

    /// Never asks it again.
    pub(super) fn bar(&self, reason: String) {
        tracing::error!(endpoint = self.endpoint, reason, "member of etcd must not be used");
        self.health().state = State::Barred(reason);
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls it once. The time is for the call; making the client may take as much again.
    pub(super) async fn call<T, F, Fut>(&self, within: Duration, call: F) -> Result<T, Failure>
    where
        F: FnOnce(KvClient) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let client = self.client(within).await?;
        let kv = client.kv_client().max_decoding_message_size(MAX_ANSWER_BYTES);
        self.timed(within, call(kv)).await
    }

    /// Asks it about itself and its cluster.
    pub(super) async fn ask<T, F, Fut>(&self, within: Duration, ask: F) -> Result<T, Failure>
    where
        F: FnOnce(Client) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let client = self.client(within).await?.clone();
        self.timed(within, ask(client)).await
    }

    /// Sees whether it answers `call`, and how fast.
    pub(super) async fn probe<T, F, Fut>(&self, within: Duration, call: F) -> Result<T, Failure>
    where
        F: FnOnce(KvClient) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let began = Instant::now();
        let answer = self.call(within, call).await;
        match &answer {
            Err(failure) if !matches!(failure.class, Class::Refused(_)) => self.strike(failure),
            _ => self.answered(began.elapsed()),
        }
        answer
    }

    async fn timed<T>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        match timeout(within, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure::of(&self.endpoint, &error)),
            Err(_) => Err(Failure::late(&self.endpoint, Class::Unknown)),
        }
    }

    /// The client, which with a user exists only once etcd has given a token.
    async fn client(&self, within: Duration) -> Result<&Client, Failure> {
        let make = || {
            let channel = Channel::Tonic(self.channel.clone());
            Client::from_channel(channel, Some(self.options.clone()))
        };
        match timeout(within, self.client.get_or_try_init(make)).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(Failure::of(&self.endpoint, &error).before_the_call()),
            Err(_) => Err(Failure::late(&self.endpoint, Class::NotSent)),
        }
    }
}
