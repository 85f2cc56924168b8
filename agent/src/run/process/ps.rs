//! The process table as `ps` prints it, for systems without `/proc`.

use std::io;
use std::process::{Command, Stdio};

use nix::unistd::{Pid, getsid};

use super::{Process, ProcessIdentity, State};

const COLUMNS: &str = "pid=,ppid=,pgid=,stat=,rss=,lstart=,comm=";

pub(super) fn find(pid: i32) -> io::Result<Option<Process>> {
    Ok(list(&["-p", &pid.to_string()])?.pop())
}

pub(super) fn in_session(session: i32) -> io::Result<Vec<Process>> {
    let mut processes = list(&["-A"])?;
    processes.retain(|process| process.session == session);
    Ok(processes)
}

/// The effective user.
pub(super) fn owner(pid: i32) -> io::Result<Option<u32>> {
    let output = Command::new("/bin/ps")
        .args(["-p", &pid.to_string(), "-o", "uid="])
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.trim() {
        "" => Ok(None),
        uid => uid.parse().map(Some).map_err(|_| io::Error::other(format!("ps printed `{said}`"))),
    }
}

/// The processes that `selection` names, without `ps` itself.
fn list(selection: &[&str]) -> io::Result<Vec<Process>> {
    let child = Command::new("/bin/ps")
        .args(selection)
        .args(["-o", COLUMNS])
        .env_clear()
        // Start times are compared as text, so they must not depend on a locale.
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let own = i32::try_from(child.id()).unwrap_or(-1);
    let output = child.wait_with_output()?;
    if !output.status.success() && !output.stderr.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("ps ended with {}: {said}", output.status)));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            parse(line).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("ps printed `{line}`"))
            })
        })
        .filter(|process| process.as_ref().map_or(true, |process| process.identity.pid != own))
        .collect()
}

fn parse(line: &str) -> Option<Process> {
    let mut words = line.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let group = words.next()?.parse().ok()?;
    let state = if words.next()?.starts_with('Z') { State::Ended } else { State::Alive };
    let kibibytes: u64 = words.next()?.parse().ok()?;
    let start: Vec<&str> = words.by_ref().take(5).collect();
    let command = words.collect::<Vec<_>>().join(" ");
    (start.len() == 5).then(|| Process {
        identity: ProcessIdentity { pid, start: start.join(" ") },
        parent,
        group,
        session: getsid(Some(Pid::from_raw(pid))).map_or(0, Pid::as_raw),
        state,
        memory: kibibytes.saturating_mul(1024),
        name: command.rsplit('/').next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_darwin_is_read() {
        let line = "  501     1   501 Ss    2048 Sat Nov 22 16:23:01 2025     /usr/libexec/a b";
        let process = parse(line).unwrap();
        assert_eq!(process.identity.start, "Sat Nov 22 16:23:01 2025");
        assert_eq!((process.parent, process.group, process.memory), (1, 501, 2 << 20));
        assert_eq!((process.state, process.name.as_str()), (State::Alive, "a b"));
        assert_eq!(parse("501 1 501 Z 0 Sat Nov"), None);
    }
}
