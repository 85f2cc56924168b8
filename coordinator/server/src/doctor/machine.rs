//! The folder of the coordinator's state, and the disk below it.

use std::path::Path;

use molt_proto::exit::Exit;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::Finding;

/// With less room than this nothing is served for long.
const LITTLE: u64 = 128 << 20;

/// With less room than this a person should know.
const SOME: u64 = 1 << 30;

/// Looks at the data folder, or at where it would be made.
pub(super) fn data(folder: &Path) -> Vec<Finding> {
    let is_there = |path: &&Path| path.exists();
    let Some(there) = folder.ancestors().find(is_there) else {
        return vec![Finding::fail(
            "data",
            Exit::Usage,
            format!("{}: no way to it", folder.display()),
        )];
    };
    let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
    let mut findings = Vec::new();
    findings.push(match access(there, wanted) {
        Err(error) => {
            Finding::fail("data", Exit::Usage, format!("{}: {}", there.display(), error.desc()))
        }
        Ok(()) if there != folder => {
            Finding::ok("data", format!("{}: `serve` makes it", folder.display()))
        }
        Ok(()) => Finding::ok("data", folder.display().to_string()),
    });
    findings.push(match statvfs(there) {
        Ok(found) => {
            room(wide(found.blocks_available()).saturating_mul(wide(found.fragment_size())))
        }
        Err(error) => Finding::warn("disk", format!("{}: {}", there.display(), error.desc())),
    });
    findings
}

/// A count of the file system, whose width is not the same everywhere.
fn wide(count: impl Into<u64>) -> u64 {
    count.into()
}

fn room(free: u64) -> Finding {
    let detail = format!("{} MiB are free", free >> 20);
    match free {
        ..LITTLE => Finding::fail("disk", Exit::Unavailable, detail),
        LITTLE..SOME => Finding::warn("disk", detail),
        _ => Finding::ok("disk", detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn room_runs_out_in_steps() {
        assert_eq!(room(LITTLE - 1).level, Level::Fail(Exit::Unavailable));
        assert_eq!(room(LITTLE).level, Level::Warn);
        assert_eq!(room(SOME - 1).level, Level::Warn);
        assert_eq!(room(SOME).level, Level::Ok);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_made_and_a_file_in_its_way_fails() {
        let scratch = tempfile::tempdir().unwrap();
        let found = data(&scratch.path().join("a/b"));
        assert_eq!(found[0].level, Level::Ok);
        assert!(found[0].detail.contains("makes it"), "{}", found[0]);
        let file = scratch.path().join("file");
        std::fs::write(&file, "").unwrap();
        let found = data(&file.join("b"));
        assert_eq!(found[0].level, Level::Fail(Exit::Usage), "{}", found[0]);
    }
}
