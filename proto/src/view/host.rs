//! Hosts: what each can do, and whether what it finds counts.

use molt_domain::board::Board;
use molt_domain::host::{Host, JobUser, Standing, State};
use molt_domain::policy::Repo;

use super::MAX_ROWS;
use crate::v1;

/// The hosts of the fleet by name, as a repository sees them.
pub(super) fn hosts(board: &Board, repo: &Repo) -> v1::Hosts {
    let rows = board.tables().hosts.values().take(MAX_ROWS);
    v1::Hosts { hosts: rows.map(|host| row(host, repo)).collect() }
}

fn row(host: &Host, repo: &Repo) -> v1::HostView {
    let state = match host.state {
        State::Live => "live",
        State::Lost => "lost",
    };
    let standing = match host.standing {
        Standing::Local => "local",
        Standing::Prover => "prover",
        Standing::AgentHost => "host",
    };
    let means = &host.means;
    let job_user = means
        .job_user
        .clone()
        .map(|JobUser { uid, shared }| v1::JobUser { uid, shared: shared.unwrap_or_default() });
    let doubt = host.doubt(&repo.policy.merge);
    v1::HostView {
        name: host.name.to_string(),
        state: state.to_owned(),
        standing: standing.to_owned(),
        jobs: means.jobs,
        cores: means.cores,
        memory: means.memory,
        job_user,
        doubt: doubt.map(|doubt| doubt.to_string()).unwrap_or_default(),
    }
}
