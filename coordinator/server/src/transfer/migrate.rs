//! Migration: a fleet's records from one store into another, without losing any.
//!
//! The lead of the source is held throughout, so nothing changes there meanwhile. The target is
//! filled and verified first; then a mark in the source says where its records live on; then the
//! target becomes a board. At every point at most one of the two can be served: until the mark
//! the source, after the last commit the target, and in between neither. A run that was
//! interrupted is repeated and goes on.

use molt_domain::audit::Entry;
use molt_store::{Head, Json, Record};

use super::epoch::{self, Since, Successor};
use super::fill::{self, State};
use super::lead::Led;
use super::{Begun, Intent, Order, Site, Tell, TransferError, Whole, look, sealed};
use crate::engine::Mark;

/// What a migration came to, or would come to.
#[derive(Debug)]
pub struct Migrated {
    /// What the source held.
    pub whole: Whole,
    /// The digest of the target's board.
    pub digest: String,
    /// How many records the target has.
    pub records: usize,
    /// The epoch that began.
    pub epoch: u64,
    /// How many sealed entries of the audit came along.
    pub sealed: u64,
    /// How many sealed entries are on another machine.
    pub missing: u64,
    /// How many records this run wrote or removed.
    pub changed: usize,
    /// The revision that the target stands at, if anything was written.
    pub revision: Option<u64>,
    /// Whether an earlier run had done it all.
    pub done_before: bool,
}

/// Moves the records of `from` into the empty store of `to`.
///
/// # Errors
///
/// Somebody serves one of them, the source does not verify, the target is not empty, or what was
/// written is not what is read back.
pub async fn migrate(
    from: &Site,
    to: &Site,
    order: &Order,
    (intent, begun): (Intent, Begun),
    tell: Tell<'_>,
) -> Result<Migrated, TransferError> {
    let (source, target) = (from.store_name(), to.store_name());
    if from.store == to.store {
        return Err(TransferError::Usage(format!("--from and --to both mean {source}")));
    }
    let whole = read(from, tell).await?;
    let plan = Plan::of(&whole, from, to, order)?;
    let state = fill::survey(to, tell).await?;
    if whole.moved().is_some() && matches!(state, State::Board(_)) {
        return done_before(whole, to, plan).await;
    }
    state.admit(&target, &plan.work, begun)?;
    if intent == Intent::DryRun {
        let changed = plan.next.records.len();
        return Ok(Migrated { changed, ..plan.outcome(whole) });
    }
    let leading = Led::take(from, "migrate", 0).await?;
    let moved = leading.while_led(under_lead((from, to), &leading, order, begun, tell)).await;
    leading.leave().await;
    moved
}

/// Reads and verifies the source, as far as it can be seen without its lead.
async fn read(from: &Site, tell: Tell<'_>) -> Result<Whole, TransferError> {
    let place = from.store_name();
    let Some(seen) = look::look(from).await? else {
        return Err(TransferError::Nothing { place });
    };
    look::refuse_served(&place, seen.leader, tell)?;
    verify(from, seen.head, seen.records, tell)
}

fn verify(
    from: &Site,
    head: Head,
    records: Vec<Record>,
    tell: Tell<'_>,
) -> Result<Whole, TransferError> {
    let place = from.store_name();
    let whole = Whole::verify(&place, head, records, from.spans)?;
    if whole.is_empty() {
        return Err(TransferError::Nothing { place });
    }
    tell(format!("verified {place}: {}", whole.figures()));
    Ok(whole)
}

/// Reads the source once more, now that nothing changes there, and moves it.
async fn under_lead(
    (from, to): (&Site, &Site),
    leading: &Led,
    order: &Order,
    begun: Begun,
    tell: Tell<'_>,
) -> Result<Migrated, TransferError> {
    let (head, records) = leading.load().await?;
    let whole = verify(from, head, records, tell)?;
    let plan = Plan::of(&whole, from, to, order)?;
    let led = Led::take(to, "migrate", epoch::terms_above(whole.head.id.term())).await?;
    let job = Job { whole, plan, to, leading, led: &led };
    let moved = led.while_led(job.run(begun, tell)).await;
    led.leave().await;
    moved
}

