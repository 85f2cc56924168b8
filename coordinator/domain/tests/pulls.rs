//! Pull requests on the board: what is seen, heard, entered and left, once and for one head.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

#[path = "pulls/any_order.rs"]
mod any_order;
#[path = "pulls/desk.rs"]
mod desk;
#[path = "pulls/passage.rs"]
mod passage;
#[path = "pulls/records.rs"]
mod records;
#[path = "pulls/submitted.rs"]
mod submitted;
mod world;

use std::sync::Arc;

use molt_domain::board::{Caller, Change, Command, Event, Refusal};
use molt_domain::gate::Class;
use molt_domain::id::{BoardTime, CarId, JobId};
use molt_domain::name::GateName;
use molt_domain::pull::command::{Author, Edits};
use molt_domain::pull::{CheckTold, ForgeTime, Heard, Left, Right, Told};
use molt_domain::train::{Candidate, Car, Ejection, Need, Origin, State};

use desk::{EVE, Forge, comment, entry, head, repo};

/// A pull request of the repository itself that somebody asked for, and its car.
fn entered() -> (Forge, CarId) {
    let mut forge = Forge::new();
    forge.see(17, &head(1), 10);
    forge.hear(17, comment(101, 20, "@molt land"));
    let car = forge.enter(17, entry(&head(1), Some(101))).unwrap();
    (forge, car)
}

/// Puts a car where a run of the gate `test` took it out.
fn interrupt(forge: &mut Forge, id: CarId, class: Class) {
    let gate: GateName = "test".parse().unwrap();
    let job = JobId::from_counter(5);
    let (red, note) = (Vec::new(), "the host is gone".to_owned());
    let ejection = Ejection::GateFailed { gate, class, red, note, job };
    let state = State::Ejected { ejection, at: BoardTime(1) };
    let car = Car { state, ..forge.car(id).clone() };
    forge.world.board.apply(Change::Car(id, Some(Arc::new(car))));
}

#[test]
fn what_a_comment_asks_for_is_done_once_and_for_the_head_that_was_seen() {
    let mut forge = Forge::new();
    let seen = forge.see(17, &head(1), 10);
    assert!(matches!(&seen[..], [Event::PullSeen { number: 17, .. }]), "{seen:?}");
    assert_eq!(forge.see(17, &head(1), 11), [], "nothing moved");

    let land = || comment(101, 20, "please\n\n@molt land");
    let asked = forge.hear(17, land());
    assert!(matches!(&asked[..], [Event::PullAsked { comment: 101, .. }]), "{asked:?}");
    let wish = forge.known(17).asked.clone().unwrap();
    assert_eq!((wish.comment, wish.asked.head), (101, head(1)));
    assert_eq!((forge.desk().comment, forge.desk().since), (101, ForgeTime(20)));
    assert_eq!(forge.hear(17, land()), [], "it was heard");
    assert_eq!(forge.hear(17, comment(99, 5, "@molt cancel")), [], "before the desk was open");

    // Of what nobody knows only the cursor is kept.
    assert_eq!(forge.hear(18, comment(102, 30, "@molt land")), []);
    assert_eq!(forge.desk().comment, 102);
    let cancelled = forge.hear(17, comment(103, 31, "@molt cancel"));
    assert!(matches!(&cancelled[..], [Event::PullCancelled { .. }]), "{cancelled:?}");
    assert_eq!((&forge.known(17).asked, &forge.known(17).cancelled), (&None, &Some(head(1))));
    forge.hear(17, comment(104, 32, "@molt land"));
    assert_eq!(forge.known(17).cancelled, None);
}

#[test]
fn without_a_desk_nothing_is_heard() {
    let mut forge = Forge::new();
    forge.world.board.apply(Change::Desk(repo(), None));
    let hear =
        Command::HearComment { repo: repo(), number: 17, comment: comment(101, 20, "@molt land") };
    let refused = forge.tell(hear).unwrap_err();
    assert_eq!(refused.to_string(), "repo: no desk is open for molt");
    let cool = Command::CoolForge { repo: repo(), span: 1 };
    assert_eq!(forge.tell(cool).unwrap_err().reason(), "INVALID");
}

#[test]
fn a_desk_opens_once_and_a_forge_cools_for_the_longest() {
    let mut forge = Forge::new();
    let open =
        Command::OpenDesk { repo: repo(), forge_id: Some(5), comment: 0, since: ForgeTime(0) };
    assert_eq!(forge.tell(open).unwrap().1, []);
    assert_eq!(forge.desk().comment, 100);
    let mut cool = |span| {
        forge.tell(Command::CoolForge { repo: repo(), span }).unwrap();
        forge.desk().cooldown.unwrap()
    };
    assert_eq!(cool(60_000), BoardTime(61_000));
    assert_eq!(cool(1_000), BoardTime(61_000), "the longer one holds");
    assert_eq!(cool(u64::MAX), BoardTime(1_000 + 86_400_000), "no forge is silent for ever");
}

