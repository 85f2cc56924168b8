//! Real git, a bare repository as remote: publishing, landing, fencing.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails the test")]

mod access;
mod declined;
mod fixture;
mod heads;
mod landing;
mod leader;
mod lost;
mod publishing;
