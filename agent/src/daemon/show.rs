//! Parts of job logs, for whoever reads them through the coordinator.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use molt_domain::id::JobId;
use molt_domain::job::MAX_ATTEMPTS;
use molt_proto::v1;

use crate::run::{RunFolder, RunId};

/// The most that is shown at once, in bytes.
const PART: u64 = 64 * 1024;

/// The part that is wanted, or why there is none.
pub(super) fn part(state: &Path, wanted: &v1::LogWanted) -> v1::LogPart {
    let (ask, at) = (wanted.ask, wanted.from);
    match find(state, wanted) {
        Ok((text, ended)) => v1::LogPart { ask, at, text, ended, missing: String::new() },
        Err(missing) => v1::LogPart { ask, at, text: Vec::new(), ended: true, missing },
    }
}

fn find(state: &Path, wanted: &v1::LogWanted) -> Result<(Vec<u8>, bool), String> {
    let folder = run_of(state, wanted)?;
    let told = |error: crate::run::FileError| crate::error::Error::from(error).in_full();
    let log = folder.spec().map_err(told)?.log;
    // Before the text is read: what is written in between is read the next time.
    let over = folder.exit_record().map_err(told)?.is_some();
    let text = read(&log, wanted.from).map_err(|error| format!("{}: {error}", log.display()))?;
    let whole = (text.len() as u64) < PART;
    Ok((text, over && whole))
}

/// The run of the job's attempt, or of its last one here.
fn run_of(state: &Path, wanted: &v1::LogWanted) -> Result<RunFolder, String> {
    let job: JobId = wanted.job.parse().map_err(|_| format!("`{}` is no job", wanted.job))?;
    let named = |attempt: u32| -> Option<RunFolder> {
        let id: RunId = format!("{job}-{attempt}").parse().ok()?;
        let folder = RunFolder::of(state, &id);
        folder.path().is_dir().then_some(folder)
    };
    let found = match wanted.attempt {
        0 => (1..=MAX_ATTEMPTS).rev().find_map(named),
        attempt => named(attempt),
    };
    found.ok_or_else(|| "this host has no run of it any more".to_owned())
}

fn read(log: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(PART).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Argv, RunSpec};

    #[test]
    fn a_log_is_shown_part_by_part_and_nothing_else_is() {
        let state = tempfile::tempdir().unwrap();
        let job = JobId::from_counter(7);
        let log = state.path().join("gate.log");
        std::fs::write(&log, "x".repeat(PART as usize + 10)).unwrap();
        let argv = Argv::try_from(vec!["true".to_owned()]).unwrap();
        let id: RunId = format!("{job}-2").parse().unwrap();
        let cwd = state.path().to_owned();
        let spec = RunSpec::new(id, argv, cwd, log, "gate".parse().unwrap());
        RunFolder::create(state.path(), &spec).unwrap();
        let wanted = |attempt, from| v1::LogWanted { ask: 5, job: job.to_string(), attempt, from };
        for attempt in [0, 2] {
            let first = part(state.path(), &wanted(attempt, 0));
            assert_eq!((first.text.len() as u64, first.ended, first.ask), (PART, false, 5));
            let rest = part(state.path(), &wanted(attempt, PART));
            assert_eq!((rest.text.len(), rest.at, rest.ended), (10, PART, false), "it goes on");
        }
        let other = part(state.path(), &wanted(1, 0));
        assert_eq!(other.missing, "this host has no run of it any more");
        let hostile = v1::LogWanted { job: "../../etc".to_owned(), ..wanted(0, 0) };
        assert_eq!(part(state.path(), &hostile).missing, "`../../etc` is no job");
    }
}