#[test]
fn a_desk_of_old_learns_once_which_repository_it_is_of() {
    let mut forge = Forge { world: world::World::new(&[("runtime", "runtime/**")]) };
    let open = |forge_id, comment| {
        let since = ForgeTime(comment);
        Command::OpenDesk { repo: repo(), forge_id, comment, since }
    };
    for (forge_id, comment, known) in
        [(None, 100, None), (Some(5), 900, Some(5)), (Some(7), 901, Some(5)), (None, 902, Some(5))]
    {
        forge.tell(open(forge_id, comment)).unwrap();
        let desk = forge.desk();
        assert_eq!((desk.forge_id, desk.comment, desk.since), (known, 100, ForgeTime(100)));
    }
}

#[test]
fn what_is_not_done_is_answered_and_changes_nothing_else() {
    let cases: [(Heard, &str); 8] = [
        (comment(101, 20, "@molt merge"), "nothing was done: line 1: no command `merge`"),
        (comment(101, 10, "@molt land"), "was not known before the comment: name it"),
        (Heard { right: Right::Read, ..comment(101, 20, "@molt land") }, "the right to write"),
        (
            Heard { right: Right::Write, ..comment(101, 20, "@molt approve head I read it") },
            "`approve` takes the right to maintain, who wrote it has write",
        ),
        (comment(101, 20, "@molt approve test it flakes"), "it was not in the train"),
        (comment(101, 20, "@molt priority 3"), "no priorities yet"),
        (comment(101, 20, "@molt retry test"), "it was not in the train"),
        (Heard { edits: Edits::Some, ..comment(101, 20, "@molt land") }, "was edited"),
    ];
    for (heard, problem) in cases {
        let mut forge = Forge::new();
        forge.see(17, &head(1), 10);
        let before = forge.known(17).clone();
        let events = forge.hear(17, heard);
        assert!(matches!(&events[..], [Event::CommentAnswered { .. }]), "{events:?}");
        let answer = forge.answer(17).unwrap_or_default();
        assert!(answer.contains(problem), "{answer}");
        let after = molt_domain::pull::Known { answers: Vec::new(), ..forge.known(17).clone() };
        assert_eq!(after, before);
    }
}

#[test]
fn of_one_comment_all_is_done_or_nothing() {
    let mut forge = Forge::new();
    forge.see(17, &head(1), 10);
    forge.hear(17, comment(101, 20, "@molt land\n\n@molt priority 3"));
    assert_eq!(forge.known(17).asked, None);
    forge.hear(17, comment(102, 21, "@molt approve head I read it\n\n@molt land"));
    assert!(forge.known(17).asked.is_some() && forge.known(17).look().is_some());
    // A program repeats anything, and who opened it may always cancel.
    let program = Heard { author: Author::Program, ..comment(103, 22, "@molt cancel") };
    assert_eq!(forge.hear(17, program), []);
    let own = Heard {
        by: EVE,
        author: Author::Person(EVE),
        right: Right::None,
        ..comment(104, 23, "@molt cancel")
    };
    assert_eq!(forge.hear(17, own).len(), 1);
    assert_eq!(forge.known(17).asked, None);
}

#[test]
fn who_asks_why_is_told_where_it_is_and_all_is_said_anew() {
    let (mut forge, car) = entered();
    let told = Told { digest: "d1".to_owned(), comment: Some(9), check: None };
    forge.tell(Command::TellPull { repo: repo(), number: 17, told }).unwrap();
    forge.hear(17, comment(102, 21, "@molt why"));
    assert_eq!(forge.answer(17), Some(format!("{car} is queued").as_str()));
    assert_eq!((forge.known(17).told.digest.as_str(), forge.known(17).told.comment), ("", Some(9)));
    forge.hear(17, comment(103, 22, "@molt cancel\n\n@molt why"));
    assert_eq!(forge.answer(17), Some(format!("{car} is dequeued").as_str()));
    forge.see(18, &head(2), 10);
    forge.hear(18, comment(104, 23, "@molt why"));
    assert_eq!(forge.answer(18), Some("nobody asked for it by a comment"));
}

