//! The independent check of what the train did: git and the exported audit must
//! tell the same story, and every landing must have its proofs.
//!
//! It shares no code with the product: its own reading of the audit, of
//! `molt.toml` and of git, so that a mistake of the product is not repeated
//! here. Not here: anything that asks a coordinator.

mod audit;
mod book;
mod change;
mod expect;
pub mod fleet;
mod git;
mod history;
mod policy;
mod proof;
mod report;
mod shape;

use std::path::PathBuf;

use anyhow::Context;

use self::audit::Audit;
use self::book::Book;
use self::expect::Expectations;
use self::git::Git;
pub use self::report::Report;

/// What is to be verified.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The repository that changes landed in.
    pub repo: PathBuf,
    /// The exported audit.
    pub audit: PathBuf,
    /// The branch that changes landed on.
    pub branch: String,
    /// A file that says what must have happened.
    pub expect: Option<PathBuf>,
}

/// Verifies, and says everything that does not hold.
///
/// # Errors
///
/// A file or repository that cannot be read: nothing is known then.
pub fn verify(asked: &Asked) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let bytes =
        std::fs::read(&asked.audit).with_context(|| format!("audit {}", asked.audit.display()))?;
    let expectations = asked.expect.as_deref().map(Expectations::read).transpose()?;
    let git = Git::open(&asked.repo)?;
    let Some(audit) = Audit::read(&bytes, &mut report) else {
        // Nothing that a broken chain tells can be relied on.
        return Ok(report);
    };
    let book = Book::of(&audit, &mut report);
    history::check(&git, &asked.branch, &book, &mut report)?;
    report.count(&audit, &book);
    if let Some(expectations) = expectations {
        expectations.check(&mut report);
    }
    Ok(report)
}
