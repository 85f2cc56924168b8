//! What the watch stream says, as it says it; waiting for something to be said.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::error::DemoError;
use super::tell::Teller;
use crate::clock;

/// The longest time without a look at what no event announces: an ended process, a file.
const LOOK: Duration = Duration::from_millis(20);

/// One entry of the stream.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// As it came.
    pub(super) raw: String,
    /// What happened.
    pub(super) event: Value,
    /// Its number.
    pub(super) seq: u64,
}

impl Entry {
    /// Whether this happened.
    pub(super) fn is(&self, what: &str) -> bool {
        self.event["what"] == what
    }

    /// A text of the event.
    pub(super) fn text(&self, key: &str) -> &str {
        self.event[key].as_str().unwrap_or_default()
    }
}

/// All that was said so far. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    entries: Vec<Entry>,
    interrupted: bool,
    teller: Teller,
}

impl Watch {
    pub(super) fn new() -> Self {
        let state = State { entries: Vec::new(), interrupted: false, teller: Teller::new() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked holding it left whole entries behind.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something beside the stream.
    pub(super) fn say(&self, label: &str, text: &str) {
        self.state().teller.line(label, text);
    }

    /// All entries so far.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.state().entries.clone()
    }

    /// The number of the last entry.
    pub(super) fn last(&self) -> u64 {
        self.state().entries.last().map_or(0, |entry| entry.seq)
    }

    /// Follows the stream from the last entry on, until it ends.
    pub(super) fn follow(&self, mut tail: Command) -> Result<Child, DemoError> {
        tail.args(["events", "tail", "--json", "--after"]).arg(self.last().to_string());
        let start = |source| DemoError::Start { program: "events tail".to_owned(), source };
        let mut child = tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(start)?;
        let Some(out) = child.stdout.take() else { unreachable!("its output is a pipe") };
        let watch = self.clone();
        std::thread::spawn(move || {
            for raw in BufReader::new(out).lines().map_while(Result::ok) {
                watch.hear(raw);
            }
        });
        Ok(child)
    }

    fn hear(&self, raw: String) {
        // A line that was cut off by a kill is told again by the next stream.
        let Ok(mut whole) = serde_json::from_str::<Value>(&raw) else { return };
        let mut state = self.state();
        let seq = whole["seq"].as_u64().unwrap_or_default();
        if state.entries.last().is_some_and(|last| last.seq >= seq) {
            return;
        }
        let event = whole["event"].take();
        state.teller.hear(&event);
        state.entries.push(Entry { raw, event, seq });
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until `look` finds something, `bound` at most. It is asked after every entry,
    /// and every now and then.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        bound: Duration,
        mut look: impl FnMut(&[Entry]) -> Result<Option<T>, DemoError>,
    ) -> Result<T, DemoError> {
        let until = clock::boottime() + bound;
        let mut state = self.state();
        loop {
            if state.interrupted {
                return Err(DemoError::Interrupted);
            }
            if let Some(found) = look(&state.entries)? {
                return Ok(found);
            }
            if clock::boottime() >= until {
                let last = state.entries.iter().rev().take(4).rev();
                let last = last.map(|entry| entry.event.to_string()).collect::<Vec<_>>().join("; ");
                return Err(DemoError::Late { what: what.to_owned(), bound, last });
            }
            let waited = self.shared.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the first entry after number `after` that is `what` and for which `which` holds.
    pub(super) fn event(
        &self,
        what: &str,
        after: u64,
        bound: Duration,
        which: impl Fn(&Entry) -> bool,
    ) -> Result<Entry, DemoError> {
        self.wait(what, bound, |entries| {
            let later = entries.iter().filter(|entry| entry.seq > after);
            Ok(later.into_iter().find(|entry| entry.is(what) && which(entry)).cloned())
        })
    }

    /// Waits until `count` entries after number `after` are `what` and `which` holds for them.
    pub(super) fn events(
        &self,
        (what, count): (&str, usize),
        after: u64,
        bound: Duration,
        which: impl Fn(&Entry) -> bool,
    ) -> Result<(), DemoError> {
        self.wait(&format!("{count} times {what}"), bound, |entries| {
            let hits =
                entries.iter().filter(|entry| entry.seq > after && entry.is(what) && which(entry));
            Ok((hits.count() >= count).then_some(()))
        })
    }
}

/// Lets every wait end when the program is asked to stop.
pub(super) fn heed_signals(watch: &Watch) -> Result<(), DemoError> {
    let failed = |source| DemoError::Start { program: "the signals' thread".to_owned(), source };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let _entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    drop(_entered);
    let watch = watch.clone();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        watch.state().interrupted = true;
        watch.shared.changed.notify_all();
    });
    Ok(())
}
