//! A command line that was found in a file, given to the real program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use toml::{Table, Value};

use crate::programs;

/// The keys of a configuration that name files, and those among them that are secret.
const FILES: [&str; 5] = ["cert", "ca", "client_ca", "key", "password_file"];

/// What stands in a file that whoever deploys brings along, be it a certificate or a key.
const GIVEN: &str = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";

/// Variables that the programs read beside their flags, which no help names.
const OTHER_VARIABLES: [&str; 10] = [
    "MOLT_DAEMON",
    "MOLT_LEDGER",
    "MOLT_COORD_CA",
    "MOLT_COORD_CERT",
    "MOLT_COORD_KEY",
    "MOLT_COORD_TOKEN",
    "MOLT_COORD_TOKEN_FILE",
    "MOLT_HOST_CERT",
    "MOLT_HOST_KEY",
    "MOLT_HOST_TOKEN_FILE",
];

/// A command line, and what the program would find around it.
pub(crate) struct CommandLine {
    /// Where it was found.
    pub(crate) place: String,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) mounts: Vec<Mount>,
}

/// Something that is there when the program starts.
pub(crate) struct Mount {
    /// Its path from the root.
    pub(crate) at: String,
    pub(crate) what: What,
}

/// What is there.
pub(crate) enum What {
    /// A file.
    Text(String),
    /// A folder of these files, which cannot be written.
    Names(Vec<String>),
    /// A folder that whoever deploys fills as the configuration says.
    Given,
    /// A folder that can be written.
    Writable,
}

impl Mount {
    pub(crate) fn new(at: impl Into<String>, what: What) -> Self {
        Self { at: at.into(), what }
    }

    /// Whether there is a file at `path`, or may be one.
    pub(crate) fn holds(&self, path: &str) -> bool {
        match (&self.what, self.below(path)) {
            (_, None) => false,
            (What::Text(_), Some(rest)) => rest.is_empty(),
            (What::Names(names), Some(rest)) => names.iter().any(|name| name == rest),
            (What::Given | What::Writable, Some(_)) => true,
        }
    }

    /// The path from here, if it is below.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.at.trim_end_matches('/'))?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
}

impl CommandLine {
    /// What the real program has against it.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let name = self.words.first().and_then(|word| word.rsplit('/').next());
        let said = match name {
            Some("molt-coordinator") => self.coordinator(),
            Some("molt-agent") => self.agent(),
            other => vec![format!("{other:?} is none of our programs")],
        };
        said.into_iter().map(|line| format!("{}: {line}", self.place)).collect()
    }

    /// The text of the configuration that is named, if it is there.
    pub(crate) fn config(&self) -> Option<&str> {
        let path = self.after("--config")?;
        self.mounts.iter().find_map(|mount| match &mount.what {
            What::Text(text) if mount.at == path => Some(text.as_str()),
            _ => None,
        })
    }

    /// The word after a flag.
    pub(crate) fn after(&self, flag: &str) -> Option<&str> {
        let at = self.words.iter().position(|word| word == flag)?;
        self.words.get(at + 1).map(String::as_str)
    }

    /// The program looks at its configuration in a folder that stands for the root.
    fn coordinator(&self) -> Vec<String> {
        let root = tempfile::tempdir().expect("a scratch folder");
        let prefix = root.path().to_str().expect("a UTF-8 path");
        self.furnish(&root);
        let mut complaints = self.variables("molt-coordinator");
        complaints.extend(self.unwritable());
        let moved = |word: &String| {
            if word.starts_with('/') { prefix.to_owned() + word } else { word.clone() }
        };
        let words = self.words[1..].iter().filter(|word| *word != "--check-config");
        let output = Command::new(programs::coordinator())
            .args(words.map(moved))
            .arg("--check-config")
            .env_clear()
            .envs(self.env.iter().filter(|(name, _)| name.starts_with("MOLT_")))
            .current_dir(root.path())
            .stdin(Stdio::null())
            .output()
            .expect("the coordinator starts");
        complaints.extend(told(&output, prefix));
        complaints
    }

    /// The daemon has no check of its own: `--help` ends it once its arguments are read.
    fn agent(&self) -> Vec<String> {
        let output = Command::new(programs::agent())
            .args(&self.words[1..])
            .arg("--help")
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .expect("the agent's program starts");
        let mut complaints = self.variables("molt-agent");
        if !output.status.success() {
            complaints.extend(told(&output, "/nowhere"));
        }
        complaints
    }

    /// Makes what is there when the program starts.
    fn furnish(&self, root: &TempDir) {
        let prefix = root.path().to_str().expect("a UTF-8 path");
        let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
        for mount in &self.mounts {
            match &mount.what {
                What::Text(text) => {
                    // Whatever the file names from the root is below the one that stands for it.
                    write(&inside(&mount.at), &text.replace("\"/", &format!("\"{prefix}/")));
                }
                What::Names(names) => {
                    for name in names {
                        write(&inside(&mount.at).join(name), GIVEN);
                    }
                }
                What::Given | What::Writable => {
                    fs::create_dir_all(inside(&mount.at)).expect("a folder");
                }
            }
        }
        for path in self.config().map(named_files).unwrap_or_default() {
            let given =
                |mount: &Mount| matches!(mount.what, What::Given) && mount.below(&path).is_some();
            if self.mounts.iter().any(given) {
                write(&inside(&path), GIVEN);
            }
        }
    }

    /// What the program writes, and could not.
    fn unwritable(&self) -> Vec<String> {
        let config = self.config().map(|text| text.parse::<Table>().unwrap_or_default());
        let data = config.as_ref().and_then(|table| table.get("data")?.as_str());
        let mut written: Vec<&str> = Vec::new();
        written.extend(self.after("--data").or(data));
        written.extend(self.after("--ready-file"));
        let repos = config.as_ref().and_then(|table| table.get("repo")?.as_array());
        let remotes = repos.into_iter().flatten().filter_map(|repo| repo.get("remote")?.as_str());
        written.extend(remotes.filter(|remote| remote.starts_with('/')));
        let can = |path: &str| {
            let writable =
                |mount: &Mount| matches!(mount.what, What::Writable) && mount.below(path).is_some();
            self.mounts.iter().any(writable)
        };
        let cannot = written.into_iter().filter(|path| !can(path));
        cannot.map(|path| format!("{path} cannot be written")).collect()
    }

    /// Variables of ours that the program does not know, and that no argument is made of.
    fn variables(&self, program: &'static str) -> Vec<String> {
        let known = known_variables(program);
        let ours = self.env.keys().filter(|name| name.starts_with("MOLT_"));
        let unknown =
            ours.filter(|name| !known.contains(*name) && !OTHER_VARIABLES.contains(&name.as_str()));
        unknown.map(|name| format!("{program} has no variable {name}")).collect()
    }
}

