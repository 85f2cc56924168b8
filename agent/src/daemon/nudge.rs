//! Hearing at once that a beat is worthwhile. Only ever a hint: what is missed,
//! the next heartbeat brings.

use std::sync::Arc;
use std::time::Duration;

use molt_retry::{Delays, Policy};
use serde::Deserialize;
use tokio::sync::Notify;

use super::host::Host;

/// What is read of an entry.
#[derive(Deserialize)]
struct Heard {
    event: What,
}

#[derive(Deserialize)]
struct What {
    what: String,
}

/// Events after which a host may have something to do.
const WORTHWHILE: [&str; 8] = [
    "job_assigned",
    "job_cancelled",
    "job_returned",
    "joined",
    "left",
    "lost",
    "resumed",
    "revoked",
];

/// Rings `bell` when something happens that a host should know, for ever.
pub(super) async fn listen(host: Arc<Host>, bell: Arc<Notify>) {
    let mut delays: Delays = Policy::RECONNECT.into();
    loop {
        if let Ok(mut entries) = host.client.watch().await {
            // What happened while nobody listened is not told again.
            bell.notify_one();
            while let Ok(Some(entry)) = entries.message().await {
                delays.reset();
                if is_worthwhile(&entry.json) {
                    bell.notify_one();
                }
            }
        }
        tokio::time::sleep(delays.next_delay().unwrap_or(Duration::from_secs(5))).await;
    }
}

/// Whether an entry is worth a beat. One that cannot be read is: it is newer
/// than this program.
fn is_worthwhile(json: &str) -> bool {
    let heard: Result<Heard, _> = serde_json::from_str(json);
    heard.map_or(true, |heard| WORTHWHILE.contains(&heard.event.what.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use molt_domain::audit::{Anchor, append};
    use molt_domain::board::{Actor, Event, Now};
    use molt_domain::id::{BoardTime, ClaimId, JobId, SessionId};

    #[test]
    fn an_assignment_rings_and_a_claim_does_not() {
        let assigned = Event::JobAssigned {
            job: JobId::from_counter(1),
            gate: "unit".parse().unwrap(),
            host: "h".parse().unwrap(),
            attempt: 1,
        };
        let released = Event::Unqueued {
            claim: ClaimId::from_counter(2),
            session: SessionId::from_counter(3),
            reason: "it left".to_owned(),
        };
        let now = Now { board: BoardTime::default(), wall: 0 };
        let entries =
            append(&mut Anchor::genesis(), now, &Actor::Coordinator, vec![assigned, released]);
        let rings: Vec<bool> = entries
            .iter()
            .map(|entry| is_worthwhile(&serde_json::to_string(entry).unwrap()))
            .collect();
        assert_eq!(rings, [true, false]);
        assert!(is_worthwhile("{}"), "what is not understood may matter");
    }
}
