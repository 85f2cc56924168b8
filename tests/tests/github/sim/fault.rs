//! Faults that a test plans: an operation that goes wrong at its n-th request.

use super::answer::Answer;

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
}

/// A fault at the `nth` request of an operation, counted from 1 since it was planned.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// `METHOD /template`.
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
}

impl Plan {
    pub(super) fn add(&mut self, fault: Fault) {
        assert!(fault.nth > 0, "requests are counted from 1");
        self.faults.push(fault);
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
    /// What is sent in place of the answer that there would be.
    pub(super) fn instead(&self, answer: Option<Answer>) -> (Answer, Sent) {
        let empty = || Answer::new(502, serde_json::Value::Null);
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
            Self::Truncate => (answer.unwrap_or_else(empty), Sent::Half),
            Self::Drop => (answer.unwrap_or_else(empty), Sent::Not),
        }
    }
}
