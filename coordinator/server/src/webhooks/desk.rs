//! What is done with one request: the cheap questions first, and nothing of a body before its
//! signature is good.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use molt_forge::github::webhook::{EVENT, Hint, Reading, SIGNATURE, Secrets, Signature};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::StreamExt as _;
use tracing::{debug, error};

use super::Bounds;
use super::dirty::DirtySet;
use super::tally::{Counts, Refused, Tally};

/// Where GitHub sends its webhooks.
pub const PATH: &str = "/webhooks/github";

/// What requests are looked at with.
#[derive(Debug)]
pub(super) struct Desk {
    secrets: Secrets,
    bounds: Bounds,
    /// A permit for each byte of the bodies that are here.
    room: Arc<Semaphore>,
    dirty: Arc<DirtySet>,
    tally: Tally,
}

/// A body that is here whole, and its share of the room.
#[derive(Debug)]
struct Whole {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new().route(PATH, post(receive)).with_state(desk)
}

/// The answer has no body: a forger learns from none which part was wrong.
async fn receive(State(desk): State<Arc<Desk>>, request: Request) -> StatusCode {
    match desk.clone().take_in(request).await {
        Ok((event, reading)) => {
            desk.tally.accept(&event, reading);
            StatusCode::ACCEPTED
        }
        Err(refused) => {
            desk.tally.refuse(refused);
            refused.status()
        }
    }
}

impl Desk {
    pub(super) fn new(secrets: Secrets, bounds: Bounds) -> Self {
        let room = Arc::new(Semaphore::new(bounds.bodies));
        let (dirty, tally) = (Arc::default(), Tally::default());
        Self { secrets, bounds, room, dirty, tally }
    }

    pub(super) fn dirty(&self) -> Arc<DirtySet> {
        self.dirty.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        self.tally.counts()
    }

    async fn take_in(self: Arc<Self>, request: Request) -> Result<(String, Reading), Refused> {
        let (head, body) = request.into_parts();
        let signature = only(&head.headers, SIGNATURE).and_then(|text| text.parse().ok());
        let signature = signature.ok_or(Refused::Unsigned)?;
        let event = only(&head.headers, EVENT).unwrap_or_default().to_owned();
        let whole = tokio::time::timeout(self.bounds.patience, self.read(body));
        let whole = whole.await.map_err(|_| Refused::TooSlow)??;
        let hint = self.check(signature, whole, event.clone()).await.ok_or(Refused::Unsigned)?;
        let Hint { dirty, reading, action, repository, sender } = hint;
        debug!(phase = "webhook", event, ?action, ?repository, ?sender, ?dirty, "taken in");
        if let Some(dirty) = dirty {
            self.dirty.mark(dirty);
        }
        Ok((event, reading))
    }

    /// Reads no further than to the first byte that is too many.
    async fn read(&self, body: Body) -> Result<Whole, Refused> {
        let least = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if least > self.bounds.body {
            return Err(Refused::TooLong);
        }
        let (mut bytes, mut room) = (Vec::new(), self.room(0)?);
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| Refused::Broken)?;
            if bytes.len() + part.len() > self.bounds.body {
                return Err(Refused::TooLong);
            }
            room.merge(self.room(part.len())?);
            bytes.extend_from_slice(&part);
        }
        Ok(Whole { bytes, _room: room })
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let bytes = u32::try_from(bytes).map_err(|_| Refused::TooLong)?;
        self.room.clone().try_acquire_many_owned(bytes).map_err(|_| Refused::Crowded)
    }

    /// What the body says, if its signature is good. A long one takes a while, which nobody else
    /// is to wait for.
    async fn check(
        self: &Arc<Self>,
        signature: Signature,
        whole: Whole,
        event: String,
    ) -> Option<Hint> {
        let desk = self.clone();
        let checking = tokio::task::spawn_blocking(move || {
            let verified = desk.secrets.verify(&signature, &whole.bytes)?;
            Some(verified.hint(&event))
        });
        checking.await.unwrap_or_else(|error| {
            error!(phase = "webhook", %error, "a signature was not checked");
            None
        })
    }
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}
