//! What the coordinator's watch stream said, as it said it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;

use super::clock::{Deadline, PATIENCE};
use super::{process, programs};

/// The entries so far, from the first one on.
#[derive(Debug, Default)]
struct Book {
    entries: Mutex<Vec<Value>>,
    more: Condvar,
}

/// Follows the watch stream of a coordinator, over restarts of it.
#[derive(Debug, Default)]
pub(crate) struct Events {
    book: Arc<Book>,
    tail: Option<Tail>,
}

#[derive(Debug)]
struct Tail {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Events {
    /// Goes on after the last entry that was seen, at `address`.
    pub(crate) fn follow(&mut self, address: &str, home: &Path) {
        self.leave();
        let after = self.book.entries().last().map_or(0, number);
        let mut command = process::command(programs::coordinator(), home);
        command.args(["events", "tail", "--json", "--after", &after.to_string()]);
        command.args(["--coordinator", address]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the tail starts");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let book = Arc::clone(&self.book);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                book.push(serde_json::from_str(&line).expect("an entry is JSON"));
            }
        });
        self.tail = Some(Tail { child, reader: Some(reader) });
    }

    /// Stops following; what the stream had said by then is kept.
    pub(crate) fn leave(&mut self) {
        self.tail = None;
    }

    /// How many entries there are: where [`Events::wait_from`] may begin.
    pub(crate) fn mark(&self) -> usize {
        self.book.entries().len()
    }

    /// All entries so far.
    pub(crate) fn all(&self) -> Vec<Value> {
        self.book.entries().clone()
    }

    /// Waits for the first entry, of all there ever were, whose event `is` so.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.wait_from(0, what, is)
    }

    /// Waits for the first entry from `mark` on whose event `is` so.
    #[track_caller]
    pub(crate) fn wait_from(&self, mark: usize, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Deadline::after(PATIENCE);
        let mut entries = self.book.entries();
        loop {
            if let Some(found) = entries.iter().skip(mark).find(|entry| is(&entry["event"])) {
                return found.clone();
            }
            assert!(!deadline.is_over(), "no event in {PATIENCE:?}: {what}\n{}", told(&entries));
            let waited = self.book.more.wait_timeout(entries, deadline.left());
            entries = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Book {
    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Value>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, entry: Value) {
        let mut entries = self.entries();
        let expected = entries.last().map_or(1, |last| number(last) + 1);
        assert_eq!(number(&entry), expected, "the stream has no gaps and repeats nothing");
        entries.push(entry);
        self.more.notify_all();
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(Err(panic)) = self.reader.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn number(entry: &Value) -> u64 {
    entry["seq"].as_u64().expect("entries are numbered")
}

/// The last entries, one a line, for a test that failed.
fn told(entries: &[Value]) -> String {
    let last = &entries[entries.len().saturating_sub(30)..];
    let lines: Vec<String> =
        last.iter().map(|entry| format!("{} {}", entry["seq"], entry["event"])).collect();
    lines.join("\n")
}
