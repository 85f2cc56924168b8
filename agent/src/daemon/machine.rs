//! What this machine has: cores, memory, its kind.

use std::process::Command;
use std::sync::OnceLock;

use crate::ledger::Budget;

/// Processor cores that this process may use.
pub fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

/// Memory in bytes; 0 when the system does not say.
pub fn memory() -> u64 {
    static MEMORY: OnceLock<u64> = OnceLock::new();
    *MEMORY.get_or_init(|| proc_memory().or_else(sysctl_memory).unwrap_or(0))
}

fn proc_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

fn sysctl_memory() -> Option<u64> {
    let output = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Operating system and architecture.
pub fn labels() -> Vec<String> {
    vec![std::env::consts::OS.to_owned(), std::env::consts::ARCH.to_owned()]
}

/// What runs may spend together. Memory that is not known is no limit.
pub fn budget() -> Budget {
    let memory = match memory() {
        0 => u64::MAX,
        bytes => bytes,
    };
    Budget { memory, millicores: u64::from(cores()) * 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_something() {
        assert!(cores() >= 1);
        assert!(memory() > 64 << 20, "{} bytes", memory());
        assert!(budget().millicores >= 1000);
        assert_eq!(labels().len(), 2);
    }
}
