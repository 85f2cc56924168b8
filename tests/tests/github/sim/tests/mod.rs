//! The simulator is what it says: tests of itself, by plain HTTP and by the git program.

mod asking;
mod bugs;
mod client;
mod faults;
mod guards;
mod hooks;
mod landing;
mod limits;
mod receiver;
mod shapes;
mod stories;
