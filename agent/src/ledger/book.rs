//! The rules of admission over one value. Pure: who is dead is told by the caller.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::run::process::ProcessIdentity;
use crate::run::spec::RunId;

/// What a machine may spend on runs at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Memory in bytes.
    pub memory: u64,
    /// Cores in thousandths.
    pub millicores: u64,
}

/// What a run needs of the budget.
pub type Demand = Budget;

/// One place of a pool of slots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    /// The pool, qualified by repository.
    pub pool: String,
    /// Which place, from 0.
    pub n: u32,
}

/// A wish for any place of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotDemand {
    /// The pool, qualified by repository.
    pub pool: String,
    /// How many places the pool has now; a pool that shrank drains first.
    pub size: u32,
}

/// What a run asks for: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The run.
    pub run: RunId,
    /// Who asks; the entry outlives it as long as the run in `folder` does.
    pub holder: ProcessIdentity,
    /// The run's folder, which may not exist yet.
    pub folder: PathBuf,
    /// A place of a pool, if it needs one.
    pub slot: Option<SlotDemand>,
    /// Names that nobody else may have at the same time, such as a target root's.
    pub locks: BTreeSet<String>,
    /// Memory and cores.
    pub demand: Demand,
}

/// A run that was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The run.
    pub run: RunId,
    /// Who asked.
    pub holder: ProcessIdentity,
    /// The run's folder.
    pub folder: PathBuf,
    /// The place that it has.
    pub slot: Option<Slot>,
    /// The names that it has.
    pub locks: BTreeSet<String>,
    /// What it has of the budget.
    pub demand: Demand,
}

/// What a run got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its place, if it asked for one.
    pub slot: Option<Slot>,
}

/// What there is not enough of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortage {
    /// Places of this pool.
    Slots {
        /// The pool.
        pool: String,
    },
    /// This lock.
    Lock {
        /// Its name.
        name: String,
    },
    /// Memory.
    Memory {
        /// What is free, in bytes.
        free: u64,
    },
    /// Cores.
    Cores {
        /// What is free, in thousandths.
        free: u64,
    },
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// All of it.
    Admitted(Admitted),
    /// Nothing now: who has what is missing.
    Full {
        /// What is missing first.
        shortage: Shortage,
        /// The runs that have it.
        by: Vec<RunId>,
    },
    /// Never on this machine: more than its whole budget or pool.
    TooLarge {
        /// What it asked too much of.
        shortage: Shortage,
    },
}

/// All entries of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    entries: Vec<Entry>,
}

impl Book {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Drops the entries that `is_live` says no to. The first error ends it.
    pub(super) fn retain<E>(
        &mut self,
        mut is_live: impl FnMut(&Entry) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut live = Vec::with_capacity(self.entries.len());
        for entry in std::mem::take(&mut self.entries) {
            if is_live(&entry)? {
                live.push(entry);
            }
        }
        self.entries = live;
        Ok(())
    }

    pub(super) fn release(&mut self, run: &RunId) {
        self.entries.retain(|entry| entry.run != *run);
    }

    pub(super) fn admit(&mut self, request: &Request, budget: &Budget) -> Admission {
        if let Some(entry) = self.entries.iter().find(|entry| entry.run == request.run) {
            return Admission::Admitted(Admitted { slot: entry.slot.clone() });
        }
        if let Some(shortage) = beyond(request, budget) {
            return Admission::TooLarge { shortage };
        }
        if let Err((shortage, by)) = self.fits(request, budget) {
            return Admission::Full { shortage, by };
        }
        let slot = match &request.slot {
            None => None,
            Some(wanted) => match self.free_place(wanted) {
                Some(slot) => Some(slot),
                None => return self.no_place(wanted),
            },
        };
        self.entries.push(Entry {
            run: request.run.clone(),
            holder: request.holder.clone(),
            folder: request.folder.clone(),
            slot: slot.clone(),
            locks: request.locks.clone(),
            demand: request.demand,
        });
        Admission::Admitted(Admitted { slot })
    }

    /// Whether locks, memory and cores are free.
    fn fits(&self, request: &Request, budget: &Budget) -> Result<(), (Shortage, Vec<RunId>)> {
        for name in &request.locks {
            let by = self.holders(|entry| entry.locks.contains(name));
            if !by.is_empty() {
                return Err((Shortage::Lock { name: name.clone() }, by));
            }
        }
        let used = |of: fn(&Demand) -> u64| -> u64 {
            self.entries.iter().fold(0, |sum, entry| sum.saturating_add(of(&entry.demand)))
        };
        let free = budget.memory.saturating_sub(used(|demand| demand.memory));
        if request.demand.memory > free {
            let by = self.holders(|entry| entry.demand.memory > 0);
            return Err((Shortage::Memory { free }, by));
        }
        let free = budget.millicores.saturating_sub(used(|demand| demand.millicores));
        if request.demand.millicores > free {
            let by = self.holders(|entry| entry.demand.millicores > 0);
            return Err((Shortage::Cores { free }, by));
        }
        Ok(())
    }

    /// The lowest free place, unless as many as the pool has are taken: places
    /// beyond its size count while it drains.
    fn free_place(&self, wanted: &SlotDemand) -> Option<Slot> {
        let taken: BTreeSet<u32> = self.places(&wanted.pool).map(|slot| slot.n).collect();
        if taken.len() >= wanted.size as usize {
            return None;
        }
        let n = (0..wanted.size).find(|n| !taken.contains(n))?;
        Some(Slot { pool: wanted.pool.clone(), n })
    }

