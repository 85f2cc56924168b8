//! Faults that a test plans: an operation that goes wrong at its n-th request.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::answer::{self, Answer, Refusal};

/// How long a gate or a request at it is waited for before the test has gone wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before or after the operation had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

/// What the client gets in place of the answer.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Another status with a message and headers.
    Status { status: u16, message: &'static str, headers: Vec<(&'static str, String)> },
    /// A page of a proxy, with 502.
    Html,
    /// The connection ends within the body.
    Truncate,
    /// The connection ends before the body.
    Drop,
    /// A read answers what it would have answered so many changes ago.
    Stale { changes: usize },
    /// The answer comes once the gate is open.
    Held(Gate),
}

impl Kind {
    /// Too many requests in this hour: nothing is left until so many seconds since 1970.
    pub(crate) fn primary_limit(status: u16, reset: u64) -> Self {
        let headers = vec![
            ("X-RateLimit-Remaining", "0".to_owned()),
            ("X-RateLimit-Reset", reset.to_string()),
        ];
        Self::Status { status, message: answer::PRIMARY.message, headers }
    }

    /// Too much at once; GitHub doesn't always say for how long to wait.
    pub(crate) fn secondary_limit(status: u16, retry_after: Option<u64>) -> Self {
        let headers = retry_after.map(|seconds| ("Retry-After", seconds.to_string()));
        let headers = headers.into_iter().collect();
        Self::Status { status, message: answer::SECONDARY.message, headers }
    }
}

/// What a request waits at until the test lets it go, however long that is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<Passage>, Condvar)>);

#[derive(Debug, Default)]
struct Passage {
    arrived: bool,
    open: bool,
}

impl Gate {
    /// Lets go who waits and who will come.
    pub(crate) fn open(&self) {
        self.set(|passage| passage.open = true);
    }

    /// Returns once somebody waits at it.
    pub(crate) fn arrived(&self) {
        self.wait(|passage| passage.arrived);
    }

    pub(super) fn pass(&self) {
        self.set(|passage| passage.arrived = true);
        self.wait(|passage| passage.open);
    }

    fn set(&self, change: impl FnOnce(&mut Passage)) {
        change(&mut self.0.0.lock().expect("no change of a passage panics"));
        self.0.1.notify_all();
    }

    fn wait(&self, until: impl Fn(&Passage) -> bool) {
        let passage = self.0.0.lock().expect("no change of a passage panics");
        let waited = self.0.1.wait_timeout_while(passage, PATIENCE, |passage| !until(passage));
        let timed_out = waited.expect("no change of a passage panics").1.timed_out();
        assert!(!timed_out, "nothing happened at a gate for {}s", PATIENCE.as_secs());
    }
}

/// A fault at the `nth` request of an operation, counted from 1 since it was planned.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// `METHOD /template`; what git's own protocol asks for is `git-upload-pack` for a fetch and
    /// `git-receive-pack` for a push. With ` completed` behind it, it is a request that says that a
    /// check run is over, with ` annotated` one that says something at lines of files.
    pub(crate) operation: &'static str,
    pub(crate) nth: u64,
    pub(crate) when: When,
    pub(crate) kind: Kind,
}

/// How the body of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole,
    Half,
    Not,
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    faults: Vec<Fault>,
    /// All gates there were, to be opened when the simulator goes.
    gates: Vec<Gate>,
}

impl Plan {
    pub(super) fn add(&mut self, fault: Fault) {
        assert!(fault.nth > 0, "requests are counted from 1");
        match &fault.kind {
            Kind::Stale { .. } => {
                assert!(fault.operation.starts_with("GET "), "a read alone is stale");
            }
            Kind::Held(gate) => self.gates.push(gate.clone()),
            _ => {}
        }
        self.faults.push(fault);
    }

    pub(super) fn open_gates(&self) {
        self.gates.iter().for_each(Gate::open);
    }

    /// Counts a request, and says what goes wrong with it.
    pub(super) fn next(&mut self, operation: &str) -> Option<Fault> {
        let mut due = None;
        for (index, fault) in self.faults.iter_mut().enumerate() {
            if fault.operation == operation {
                fault.nth -= 1;
                if fault.nth == 0 {
                    due = due.or(Some(index));
                }
            }
        }
        let due = due.map(|index| self.faults.remove(index));
        self.faults.retain(|fault| fault.nth > 0);
        due
    }
}

impl Kind {
    /// What is sent in place of the answer that there would be, which is not there if the fault
    /// came first.
    pub(super) fn instead(&self, answer: Option<Answer>) -> (Answer, Sent) {
        let there = answer.unwrap_or_else(|| Answer::new(502, serde_json::Value::Null));
        match self {
            Self::Status { status, message, headers } => {
                let body = serde_json::json!({ "message": message });
                let mut answer = Answer::new(*status, body);
                answer.headers = headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect();
                (answer, Sent::Whole)
            }
            Self::Html => {
                (Answer::new(502, "<html><body>Unicorn!</body></html>".into()), Sent::Whole)
            }
            Self::Truncate => (there, Sent::Half),
            Self::Drop => (there, Sent::Not),
            Self::Stale { .. } | Self::Held(_) => (there, Sent::Whole),
        }
    }

    /// Whether the operation is carried out although the fault comes before it.
    pub(super) fn lets_through(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::Held(_))
    }
}

impl Refusal {
    /// The refusal as an answer that says for how long to wait.
    pub(super) fn after(self, seconds: u64) -> Answer {
        let mut answer = Answer::from(self);
        answer.headers.push(("Retry-After".to_owned(), seconds.to_string()));
        answer
    }
}
