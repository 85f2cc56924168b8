//! The members of an etcd: each one's options, and whether they are one cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use crate::command::Mount;

/// One member as it is started.
pub(crate) struct Member {
    /// Where it was found.
    pub(crate) place: String,
    /// The name by which others reach it.
    pub(crate) host: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) mounts: Vec<Mount>,
}

/// Options that must be there, and those of them that name files.
const SECURE: [&str; 8] = [
    "client-cert-auth",
    "peer-client-cert-auth",
    "trusted-ca-file",
    "cert-file",
    "key-file",
    "peer-trusted-ca-file",
    "peer-cert-file",
    "peer-key-file",
];

/// The options of a command line and of the environment that goes with it.
pub(crate) fn options(
    words: &[String],
    env: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let name = |variable: &str| variable.to_ascii_lowercase().replace('_', "-");
    let variables = env.iter().filter_map(|(variable, value)| {
        Some((name(variable.strip_prefix("ETCD_")?), value.clone()))
    });
    let flags = words.iter().filter_map(|word| {
        let (flag, value) =
            word.strip_prefix("--")?.split_once('=').unwrap_or((&word[2..], "true"));
        Some((flag.to_owned(), value.to_owned()))
    });
    variables.chain(flags).collect()
}

/// Complains about members that are no cluster, or not the one whose `endpoints` are asked.
pub(crate) fn cluster(members: &[Member], endpoints: &[String]) -> Vec<String> {
    let mut complaints: Vec<String> = members.iter().flat_map(alone).collect();
    if members.len() < 3 || members.len().is_multiple_of(2) {
        complaints.push(format!("{} members survive no more than one less", members.len()));
    }
    let option = |member: &Member, name| member.options.get(name).cloned().unwrap_or_default();
    let own = |member: &Member| {
        format!("{}={}", option(member, "name"), option(member, "initial-advertise-peer-urls"))
    };
    let all: BTreeSet<String> = members.iter().map(own).collect();
    for member in members {
        let told = option(member, "initial-cluster");
        let told: BTreeSet<String> = told.split(',').map(str::to_owned).collect();
        if told != all {
            let place = &member.place;
            complaints
                .push(format!("{place}: initial-cluster is {told:?}, the members are {all:?}"));
        }
    }
    let served: BTreeSet<String> =
        members.iter().map(|member| option(member, "advertise-client-urls")).collect();
    let asked: BTreeSet<String> = endpoints.iter().cloned().collect();
    if served != asked {
        complaints.push(format!("the coordinators ask {asked:?}, the members serve {served:?}"));
    }
    complaints
}

/// What is wrong with one member by itself.
fn alone(member: &Member) -> Vec<String> {
    let Member { place, host, options, mounts } = member;
    let mut complaints = Vec::new();
    for flag in options.keys().filter(|flag| !flags().is_none_or(|known| known.contains(*flag))) {
        complaints.push(format!("{place}: etcd has no --{flag}"));
    }
    for name in SECURE {
        match options.get(name).map(String::as_str) {
            Some("true") => {}
            Some(path) if mounts.iter().any(|mount| mount.holds(path)) => {}
            found => complaints.push(format!("{place}: {name} is {found:?}")),
        }
    }
    let data = options.get("data-dir").map(String::as_str).unwrap_or_default();
    if !mounts.iter().any(|mount| mount.holds(data)) {
        complaints.push(format!("{place}: {data} is not kept"));
    }
    for (listens, advertises) in [
        ("listen-client-urls", "advertise-client-urls"),
        ("listen-peer-urls", "initial-advertise-peer-urls"),
    ] {
        let url = |name| options.get(name).map(String::as_str).unwrap_or_default();
        let port = url(listens).strip_prefix("https://0.0.0.0:").unwrap_or("none");
        let wanted = format!("https://{host}:{port}");
        if url(advertises) != wanted {
            let found = url(advertises);
            complaints.push(format!("{place}: {advertises} is {found}, not {wanted}"));
        }
    }
    complaints
}

/// The flags that the etcd of this machine names, if there is one: `make tools` installs it.
fn flags() -> Option<&'static BTreeSet<String>> {
    static FLAGS: OnceLock<Option<BTreeSet<String>>> = OnceLock::new();
    let read = || {
        let program = std::env::var_os("ETCD_BIN").unwrap_or_else(|| "etcd".into());
        let output = Command::new(program).arg("--help").output().ok()?;
        let help = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let words = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        Some(words.map(str::to_owned).collect())
    };
    FLAGS.get_or_init(read).as_ref()
}
