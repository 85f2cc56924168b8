//! A fleet under faults: real etcds, several coordinators, hosts that can be cut off, frozen and
//! killed, under a steady load of everything that the product grants.
//!
//! * [`net`], [`service`], [`site`], [`scene`]: where processes are and what is done to them;
//!   [`clocks`], [`disk`], [`operator`]: what they tell the time by, write to, and who looks after
//!   their etcds; [`random`] says when.
//! * [`load`], [`worker`]: agents at work, and the journals that holders write themselves.
//! * `checker`: that the check of the journals and the audit can fail.
//! * `leader`, `late`, `store`, `machines`, `fence`: the faults; [`sleep`] and [`full`] make some
//!   of theirs.
//!
//! Each run prints its seed, is bounded in time, and is invalid when too little happened in it.
//! Not here: the check itself (`molt_tests::verify::fleet`), and one machine's life without
//! faults (`e2e`).

#![expect(clippy::expect_used, reason = "a broken fixture is a failed test")]
#![expect(clippy::print_stdout, reason = "a run says its seed and its numbers")]

#[path = "../e2e/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with e2e, which uses all of it")]
mod harness;

mod clocks;
mod disk;
mod full;
mod load;
mod net;
mod operator;
mod random;
mod scene;
mod service;
mod site;
mod sleep;
mod worker;

mod checker;
mod fence;
mod late;
mod leader;
mod machines;
mod store;