/// Every file that a configuration names.
fn named_files(config: &str) -> Vec<String> {
    fn walk(table: &Table, files: &mut Vec<String>) {
        for (key, value) in table {
            match value {
                Value::Table(table) => walk(table, files),
                Value::String(path) if FILES.contains(&key.as_str()) => files.push(path.clone()),
                _ => {}
            }
        }
    }
    let mut files = Vec::new();
    // A text that cannot be read names none; the program itself says why.
    walk(&config.parse().unwrap_or_default(), &mut files);
    files
}

/// The variables that the help of a program names.
fn known_variables(program: &str) -> &'static BTreeSet<String> {
    static COORDINATOR: OnceLock<BTreeSet<String>> = OnceLock::new();
    static AGENT: OnceLock<BTreeSet<String>> = OnceLock::new();
    let (cell, path, verb) = match program {
        "molt-agent" => (&AGENT, programs::agent(), "daemon"),
        _ => (&COORDINATOR, programs::coordinator(), "serve"),
    };
    cell.get_or_init(|| {
        let output = Command::new(path).args([verb, "--help"]).output().expect("help is printed");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        let variables =
            help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
        variables.map(str::to_owned).collect()
    })
}

/// What a program said, and how it ended if that was not well.
fn told(output: &Output, prefix: &str) -> Vec<String> {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace(prefix, "");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if !output.status.success() {
        lines.push(format!("ends with {}", output.status));
    }
    lines
}

/// A file that is its owner's alone, as a key must be.
fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("its mode");
}

/// The words of `text` with each variable in place of its name, which stands between `open` and
/// `close`; a default may follow after `:-`.
pub(crate) fn expanded(
    text: &str,
    (open, close): (&str, char),
    env: &BTreeMap<String, String>,
) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        let (name, after) =
            after.split_once(close).ok_or_else(|| format!("`{text}` is not closed"))?;
        let (name, default) = name.split_once(":-").map_or((name, None), |(n, d)| (n, Some(d)));
        let value = env.get(name).map(String::as_str).or(default);
        result.push_str(before);
        result.push_str(value.ok_or_else(|| format!("`{text}`: there is no variable {name}"))?);
        rest = after;
    }
    Ok(result + rest)
}
