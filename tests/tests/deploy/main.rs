//! What deploys the programs is sound, as far as that shows without systemd, Docker or Kubernetes.
//!
//! Each unit, service and manifest is read and held against the others, and each of its command
//! lines is given to the real program. A check is a function from the tree of files to complaints:
//! the tree as it is has none, and a tree with a planted fault has the one that is expected. Not
//! here: whether the engines do what they are told.

#![expect(clippy::expect_used, reason = "a test: what it expects of its own files and programs")]

mod command;
mod compose;
mod dockerfile;
mod emulator;
mod etcd;
mod github;
mod kubernetes;
mod launchd;
mod objects;
mod operations;
mod page;
#[path = "../e2e/harness/programs.rs"]
mod programs;
mod shape;
mod systemd;
mod tree;
mod unit;
