//! What follows from the state, carried out outside of it.
//!
//! A reconciler takes no input: it looks at the committed board and at the
//! world, does what is missing, and tells the board what it found. It runs on a
//! timer and on a nudge, so a lost nudge costs time and nothing else, and a
//! restart is no special path. Everything here may run twice.

mod pulls;
mod seal;
mod tick;
mod train;

pub use self::pulls::{Pulls, PullsError};
pub use self::seal::{Archive, ArchiveError};
pub use self::train::{AtGithub, Train, TrainError};

pub(crate) use self::pulls::{Standing, spread};
pub(crate) use self::seal::{SEGMENT, run as seal};
pub(crate) use self::tick::run as tick;
pub(crate) use self::train::chain;
