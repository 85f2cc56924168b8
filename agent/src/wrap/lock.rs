//! `lock run NAME -- CMD`: a command that nobody in the fleet runs beside.

use std::collections::BTreeMap;

use molt_domain::name::LockName;

use super::acquire::Taken;
use super::ask::Ask;
use super::hold::Of;
use super::interrupt::Interrupts;
use super::under::{Started, Task, code, phase};
use super::{Command, Failure, Patience, Wrapper, one};
use crate::error::Error;

/// A command under a lock.
#[derive(Debug)]
pub struct Lock<'a> {
    /// The lock.
    pub lock: LockName,
    /// What runs under it.
    pub command: &'a Command,
    /// How long it is waited for.
    pub patience: Patience,
}

impl Lock<'_> {
    /// Runs the command under the lock; its exit code.
    pub async fn run(&self, wrapper: &Wrapper<'_>) -> Result<u8, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let repo = wrapper.record()?.repo;
        // Without a daemon the lock would be lost in the middle of the run.
        let sure_until = Some(wrapper.renewed().await?.deadline());
        let ask = Ask::Lock {
            lock: self.lock.to_string(),
            what: self.command.what(),
            wait: self.patience.waits,
        };
        loop {
            let taken = wrapper.take(&ask, self.patience, &mut interrupts).await?;
            let Taken::Held(view, place) = taken else {
                return Err(Error::bug("a lock was answered with a build").into());
            };
            let lock = self.lock.to_string();
            let variables =
                variables([("MOLT_LOCK", lock.clone()), ("MOLT_FENCE", view.fence.clone())]);
            let task = Task {
                command: self.command,
                of: Of::Lock { lock },
                names: one(format!("lock:{}:{repo}:{}", fleet(wrapper), self.lock)),
                phase: phase("lock")?,
                variables,
                sure_until,
                sources: None,
            };
            match wrapper.start(&task, (&view, &place), self.patience, &mut interrupts).await? {
                Started::Run(run) => {
                    let record = wrapper.see_through(*run, &mut interrupts).await?;
                    return code(self.command, &record);
                }
                Started::Spent => {}
            }
        }
    }
}

/// Whose lock it is: two fleets may each have one of the same name.
fn fleet(wrapper: &Wrapper<'_>) -> String {
    let mut places: Vec<String> =
        wrapper.client.addresses().iter().map(ToString::to_string).collect();
    places.sort();
    places.join(",")
}

/// Variables of a command by name.
pub(super) fn variables<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}
