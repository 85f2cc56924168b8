use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::board::{Board, Change, Event, Now, Reply};
use crate::claim::{Mode, Otherwise, Outcome, Wanted};
use crate::gate::{Class, Finding};
use crate::hold::End;
use crate::host::Means;
use crate::id::{BoardTime, SessionId};
use crate::policy::{Merge, Method, Policy, Spans, Trust};
use crate::scope::{Case, ScopeTree};
use crate::session::{Credentials, Root, Session};

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn now(at: u64) -> Now {
    Now { board: BoardTime(at), wall: 0 }
}

fn certificate(role: Role, name: &str) -> Identity {
    Identity { name: parsed(name), role, repos: Repos::All, token: None }
}

/// A session `ses_0001` of the repository `main` on host `h1`.
fn session(board: &mut Board) -> Credentials {
    let id = SessionId::from_counter(1);
    let session = Session {
        id,
        repo: parsed("main"),
        name: parsed("codex"),
        host: parsed("h1"),
        root: Root::Use,
        worktree: "/w".to_owned(),
        secret: "secret".to_owned(),
        epoch: 1,
        state: crate::session::State::Live,
        joined: BoardTime(0),
        begun: BoardTime(0),
    };
    board.apply(Change::Session(id, Some(session.into())));
    Credentials { session: id, secret: "secret".to_owned(), epoch: 1 }
}

fn finding() -> Finding {
    Finding {
        class: Class::Passed,
        green: 1,
        red: BTreeSet::new(),
        red_count: 0,
        places: Vec::new(),
        exit: Some(0),
        note: String::new(),
        log: String::new(),
        argv: Vec::new(),
        commit: String::new(),
        tree: String::new(),
        duration: std::time::Duration::ZERO,
        peak: 0,
    }
}

fn wanted() -> Wanted {
    Wanted {
        scopes: Vec::new(),
        globs: Vec::new(),
        why: String::new(),
        task: None,
        mode: Mode::Exclusive,
        risk: None,
        tests: Vec::new(),
        max: None,
        otherwise: Otherwise::Refuse,
    }
}

fn details(token: &str) -> Details {
    Details {
        hash: TokenHash::of(token),
        name: parsed("ci"),
        role: Role::Bot,
        repos: BTreeSet::new(),
        life: None,
    }
}

