//! A waiter that is there: its place is served at once, and it learns what became of it.

use std::time::Duration;

use molt_domain::board::Presence;
use molt_domain::id::ClaimId;
use molt_proto::convert::{self, Place};
use molt_proto::v1;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Answers, status};
use crate::engine::{self, Handle};

/// How often a waiter is told how far the line has moved.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

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
            biased;
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
        Place::Hold(_) | Place::Inbox(_) => None,
    }
}

async fn follow(
    handle: &Handle,
    place: Place,
    sender: &mpsc::Sender<Result<v1::Attendance, Status>>,
) {
    // Before the first look, so that nothing between the two is missed.
    let attendant = handle.history().attend(line(place));
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
        tokio::select! {
            biased;
            () = attendant.stirred() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

fn line(place: Place) -> engine::Place {
    match place {
        Place::Claim(claim) => engine::Place::Claim(claim),
        Place::Hold(hold) => engine::Place::Hold(hold),
        Place::Inbox(session) => engine::Place::Inbox(session),
    }
}
