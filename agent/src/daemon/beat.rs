//! What the last beat that was answered means for the runs of this host.

use std::path::Path;
use std::time::Duration;

use molt_domain::id::SessionId;
use molt_domain::name::HostName;
use molt_proto::v1;
use serde::{Deserialize, Serialize};

use super::office::Office;
use crate::client::Address;
use crate::clock::Millis;
use crate::error::Error;
use crate::run::folder::{Survives, read_json, replace_json};

/// A beat that the coordinator answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// When it was sent: the coordinator heard it then or later.
    pub sent: Millis,
    /// The sessions that it renewed.
    pub sessions: Vec<SessionId>,
    /// How long after it they may be lost, in milliseconds.
    pub session_ttl_ms: u64,
    /// How much sooner their runs of fleet reach are to end, in milliseconds.
    pub margin_ms: u64,
    /// From the request to end such a run until the kill, in milliseconds.
    pub kill_grace_ms: u64,
}

impl Beat {
    pub(super) fn new(sent: Millis, sessions: Vec<SessionId>, reply: &v1::BeatReply) -> Self {
        Self {
            sent,
            sessions,
            session_ttl_ms: reply.session_ttl_ms,
            margin_ms: reply.margin_ms,
            kill_grace_ms: reply.kill_grace_ms,
        }
    }

    /// What the daemon of `host` for the fleet at `coordinator` learned last.
    pub fn read(
        state: &Path,
        host: &HostName,
        coordinator: &[Address],
    ) -> Result<Option<Self>, Error> {
        Ok(read_json(&Office::new(state, host, coordinator).beat())?)
    }

    pub(super) fn write(&self, office: &Office) -> Result<(), Error> {
        Ok(replace_json(&office.beat(), self, 0o600, Survives::Programs)?)
    }

    /// When runs of fleet reach of its sessions must be told to end.
    pub fn deadline(&self) -> Millis {
        let span = self.session_ttl_ms.saturating_sub(self.margin_ms);
        self.sent.plus(Duration::from_millis(span))
    }

    /// Whether it says at `now` that `session` is renewed. One of the future is
    /// of another boot.
    pub fn covers(&self, session: SessionId, now: Millis) -> bool {
        self.sent <= now && now < self.deadline() && self.sessions.contains(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_comes_before_the_session_can_be_lost() {
        let own = SessionId::from_counter(1);
        let reply = v1::BeatReply {
            session_ttl_ms: 60_000,
            margin_ms: 2_000,
            kill_grace_ms: 5_000,
            ..v1::BeatReply::default()
        };
        let beat = Beat::new(Millis::since_boot(1_000), vec![own], &reply);
        assert_eq!(beat.deadline(), Millis::since_boot(59_000));
        let covers = |now| beat.covers(own, Millis::since_boot(now));
        assert!(covers(1_000) && covers(58_999));
        assert!(!covers(59_000), "it is over");
        assert!(!covers(999), "it is of another boot");
        assert!(!beat.covers(SessionId::from_counter(2), Millis::since_boot(1_000)));
        let wrong = Beat { margin_ms: 70_000, ..beat };
        assert_eq!(wrong.deadline(), wrong.sent, "a margin beyond the ttl leaves nothing");
    }
}
