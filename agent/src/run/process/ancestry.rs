//! Who started whom, and which ancestor is the agent at work.

use std::io;

use nix::unistd::Pid;

use super::{ProcessIdentity, find};

/// Longer chains than this are not climbed.
const MAX_DEPTH: usize = 64;

/// Programs that only run another: the agent is above them.
const WRAPPERS: &[&str] = &[
    "sh",
    "bash",
    "zsh",
    "fish",
    "dash",
    "ash",
    "ksh",
    "mksh",
    "csh",
    "tcsh",
    "nu",
    "pwsh",
    "busybox",
    "timeout",
    "gtimeout",
    "env",
    "nohup",
    "nice",
    "ionice",
    "chrt",
    "taskset",
    "time",
    "setsid",
    "stdbuf",
    "script",
    "unbuffer",
    "strace",
    "sudo",
    "doas",
    "su",
    "runuser",
    "xargs",
    "parallel",
    "make",
    "gmake",
    "just",
    "ninja",
    "watch",
    "flock",
    "direnv",
    "mise",
    "molt-agent",
    "git",
];

/// Programs that hold the sessions of people: nobody above them is an agent.
const BOUNDARIES: &[&str] = &[
    "init",
    "systemd",
    "launchd",
    "login",
    "sshd",
    "sshd-session",
    "sshd-auth",
    "cron",
    "crond",
    "atd",
    "tmux",
    "tmux: server",
    "screen",
    "SCREEN",
    "zellij",
    "Terminal",
    "iTerm2",
    "gnome-terminal-",
    "konsole",
    "kitty",
    "alacritty",
    "wezterm-gui",
    "foot",
    "xterm",
    "ghostty",
    "dockerd",
    "containerd-shim",
    "containerd-shim-",
    "conmon",
    "tini",
    "dumb-init",
    "docker-init",
    "runsvdir",
    "supervisord",
];

/// A process above another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Who it is.
    pub identity: ProcessIdentity,
    /// The name of its program, without folders; Linux shows the first 15 bytes.
    pub name: String,
}

/// The ancestors of `pid`, nearest first, up to the first process of the system.
pub fn ancestors(pid: i32) -> io::Result<Vec<Ancestor>> {
    let mut chain = Vec::new();
    let mut next = find(pid)?.map(|process| process.parent);
    while let Some(parent) = next.filter(|&parent| parent > 0 && chain.len() < MAX_DEPTH) {
        let Some(process) = find(parent)? else { break };
        next = Some(process.parent);
        chain.push(Ancestor { identity: process.identity, name: process.name });
    }
    Ok(chain)
}

/// The nearest ancestor of this process that is neither a shell nor a wrapper:
/// the agent at work. `None` where a person's terminal or the system comes first.
pub fn nearest_agent_root() -> io::Result<Option<Ancestor>> {
    Ok(agent_among(ancestors(Pid::this().as_raw())?))
}

fn agent_among(chain: Vec<Ancestor>) -> Option<Ancestor> {
    let first = chain.into_iter().find(|ancestor| {
        let name = ancestor.name.trim_start_matches('-');
        ancestor.identity.pid == 1 || !WRAPPERS.contains(&name)
    })?;
    let at_boundary = first.identity.pid == 1 || BOUNDARIES.contains(&first.name.as_str());
    (!at_boundary).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(names: &[&str]) -> Vec<Ancestor> {
        let last = names.len();
        let made = |(index, name): (usize, &&str)| Ancestor {
            identity: ProcessIdentity {
                pid: i32::try_from(last - index).unwrap(),
                start: "s".to_owned(),
            },
            name: (*name).to_owned(),
        };
        names.iter().enumerate().map(made).collect()
    }

    fn root(names: &[&str]) -> Option<String> {
        agent_among(chain(names)).map(|ancestor| ancestor.name)
    }

    #[test]
    fn shells_and_wrappers_are_climbed_over() {
        assert_eq!(root(&["timeout", "-zsh", "make", "claude", "bash", "init"]).unwrap(), "claude");
        assert_eq!(root(&["sh", "node", "codex", "init"]).unwrap(), "node");
    }

    #[test]
    fn a_person_at_a_terminal_is_no_agent() {
        assert_eq!(root(&["bash", "tmux: server", "systemd"]), None);
        assert_eq!(root(&["bash", "sshd-session", "sshd", "init"]), None);
        assert_eq!(root(&["bash", "entrypoint"]), None, "the first process is the system");
        assert_eq!(root(&["bash", "sh"]), None);
        assert_eq!(root(&[]), None);
    }

    #[test]
    fn the_chain_begins_with_the_parent() {
        let chain = ancestors(Pid::this().as_raw()).unwrap();
        assert_eq!(chain[0].identity.pid, Pid::parent().as_raw());
        assert!(chain.iter().all(|ancestor| !ancestor.name.is_empty()));
    }
}