#[test]
fn a_wish_enters_once_and_with_the_head_now() {
    let (mut forge, car) = entered();
    let stale = forge.enter(17, entry(&head(2), Some(101))).unwrap_err();
    assert_eq!(stale.reason(), "STALE", "{stale}");
    assert_eq!(forge.enter(17, entry(&head(1), Some(101))), Ok(car));
    assert_eq!(forge.enter(17, entry(&head(1), None)), Ok(car), "a label is below every comment");
    let entered = forge.car(car).clone();
    assert_eq!((entered.agent.as_str(), entered.head), ("evebot", head(1).to_string()));

    // It is in the train: another comment does not cost it its place.
    forge.hear(17, comment(102, 21, "@molt land"));
    assert_eq!(forge.enter(17, entry(&head(1), Some(102))), Ok(car));
    forge.hear(17, comment(103, 22, "@molt cancel"));
    assert_eq!(forge.state(car), "dequeued");
    assert_eq!(forge.enter(17, entry(&head(1), Some(102))), Ok(car), "that wish was carried out");
    let cancelled = forge.enter(17, entry(&head(1), Some(103))).unwrap_err();
    assert_eq!(cancelled.to_string(), "closed: molt#17 was cancelled at this head");
    forge.hear(17, comment(104, 23, "@molt land"));
    let again = forge.enter(17, entry(&head(1), Some(104))).unwrap();
    assert_ne!(again, car);
    assert_eq!(forge.state(again), "queued");
}

#[test]
fn what_people_wrote_is_cut_and_never_refused() {
    let mut forge = Forge::new();
    forge.see(17, &head(1), 10);
    let long = molt_domain::pull::Entry {
        title: "ä".repeat(150),
        body: "€".repeat(10_000),
        login: "李".to_owned(),
        ..entry(&head(1), None)
    };
    let car = forge.enter(17, long).unwrap();
    let car = forge.car(car);
    assert!(car.title.len() <= 200 && car.title.ends_with("ä…"), "{}", car.title);
    assert!(car.body.len() <= 16 * 1024 && car.body.ends_with("€…"), "{}", car.body.len());
    assert_eq!(car.agent.as_str(), "pull");
}

#[test]
fn a_moved_head_takes_its_car_out_and_every_look_with_it() {
    let (mut forge, car) = entered();
    forge.hear(17, comment(102, 21, "@molt approve head I read it"));
    assert_eq!(forge.car(car).approval.as_ref().unwrap().by, "@pat (github 7)");
    let events = forge.see(17, &head(2), 30);
    assert!(matches!(&events[..], [Event::PullSeen { .. }, Event::Ejected { .. }]), "{events:?}");
    assert_eq!(forge.state(car), "head-moved");
    assert!(forge.known(17).looked.is_empty());
    assert!(forge.known(17).asked.is_some(), "what was asked for is for the admission to judge");

    // Back at the first head nothing of before counts, not even an interrupted car's approval.
    let next = forge.enter(17, entry(&head(2), Some(101))).unwrap();
    interrupt(&mut forge, next, Class::Killed);
    forge.see(17, &head(1), 40);
    assert_eq!(forge.state(next), "head-moved");
    let retry = forge.world.ask(Caller::Operator("pat".to_owned()), Command::Retry { car: next });
    assert_eq!(retry.unwrap_err().reason(), "INVALID");
    let dates: Vec<u64> = forge.known(17).seen.iter().map(|sighting| sighting.at.0).collect();
    forge.see(17, &head(3), 35);
    assert_eq!(dates, [10, 30, 40]);
    assert_eq!(forge.known(17).seen[3].at, ForgeTime(40), "what is read later was seen later");
}

#[test]
fn a_decided_landing_goes_on_whatever_moves() {
    let (mut forge, car) = entered();
    set_candidate(&mut forge, car, &["runtime/x.rs"]);
    forge.tell(Command::Intend { car, branch: None }).unwrap();
    forge.hear(17, comment(102, 31, "@molt cancel"));
    forge.leave(17, Left::Closed);
    let mut moved = Forge { world: forge.world.clone() };
    moved.see(17, &head(2), 32);
    assert_eq!((forge.state(car), moved.state(car)), ("landing", "landing"));
    let forget = Command::ForgetPull { repo: repo(), number: 17 };
    let refused = forge.tell(forget).unwrap_err();
    assert_eq!(refused.to_string(), format!("closed: {car} of molt#17 is landing"));

    // It is that car's until that is known, which the forge is told of.
    forge.leave(17, Left::Withdrawn);
    assert_eq!(forge.known(17).entered.as_ref().map(|it| it.car), Some(car));
    // Where it did not happen, what was said meanwhile holds.
    for (forge, state) in [(&mut forge, "dequeued"), (&mut moved, "head-moved")] {
        let State::Landing { fence, .. } = forge.car(car).state else { panic!("it lands") };
        let reason = "the push was refused".to_owned();
        forge.tell(Command::WithdrawIntent { car, fence, reason }).unwrap();
        assert_eq!(forge.state(car), state);
    }
}

