//! What a verb works with: where it is, who it is, whom it asks.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use molt_domain::name::{AgentName, HostName, RepoName};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::reply::Answer;

use super::args::Globals;
use crate::client::{Address, Client};
use crate::daemon::Keeper;
use crate::error::Error;
use crate::session::alive::{self, Registration};
use crate::session::{Record, Root, Secret, SessionFile, Worktree, config, request, sweep};
use crate::ui::{self, Format};

/// What a verb works with.
#[derive(Debug)]
pub struct Context {
    globals: Globals,
    cwd: PathBuf,
    worktree: Option<Worktree>,
    state: PathBuf,
    /// What was said beside the result, for the JSON document.
    notes: RefCell<Vec<String>>,
    /// Whether it was said that nobody renews the session.
    unkept: Cell<bool>,
}

/// What a fleet's repository is called where nobody says otherwise.
const USUAL_REPO: &str = "main";

/// A command's answer and the commit that it is of.
pub(super) struct Acted {
    pub(super) answer: Answer,
    pub(super) rev: u64,
}

impl Context {
    /// The surroundings of this call.
    pub fn new(globals: Globals) -> Result<Self, Error> {
        let cwd = std::env::current_dir()
            .map_err(|error| Error::usage(format!("no current folder: {error}")))?;
        let folder = globals.repo_dir.as_deref().unwrap_or(&cwd);
        let worktree = Worktree::find(folder)?;
        let state = state_folder(&globals, &cwd)?;
        Ok(Self {
            globals,
            cwd,
            worktree,
            state,
            notes: RefCell::default(),
            unkept: Cell::new(false),
        })
    }

    /// Where the command was run.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// The state folder of this user's host daemon.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The repository's name at the coordinator: the one that was given, else
    /// that of `session`, else the usual one.
    pub fn repo(&self, session: Option<&Record>) -> Result<RepoName, Error> {
        let given = self.globals.repo.as_ref().or(session.map(|record| &record.repo));
        match given {
            Some(repo) => Ok(repo.clone()),
            None => USUAL_REPO.parse().map_err(|error| Error::bug(format!("{error}"))),
        }
    }

    /// The worktree that the command is about.
    pub fn worktree(&self) -> Result<&Worktree, Error> {
        let folder = || self.globals.repo_dir.clone().unwrap_or_else(|| self.cwd.clone());
        self.worktree.as_ref().ok_or_else(|| Error::NoWorktree { folder: folder() })
    }

    /// This host's name.
    pub fn host(&self) -> Result<HostName, Error> {
        if let Some(host) = &self.globals.host {
            return Ok(host.clone());
        }
        let name = nix::unistd::gethostname()
            .map_err(|error| Error::usage(format!("no host name: {error}; give --host")))?;
        let name = name.to_string_lossy().into_owned();
        name.parse().map_err(|error| Error::usage(format!("{error}; give --host")))
    }

    /// What was said beside the result and has not been printed yet.
    pub fn notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// Says something beside the result: at once as text, else in the document.
    pub(super) fn note(&self, label: &str, text: &str) {
        match self.globals.format() {
            Format::Text => ui::note(&ui::row(label, [text])),
            Format::Json => self.notes.borrow_mut().push(format!("{label}: {text}")),
        }
    }

    /// How many rows an answer can have that are taken as they are printed: `in_text` of them, or
    /// with 0 as many as there are.
    pub(super) fn rows_at_once(&self, in_text: u32) -> u32 {
        match self.globals.format() {
            Format::Text => in_text,
            Format::Json => 0,
        }
    }

    /// Where the coordinators are.
    pub fn addresses(&self) -> Result<Vec<Address>, Error> {
        if !self.globals.coordinator.is_empty() {
            return Ok(self.globals.coordinator.clone());
        }
        let Some(listed) = config::get(self.worktree.as_ref(), "coordinator")? else {
            return Ok(vec![Address::local()]);
        };
        let parsed = listed.split(',').map(str::parse::<Address>).collect::<Result<_, _>>();
        parsed.map_err(|error| Error::usage(format!("git's molt.coordinator: {error}")))
    }

    /// A client of the coordinators.
    pub fn client(&self) -> Result<Client, Error> {
        Client::new(self.addresses()?, &self.state)
    }

    /// Whose life the session's life is, if this call begins one.
    pub(super) fn root(&self) -> Result<Root, Error> {
        Root::find(self.globals.root_pid)
    }

