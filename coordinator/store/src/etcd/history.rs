//! The leader keeps etcd's history short.
//!
//! etcd keeps every value that a key ever had until somebody says how far back is far enough.
//! Nobody here reads the past, but for a load that is under way; so the leader lets it go, well
//! behind the present, and never more than one leader does.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Inner;
use super::failure::{Class, Failure, Refusal};
use super::members::{CALL, Sending};
use super::options::History;
use etcd_client::GetOptions;

/// Which revision was the newest at which time, oldest first.
struct Marks {
    history: History,
    marks: VecDeque<(Instant, i64)>,
    gone: i64,
}

impl Marks {
    fn new(history: History) -> Self {
        Self { history, marks: VecDeque::new(), gone: 0 }
    }

    /// Notes that `revision` is the newest at `now`. Answers up to where the history may go, if
    /// that is further than it went before.
    fn pass(&mut self, now: Instant, revision: i64) -> Option<i64> {
        self.marks.push_back((now, revision));
        let mut far = revision - i64::from(self.history.keep_revisions);
        while let Some((at, old)) = self.marks.front().copied()
            && now.saturating_duration_since(at) >= self.history.keep
        {
            far = far.max(old);
            self.marks.pop_front();
        }
        // Where the history is, nothing is to be gained by less than a revision.
        (far > self.gone.max(0)).then_some(far)
    }
}

/// Compacts, again and again, for as long as `leader` was written last at `seat`.
pub(super) async fn keep_short(inner: Arc<Inner>, seat: i64) {
    let mut marks = Marks::new(inner.options.history);
    let mut turns = interval(inner.options.history.every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match newest(&inner, seat).await {
            Ok(Some(revision)) => {
                if let Some(far) = marks.pass(Instant::now(), revision) {
                    compact(&inner, far, &mut marks).await;
                }
            }
            Ok(None) => return,
            Err(failure) => tracing::debug!(%failure, "cannot look at the history"),
        }
    }
}

/// The newest revision, if the lead is still ours.
async fn newest(inner: &Inner, seat: i64) -> Result<Option<i64>, Failure> {
    let options = GetOptions::new().with_keys_only();
    let answer = inner.members.get(CALL, inner.keys.leader(), options).await?;
    let ours = answer.kvs().first().is_some_and(|pair| pair.mod_revision() == seat);
    Ok(answer.header().filter(|_| ours).map(etcd_client::ResponseHeader::revision))
}

async fn compact(inner: &Inner, far: i64, marks: &mut Marks) {
    let answer = inner
        .members
        .call(Sending::Again, CALL, |mut kv| async move { kv.compact(far, None).await })
        .await;
    match answer {
        Ok(_) => tracing::debug!(revision = far, "compacted the history of etcd"),
        // Somebody went further: an operator, or etcd by itself.
        Err(failure) if failure.class() == Class::Refused(Refusal::Compacted) => {}
        Err(failure) => {
            tracing::warn!(%failure, "cannot compact the history of etcd");
            return;
        }
    }
    marks.gone = far;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_old_or_far_back_may_go() {
        let minute = Duration::from_secs(60);
        let mut marks =
            Marks::new(History { every: minute, keep: 10 * minute, keep_revisions: 1000 });
        let began = Instant::now();
        let mut gone = Vec::new();
        for turn in 0..13 {
            let found = marks.pass(began + turn * minute, 100 + i64::from(turn));
            marks.gone = found.unwrap_or(marks.gone);
            gone.push(found);
        }
        assert_eq!(gone[..10], [None; 10]);
        assert_eq!(gone[10..], [Some(100), Some(101), Some(102)]);
        // A burst leaves no more than the bound.
        assert_eq!(marks.pass(began + 13 * minute, 50_000), Some(49_000));
        marks.gone = 49_000;
        assert_eq!(marks.pass(began + 14 * minute, 50_000), None);
    }
}
