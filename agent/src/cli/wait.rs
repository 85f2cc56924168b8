//! Waiting: for a place in line, and for a change to land.
//!
//! Every wait has its end, and one that a person must end may be cut short. A connection that breaks is made again within it.

use std::time::Duration;

use molt_domain::board::Refusal;
use molt_proto::v1;
use molt_proto::v1::attendance::Became;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_retry::{Delays, Policy};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::context::{Context, unexpected};
use crate::client::Client;
use crate::error::Error;
use crate::session::SessionFile;

/// The most that a wait looks again without being told that something happened.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The least that lies between two looks, however much happens.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What became of a claim's place in line.
#[derive(Debug)]
pub(super) enum Place {
    /// The wait ended first; the place is kept.
    Waiting(v1::Queued),
    /// Scopes are held.
    Granted(Box<v1::ClaimView>),
}

/// Holds a place in line as present, for `limit` at most.
pub(super) async fn attend(
    client: &Client,
    file: &SessionFile,
    mut place: v1::Queued,
    limit: Duration,
) -> Result<Place, Error> {
    let record = file.read()?.ok_or_else(|| Error::bug("the session file vanished"))?;
    match timeout(limit, served(client, record.caller(), &mut place)).await {
        Ok(place) => place,
        Err(_) => Ok(Place::Waiting(place)),
    }
}

async fn served(
    client: &Client,
    caller: v1::Caller,
    place: &mut v1::Queued,
) -> Result<Place, Error> {
    let mut delays = Delays::from(Policy::RECONNECT);
    loop {
        match client.attend(caller.clone(), &place.id).await {
            Ok(stream) => {
                if let Some(served) = listen(client, stream, place).await? {
                    return Ok(served);
                }
            }
            Err(Error::Unavailable { .. }) => {}
            Err(error) => return Err(error),
        }
        sleep(delays.next_delay().unwrap_or(LOOK_AGAIN)).await;
    }
}

/// Follows one stream to its end; `None` when it broke.
async fn listen(
    client: &Client,
    mut stream: Streaming<v1::Attendance>,
    place: &mut v1::Queued,
) -> Result<Option<Place>, Error> {
    loop {
        let became = match stream.message().await {
            Ok(Some(attendance)) => attendance.became,
            Ok(None) => return Ok(None),
            Err(status) => return client.broken(status).map_or(Ok(None), Err),
        };
        match became {
            Some(Became::Waiting(waiting)) => *place = waiting,
            Some(Became::Granted(claim)) => {
                client.granted(&claim.fence)?;
                return Ok(Some(Place::Granted(claim.into())));
            }
            Some(Became::Gone(reason)) => {
                let refusal = Refusal::Lost { what: place.id.clone(), reason };
                return Err(Error::Refused { refusal: Box::new(refusal), id: String::new() });
            }
            Some(Became::Held(_) | Became::Told(_)) | None => {
                return Err(unexpected("what became of the claim"));
            }
        }
    }
}

/// Until when a change is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It landed or was ejected.
    Ended,
    /// The same, or nothing happens before a person approves it.
    EndedOrWithheld,
}

impl Until {
    fn is_reached(self, car: &v1::CarView) -> bool {
        car.phase != "open" || (self == Self::EndedOrWithheld && is_withheld(car))
    }
}

/// Whether a change waits for a person, in its place in the train.
pub(super) fn is_withheld(car: &v1::CarView) -> bool {
    car.phase == "open" && matches!(car.state.as_str(), "approval-missing" | "policy-change")
}

/// Follows a change until `end`, for `limit` at most. Returns how it stood last,
/// and at which commit.
pub(super) async fn follow(
    context: &Context,
    client: &Client,
    id: &str,
    end: Until,
    limit: Duration,
) -> Result<(v1::CarView, u64), Error> {
    let mut seen = car(context, client, id).await?;
    let ended = async {
        let mut events = Events::new(client);
        while !end.is_reached(&seen.0) {
            events.next().await;
            match car(context, client, id).await {
                Ok(now) => seen = now,
                // Away for a moment: the wait has its own end.
                Err(Error::Unavailable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    match timeout(limit, ended).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(seen),
    }
}

/// A change as it stands.
pub(super) async fn car(
    context: &Context,
    client: &Client,
    id: &str,
) -> Result<(v1::CarView, u64), Error> {
    let view = context.read(client, What::Car(id.to_owned())).await?;
    match view.view {
        Some(View::Car(car)) => Ok((car, view.rev)),
        _ => Err(unexpected("a change")),
    }
}

/// A hint that something happened at the coordinator. It may be wrong or missing:
/// who waits for it looks itself.
pub(super) struct Events<'a> {
    client: &'a Client,
    stream: Option<Streaming<v1::Entry>>,
}

impl<'a> Events<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self { client, stream: None }
    }

    /// Opens the stream if it is not open, so that nothing is missed from here on.
    pub(super) async fn open(&mut self) {
        if self.stream.is_none() {
            let now = v1::WatchRequest { tail: true, ..v1::WatchRequest::default() };
            self.stream = self.client.watch(now).await.ok();
        }
    }

    /// Waits until it is worth looking again: at an event, or after a while.
    pub(super) async fn next(&mut self) {
        sleep(BETWEEN_LOOKS).await;
        let Some(stream) = &mut self.stream else {
            self.open().await;
            if self.stream.is_none() {
                sleep(LOOK_AGAIN).await;
            }
            // What happened until now is not told by the new stream: look at once.
            return;
        };
        match timeout(LOOK_AGAIN, stream.message()).await {
            Ok(Ok(Some(_))) | Err(_) => {}
            Ok(Ok(None) | Err(_)) => self.stream = None,
        }
    }
}
