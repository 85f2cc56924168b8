//! How the head of a pull request gets into the base, where commits of our own land in its place.

use std::sync::Arc;

use molt_domain::board::{Change, Command, Event, Format, Formats};
use molt_domain::id::{CarId, Fence};
use molt_domain::policy::{Method, Repo};
use molt_domain::pull::{Basis, Closes, CommitId, ForgeTime, Report, closes};
use molt_domain::train::{Origin, Passage, State};

use super::desk::{Forge, comment, entry, head, repo};
use super::set_candidate;

/// Where a candidate of these tests is.
fn candidate() -> String {
    "c".repeat(40)
}

/// A board whose base lands by `method`.
fn forge(method: Method) -> Forge {
    let mut forge = Forge::new();
    let mut known = Repo::clone(&forge.world.board.tables().repos[&repo()]);
    known.policy.merge.method = method;
    forge.world.board.apply(Change::Repo(repo(), Some(Arc::new(known))));
    forge
}

/// A pull request whose landing is decided.
fn intended(method: Method, origin: Origin, branch: Option<&str>) -> (Forge, CarId, Vec<Event>) {
    let mut forge = forge(method);
    forge.see_of(17, &head(1), 10, origin);
    forge.hear(17, comment(101, 20, "@molt approve head I read it\n\n@molt land"));
    let car = forge.enter(17, entry(&head(1), Some(101))).unwrap();
    set_candidate(&mut forge, car, &["runtime/x.rs"]);
    let branch = branch.map(str::to_owned);
    let events = forge.tell(Command::Intend { car, branch }).unwrap().1;
    (forge, car, events)
}

fn landing(forge: &Forge, car: CarId) -> (Fence, Passage) {
    let State::Landing { fence, passage, .. } = &forge.car(car).state else { panic!("it lands") };
    (*fence, passage.clone())
}

#[test]
fn only_where_our_own_commits_land_a_heads_branch_goes_ahead() {
    let ahead = Passage::Ahead { branch: "topic".to_owned() };
    let fork = || Origin::Fork("eve/molt".to_owned());
    for (method, origin, branch, expected) in [
        (Method::Merge, Origin::Own, Some("topic"), Passage::Within),
        (Method::Ff, Origin::Own, None, Passage::Within),
        (Method::Squash, Origin::Own, Some("topic"), ahead.clone()),
        (Method::Rebase, Origin::Own, Some("topic"), ahead.clone()),
        (Method::Squash, Origin::Own, None, Passage::Outside),
        (Method::Squash, fork(), Some("topic"), Passage::Outside),
    ] {
        let (forge, car, events) = intended(method, origin, branch);
        assert_eq!(landing(&forge, car).1, expected, "{method:?} {branch:?}");
        let recorded = events
            .iter()
            .any(|it| matches!(it, Event::Intended { passage, .. } if *passage == expected));
        assert!(recorded, "{events:?}");
        let moved: Vec<String> = (expected == ahead).then(candidate).into_iter().collect();
        assert_eq!(forge.known(17).moved, moved, "{method:?} {branch:?}");
    }
    let mut odd = forge(Method::Squash);
    odd.see(17, &head(1), 10);
    let car = odd.enter(17, entry(&head(1), None)).unwrap();
    odd.hear(17, comment(101, 20, "@molt approve head I read it"));
    set_candidate(&mut odd, car, &["runtime/x.rs"]);
    for (name, words) in [(String::new(), "branch: is empty"), ("b".repeat(256), "branch")] {
        let refused = odd.tell(Command::Intend { car, branch: Some(name) }).unwrap_err();
        assert!(refused.to_string().starts_with(words), "{refused}");
    }
}

#[test]
fn a_head_that_we_moved_is_no_new_head_and_back_it_is_the_same() {
    let (mut forge, car, _) = intended(Method::Squash, Origin::Own, Some("topic"));
    let ours = candidate().parse().unwrap();
    assert_eq!(forge.see(17, &ours, 30), [], "while it lands");
    assert_eq!(forge.state(car), "landing");
    let (fence, _) = landing(&forge, car);
    let reason = "the base is elsewhere".to_owned();
    forge.tell(Command::WithdrawIntent { car, fence, reason }).unwrap();
    assert_eq!(forge.see(17, &ours, 31), [], "a list that was late");
    assert_eq!(forge.see(17, &head(1), 32), [], "it was given back");
    assert_eq!(forge.state(car), "queued");
    assert_eq!(forge.known(17).head(), &head(1));
    forge.see(17, &head(2), 33);
    assert_eq!(forge.state(car), "head-moved", "somebody else's is one");
    forge.see(17, &ours, 34);
    assert_eq!(forge.known(17).head(), &ours, "whoever pushes it now means it");
}

