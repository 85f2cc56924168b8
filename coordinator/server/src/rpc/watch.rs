//! Streams of what happened: to watch from a number on, and to export whole.

use std::sync::Arc;

use molt_domain::audit::Entry;
use molt_proto::{error, v1, view};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Answers;
use crate::engine::{History, Subscription};
use crate::reconcile::Archive;

/// Entries after a number, then live ones until the service stops.
pub(super) fn entries(
    history: &History,
    after: u64,
    stop: CancellationToken,
) -> Result<Answers<v1::Entry>, Status> {
    let Subscription { past, live } =
        history.subscribe(after).map_err(|compacted| error::compacted(compacted.oldest))?;
    let last = past.last().map_or(after, |entry| entry.seq);
    let past = tokio_stream::iter(past).map(|past| Ok(view::entry(&past)));
    Ok(Box::pin(past.chain(follow(live, last, stop))))
}

/// The live half: ends with `compacted` for a reader that is too slow.
fn follow(
    mut live: Receiver<Arc<Entry>>,
    mut last: u64,
    stop: CancellationToken,
) -> ReceiverStream<Result<v1::Entry, Status>> {
    let (sender, receiver) = mpsc::channel(64);
    super::detach(async move {
        loop {
            let received = tokio::select! {
                received = live.recv() => received,
                () = sender.closed() => return,
                () = stop.cancelled() => return,
            };
            let answer = match received {
                Ok(entry) if entry.seq <= last => continue,
                Ok(entry) => {
                    last = entry.seq;
                    Ok(view::entry(&entry))
                }
                Err(RecvError::Lagged(missed)) => Err(error::compacted(last + 1 + missed)),
                Err(RecvError::Closed) => return,
            };
            let ends = answer.is_err();
            if sender.send(answer).await.is_err() || ends {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

/// The whole audit after a number: sealed files first, then what is in the store.
pub(super) async fn audit(
    history: &History,
    archive: &Archive,
    after: u64,
) -> Result<Answers<v1::Entry>, Status> {
    let archive = archive.clone();
    let read = tokio::task::spawn_blocking(move || archive.after(after)).await;
    let sealed = match read {
        Ok(Ok(entries)) => entries,
        Ok(Err(error)) => {
            let reason = crate::reconcile::chain(&error);
            return Err(Status::internal(reason));
        }
        Err(error) => return Err(Status::internal(error.to_string())),
    };
    let last = sealed.last().map_or(after, |entry| entry.seq);
    let rest = history.subscribe(last).map_err(|compacted| error::compacted(compacted.oldest))?;
    let sealed: Vec<v1::Entry> = sealed.iter().map(view::entry).collect();
    let rest: Vec<v1::Entry> = rest.past.iter().map(|entry| view::entry(entry)).collect();
    Ok(Box::pin(tokio_stream::iter(sealed.into_iter().chain(rest)).map(Ok)))
}
