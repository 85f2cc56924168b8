//! Commands of a fleet at work, made up from the board as it is: mostly sensible,
//! often stale, sometimes wrong.

mod access;
mod cars;
mod claims;
mod handovers;
mod holds;
mod messages;
mod pulls;
mod signs;
mod tasks;

use std::collections::{BTreeSet, VecDeque};

use molt_domain::access::Peer;
use molt_domain::board::{Board, Caller, Command, Now, Presence, Refusal, Reply, Request};
use molt_domain::host::Means;
use molt_domain::id::{BoardTime, ClaimId, SessionId};
use molt_domain::session::{self, Credentials, Root};

use super::policy::{name, policy, repo};
use super::{Act, Deed, Random};

const AGENTS: usize = 7;
const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// How often each kind is tried, beside the others.
const WEIGHTS: [(&str, usize); 61] = [
    ("join", 3),
    ("resume", 4),
    ("leave", 2),
    ("root-dead", 1),
    ("claim", 30),
    ("release", 12),
    ("extend", 5),
    ("narrow", 5),
    ("handoff", 8),
    ("withdraw", 2),
    ("accept", 8),
    ("unqueue", 4),
    ("announce", 10),
    ("send", 6),
    ("read-inbox", 8),
    ("report", 8),
    ("revoke-claim", 1),
    ("revoke-session", 1),
    ("add-task", 5),
    ("next", 8),
    ("end-task", 6),
    ("reopen-task", 2),
    ("plan-scopes", 3),
    ("acquire-lock", 8),
    ("acquire-slot", 8),
    ("ask-build", 8),
    ("end-build", 5),
    ("release-hold", 12),
    ("see-host", 2),
    ("end-job", 24),
    ("submit", 8),
    ("dequeue", 1),
    ("approve", 6),
    ("override", 8),
    ("retry", 3),
    ("read-base", 2),
    ("set-candidate", 24),
    ("conflict", 2),
    ("unmergeable", 1),
    ("set-base-inputs", 5),
    ("intend", 12),
    ("confirm-landing", 3),
    ("withdraw-intent", 2),
    ("decline-landing", 2),
    ("leave-head", 1),
    ("raise-epoch", 1),
    ("raise-format", 1),
    ("issue-token", 3),
    ("revoke-token", 2),
    ("tick", 16),
    ("see-pull", 6),
    ("keep-head", 1),
    ("hear-comment", 10),
    ("open-pull", 8),
    ("hinder-car", 2),
    ("enter-pull", 8),
    ("leave-pull", 2),
    ("tell-pull", 2),
    ("forget-pull", 2),
    ("open-desk", 2),
    ("cool-forge", 2),
];

#[derive(Debug, Default)]
struct Agent {
    shown: Option<Credentials>,
    old: Vec<Credentials>,
    number: u64,
    last: Option<Request>,
    silent: bool,
}