#[test]
fn where_it_may_not_be_brought_back_it_is_a_head_like_any_other() {
    let (mut forge, car, _) = intended(Method::Squash, Origin::Own, Some("topic"));
    let (fence, _) = landing(&forge, car);
    let reason = "the base is elsewhere".to_owned();
    forge.tell(Command::WithdrawIntent { car, fence, reason }).unwrap();
    let ours: CommitId = candidate().parse().unwrap();
    let keep = |head: &CommitId| Command::KeepHead {
        repo: repo(),
        number: 17,
        head: head.clone(),
        at: ForgeTime(30),
    };
    assert_eq!(forge.tell(keep(&head(5))).unwrap().1, [], "we never moved it there");
    let events = forge.tell(keep(&ours)).unwrap().1;
    assert!(matches!(&events[..], [Event::PullSeen { .. }, Event::Ejected { .. }]), "{events:?}");
    assert_eq!((forge.state(car), forge.known(17).head()), ("head-moved", &ours));
    assert_eq!(forge.tell(keep(&ours)).unwrap().1, [], "once");
}

#[test]
fn what_the_forge_declines_is_looked_at_once_more_and_is_out_then() {
    let (mut forge, car, _) = intended(Method::Merge, Origin::Own, None);
    let decline = |forge: &mut Forge| {
        let (fence, _) = landing(forge, car);
        let reason = "a rule says no".to_owned();
        forge.tell(Command::DeclineLanding { car, fence, reason }).unwrap().1
    };
    let events = decline(&mut forge);
    assert!(matches!(&events[..], [Event::IntentWithdrawn { .. }]), "{events:?}");
    assert_eq!(forge.state(car), "queued");
    set_candidate(&mut forge, car, &["runtime/x.rs"]);
    forge.tell(Command::Intend { car, branch: None }).unwrap();
    decline(&mut forge);
    assert_eq!(forge.state(car), "ruleset-blocked");
    assert_eq!(forge.enter(17, entry(&head(1), Some(101))), Ok(car), "it is to be asked for anew");
    assert_ne!(forge.enter(17, entry(&head(1), Some(102))), Ok(car));
}

#[test]
fn where_the_branch_may_not_be_moved_it_lands_and_is_told_to_be_closed() {
    let (mut forge, car, _) = intended(Method::Squash, Origin::Own, Some("topic"));
    let (fence, _) = landing(&forge, car);
    let stale = Fence { n: fence.n + 1, ..fence };
    let leave = |fence| Command::LeaveHead { car, fence, reason: "protected".to_owned() };
    assert_eq!(forge.tell(leave(stale)).unwrap_err().reason(), "STALE");
    let events = forge.tell(leave(fence)).unwrap().1;
    assert!(matches!(&events[..], [Event::HeadLeft { branch, .. }] if branch == "topic"));
    assert_eq!(forge.tell(leave(fence)).unwrap().1, [], "once");
    assert_eq!(landing(&forge, car), (fence, Passage::Outside));
    assert!(said(&forge, car).comment.is_none(), "it has not landed");
    forge.tell(Command::ConfirmLanding { car, fence }).unwrap();
    let told = said(&forge, car);
    let comment = told.comment.expect("people are told which commit it is");
    assert!(comment.contains(&candidate()), "{comment}");
    assert!(told.check.title.starts_with("landed: "), "{}", told.check.title);
    forge.see(17, &head(2), 40);
    let tables = forge.world.board.tables();
    assert_eq!(closes(tables, forge.known(17)), Closes::No, "what somebody pushed since is theirs");
}

fn said(forge: &Forge, car: CarId) -> Report {
    let (known, car) = (forge.known(17), Some(forge.car(car)));
    let method = Method::Squash;
    let closes = closes(forge.world.board.tables(), known);
    let (found, judged, required) = (None, None, &[]);
    Report::of(Basis { known, car, found, judged, required, method, closes })
        .expect("there is a car")
}

#[test]
fn a_method_that_older_programs_do_not_know_waits_for_the_format() {
    let mut forge = Forge::new();
    let older = Format { written: 2, min_reader: 2, min_writer: 2 };
    forge.world.board.set_formats(Formats { stored: older, ..Formats::default() });
    let known = Repo::clone(&forge.world.board.tables().repos[&repo()]);
    let mut policy = known.policy.clone();
    policy.merge.method = Method::Squash;
    let read = Command::ReadBase {
        repo: repo(),
        branch: known.branch,
        commit: "e".repeat(40),
        tree: "f".repeat(40),
        policy: Ok(policy),
    };
    forge.tell(read.clone()).unwrap();
    let repo = |forge: &Forge| Repo::clone(&forge.world.board.tables().repos[&repo()]);
    let words = "merge.method: `squash` takes format 3 of the store: raise it";
    assert_eq!(repo(&forge).unreadable.as_deref(), Some(words));
    assert_eq!(repo(&forge).policy.merge.method, Method::Merge);
    forge.world.board.set_formats(Formats::default());
    forge.tell(read).unwrap();
    assert_eq!(repo(&forge).unreadable, None);
    assert_eq!(repo(&forge).policy.merge.method, Method::Squash);
}
