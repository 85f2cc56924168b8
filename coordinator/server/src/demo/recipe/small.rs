//! A small repository with real gates: a calculator in C, checked by `make` and the shell.

use std::path::Path;
use std::time::Duration;

use super::{Build, Recipe, Source, Task, lands, refused, write};
use crate::demo::error::DemoError;
use crate::demo::git::git;

const FILES: [(&str, &str); 21] = [
    ("molt.toml", include_str!("small/molt.toml")),
    ("Makefile", include_str!("small/Makefile")),
    (".gitignore", include_str!("small/gitignore")),
    ("README.md", include_str!("small/README.md")),
    ("docs/manual.md", include_str!("small/manual.md")),
    ("runtime/vm.h", include_str!("small/vm.h")),
    ("runtime/vm.c", include_str!("small/vm.c")),
    ("runtime/sources.mk", include_str!("small/runtime.mk")),
    ("frontend/main.c", include_str!("small/main.c")),
    ("frontend/sources.mk", include_str!("small/frontend.mk")),
    ("tests/unit.c", include_str!("small/unit.c")),
    ("tools/lint.sh", include_str!("small/lint.sh")),
    ("tools/diff.sh", include_str!("small/diff.sh")),
    ("tests/cases/plus.in", "1 2 +\n"),
    ("tests/cases/plus.out", "= 3\n"),
    ("tests/cases/nested.in", "1 2 3 + +\n"),
    ("tests/cases/nested.out", "= 6\n"),
    ("tests/cases/unknown.in", "4 huh\n"),
    ("tests/cases/unknown.out", "? huh\n= 4\n"),
    // Nothing divides yet: this one is red on the base, and forgiven for that.
    ("tests/cases/divide.in", "6 3 /\n"),
    ("tests/cases/divide.out", "= 2\n"),
];

const PLAN: [Task; 10] = [
    lands("docs: tell of differences", "docs"),
    lands("runtime: multiply", "runtime"),
    lands("frontend: comments to the end of the line", "frontend"),
    lands("tests: a case for minus", "tests"),
    lands("manifests: tell what is listed", "manifests"),
    refused("docs: a line that ends in blanks", "docs", "lint"),
    refused("runtime: forget a failure", "runtime", "test"),
    refused("frontend: another way to answer", "frontend", "diff"),
    refused("docs: reach into the runtime", "docs", "scope-escape"),
    // It conflicts with the first one, so that has to be there.
    Task { need: Some(0), ..refused("docs: from a stale copy", "docs", "conflict-base") },
];

impl Recipe {
    /// A repository that is made for the purpose.
    pub(in crate::demo) fn small() -> Self {
        Self {
            about: "a calculator in C with 6 scopes, one of them a carve".to_owned(),
            jobs: [1, 1, 1],
            patience: Duration::from_secs(60),
            mind: include_str!("small/mind.sh"),
            wanted: ("runtime", "docs"),
            build: Build { name: "say", artifact: "say", command: "make --silent say" },
            pool: ("cache", 2),
            plan: &PLAN,
            orphaned: lands("docs: a page that two begin", "docs"),
            flying: lands("docs: written while the coordinator dies", "docs"),
            held: lands("frontend: held while the coordinator dies", "frontend"),
            source: Source::Small,
        }
    }
}

pub(super) fn lay(folder: &Path) -> Result<(), DemoError> {
    write(folder, &FILES)?;
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "-m", "Begin"]).map(drop)
}
