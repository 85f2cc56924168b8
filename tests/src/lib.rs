//! What the tests of the whole product share: the programs under test, scratch
//! folders, and the independent checkers that read only what the product left.
//!
//! Not here: tests of one room's rules, which live in that room's crate.

pub mod verify;