    /// The session file that was named, if one was.
    pub(super) fn named_session(&self) -> Option<SessionFile> {
        self.globals.session.as_ref().map(|path| SessionFile::at(self.cwd.join(path)))
    }

    /// The session file of this call, whether it exists or not.
    pub(super) fn session_file(&self) -> Result<SessionFile, Error> {
        match self.named_session() {
            Some(file) => Ok(file),
            None => Ok(self.file_of(&self.root()?)?),
        }
    }

    /// The session file of `root` in this worktree.
    pub(super) fn file_of(&self, root: &Root) -> Result<SessionFile, Error> {
        Ok(SessionFile::at(self.worktree()?.sessions().join(root.file_name())))
    }

    /// The session of this call, if there is one; nobody joins for it.
    pub fn session(&self) -> Result<Option<Record>, Error> {
        if self.worktree.is_none() && self.globals.session.is_none() {
            return Ok(None);
        }
        let file = self.session_file()?;
        let record = file.read()?;
        if let Some(record) = &record {
            self.keep_alive(record, &file)?;
        }
        Ok(record)
    }

    /// The session of this call; joins if there is none, and says so.
    pub(super) async fn joined(&self, client: &Client) -> Result<SessionFile, Error> {
        let file = self.session_file()?;
        let record = match file.read()? {
            Some(record) => record,
            None => {
                let lock = file.lock()?;
                match lock.read()? {
                    // Another command of the same agent joined in the meantime.
                    Some(record) => record,
                    None => {
                        let record = self.join(client).await?;
                        lock.write(&record)?;
                        self.note("joined", &self.introduction(&record)?);
                        record
                    }
                }
            }
        };
        self.works_here(&record)?;
        self.keep_alive(&record, &file)?;
        Ok(file)
    }

    /// A session works on one repository: a command about another is a mistake.
    fn works_here(&self, record: &Record) -> Result<(), Error> {
        match &self.globals.repo {
            Some(repo) if *repo != record.repo => Err(Error::usage(format!(
                "--repo {repo}: this session works on {}; leave it first",
                record.repo
            ))),
            _ => Ok(()),
        }
    }

    /// Begins a session at the coordinator; writes nothing.
    pub(super) async fn join(&self, client: &Client) -> Result<Record, Error> {
        let (root, host, secret) = (self.root()?, self.host()?, fresh_secret()?);
        let repo = self.repo(None)?;
        let worktree = self.worktree.as_ref().map_or(self.cwd.as_path(), |found| &found.top);
        let join = v1::Join {
            repo: repo.to_string(),
            name: self.name(&host)?.to_string(),
            host: host.to_string(),
            root: Some((&root).into()),
            worktree: worktree.display().to_string(),
            secret: secret.digest(),
        };
        let command = v1::Command { caller: None, number: 0, verb: Some(Verb::Join(join)) };
        let reply = client.act(command).await?;
        let (id, name, epoch) = session_reply(reply)?;
        if let Some(worktree) = &self.worktree
            && let Err(error) = sweep(&worktree.sessions())
        {
            // Only room is lost; the next one who joins tries again.
            self.note("warning", &error.in_full());
        }
        Ok(Record::new(id, (name, epoch), secret, (repo, host), root))
    }

    /// Who the session is, for the one who has just begun it.
    pub(super) fn introduction(&self, record: &Record) -> Result<String, Error> {
        let mut text = format!("{}  {}  {}", record.name, record.id, record.root);
        if let Some((earlier, _)) = self.orphan()? {
            let name = earlier.name;
            text.push_str(&format!("  (`molt-agent resume` instead goes on as {name})"));
        }
        Ok(text)
    }

    /// The newest session of this worktree whose root is dead.
    pub(super) fn orphan(&self) -> Result<Option<(Record, SessionFile)>, Error> {
        let Some(worktree) = &self.worktree else { return Ok(None) };
        let unseen = |error| Error::bug(format!("cannot see processes: {error}"));
        let mut newest: Option<(Record, SessionFile)> = None;
        for file in SessionFile::all(&worktree.sessions())? {
            let Some(record) = file.read()? else { continue };
            let newer = newest.as_ref().is_none_or(|(known, _)| known.id < record.id);
            let same = self.globals.repo.as_ref().is_none_or(|repo| *repo == record.repo);
            if newer && same && record.root.is_dead().map_err(unseen)? {
                newest = Some((record, file));
            }
        }
        Ok(newest)
    }

