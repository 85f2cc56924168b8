//! The log of a job, fetched part by part from the host that runs it or ran it.

use std::time::Duration;

use molt_domain::board::{Board, Refusal};
use molt_domain::id::JobId;
use molt_domain::job::State;
use molt_domain::name::HostName;
use molt_proto::{error, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::host::Silent;
use super::{Answers, RETRY_AFTER, Service, refused, status};

/// Between two looks at a log that is followed.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Where a job's log is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    host: HostName,
    /// 0: the last one that the host has.
    attempt: u32,
}

/// The log of a job from a byte on; to its end if it is followed, else to what there is.
pub(super) fn stream(service: Service, request: v1::LogRequest) -> Answers<v1::LogPart> {
    let (sender, receiver) = mpsc::channel(4);
    super::detach(async move {
        let stop = service.stop.clone();
        let ended = tokio::select! {
            biased;
            ended = show(&service, &request, &sender) => ended,
            () = stop.cancelled() => Ok(()),
            () = sender.closed() => Ok(()),
        };
        if let Err(status) = ended {
            drop(sender.send(Err(status)).await);
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}

async fn show(
    service: &Service,
    request: &v1::LogRequest,
    sender: &mpsc::Sender<Result<v1::LogPart, Status>>,
) -> Result<(), Status> {
    let job: JobId = request.job.parse().map_err(|_| refused(&not_found(&request.job)))?;
    let mut from = request.from;
    loop {
        let place = service.handle.read(move |at| place(at.board, job)).await.map_err(status)?;
        let Place { host, attempt } = place.map_err(|refusal| refused(&refusal))?;
        let wanted = v1::LogWanted { ask: 0, job: request.job.clone(), attempt, from };
        let part = service.hosts.ask(&host, wanted).await.map_err(|why| silent(&host, why))?;
        if !part.missing.is_empty() {
            return Err(refused(&not_found(&format!("{}: {}", request.job, part.missing))));
        }
        let (length, ended) = (part.text.len(), part.ended);
        from = part.at + length as u64;
        if length > 0 && sender.send(Ok(part)).await.is_err() {
            return Ok(());
        }
        match (length, ended, request.follow) {
            (_, true, _) | (0, false, false) => return Ok(()),
            (0, false, true) => tokio::time::sleep(LOOK_AGAIN).await,
            _ => {}
        }
    }
}

fn place(board: &Board, job: JobId) -> Result<Place, Box<Refusal>> {
    let tables = board.tables();
    let open = tables.jobs.get(&job);
    if let Some(open) = open
        && let State::Assigned { host, .. } = &open.state
    {
        return Ok(Place { host: host.clone(), attempt: open.attempt });
    }
    let mut ended = tables.results.values().filter(|results| results.job == job);
    match ended.next() {
        Some(results) => Ok(Place { host: results.host.clone(), attempt: 0 }),
        None => Err(Box::new(not_found(&job.to_string()))),
    }
}

fn not_found(job: &str) -> Refusal {
    Refusal::NotFound { kind: "log".to_owned(), name: job.to_owned(), nearest: None }
}

fn silent(host: &HostName, why: Silent) -> Status {
    let reason = match why {
        Silent::Away => format!("the daemon of host {host}, which has the log, is not connected"),
        Silent::Slow => format!("host {host}, which has the log, does not answer"),
    };
    error::unavailable(reason, RETRY_AFTER)
}
