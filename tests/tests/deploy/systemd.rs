//! The systemd units.

use std::path::Path;
use std::process::Command;

use crate::command::{CommandLine, Mount, What, expanded};
use crate::programs;
use crate::tree::{Fault, Tree};
use crate::unit::Unit;

const COORDINATOR: &str = "deploy/systemd/molt-coordinator.service";
const DAEMON: &str = "deploy/systemd/molt-agent-daemon.service";
const USERS: &str = "deploy/systemd/user/molt-agent-daemon.service";

/// What every unit of a service says.
const ALL: &[(&str, &str)] = &[
    ("Type", "exec"),
    ("Restart", "always"),
    ("RestartPreventExitStatus", "2"),
    ("UMask", "0077"),
    ("NoNewPrivileges", "yes"),
    ("LockPersonality", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
];

/// What those of the machine say besides.
const MACHINE: &[(&str, &str)] = &[
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
];

/// What the service says besides: it runs nothing of strangers.
const SERVICE: &[(&str, &str)] = &[
    ("StateDirectoryMode", "0700"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("KillMode", "mixed"),
    ("PrivateTmp", "yes"),
    ("PrivateUsers", "yes"),
    ("ProtectProc", "invisible"),
    ("RestrictNamespaces", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("SystemCallFilter", "~@privileged @resources"),
];

/// What the host's daemons say: runs outlive them.
const HOST: &[(&str, &str)] = &[("KillMode", "process")];

/// What a daemon needs to run gates as another user, as it says itself when it lacks them.
const POWERS: &str = "CAP_SETUID CAP_SETGID CAP_KILL CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE";

/// What a build host's says besides: gates are another user's, and pass through its folder.
const BUILD_HOST: &[(&str, &str)] = &[
    ("StateDirectoryMode", "0711"),
    ("CapabilityBoundingSet", POWERS),
    ("AmbientCapabilities", POWERS),
];

/// The most that `systemd-analyze security` may find exposed, of 100.
const EXPOSED: [(&str, u32); 2] = [(COORDINATOR, 20), (DAEMON, 40)];

fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, said) in [
        (COORDINATOR, [ALL, MACHINE, SERVICE].concat()),
        (DAEMON, [ALL, MACHINE, HOST, BUILD_HOST].concat()),
        (USERS, [ALL, HOST].concat()),
    ] {
        let (unit, unreadable) = Unit::read(path, tree.text(path));
        complaints.extend(unreadable);
        for (key, value) in said {
            match unit.get("Service", key) {
                Some(found) if found == value => {}
                found => complaints.push(format!("{path}: {key} is {found:?}, not `{value}`")),
            }
        }
        for (section, key) in [("Unit", "Description"), ("Install", "WantedBy")] {
            if unit.get(section, key).is_none_or(str::is_empty) {
                complaints.push(format!("{path}: no {key} in [{section}]"));
            }
        }
        complaints.extend(user(tree, path, &unit));
        complaints.extend(commands(tree, path, &unit));
    }
    complaints
}

/// Whoever runs a unit of the machine is made by `sysusers.conf`, with the unit's own home.
fn user(tree: &Tree, path: &str, unit: &Unit) -> Vec<String> {
    let Some(user) = unit.get("Service", "User") else {
        let of_machine = path != USERS;
        return of_machine.then(|| format!("{path}: runs as root")).into_iter().collect();
    };
    let home = format!("/var/lib/{}", unit.get("Service", "StateDirectory").unwrap_or_default());
    let mut complaints = Vec::new();
    if !is_made(tree, user, &home) {
        complaints.push(format!("{path}: nobody makes {user} with {home}"));
    }
    let env = unit.environment(|file| {
        tree.find(&format!("deploy/config/{}", file.rsplit('/').next().unwrap_or_default()))
    });
    if let Some(jobs) = env.get("MOLT_JOB_USER") {
        let home = format!("/var/lib/{jobs}");
        let writes =
            unit.all("Service", "ReadWritePaths").into_iter().flat_map(str::split_whitespace);
        if !is_made(tree, jobs, &home) || jobs == user {
            complaints.push(format!("{path}: nobody makes {jobs} with {home}, beside {user}"));
        }
        if !writes.map(|path| path.trim_start_matches('-')).any(|path| path == home) {
            complaints.push(format!("{path}: {jobs} cannot write {home}"));
        }
    }
    complaints
}

/// Whether `sysusers.conf` makes a user with that home.
fn is_made(tree: &Tree, user: &str, home: &str) -> bool {
    let lines = tree.text("deploy/systemd/sysusers.conf").lines();
    let mut lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.any(|words| {
        words.first() == Some(&"u") && words.get(1) == Some(&user) && words.last() == Some(&home)
    })
}

/// The command line with each configuration that it may be deployed with.
fn commands(tree: &Tree, path: &str, unit: &Unit) -> Vec<String> {
    let Some(line) = unit.get("Service", "ExecStart") else {
        return vec![format!("{path}: starts nothing")];
    };
    let configurations: &[&str] = match path {
        COORDINATOR => &["single.toml", "fleet.toml"],
        _ => &["agent.env"],
    };
    let mut complaints = Vec::new();
    for name in configurations {
        let place = format!("{path} with {name}");
        // One machine needs no environment; what the daemon is told is nothing else.
        let env = unit.environment(|file| match (*name, file.rsplit('/').next()?) {
            ("single.toml", _) => None,
            (_, file) => tree.find(&format!("deploy/config/{file}")),
        });
        let line = match expanded(line, ("${", '}'), &env) {
            Ok(line) => line,
            Err(error) => {
                complaints.push(format!("{place}: {error}"));
                continue;
            }
        };
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        // What an argument is made of is read here and not by the program.
        let used = |name: &String| unit.get("Service", "ExecStart").unwrap_or("").contains(name);
        let env = env.into_iter().filter(|(name, _)| !used(name)).collect();
        let text = tree.text(&format!("deploy/config/{name}")).to_owned();
        let mut mounts = vec![
            Mount::new("/etc/molt/coordinator.toml", What::Text(text)),
            Mount::new("/etc/molt", What::Given),
        ];
        let state = unit
            .all("Service", "StateDirectory")
            .into_iter()
            .map(|name| format!("/var/lib/{name}"));
        let writable =
            unit.all("Service", "ReadWritePaths").into_iter().flat_map(str::split_whitespace);
        let writable = writable.map(|path| path.trim_start_matches('-').to_owned());
        mounts.extend(state.chain(writable).map(|path| Mount::new(path, What::Writable)));
        complaints.extend(CommandLine { place, words, env, mounts }.complaints());
    }
    complaints
}

#[test]
fn the_units_are_sound_and_their_command_lines_are_accepted() {
    let faults: &[Fault] = &[
        (COORDINATOR, "--config", "--confg", "unexpected argument '--confg'"),
        (COORDINATOR, "/etc/molt/coordinator.toml", "/etc/molt/c.toml", "No such file"),
        (COORDINATOR, "ProtectSystem=strict", "ProtectSystem=full", "ProtectSystem is"),
        (COORDINATOR, "StateDirectory=molt\n", "", "/var/lib/molt cannot be written"),
        (COORDINATOR, "-/srv/git", "-/srv/other", "/srv/git/project.git cannot be written"),
        (COORDINATOR, "User=molt", "User=malt", "nobody makes malt"),
        (COORDINATOR, "User=molt\n", "", "runs as root"),
        (COORDINATOR, "WantedBy", "WantedFor", "no WantedBy"),
        (COORDINATOR, "[Service]", "Service", "`Service` is no setting"),
        (DAEMON, "--jobs", "--jbos", "unexpected argument '--jbos'"),
        (DAEMON, "MOLT_JOBS=0", "JOBS=0", "has no variable"),
        (DAEMON, "KillMode=process", "KillMode=control-group", "KillMode is"),
        (DAEMON, "StateDirectoryMode=0711", "StateDirectoryMode=0700", "StateDirectoryMode is"),
        (DAEMON, "AmbientCapabilities=CAP_SETUID ", "AmbientCapabilities=", "AmbientCap"),
        (DAEMON, " -/var/lib/molt-jobs", "", "molt-jobs cannot write /var/lib/molt-jobs"),
        ("deploy/systemd/sysusers.conf", "u molt-jobs", "u molt-job", "nobody makes molt-jobs"),
        ("deploy/config/agent.env", "=molt-jobs", "=molt-agent", "nobody makes molt-agent with"),
        ("deploy/config/agent.env", "MOLT_HOST_CERT", "MOLT_HOST_CRT", "no variable MOLT_HOST_CRT"),
        ("deploy/config/fleet.toml", "burst = 4000", "burst = 0", "limits.burst: 0 is not from 1"),
        ("deploy/config/fleet.toml", "[limits]", "[limit]", "did you mean `limits`?"),
        (USERS, "/usr/bin/molt-agent", "/usr/bin/agent", "is none of our programs"),
        (USERS, "${MOLT_JOBS}", "${MOLT_JOBS", "is not closed"),
        ("deploy/config/single.toml", "[[repo]]", "[repo]", "expected an array, found a table"),
        ("deploy/config/fleet.toml", "endpoints", "endpoint", "did you mean `endpoints`?"),
        ("deploy/config/fleet.toml", "[tls]", "#", "is not loopback"),
        ("deploy/config/coordinator.env", "MOLT_COORD_NAME", "MOLT_NAME", "no variable MOLT_NAME"),
        ("deploy/config/coordinator.env", "coord-1.example:7420", "coord-1", "is no HOST:PORT"),
        ("deploy/config/agent.env", "MOLT_JOBS=2", "MOLT_JOBS=two", "invalid value 'two'"),
    ];
    // The daemon's file may leave the number of jobs to the unit; then the unit must have it.
    let without = |tree: &Tree| {
        let mut complaints = check(tree);
        let (unit, _) = Unit::read(DAEMON, tree.text(DAEMON));
        if !unit.environment(|_| None).contains_key("MOLT_JOBS") {
            complaints.push(format!("{DAEMON}: has no variable MOLT_JOBS of its own"));
        }
        complaints
    };
    Tree::hold(without, faults);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "systemd is Linux's own")]
