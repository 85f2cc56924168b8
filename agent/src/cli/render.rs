//! Lines that several verbs have in common.

use std::fmt::Write as _;

use molt_proto::v1;

use crate::ui::{Answer, list, plural, short, span};

/// That scopes are held: new, or already.
pub(super) fn granted(verb: &str, claim: &v1::ClaimView, rev: u64) -> Answer {
    let (label, code) = if claim.already { ("held", "held") } else { ("granted", "granted") };
    let life = match claim.until_ms {
        0 => "kept while this session lives".to_owned(),
        until => {
            format!("ends {} after it was granted", span(until.saturating_sub(claim.since_ms)))
        }
    };
    let fence = format!("fence {}", claim.fence);
    let mode = if claim.shared { "shared" } else { "" }.to_owned();
    let answer = Answer::new(verb, code, claim)
        .line(label, [pieces(claim), claim.id.clone(), fence, mode, life])
        .line_if("covers", list(&claim.paths))
        .rev(rev);
    match claim.paths.first() {
        Some(path) => answer.next(format!("molt-agent announce --files {}", word(path))),
        None => answer,
    }
}

/// All that is claimed: the scopes, then the paths beside them.
pub(super) fn pieces(claim: &v1::ClaimView) -> String {
    let all: Vec<&String> = claim.scopes.iter().chain(&claim.globs).collect();
    list(&all)
}

/// How a claim stands, for its holder.
pub(super) fn own_claim(answer: Answer, claim: &v1::ClaimView, now_ms: u64) -> Answer {
    let label = if claim.state == "held" { "holds" } else { claim.state.as_str() };
    let stands = match claim.state.as_str() {
        "waiting" => format!("{} ahead", claim.ahead),
        _ => left(claim.until_ms, now_ms),
    };
    let offer = match claim.offered_to.as_str() {
        "" => String::new(),
        to => format!("offered to {to}"),
    };
    answer.line(label, [pieces(claim), claim.id.clone(), stands, offer])
}

/// A claim that its holder offers.
pub(super) fn offered(answer: Answer, claim: &v1::ClaimView, now_ms: u64) -> Answer {
    let (by, ends) = (format!("by {}", claim.holder), left(claim.offer_until_ms, now_ms));
    answer.line("offer", [&pieces(claim), &claim.id, &by, &ends, &claim.offer_note])
}

/// How long something lasts yet; empty when it has no end.
pub(super) fn left(until_ms: u64, now_ms: u64) -> String {
    match until_ms {
        0 => String::new(),
        until => format!("{} left", span(until.saturating_sub(now_ms))),
    }
}

/// A task on one line.
pub(super) fn task(task: &v1::TaskView) -> [String; 5] {
    let scopes = list(&task.scopes);
    [
        task.id.clone(),
        task.state.clone(),
        task.title.clone(),
        task.holder.clone(),
        if scopes.is_empty() { scopes } else { format!("[{scopes}]") },
    ]
}

/// What was said of a task by those who had it: the last report, why it was given back, and what
/// came too late.
pub(super) fn said_of_task(
    answer: Answer,
    (report, left, notes): (&str, &str, &[String]),
) -> Answer {
    let answer = answer.line_if("report", report).line_if("left", left);
    notes.iter().fold(answer, |answer, note| answer.line("late", [note]))
}

/// A change on one line.
pub(super) fn car(car: &v1::CarView) -> [String; 5] {
    [
        car.id.clone(),
        car.state.clone(),
        short(&car.head).to_owned(),
        car.agent.clone(),
        car.title.clone(),
    ]
}

/// A gate on one line.
pub(super) fn gate(gate: &v1::GateView) -> [String; 6] {
    let mut counts = String::new();
    if gate.green + gate.red > 0 {
        // Writing to a string does not fail.
        let _written = write!(counts, "{} green, {} red", gate.green, gate.red);
    }
    [
        gate.gate.clone(),
        gate.state.clone(),
        counts,
        gate.note.clone(),
        gate.host.clone(),
        gate.job.clone(),
    ]
}

/// Who uses a lock, slot or build, on one line.
pub(super) fn hold(hold: &v1::HoldView) -> [String; 5] {
    let what = if hold.what.is_empty() { String::new() } else { format!("`{}`", hold.what) };
    [hold.of.clone(), hold.holder.clone(), hold.host.clone(), what, hold.id.clone()]
}

/// `3 claims held`, for a line of counts.
pub(super) fn count(count: u32, one: &str) -> String {
    plural(count as usize, one)
}

/// A text as one word of a shell.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,#".contains(c);
    if !text.is_empty() && !text.starts_with('#') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> v1::ClaimView {
        v1::ClaimView {
            id: "clm_7f3k".to_owned(),
            scopes: vec!["runtime".to_owned()],
            paths: vec!["runtime/**".to_owned(), "include/molt/**".to_owned()],
            fence: "48213".to_owned(),
            state: "held".to_owned(),
            ..v1::ClaimView::default()
        }
    }

    #[test]
    fn a_grant_reads_as_in_the_manual() {
        let answer = granted("claim", &claim(), 48213);
        assert_eq!(
            answer.text(),
            "granted  runtime  clm_7f3k  fence 48213  kept while this session lives\n\
             covers   runtime/** include/molt/**\n\
             next     molt-agent announce --files 'runtime/**'\n"
        );
        let document: serde_json::Value = serde_json::from_str(&answer.json()).unwrap();
        assert_eq!(document["schema"], "molt.claim/1");
        assert_eq!(document["data"]["scopes"][0], "runtime");
        assert_eq!(document["rev"], 48213);
    }

    #[test]
    fn holding_it_already_is_success() {
        let answer = granted("claim", &v1::ClaimView { already: true, ..claim() }, 1);
        assert!(answer.text().starts_with("held     runtime  clm_7f3k"));
        assert_eq!(answer.exit().code(), 0);
    }

    #[test]
    fn a_claim_with_an_end_says_when() {
        let ending = v1::ClaimView { since_ms: 1_000, until_ms: 601_000, ..claim() };
        let text = granted("claim", &ending, 1).text();
        assert!(text.contains("ends 10m after it was granted"), "{text}");
        let status = own_claim(Answer::new("status", "ok", ()), &ending, 541_000).text();
        assert_eq!(status, "holds    runtime  clm_7f3k  1m left\n");
    }

    #[test]
    fn words_survive_a_shell() {
        let table = [("runtime/vm.rs", "runtime/vm.rs"), ("runtime/**", "'runtime/**'")];
        for (text, quoted) in table {
            assert_eq!(word(text), quoted);
        }
        assert_eq!(word("it's"), "'it'\\''s'");
        assert_eq!(word(""), "''");
    }
}
