//! Webhooks as GitHub has sent them, and as forgers, slow networks and crowds would.
//!
//! They come over sockets, and what they leave behind is what the product marked. No test waits for
//! time to pass: where a sender is to be given up, it waits until it is.

mod bounds;
pub(crate) mod data;
mod forged;
mod heard;
mod sender;
mod service;
pub(crate) mod stand;
