//! When a session that was lost or parked may come back, and when it is given more time.
//!
//! A leader decides while the commit before is on its way, so what a commit brings is older than
//! the commit; the audit says from when it is. Not here: which signs of life there are, which the
//! histories of the domain look at.

use molt_domain::audit::Entry;
use molt_domain::board::{Change, Event};
use molt_domain::id::BoardTime;
use molt_domain::session::{Session, State};

use crate::outcome::{Checked, ensure};
use crate::rules::Step;

const BACK: &str = "4 a lost session regains nothing";
const MORE: &str = "4 a lost session has more time for a reason";

/// Whoever comes back does so in time, and under a new epoch.
pub(crate) fn lost_stays_lost(step: &Step<'_>) -> Checked {
    for (old, now) in returned(step) {
        let id = old.id;
        ensure(came_in_time(step, old), BACK, || format!("{id} came back after its grace"))?;
        ensure(now.epoch > old.epoch, BACK, || format!("{id} came back under its old epoch"))?;
    }
    Ok(())
}

/// Without a sign of life only those have more time whom another leader lost: as long as their
/// hosts have to reach this one.
pub(crate) fn more_time_has_a_reason(step: &Step<'_>) -> Checked {
    let heard_out = step.born.plus(step.before.spans().session_ttl);
    for Entry { event, .. } in step.entries {
        let Event::GraceExtended { session, signs, grace, .. } = event else { continue };
        let old = step.before.tables().sessions.get(session).map(|old| old.state);
        let lost = matches!(old, Some(State::Lost { since, .. }) if since <= step.born);
        let may = !signs.is_empty() || (lost && *grace == heard_out.0);
        ensure(may, MORE, || format!("{session}, {old:?}, has until {grace}, {:?}", step.born))?;
    }
    Ok(())
}

/// How many came back in a commit that was sent when the grace was over that they had before it.
pub(crate) fn returned_late(step: &Step<'_>) -> u64 {
    let sent = step.after.ledger().time;
    returned(step).filter(|(old, _)| old.is_over(sent)).count() as u64
}

/// The sessions that live again, as they were and as they are.
fn returned<'a>(step: &Step<'a>) -> impl Iterator<Item = (&'a Session, &'a Session)> {
    let before = &step.before.tables().sessions;
    step.changes.iter().filter_map(|change| {
        let Change::Session(id, Some(now)) = change else { return None };
        let old = before.get(id)?;
        let back = now.state == State::Live && old.state != State::Live;
        back.then_some((old.as_ref(), now.as_ref()))
    })
}

/// Whether a session was resumed while it had time, which it may have been given just before.
fn came_in_time(step: &Step<'_>, old: &Session) -> bool {
    let mut session = old.clone();
    for Entry { at, event, .. } in step.entries {
        match event {
            Event::GraceExtended { session: id, grace, .. } if *id == old.id => {
                let State::Lost { since, cause, .. } = session.state else { return false };
                session.state = State::Lost { since, grace: BoardTime(*grace), cause };
            }
            Event::Resumed { session: id, .. } if *id == old.id => return !session.is_over(*at),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use molt_domain::audit::{Anchor, append};
    use molt_domain::board::{Actor, Board, Ledger, Now};
    use molt_domain::id::SessionId;
    use molt_domain::session::{Loss, Root};

    use super::*;
    use crate::world::SPANS;

    const ADA: SessionId = SessionId::from_counter(1);

    const LOST: State =
        State::Lost { since: BoardTime(20_000), grace: BoardTime(80_000), cause: Loss::Silence };
    const PARKED: State = State::Parked { until: BoardTime(80_000) };

    fn ada(state: State, epoch: u64) -> Change {
        let session = Session {
            id: ADA,
            repo: "main".parse().expect("a name"),
            name: "ada".parse().expect("a name"),
            host: "h0".parse().expect("a name"),
            root: Root::Use,
            worktree: "/w".to_owned(),
            secret: "s".to_owned(),
            epoch,
            state,
            joined: BoardTime(0),
            begun: BoardTime(0),
        };
        Change::Session(ADA, Some(Arc::new(session)))
    }

    /// A commit of a leader of `born` that was sent at board time 81000, in which a session comes
    /// back that was `was`; at these times of board time the audit has these events.
    fn judged(born: u64, was: State, told: Vec<(u64, Event)>) -> Checked {
        let before = Board::recover(SPANS, Ledger::default(), [ada(was, 1)]);
        let mut after = before.clone();
        after.apply(ada(State::Live, 2));
        after.set_ledger(Ledger { time: BoardTime(81_000), ..Ledger::default() });
        let mut anchor = Anchor::genesis();
        let entries = told.into_iter().flat_map(|(at, event)| {
            let now = Now { board: BoardTime(at), wall: 0 };
            append(&mut anchor, now, &Actor::Coordinator, vec![event])
        });
        let step = Step {
            before: &before,
            after: &after,
            changes: &[ada(State::Live, 2)],
            entries: &entries.collect::<Vec<_>>(),
            born: BoardTime(born),
        };
        assert_eq!(returned_late(&step), 1);
        lost_stays_lost(&step).and_then(|()| more_time_has_a_reason(&step))
    }

    fn resumed(at: u64) -> (u64, Event) {
        (at, Event::Resumed { session: ADA, epoch: 2 })
    }

    fn extended(at: u64, grace: u64) -> (u64, Event) {
        let name = "ada".parse().expect("a name");
        (at, Event::GraceExtended { session: ADA, name, signs: Vec::new(), grace })
    }

    fn breaks(checked: Checked) -> Option<&'static str> {
        checked.err().map(|broken| broken.invariant)
    }

    #[test]
    fn who_comes_in_time_is_not_judged_by_a_commit_that_waited() {
        assert_eq!(judged(0, LOST, vec![resumed(79_999)]), Ok(()));
        assert_eq!(judged(0, PARKED, vec![resumed(79_999)]), Ok(()));
    }

    #[test]
    fn who_comes_when_the_grace_is_over_is_seen() {
        assert_eq!(breaks(judged(0, LOST, vec![resumed(80_000)])), Some(BACK));
        assert_eq!(breaks(judged(0, PARKED, vec![resumed(80_000)])), Some(BACK));
        assert_eq!(breaks(judged(0, LOST, Vec::new())), Some(BACK));
        let after = vec![resumed(80_500), extended(80_600, 91_000)];
        assert_eq!(breaks(judged(75_000, LOST, after)), Some(BACK));
    }

    #[test]
    fn whom_another_leader_lost_is_heard_out_and_nobody_else() {
        let told = |grace| vec![extended(80_500, grace), resumed(80_500)];
        assert_eq!(judged(75_000, LOST, told(91_000)), Ok(()));
        assert_eq!(breaks(judged(75_000, LOST, told(91_001))), Some(MORE));
        assert_eq!(breaks(judged(19_999, LOST, told(91_000))), Some(MORE));
        assert_eq!(breaks(judged(75_000, PARKED, told(91_000))), Some(BACK));
    }
}