/// Every command that a call can bring, as its usual caller says it.
fn verbs(shown: &Credentials) -> Vec<(Caller, Command)> {
    let (session, operator) = (Caller::Session(shown.clone()), Caller::Operator("x".to_owned()));
    let host = Caller::Host(parsed("h1"));
    let reason = || "because".to_owned();
    let what = || "make".to_owned();
    let join = Command::Join {
        repo: parsed("main"),
        name: parsed("codex"),
        host: parsed("h1"),
        root: Root::Use,
        worktree: "/w".to_owned(),
        secret: "s".to_owned(),
    };
    let task = crate::task::New {
        title: what(),
        body: String::new(),
        priority: 0,
        needs: Vec::new(),
        scopes: Vec::new(),
        acceptance: String::new(),
    };
    let means = Means { jobs: 0, cores: 1, memory: 1, labels: BTreeSet::new(), job_user: None };
    let of_sessions = [
        Command::Resume { root: Root::Use },
        Command::Leave { park: None },
        Command::Claim(wanted()),
        Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome: Outcome::Done },
        Command::Unqueue { claim: parsed("clm_0001") },
        Command::Announce { files: vec![what()], tests: Vec::new(), risk: None, note: reason() },
        Command::AddTask(task),
        Command::Next,
        Command::EndTask { task: parsed("tsk_0001"), end: crate::task::End::Done },
        Command::AcquireLock { lock: parsed("l"), what: what(), otherwise: Otherwise::Refuse },
        Command::AcquireSlot {
            pool: parsed("p"),
            host: parsed("h1"),
            what: what(),
            otherwise: Otherwise::Refuse,
        },
        Command::AskBuild {
            build: String::from("app,00,dev,here").try_into().unwrap(),
            missing: None,
            what: what(),
        },
        Command::EndBuild { hold: parsed("hld_0001"), class: Class::Passed, artifacts: None },
        Command::ReleaseHold { hold: parsed("hld_0001"), end: End::Gone },
        Command::Submit {
            head: "0".repeat(40),
            title: what(),
            body: String::new(),
            origin: crate::train::Origin::Own,
        },
        Command::Dequeue { car: parsed("car_0001") },
        Command::Retry { car: parsed("car_0001") },
    ];
    let of_hosts = [
        Command::RootDead { session: shown.session },
        Command::SeeHost { means },
        Command::EndJob { job: parsed("job_0001"), attempt: 1, finding: finding() },
        Command::ReleaseHold { hold: parsed("hld_0001"), end: End::Gone },
        Command::EndBuild { hold: parsed("hld_0001"), class: Class::Passed, artifacts: None },
    ];
    let of_operators = [
        Command::Dequeue { car: parsed("car_0001") },
        Command::Retry { car: parsed("car_0001") },
        Command::RevokeClaim { claim: parsed("clm_0001"), reason: reason() },
        Command::RevokeSession { session: shown.session, reason: reason() },
        Command::Approve { car: parsed("car_0001"), head: what(), reason: reason() },
        Command::Override {
            car: parsed("car_0001"),
            head: what(),
            gate: parsed("lint"),
            reason: reason(),
        },
        Command::RaiseEpoch { reason: reason() },
        Command::RaiseFormat { reason: reason() },
        Command::PlanScopes { repo: parsed("main"), agents: 2 },
        Command::ReopenTask { task: parsed("tsk_0001"), reason: reason() },
        Command::IssueToken(details("t")),
        Command::RevokeToken { token: parsed("tok_0001"), reason: reason() },
    ];
    let mut verbs = vec![(Caller::Nobody, join)];
    verbs.extend(of_sessions.map(|command| (session.clone(), command)));
    verbs.extend(of_hosts.map(|command| (host.clone(), command)));
    verbs.extend(of_operators.map(|command| (operator.clone(), command)));
    verbs
}

/// One line a verb and caller: a mark for each role, in the order of [`Role::ALL`].
const TABLE: &str = "\
join by nobody            a..o.b
resume by session         ahpo.b
leave by session          a..o.b
claim by session          a..o..
release by session        a..o..
unqueue by session        a..o..
announce by session       a..o..
add-task by session       a..o..
next by session           a..o..
end-task by session       a..o..
acquire-lock by session   ahpo..
acquire-slot by session   ahpo..
ask-build by session      ahpo..
end-build by session      ahpo..
release-hold by session   ahpo..
submit by session         a..o.b
dequeue by session        a..o.b
retry by session          a..o.b
root-dead by host         .hp...
see-host by host          .hp...
end-job by host           .hp...
release-hold by host      .hp...
end-build by host         .hp...
dequeue by operator       ...o..
retry by operator         ...o..
revoke-claim by operator  ...o..
revoke-session by operator ...o..
approve by operator       ...o..
override by operator      ...o..
raise-epoch by operator   ...o..
raise-format by operator  ...o..
plan-scopes by operator   ...o..
reopen-task by operator   ...o..
issue-token by operator   ...o..
revoke-token by operator  ...o..
";

