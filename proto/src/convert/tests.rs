use molt_domain::access::{Details, Role};
use molt_domain::board::{Caller, Command, Reply, Request};
use molt_domain::claim::{Accepted, Mode, Named, Otherwise, Outcome, Wanted};
use molt_domain::gate::Class;
use molt_domain::hold::End;
use molt_domain::host::JobUser;
use molt_domain::id::{BoardTime, ClaimId, HoldId};
use molt_domain::message::Addressee;
use molt_domain::report::{Micro, Word};
use molt_domain::scope::Risk;
use molt_domain::session::Root;
use molt_domain::task;
use molt_domain::train::Origin;

use super::{Beat, Place, caller, reply};
use crate::fixture::{SECRET, World, parsed};
use crate::v1;
use crate::v1::command::Verb;
use crate::v1::reply::Answer;

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn command(verb: Verb) -> v1::Command {
    v1::Command { caller: None, number: 0, verb: Some(verb) }
}

fn join() -> v1::Join {
    v1::Join {
        repo: "molt".to_owned(),
        name: "codex".to_owned(),
        host: "build1".to_owned(),
        root: Some(v1::Root { pid: 7, start: 9 }),
        worktree: "/work".to_owned(),
        secret: SECRET.to_owned(),
    }
}

fn submit(fork: &str) -> v1::Submit {
    let text = str::to_owned;
    v1::Submit { head: text("h"), title: text("t"), body: text("b"), fork: text(fork) }
}

fn claim() -> v1::Claim {
    v1::Claim {
        scopes: words(&["runtime", "docs"]),
        why: "faster".to_owned(),
        task: "tsk_0007".to_owned(),
        risk: "high".to_owned(),
        tests: words(&["t"]),
        max_ms: 5,
        wait: true,
        shared: false,
        globs: words(&["src/*.rs"]),
    }
}

fn key() -> v1::BuildKey {
    v1::BuildKey {
        name: "std".to_owned(),
        fingerprint: "abc".to_owned(),
        profile: "dev".to_owned(),
        place: "build1".to_owned(),
    }
}

fn finding() -> v1::Finding {
    v1::Finding {
        class: "failed".to_owned(),
        green: 3,
        red: words(&["b", "a"]),
        red_count: 2,
        exit: Some(-1),
        duration_ms: 1500,
        ..v1::Finding::default()
    }
}