/// Two stores that are led, and what goes from one to the other.
struct Job<'a> {
    whole: Whole,
    plan: Plan,
    to: &'a Site,
    leading: &'a Led,
    led: &'a Led,
}

impl Job<'_> {
    async fn run(self, begun: Begun, tell: Tell<'_>) -> Result<Migrated, TransferError> {
        let Self { whole, plan, to, leading, led } = self;
        let mut filling = fill::begin(led, &plan.work, begun).await?;
        if let Some(entries) = &plan.entries {
            sealed::write(&to.audit(), entries)?;
        }
        let Successor { records, ledger, .. } = &plan.next;
        let format = whole.head.format;
        filling.fill(records, format, tell).await?;
        if whole.moved().is_none() {
            leave_mark(leading, &whole, &forward(to)).await?;
        }
        let changed = filling.changed;
        let head = filling.finish(records, ledger, format).await?;
        Ok(Migrated { changed, revision: Some(head.number), ..plan.outcome(whole) })
    }
}

/// What is to be done.
struct Plan {
    work: String,
    next: Successor,
    /// The sealed entries that come along; none do where one folder serves both.
    entries: Option<Vec<Entry>>,
}

impl Plan {
    fn of(whole: &Whole, from: &Site, to: &Site, order: &Order) -> Result<Self, TransferError> {
        if let Some(elsewhere) = whole.moved().filter(|moved| *moved != forward(to)) {
            let (place, to) = (from.store_name(), elsewhere.to_owned());
            return Err(TransferError::Moved { place, to });
        }
        let entries = sealed::read(&from.audit(), whole.sealed())?;
        let entries = if from.audit() == to.audit() {
            None
        } else {
            sealed::check(&to.audit(), &entries)?;
            Some(entries)
        };
        let next = epoch::succeed(whole, order, Since::Nothing)?;
        let work = format!("move from {} (contents {})", from.store_name(), whole.fingerprint());
        Ok(Self { work, next, entries })
    }

    fn outcome(self, whole: Whole) -> Migrated {
        let sealed = self.entries.as_ref().map_or(whole.sealed().seq, |it| it.len() as u64);
        Migrated {
            digest: self.next.digest,
            records: self.next.records.len(),
            epoch: self.next.ledger.epoch,
            sealed,
            missing: whole.sealed().seq - sealed,
            changed: 0,
            revision: None,
            done_before: false,
            whole,
        }
    }
}

/// What the source says from then on.
fn forward(to: &Site) -> String {
    format!("to {}", to.store_name())
}

/// Says in the source where its records live on. It proves that nothing changed there since it
/// was read: a commit names the head that it builds on.
async fn leave_mark(leading: &Led, whole: &Whole, to: &str) -> Result<Head, TransferError> {
    let mark = Mark::Moved { moved: to.to_owned(), ledger: whole.ledger.clone() };
    let mark = Json::encode(&mark)?;
    fill::commit(leading, &whole.head, &mark, &[], whole.head.format).await
}

/// What an earlier run came to, read from the target.
async fn done_before(whole: Whole, to: &Site, plan: Plan) -> Result<Migrated, TransferError> {
    let place = to.store_name();
    let Some(seen) = look::look(to).await? else { return Err(TransferError::Nothing { place }) };
    let there = Whole::verify(&place, seen.head, seen.records, to.spans)?;
    // The mark was left once everything was there, and fences and audit only grow.
    if there.ledger.epoch <= whole.ledger.epoch || there.entries() <= whole.entries() {
        let found = "a board that is not of these records is there".to_owned();
        return Err(TransferError::NotEmpty { place, found });
    }
    Ok(Migrated {
        digest: there.digest(),
        records: there.len(),
        epoch: there.ledger.epoch,
        revision: Some(there.revision()),
        done_before: true,
        ..plan.outcome(whole)
    })
}
