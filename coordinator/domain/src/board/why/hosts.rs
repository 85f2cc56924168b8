//! Why what a host finds counts for landing, or does not.

use super::Why;
use crate::host::{self, Host, Standing};
use crate::name::HostName;
use crate::policy::Trust;

impl Why<'_> {
    pub(super) fn host(&self, name: &str) -> Option<Vec<String>> {
        let name: HostName = name.parse().ok()?;
        let host = self.board.tables.hosts.get(&name)?;
        let state = match host.state {
            host::State::Live => "live",
            host::State::Lost => "lost",
        };
        let mut lines = vec![
            format!("host {name} is {state} and takes {} jobs", host.means.jobs),
            format!("since    {}", self.ago(host.since)),
            format!("proved   {}", proved(host.standing)),
            format!("jobs     {}", jobs(host)),
        ];
        for repo in self.board.tables.repos.values() {
            let merge = &repo.policy.merge;
            let counts = match (host.doubt(merge), merge.trust) {
                (Some(doubt), _) => format!("not for {}: {doubt}", repo.name),
                (None, Trust::AgentHosts) => {
                    format!("for {}: trust_agent_hosts: every host's results count", repo.name)
                }
                (None, Trust::Provers) => format!("for {}", repo.name),
            };
            lines.push(format!("counts   {counts}"));
        }
        Some(lines)
    }
}

fn proved(standing: Standing) -> &'static str {
    match standing {
        Standing::Local => "nothing: no host here has to prove who it is",
        Standing::Prover => "the role prover",
        Standing::AgentHost => "the role host: agents work on it",
    }
}

fn jobs(host: &Host) -> String {
    match &host.means.job_user {
        None => "run as whoever its daemon is".to_owned(),
        Some(host::JobUser { uid, shared: None }) => {
            format!("run as uid {uid}, which no agent there has")
        }
        Some(host::JobUser { uid, shared: Some(reason) }) => format!("run as uid {uid}: {reason}"),
    }
}
