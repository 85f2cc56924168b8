//! Disks that are small enough to be filled.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the files are called that fill a disk up.
const FILLER: &str = "filler";

/// A small file system at a folder, until it is dropped.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// One of `size` MiB; `None` where this user may not mount.
    #[track_caller]
    pub(crate) fn mount(folder: &Path, size: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}m"), "none"]).arg(folder);
        let mounted = mount.output().ok()?;
        mounted.status.success().then(|| Self(folder.to_owned()))
    }

    /// Leaves no room, not even for a page.
    #[track_caller]
    pub(crate) fn fill(&self) {
        let mut size = 1 << 20;
        let mut number = 0;
        while size > 0 {
            let path = self.0.join(format!("{FILLER}-{number}"));
            number += 1;
            match std::fs::write(&path, vec![1_u8; size]) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    std::fs::remove_file(&path).expect("what did not fit can go");
                    size /= 2;
                }
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// Makes room again.
    #[track_caller]
    pub(crate) fn make_room(&self) {
        for entry in self.0.read_dir().expect("the disk") {
            let path = entry.expect("an entry").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FILLER)) {
                std::fs::remove_file(&path).expect("a filler");
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Who was killed a moment ago may still be on it; it goes when they have gone.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !std::thread::panicking() {
            assert!(unmounted.is_ok_and(|status| status.success()), "{}", self.0.display());
        }
    }
}
