//! `slot run POOL -- CMD`: a command with a cache slot of this machine to itself.

use molt_domain::name::PoolName;

use super::acquire::Taken;
use super::ask::Ask;
use super::hold::Of;
use super::interrupt::Interrupts;
use super::lock::variables;
use super::under::{Started, Task, code, phase};
use super::{Command, Failure, Patience, Wrapper, one, slot_folder, slot_name};
use crate::error::Error;
use crate::run::FileError;

/// A command in a slot.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The pool.
    pub pool: PoolName,
    /// What runs in the slot.
    pub command: &'a Command,
    /// How long a slot is waited for.
    pub patience: Patience,
}

impl Slot<'_> {
    /// Runs the command in a slot; its exit code.
    pub async fn run(&self, wrapper: &Wrapper<'_>) -> Result<u8, Failure> {
        let mut interrupts = Interrupts::listen()?;
        wrapper.renewed().await?;
        let ask = Ask::Slot {
            pool: self.pool.to_string(),
            host: wrapper.host.to_string(),
            what: self.command.what(),
            wait: self.patience.waits,
        };
        loop {
            let taken = wrapper.take(&ask, self.patience, &mut interrupts).await?;
            let Taken::Held(view, place) = taken else {
                return Err(Error::bug("a slot was answered with a build").into());
            };
            let Some(n) = view.slot else {
                wrapper.give_up(&place).await;
                return Err(Error::bug("the coordinator granted a slot without a number").into());
            };
            let pool = self.pool.to_string();
            let folder = slot_folder(wrapper.state, &pool, n);
            std::fs::create_dir_all(&folder).map_err(FileError::when("create", &folder))?;
            let task = Task {
                command: self.command,
                of: Of::Slot { pool, slot: n },
                names: one(slot_name(&folder)),
                phase: phase("slot")?,
                variables: variables([
                    ("MOLT_SLOT", n.to_string()),
                    ("MOLT_SLOT_DIR", folder.display().to_string()),
                    ("MOLT_FENCE", view.fence.clone()),
                ]),
                sure_until: None,
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
