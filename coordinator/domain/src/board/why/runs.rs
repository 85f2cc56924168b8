//! Why runs are where they are: locks, slots, builds, jobs, and the cars of the train.

use std::sync::Arc;

use super::{Why, first_line};
use crate::build::{Build, BuildKey};
use crate::hold::{Hold, Waiter};
use crate::host::{self, Host};
use crate::id::{HoldId, JobId};
use crate::job::{self, Job};
use crate::lock::{self, Lock, LockKey};
use crate::policy::Trust;
use crate::slot::{SlotKey, Slots};
use crate::train::{self, Candidate, Car, Need};

impl Why<'_> {
    fn line(&self, line: &[Waiter]) -> Vec<String> {
        line.iter()
            .map(|waiter| {
                format!(
                    "waits    {} as {}, {}",
                    self.holder(waiter.holder),
                    waiter.id,
                    self.ago(waiter.since)
                )
            })
            .collect()
    }

    fn used(&self, hold: &Hold) -> String {
        format!(
            "by {} on {} for `{}`, {}, fence {}",
            self.holder(hold.holder),
            hold.host,
            first_line(&hold.what),
            self.ago(hold.since),
            hold.fence
        )
    }

    pub(super) fn lock(&self, key: &LockKey, lock: &Lock) -> Vec<String> {
        let mut lines = match &lock.state {
            lock::State::Held(hold) => vec![
                format!("lock {key} is held {}", self.used(hold)),
                "rule     one holder; the line is first come first served".to_owned(),
            ],
            lock::State::Delayed { until, last } => {
                let who = last.as_ref().map(|hold| format!(" by {}", self.holder(hold.holder)));
                vec![
                    format!("lock {key} is closed, opens {}", self.ahead(*until)),
                    format!(
                        "rule     left in silence{}: its processes end before that",
                        who.unwrap_or_default()
                    ),
                ]
            }
        };
        lines.extend(self.line(&lock.line));
        lines
    }

    pub(super) fn slots(&self, key: &SlotKey, slots: &Slots) -> Vec<String> {
        let mut lines = vec![
            format!("pool {key} has {} slots, {} in use", slots.size, slots.used.len()),
            "rule     only the machine's word frees a slot; a smaller pool drains".to_owned(),
        ];
        lines.extend(
            slots.used.iter().map(|(slot, hold)| format!("slot {slot}   {}", self.used(hold))),
        );
        lines.extend(self.line(&slots.line));
        lines
    }

    pub(super) fn build(&self, key: &BuildKey, build: &Build) -> Vec<String> {
        match build {
            Build::Building { hold, line } => {
                let mut lines = vec![
                    format!("{key} is being built {}", self.used(hold)),
                    "rule     one run for a fingerprint and place; who waits inherits its end"
                        .to_owned(),
                ];
                lines.extend(self.line(line));
                lines
            }
            Build::Built { artifacts, at } => vec![
                format!("{key} is built, {}", self.ago(*at)),
                format!("digest   {}", artifacts.as_deref().unwrap_or("none was named")),
                "rule     used while its artifacts are there; `missing` builds again".to_owned(),
            ],
            Build::Failed { class, until } => vec![
                format!("{key} {class}; remembered, forgotten {}", self.ahead(*until)),
                "rule     the same inputs fail the same way; other inputs are another build"
                    .to_owned(),
            ],
        }
    }

    pub(super) fn hold(&self, id: HoldId) -> Option<Vec<String>> {
        let tables = &self.board.tables;
        let waits = |line: &[Waiter]| line.iter().position(|waiter| waiter.id == id);
        let in_line = |at: usize, mut lines: Vec<String>| {
            lines.insert(0, format!("{id} waits, {at} ahead in its line"));
            lines
        };
        for (key, lock) in &tables.locks {
            match &lock.state {
                lock::State::Held(hold) if hold.id == id => return Some(self.lock(key, lock)),
                lock::State::Delayed { last: Some(hold), .. } if hold.id == id => {
                    return Some(self.lock(key, lock));
                }
                _ => {}
            }
            if let Some(at) = waits(&lock.line) {
                return Some(in_line(at, self.lock(key, lock)));
            }
        }
        for (key, slots) in &tables.slots {
            if slots.used.values().any(|hold| hold.id == id) {
                return Some(self.slots(key, slots));
            }
            if let Some(at) = waits(&slots.line) {
                return Some(in_line(at, self.slots(key, slots)));
            }
        }
        tables.builds.iter().find_map(|(key, build)| {
            let Build::Building { hold, line } = build.as_ref() else {
                return None;
            };
            if hold.id == id {
                return Some(self.build(key, build));
            }
            waits(line).map(|at| in_line(at, self.build(key, build)))
        })
    }

    pub(super) fn job(&self, job: &Job) -> Vec<String> {
        let mut lines = match &job.state {
            job::State::Queued => vec![
                format!("{} {} is queued, attempt {}", job.id, job.name, job.attempt),
                format!("since    {}", self.ago(job.queued)),
                format!("hosts    {}", self.hosts_for(job)),
            ],
            job::State::Assigned { host, slot, since } => {
                let slot = slot.map(|slot| format!(", slot {slot}")).unwrap_or_default();
                vec![
                    format!(
                        "{} {} runs on {host}{slot}, attempt {}",
                        job.id, job.name, job.attempt
                    ),
                    format!("since    {}", self.ago(*since)),
                ]
            }
        };
        lines.push(format!(
            "rule     one run for what it would find; {} attempts when a host interrupts it",
            job::MAX_ATTEMPTS
        ));
        lines.extend(self.trust(job));
        lines.push(format!("commit   {}", job.commit));
        lines.push(format!("digest   {}", job.digest));
        lines
    }

    /// Whose results count, where it is not provers alone.
    fn trust(&self, job: &Job) -> Option<String> {
        let merge = &self.board.tables.repos.get(&job.repo)?.policy.merge;
        if merge.trust == Trust::AgentHosts {
            return Some("trust    trust_agent_hosts: every host's results count".to_owned());
        }
        let job::State::Assigned { host, .. } = &job.state else { return None };
        let standing = self.board.tables.hosts.get(host)?.standing;
        (standing == host::Standing::Local)
            .then(|| "trust    no host here has to prove who it is".to_owned())
    }

    fn hosts_for(&self, job: &Job) -> String {
        let hosts = self.board.tables.hosts.values();
        let live: Vec<_> = hosts.filter(|host| host.state == host::State::Live).collect();
        if live.is_empty() {
            return "none is live".to_owned();
        }
        let memory = job.gate.memory.unwrap_or(0);
        let able = live.iter().filter(|host| host.means.jobs > 0 && memory <= host.means.memory);
        let merge = self.board.tables.repos.get(&job.repo).map(|repo| &repo.policy.merge);
        let doubts = |host: &&Arc<Host>| Some((host.name.clone(), host.doubt(merge?)?));
        let doubts: Vec<_> = live.iter().filter_map(doubts).collect();
        let doubted = match doubts.as_slice() {
            [] => String::new(),
            [(name, doubt), ..] => {
                format!("; {} of them do not count, such as {name}: {doubt}", doubts.len())
            }
        };
        let pool = job.gate.pool.as_ref().map(|pool| format!(", with a free slot of {pool}"));
        format!(
            "{} live, {} of them could ever take it{}{doubted}",
            live.len(),
            able.count(),
            pool.unwrap_or_default()
        )
    }

    /// A run that ended and whose results are kept.
    pub(super) fn found(&self, id: JobId) -> Option<Vec<String>> {
        let mut results = self.board.tables.results.iter();
        let (digest, results) = results.find(|(_, results)| results.job == id)?;
        let finding = &results.finding;
        Some(vec![
            format!("{id} {} {} on {}", results.gate, finding.class, results.host),
            format!(
                "found    {} green, {} red{}",
                finding.green,
                finding.red_count,
                finding.red.first().map(|red| format!(", first {red}")).unwrap_or_default()
            ),
            format!("note     {}", first_line(&finding.note)),
            format!("commit   {}", finding.commit),
            format!("digest   {digest}"),
            "rule     it holds for every tree with this digest".to_owned(),
        ])
    }

    pub(super) fn car(&self, car: &Car) -> Vec<String> {
        let mut lines = vec![format!("{} of {} is {}", car.id, car.agent, car.state.reason())];
        lines.extend(self.car_facts(car));
        lines.push(format!("head     {}", car.head));
        lines.extend(car.pull().map(|number| {
            let at = car.shown.as_ref().map(|at| format!(": {}", at.url)).unwrap_or_default();
            format!("pull     request {number} of {}{at}", car.repo)
        }));
        if !car.origin.is_own() {
            lines.push(format!("from     {}", car.origin));
        }
        lines.extend(car.approval.as_ref().map(|approval| {
            let (when, why) = (self.ago(approval.at), first_line(&approval.reason));
            format!("approved by {}, {when}: {why}", approval.by)
        }));
        lines.push(format!("title    {}", first_line(&car.title)));
        lines.push(format!("since    submitted {}", self.ago(car.submitted)));
        lines
    }

    fn car_facts(&self, car: &Car) -> Vec<String> {
        let cars = self.board.tables.cars.values();
        let repo = self.board.tables.repos.get(&car.repo);
        match &car.state {
            train::State::Queued => {
                let ahead = cars.filter(|other| other.is_ahead_of(car));
                let closed = repo.and_then(|repo| repo.unreadable.as_ref());
                let mut lines = vec![
                    format!("ahead    {} cars", ahead.count()),
                    "rule     one order, the first is worked on".to_owned(),
                ];
                lines.extend(closed.map(|reason| {
                    format!("closed   the base's policy does not read: {}", first_line(reason))
                }));
                lines
            }
            train::State::Withheld { need } => vec![
                format!("because  {need}"),
                format!("rule     {}", approval_rule(need)),
                format!("next     {}", need.remedy()),
            ],
            train::State::Building { candidate, passed } => {
                let required =
                    repo.map(|repo| repo.policy.merge.required.clone()).unwrap_or_default();
                let left: Vec<String> = required
                    .iter()
                    .filter(|gate| !passed.contains(*gate))
                    .map(ToString::to_string)
                    .collect();
                let mut lines = vec![
                    format!(
                        "needs    {} of {} gates: {}",
                        left.len(),
                        required.len(),
                        left.join(" ")
                    ),
                    format!("tests    {} on {}", candidate.commit, candidate.base),
                    "rule     it lands when every required gate passed on this very tree"
                        .to_owned(),
                ];
                lines.extend(barrier(candidate));
                lines
            }
            train::State::Ready { candidate } => {
                let mut lines = vec![
                    format!("lands    {} next: every required gate passed on it", candidate.commit),
                    "rule     one landing at a time, in the order of the train".to_owned(),
                ];
                lines.extend(barrier(candidate));
                lines
            }
            train::State::Landing { candidate, fence, .. } => vec![
                format!("lands    {} under fence {fence}", candidate.commit),
                "rule     a decided landing is completed or proven not to have happened".to_owned(),
            ],
            train::State::Landed { commit, at, .. } => {
                vec![
                    format!("landed   as {commit}, {}", self.ago(*at)),
                    "rule     every required gate had passed on that very tree".to_owned(),
                ]
            }
            train::State::Ejected { ejection, at } => vec![
                format!("because  {}", first_line(&ejection.to_string())),
                format!("when     {}", self.ago(*at)),
                "rule     what cannot land leaves the train, so that others go on".to_owned(),
                format!("next     {}", ejection.remedy()),
            ],
        }
    }
}

/// What a person's approval is for, and that nobody waits for it.
fn approval_rule(need: &Need) -> &'static str {
    match need {
        Need::Fork => {
            "nothing of a fork's change runs before a person approved its head; others go ahead"
        }
        Need::Protected { .. } => {
            "a change of protected paths takes a person's approval of its head; others go ahead"
        }
        Need::Unclaimed { .. } => {
            "where claims are asked for, a pull request takes a person's approval of its head"
        }
        Need::Forge { .. } => {
            "what the branch's rules ask for at the forge has to be there; others go ahead"
        }
    }
}

/// That nothing is tested or lands beside a change of protected paths.
fn barrier(candidate: &Candidate) -> Option<String> {
    let paths = &candidate.protected;
    (!paths.is_empty())
        .then(|| format!("barrier  nothing is tested beside it: it changes {}", paths.join(" ")))
}
