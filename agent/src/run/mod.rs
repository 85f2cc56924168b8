//! A run: one wrapped command or job, as everybody but its supervisor sees it.
//!
//! A run is a folder `<state>/runs/<run-id>/`. What is asked for is in
//! `spec.json`, who supervises it in `supervisor.json`, how it ended in
//! `exit.json`; while it lives, its supervisor answers on a socket. Whoever has
//! the folder can follow, stop or adopt the run: there is no other tie between
//! a run and the program that started it.
//!
//! [`spec`] and [`environment`] say what to run and [`sources`] on what, [`record`] how it went,
//! [`folder`] where that is written, [`mod@log`] what it said. [`client`] speaks
//! [`wire`] to the supervisor, [`mod@reap`] cleans up after one that was killed,
//! and [`process`] and [`tree`] know processes and the processes of a run.
//! Not here: the supervisor itself, and what the machine admits.

pub mod client;
pub mod environment;
pub mod folder;
pub mod log;
pub mod process;
pub mod reap;
pub mod record;
pub mod sources;
pub mod spec;
pub mod tree;
pub mod wire;

pub use client::{Run, RunError, Standing, list};
pub use environment::{DEFAULT_ALLOW, scrubbed_environment};
pub use folder::{FileError, RunFolder};
pub use log::{LogLine, Stream};
pub use process::{Ancestor, ProcessIdentity, ancestors, nearest_agent_root};
pub use reap::{ReapError, is_over, reap};
pub use record::{Class, ExitRecord, Status};
pub use sources::Sources;
pub use spec::{Argv, InvalidSpec, Limits, Phase, RunId, RunSpec, RunUser};
pub use wire::{Report, RunState};
