//! Refusals that fit a response's headers.
//!
//! A status travels in headers, and common HTTP/2 stacks refuse more than
//! 16 KiB of them: a long refusal is told with shorter lists and texts.

use molt_domain::board::{Invalid, Refusal};

use crate::convert::clip;

/// The most that a refusal's JSON takes, in bytes.
const MAX_JSON: usize = 4096;

/// The most that a status's message takes, in bytes: it is sent twice, once percent-encoded.
const MAX_MESSAGE: usize = 1536;

/// How many items of a list and how many bytes of a text are kept; the first that fits.
const CUTS: [(usize, usize); 3] = [(usize::MAX, usize::MAX), (12, 512), (4, 96)];

/// A refusal as JSON and as a message for people, short enough for headers.
pub(super) fn told(refusal: &Refusal) -> (String, String) {
    let cut = |&(items, bytes): &(usize, usize)| {
        let mut refusal = refusal.clone();
        shorten(&mut refusal, items, bytes);
        (json(&refusal), refusal.to_string())
    };
    let mut told = CUTS.iter().map(cut);
    let first = told.next().unwrap_or_default();
    let fits = |(json, _): &(String, String)| json.len() <= MAX_JSON;
    let (json, message) = if fits(&first) { first } else { fitting(told, fits, first) };
    (json, clip(&message, MAX_MESSAGE).to_owned())
}

/// The first that fits, else the last.
fn fitting<T>(mut all: impl Iterator<Item = T>, fits: impl Fn(&T) -> bool, mut last: T) -> T {
    while !fits(&last) {
        match all.next() {
            Some(next) => last = next,
            None => break,
        }
    }
    last
}

fn json(refusal: &Refusal) -> String {
    match serde_json::to_string(refusal) {
        Ok(json) => json,
        Err(error) => unreachable!("refusals have string keys and finite numbers: {error}"),
    }
}

fn shorten(refusal: &mut Refusal, items: usize, bytes: usize) {
    let cut = |text: &mut String| text.truncate(text.floor_char_boundary(bytes));
    match refusal {
        Refusal::ScopeHeld { free, .. } => free.truncate(items),
        Refusal::LockHeld { hold, .. } => {
            if let Some(hold) = hold {
                cut(&mut hold.what);
            }
        }
        Refusal::PoolFull { users, .. } => users.truncate(items),
        Refusal::WaitCycle { cycle: texts } | Refusal::NothingReady { reasons: texts } => {
            texts.truncate(items);
            texts.iter_mut().for_each(cut);
        }
        Refusal::Lost { what: left, reason: right }
        | Refusal::Forbidden { what: left, needs: right }
        | Refusal::Unauthenticated { problem: left, needs: right }
        | Refusal::NotFound { kind: left, name: right, .. } => {
            [left, right].into_iter().for_each(cut);
        }
        Refusal::Closed { reason } | Refusal::Gate { reason, .. } => cut(reason),
        Refusal::FormatTooLow { what, .. } => cut(what),
        Refusal::Stale { what, given, current } => [what, given, current].into_iter().for_each(cut),
        Refusal::Invalid(Invalid::Field { field, problem }) => {
            [field, problem].into_iter().for_each(cut);
        }
        Refusal::NothingNew { .. }
        | Refusal::CursorExpired { .. }
        | Refusal::TaskTaken { .. }
        | Refusal::BuildFailed { .. }
        | Refusal::NoRepo { .. }
        | Refusal::Invalid(Invalid::RequestExpired { .. } | Invalid::RequestReused { .. }) => {}
    }
}