fn set_candidate(forge: &mut Forge, car: CarId, paths: &[&str]) {
    let candidate = Candidate {
        base: forge.world.board.tables().repos[&repo()].base.clone(),
        commit: "c".repeat(40),
        tree: "d".repeat(40),
        from: "refs/molt/train/x".to_owned(),
        changed: paths.iter().map(|&path| path.to_owned()).collect(),
        odd: 0,
        unreadable: None,
        protected: Vec::new(),
        inputs: [].into(),
        base_inputs: [].into(),
    };
    forge.tell(Command::SetCandidate { car, candidate }).unwrap();
}

#[test]
fn nothing_of_a_fork_goes_on_before_a_maintainer_looked_at_its_head() {
    let mut forge = Forge::new();
    let fork = || Origin::Fork("eve/molt".to_owned());
    forge.see_of(17, &head(1), 10, fork());
    let car = forge.enter(17, entry(&head(1), None)).unwrap();
    assert_eq!(forge.car(car).state, State::Withheld { need: Need::Fork });
    forge.hear(
        17,
        Heard { right: Right::Write, ..comment(101, 20, "@molt approve head it is fine") },
    );
    assert_eq!(forge.state(car), "approval-missing");
    forge.hear(17, comment(102, 21, "@molt approve head it is fine"));
    assert_eq!(forge.state(car), "queued");

    // Who looked before it entered need not look again; another head is nobody's.
    forge.see_of(18, &head(2), 10, fork());
    forge.hear(18, comment(103, 22, "@molt approve head it is fine"));
    let second = forge.enter(18, entry(&head(2), None)).unwrap();
    assert_eq!((forge.state(second), forge.open_cars(18).len()), ("queued", 1));
    forge.see_of(18, &head(3), 30, fork());
    let third = forge.enter(18, entry(&head(3), None)).unwrap();
    assert_eq!((forge.state(second), forge.state(third)), ("head-moved", "approval-missing"));
}

#[test]
fn it_leaves_for_a_reason_of_the_forge_and_may_return() {
    let (mut forge, car) = entered();
    let hindered = |code: &str| Left::Hindered { code: code.to_owned(), what: "x".repeat(9_000) };
    let events = forge.leave(17, hindered("ruleset-blocked"));
    assert!(matches!(&events[..], [Event::Ejected { .. }, Event::PullLeft { .. }]), "{events:?}");
    assert_eq!(forge.state(car), "ruleset-blocked");
    assert_eq!(forge.leave(17, hindered("ruleset-blocked")), [], "it is not in the train");
    let second = forge.enter(17, entry(&head(1), Some(101))).unwrap();
    assert_ne!(second, car);
    forge.leave(17, hindered("of somebody's own making"));
    assert_eq!(forge.state(second), "closed");

    // What failed by itself does not return because something is in the way, too.
    let third = forge.enter(17, entry(&head(1), Some(101))).unwrap();
    interrupt(&mut forge, third, Class::Failed);
    forge.leave(17, hindered("building"));
    assert_eq!(forge.enter(17, entry(&head(1), Some(101))), Ok(third));
    // A label that was taken away and is put there again is another wish.
    forge.leave(17, Left::Withdrawn);
    let fourth = forge.enter(17, entry(&head(1), None)).unwrap();
    forge.leave(17, Left::Closed);
    assert_eq!(forge.state(fourth), "closed");
    assert_eq!(forge.enter(17, entry(&head(1), None)), Ok(fourth), "it is to be asked for anew");
    forge.tell(Command::ForgetPull { repo: repo(), number: 17 }).unwrap();
    assert!(forge.world.board.tables().pulls.is_empty());
}

#[test]
fn an_interrupted_gate_is_run_again_by_a_comment() {
    let (mut forge, car) = entered();
    interrupt(&mut forge, car, Class::Killed);
    forge.hear(17, comment(102, 21, "@molt retry lint"));
    let answer = format!("nothing was done: {car} was not ejected by gate lint: gate-interrupted");
    assert!(forge.answer(17).unwrap().starts_with(&answer), "{:?}", forge.answer(17));
    let events = forge.hear(17, comment(103, 22, "@molt retry test\n\n@molt retry test"));
    assert!(matches!(&events[..], [Event::Retried { .. }]), "{events:?}");
    assert_eq!(forge.state(car), "queued");
    interrupt(&mut forge, car, Class::Failed);
    forge.hear(17, comment(104, 23, "@molt retry test"));
    let answer = forge.answer(17).unwrap();
    assert!(answer.ends_with("only an interrupted run is tried again"), "{answer}");
    assert_eq!(forge.state(car), "gate-failed");
}

