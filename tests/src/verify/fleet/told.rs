//! Messages: invariant 10, and that nobody is told anything twice or after the end.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Report;
use super::board::{Event, Place};

#[derive(Debug, Default)]
pub(super) struct Told {
    /// The epochs of sessions that came back; of the others it is 1.
    epochs: BTreeMap<String, u64>,
    left: BTreeSet<String>,
    sent: BTreeSet<String>,
    /// What each session was told, in order.
    inboxes: BTreeMap<String, Vec<String>>,
    /// Tasks with the sessions that have them.
    holders: BTreeMap<String, String>,
    /// How many of them it took.
    taken: BTreeMap<String, usize>,
}

impl Told {
    pub(super) fn take(&mut self, place: Place, event: &Event, report: &mut Report) {
        match event {
            Event::Resumed { session, epoch } => {
                self.epochs.insert(session.clone(), *epoch);
            }
            Event::Left { session } => {
                self.left.insert(session.clone());
                self.inboxes.remove(session);
            }
            Event::Sent { message, from, epoch, to } => {
                if let Some(from) = from {
                    self.of_current_epoch(place, (from, *epoch), message, report);
                }
                self.sent(place, message, to, report);
            }
            Event::TaskTaken { task, session, .. } => {
                self.holders.insert(task.clone(), session.clone());
            }
            Event::HandedOver { to, task: Some(task), .. } => {
                self.holders.insert(task.clone(), to.clone());
            }
            Event::TaskReturned { task } | Event::TaskEnded { task } => {
                self.holders.remove(task);
            }
            Event::Reported { about, session, epoch } => {
                self.of_current_epoch(place, (session, Some(*epoch)), "a report", report);
                self.reported(place, about, session, report);
            }
            Event::InboxRead { session, upto } => self.read(place, session, upto, report),
            _ => {}
        }
    }

    /// Invariant 10: what an older epoch says is refused.
    pub(super) fn of_current_epoch(
        &self,
        place: Place,
        (session, epoch): (&str, Option<u64>),
        what: &str,
        report: &mut Report,
    ) {
        let current = self.epochs.get(session).copied().unwrap_or(1);
        if epoch != Some(current) {
            let seq = place.seq;
            report.violation(format!(
                "audit {seq}: {what} is of epoch {epoch:?} of {session}, which is at {current}"
            ));
        }
    }

    fn sent(&mut self, place: Place, message: &str, to: &[String], report: &mut Report) {
        let seq = place.seq;
        if !self.sent.insert(message.to_owned()) {
            report.violation(format!("audit {seq}: {message} was sent twice"));
        }
        for session in to {
            if self.left.contains(session) {
                report.violation(format!("audit {seq}: {message} is for {session}, which left"));
            }
            self.inboxes.entry(session.clone()).or_default().push(message.to_owned());
        }
    }

    /// Invariant 10: who has a task reports of it.
    fn reported(&self, place: Place, about: &str, session: &str, report: &mut Report) {
        let seq = place.seq;
        let holder = self.holders.get(about).map(String::as_str);
        let own =
            if about.starts_with("ses_") { about == session } else { holder == Some(session) };
        if !own {
            report.violation(format!(
                "audit {seq}: a late report of {about} by {session} counted, {holder:?} has it"
            ));
        }
    }

    /// A cursor stands behind a message of its own inbox, and never goes back.
    fn read(&mut self, place: Place, session: &str, upto: &str, report: &mut Report) {
        let seq = place.seq;
        let known = self.inboxes.get(session);
        let at = known.and_then(|inbox| inbox.iter().position(|message| message == upto));
        let taken = self.taken.entry(session.to_owned()).or_default();
        match at {
            Some(at) if at >= *taken => *taken = at + 1,
            Some(_) => {
                report
                    .violation(format!("audit {seq}: the cursor of {session} went back to {upto}"));
            }
            None => {
                report
                    .violation(format!("audit {seq}: {session} took {upto}, which is not its own"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(events: &[Event]) -> String {
        let (mut told, mut report) = (Told::default(), Report::default());
        for (seq, event) in (1..).zip(events) {
            told.take(Place { seq, at: seq }, event, &mut report);
        }
        report.to_string()
    }

    fn sent(message: &str, epoch: u64, to: &str) -> Event {
        Event::Sent {
            message: message.to_owned(),
            from: Some("ses_1".to_owned()),
            epoch: Some(epoch),
            to: vec![to.to_owned()],
        }
    }

    fn read(upto: &str) -> Event {
        Event::InboxRead { session: "ses_2".to_owned(), upto: upto.to_owned() }
    }

    #[test]
    fn what_breaks_a_rule_is_seen() {
        let one = || sent("msg_1", 1, "ses_2");
        let resumed = || Event::Resumed { session: "ses_1".to_owned(), epoch: 2 };
        let reported = |session: &str, about: &str| Event::Reported {
            about: about.to_owned(),
            session: session.to_owned(),
            epoch: 1,
        };
        let taken = || Event::TaskTaken {
            task: "tsk_1".to_owned(),
            session: "ses_2".to_owned(),
            claim: None,
        };
        let returned = || Event::TaskReturned { task: "tsk_1".to_owned() };
        let left = || Event::Left { session: "ses_2".to_owned() };
        let good = [
            taken(),
            reported("ses_2", "tsk_1"),
            reported("ses_1", "ses_1"),
            one(),
            sent("msg_2", 1, "ses_2"),
            read("msg_1"),
            read("msg_2"),
            resumed(),
            sent("msg_3", 2, "ses_2"),
        ];
        assert!(!violations(&good).contains("audit "), "{}", violations(&good));
        let table = [
            (vec![reported("ses_2", "ses_1")], "a late report of ses_1"),
            (vec![taken(), returned(), reported("ses_2", "tsk_1")], "a late report of tsk_1"),
            (vec![resumed(), reported("ses_1", "ses_1")], "a report is of epoch Some(1)"),
            (vec![one(), one()], "msg_1 was sent twice"),
            (vec![resumed(), one()], "is of epoch Some(1) of ses_1, which is at 2"),
            (vec![left(), one()], "is for ses_2, which left"),
            (vec![one(), read("msg_1"), read("msg_1")], "the cursor of ses_2 went back"),
            (vec![one(), read("msg_9")], "which is not its own"),
        ];
        for (events, said) in table {
            assert!(violations(&events).contains(said), "{said}: {}", violations(&events));
        }
    }
}
