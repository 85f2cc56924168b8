//! Where a pull request stands that is in the train, or was, as people at the forge are told.
//!
//! The train speaks to agents, who submit; here it speaks to people, who push and comment. Not
//! here: what is said of one that is still at the door ([`super::words`]).

use super::words::{Annotation, Light, Reason, quoted};
use crate::gate::{Finding, Place};
use crate::name::GateName;
use crate::policy::Method;
use crate::train::{Car, Ejection, MAX_NAMED, Need, Passage, State};

/// Where a car stands, for its check run.
#[must_use]
pub fn standing(car: &Car, required: &[GateName], method: Method) -> (Light, Reason) {
    let told = |what: String, remedy| Reason { code: car.state.reason(), what, remedy };
    match &car.state {
        State::Queued => (Light::Pending, told(format!("it is in the train as {}", car.id), WAIT)),
        State::Withheld { need } => (Light::Wanted, told(need.to_string(), of_need(need))),
        State::Building { passed, .. } => {
            let open: Vec<&str> =
                required.iter().filter(|it| !passed.contains(*it)).map(GateName::as_str).collect();
            let passed: Vec<&str> = passed.iter().map(GateName::as_str).collect();
            let what = match passed.is_empty() {
                true => format!("to pass: {}", open.join(" ")),
                false => format!("passed: {}; to pass: {}", passed.join(" "), open.join(" ")),
            };
            (Light::Pending, told(what, WAIT))
        }
        State::Ready { candidate } | State::Landing { candidate, .. } => {
            let what = format!("every gate passed on {}", candidate.commit);
            // Where the head itself lands, the forge may want to see it green before.
            let light = if method == Method::Ff { Light::Green } else { Light::Pending };
            (light, told(what, WAIT))
        }
        State::Landed { commit, passage: Passage::Outside, .. } => {
            let what = format!("landed as {commit}; its own commits did not, so it is closed");
            (Light::Green, told(what, "nothing: it is done"))
        }
        State::Landed { commit, .. } => {
            (Light::Green, told(format!("landed as {commit}"), "nothing: it is done"))
        }
        State::Ejected { ejection, .. } => {
            let light = if is_meant(ejection) { Light::Dropped } else { Light::Red };
            (light, told(without_code(ejection), of_ejection(ejection)))
        }
    }
}

/// What each required gate says, a line of Markdown each, and where all of it is told.
#[must_use]
pub fn verdicts(car: &Car, required: &[GateName]) -> Vec<String> {
    let word = |gate: &GateName| match &car.state {
        State::Building { passed, .. } if passed.contains(gate) => "passed",
        State::Queued | State::Withheld { .. } | State::Building { .. } => "to pass",
        State::Ready { .. } | State::Landing { .. } | State::Landed { .. } => "passed",
        State::Ejected { ejection: Ejection::GateFailed { gate: failed, .. }, .. }
            if failed == gate =>
        {
            "failed"
        }
        State::Ejected { ejection: Ejection::ScopeEscape { .. }, .. }
            if gate.as_str() == "scope" =>
        {
            "failed"
        }
        State::Ejected { ejection: Ejection::AnnouncementMissing, .. }
            if gate.as_str() == "announce" =>
        {
            "failed"
        }
        State::Ejected { .. } => "void",
    };
    let gates = required.iter().map(|gate| format!("* {} {}", quoted(gate.as_str()), word(gate)));
    let story = format!("\nThe whole story: `molt-agent why {}`", car.id);
    gates.chain([story]).collect()
}

/// Where in the files the items are that took a car out of the train, of what its run `found`.
#[must_use]
pub fn annotations(car: &Car, found: Option<&Finding>) -> Vec<Annotation> {
    let State::Ejected { ejection: Ejection::GateFailed { gate, red, .. }, .. } = &car.state else {
        return Vec::new();
    };
    // Of more than are named nobody knows which of the others are excused.
    let last = red.last().filter(|_| red.len() == MAX_NAMED);
    let blocks =
        |place: &&Place| red.contains(&place.item) || last.is_some_and(|last| place.item > *last);
    let places = found.into_iter().flat_map(|found| &found.places).filter(blocks);
    let said = |it: &Place| {
        Annotation::new(it.path.clone(), it.line, &format!("{gate}: {}\n{}", it.item, it.says))
    };
    let mut all: Vec<Annotation> = places.map(said).collect();
    all.dedup();
    all
}

const WAIT: &str = "nothing: it is on its way";

/// Whether somebody wanted it to leave.
fn is_meant(ejection: &Ejection) -> bool {
    matches!(
        ejection,
        Ejection::Dequeued | Ejection::Superseded | Ejection::Closed | Ejection::HeadMoved { .. }
    )
}

/// What an ejection says behind its code, which stands apart.
fn without_code(ejection: &Ejection) -> String {
    let text = ejection.to_string();
    let rest = text.strip_prefix(ejection.reason()).unwrap_or(&text).trim_start_matches(": ");
    if rest.is_empty() { "it left the train".to_owned() } else { rest.to_owned() }
}

fn of_need(need: &Need) -> &'static str {
    match need {
        Need::Fork => "a maintainer looks at this head and approves it: nothing runs before",
        Need::Protected { .. } | Need::Unclaimed { .. } => {
            "a maintainer looks at this head and approves it"
        }
        Need::Forge { .. } => "nothing more: it goes on once that is there",
    }
}

fn of_ejection(ejection: &Ejection) -> &'static str {
    match ejection {
        Ejection::ConflictBase { .. } => {
            "merge the base into the branch, resolve and push, then ask again"
        }
        Ejection::GateFailed { class, .. } if class.is_about_the_host() => {
            "the run was interrupted: ask for a retry of the gate"
        }
        Ejection::GateFailed { .. } => "mend what the gate found and push, then ask again",
        Ejection::PolicyChange { .. } => "mend the policy and push, then ask again",
        Ejection::Dequeued | Ejection::Superseded | Ejection::Closed => "nothing: it was meant",
        Ejection::HeadMoved { .. } => "look at the new head, then ask for that one",
        Ejection::Hindered { .. } => "nothing: it enters again once that is mended",
        Ejection::ScopeEscape { .. }
        | Ejection::AnnouncementMissing
        | Ejection::ApprovalMissing { .. }
        | Ejection::Unmergeable { .. } => "mend the cause and push, then ask again",
    }
}
