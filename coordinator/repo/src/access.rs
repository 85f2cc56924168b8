//! How git is let in at a remote that asks who comes.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Variables of git's environment, by name.
pub type Variables = Vec<(String, String)>;

type Ask = dyn Fn(bool) -> Result<Variables, Box<dyn Error + Send + Sync>> + Send + Sync;

/// What opens a remote's door, asked for each command that goes there.
///
/// What opens the door may end in between, and it never stands on a command line, where everybody
/// on the machine can read it.
#[derive(Clone)]
pub struct Access(Arc<Ask>);

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// The door that `ask` opens: it tells what git's environment must hold for one command, and is
    /// told whether the remote has just refused what it told before.
    pub fn new(
        ask: impl Fn(bool) -> Result<Variables, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn environment(
        &self,
        again: bool,
    ) -> Result<Variables, Box<dyn Error + Send + Sync>> {
        (self.0)(again)
    }
}
