//! The service: owns the board while it leads, answers calls, carries out what follows.
//!
//! Data flows one way: [`rpc`] converts a call into a request, [`engine`]
//! decides and commits it, [`reconcile`] carries out what the committed state
//! calls for. Not here: the rules (`molt-domain`), storage (`molt-store`), git
//! (`molt-repo`, `molt-forge`).

pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod engine;
pub mod policy;
pub mod reconcile;
pub mod rpc;
pub mod serve;
pub mod telemetry;
