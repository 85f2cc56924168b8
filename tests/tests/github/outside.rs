//! The product's client at a GitHub that is none of ours: an emulator that others wrote, and GitHub
//! itself where somebody has a repository to spare.
//!
//! The same [`steps`] are taken everywhere, the simulation among them, and come to what GitHub
//! documents; where the emulator is known to be otherwise is one table. A simulation that we wrote
//! from our own beliefs would share them with the product: here somebody else's are asked.
//!
//! `make github-emulator` takes them at the emulator and `make github-sandbox` at GitHub; neither is
//! part of `make test`, which rehearses both at the simulation. The product sets no label, makes and
//! deletes no ref by REST, and compares and reads files by git alone, so no step does.

mod emulator;
mod git;
mod landing;
mod place;
mod sandbox;
mod steps;

use crate::harness::programs;
