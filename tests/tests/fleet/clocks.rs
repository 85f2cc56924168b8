//! Clocks of some programs only, never the machine's own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::is_alive;
use crate::scene::Variables;

/// Where packages put the library that fakes the time.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// What makes a program load a library before its own.
const PRELOAD: &str = "LD_PRELOAD";

/// A wall clock that jumps (`libfaketime`). All other clocks are the machine's.
#[derive(Debug)]
pub(crate) struct WallClock {
    library: &'static str,
    /// What it shows, as the library reads it at every look at the clock.
    shows: PathBuf,
}

impl WallClock {
    /// One that is right, with its file in `folder`; `None` where nothing is preloaded so.
    #[track_caller]
    pub(crate) fn new(folder: &Path) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        sweep();
        let library = LIBRARIES.into_iter().find(|library| Path::new(library).exists());
        let library = library.expect("libfaketime is there: tests/tools.sh installs it");
        let clock = Self { library, shows: folder.join("wall") };
        clock.jump_to("+0");
        Some(clock)
    }

    /// From now on it is so many seconds ahead, such as `+3600` or `-3600`.
    #[track_caller]
    pub(crate) fn jump_to(&self, ahead: &str) {
        // Whoever looks meanwhile sees the old time or the new one.
        let new = self.shows.with_extension("new");
        fs::write(&new, format!("{ahead}\n")).expect("the clock's file");
        fs::rename(&new, &self.shows).expect("the clock's file");
    }

    /// What makes programs look at it.
    pub(crate) fn variables(&self) -> Variables {
        vec![
            (PRELOAD, self.library.into()),
            ("FAKETIME_TIMESTAMP_FILE", self.shows.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            // Files have the machine's times, which then differ from the clock's, as the times of
            // files from before a jump do.
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        sweep();
    }
}

/// The library leaves shared memory behind that is named after its process, when that is killed,
/// and refuses to serve the next process of that number.
fn sweep() {
    let Ok(entries) = Path::new("/dev/shm").read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = ["faketime_shm_", "sem.faketime_sem_"]
            .into_iter()
            .find_map(|kind| name.strip_prefix(kind)?.parse().ok());
        if owner.is_some_and(|owner| !is_alive(owner)) {
            // Who else sweeps may be faster.
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// The sleep of a machine: programs that were stopped for its length see the clocks as they are
/// after a suspend, where those that count suspend have gone on and the others have not.
#[derive(Debug)]
pub(crate) struct Sleep {
    library: PathBuf,
    /// How long it slept in all, in nanoseconds.
    slept: PathBuf,
}

impl Sleep {
    /// A machine that has not slept yet, with its files in `folder`; `None` where nothing is
    /// preloaded so.
    #[track_caller]
    pub(crate) fn new(folder: &Path, name: &str) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let library = folder.join("asleep.so");
        if !library.exists() {
            compile(&library);
        }
        let sleep = Self { library, slept: folder.join(format!("{name}.slept")) };
        sleep.has_slept(Duration::ZERO);
        Some(sleep)
    }

    /// It has slept so long in all.
    #[track_caller]
    pub(crate) fn has_slept(&self, span: Duration) {
        let nanos = i64::try_from(span.as_nanos()).expect("a short sleep");
        // In place: the programs have the file in their memory.
        let file = fs::File::options().create(true).truncate(false).write(true).open(&self.slept);
        let mut file = file.expect("the sleep's file");
        std::io::Write::write_all(&mut file, &nanos.to_ne_bytes()).expect("the sleep's file");
    }

    /// What makes programs see it.
    pub(crate) fn variables(&self) -> Variables {
        let library: OsString = self.library.clone().into();
        vec![(PRELOAD, library), ("ASLEEP", self.slept.clone().into())]
    }
}

/// The library is a few lines of C: what replaces a function of the system's own has to be.
#[track_caller]
fn compile(library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/asleep.c");
    // What also linked this program.
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    let compiled = compile.arg(library).arg(source).output().expect("cc starts");
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{said}");
}
