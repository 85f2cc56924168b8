//! How much is asked of GitHub: below its limits, and nothing at all while it wants to hear nothing.
//!
//! Limits are the installation's, so there is one governor for it, and one coordinator that leads.
//! Changes are made one after another. A cooldown outlives the process: whoever leads keeps it on
//! the board, and hands it to the next one by [`Governor::obey`].

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use molt_retry::{Delays, Policy};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::answer::Limited;
use super::error::{Cause, Limit};
use super::operation::Effect;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Requests in flight. GitHub allows a hundred, of all that act for one account.
const AT_ONCE: usize = 32;

/// What may be spent, by GitHub's documentation on rate limits, less a margin for others who act
/// for the same account: points a minute, where a read costs one and a change five, and posts a
/// minute and an hour.
const BUDGETS: [Budget; 3] = [
    Budget { span: MINUTE, most: 800, cost: |effect| if effect.changes() { 5 } else { 1 } },
    Budget { span: MINUTE, most: 70, cost: |effect| u32::from(effect == Effect::Post) },
    Budget { span: HOUR, most: 450, cost: |effect| u32::from(effect == Effect::Post) },
];

/// Of what so much may be spent in any span of this length.
#[derive(Debug)]
struct Budget {
    span: Duration,
    most: u32,
    cost: fn(Effect) -> u32,
}

/// Lets requests go, one account's all.
#[derive(Debug)]
pub struct Governor {
    reads: Semaphore,
    changes: Semaphore,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    /// What was spent of each budget, and when; no longer ago than its span.
    spent: [VecDeque<(Instant, u32)>; BUDGETS.len()],
    cooldown: Option<(Instant, Limit)>,
    /// How long to wait where GitHub does not say, by what was asked: longer each time in a row.
    unsaid: [Delays; 3],
}

impl Default for Books {
    fn default() -> Self {
        let unsaid = [(); 3].map(|()| Policy::FORGE_UNSAID.into());
        Self { spent: Default::default(), cooldown: None, unsaid }
    }
}

impl Default for Governor {
    fn default() -> Self {
        Self { reads: Semaphore::new(AT_ONCE), changes: Semaphore::new(1), books: Mutex::default() }
    }
}