    fn no_place(&self, wanted: &SlotDemand) -> Admission {
        let in_pool = |slot: &Slot| slot.pool == wanted.pool;
        let by = self.holders(|entry| entry.slot.as_ref().is_some_and(in_pool));
        Admission::Full { shortage: Shortage::Slots { pool: wanted.pool.clone() }, by }
    }

    fn places<'a>(&'a self, pool: &'a str) -> impl Iterator<Item = &'a Slot> {
        self.entries.iter().filter_map(|entry| entry.slot.as_ref()).filter(move |s| s.pool == pool)
    }

    fn holders(&self, has: impl Fn(&Entry) -> bool) -> Vec<RunId> {
        self.entries.iter().filter(|entry| has(entry)).map(|entry| entry.run.clone()).collect()
    }
}

/// What of `request` no empty machine could give.
fn beyond(request: &Request, budget: &Budget) -> Option<Shortage> {
    if request.demand.memory > budget.memory {
        return Some(Shortage::Memory { free: budget.memory });
    }
    if request.demand.millicores > budget.millicores {
        return Some(Shortage::Cores { free: budget.millicores });
    }
    let slot = request.slot.as_ref().filter(|slot| slot.size == 0)?;
    Some(Shortage::Slots { pool: slot.pool.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { memory: 100, millicores: 4000 };

    fn request(run: u64, memory: u64, slot: Option<(&str, u32)>) -> Request {
        Request {
            run: format!("r{run}").parse().unwrap(),
            holder: ProcessIdentity { pid: 1, start: "s".to_owned() },
            folder: "/r".into(),
            slot: slot.map(|(pool, size)| SlotDemand { pool: pool.to_owned(), size }),
            locks: BTreeSet::new(),
            demand: Demand { memory, millicores: 0 },
        }
    }

    fn slot_of(admission: &Admission) -> Option<u32> {
        match admission {
            Admission::Admitted(admitted) => admitted.slot.as_ref().map(|slot| slot.n),
            _ => None,
        }
    }

    #[test]
    fn all_or_nothing_and_the_same_answer_twice() {
        let mut book = Book::default();
        let first = book.admit(&request(1, 60, Some(("p", 2))), &BUDGET);
        assert_eq!(slot_of(&first), Some(0));
        assert_eq!(book.admit(&request(1, 60, Some(("p", 2))), &BUDGET), first);
        let before = book.clone();
        let full = book.admit(&request(2, 41, Some(("p", 2))), &BUDGET);
        let by = vec!["r1".parse().unwrap()];
        assert_eq!(full, Admission::Full { shortage: Shortage::Memory { free: 40 }, by });
        assert_eq!(book, before, "a refused request changes nothing");
        assert_eq!(slot_of(&book.admit(&request(3, 40, Some(("p", 2))), &BUDGET)), Some(1));
    }

    #[test]
    fn a_pool_that_shrank_drains_before_it_admits() {
        let mut book = Book::default();
        for run in 0..3 {
            book.admit(&request(run, 0, Some(("p", 3))), &BUDGET);
        }
        book.release(&"r0".parse().unwrap());
        // Two of two are taken, though place 0 is free.
        assert_eq!(slot_of(&book.admit(&request(7, 0, Some(("p", 2))), &BUDGET)), None);
        book.release(&"r2".parse().unwrap());
        assert_eq!(slot_of(&book.admit(&request(7, 0, Some(("p", 2))), &BUDGET)), Some(0));
    }

    #[test]
    fn a_lock_has_one_holder_and_what_never_fits_is_said() {
        let mut book = Book::default();
        let locked =
            |run| Request { locks: ["diff:/t".to_owned()].into(), ..request(run, 1, None) };
        assert!(matches!(book.admit(&locked(1), &BUDGET), Admission::Admitted(_)));
        assert!(matches!(
            book.admit(&locked(2), &BUDGET),
            Admission::Full { shortage: Shortage::Lock { .. }, .. }
        ));
        assert!(matches!(
            book.admit(&request(3, 101, None), &BUDGET),
            Admission::TooLarge { shortage: Shortage::Memory { free: 100 } }
        ));
        assert!(matches!(
            book.admit(&request(3, 0, Some(("p", 0))), &BUDGET),
            Admission::TooLarge { shortage: Shortage::Slots { .. } }
        ));
    }

    /// Whatever comes in whatever order: no pool, no budget is ever exceeded at
    /// an admission, and no place is given twice.
    #[test]
    fn random_histories_never_exceed_anything() {
        let seed: u64 = std::env::var("SEED").map_or(0x5eed, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut state = seed;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut book = Book::default();
        let mut admitted = 0;
        for _ in 0..20_000 {
            let run = random(12);
            if random(3) == 0 {
                book.release(&format!("r{run}").parse().unwrap());
                continue;
            }
            let size = u32::try_from(1 + random(4)).unwrap();
            let pool = ["p", "q"][usize::try_from(random(2)).unwrap()];
            let known = book.entries().iter().any(|entry| entry.run.as_str() == format!("r{run}"));
            let answer = book.admit(&request(run, random(60), Some((pool, size))), &BUDGET);
            let places: Vec<u32> = book.places(pool).map(|slot| slot.n).collect();
            let distinct: BTreeSet<u32> = places.iter().copied().collect();
            assert_eq!(places.len(), distinct.len(), "a place was given twice");
            let memory: u64 = book.entries().iter().map(|entry| entry.demand.memory).sum();
            assert!(memory <= BUDGET.memory, "{memory}");
            if let (false, Some(n)) = (known, slot_of(&answer)) {
                admitted += 1;
                assert!(n < size && places.len() <= size as usize, "{places:?} of {size}");
            }
        }
        assert!(admitted > 1000, "only {admitted} admissions were tried");
    }
}
