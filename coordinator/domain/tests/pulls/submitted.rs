//! A session's change that a pull request shows: one car, whatever people do there.

use std::sync::Arc;

use molt_domain::board::{Caller, Change, Command, Event, Reply};
use molt_domain::gate::Class;
use molt_domain::id::CarId;
use molt_domain::policy::{Method, Repo};
use molt_domain::pull::admission::{How, Wish};
use molt_domain::pull::{Closes, ForgeTime, Left, Opened, Shown, UserId, closes};
use molt_domain::session::Credentials;
use molt_domain::train::{Need, Origin, Passage, State};

use super::desk::{Forge, comment, entry, head, repo};
use super::{interrupt, set_candidate};

/// The account that pull requests are opened by.
const US: UserId = UserId(99);

/// A board with a change that `ann` submitted.
fn submitted() -> (Forge, Credentials, CarId) {
    let mut forge = Forge::new();
    let ann = forge.world.join("ann");
    let car = submit(&mut forge, &ann, 1);
    (forge, ann, car)
}

/// The same with its pull request.
fn shown() -> (Forge, Credentials, CarId) {
    let (mut forge, ann, car) = submitted();
    open(&mut forge, 17, car, 1);
    (forge, ann, car)
}

fn submit(forge: &mut Forge, who: &Credentials, digit: u8) -> CarId {
    let (head, title) = (head(digit).to_string(), "Collect faster".to_owned());
    let submit = Command::Submit { head, title, body: String::new(), origin: Origin::Own };
    match forge.world.by(who, submit) {
        Ok(Reply::Submitted { car, .. }) => car,
        other => panic!("{other:?}"),
    }
}

/// Has the reconciler say that a pull request was opened for a car, and is at this head.
fn open(forge: &mut Forge, number: u64, car: CarId, digit: u8) -> Vec<Event> {
    let opened = Opened {
        car,
        branch: format!("molt/ann/{car}"),
        url: format!("https://forge.example/pull/{number}"),
        head: head(digit),
        at: ForgeTime(10),
        opened_by: US,
    };
    forge.tell(Command::OpenPull { repo: repo(), number, opened }).unwrap().1
}

fn hindered() -> Left {
    let (code, what) = ("approval-missing".to_owned(), "0 of 1 approvals".to_owned());
    Left::Hindered { code, what }
}

fn closing(forge: &Forge, number: u64) -> bool {
    closes(forge.world.board.tables(), forge.known(number)) == Closes::Yes
}

fn how(forge: &Forge, number: u64, labelled: bool) -> Option<How> {
    let known = forge.known(number);
    let shown = Shown { head: known.head(), opened_by: US, labelled, auto_merge: None };
    match known.wanted(shown).wish {
        Wish::Land(asked) => Some(asked.how),
        Wish::None | Wish::Withdrawn => None,
    }
}

#[test]
fn its_pull_request_is_this_car_and_wanted() {
    let (mut forge, _, car) = submitted();
    let events = open(&mut forge, 17, car, 1);
    assert!(matches!(&events[..], [Event::PullOpened { number: 17, .. }]), "{events:?}");
    assert_eq!(events[0].format(), 3);
    assert_eq!(forge.car(car).pull(), Some(17));
    assert_eq!(forge.known(17).entered.as_ref().map(|entered| entered.car), Some(car));
    assert_eq!(how(&forge, 17, true), Some(How::Submitted));
    assert_eq!(open(&mut forge, 17, car, 1), [], "it is told again");
    let why = forge.world.why(car);
    assert!(why.contains(&"pull     request 17 of molt: https://forge.example/pull/17".to_owned()));
}

#[test]
fn whoever_asks_for_it_as_well_gets_the_same_car() {
    let (mut forge, _, car) = shown();
    assert_eq!(forge.enter(17, entry(&head(1), None)).unwrap(), car, "by its label");
    forge.hear(17, comment(101, 20, "@molt land"));
    assert_eq!(forge.enter(17, entry(&head(1), Some(101))).unwrap(), car, "by a command");
    let cars = forge.world.board.tables().cars.len();
    assert_eq!(cars, 1);
}