impl Governor {
    /// Waits until a request of this kind may go. It goes while the permit lives.
    ///
    /// # Errors
    ///
    /// GitHub wants to hear nothing for now: nobody waits that long in here.
    pub(super) async fn admit(&self, effect: Effect) -> Result<SemaphorePermit<'_>, Cause> {
        let line = if effect.changes() { &self.changes } else { &self.reads };
        let closed = |_| Cause::Unanswered { reason: "the governor is closed".to_owned() };
        let permit = line.acquire().await.map_err(closed)?;
        loop {
            let spent = self.books().spend(effect, Instant::now())?;
            match spent {
                None => return Ok(permit),
                Some(at) => sleep_until(at).await,
            }
        }
    }

    /// Asks for nothing for so long.
    pub fn obey(&self, wait: Duration) {
        self.cool(Limit::Secondary, wait);
    }

    /// For how long nothing is asked, for whoever leads next.
    #[must_use]
    pub fn cooldown(&self) -> Option<Duration> {
        let (until, _) = self.books().cooldown?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Keeps to what GitHub said of its limits when this was asked; how long that is.
    pub(super) fn heed(&self, effect: Effect, said: Limited) -> Cause {
        let Limited { limit, wait } = said;
        let resume = || Delays::from(Policy::FORGE_RESUME).next_delay().unwrap_or_default();
        let wait = match wait {
            Some(wait) => wait + resume(),
            None => self.books().unsaid[line_of(effect)].next_delay().unwrap_or(HOUR),
        };
        self.cool(limit, wait);
        Cause::Cooldown { limit, wait }
    }

    /// Takes note that this was not too much.
    pub(super) fn answered(&self, effect: Effect) {
        self.books().unsaid[line_of(effect)].reset();
    }

    fn cool(&self, limit: Limit, wait: Duration) {
        let until = Instant::now() + wait;
        let mut books = self.books();
        if books.cooldown.is_none_or(|(known, _)| known < until) {
            books.cooldown = Some((until, limit));
        }
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        // Each change of the books is whole by itself.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the waits is that of an effect.
fn line_of(effect: Effect) -> usize {
    match effect {
        Effect::Read => 0,
        Effect::Write => 1,
        Effect::Post => 2,
    }
}

impl Books {
    /// Spends what a request costs; else when there may be enough again.
    fn spend(&mut self, effect: Effect, now: Instant) -> Result<Option<Instant>, Cause> {
        if let Some((until, limit)) = self.cooldown {
            if now < until {
                return Err(Cause::Cooldown { limit, wait: until - now });
            }
            self.cooldown = None;
        }
        let mut wait = None;
        for (budget, spent) in BUDGETS.iter().zip(&mut self.spent) {
            while spent.front().is_some_and(|(at, _)| now.duration_since(*at) >= budget.span) {
                spent.pop_front();
            }
            let cost = (budget.cost)(effect);
            let sum: u32 = spent.iter().map(|(_, cost)| cost).sum();
            if let Some((first, _)) = spent.front()
                && cost > 0
                && sum + cost > budget.most
            {
                wait = wait.max(Some(*first + budget.span));
            }
        }
        if wait.is_none() {
            for (budget, spent) in BUDGETS.iter().zip(&mut self.spent) {
                match (budget.cost)(effect) {
                    0 => {}
                    cost => spent.push_back((now, cost)),
                }
            }
        }
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_span_has_more_than_its_budget() {
        let governor = Governor::default();
        let start = Instant::now();
        let mut posts = Vec::new();
        for _ in 0..1000 {
            drop(governor.admit(Effect::Post).await.unwrap());
            posts.push(start.elapsed());
        }
        let most = |span: Duration| {
            let within =
                |at: &Duration| posts.iter().filter(|b| *b >= at && **b < *at + span).count();
            posts.iter().map(within).max().unwrap()
        };
        assert_eq!((most(MINUTE), most(HOUR)), (70, 450));
    }

    #[tokio::test(start_paused = true)]
    async fn reads_and_changes_share_the_points() {
        let governor = Governor::default();
        let start = Instant::now();
        for _ in 0..400 {
            drop(governor.admit(Effect::Read).await.unwrap());
        }
        for _ in 0..80 {
            drop(governor.admit(Effect::Write).await.unwrap());
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(governor.admit(Effect::Read).await.unwrap());
        assert!(start.elapsed() >= MINUTE, "{:?}", start.elapsed());
    }

    /// What is waited for after this was said, in the form of its limit and in seconds.
    fn waited(governor: &Governor, effect: Effect, said: Limited) -> Duration {
        match governor.heed(effect, said) {
            Cause::Cooldown { limit, wait } if limit == said.limit => wait,
            other => panic!("{other}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cooldown_stops_everything_until_it_is_over() {
        let governor = Governor::default();
        let said = |limit, wait| Limited { limit, wait: Some(wait) };
        let wait = Duration::from_secs(90);
        let wait = waited(&governor, Effect::Read, said(Limit::Primary, wait));
        waited(&governor, Effect::Read, said(Limit::Secondary, MINUTE));
        for effect in [Effect::Read, Effect::Write, Effect::Post] {
            let refused = governor.admit(effect).await.unwrap_err();
            assert_eq!(refused, Cause::Cooldown { limit: Limit::Primary, wait });
        }
        assert_eq!(governor.cooldown(), Some(wait), "the next one who leads is told");
        tokio::time::advance(wait).await;
        assert!(governor.admit(Effect::Write).await.is_ok());
        assert_eq!(governor.cooldown(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_that_was_named_is_waited_for_and_not_met_by_all_at_once() {
        let wait = Duration::from_secs(90);
        let said = Limited { limit: Limit::Primary, wait: Some(wait) };
        let waits: Vec<Duration> =
            (0..50).map(|_| waited(&Governor::default(), Effect::Read, said)).collect();
        let late = Duration::from_secs(2);
        assert!(waits.iter().all(|it| *it >= wait && *it <= wait + late), "{waits:?}");
        assert!(waits.iter().any(|it| *it != waits[0]), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_said_is_a_minute_and_longer_each_time_in_a_row() {
        let governor = Governor::default();
        let said = Limited { limit: Limit::Secondary, wait: None };
        let mut at_least = MINUTE;
        for _ in 0..8 {
            let wait = waited(&governor, Effect::Post, said);
            assert!(wait >= at_least && wait <= HOUR, "{wait:?}, not {at_least:?}");
            tokio::time::advance(wait).await;
            // That something else is no trouble says nothing of this.
            governor.answered(Effect::Read);
            at_least = (at_least * 2).min(HOUR * 4 / 5);
        }
        assert!(waited(&governor, Effect::Write, said) < 2 * MINUTE, "another line");
        governor.answered(Effect::Post);
        let wait = waited(&governor, Effect::Post, said);
        assert!(wait >= MINUTE && wait < 2 * MINUTE, "{wait:?} after a success");
    }

    #[tokio::test(start_paused = true)]
    async fn changes_go_one_after_another() {
        let governor = Governor::default();
        let first = governor.admit(Effect::Write).await.unwrap();
        let second = tokio::time::timeout(HOUR, governor.admit(Effect::Write)).await;
        assert!(second.is_err(), "two changes at once");
        drop(first);
        assert!(governor.admit(Effect::Write).await.is_ok());
    }
}
