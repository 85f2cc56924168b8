//! What hosts tell of sessions: of their own and of others', of now and of long ago.

use std::time::Duration;

use molt_domain::board::Board;
use molt_domain::id::SessionId;
use molt_domain::name::HostName;
use molt_domain::session::Told;

use super::{Generator, HOSTS};
use crate::fleet::Deed;
use crate::fleet::policy::name;

impl Generator {
    /// Lets hosts tell of some sessions.
    pub(super) fn tell(&mut self, board: &Board) {
        let sessions: Vec<(SessionId, HostName)> = board
            .tables()
            .sessions
            .iter()
            .map(|(id, session)| (*id, session.host.clone()))
            .collect();
        for (session, host) in sessions {
            let by: HostName = match self.random.percent(15) {
                true => name(HOSTS[self.random.below(HOSTS.len())]),
                false => host,
            };
            let is_dead = self.dead_hosts.iter().any(|at| by.as_str() == HOSTS[*at]);
            if is_dead || !self.random.percent(20) {
                continue;
            }
            let root = self.random.percent(30);
            let told = Told { root, log: self.age(), files: self.age() };
            self.ahead.push_back(Deed::Tell(by, session, told));
        }
    }

    /// How long ago something was seen, if it was: a moment, or longer than it is worth.
    fn age(&mut self) -> Option<Duration> {
        let most = [5_000, 60_000, 900_000, 2_700_000][self.random.below(4)];
        let age = Duration::from_millis(self.random.next() % most);
        self.random.percent(40).then_some(age)
    }
}