#[test]
fn where_claims_are_asked_for_a_person_answers_for_a_pull_request() {
    let (mut forge, car) = entered();
    for gate in ["scope", "announce"] {
        let mut policy = forge.world.board.tables().repos[&repo()].policy.clone();
        gate.clone_into(&mut policy.digest);
        policy.merge.required = vec![gate.parse().unwrap()];
        read_policy(&mut forge, policy);
        set_candidate(&mut forge, car, &["runtime/x.rs", "docs/a.md"]);
        let paths = vec!["runtime/x.rs".to_owned(), "docs/a.md".to_owned()];
        assert_eq!(
            forge.car(car).state,
            State::Withheld { need: Need::Unclaimed { paths, count: 2 } }
        );
        // A policy that asks for none lets it go on.
        let mut policy = forge.world.board.tables().repos[&repo()].policy.clone();
        policy.digest.push('2');
        policy.merge.required.clear();
        read_policy(&mut forge, policy);
        forge.tell(Command::Tick).unwrap();
        assert_eq!(forge.state(car), "queued");
    }
    let mut policy = forge.world.board.tables().repos[&repo()].policy.clone();
    policy.merge.required = vec!["scope".parse().unwrap(), "announce".parse().unwrap()];
    read_policy(&mut forge, policy);
    set_candidate(&mut forge, car, &["runtime/x.rs"]);
    let why = forge.world.why(car);
    assert_eq!(why[1], "because  it changes runtime/x.rs, and a pull request has no claims");
    assert!(why.contains(&"pull     request 17 of molt".to_owned()), "{why:?}");
    forge.hear(17, comment(102, 21, "@molt approve head I read it"));
    set_candidate(&mut forge, car, &["runtime/x.rs"]);
    assert_eq!(forge.state(car), "ready");
}

fn read_policy(forge: &mut Forge, policy: molt_domain::policy::Policy) {
    let base = forge.world.board.tables().repos[&repo()].as_ref().clone();
    let (branch, commit, tree) = (base.branch, base.base, base.tree);
    let read = Command::ReadBase { repo: repo(), branch, commit, tree, policy: Ok(policy) };
    forge.tell(read).unwrap();
}

#[test]
fn the_coordinator_alone_tells_of_pull_requests() {
    let mut forge = Forge::new();
    let (number, told) = (17, Told::default());
    let commands = [
        Command::OpenDesk { repo: repo(), forge_id: Some(5), comment: 1, since: ForgeTime(1) },
        Command::CoolForge { repo: repo(), span: 1 },
        Command::SeePull {
            repo: repo(),
            number,
            head: head(1),
            at: ForgeTime(1),
            origin: Origin::Own,
            opened_by: EVE,
        },
        Command::HearComment { repo: repo(), number, comment: comment(101, 1, "@molt land") },
        Command::EnterPull { repo: repo(), number, entry: entry(&head(1), None) },
        Command::LeavePull { repo: repo(), number, why: Left::Closed },
        Command::TellPull { repo: repo(), number, told },
        Command::ForgetPull { repo: repo(), number },
    ];
    for command in commands {
        let word = command.word();
        let refused = forge.world.ask(Caller::Operator("pat".to_owned()), command).unwrap_err();
        assert_eq!(refused.to_string(), format!("{word} needs the coordinator itself"));
    }
}

#[test]
fn what_is_not_known_or_not_coordinated_is_said_so() {
    let mut forge = Forge::new();
    let told = Told { check: Some(CheckTold { head: head(1), id: 4 }), ..Told::default() };
    let tell = |told: Told| Command::TellPull { repo: repo(), number: 9, told };
    let unknown = forge.tell(tell(told.clone())).unwrap_err();
    assert_eq!(unknown.to_string(), "no pull request `molt#9`");
    forge.see(9, &head(1), 10);
    forge.tell(tell(told.clone())).unwrap();
    assert_eq!(forge.known(9).told, told);
    let long = Told { digest: "d".repeat(201), ..Told::default() };
    assert_eq!(forge.tell(tell(long)).unwrap_err().reason(), "INVALID");
    let elsewhere = Command::OpenDesk {
        repo: "elsewhere".parse().unwrap(),
        forge_id: Some(5),
        comment: 1,
        since: ForgeTime(1),
    };
    let refused = forge.tell(elsewhere).unwrap_err();
    assert!(matches!(*refused, Refusal::NoRepo { .. }), "{refused}");
}