#[test]
fn each_role_may_say_what_the_table_says_and_no_other_verb() {
    let mut board = Board::new(Spans::default());
    let shown = session(&mut board);
    let mut table = String::new();
    for (caller, command) in verbs(&shown) {
        let who = match caller {
            Caller::Session(_) => "session",
            Caller::Host(_) => "host",
            Caller::Operator(_) => "operator",
            Caller::Coordinator | Caller::Nobody => "nobody",
        };
        let verb = format!("{} by {who}", command.word());
        let mut marks = String::new();
        for role in Role::ALL {
            // A host is called as the sessions and callers of this table say.
            let peer = Peer::Known(certificate(role, "h1"));
            let (caller, command) = (caller.clone(), command.clone());
            let request = Request { peer, caller, ..Request::own(command) };
            match check(&board, &request, now(1)) {
                Ok(()) => marks.push_str(&role.word()[..1]),
                Err(refusal) => {
                    let text = refusal.to_string();
                    let word = request.command.word();
                    let start = format!("`{word}` as {role} h1 needs ");
                    assert!(text.starts_with(&start), "{text}");
                    assert!(text[start.len()..].contains("role"), "{text}");
                    assert_eq!(refusal.kind(), crate::board::Kind::Forbidden);
                    // A refusal of the rules themselves, with nothing changed.
                    assert_eq!(board.decide(&request, now(1)), Err(refusal));
                    marks.push('.');
                }
            }
        }
        table.push_str(&format!("{verb:<25} {marks}\n"));
    }
    assert_eq!(table, TABLE);
}

#[test]
fn reads_and_the_audit_have_their_roles_too() {
    let marks = |right: Right| {
        let has = |role: Role| if role.has(right) { &role.word()[..1] } else { "." };
        Role::ALL.map(has).concat()
    };
    assert_eq!(marks(Right::Read), "ahpovb");
    assert_eq!(marks(Right::Audit), "...ov.");
    assert_eq!(marks(Right::FindOut), "......");
    for role in Role::ALL {
        assert_eq!(role.to_string().parse(), Ok(role));
    }
    let unknown = "root".parse::<Role>().unwrap_err();
    assert!(unknown.to_string().starts_with("`root` is no role: use agent,"), "{unknown}");
}

#[test]
fn a_host_speaks_for_itself_and_its_sessions_alone() {
    let mut board = Board::new(Spans::default());
    let shown = session(&mut board);
    let ask = |name: &str, caller: Caller, command: Command| {
        let peer = Peer::Known(certificate(Role::Host, name));
        let request = Request { peer, caller, ..Request::own(command) };
        check(&board, &request, now(1)).map_err(|refusal| refusal.to_string())
    };
    let dead = || Command::RootDead { session: shown.session };
    let resume = || Command::Resume { root: Root::Use };
    let session = || Caller::Session(shown.clone());
    assert_eq!(ask("h1", Caller::Host(parsed("h1")), dead()), Ok(()));
    assert_eq!(ask("h1", session(), resume()), Ok(()));
    assert_eq!(
        ask("h2", Caller::Host(parsed("h1")), dead()),
        Err("`root-dead` as host h2 needs the certificate or token of host h1".to_owned())
    );
    assert_eq!(
        ask("h2", session(), resume()),
        Err("`resume` as host h2 needs the certificate or token of host h1".to_owned())
    );
}

/// A board with the repository `main`, moved by the rules.
struct World {
    board: Board,
}

impl World {
    fn new() -> Self {
        let mut world = Self { board: Board::new(Spans::default()) };
        for name in ["main", "other"] {
            let scopes = ScopeTree::new(Case::default(), Vec::new(), Vec::new()).unwrap();
            let (method, required) = (Method::Merge, Vec::new());
            let (trust, protect) = (Trust::Provers, Vec::new());
            let merge = Merge { method, required, trust, protect };
            let (pools, gates) = (BTreeMap::new(), BTreeMap::new());
            let read = Command::ReadBase {
                repo: parsed(name),
                branch: "main".to_owned(),
                commit: "1".repeat(40),
                tree: "2".repeat(40),
                policy: Ok(Policy { digest: "p".to_owned(), scopes, pools, gates, merge }),
            };
            world.act(&Request::own(read), 1).unwrap();
        }
        world
    }

    fn act(&mut self, request: &Request, at: u64) -> Result<(Reply, Vec<Event>), Box<Refusal>> {
        let decision = self.board.decide(request, now(at))?;
        for change in decision.changes {
            self.board.apply(change);
        }
        let ledger = self.board.ledger().clone();
        self.board.set_ledger(ledger.at(decision.fence));
        Ok((decision.reply, decision.events))
    }

