//! What agents tell each other about their claims.

use serde::{Deserialize, Serialize};

use crate::id::{BoardTime, ClaimId};
use crate::scope::Risk;

/// What the holder of a claim announced: scope, files, expected tests, risk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// The claim.
    pub claim: ClaimId,
    /// The files that will be touched.
    pub files: Vec<String>,
    /// The tests that are expected to matter.
    pub tests: Vec<String>,
    /// How risky the work is.
    pub risk: Risk,
    /// A line for the others.
    pub note: String,
    /// When it was said last.
    pub at: BoardTime,
}