#[test]
fn what_entered_before_it_was_known_whose_it_is_gives_way() {
    let (mut forge, _, car) = submitted();
    forge.see(17, &head(1), 10);
    let other = forge.enter(17, entry(&head(1), None)).unwrap();
    assert_ne!(other, car);
    open(&mut forge, 17, car, 1);
    assert_eq!((forge.state(other), forge.state(car)), ("superseded", "queued"));
    assert_eq!(forge.enter(17, entry(&head(1), None)).unwrap(), car);
}

#[test]
fn a_push_to_its_branch_takes_it_out_for_good() {
    let (mut forge, _, car) = shown();
    forge.see(17, &head(2), 11);
    assert_eq!(forge.state(car), "head-moved");
    assert_eq!(how(&forge, 17, false), None);
    forge.see(17, &head(1), 12);
    assert_eq!(how(&forge, 17, false), None, "a push that is taken back brings nothing back");
    assert!(!closing(&forge, 17), "who pushed to it decides over it");
}

#[test]
fn a_push_before_it_was_told_of_takes_it_out_as_well() {
    let (mut forge, _, car) = submitted();
    let events = open(&mut forge, 17, car, 2);
    let kinds: Vec<&str> = events.iter().map(kind).collect();
    assert_eq!(kinds, ["opened", "seen", "ejected"], "{events:?}");
    assert_eq!(forge.state(car), "head-moved");
    assert_eq!(*forge.known(17).head(), head(2));
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::PullOpened { .. } => "opened",
        Event::PullSeen { .. } => "seen",
        Event::Ejected { .. } => "ejected",
        _ => "other",
    }
}

#[test]
fn what_is_in_its_way_puts_it_aside_until_it_is_not() {
    let (mut forge, ann, car) = shown();
    let events = forge.leave(17, hindered());
    assert!(matches!(&events[..], [Event::Withheld { .. }]), "{events:?}");
    assert_eq!(events[0].format(), 3);
    assert_eq!(forge.leave(17, hindered()), [], "it is told once");
    let (code, what) = ("approval-missing".to_owned(), "0 of 1 approvals".to_owned());
    assert_eq!(forge.car(car).state, State::Withheld { need: Need::Forge { code, what } });
    assert_eq!(submit(&mut forge, &ann, 1), car, "it keeps its place");
    // A person's look is no review.
    forge.hear(17, comment(101, 20, "@molt approve head I read it"));
    assert_eq!(forge.state(car), "approval-missing");
    assert!(forge.car(car).approval.is_some());
    assert_eq!(forge.enter(17, entry(&head(1), None)).unwrap(), car);
    assert_eq!(forge.state(car), "queued");
    assert!(forge.car(car).approval.is_some());
}

#[test]
fn what_waits_for_a_person_waits_for_that_first() {
    let (mut forge, _, car) = shown();
    let need = Need::Protected { paths: Vec::new(), count: 1, policy: "p".to_owned() };
    let waits = State::Withheld { need };
    let waiting = molt_domain::train::Car { state: waits.clone(), ..forge.car(car).clone() };
    forge.world.board.apply(Change::Car(car, Some(waiting.into())));
    assert_eq!(forge.leave(17, hindered()), []);
    assert_eq!(forge.car(car).state, waits);
}

#[test]
fn one_for_which_none_can_be_opened_waits_until_it_is() {
    let (mut forge, _, car) = submitted();
    let (code, what) = ("auth-lost".to_owned(), "not allowed".to_owned());
    let hinder = Command::HinderCar { car, code, what };
    forge.tell(hinder.clone()).unwrap();
    assert_eq!(forge.state(car), "auth-lost");
    let events = open(&mut forge, 17, car, 1);
    assert!(events.iter().any(|it| matches!(it, Event::Admitted { .. })), "{events:?}");
    assert_eq!(forge.state(car), "queued");
    assert_eq!(
        forge.tell(hinder).unwrap_err().to_string(),
        format!("car: {car} has a pull request")
    );
}