    fn operator(&mut self, command: Command, at: u64) -> Result<(Reply, Vec<Event>), Box<Refusal>> {
        let caller = Caller::Operator("whoever".to_owned());
        let peer = Peer::Known(certificate(Role::Operator, "ann"));
        self.act(&Request { peer, caller, ..Request::own(command) }, at)
    }

    fn issue(&mut self, new: Details, at: u64) -> Result<TokenId, Box<Refusal>> {
        let (reply, _) = self.operator(Command::IssueToken(new), at)?;
        let Reply::TokenIssued { token } = reply else { panic!("{reply:?}") };
        Ok(token)
    }

    fn who(&self, token: &str, at: u64) -> Result<Identity, String> {
        authenticate(&self.board, TokenHash::of(token), BoardTime(at))
            .map_err(|refusal| refusal.to_string())
    }
}

#[test]
fn a_token_is_good_until_its_time_or_an_operator_ends_it() {
    let mut world = World::new();
    let unknown = world.who("molt_a", 5).unwrap_err();
    assert_eq!(unknown, "the token is not known here: show a token that an operator issued");
    let id = world.issue(Details { life: Some(10_000), ..details("molt_a") }, 5).unwrap();
    let again = world.issue(Details { life: Some(10_000), ..details("molt_a") }, 6).unwrap();
    assert_eq!(id, again, "asked twice, issued once");
    let taken = world.issue(Details { role: Role::Operator, ..details("molt_a") }, 6).unwrap_err();
    assert!(taken.to_string().contains("make another token"), "{taken}");
    let who = world.who("molt_a", 6).unwrap();
    assert_eq!((who.name.as_str(), who.role, who.token), ("ci", Role::Bot, Some(id)));
    let expired = world.who("molt_a", 10_005).unwrap_err();
    assert_eq!(expired, format!("token {id} of ci expired 0 s ago: show a token that is good"));

    let revoke = |reason: &str| Command::RevokeToken { token: id, reason: reason.to_owned() };
    let (_, events) = world.operator(revoke("it leaked"), 7).unwrap();
    assert!(matches!(&events[..], [Event::TokenRevoked { token, .. }] if *token == id));
    let revoked = world.who("molt_a", 8).unwrap_err();
    assert_eq!(
        revoked,
        format!(
            "token {id} of ci was revoked by operator ann: it leaked: show a token that is good"
        )
    );
    let (_, events) = world.operator(revoke("again"), 9).unwrap();
    assert_eq!(events, [], "it was revoked before");
    // A request that was on its way when it ended is refused as well.
    let peer = Peer::Known(who);
    let next = Request { peer, caller: Caller::Nobody, ..Request::own(Command::Next) };
    assert_eq!(world.act(&next, 9).unwrap_err().reason(), "UNAUTHENTICATED");
    let why = world.board.why(&id.to_string(), BoardTime(9)).unwrap();
    assert!(why[0].contains("was revoked by operator ann"), "{why:?}");
    assert!(why.iter().any(|line| line.starts_with("rule     role bot: join resume")), "{why:?}");
    let record = serde_json::to_string(world.board.tables().tokens[&id].as_ref()).unwrap();
    assert!(!record.contains("molt_a"), "the store has the digest alone: {record}");
}

#[test]
fn a_token_says_what_is_wrong_with_it() {
    let mut world = World::new();
    let mut wrong = |new: Details| world.issue(new, 5).unwrap_err().to_string();
    let only = |repo: &str| BTreeSet::from([parsed(repo)]);
    assert_eq!(
        wrong(Details { life: Some(0), ..details("t") }),
        "expires: 0 s: a token lives longer than 0 s and at most 10 years"
    );
    assert_eq!(
        wrong(Details { repos: only("nowhere"), ..details("t") }),
        "repository `nowhere` is not coordinated here"
    );
    assert_eq!(
        wrong(Details { role: Role::Prover, repos: only("main"), ..details("t") }),
        "repo: a prover serves every repository: leave it out"
    );
    let gone = Command::RevokeToken { token: parsed("tok_0099"), reason: "x".to_owned() };
    assert_eq!(world.operator(gone, 5).unwrap_err().reason(), "NOT_FOUND");
    assert_eq!(world.board.tables().tokens.len(), 0, "a refused call changes nothing");
}

