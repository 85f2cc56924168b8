use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::access::{Identity, Repos};
use crate::board::{Change, Command, Now, Request};
use crate::gate::{Compare, Digest, Gate, Reader};
use crate::id::JobId;
use crate::job::{self, Job};
use crate::policy::{Method, Policy, Spans};
use crate::scope::{Case, ScopeTree};

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn merge(trust: Trust) -> Merge {
    let (required, protect) = (Vec::new(), Vec::new());
    Merge { method: Method::Merge, required, trust, protect }
}

fn known(role: Role) -> Peer {
    Peer::Known(Identity { name: parsed("h1"), role, repos: Repos::All, token: None })
}

/// A machine that takes one job, and says that its jobs run as `job_user`.
fn takes_jobs(job_user: Option<JobUser>) -> Means {
    Means { jobs: 1, cores: 1, memory: 1, labels: BTreeSet::new(), job_user }
}

fn user(shared: Option<&str>) -> Option<JobUser> {
    Some(JobUser { uid: 995, shared: shared.map(str::to_owned) })
}

/// A board whose repository `main` trusts so far.
fn board(trust: Trust) -> Board {
    let mut board = Board::new(Spans::default());
    let scopes = ScopeTree::new(Case::default(), Vec::new(), Vec::new()).unwrap();
    let (pools, gates, merge) = (BTreeMap::new(), BTreeMap::new(), merge(trust));
    let read = Command::ReadBase {
        repo: parsed("main"),
        branch: "main".to_owned(),
        commit: "1".repeat(40),
        tree: "2".repeat(40),
        policy: Ok(Policy { digest: "p".to_owned(), scopes, pools, gates, merge }),
    };
    act(&mut board, &Request::own(read));
    board
}

fn act(board: &mut Board, request: &Request) -> Vec<Event> {
    let decision = board.decide(request, Now { board: BoardTime(5), wall: 0 }).unwrap();
    for change in decision.changes {
        board.apply(change);
    }
    let ledger = board.ledger().clone();
    board.set_ledger(ledger.at(decision.fence));
    decision.events
}

fn see(board: &mut Board, peer: Peer, job_user: Option<JobUser>) -> (Host, Vec<Event>) {
    let command = Command::SeeHost { means: takes_jobs(job_user) };
    let caller = Caller::Host(parsed("h1"));
    let events = act(board, &Request { peer, caller, ..Request::own(command) });
    (board.tables().hosts[&parsed::<HostName>("h1")].as_ref().clone(), events)
}

/// Wants a run of a gate of `main`, which the next word of a host may get.
fn want(board: &mut Board) -> JobId {
    let gate = Gate {
        run: "true".to_owned(),
        result: Reader::Exit,
        compare: Compare::Nothing,
        timeout: Duration::from_secs(60),
        memory: None,
        pool: None,
        minimum: 1,
        env: BTreeMap::new(),
    };
    let (id, name) = (JobId::from_counter(77), parsed("unit"));
    let job = Job {
        id,
        repo: parsed("main"),
        digest: Digest::of(&name, &gate, "inputs"),
        name,
        gate,
        commit: "1".repeat(40),
        tree: "2".repeat(40),
        from: "refs/heads/main".to_owned(),
        state: job::State::Queued,
        attempt: 1,
        queued: BoardTime(5),
    };
    board.apply(Change::Job(id, Some(Arc::new(job))));
    id
}

fn attempt(board: &Board, id: JobId) -> (u32, bool) {
    let job = &board.tables().jobs[&id];
    (job.attempt, matches!(job.state, job::State::Assigned { .. }))
}

#[test]
fn a_prover_s_word_counts_when_no_agent_has_the_uid_of_its_jobs() {
    let mut board = board(Trust::Provers);
    let apart = "its jobs have no uid of their own, which `daemon --job-user` gives them";
    let agents = "it is no prover, whose results alone count";
    let shared = "session ses_1 has uid 995";
    let table = [
        (Peer::Local, None, Standing::Local, ""),
        (known(Role::Host), user(None), Standing::AgentHost, agents),
        (known(Role::Prover), None, Standing::Prover, apart),
        (known(Role::Prover), user(Some(shared)), Standing::Prover, shared),
        (known(Role::Prover), user(None), Standing::Prover, ""),
    ];
    for (peer, job_user, standing, words) in table {
        let (host, _) = see(&mut board, peer, job_user);
        assert_eq!(host.standing, standing);
        let doubt = host.doubt(&merge(Trust::Provers));
        assert_eq!(doubt.map(|doubt| doubt.to_string()).unwrap_or_default(), words);
        assert_eq!(host.counts(&merge(Trust::Provers)), words.is_empty());
        assert!(host.counts(&merge(Trust::AgentHosts)));
        let everywhere = doubted_everywhere(&board, &host.name);
        assert_eq!(everywhere.map(|doubt| doubt.to_string()).unwrap_or_default(), words);
        let why = board.why("h1", BoardTime(9)).unwrap().join("\n");
        assert!(why.contains(if words.is_empty() { "counts   for main" } else { words }), "{why}");
    }
}

#[test]
fn an_agent_that_gets_the_uid_of_a_run_takes_it_from_the_host() {
    let mut board = board(Trust::Provers);
    let id = want(&mut board);
    see(&mut board, known(Role::Prover), user(Some("ann has uid 995")));
    assert_eq!(attempt(&board, id), (1, false), "nobody counts");
    let why = board.why(&id.to_string(), BoardTime(9)).unwrap().join("\n");
    assert!(why.contains("1 of them do not count, such as h1: ann has uid 995"), "{why}");
    see(&mut board, known(Role::Prover), user(None));
    assert_eq!(attempt(&board, id), (1, true));
    let (_, events) = see(&mut board, known(Role::Prover), user(Some("bob has uid 995")));
    let returned = events.iter().find_map(|event| match event {
        Event::JobReturned { reason, .. } => Some(reason.as_str()),
        _ => None,
    });
    assert_eq!(returned, Some("what h1 finds does not count by now: bob has uid 995"));
    assert_eq!(attempt(&board, id), (2, false), "what it would find is of no use");
}

#[test]
fn where_every_host_is_trusted_an_agent_s_uid_takes_nothing_away() {
    let mut board = board(Trust::AgentHosts);
    let id = want(&mut board);
    see(&mut board, known(Role::Prover), user(None));
    let (_, events) = see(&mut board, known(Role::Prover), user(Some("ann has uid 995")));
    assert!(!events.iter().any(|event| matches!(event, Event::JobReturned { .. })), "{events:?}");
    assert_eq!(attempt(&board, id), (1, true));
    assert_eq!(doubted_everywhere(&board, &parsed("h1")), None);
}
