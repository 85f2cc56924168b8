//! What is asked for, counted as GitHub counts it against its limits, by the simulator's clock.
//!
//! GitHub documents: 5000 requests an hour; 900 points a minute, of which a read is one and a change
//! five; and 80 requests a minute and 500 an hour that make content. Which those are it doesn't say:
//! here they are the changes of pull requests, reviews, comments and labels, of which people are
//! told.

use std::collections::BTreeMap;

use super::answer::{self, Answer};
use super::serve::{Entry, account};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// What GitHub allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) requests_an_hour: u64,
    pub(super) points_a_minute: u64,
    pub(super) content_a_minute: u64,
    pub(super) content_an_hour: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_an_hour: 5000,
            points_a_minute: 900,
            content_a_minute: 80,
            content_an_hour: 500,
        }
    }
}

/// The most that any one account has asked for within any minute and any hour, and how often that
/// was too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) points_a_minute: u64,
    pub(crate) content_a_minute: u64,
    pub(crate) content_an_hour: u64,
    /// Requests that were refused for a limit.
    pub(crate) refused: u64,
}

#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) limits: Limits,
    accounts: BTreeMap<String, Account>,
    load: Load,
}

#[derive(Debug, Default)]
struct Account {
    /// The hour of the clock that requests are counted in, and how many there were.
    hour: (u64, u64),
    /// When something was asked for, its points, and whether it makes content.
    spent: Vec<(u64, u64, bool)>,
}

impl Meter {
    /// Counts a request, unless it is too much.
    pub(super) fn admit(&mut self, account: &str, operation: &str, now: u64) -> Result<(), Answer> {
        let limits = self.limits;
        let account = self.accounts.entry(account.to_owned()).or_default();
        account.spent.retain(|(at, ..)| at + HOUR > now);
        let cost = if operation.starts_with("GET ") { 1 } else { 5 };
        let content = makes_content(operation);
        account.spent.push((now, cost, content));
        let load = account.load(now);
        let over = load.points_a_minute > limits.points_a_minute
            || load.content_a_minute > limits.content_a_minute
            || load.content_an_hour > limits.content_an_hour;
        let refusal = if account.used(now) >= limits.requests_an_hour {
            Some(answer::PRIMARY.into())
        } else if over {
            Some(answer::SECONDARY.after(MINUTE))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            account.spent.pop();
            self.load.refused += 1;
            return Err(refusal);
        }
        self.load.points_a_minute = self.load.points_a_minute.max(load.points_a_minute);
        self.load.content_a_minute = self.load.content_a_minute.max(load.content_a_minute);
        self.load.content_an_hour = self.load.content_an_hour.max(load.content_an_hour);
        Ok(())
    }

    /// Counts an answer against the hour; what hadn't changed is free. Says how many are used.
    pub(super) fn answered(&mut self, account: &str, counts: bool, now: u64) -> u64 {
        let account = self.accounts.entry(account.to_owned()).or_default();
        let used = account.used(now) + u64::from(counts);
        account.hour = (now / HOUR, used);
        used
    }

    pub(super) fn load(&self) -> Load {
        self.load
    }
}

/// What the same requests come to, made so many times, so many seconds apart.
pub(crate) fn repeated(journal: &[Entry], times: u64, every: u64) -> Load {
    let mut meter = Meter::default();
    let first = journal.first().map_or(0, |entry| entry.at);
    // GitHub counts requests by the hours of the clock.
    let begin = first - first % HOUR;
    let repetitions = (0..times).flat_map(|nth| {
        journal.iter().map(move |entry| (begin + nth * every + (entry.at - first), entry))
    });
    let mut requests: Vec<(u64, &Entry)> = repetitions.collect();
    requests.sort_by_key(|(at, _)| *at);
    for (at, entry) in requests {
        let Some(account) = account(&entry.actor) else { continue };
        // What is refused is counted, which is what is asked here.
        if meter.admit(&account, &entry.operation, at).is_ok() {
            meter.answered(&account, entry.status != 304, at);
        }
    }
    meter.load()
}

impl Account {
    fn used(&self, now: u64) -> u64 {
        if self.hour.0 == now / HOUR { self.hour.1 } else { 0 }
    }

    fn load(&self, now: u64) -> Load {
        let within = |span: u64| self.spent.iter().filter(move |(at, ..)| at + span > now);
        let content = |span: u64| within(span).filter(|(.., content)| *content).count() as u64;
        Load {
            points_a_minute: within(MINUTE).map(|(_, cost, _)| cost).sum(),
            content_a_minute: content(MINUTE),
            content_an_hour: content(HOUR),
            refused: 0,
        }
    }
}

fn makes_content(operation: &str) -> bool {
    let (method, template) = operation.split_once(' ').unwrap_or_default();
    let of_people = ["/issues", "/pulls"].iter().any(|part| template.contains(part));
    method != "GET" && of_people
}
