//! Hosts: what a daemon says of its host with every beat.

use std::time::Duration;

use molt_domain::board::{Caller, Command, Invalid, Request};
use molt_domain::host::{JobUser, Means};
use molt_domain::id::SessionId;
use molt_domain::name::HostName;
use molt_domain::session::Told;

use super::field;
use crate::v1;

/// What a host's daemon says: what the host can do, and who lives on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The host.
    pub host: HostName,
    /// What it can do.
    pub means: Means,
    /// The sessions that the daemon renews.
    pub sessions: Vec<SessionId>,
    /// What it sees of sessions that it does not renew, or was asked about.
    pub signs: Vec<(SessionId, Told)>,
}

impl Beat {
    /// The command that tells the board of the host's means; it changes nothing when they are known.
    #[must_use]
    pub fn request(&self) -> Request {
        let caller = Caller::Host(self.host.clone());
        let command = Command::SeeHost { means: self.means.clone() };
        Request { caller, ..Request::own(command) }
    }
}

fn signs(signs: &v1::SessionSigns) -> Result<(SessionId, Told), Invalid> {
    let told = Told {
        root: signs.root_lives,
        log: signs.log_ms.map(Duration::from_millis),
        files: signs.files_ms.map(Duration::from_millis),
    };
    Ok((field::parse("signs.session", &signs.session)?, told))
}

/// The longest reason, in bytes.
const LONGEST_REASON: usize = 500;

fn job_user(user: v1::JobUser) -> Result<JobUser, Invalid> {
    let v1::JobUser { uid, shared } = user;
    field::limited("job_user.shared", &shared, LONGEST_REASON)?;
    Ok(JobUser { uid, shared: Some(shared).filter(|shared| !shared.is_empty()) })
}

impl TryFrom<v1::BeatRequest> for Beat {
    type Error = Invalid;

    fn try_from(beat: v1::BeatRequest) -> Result<Self, Invalid> {
        field::limited_all("labels", &beat.labels, 4096)?;
        Ok(Self {
            host: field::parse("host", &beat.host)?,
            sessions: field::all("sessions", &beat.sessions)?,
            signs: beat.signs.iter().map(signs).collect::<Result<_, _>>()?,
            means: Means {
                jobs: beat.jobs,
                cores: beat.cores,
                memory: beat.memory,
                labels: beat.labels.into_iter().collect(),
                job_user: beat.job_user.map(job_user).transpose()?,
            },
        })
    }
}
