//! What runs on a machine where agents work.
//!
//! [`cli`] is the program: it reads a command line, asks the coordinator with
//! [`client`] as the [`session`] of this worktree, and prints with [`ui`];
//! [`error`] says how a call ends, [`guard`] answers without a coordinator and
//! [`hooks`] puts it where edits and commits happen.
//! [`run`] is a wrapped command as others see it, [`supervisor`] the small
//! process that owns one, [`wrap`] runs commands under locks, slots and builds,
//! [`daemon`] renews what this host has and runs its jobs, [`gates`] reads what
//! they found, [`ledger`] is what the machine admits at once, and [`clock`] the
//! only place that asks for the time. Not here: the rules of the
//! fleet, which the coordinator decides.

pub mod cli;
pub mod client;
pub mod clock;
pub mod daemon;
pub mod error;
pub mod gates;
pub mod guard;
pub mod hooks;
pub mod ledger;
pub mod run;
pub mod session;
pub mod supervisor;
pub mod ui;
pub mod wrap;