/// A command of each verb, as it arrives and as the board is asked.
fn good() -> Vec<(Verb, Command)> {
    let task = parsed("tsk_0007");
    let text = str::to_owned;
    vec![
        (
            Verb::Join(join()),
            Command::Join {
                repo: parsed("molt"),
                name: parsed("codex"),
                host: parsed("build1"),
                root: Root::Process { pid: 7, start: 9 },
                worktree: text("/work"),
                secret: text(SECRET),
            },
        ),
        (
            Verb::Resume(v1::Resume { root: Some(v1::Root { pid: 0, start: 9 }) }),
            Command::Resume { root: Root::Use },
        ),
        (Verb::Leave(v1::Leave { park_ms: 0 }), Command::Leave { park: None }),
        (Verb::Leave(v1::Leave { park_ms: 9 }), Command::Leave { park: Some(9) }),
        (
            Verb::RootDead(v1::RootDead { session: text("ses_0003") }),
            Command::RootDead { session: parsed("ses_0003") },
        ),
        (
            Verb::Claim(claim()),
            Command::Claim(Wanted {
                scopes: vec![parsed("runtime"), parsed("docs")],
                globs: vec![parsed("src/*.rs")],
                why: text("faster"),
                task: Some(task),
                mode: Mode::Exclusive,
                risk: Some(Risk::High),
                tests: words(&["t"]),
                max: Some(5),
                otherwise: Otherwise::Wait,
            }),
        ),
        (
            Verb::Extend(v1::Extend {
                scopes: words(&["docs"]),
                globs: words(&["src/*.rs"]),
                span_ms: 7,
            }),
            Command::Extend {
                scopes: vec![parsed("docs")],
                globs: vec![parsed("src/*.rs")],
                span: 7,
            },
        ),
        (
            Verb::Narrow(v1::Narrow {
                from: text("runtime"),
                to: words(&["runtime/gc"]),
                globs: words(&["runtime/*.c"]),
            }),
            Command::Narrow {
                from: parsed("runtime"),
                to: vec![parsed("runtime/gc")],
                globs: vec![parsed("runtime/*.c")],
            },
        ),
        (
            Verb::Handoff(v1::Handoff {
                what: text("docs"),
                to: text("codex#2"),
                note: text("yours"),
                glob: String::new(),
            }),
            Command::Handoff {
                claim: Named::Scope(parsed("docs")),
                to: parsed("codex#2"),
                note: text("yours"),
            },
        ),
        (
            Verb::Withdraw(v1::Withdraw { what: text("clm_0007"), glob: String::new() }),
            Command::Withdraw { claim: Named::Claim(parsed("clm_0007")) },
        ),
        (
            Verb::Withdraw(v1::Withdraw { what: String::new(), glob: text("src/*.rs") }),
            Command::Withdraw { claim: Named::Glob(parsed("src/*.rs")) },
        ),
        (Verb::Accept(v1::Accept { what: String::new() }), Command::Accept(Accepted::Only)),
        (
            Verb::Accept(v1::Accept { what: text("clm_0007") }),
            Command::Accept(Accepted::Claim(parsed("clm_0007"))),
        ),
        (
            Verb::Accept(v1::Accept { what: text("docs") }),
            Command::Accept(Accepted::Scope(parsed("docs"))),
        ),
        (
            Verb::Release(v1::Release {
                scopes: Vec::new(),
                outcome: String::new(),
                globs: Vec::new(),
            }),
            Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome: Outcome::Done },
        ),
        (
            Verb::Release(v1::Release {
                scopes: words(&["docs"]),
                outcome: text("falsified"),
                globs: Vec::new(),
            }),
            Command::Release {
                scopes: vec![parsed("docs")],
                globs: Vec::new(),
                outcome: Outcome::Falsified,
            },
        ),
        (
            Verb::Unqueue(v1::Unqueue { claim: text("clm_0002") }),
            Command::Unqueue { claim: parsed("clm_0002") },
        ),
        (
            Verb::Announce(v1::Announce {
                files: words(&["a"]),
                tests: words(&["t"]),
                risk: text("low"),
                note: text("n"),
            }),
            Command::Announce {
                files: words(&["a"]),
                tests: words(&["t"]),
                risk: Some(Risk::Low),
                note: text("n"),
            },
        ),
        (
            Verb::Send(v1::Send { to: text("scope:docs"), text: text("mind the gap") }),
            Command::Send { to: Addressee::Scope(parsed("docs")), text: text("mind the gap") },
        ),
        (
            Verb::Send(v1::Send { to: text("ses_0003"), text: text("x") }),
            Command::Send { to: Addressee::Session(parsed("ses_0003")), text: text("x") },
        ),
        (
            Verb::ReadInbox(v1::ReadInbox { after: text("msg_0009"), limit: 900 }),
            Command::ReadInbox { after: Some(parsed("msg_0009")), limit: 50 },
        ),
        (
            Verb::Report(v1::Report {
                task: text("tsk_0007"),
                status: text("running"),
                line: text("it builds"),
                output: text("logs/x"),
                next: text("test it"),
                resume: text("make"),
                full: String::new(),
            }),
            Command::Report {
                about: Some(task),
                word: Word::Micro(
                    Micro::new(["running", "it builds", "logs/x", "test it", "make"])
                        .expect("good"),
                ),
            },
        ),
        (
            Verb::ReadInbox(v1::ReadInbox { after: String::new(), limit: 3 }),
            Command::ReadInbox { after: None, limit: 3 },
        ),
        (
            Verb::Revoke(v1::Revoke { id: text("clm_0002"), reason: text("r") }),
            Command::RevokeClaim { claim: parsed("clm_0002"), reason: text("r") },
        ),
        (
            Verb::Revoke(v1::Revoke { id: text("ses_0002"), reason: text("r") }),
            Command::RevokeSession { session: parsed("ses_0002"), reason: text("r") },
        ),
        (
            Verb::AddTask(v1::AddTask {
                title: text("t"),
                body: text("b"),
                priority: -2,
                needs: words(&["tsk_0007"]),
                scopes: words(&["docs"]),
                acceptance: text("a"),
            }),
            Command::AddTask(task::New {
                title: text("t"),
                body: text("b"),
                priority: -2,
                needs: vec![task],
                scopes: vec![parsed("docs")],
                acceptance: text("a"),
            }),
        ),
        (Verb::NextTask(v1::NextTask {}), Command::Next),
        (
            Verb::EndTask(v1::EndTask {
                task: text("tsk_0007"),
                end: text("return"),
                reason: text("r"),
            }),
            Command::EndTask { task, end: task::End::Return(text("r")) },
        ),
        (
            Verb::ReopenTask(v1::ReopenTask { task: text("tsk_0007"), reason: text("r") }),
            Command::ReopenTask { task, reason: text("r") },
        ),
        (
            Verb::PlanScopes(v1::PlanScopes { repo: text("molt"), agents: 3 }),
            Command::PlanScopes { repo: parsed("molt"), agents: 3 },
        ),
        (
            Verb::AcquireLock(v1::AcquireLock {
                lock: text("publish"),
                what: text("w"),
                wait: false,
            }),
            Command::AcquireLock {
                lock: parsed("publish"),
                what: text("w"),
                otherwise: Otherwise::Refuse,
            },
        ),
        (
            Verb::AcquireSlot(v1::AcquireSlot {
                pool: text("cargo"),
                host: text("build1"),
                what: text("w"),
                wait: true,
            }),
            Command::AcquireSlot {
                pool: parsed("cargo"),
                host: parsed("build1"),
                what: text("w"),
                otherwise: Otherwise::Wait,
            },
        ),
        (
            Verb::AskBuild(v1::AskBuild {
                build: Some(key()),
                missing: text("d"),
                what: text("w"),
            }),
            Command::AskBuild {
                build: text("std,abc,dev,build1").try_into().expect("a key"),
                missing: Some(text("d")),
                what: text("w"),
            },
        ),
        (
            Verb::EndBuild(v1::EndBuild {
                hold: text("hld_0004"),
                class: text("passed"),
                artifacts: String::new(),
            }),
            Command::EndBuild { hold: parsed("hld_0004"), class: Class::Passed, artifacts: None },
        ),
        (
            Verb::ReleaseHold(v1::ReleaseHold { hold: text("hld_0004"), gone: false }),
            Command::ReleaseHold { hold: parsed("hld_0004"), end: End::Silent },
        ),
        (
            Verb::Submit(submit("")),
            Command::Submit {
                head: text("h"),
                title: text("t"),
                body: text("b"),
                origin: Origin::Own,
            },
        ),
        (
            Verb::Submit(submit("eve/molt")),
            Command::Submit {
                head: text("h"),
                title: text("t"),
                body: text("b"),
                origin: Origin::Fork(text("eve/molt")),
            },
        ),
        (
            Verb::Approve(v1::Approve {
                car: text("car_0005"),
                head: text("h"),
                reason: text("r"),
                gate: String::new(),
            }),
            Command::Approve { car: parsed("car_0005"), head: text("h"), reason: text("r") },
        ),
        (
            Verb::Approve(v1::Approve {
                car: text("car_0005"),
                head: text("h"),
                reason: text("r"),
                gate: text("lint"),
            }),
            Command::Override {
                car: parsed("car_0005"),
                head: text("h"),
                gate: parsed("lint"),
                reason: text("r"),
            },
        ),
        (
            Verb::Dequeue(v1::Dequeue { car: text("car_0005") }),
            Command::Dequeue { car: parsed("car_0005") },
        ),
        (
            Verb::Retry(v1::Retry { car: text("car_0005") }),
            Command::Retry { car: parsed("car_0005") },
        ),
        (
            Verb::IssueToken(issue()),
            Command::IssueToken(Details {
                hash: parsed(SECRET),
                name: parsed("ci"),
                role: Role::Bot,
                repos: [parsed("molt")].into(),
                life: Some(9),
            }),
        ),
        (
            Verb::RevokeToken(v1::RevokeToken { id: text("tok_0005"), reason: text("it leaked") }),
            Command::RevokeToken { token: parsed("tok_0005"), reason: text("it leaked") },
        ),
    ]
}