    /// Makes sure that the host's daemon renews the session, or says why nobody does.
    pub(super) fn keep_alive(&self, record: &Record, file: &SessionFile) -> Result<(), Error> {
        let addresses = self.addresses()?;
        alive::keep(&self.state, &Registration::new(record, file, &addresses))?;
        let program = super::wrapped::program()?;
        let host = &record.host;
        match crate::daemon::ensure(&program, &self.state, host, &addresses)? {
            Keeper::Daemon => {}
            Keeper::Nobody { problem } => self.say_unkept(&problem),
            Keeper::Refused { said } => {
                let log = crate::daemon::log_path(&self.state);
                let log = log.display();
                self.say_unkept(&format!("the daemon of {host} is refused: {said}; see {log}"));
            }
        }
        Ok(())
    }

    /// Whether it was said that nobody renews the session.
    pub(super) fn is_unkept(&self) -> bool {
        self.unkept.get()
    }

    /// Says once that the session ends by itself although its root lives.
    fn say_unkept(&self, problem: &str) {
        if !self.unkept.replace(true) {
            self.note("unkept", &format!("nobody renews this session: {problem}"));
        }
    }

    /// Carries out a verb as this call's session, joining if there is none.
    pub(super) async fn act(&self, client: &Client, verb: Verb) -> Result<Acted, Error> {
        let file = self.joined(client).await?;
        self.act_as(client, &file, verb).await
    }

    /// Carries out a verb as the session of `file`.
    pub(super) async fn act_as(
        &self,
        client: &Client,
        file: &SessionFile,
        verb: Verb,
    ) -> Result<Acted, Error> {
        let v1::Reply { answer, rev, .. } = request::act(client, file, verb).await?;
        let answer = answer.ok_or_else(|| Error::bug("the coordinator's reply has no answer"))?;
        Ok(Acted { answer, rev })
    }

    /// Reads the committed board, as this call's session if there is one.
    pub(super) async fn read(&self, client: &Client, what: What) -> Result<v1::View, Error> {
        let session = self.session()?;
        let repo = self.repo(session.as_ref())?.to_string();
        let caller = session.map(|record| record.caller());
        let query = v1::Query { caller, repo, what: Some(what) };
        client.read(query).await
    }

    fn name(&self, host: &HostName) -> Result<AgentName, Error> {
        if let Some(name) = &self.globals.agent {
            return Ok(name.clone());
        }
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        let user = user.unwrap_or_else(|_| format!("uid{}", nix::unistd::geteuid()));
        let name = format!("{user}@{host}");
        name.parse().map_err(|error| Error::usage(format!("{error}; set MOLT_AGENT_NAME")))
    }
}

/// A session as a reply says it.
pub(super) fn session_reply(
    reply: v1::Reply,
) -> Result<(molt_domain::id::SessionId, AgentName, u64), Error> {
    let Some(Answer::Session(v1::SessionReply { id, name, epoch })) = reply.answer else {
        return Err(unexpected("a session"));
    };
    let odd = |error: String| Error::bug(format!("the coordinator's session: {error}"));
    let id = id.parse().map_err(|error: molt_domain::id::InvalidId| odd(error.to_string()))?;
    let name =
        name.parse().map_err(|error: molt_domain::name::InvalidName| odd(error.to_string()))?;
    Ok((id, name, epoch))
}

/// That the coordinator answered with something else than `wanted`.
pub(super) fn unexpected(wanted: &str) -> Error {
    Error::bug(format!("the coordinator answered something else than {wanted}"))
}

fn fresh_secret() -> Result<Secret, Error> {
    Secret::fresh().map_err(Error::file("read", Path::new("/dev/urandom")))
}

fn state_folder(globals: &Globals, cwd: &Path) -> Result<PathBuf, Error> {
    if let Some(state) = &globals.state {
        return Ok(cwd.join(state));
    }
    let xdg = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    if let Some(xdg) = xdg.filter(|folder| folder.is_absolute()) {
        return Ok(xdg.join("molt"));
    }
    let home = std::env::home_dir()
        .ok_or_else(|| Error::usage("no home folder: give --state or set MOLT_STATE"))?;
    Ok(home.join(".local/state/molt"))
}
