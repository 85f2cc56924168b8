//! The fleet on which a story is played, in one format.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::commands::Program;
use super::row::{Form, Row, Step, words};
use crate::harness::{
    Agent, Coordinator, Fleet, Host, Running, Signal, command, programs, scratch, until, write,
};

/// How answers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How a command ended, and what it said.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
    /// What differs from world to world, and what is shown of it.
    pub(super) hidden: Vec<(String, &'static str)>,
    /// What the machine is called.
    pub(super) machine: String,
}

impl Heard {
    /// The document that was said.
    pub(super) fn document(&self) -> Value {
        serde_json::from_str(&self.out).expect("the laws have been looked at")
    }
}

/// Gates that take no time, a lock, a pool, and scopes below a scope.
const POLICY: &str = r#"version = 1
open = ["logs/**"]
[scope.docs]
paths = ["docs/**"]
[scope.src]
paths = ["src/*"]
[scope."src/vm"]
paths = ["src/vm/**"]
[scope.tools]
paths = ["tools/**"]
[pool.cargo]
slots = 1
[gate.lint]
run = "! grep -rn TABS src"
timeout = "1m"
[merge]
required = ["lint", "scope"]
protect = ["tools/**"]
"#;

const BASE: [(&str, &str); 5] = [
    ("molt.toml", POLICY),
    ("docs/a.md", "a\n"),
    ("src/a.c", "one\n"),
    ("src/vm/gc.c", "one\n"),
    ("tools/x", "x\n"),
];

/// A fleet with three agents.
pub(super) struct World<'a> {
    agents: BTreeMap<&'static str, Agent>,
    host: Host,
    /// A second host, without a daemon.
    pub(super) other: Host,
    /// The service and its remote; its folder has the files of all others, so it goes last.
    pub(super) fleet: Fleet,
    format: Format,
    program: &'a Program,
    /// The last id of each kind.
    seen: BTreeMap<String, String>,
}

impl<'a> World<'a> {
    pub(super) fn new(program: &'a Program, format: Format) -> Self {
        let fleet = Fleet::new(&BASE, &["--heartbeat", "500ms"]);
        let mut host = fleet.host("h1");
        host.serve(2);
        let agents = ["ann", "bob", "cyd"].map(|name| (name, fleet.agent(name, &host)));
        let other = fleet.host("h2");
        let (agents, seen) = (agents.into(), BTreeMap::new());
        Self { agents, host, other, fleet, format, program, seen }
    }

    /// An agent.
    pub(super) fn agent(&self, name: &str) -> &Agent {
        &self.agents[name]
    }

    /// The service.
    pub(super) fn coordinator(&self) -> &Coordinator {
        &self.fleet.coordinator
    }

    /// The id of this kind that was said last.
    pub(super) fn last(&self, kind: &str) -> &str {
        self.seen.get(kind).unwrap_or_else(|| panic!("nobody has said an id like {kind}_…"))
    }

    /// Plays a story; what was heard of each of its rows.
    pub(super) fn play(mut self, story: &[Step]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for step in story {
            match step {
                Step::Do(act) => act(&mut self),
                Step::Say(row) => heard.push(self.say(row)),
            }
        }
        heard
    }

    fn say(&mut self, row: &Row) -> Heard {
        let line = self.filled(row.line);
        let mut words = words(&line);
        if self.format == Format::Json && self.program.has_documents(row.line) {
            let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
            words.insert(end, "--json".to_owned());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = self.command(row.who, &words);
        let logs = self.host.logs();
        let mut running = Running::start_hearing(command, &logs, Stdio::piped());
        if let Some(told) = row.stdin {
            running.tell(&self.filled(told));
        }
        if let Form::Service(begun) = row.form {
            until(&format!("`{line}` has begun"), || {
                if let Some(said) = running.ended() {
                    panic!("`{line}` ended with {}: {}{}", said.code, said.out, said.err);
                }
                begun(self, &running.output()).then_some(())
            });
            running.signal(Signal::SIGTERM);
        }
        let said = running.end();
        self.know(super::plain::ids(&said.out));
        Heard {
            code: said.code,
            out: said.out,
            err: said.err,
            hidden: self.hidden(),
            machine: last_word("uname", "-n"),
        }
    }

    /// Of each kind, the first of these ids is the one that was said last.
    pub(super) fn know(&mut self, ids: impl IntoIterator<Item = String>) {
        let mut first = BTreeMap::new();
        for id in ids {
            let kind = id.split(['_', '-']).next().unwrap_or_default().to_owned();
            first.entry(kind).or_insert(id);
        }
        self.seen.extend(first);
    }

    fn filled(&self, line: &str) -> String {
        let mut filled = line.replace("{here}", &self.fleet.path("").to_string_lossy());
        while let Some((before, rest)) = filled.split_once('{')
            && let Some((kind, after)) = rest.split_once('}')
            && kind.len() == 3
        {
            filled = format!("{before}{}{after}", self.last(kind));
        }
        filled
    }

    fn command(&self, who: &str, words: &[&str]) -> Command {
        if self.program.name == "molt-coordinator" {
            let mut command = self.coordinator().command(words);
            command.env("MOLT_COORD_ENDPOINTS", self.coordinator().address());
            return command;
        }
        match who {
            "nobody" => self.host.command(words),
            "other" => self.other.command(words),
            who => self.agent(who).command(words),
        }
    }

    fn hidden(&self) -> Vec<(String, &'static str)> {
        let here = self.fleet.path("");
        let git = last_word("git", "--version");
        let git: Vec<&str> = git.splitn(3, '.').take(2).collect();
        let mut hidden = vec![
            (git.join("."), "GIT"),
            (programs::agent().to_string_lossy().into_owned(), "PROGRAM"),
            (self.coordinator().address().to_owned(), "COORDINATOR"),
        ];
        for place in [here.canonicalize().ok(), Some(here)].into_iter().flatten() {
            let place = place.to_string_lossy().trim_end_matches('/').to_owned();
            hidden.push((place, "HERE"));
        }
        hidden
    }

    /// Commits files as `name`, on top of the base.
    pub(super) fn commit(&self, name: &str, files: &[(&str, &str)], title: &str) {
        self.agent(name).commit(files, title);
    }

    /// Writes a file beside everything.
    pub(super) fn file(&self, name: &str, text: &str) {
        write(&self.fleet.path(""), name, text);
    }
}

/// What a program says in an empty folder, with nothing on standard input.
pub(super) fn said(program: &Program, words: &[&str]) -> Heard {
    let folder = scratch();
    let binary = match program.name {
        "molt-agent" => programs::agent(),
        _ => programs::coordinator(),
    };
    let mut command = command(binary, folder.path());
    command.args(words).current_dir(folder.path()).stdin(Stdio::null());
    command.env("MOLT_STATE", folder.path().join("state"));
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Heard {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
        hidden: Vec::new(),
        machine: String::new(),
    }
}

/// The last word of what a program says of itself.
fn last_word(program: &str, asked: &str) -> String {
    let output = Command::new(program).arg(asked).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    said.split_whitespace().last().unwrap_or_default().to_owned()
}