fn issue() -> v1::IssueToken {
    v1::IssueToken {
        hash: SECRET.to_owned(),
        name: "ci".to_owned(),
        role: "bot".to_owned(),
        repos: words(&["molt"]),
        life_ms: 9,
    }
}

#[test]
fn every_verb_becomes_its_command() {
    for (verb, wanted) in good() {
        let request = Request::try_from(command(verb.clone()));
        let request = request.unwrap_or_else(|error| panic!("{verb:?}: {error}"));
        assert_eq!(request.command, wanted);
        assert_eq!((request.caller, request.number), (Caller::Nobody, None));
    }
}

#[test]
fn a_finding_is_read_whole() {
    let end = v1::EndJob { job: "job_0006".to_owned(), attempt: 2, finding: Some(finding()) };
    let command = Command::try_from(end).expect("valid");
    let Command::EndJob { job, attempt: 2, finding } = command else {
        panic!("another command: {command:?}");
    };
    assert_eq!(job, parsed("job_0006"));
    assert_eq!((finding.class, finding.green, finding.red_count), (Class::Failed, 3, 2));
    assert_eq!(finding.red.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((finding.exit, finding.duration.as_millis()), (Some(-1), 1500));
}

/// A wrong field of each verb that has one, and what is said of it.
fn bad() -> Vec<(Verb, &'static str)> {
    let text = str::to_owned;
    let end_job = |finding| v1::EndJob { job: text("job_0006"), attempt: 1, finding };
    let found = |change: fn(&mut v1::Finding)| {
        let mut finding = finding();
        change(&mut finding);
        Verb::EndJob(end_job(Some(finding)))
    };
    let no_session =
        "`x` is no session id: expected ses_ and up to 13 of 0-9 a-z without i, l, o, u";
    let no_car = "car: `x` is no car id: expected car_ and up to 13 of 0-9 a-z without i, l, o, u";
    let no_hold =
        "hold: `x` is no hold id: expected hld_ and up to 13 of 0-9 a-z without i, l, o, u";
    let no_claim =
        "claim: `x` is no claim id: expected clm_ and up to 13 of 0-9 a-z without i, l, o, u";
    let no_task =
        "task: `x` is no task id: expected tsk_ and up to 13 of 0-9 a-z without i, l, o, u";
    let x = || text("x");
    let no_session: &'static str = Box::leak(format!("session: {no_session}").into_boxed_str());
    let placed = |item: &str, path: &str, line| {
        let mut finding = finding();
        let (item, path, says) = (item.to_owned(), path.to_owned(), String::new());
        finding.places = vec![v1::RedPlace { item, path, line, says }];
        Verb::EndJob(end_job(Some(finding)))
    };
    let no_place = "finding.places: `a` is no red item at a line of a file below the top";
    vec![
        (placed("a", "", 1), no_place),
        (placed("a", "/etc/passwd", 1), no_place),
        (placed("a", "src/../../x", 1), no_place),
        (placed("a", "src/x", 0), no_place),
        (
            placed("c", "src/x", 1),
            "finding.places: `c` is no red item at a line of a file below the top",
        ),
        (Verb::Join(v1::Join { repo: String::new(), ..join() }), "repo: repository name is empty"),
        (Verb::Join(v1::Join { name: String::new(), ..join() }), "name: agent name is empty"),
        (Verb::Join(v1::Join { host: String::new(), ..join() }), "host: host name is empty"),
        (Verb::Join(v1::Join { root: None, ..join() }), "root: missing"),
        (
            Verb::Join(v1::Join { secret: String::new(), ..join() }),
            "secret: no blake3 digest: expected 64 of 0-9 a-f",
        ),
        (
            Verb::Join(v1::Join { secret: SECRET.to_uppercase(), ..join() }),
            "secret: no blake3 digest: expected 64 of 0-9 a-f",
        ),
        (Verb::Resume(v1::Resume { root: None }), "root: missing"),
        (Verb::RootDead(v1::RootDead { session: x() }), no_session),
        (
            Verb::Claim(v1::Claim { scopes: words(&["docs", "A"]), ..claim() }),
            "scopes: scope name `A` is invalid at character 1: a component starts with a-z or 0-9, not 'A'",
        ),
        (
            Verb::Claim(v1::Claim { scopes: vec![text("docs"); 65], ..claim() }),
            "scopes: 65 items, the limit is 64",
        ),
        (Verb::Claim(v1::Claim { task: x(), ..claim() }), no_task),
        (Verb::Claim(v1::Claim { risk: x(), ..claim() }), "risk: `x` is none of low, med, high"),
        (
            Verb::Claim(v1::Claim { tests: vec!["t".repeat(2049); 2], ..claim() }),
            "tests: 4098 bytes in all, the limit is 4096",
        ),
        (
            Verb::Release(v1::Release { scopes: Vec::new(), outcome: x(), globs: Vec::new() }),
            "outcome: `x` is none of done, dropped, blocked, superseded, falsified",
        ),
        (Verb::Unqueue(v1::Unqueue { claim: x() }), no_claim),
        (
            Verb::Announce(v1::Announce { risk: x(), ..v1::Announce::default() }),
            "risk: `x` is none of low, med, high",
        ),
        (
            Verb::Revoke(v1::Revoke { id: text("car_0001"), reason: x() }),
            "id: `car_0001` is neither a claim nor a session id",
        ),
        (
            Verb::Revoke(v1::Revoke { id: text("clm_i"), reason: x() }),
            "id: `clm_i` is no claim id: expected clm_ and up to 13 of 0-9 a-z without i, l, o, u",
        ),
        (
            Verb::AddTask(v1::AddTask { needs: words(&["x"]), ..v1::AddTask::default() }),
            "needs: `x` is no task id: expected tsk_ and up to 13 of 0-9 a-z without i, l, o, u",
        ),
        (
            Verb::EndTask(v1::EndTask { task: text("tsk_0007"), end: x(), reason: x() }),
            "end: `x` is none of done, fail, block, return",
        ),
        (
            Verb::AcquireLock(v1::AcquireLock { lock: String::new(), what: x(), wait: false }),
            "lock: lock name is empty",
        ),
        (
            Verb::AcquireLock(v1::AcquireLock { lock: x(), what: "w".repeat(501), wait: false }),
            "what: 501 bytes, the limit is 500",
        ),
        (
            Verb::AcquireSlot(v1::AcquireSlot {
                pool: x(),
                host: String::new(),
                what: x(),
                wait: false,
            }),
            "host: host name is empty",
        ),
        (Verb::AskBuild(v1::AskBuild { build: None, missing: x(), what: x() }), "build: missing"),
        (
            Verb::AskBuild(v1::AskBuild {
                build: Some(v1::BuildKey { place: text("a b"), ..key() }),
                missing: x(),
                what: x(),
            }),
            "build.place: build name `a b` has ' ' at byte 1: use letters, digits and . _ - @ # : / + = { }",
        ),
        (
            Verb::EndBuild(v1::EndBuild { hold: text("hld_0004"), class: x(), artifacts: x() }),
            "class: `x` is none of passed, failed, oom, timeout, killed, infra, vacuous",
        ),
        (Verb::ReleaseHold(v1::ReleaseHold { hold: x(), gone: true }), no_hold),
        (Verb::EndJob(end_job(None)), "finding: missing"),
        (
            found(|finding| finding.class = "fine".to_owned()),
            "finding.class: `fine` is none of passed, failed, oom, timeout, killed, infra, vacuous",
        ),
        (
            found(|finding| finding.red_count = 1),
            "finding.red_count: 1 is less than the 2 items named",
        ),
        (
            found(|finding| finding.red = vec!["a".to_owned(); 201]),
            "finding.red: 201 items, the limit is 200",
        ),
        (
            found(|finding| finding.note = "n".repeat(2001)),
            "finding.note: 2001 bytes, the limit is 2000",
        ),
        (Verb::Dequeue(v1::Dequeue { car: x() }), no_car),
        (Verb::Retry(v1::Retry { car: x() }), no_car),
        (
            Verb::IssueToken(v1::IssueToken { hash: x(), ..issue() }),
            "hash: no blake3 digest: expected 64 of 0-9 a-f",
        ),
        (
            Verb::IssueToken(v1::IssueToken { role: text("root"), ..issue() }),
            "role: `root` is no role: use agent, host, prover, operator, viewer or bot",
        ),
        (
            Verb::IssueToken(v1::IssueToken { name: String::new(), ..issue() }),
            "name: actor name is empty",
        ),
    ]
}

#[test]
fn a_wrong_field_is_named() {
    for (verb, wanted) in bad() {
        let error = Request::try_from(command(verb.clone())).expect_err("a wrong field");
        assert_eq!(error.to_string(), wanted, "{verb:?}");
    }
    let none = v1::Command::default();
    assert_eq!(Request::try_from(none).expect_err("no verb").to_string(), "verb: missing");
}

#[test]
fn a_caller_is_who_it_says_or_nobody() {
    use v1::caller::Who;
    let who = |who| caller(Some(v1::Caller { who: Some(who) }));
    assert_eq!(caller(None), Ok(Caller::Nobody));
    assert_eq!(caller(Some(v1::Caller { who: None })), Ok(Caller::Nobody));
    assert_eq!(who(Who::Operator("ada".to_owned())), Ok(Caller::Operator("ada".to_owned())));
    assert_eq!(who(Who::Host("build1".to_owned())), Ok(Caller::Host(parsed("build1"))));
    let credentials =
        v1::Credentials { session: "ses_0002".to_owned(), secret: SECRET.to_owned(), epoch: 3 };
    let Ok(Caller::Session(read)) = who(Who::Session(credentials.clone())) else {
        panic!("credentials make a session");
    };
    assert_eq!((read.session, read.epoch), (parsed("ses_0002"), 3));
    for (wrong, message) in [
        (Who::Operator(" ".to_owned()), "caller.operator: empty: say who"),
        (Who::Host(String::new()), "caller.host: host name is empty"),
        (
            Who::Session(v1::Credentials { session: String::new(), ..credentials }),
            "caller.session: `` is no session id: expected ses_ and up to 13 of 0-9 a-z without i, l, o, u",
        ),
    ] {
        assert_eq!(who(wrong).expect_err("a wrong caller").to_string(), message);
    }
}

#[test]
fn the_digest_follows_the_verb_and_nothing_else() {
    let digest = |command: v1::Command| Request::try_from(command).expect("valid").digest;
    let first = digest(command(Verb::Claim(claim())));
    assert_eq!(first.len(), 32);
    let numbered = v1::Command { number: 7, ..command(Verb::Claim(claim())) };
    assert_eq!(digest(numbered), first);
    let other = v1::Claim { wait: false, ..claim() };
    assert_ne!(digest(command(Verb::Claim(other))), first);
    let (dequeue, retry) = (v1::Dequeue { car: "car_0005".to_owned() }, "car_0005".to_owned());
    let retry = v1::Retry { car: retry };
    assert_ne!(digest(command(Verb::Dequeue(dequeue))), digest(command(Verb::Retry(retry))));
}

#[test]
fn a_place_and_a_beat_are_read() {
    let place = |id: &str| Place::try_from(&v1::AttendRequest { caller: None, id: id.to_owned() });
    assert_eq!(place("clm_0003"), Ok(Place::Claim(ClaimId::from_counter(3))));
    assert_eq!(place("hld_0003"), Ok(Place::Hold(HoldId::from_counter(3))));
    let error = place("car_0003").expect_err("a car is no place").to_string();
    assert_eq!(error, "id: `car_0003` is neither a claim, a hold nor a session id");

    let beat = v1::BeatRequest {
        host: "build1".to_owned(),
        jobs: 2,
        cores: 8,
        memory: 9,
        labels: words(&["linux", "linux"]),
        sessions: words(&["ses_0002"]),
        job_user: Some(v1::JobUser { uid: 995, shared: String::new() }),
        signs: vec![v1::SessionSigns {
            session: "ses_0003".to_owned(),
            root_lives: true,
            log_ms: None,
            files_ms: Some(9),
        }],
    };
    let read = Beat::try_from(beat.clone()).expect("valid");
    assert_eq!(read.sessions, [parsed("ses_0002")]);
    let files = Some(std::time::Duration::from_millis(9));
    let told = molt_domain::session::Told { root: true, log: None, files };
    assert_eq!(read.signs, [(parsed("ses_0003"), told)]);
    assert_eq!((read.means.jobs, read.means.cores, read.means.labels.len()), (2, 8, 1));
    assert_eq!(read.request().caller, Caller::Host(parsed("build1")));
    assert_eq!(read.means.job_user, Some(JobUser { uid: 995, shared: None }));
    let shared = v1::JobUser { uid: 995, shared: "ann has it".to_owned() };
    let shared = v1::BeatRequest { job_user: Some(shared), ..beat.clone() };
    let told = Beat::try_from(shared).expect("valid").means.job_user.expect("a user").shared;
    assert_eq!(told.as_deref(), Some("ann has it"));
    let wrong = v1::BeatRequest { sessions: words(&["x"]), ..beat };
    let error = Beat::try_from(wrong).expect_err("no session id").to_string();
    assert!(error.starts_with("sessions: `x` is no session id"), "{error}");
}

#[test]
fn answers_name_what_they_speak_of() {
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build2"));
    let mut answers = Vec::new();
    let granted = world.claim(&ada, &["runtime"]);
    let waiting = world.claim(&bob, &["runtime/gc"]);
    let lock = Command::AcquireLock {
        lock: parsed("publish"),
        what: "make publish".to_owned(),
        otherwise: Otherwise::Wait,
    };
    let held = world.act(ada.clone(), lock.clone());
    let queued = world.act(bob, lock);
    let slot = Command::AcquireSlot {
        pool: parsed("cargo"),
        host: parsed("build1"),
        what: "cargo test".to_owned(),
        otherwise: Otherwise::Refuse,
    };
    let slot = world.act(ada, slot);
    for told in [granted, waiting, held, queued, slot] {
        let message = reply(&told, &world.board, BoardTime(4000), 3, 9);
        assert_eq!((message.term, message.rev), (3, 9));
        answers.push(message.answer.expect("an answer"));
    }
    let Answer::Granted(claim) = &answers[0] else { panic!("{:?}", answers[0]) };
    assert_eq!((claim.holder.as_str(), claim.state.as_str(), claim.seen_ms), ("ada", "held", 4000));
    assert_eq!(claim.paths, ["runtime/**", "runtime/gc/**"]);
    assert!(!claim.already);
    let Answer::Queued(place) = &answers[1] else { panic!("{:?}", answers[1]) };
    assert_eq!(place.ahead, 0);
    let Answer::Held(hold) = &answers[2] else { panic!("{:?}", answers[2]) };
    assert_eq!((hold.of.as_str(), hold.holder.as_str(), hold.slot), ("publish", "ada", None));
    let Answer::Waiting(place) = &answers[3] else { panic!("{:?}", answers[3]) };
    assert!(place.id.starts_with("hld_"), "{}", place.id);
    let Answer::Held(hold) = &answers[4] else { panic!("{:?}", answers[4]) };
    assert_eq!((hold.of.as_str(), hold.slot), ("cargo", Some(0)));
}

#[test]
fn who_attends_is_told_what_became_of_the_place() {
    use v1::attendance::Became;
    let mut world = World::new();
    let (ada, bob) = (world.join("ada", "build1"), world.join("bob", "build2"));
    world.claim(&ada, &["runtime"]);
    let Reply::Queued { claim, .. } = world.claim(&bob, &["runtime"]) else {
        panic!("a second claim waits");
    };
    let told = |world: &World| {
        super::place(&world.board, Place::Claim(claim), world.now).became.expect("told")
    };
    assert!(matches!(told(&world), Became::Waiting(place) if place.ahead == 0));
    world.board.attend(claim, molt_domain::board::Presence::Here);
    world.act(
        ada,
        Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome: Outcome::Done },
    );
    assert!(matches!(told(&world), Became::Granted(view) if view.holder == "bob"));
    world.act(
        bob,
        Command::Release { scopes: Vec::new(), globs: Vec::new(), outcome: Outcome::Done },
    );
    assert_eq!(told(&world), Became::Gone(format!("{claim} is not in line any more")));
    let gone = super::place(&world.board, Place::Hold(HoldId::from_counter(99)), world.now);
    assert!(matches!(gone.became, Some(Became::Gone(_))), "{gone:?}");
}