/// Makes up the steps of a history.
#[derive(Debug)]
pub struct Generator {
    random: Random,
    now: u64,
    beaten: u64,
    made: u64,
    policy: usize,
    agents: Vec<Agent>,
    dead_hosts: BTreeSet<usize>,
    asker: Option<usize>,
    ahead: VecDeque<Deed>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let agents = (0..AGENTS).map(|_| Agent::default()).collect();
        let mut ahead = VecDeque::new();
        let first = Command::ReadBase {
            repo: repo(),
            branch: "main".to_owned(),
            commit: commit(0),
            tree: commit(1),
            policy: Ok(policy(0)),
        };
        ahead.push_back(Deed::Ask(Box::new(Request::own(first))));
        Self {
            random: Random::new(seed),
            now: 1000,
            beaten: 0,
            made: 2,
            policy: 0,
            agents,
            dead_hosts: BTreeSet::new(),
            asker: None,
            ahead,
        }
    }

    /// The next step.
    pub fn next(&mut self, board: &Board) -> Act {
        self.asker = None;
        if self.ahead.is_empty() {
            self.pass_time(board);
        }
        let deed = match self.ahead.pop_front() {
            Some(deed) => deed,
            None => Deed::Ask(Box::new(self.request(board))),
        };
        Act { now: Now { board: BoardTime(self.now), wall: self.now }, deed }
    }

    /// Takes what a command was answered.
    pub fn learn(&mut self, act: &Act, answer: &Result<Reply, Box<Refusal>>) {
        let (Deed::Ask(request), Some(asker)) = (&act.deed, self.asker) else { return };
        let agent = &mut self.agents[asker];
        match (&request.command, answer) {
            (Command::Join { secret, .. }, Ok(Reply::Session { id, epoch, .. })) => {
                agent.old.extend(agent.shown.take());
                agent.shown =
                    Some(Credentials { session: *id, secret: secret.clone(), epoch: *epoch });
                agent.silent = false;
            }
            (Command::Resume { .. }, Ok(Reply::Session { id, epoch, .. })) => {
                if let Some(shown) = agent.shown.as_mut().filter(|it| it.session == *id) {
                    agent.old.push(shown.clone());
                    shown.epoch = (*epoch).max(shown.epoch);
                    agent.silent = false;
                }
            }
            (Command::Leave { park: None }, Ok(_)) => agent.old.extend(agent.shown.take()),
            _ => {}
        }
        let excess = agent.old.len().saturating_sub(4);
        agent.old.drain(..excess);
    }

    fn pass_time(&mut self, board: &Board) {
        self.now += match self.random.below(1000) {
            0..2 => 60_000 + self.random.next() % 600_000,
            // So long nobody says anything; whoever is not silent is renewed at the end of it.
            2 => 1_800_000 + self.random.next() % 900_000,
            3..12 => 5_000 + self.random.next() % 60_000,
            _ => self.random.next() % 900,
        };
        for agent in &mut self.agents {
            let chance = if agent.silent { 12 } else { 1 };
            if self.random.below(1000) < chance {
                agent.silent = !agent.silent;
            }
        }
        if self.random.below(300) == 0 {
            let host = self.random.below(HOSTS.len());
            if !self.dead_hosts.remove(&host) && host != 0 {
                self.dead_hosts.insert(host);
            }
        }
        if self.now - self.beaten > 5_000 {
            self.beaten = self.now;
            self.beats(board);
        }
        if self.random.below(400) == 0 {
            self.ahead.push_back(Deed::Takeover);
        }
        if self.random.percent(4) {
            let waiting: Vec<&ClaimId> = board.tables().claims.keys().collect();
            if let Some(id) = self.random.pick(&waiting) {
                let here = if self.random.percent(60) { Presence::Here } else { Presence::Gone };
                self.ahead.push_back(Deed::Attend(**id, here));
            }
        }
    }

    fn beats(&mut self, board: &Board) {
        let loud = self.agents.iter().filter(|agent| !agent.silent);
        let shown = loud.filter_map(|agent| agent.shown.as_ref());
        self.ahead.extend(shown.map(|shown| Deed::Beat(shown.session)));
        let hosts = HOSTS.iter().enumerate().filter(|(at, _)| !self.dead_hosts.contains(at));
        self.ahead.extend(hosts.map(|(_, host)| Deed::BeatHost(name(host))));
        self.tell(board);
        if board.tables().sessions.len() > 5 {
            self.ahead.push_back(Deed::Tidy);
        }
    }

    fn request(&mut self, board: &Board) -> Request {
        loop {
            let total: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
            let mut at = self.random.below(total);
            let kind = WEIGHTS.iter().find(|(_, weight)| {
                let here = at < *weight;
                at = at.saturating_sub(*weight);
                here
            });
            let Some((kind, _)) = kind else { continue };
            if let Some(request) = self.of_kind(kind, board) {
                return self.proven(request, board);
            }
        }
    }

    fn of_kind(&mut self, kind: &str, board: &Board) -> Option<Request> {
        match kind {
            "join" | "resume" | "leave" | "root-dead" | "revoke-session" | "see-host" => {
                self.life(kind, board)
            }
            "handoff" | "withdraw" | "accept" => self.of_handovers(kind, board),
            "claim" | "release" | "extend" | "narrow" | "unqueue" | "announce" | "revoke-claim" => {
                self.of_claims(kind, board)
            }
            "send" | "read-inbox" | "report" => self.of_messages(kind, board),
            "add-task" | "next" | "end-task" => self.of_tasks(kind, board),
            "reopen-task" => self.reopen(board),
            "plan-scopes" => {
                let agents = [0, 1, 2, 2, 3, 3, 4, 4, 300][self.random.below(9)];
                let repo = if self.random.percent(5) { name("elsewhere") } else { repo() };
                Some(self.operator(Command::PlanScopes { repo, agents }))
            }
            "acquire-lock" | "acquire-slot" | "ask-build" | "end-build" | "release-hold" => {
                self.of_holds(kind, board)
            }
            "end-job" => self.end_job(board),
            "raise-epoch" => {
                Some(self.operator(Command::RaiseEpoch { reason: "the disk died".to_owned() }))
            }
            "raise-format" => {
                let reason = self.reason();
                Some(self.operator(Command::RaiseFormat { reason }))
            }
            "issue-token" | "revoke-token" => self.of_tokens(kind, board),
            "submit" | "dequeue" | "retry" => self.of_proposers(kind, board),
            "approve" => self.approve(board),
            "override" => self.answer_for(board),
            "see-pull" | "keep-head" | "hear-comment" | "open-pull" | "hinder-car"
            | "enter-pull" | "leave-pull" | "tell-pull" | "forget-pull" | "open-desk"
            | "cool-forge" => self.of_pulls(kind, board),
            _ => self.of_reconcilers(kind, board),
        }
    }

    // Who asks.

    fn agent(&mut self) -> Option<usize> {
        let at = self.random.below(AGENTS);
        self.agents[at].shown.is_some().then_some(at)
    }

    /// A request of an agent: under its own name and number, or stale, or repeated, or forged.
    fn by_agent(&mut self, at: usize, command: Command) -> Request {
        self.asker = Some(at);
        let chance = self.random.below(100);
        let agent = &mut self.agents[at];
        if chance < 3
            && let Some(last) = agent.last.clone()
        {
            return last;
        }
        let mut shown = agent.shown.clone().expect("only agents that joined are asked for");
        match chance {
            3..9 if !agent.old.is_empty() => {
                let old = self.random.below(agent.old.len());
                shown = agent.old[old].clone();
            }
            9..11 => shown.secret = "forged".to_owned(),
            11..13 => shown.epoch += 1,
            _ => {}
        }
        let reused = chance == 13 && agent.number > 0;
        agent.number += u64::from(!reused);
        let request = Request {
            peer: Peer::Local,
            caller: Caller::Session(shown),
            number: Some(agent.number),
            digest: format!("{command:?}"),
            command,
        };
        if chance > 13 {
            agent.last = Some(request.clone());
        }
        request
    }

    fn own(&mut self, command: Command) -> Request {
        if self.random.percent(7) {
            let caller = Caller::Operator("ann".to_owned());
            return Request { caller, ..Request::own(command) };
        }
        Request::own(command)
    }

    fn operator(&mut self, command: Command) -> Request {
        let caller = match self.random.below(10) {
            0 => Caller::Host(name("h1")),
            1 => Caller::Nobody,
            _ => Caller::Operator("ann".to_owned()),
        };
        Request { caller, ..Request::own(command) }
    }

    fn made(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    // Sessions and hosts.

    fn life(&mut self, kind: &str, board: &Board) -> Option<Request> {
        let tables = board.tables();
        let root = Root::Process { pid: 7, start: self.random.next() % 3 };
        match kind {
            "join" => {
                let at = self.random.below(AGENTS);
                let gone = self.agents[at]
                    .shown
                    .as_ref()
                    .is_none_or(|shown| !tables.sessions.contains_key(&shown.session));
                if !gone {
                    return None;
                }
                self.asker = Some(at);
                let secret = format!("secret-{}", self.made());
                let unknown = self.random.percent(12);
                let command = Command::Join {
                    repo: if unknown { name("elsewhere") } else { repo() },
                    name: name(["codex", "claude", "pi"][at % 3]),
                    host: name(HOSTS[at % HOSTS.len()]),
                    root,
                    worktree: format!("/w/{at}"),
                    secret,
                };
                Some(Request { caller: Caller::Nobody, ..Request::own(command) })
            }
            "resume" => {
                let at = self.agent()?;
                let session = self.agents[at].shown.as_ref().map(|shown| shown.session)?;
                let state = tables.sessions.get(&session).map(|session| session.state);
                if state == Some(session::State::Live) && self.random.percent(90) {
                    return None;
                }
                Some(self.by_agent(at, Command::Resume { root }))
            }
            "leave" => {
                let at = self.agent()?;
                let park = self.random.percent(60).then(|| match self.random.below(8) {
                    0 => 90_000_000,
                    _ => 1000 + self.random.next() % 200_000,
                });
                Some(self.by_agent(at, Command::Leave { park }))
            }
            "root-dead" => {
                let sessions: Vec<SessionId> = tables.sessions.keys().copied().collect();
                let session = *self.random.pick(&sessions)?;
                let host = tables.sessions[&session].host.clone();
                let host = if self.random.percent(15) { name("h9") } else { host };
                let command = Command::RootDead { session };
                Some(Request { caller: Caller::Host(host), ..Request::own(command) })
            }
            "revoke-session" => {
                let sessions: Vec<SessionId> = tables.sessions.keys().copied().collect();
                let session = *self.random.pick(&sessions)?;
                let reason = self.reason();
                Some(self.operator(Command::RevokeSession { session, reason }))
            }
            _ => {
                let at = self.random.below(HOSTS.len());
                let jobs = 1 + self.random.below(3) as u32;
                let means = Means {
                    jobs,
                    cores: 8,
                    memory: 3 + self.random.next() % 5,
                    labels: BTreeSet::new(),
                    job_user: None,
                };
                self.dead_hosts.remove(&at);
                let caller = match self.random.percent(10) {
                    true => Caller::Nobody,
                    false => Caller::Host(name(HOSTS[at])),
                };
                Some(Request { caller, ..Request::own(Command::SeeHost { means }) })
            }
        }
    }

    fn reason(&mut self) -> String {
        if self.random.percent(10) { String::new() } else { "it is in the way".to_owned() }
    }
}

/// A commit or tree id.
fn commit(n: u64) -> String {
    format!("{n:040x}")
}
