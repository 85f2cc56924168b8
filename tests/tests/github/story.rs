//! The whole coordinator at the simulated GitHub: what people do there, and what comes of it.
//!
//! The coordinator runs in the test's own process, or as a program where it is killed, and lands for
//! real, in repositories that real git serves. Nobody waits for a moment: a story waits until
//! something is so, and for nothing else.

mod agent;
mod asking;
mod crash;
mod demo;
mod failing;
mod faults;
mod heads;
mod host;
mod index;
mod key;
mod lacking;
mod landing;
mod load;
mod many;
mod opening;
mod operation;
mod overriding;
mod personal;
mod program;
mod races;
mod renamed;
mod retrying;
mod rows;
mod rules;
mod secrets;
mod seen;
mod stacks;
mod stand;
mod submit;
mod webhooks;
mod words;

use crate::harness;
