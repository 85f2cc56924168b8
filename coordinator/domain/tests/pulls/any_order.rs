//! Whatever is read in whatever order and however often: what holds of heads, looks and comments.

use std::collections::BTreeMap;

use molt_domain::board::{Caller, Command, Event};
use molt_domain::gate::Class;
use molt_domain::pull::{Heard, Left, PullKey, Right};
use molt_domain::train::{Need, Origin, State};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::desk::{Forge, comment, entry, head, repo};
use super::interrupt;

const TEXTS: [&str; 7] = [
    "@molt land",
    "@molt cancel",
    "@molt approve head I read it",
    "@molt approve head I read it\n\n@molt land",
    "@molt land\n\n@molt priority 1",
    "@molt why",
    "thank you",
];

const RIGHTS: [Right; 3] = [Right::Read, Right::Write, Right::Maintain];

/// The pull requests: one of the repository itself, one of a fork.
const OWN: u64 = 17;
const FORK: u64 = 18;

#[derive(Debug, Clone)]
enum Step {
    See { number: u64, head: u8 },
    Hear { number: u64, id: u64, text: usize, right: usize },
    Enter { number: u64, head: u8, comment: Option<u64> },
    Leave { number: u64, why: Left },
    Interrupt { number: u64 },
    Retry { number: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let number = || prop_oneof![Just(OWN), Just(FORK)];
    let left = prop_oneof![
        Just(Left::Closed),
        Just(Left::Withdrawn),
        Just(Left::Hindered { code: "building".to_owned(), what: "x".to_owned() }),
    ];
    prop_oneof![
        3 => (number(), 1u8..4).prop_map(|(number, head)| Step::See { number, head }),
        6 => (number(), 95u64..120, 0..TEXTS.len(), 0..RIGHTS.len())
            .prop_map(|(number, id, text, right)| Step::Hear { number, id, text, right }),
        4 => (number(), 1u8..4, proptest::option::of(95u64..120))
            .prop_map(|(number, head, comment)| Step::Enter { number, head, comment }),
        1 => (number(), left).prop_map(|(number, why)| Step::Leave { number, why }),
        1 => number().prop_map(|number| Step::Interrupt { number }),
        1 => number().prop_map(|number| Step::Retry { number }),
    ]
}

fn origin(number: u64) -> Origin {
    if number == FORK { Origin::Fork("eve/molt".to_owned()) } else { Origin::Own }
}

/// Does a step at a second; what is refused changes nothing.
fn take(forge: &mut Forge, at: u64, step: Step) -> Vec<Event> {
    let repo = repo();
    match step {
        Step::See { number, head: digit } => forge.see_of(number, &head(digit), at, origin(number)),
        Step::Hear { number, id, text, right } => {
            let heard = Heard { right: RIGHTS[right], ..comment(id, at, TEXTS[text]) };
            forge.hear(number, heard)
        }
        Step::Enter { number, head: digit, comment } => {
            let entry = entry(&head(digit), comment);
            told(forge, Command::EnterPull { repo, number, entry })
        }
        Step::Leave { number, why } => told(forge, Command::LeavePull { repo, number, why }),
        Step::Interrupt { number } => {
            let cars = forge.open_cars(number);
            let runs = cars.iter().find(|car| car.state == State::Queued);
            let car = runs.map(|car| car.id);
            car.into_iter().for_each(|car| interrupt(forge, car, Class::Killed));
            Vec::new()
        }
        Step::Retry { number } => {
            let key = PullKey::of(&repo, number);
            let known = forge.world.board.tables().pulls.get(&key);
            let car = known.and_then(|known| known.entered.as_ref()).map(|entered| entered.car);
            if let Some(car) = car {
                let operator = Caller::Operator("pat".to_owned());
                // Refused unless it may come back, which is what is looked at afterwards.
                drop(forge.world.ask(operator, Command::Retry { car }));
            }
            Vec::new()
        }
    }
}

fn told(forge: &mut Forge, command: Command) -> Vec<Event> {
    forge.tell(command).map(|(_, events)| events).unwrap_or_default()
}

/// That every car on its way has the head now, and a fork's has somebody's look of it.
fn check(forge: &Forge) -> Result<(), TestCaseError> {
    for number in [OWN, FORK] {
        let open = forge.open_cars(number);
        prop_assert!(open.len() <= 1, "{open:?}");
        for car in open {
            let known = forge.known(number);
            prop_assert_eq!(&car.head, known.head().as_str());
            let looked = known
                .looked
                .iter()
                .any(|look| look.head.as_str() == car.head && look.right >= Right::Maintain);
            let runs = car.state != State::Withheld { need: Need::Fork };
            prop_assert!(looked || !runs || number == OWN, "{car:?} of {known:?}");
            prop_assert!(looked || car.approval.is_none(), "{car:?} of {known:?}");
        }
    }
    Ok(())
}

/// The comment that an event carries out.
fn comment_of(event: &Event) -> Option<u64> {
    match event {
        Event::PullAsked { comment, .. }
        | Event::PullCancelled { comment, .. }
        | Event::CommentAnswered { comment, .. } => Some(*comment),
        Event::PullLooked { look, .. } => Some(look.comment),
        _ => None,
    }
}

proptest! {
    #[test]
    fn no_approval_outlives_its_head_and_no_comment_counts_twice(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut forge = Forge::new();
        let mut heard: BTreeMap<u64, usize> = BTreeMap::new();
        for (at, step) in steps.into_iter().enumerate() {
            let cursor = forge.desk().comment;
            let events = take(&mut forge, 2 * at as u64, step);
            for id in events.iter().filter_map(comment_of) {
                prop_assert!(id > cursor && forge.desk().comment == id, "{id} after {cursor}");
                let first = *heard.entry(id).or_insert(at);
                prop_assert_eq!(first, at, "heard before");
            }
            check(&forge)?;
        }
    }
}
