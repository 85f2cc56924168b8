//! How git is let in at a remote that asks who comes.

use crate::ForgeError;

/// Variables of git's environment, by name.
pub type Variables = Vec<(String, String)>;

/// What opens a remote's door.
///
/// It is asked for each command that goes to the remote, since what opens the door may end in
/// between. It never stands on a command line, where everybody on the machine can read it.
pub trait Access: Send + Sync + std::fmt::Debug {
    /// What git's environment must hold for one command. `again` says that the remote has just
    /// refused what was given before.
    ///
    /// # Errors
    ///
    /// Nothing that opens the door is to be had; the command is not run then.
    fn environment(&self, again: bool) -> Result<Variables, ForgeError>;
}
