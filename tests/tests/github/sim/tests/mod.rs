//! The simulator is what it says: tests of itself, by plain HTTP and by the git program.

mod asking;
mod client;
mod landing;
