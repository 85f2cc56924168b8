//! A waiter that is there: its place is served at once, and it learns what became of it.

use molt_domain::board::Presence;
use molt_domain::id::ClaimId;
use molt_proto::convert::{self, Place};
use molt_proto::v1;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Answers, status};
use crate::engine::Handle;

/// Tells how a place in line stands until it is granted or gone, or the caller goes.
pub(super) fn until_settled(
    handle: Handle,
    place: Place,
    stop: CancellationToken,
) -> Result<Answers<v1::Attendance>, Status> {
    let (sender, receiver) = mpsc::channel(8);
    super::detach(async move {
        let attended = attended(place);
        if let Some(claim) = attended {
            handle.attend(claim, Presence::Here).await;
        }
        tokio::select! {
            () = follow(&handle, place, &sender) => {}
            () = sender.closed() => {}
            () = stop.cancelled() => {}
        }
        if let Some(claim) = attended {
            handle.attend(claim, Presence::Gone).await;
        }
    });
    Ok(Box::pin(tokio_stream::wrappers::ReceiverStream::new(receiver)))
}

fn attended(place: Place) -> Option<ClaimId> {
    match place {
        Place::Claim(claim) => Some(claim),
        Place::Hold(_) => None,
    }
}

async fn follow(
    handle: &Handle,
    place: Place,
    sender: &mpsc::Sender<Result<v1::Attendance, Status>>,
) {
    let history = handle.history();
    // From the last entry on, so that nothing between the first look and the stream is missed.
    let Ok(subscription) = history.subscribe(history.last()) else { return };
    let mut live = subscription.live;
    let mut told: Option<v1::Attendance> = None;
    loop {
        let read = handle.read(move |at| convert::place(at.board, place, at.now)).await;
        let now = match read {
            Ok(now) => now,
            Err(failure) => {
                drop(sender.send(Err(status(failure))).await);
                return;
            }
        };
        let waits = matches!(now.became, Some(v1::attendance::Became::Waiting(_)));
        if told.as_ref() != Some(&now) {
            told = Some(now.clone());
            if sender.send(Ok(now)).await.is_err() {
                return;
            }
        }
        if !waits {
            return;
        }
        match live.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        // Many entries of one commit are one reason to look.
        while live.try_recv().is_ok() {}
    }
}