#[test]
fn closing_it_takes_it_out() {
    let (mut forge, ann, car) = shown();
    forge.leave(17, Left::Closed);
    assert_eq!(forge.state(car), "closed");
    assert!(!closing(&forge, 17));
    forge.tell(Command::ForgetPull { repo: repo(), number: 17 }).unwrap();
    // Whoever opens it again is asked as with any other.
    open(&mut forge, 17, car, 1);
    assert_eq!((how(&forge, 17, false), &forge.known(17).shows), (None, &None));
    assert_ne!(submit(&mut forge, &ann, 1), car, "its session may propose it again");
}

#[test]
fn whoever_may_cancels_it() {
    let (mut forge, _, car) = shown();
    forge.hear(17, comment(101, 20, "@molt cancel"));
    assert_eq!((forge.state(car), how(&forge, 17, true)), ("dequeued", None));
    assert!(!closing(&forge, 17), "who cancelled it may ask again");
}

#[test]
fn we_close_what_its_session_took_out_or_replaced() {
    let (mut forge, ann, first) = shown();
    assert!(!closing(&forge, 17));
    let second = submit(&mut forge, &ann, 2);
    assert_eq!(forge.state(first), "superseded");
    assert!(closing(&forge, 17));
    open(&mut forge, 18, second, 2);
    interrupt(&mut forge, second, Class::Failed);
    assert!(!closing(&forge, 18), "what failed stays open, for it may be mended");
    let third = submit(&mut forge, &ann, 3);
    assert!(closing(&forge, 18), "its session proposed another one since");
    open(&mut forge, 19, third, 3);
    forge.world.by(&ann, Command::Dequeue { car: third }).unwrap();
    assert!(closing(&forge, 19));
}

#[test]
fn a_car_that_is_nobodys_or_shown_already_makes_an_ordinary_pull_request() {
    let (mut forge, _, car) = shown();
    open(&mut forge, 18, car, 1);
    assert_eq!(forge.known(18).shows, None);
    open(&mut forge, 19, CarId::from_counter(999), 3);
    assert_eq!((forge.known(19).shows.clone(), how(&forge, 19, false)), (None, None));
    forge.see(20, &head(4), 10);
    let other = forge.enter(20, entry(&head(4), None)).unwrap();
    open(&mut forge, 21, other, 4);
    assert_eq!(forge.known(21).shows, None, "it is a pull request itself");
}

#[test]
fn nobody_but_the_coordinator_says_so() {
    let (mut forge, ann, car) = submitted();
    let hinder = Command::HinderCar { car, code: String::new(), what: String::new() };
    for caller in [Caller::Session(ann), Caller::Operator("pat".to_owned())] {
        assert_eq!(forge.world.ask(caller, hinder.clone()).unwrap_err().reason(), "FORBIDDEN");
    }
}

#[test]
fn where_our_own_commits_land_its_branch_goes_ahead_as_any_others() {
    let (mut forge, _, car) = shown();
    let mut known = Repo::clone(&forge.world.board.tables().repos[&repo()]);
    known.policy.merge.method = Method::Squash;
    forge.world.board.apply(Change::Repo(repo(), Some(Arc::new(known))));
    let branch = forge.known(17).shows.as_ref().unwrap().branch.clone();
    set_candidate(&mut forge, car, &["runtime/x.rs"]);
    forge.tell(Command::Intend { car, branch: Some(branch.clone()) }).unwrap();
    let State::Landing { passage, fence, .. } = forge.car(car).state.clone() else {
        panic!("{:?}", forge.car(car))
    };
    assert_eq!(passage, Passage::Ahead { branch });
    assert_eq!(forge.known(17).moved, ["c".repeat(40)]);
    let reason = "it is protected".to_owned();
    forge.tell(Command::LeaveHead { car, fence, reason }).unwrap();
    forge.tell(Command::ConfirmLanding { car, fence }).unwrap();
    assert!(closing(&forge, 17), "its forge never shows it as merged");
}
