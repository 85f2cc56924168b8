//! Why a demonstration did not come to its end.

use std::path::PathBuf;
use std::time::Duration;

/// Why a demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A program of the set is not there.
    #[error("{} is missing: `make demo` builds it", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot start {program}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program ended otherwise than it should.
    #[error("{program} ended with {status}: {said}")]
    Ended {
        /// Which.
        program: String,
        /// How.
        status: String,
        /// The last lines that it said.
        said: String,
    },
    /// Something did not happen in time.
    #[error("waited {} for {what}, and it did not happen; the last events: {last}", humantime::format_duration(*bound))]
    Late {
        /// What.
        what: String,
        /// How long.
        bound: Duration,
        /// The last lines of the watch stream.
        last: String,
    },
    /// A file or folder of the scratch.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The scratch folder is somebody's.
    #[error("{} is not empty", path.display())]
    Occupied {
        /// Which.
        path: PathBuf,
    },
    /// The repository is not one that the recipe is for.
    #[error("{} is not this program's own repository: {problem}", path.display())]
    NotOurs {
        /// Which.
        path: PathBuf,
        /// What it lacks.
        problem: String,
    },
    /// A program printed something that cannot be read.
    #[error("{program} printed something unreadable: {detail}")]
    Unreadable {
        /// Which.
        program: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A signal asked to stop.
    #[error("interrupted; everything that was started is stopped")]
    Interrupted,
}

impl DemoError {
    /// Makes an error about `path` of one of the system.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
