//! What a process has used of the machine: processor time and memory.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::{SysconfVar, sysconf};

use crate::process::output;

/// The processor time that a process has had since it began, in user and kernel mode.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => from_stat(&stat),
        // To a hundredth of a second, where there is no such file.
        Err(_) => from_ps(&ps(pid, "time=")?),
    }
}

/// The memory of a process that is in core, in bytes.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let kilobytes: u64 = ps(pid, "rss=")?.trim().parse()?;
    Ok(kilobytes * 1024)
}

/// The most memory of a process that was in core at any time, in bytes; `None` where nothing tells.
pub(crate) fn peak(pid: u32) -> anyhow::Result<Option<u64>> {
    match fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => Ok(Some(peak_of_status(&status)?)),
        Err(_) => Ok(None),
    }
}

fn peak_of_status(status: &str) -> anyhow::Result<u64> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.trim().strip_suffix(" kB")).context("no peak")?;
    Ok(peak.parse::<u64>()? * 1024)
}

fn ps(pid: u32, what: &str) -> anyhow::Result<String> {
    output(Command::new("ps").args(["-o", what, "-p", &pid.to_string()]))
}

/// Fields 14 and 15, in ticks; the name, field 2, may have blanks in its parentheses.
fn from_stat(stat: &str) -> anyhow::Result<Duration> {
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> anyhow::Result<u64> { Ok(fields.next().context("too short")?.parse()?) };
    let ticks = ticks()? + ticks()?;
    let a_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
    Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
}

/// `MINUTES:SECONDS.HUNDREDTHS`, with hours before them where there are any.
fn from_ps(time: &str) -> anyhow::Result<Duration> {
    let mut seconds = 0.0;
    for part in time.trim().split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().with_context(|| format!("time {time:?}"))?;
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_in_either_form() {
        let a_second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap();
        let stat = format!("7 (a )b) S 1 7 7 0 -1 0 0 0 0 0 {a_second} {} 0 0", 2 * a_second);
        assert_eq!(from_stat(&stat).unwrap(), Duration::from_secs(3));
        assert_eq!(from_ps("  1:02.50\n").unwrap(), Duration::from_millis(62_500));
        assert_eq!(from_ps("1:00:01.00").unwrap(), Duration::from_secs(3601));
        assert!(from_ps("-").is_err());
    }

    #[test]
    fn a_peak_is_read() {
        let status = "Name:\tVmHWM\nVmPeak:\t   9 kB\nVmHWM:\t    512 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(peak_of_status(status).unwrap(), 512 << 10);
        assert!(peak_of_status("VmRSS:\t 1 kB\n").is_err());
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let own = std::process::id();
        assert!(resident(own).unwrap() > 100_000);
        let before = cpu(own).unwrap();
        let mut sum = 0u64;
        while cpu(own).unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
    }
}
