//! What a hook is told on stdin, within bounds.

use std::io::{IsTerminal, Read};
use std::sync::mpsc;
use std::time::Duration;

use crate::error::Error;

/// The longest text, in bytes: it has all that a tool is about to write.
const MAX_LENGTH: u64 = 32 << 20;

/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// All of stdin, within bounds of size and time.
pub(super) fn all() -> Result<Vec<u8>, Error> {
    let unread = |problem: String| Error::Precondition { problem };
    if std::io::stdin().is_terminal() {
        return Err(unread("a hook is told on stdin what it is about".to_owned()));
    }
    let (sender, receiver) = mpsc::channel();
    // It ends with the process where stdin never does.
    std::thread::spawn(move || {
        let mut told = Vec::new();
        let read = std::io::stdin().lock().take(MAX_LENGTH + 1).read_to_end(&mut told);
        // Nobody listens any more where it came too late.
        let _late = sender.send(read.map(|_| told));
    });
    let told = match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => return Err(unread(format!("cannot read stdin: {error}"))),
        Err(_) => return Err(unread(format!("stdin did not end within {PATIENCE:?}"))),
    };
    if told.len() as u64 > MAX_LENGTH {
        return Err(unread(format!("stdin is longer than {MAX_LENGTH} bytes")));
    }
    Ok(told)
}
