//! The service: owns the board while it leads, answers calls, carries out what follows.
//!
//! Data flows one way: [`rpc`] converts a call into a request, [`engine`]
//! decides and commits it, [`reconcile`] carries out what the committed state
//! calls for; [`lead`] says whether that happens here or elsewhere. A hosted
//! forge says through [`webhooks`] what is worth another look. Not here: the
//! rules (`molt-domain`), storage (`molt-store`), git (`molt-repo`,
//! `molt-forge`).

pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod fault;
#[cfg(test)]
mod fixture;
pub mod github;
pub mod lead;
pub mod policy;
pub mod reconcile;
pub mod rpc;
pub mod serve;
pub mod store_place;
pub mod telemetry;
pub mod transfer;
pub mod webhooks;