fn systemd_itself_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "systemd-analyze is missing");
        eprintln!("left out: there is no systemd-analyze on this machine");
        return;
    }
    let faults: &[Fault] = &[
        (COORDINATOR, "ProtectClock", "ProtectKlock", "Unknown key"),
        (COORDINATOR, "ExecStart=/usr/bin/molt", "ExecStart=/usr/bin/malt", "not executable"),
        (COORDINATOR, "TimeoutStopSec=20s", "TimeoutStopSec=soon", "Failed to parse"),
        (COORDINATOR, "CapabilityBoundingSet=\n", "PrivateUsers=no\n", "too exposed"),
        (DAEMON, "CapabilityBoundingSet=", "CapabilityBoundingSet=~", "too exposed"),
        (USERS, "KillMode=process", "KillMode=some", "Failed to parse"),
    ];
    Tree::hold(analyzed, faults);
}

/// What `systemd-analyze` says. The programs are those that were built here.
fn analyzed(tree: &Tree) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let built = |text: &str| {
        let pairs = [
            ("/usr/bin/molt-coordinator", programs::coordinator()),
            ("/usr/bin/molt-agent", programs::agent()),
        ];
        pairs.iter().fold(text.to_owned(), |text, (from, to)| {
            text.replace(from, to.to_str().expect("a UTF-8 path"))
        })
    };
    let mut complaints = Vec::new();
    for path in [COORDINATOR, DAEMON, USERS] {
        let file = folder.path().join(path.rsplit('/').next().expect("a name"));
        std::fs::write(&file, built(tree.text(path))).expect("a unit");
        let manager: &[&str] = if path == USERS { &["--user"] } else { &[] };
        let (_, said) = analyze(folder.path(), &[manager, &["verify", "--man=no"]].concat(), &file);
        complaints.extend(said.lines().map(|line| format!("{path}: {line}")));
        if let Some((_, limit)) = EXPOSED.iter().find(|(exposed, _)| *exposed == path) {
            let limit = format!("--threshold={limit}");
            let words = ["security", "--offline=true", "--no-pager", &limit];
            let (sound, _) = analyze(folder.path(), &words, &file);
            if !sound {
                complaints.push(format!("{path}: is too exposed for {limit}"));
            }
        }
    }
    complaints
}

/// Whether `systemd-analyze` ends well, and what it says on stderr.
fn analyze(folder: &Path, words: &[&str], unit: &Path) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(words)
        .arg(unit)
        .env("XDG_RUNTIME_DIR", folder)
        .output()
        .expect("systemd-analyze starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}
