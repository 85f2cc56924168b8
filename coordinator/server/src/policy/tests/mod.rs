//! Policies as people write them, good and broken, and as they are proposed.

mod broken;
mod good;
mod on_disk;
mod proposed;
mod random;
