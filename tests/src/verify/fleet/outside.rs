//! A resource outside the fleet that its lock is to protect: a set that is read and written as a
//! whole, so that two who do it at once lose something (Jepsen's lock-set). One of its kinds
//! remembers the highest fence that it was shown and refuses lower ones, the other one does not.

use std::fs::{File, read_to_string, write};
use std::io;
use std::path::{Path, PathBuf};

/// Whether a resource looks at fences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fences {
    /// It refuses whoever shows a lower one than it has seen.
    Checked,
    /// It serves whoever comes.
    Ignored,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Written,
    /// A higher fence was here before.
    Refused,
}

/// The resource, in a folder.
#[derive(Debug)]
pub struct Outside {
    folder: PathBuf,
    fences: Fences,
}

impl Outside {
    /// One of the two resources in `folder`.
    #[must_use]
    pub fn new(folder: &Path, fences: Fences) -> Self {
        Self { folder: folder.to_owned(), fences }
    }

    /// What its files and its acknowledgements are called after.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.fences {
            Fences::Checked => "checked",
            Fences::Ignored => "ignored",
        }
    }

    /// All elements; also what a holder shows its fence with for the first time.
    ///
    /// # Errors
    ///
    /// Files that cannot be used.
    pub fn read(&self, fence: u64) -> io::Result<Vec<String>> {
        let (_turn, _) = self.turn(fence)?;
        self.elements()
    }

    /// Puts `elements` in place of what is there.
    ///
    /// # Errors
    ///
    /// Files that cannot be used.
    pub fn write(&self, fence: u64, elements: &[String]) -> io::Result<Outcome> {
        let (_turn, highest) = self.turn(fence)?;
        if self.fences == Fences::Checked && fence < highest {
            return Ok(Outcome::Refused);
        }
        write(self.file("set"), elements.join("\n"))?;
        Ok(Outcome::Written)
    }

    /// All elements, without a fence: for whoever looks afterwards.
    ///
    /// # Errors
    ///
    /// Files that cannot be used.
    pub fn elements(&self) -> io::Result<Vec<String>> {
        let text = or_empty(read_to_string(self.file("set")))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// One at a time, as requests to a server are; the highest fence seen, with this one.
    fn turn(&self, fence: u64) -> io::Result<(File, u64)> {
        let turn = File::create(self.file("turn"))?;
        turn.lock()?;
        let known = or_empty(read_to_string(self.file("fence")))?;
        let highest = known.trim().parse().unwrap_or(0).max(fence);
        write(self.file("fence"), highest.to_string())?;
        Ok((turn, highest))
    }

    fn file(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{what}", self.name()))
    }
}

fn or_empty(read: io::Result<String>) -> io::Result<String> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}
