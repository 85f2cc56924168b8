//! What the App signs with: a key that is gone, and clocks that differ.

use std::time::Duration;

use super::operation::TOKEN;
use super::program::Program;
use super::stand::{OPEN, Stand};
use crate::sim::{Entry, NEXT_KEY};

/// How far a clock may be off, and more than a token lasts.
const OFF: Duration = Duration::from_mins(10);

fn is_refused(entry: &&Entry) -> bool {
    entry.status == 401
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_key_that_is_gone_nothing_lands_and_with_a_new_one_it_goes_on() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    let program = Program::start(&stand).await;
    stand.github.replace_key();
    let before = stand.github.journal().len();
    stand.ask(number, "mona");
    let told = "will try again phase=\"train\"";
    let also = "will try again phase=\"pulls\"";
    stand.until("it is logged", |stand| stand.logged(told) > 0).await;
    let tries = |stand: &Stand| {
        let journal = stand.github.journal().split_off(before);
        journal.iter().filter(|entry| entry.operation == TOKEN).filter(is_refused).count()
    };
    let first = tries(&stand);
    stand.until("it tries again", |stand| tries(stand) >= first + 6).await;
    assert_eq!((stand.logged(told), stand.logged(also)), (1, 1), "once for as long as it is so");
    let journal = stand.github.journal().split_off(before);
    let at = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.at);
    let seconds = at(journal.last()) - at(journal.first()) + 1;
    assert!(journal.len() as u64 <= 2 * seconds, "{} in {seconds} s", journal.len());
    assert_eq!((stand.main(), stand.checks(number).len()), (base, 0));
    program.kill();
    stand.sign_with(NEXT_KEY);
    let again = Program::start(&stand).await;
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    again.kill();
}

/// A change lands, with no more tokens refused than it takes to learn what time it is.
async fn lands_by_githubs_clock(mut stand: Stand) {
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.serve().await;
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    let journal = stand.github.journal();
    let refused = journal.iter().filter(is_refused).count();
    assert!(refused > 0, "the clocks do not differ");
    assert!(refused <= 2, "{refused} were refused");
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_behind_githubs_is_no_trouble() {
    let stand = Stand::new(OPEN);
    stand.github.advance_clock(OFF);
    lands_by_githubs_clock(stand).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_of_githubs_is_no_trouble() {
    let stand = Stand::new(OPEN);
    stand.github.set_clock_back(OFF);
    lands_by_githubs_clock(stand).await;
}
