//! The tree that a run reads: as it was when its result got its name, and what has
//! become of it by the run's end.
//!
//! What a run makes of a tree that changed meanwhile is made of no tree that anybody
//! can name. Not here: which results that matters for (`wrap`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use molt_repo::{Before, Git, TreeState};
use serde::{Deserialize, Serialize};

use crate::error::in_full;

/// How many changed paths a record names.
const NAMED: usize = 20;

/// How many of them people are told at once.
const TOLD: usize = 3;

/// A tree that is looked at again at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// What it held.
    pub before: Before,
    /// What the run makes, as absolute paths: what lies there may change.
    pub outputs: Vec<PathBuf>,
}

/// What a tree was at the end of the run that read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Outcome {
    /// What it was before.
    Same {
        /// Its commit and how it differs from that; `None` before the first commit.
        state: Option<TreeState>,
    },
    /// Something else.
    Changed {
        /// Its commit and how it differs from that; `None` before the first commit.
        state: Option<TreeState>,
        /// The first of the paths that are not what they were.
        paths: Vec<String>,
        /// How many such paths there are.
        count: usize,
    },
    /// Nobody knows.
    Unknown {
        /// Why, as a lowercase fragment.
        reason: String,
    },
}

impl Sources {
    /// What it was before, for the exit record: commit, tree, dirty digest.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let Some(TreeState { commit, tree, dirty }) = self.before.state().cloned() else {
            return BTreeMap::new();
        };
        let facts = [
            ("commit", commit.to_string()),
            ("tree", tree.to_string()),
            ("dirty", dirty.unwrap_or_default()),
        ];
        facts.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Looks at the tree again. Blocks for as long as git takes.
    pub fn look_again(&self) -> Outcome {
        let look = || {
            let git = Git::find().map_err(|error| in_full(&error))?;
            self.before.look_again(&git, &self.outputs).map_err(|error| in_full(&error))
        };
        match look() {
            Err(reason) => Outcome::Unknown { reason },
            Ok(after) if after.changed.is_empty() => Outcome::Same { state: after.state },
            Ok(after) => Outcome::Changed {
                state: after.state,
                count: after.changed.len(),
                paths: after.changed.iter().take(NAMED).map(ToString::to_string).collect(),
            },
        }
    }
}

impl Outcome {
    /// Why what the run made is made of no tree that can be named, as a lowercase
    /// fragment; `None` if it can.
    pub fn doubt(&self) -> Option<String> {
        match self {
            Self::Same { .. } => None,
            Self::Changed { paths, count, .. } => {
                let told = &paths[..paths.len().min(TOLD)];
                let more = count.saturating_sub(told.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                Some(format!("{}{more} changed during the run", told.join(" ")))
            }
            Self::Unknown { reason } => {
                Some(format!("cannot tell whether the tree changed during the run: {reason}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::record::{Ending, ExitRecord, Moment, Status};
    use super::super::spec::{Argv, RunId, RunSpec};

    #[test]
    fn a_tree_that_nobody_could_look_at_again_is_not_known_to_be_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::find().unwrap();
        git.call(molt_repo::Place::Within(folder.path())).args(["init", "--quiet"]).run().unwrap();
        std::fs::write(folder.path().join("a"), "1").unwrap();
        let before = Before::look(&git, folder.path()).unwrap();
        let sources = Sources { before, outputs: Vec::new() };
        assert_eq!(sources.look_again(), Outcome::Same { state: None });
        std::fs::write(folder.path().join("a"), "2").unwrap();
        assert!(matches!(sources.look_again(), Outcome::Changed { count: 1, .. }));
        std::fs::rename(folder.path().join(".git"), folder.path().join("git")).unwrap();
        assert!(matches!(sources.look_again(), Outcome::Unknown { .. }));

        let argv = Argv::try_from(vec!["true".to_owned()]).unwrap();
        let phase = "build".parse().unwrap();
        let mut spec = RunSpec::new(RunId::fresh(), argv, "/".into(), "/l".into(), phase);
        let record = |spec: &RunSpec| {
            let (now, by) = (Moment::now(), "nobody saw it".to_owned());
            ExitRecord::new(spec, &now, &now, Ending::of_wrapper(Status::Unknown, by))
        };
        assert_eq!(record(&spec).sources, None);
        spec.sources = Some(sources);
        assert!(matches!(record(&spec).sources, Some(Outcome::Unknown { .. })));
    }

    fn changed(count: usize) -> Outcome {
        let paths = (0..count.min(NAMED)).map(|n| format!("src/{n}")).collect();
        Outcome::Changed { state: None, paths, count }
    }

    #[test]
    fn a_few_changed_paths_are_told_and_the_others_counted() {
        let table = [
            (1, "src/0 changed during the run"),
            (3, "src/0 src/1 src/2 changed during the run"),
            (4, "src/0 src/1 src/2 and 1 more changed during the run"),
            (900, "src/0 src/1 src/2 and 897 more changed during the run"),
        ];
        for (count, text) in table {
            assert_eq!(changed(count).doubt().as_deref(), Some(text));
        }
        assert_eq!(Outcome::Same { state: None }.doubt(), None);
        let unknown = Outcome::Unknown { reason: "no git".to_owned() };
        assert!(unknown.doubt().is_some_and(|doubt| doubt.ends_with(": no git")), "{unknown:?}");
    }
}
