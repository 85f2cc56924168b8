//! The loop.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::sleep;

use crate::delays::Delays;

/// What to do about an error, which only the caller can know.
#[must_use = "this says whether to try again"]
#[derive(Debug)]
pub enum Next<E> {
    /// Try again after the policy's next wait.
    Again(E),
    /// Try again, but not before this time has passed: the other side said so.
    AgainAfter(E, Duration),
    /// Trying again cannot help, or must not happen.
    Stop(E),
}

/// An operation did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed<E> {
    /// An error after which no further attempt was wanted.
    Stopped(E),
    /// Errors worth another attempt until the policy's patience was over.
    GaveUp {
        /// The error of the last attempt.
        last: E,
        /// The name of the policy.
        policy: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// How long it took in all, waits included.
        elapsed: Duration,
    },
}

impl<E> Failed<E> {
    /// The error of the last attempt, for callers that treat both ends alike.
    pub fn into_error(self) -> E {
        match self {
            Self::Stopped(error) | Self::GaveUp { last: error, .. } => error,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(error) => error.fmt(f),
            Self::GaveUp { policy, attempts, elapsed, .. } => {
                write!(f, "{policy}: gave up at attempt {attempts} after {elapsed:?}")
            }
        }
    }
}

impl<E: Error + 'static> Error for Failed<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Shown as the error itself, so its cause is the next in the chain.
            Self::Stopped(error) => error.source(),
            Self::GaveUp { last, .. } => Some(last),
        }
    }
}

/// Runs `op` until it succeeds, until `classify` stops it, or until the policy gives up.
///
/// `delays` is a [`Policy`](crate::Policy), or a run of one with a known seed.
/// `classify` sees every error, which makes it the place to log them. Dropping
/// the future ends the run between two polls, as with any other future.
///
/// `op` is no `AsyncFnMut`: the compiler cannot yet show that such a closure's
/// future is `Send`, and runs live on tasks.
///
/// # Errors
///
/// See [`Failed`]; both ends hold the error of the last attempt.
pub async fn retry<T, E, F>(
    delays: impl Into<Delays>,
    mut op: impl FnMut() -> F,
    mut classify: impl FnMut(E) -> Next<E>,
) -> Result<T, Failed<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut delays = delays.into();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let error = match op().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let (last, hint) = match classify(error) {
            Next::Again(error) => (error, Duration::ZERO),
            Next::AgainAfter(error, hint) => (error, hint),
            Next::Stop(error) => return Err(Failed::Stopped(error)),
        };
        let Some(wait) = delays.next_delay_after(hint) else {
            let policy = delays.policy().name();
            let elapsed = delays.elapsed();
            return Err(Failed::GaveUp { last, policy, attempts, elapsed });
        };
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::io;

    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;
    use crate::{Policy, Seed};

    const POLICY: Policy = Policy::COMMIT_UNKNOWN;

    #[tokio::test(start_paused = true)]
    async fn tries_until_it_succeeds_at_exact_times() {
        let start = Instant::now();
        let mut times = Vec::new();
        let answer = retry(
            POLICY,
            || {
                times.push(start.elapsed().as_millis());
                ready(if times.len() < 5 { Err("not yet") } else { Ok(times.len()) })
            },
            Next::Again,
        )
        .await;
        assert_eq!(answer, Ok(5));
        assert_eq!(times, [0, 10, 30, 70, 150]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_seed_tries_at_the_same_times() {
        let mut runs = Vec::new();
        for seed in [7, 7, 8] {
            let start = Instant::now();
            let mut times = Vec::new();
            let failed: Result<(), _> = retry(
                Policy::FORGE_READ.delays(Seed::new(seed)),
                || {
                    times.push(start.elapsed());
                    ready(Err("down"))
                },
                Next::Again,
            )
            .await;
            assert!(matches!(failed, Err(Failed::GaveUp { last: "down", .. })));
            runs.push(times);
        }
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
    }

    #[tokio::test(start_paused = true)]
    async fn stop_is_final() {
        let start = Instant::now();
        let mut attempts = 0;
        let failed: Result<(), _> = retry(
            POLICY,
            || {
                attempts += 1;
                ready(Err(attempts))
            },
            |n| if n < 3 { Next::Again(n) } else { Next::Stop(n) },
        )
        .await;
        assert_eq!(failed, Err(Failed::Stopped(3)));
        assert_eq!(start.elapsed(), Duration::from_millis(30));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_and_says_how_hard_it_tried() {
        let start = Instant::now();
        let failed: Result<(), _> = retry(
            POLICY.within(Duration::from_millis(100)),
            || ready(Err(io::Error::other("store is down"))),
            Next::Again,
        )
        .await;
        let failed = failed.expect_err("the operation never succeeds");
        assert_eq!(failed.to_string(), "commit-unknown: gave up at attempt 4 after 70ms");
        let source = failed.source().expect("the last error is the cause");
        assert_eq!(source.to_string(), "store is down");
        assert_eq!(failed.into_error().to_string(), "store is down");
        assert_eq!(start.elapsed(), Duration::from_millis(70));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_of_zero_is_one_attempt() {
        let failed: Result<(), _> =
            retry(Policy::RECONNECT.within(Duration::ZERO), || ready(Err("no")), Next::Again).await;
        let elapsed = Duration::ZERO;
        let gave_up = Failed::GaveUp { last: "no", policy: "reconnect", attempts: 1, elapsed };
        assert_eq!(failed, Err(gave_up));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_was_told() {
        let start = Instant::now();
        let mut first = true;
        let answer = retry(
            Policy::FORGE_READ.spread(0),
            || ready(if std::mem::take(&mut first) { Err("limited") } else { Ok(()) }),
            |error| Next::AgainAfter(error, Duration::from_secs(60)),
        )
        .await;
        assert_eq!(answer, Ok(()));
        assert_eq!(start.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_can_move_to_another_task() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async {
            let mut attempts = 0;
            let op = || {
                attempts += 1;
                let answer = if attempts < 3 { Err(attempts) } else { Ok(attempts) };
                async move {
                    sleep(Duration::from_millis(1)).await;
                    answer
                }
            };
            retry(Policy::RECONNECT, op, Next::Again).await
        });
        let answer = tasks.join_next().await.expect("one task was spawned");
        assert_eq!(answer.expect("the task does not panic"), Ok(3));
    }

    #[test]
    fn a_stopped_error_is_shown_as_itself() {
        let inner = io::Error::other(io::Error::other("disk is full"));
        let failed = Failed::Stopped(inner);
        assert_eq!(failed.to_string(), "disk is full");
        assert!(failed.source().is_none(), "the message is not repeated by its cause");
    }
}
