//! Git's own protocol: `git http-backend` serves the repositories, as it would anywhere.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use super::auth::Actor;
use super::git::{Git, program};
use super::state::{Right, State};

/// A request to git as it came.
pub(super) struct Asked {
    pub(super) method: String,
    /// `info/refs`, `git-upload-pack`, `git-receive-pack`.
    pub(super) service: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What git answered.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answered {
    fn refusal(status: u16, words: &str) -> Self {
        let challenge = ("WWW-Authenticate".to_owned(), "Basic realm=\"GitHub\"".to_owned());
        let headers = if status == 401 { vec![challenge] } else { Vec::new() };
        Self { status, headers, body: words.as_bytes().to_vec() }
    }

    /// An answer of which nobody hears the end.
    pub(super) fn beginning() -> Self {
        Self { status: 200, headers: Vec::new(), body: b"0000".to_vec() }
    }

    /// There is no such repository, or it is nobody's business.
    pub(super) fn missing() -> Self {
        Self::refusal(404, "Repository not found.")
    }
}

/// The owner, the name and the service of a path that is git's.
pub(super) fn parts(path: &str) -> Option<(&str, &str, &str)> {
    let (owner, rest) = path.strip_prefix('/')?.split_once('/')?;
    let (name, service) = rest.split_once(".git/")?;
    (!name.contains('/')).then_some((owner, name, service))
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn writes(&self) -> bool {
        self.service == "git-receive-pack" || self.query.contains("service=git-receive-pack")
    }

    /// Where the repository is that had the asked name once.
    pub(super) fn moved(&self, state: &State, repository: u64) -> Answered {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let (base, now) = (&state.base, state.repository(repository).full_name());
        let location = format!("{base}/{now}.git/{}{query}", self.service);
        Answered { status: 301, headers: vec![("Location".to_owned(), location)], body: Vec::new() }
    }

    /// As whom this request may be served.
    pub(super) fn authorized(&self, state: &State, repository: u64) -> Result<String, Answered> {
        let invalid = || Answered::refusal(401, "Invalid username or token.");
        let actor = Actor::of(state, self.header("authorization")).map_err(|_| invalid())?;
        let repository = state.repository(repository);
        let (reads, writes) = match &actor {
            Actor::Nobody if repository.private || self.writes() => return Err(invalid()),
            Actor::Nobody => (true, false),
            Actor::App(_) => return Err(invalid()),
            Actor::Installation { permissions, .. } => {
                let has = permissions.get("contents").map(String::as_str);
                (has.is_some(), has == Some("write"))
            }
            Actor::Person(login) => {
                let right = repository.right(login);
                (right >= Right::Read, right >= Right::Write)
            }
        };
        match (reads, writes) {
            (false, _) => Err(Answered::missing()),
            (_, false) if self.writes() => {
                Err(Answered::refusal(403, "Write access to repository not granted."))
            }
            _ => Ok(match actor {
                Actor::Person(login) => login,
                _ => state.bot(),
            }),
        }
    }

    /// Has git serve it.
    pub(super) fn serve(&self, git: &Git) -> Answered {
        let mut command = program();
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &git.dir)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", format!("/{}", self.service))
            .env("REQUEST_METHOD", &self.method)
            .env("QUERY_STRING", &self.query)
            .env("REMOTE_USER", "git")
            .env("CONTENT_LENGTH", self.body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for (header, variable) in [
            ("content-type", "CONTENT_TYPE"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("git-protocol", "GIT_PROTOCOL"),
        ] {
            if let Some(value) = self.header(header) {
                command.env(variable, value);
            }
        }
        let mut child = command.spawn().expect("git is there");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (mut stdin, mut stdout) = stdin.zip(stdout).expect("both are pipes");
        let mut printed = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A service that refuses reads no further; what it prints says so.
                drop(stdin.write_all(&self.body));
            });
            stdout.read_to_end(&mut printed).expect("git's answer can be read");
        });
        child.wait().expect("git ends");
        parsed(&printed)
    }
}

/// The status, the headers and the body of what a CGI program prints.
fn parsed(printed: &[u8]) -> Answered {
    let end = printed.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else { return Answered::refusal(500, "git printed no headers") };
    let head = String::from_utf8_lossy(&printed[..end]).into_owned();
    let mut answered =
        Answered { status: 200, headers: Vec::new(), body: printed[end + 4..].to_vec() };
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name == "Status" {
            let status = value.split(' ').next().and_then(|status| status.parse().ok());
            answered.status = status.expect("a status is a number");
        } else {
            answered.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    answered
}
