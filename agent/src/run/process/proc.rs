//! The process table as Linux shows it under `/proc`.

use std::io;
use std::sync::OnceLock;

use super::{Process, ProcessIdentity, State};

pub(super) fn find(pid: i32) -> io::Result<Option<Process>> {
    let Some(mut process) = stat(pid)? else {
        return Ok(None);
    };
    process.memory = resident(pid)?;
    Ok(Some(process))
}

pub(super) fn in_session(session: i32) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match stat(pid)? {
            Some(mut process) if process.session == session => {
                process.memory = resident(pid)?;
                found.push(process);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The effective user, which is the second number of the line `Uid:`.
pub(super) fn owner(pid: i32) -> io::Result<Option<u32>> {
    let Some(status) = read(pid, "status")? else {
        return Ok(None);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let uid = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    let unreadable = || io::Error::other(format!("/proc/{pid}/status names no user"));
    uid.map(Some).ok_or_else(unreadable)
}

/// `/proc/<pid>/<file>`, or `None` when that process is gone.
fn read(pid: i32, file: &str) -> io::Result<Option<String>> {
    match std::fs::read(format!("/proc/{pid}/{file}")) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A process that ends between open and read answers ESRCH.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32)
}

fn stat(pid: i32) -> io::Result<Option<Process>> {
    let Some(text) = read(pid, "stat")? else {
        return Ok(None);
    };
    let process = parse(pid, &text, boot()?).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat reads `{text}`"))
    })?;
    Ok(Some(process))
}

/// The fields of `stat`; the name is in parentheses and may contain any byte.
fn parse(pid: i32, text: &str, boot: &str) -> Option<Process> {
    let (head, tail) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    let process_id = |index: usize| i32::try_from(number(index)?).ok();
    // A main thread that left other threads behind reads `Z` while they run.
    let threads = number(17)?;
    let state = match *fields.first()? {
        "Z" if threads <= 1 => State::Ended,
        "X" | "x" => State::Ended,
        _ => State::Alive,
    };
    Some(Process {
        identity: ProcessIdentity { pid, start: format!("{boot}:{}", fields.get(19)?) },
        parent: process_id(1)?,
        group: process_id(2)?,
        session: process_id(3)?,
        state,
        memory: 0,
        name: name.to_owned(),
    })
}

/// Resident memory in bytes; 0 for a process that is gone or has none left.
fn resident(pid: i32) -> io::Result<u64> {
    let Some(status) = read(pid, "status")? else {
        return Ok(0);
    };
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    Ok(kibibytes.map_or(0, |kibibytes: u64| kibibytes.saturating_mul(1024)))
}

/// Which boot this is: start times count from it, so they need it.
fn boot() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot);
    }
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, state: &str, threads: u32) -> String {
        format!("7 ({name}) {state} 3 7 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 4711 0 9")
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        let process = parse(7, &line("a) R 9 (b", "S", 1), "boot").unwrap();
        assert_eq!(process.name, "a) R 9 (b");
        assert_eq!((process.parent, process.group, process.session), (3, 7, 5));
        assert_eq!(process.identity.start, "boot:4711");
    }

    #[test]
    fn a_main_thread_that_left_is_not_an_ended_process() {
        assert_eq!(parse(7, &line("x", "Z", 1), "b").unwrap().state, State::Ended);
        assert_eq!(parse(7, &line("x", "Z", 3), "b").unwrap().state, State::Alive);
        assert_eq!(parse(7, &line("x", "T", 1), "b").unwrap().state, State::Alive);
    }

    #[test]
    fn a_cut_off_line_is_no_process() {
        assert_eq!(parse(7, "7 (x) S 3 7", "b"), None);
        assert_eq!(parse(7, "", "b"), None);
    }
}
