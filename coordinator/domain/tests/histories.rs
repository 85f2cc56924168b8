//! Random histories of a fleet: what the design promises holds after every command.
//!
//! `HISTORY_SEED` and `HISTORY_COMMANDS` try another run; a failure prints its seed.

#[expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "a room that two tests share; it stops at what it did not expect"
)]
mod fleet;

use std::panic::resume_unwind;
use std::thread;

use fleet::tally::Tally;

/// Histories side by side, each with its own seed.
const HISTORIES: u64 = 8;
/// Commands of all histories together.
const COMMANDS: usize = 100_000;
/// Each kind of command is accepted, and refused, at least so often in a hundred tries.
const LEAST_PERCENT: usize = 5;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn every_history_keeps_every_promise() {
    let seed = setting("HISTORY_SEED", 0x6d6f_6c74);
    let commands = setting("HISTORY_COMMANDS", COMMANDS as u64) as usize / HISTORIES as usize;
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let plays: Vec<_> =
            (0..HISTORIES).map(|n| scope.spawn(move || fleet::play(seed + n, commands))).collect();
        for play in plays {
            match play.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(one) => tally.add(&one),
                Err(failure) => panic!("{failure}"),
            }
        }
    });
    println!("seed {seed:#x}, {} commands\n{tally}", tally.total());
    assert_eq!(tally.commands.len(), 62, "kinds of command that were tried, and what hosts tell");
    let extended = tally.events.get("extended").copied().unwrap_or_default();
    assert!(extended * 4_000 >= tally.total(), "only {extended} had signs of life\n{tally}");
    let often = tally.takeovers * 2_000 >= tally.total();
    assert!(often, "only {} takeovers of the lead", tally.takeovers);
    assert!(tally.events.contains_key("landed"), "no change landed\n{tally}");
    assert_eq!(tally.rare(LEAST_PERCENT), Vec::<String>::new(), "kinds that were hardly tried");
}