#[test]
fn a_limited_token_acts_in_its_repositories_alone() {
    let mut world = World::new();
    let repos = BTreeSet::from([parsed("other")]);
    let id = world.issue(Details { role: Role::Operator, repos, ..details("t") }, 5).unwrap();
    let identity = world.who("t", 6).unwrap();
    let shown = session(&mut world.board);
    let mut ask = |caller: Caller, command: Command| {
        let peer = Peer::Known(identity.clone());
        let refused = world.act(&Request { peer, caller, ..Request::own(command) }, 6).unwrap_err();
        refused.to_string()
    };
    let operator = || Caller::Operator("x".to_owned());
    let elsewhere = "as operator ci needs a token for the repository main";
    let revoke = Command::RevokeSession { session: shown.session, reason: "x".to_owned() };
    assert_eq!(ask(operator(), revoke), format!("`revoke-session` {elsewhere}"));
    assert_eq!(ask(Caller::Session(shown), Command::Next), format!("`next` {elsewhere}"));
    assert_eq!(
        ask(operator(), Command::RevokeToken { token: id, reason: "x".to_owned() }),
        "`revoke-token` as operator ci needs a token that is not limited to repositories"
    );
    assert!(identity.may_in(Some(&parsed("other")), "next").is_ok());
}

#[test]
fn tokens_are_bounded_and_the_oldest_that_ended_go_first() {
    let mut world = World::new();
    let ids: Vec<TokenId> =
        (0..LIVE_TOKENS).map(|n| world.issue(details(&n.to_string()), 5).unwrap()).collect();
    let full = world.issue(details("one more"), 5).unwrap_err().to_string();
    assert_eq!(full, "token: 500 tokens are good, the limit is 500: revoke some");
    for (n, id) in ids.iter().take(ENDED_TOKENS + 2).enumerate() {
        let revoke = Command::RevokeToken { token: *id, reason: "x".to_owned() };
        world.operator(revoke, 10 + n as u64).unwrap();
    }
    let tokens = &world.board.tables().tokens;
    assert_eq!(tokens.len(), LIVE_TOKENS - 2);
    assert!(!tokens.contains_key(&ids[1]) && tokens.contains_key(&ids[2]));
    assert_eq!(world.who("0", 999).unwrap_err().lines().count(), 1);
}

#[test]
fn the_audit_names_who_was_proven() {
    let mut board = Board::new(Spans::default());
    let shown = session(&mut board);
    let actor = |peer: Peer, caller: Caller, command: Command| {
        Request { peer, caller, ..Request::own(command) }.actor(&board).to_string()
    };
    let known = |role, name| Peer::Known(certificate(role, name));
    let operator = Caller::Operator("root".to_owned());
    let own = Caller::Session(shown);
    assert_eq!(actor(Peer::Local, own.clone(), Command::Next), "codex");
    assert_eq!(actor(known(Role::Agent, "ann"), own, Command::Next), "codex (ann)");
    assert_eq!(
        actor(known(Role::Operator, "ann"), operator.clone(), Command::Next),
        "operator ann"
    );
    assert_eq!(actor(Peer::Local, operator, Command::Next), "operator root");
    let (h1, h2) = (Caller::Host(parsed("h1")), Caller::Host(parsed("h2")));
    assert_eq!(actor(known(Role::Host, "h1"), h1, Command::Next), "host h1");
    assert_eq!(actor(known(Role::Agent, "ann"), h2, Command::Next), "agent ann");
    let join = verbs(&Credentials {
        session: SessionId::from_counter(1),
        secret: String::new(),
        epoch: 1,
    })
    .swap_remove(0);
    assert_eq!(actor(Peer::Local, join.0.clone(), join.1.clone()), "codex");
    assert_eq!(actor(known(Role::Bot, "ci"), join.0, join.1), "bot ci");
}
