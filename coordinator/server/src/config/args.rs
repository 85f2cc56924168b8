//! The flags of `serve`, and how they and the file become one configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use molt_domain::name::RepoName;

use super::check::{self, Transport};
use super::file::{self, FileLayer, WebhookLayer};
use super::finding::{ConfigError, Finding, Place, Problem};
use super::spans::SpanArgs;
use super::{
    Config, DEFAULT_LISTEN, DEFAULT_REPO, DEFAULT_WEBHOOK_LISTEN, GithubConfig, RepoConfig,
    StorePlace, WebhookConfig,
};
use crate::policy::{self, Severity};

/// Where and how to serve.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  molt-coordinator serve\n  \
                        molt-coordinator serve --remote git@example.org:fleet/main.git")]
pub struct ServeArgs {
    /// The configuration, a TOML file; what is given here goes before it
    #[arg(long = "config", env = "MOLT_COORD_CONFIG", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Check the configuration and end: 0 when it could be served, else 2
    #[arg(long)]
    pub check_config: bool,

    /// What this coordinator is called among those of its fleet
    ///
    /// Default: the host of --advertise, else `molt-coordinator`.
    #[arg(long, env = "MOLT_COORD_NAME", value_name = "NAME")]
    pub name: Option<String>,

    /// Folder of the coordinator's state
    ///
    /// Default: `molt/coordinator` below XDG_STATE_HOME or ~/.local/state.
    #[arg(long, env = "MOLT_COORD_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Address to listen on; loopback only without a `tls` table in the file [default: 127.0.0.1:7420]
    #[arg(long, env = "MOLT_COORD_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,

    /// By which address others reach this coordinator [default: the one it listens on]
    #[arg(long, env = "MOLT_COORD_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// Address to take webhooks in on, if the file has their secrets [default: 127.0.0.1:7480]
    #[arg(long, env = "MOLT_COORD_WEBHOOK_LISTEN", value_name = "ADDR")]
    pub webhook_listen: Option<SocketAddr>,

    /// The repository's remote: a path or any address that git can push to
    ///
    /// Takes the place of all repositories in the file.
    #[arg(long, value_name = "REMOTE", required_unless_present = "file")]
    pub remote: Option<String>,

    /// The branch that changes land on
    #[arg(long, default_value = DEFAULT_REPO, requires = "remote", value_name = "BRANCH")]
    pub branch: String,

    /// What the repository is called here
    #[arg(long, default_value = DEFAULT_REPO, requires = "remote", value_name = "NAME")]
    pub repo: RepoName,

    /// Give up records that were lost: begin a new epoch of fences
    ///
    /// For a state that was put back to an older one, when what is missing cannot be restored.
    /// Holders of what was granted since are not known any more: see that they have stopped.
    /// The audit keeps the reason.
    #[arg(long, value_name = "REASON")]
    pub raise_epoch: Option<String>,

    /// Write the address that was bound into this file, once calls are answered
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    #[command(flatten)]
    spans: SpanArgs,
}

/// A configuration that was looked at.
#[derive(Debug)]
pub struct Examined {
    /// What can be served, when nothing is wrong.
    pub config: Option<Config>,
    /// Errors and notes: those of the file in the order of its lines, then the others.
    pub findings: Vec<Finding>,
}

impl ServeArgs {
    /// Everything that is told, in one.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or everything that is wrong in it and beside it.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let Examined { config, mut findings } = self.examine()?;
        config.ok_or_else(|| {
            findings.retain(|finding| finding.severity() == Severity::Error);
            ConfigError::Faulty(findings)
        })
    }

    /// Looks at everything that can be looked at without starting.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn examine(&self) -> Result<Examined, ConfigError> {
        let (layer, findings) = match &self.file {
            None => (FileLayer::default(), Vec::new()),
            Some(path) => {
                let unreadable = |source| ConfigError::Unreadable { path: path.clone(), source };
                let bytes = std::fs::read(path).map_err(unreadable)?;
                match policy::text(&bytes) {
                    Ok(text) => file::read(path, text),
                    Err(findings) => {
                        let in_file = |finding| Finding::File { path: path.clone(), finding };
                        (FileLayer::default(), findings.into_iter().map(in_file).collect())
                    }
                }
            }
        };
        Ok(Merge { args: self, findings }.of(layer))
    }
}

/// The making of one configuration from the flags, the file and the defaults.
struct Merge<'a> {
    args: &'a ServeArgs,
    findings: Vec<Finding>,
}

impl Merge<'_> {
    fn of(mut self, file: FileLayer) -> Examined {
        let args = self.args;
        let repos = self.repos(file.repos);
        let advertise = args.advertise.as_deref();
        let advertise = self.flag("--advertise", advertise, check::host_port).or(file.advertise);
        let transport = if file.tls.is_some() { Transport::Tls } else { Transport::Plain };
        let listen = args.listen.map(|address| (address, Place::Flag("--listen")));
        let (listen, listen_at) =
            listen.or(file.listen).unwrap_or((DEFAULT_LISTEN, Place::Flag("--listen")));
        self.note_error(&listen_at, check::listen(listen, transport));
        if file.etcd.is_some() && advertise.is_none() && listen.ip().is_unspecified() {
            self.error(&listen_at, Problem::NoAddress(listen));
        }
        let github = self.github(file.github, &repos);
        let webhooks = self.webhooks(file.webhooks);
        let spans = args.spans.over(&file.spans);
        let spans_at = file.spans_at.unwrap_or(Place::Flag("spans"));
        self.note_error(&spans_at, spans.check().map_err(Problem::from));
        for problem in check::spans(&spans) {
            self.findings.push(Finding::new(&spans_at, Severity::Note, problem));
        }
        let name = self.flag("--name", args.name.as_deref(), check::name).or(file.name);
        let config = self.data(file.data).map(|data| Config {
            name: name.unwrap_or_else(|| default_name(advertise.as_deref())),
            store: file.etcd.unwrap_or_else(|| StorePlace::Embedded { folder: data.clone() }),
            data,
            listen,
            advertise,
            repos,
            tls: file.tls,
            github,
            webhooks,
            spans,
            limits: file.limits,
            raise_epoch: args.raise_epoch.clone(),
            ready_file: args.ready_file.clone(),
        });
        let sound = self.is_sound();
        Examined { config: config.filter(|_| sound), findings: self.findings }
    }

    fn error(&mut self, place: &Place, problem: Problem) {
        self.findings.push(Finding::new(place, Severity::Error, problem));
    }

    fn note_error(&mut self, place: &Place, checked: Result<(), Problem>) {
        if let Err(problem) = checked {
            self.error(place, problem);
        }
    }

    /// The value of a flag, when it is given and sound.
    fn flag<T, V>(
        &mut self,
        flag: &'static str,
        given: Option<V>,
        check: impl FnOnce(V) -> Result<T, Problem>,
    ) -> Option<T> {
        match check(given?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.error(&Place::Flag(flag), problem);
                None
            }
        }
    }

    fn data(&mut self, file: Option<PathBuf>) -> Option<PathBuf> {
        if let Some(folder) = &self.args.data {
            return self.flag("--data", Some(folder.clone()), check::folder);
        }
        let data = file.or_else(default_data);
        if data.is_none() {
            self.error(&Place::Flag("--data"), Problem::NoHome);
        }
        data
    }

    /// Where webhooks are taken in: nowhere without a secret.
    fn webhooks(&mut self, file: Option<WebhookLayer>) -> Option<WebhookConfig> {
        let place = Place::Flag("--webhook-listen");
        let flag = self.args.webhook_listen.map(|address| (address, place.clone()));
        let Some(file) = file else {
            if flag.is_some() {
                self.error(&place, Problem::NoWebhookSecret);
            }
            return None;
        };
        let listen = flag.or(file.listen);
        let (listen, listen_at) = listen.unwrap_or((DEFAULT_WEBHOOK_LISTEN, place));
        if !listen.ip().is_loopback() {
            let problem = Problem::WebhooksInTheClear(listen);
            self.findings.push(Finding::new(&listen_at, Severity::Note, problem));
        }
        Some(WebhookConfig { listen, secret_files: file.secret_files })
    }

    /// The GitHub of the file, and a note where no repository is there.
    fn github(
        &mut self,
        file: Option<(GithubConfig, Place)>,
        repos: &[RepoConfig],
    ) -> Option<GithubConfig> {
        let (github, place) = file?;
        // Where a repository is faulty, nobody knows yet.
        let is_idle = !repos.is_empty() && repos.iter().all(|repo| repo.github.is_none());
        if is_idle && self.is_sound() {
            self.findings.push(Finding::new(&place, Severity::Note, Problem::IdleGithub));
        }
        Some(github)
    }

    /// Whether nothing is wrong so far.
    fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() == Severity::Note)
    }

    /// The one repository of the command line, else those of the file.
    fn repos(&mut self, file: Vec<RepoConfig>) -> Vec<RepoConfig> {
        let args = self.args;
        if let Some(remote) = &args.remote {
            let (name, branch) = (args.repo.clone(), args.branch.clone());
            return vec![RepoConfig { name, remote: remote.clone(), branch, github: None }];
        }
        // Faulty ones are told already.
        if file.is_empty() && self.is_sound() {
            self.error(&Place::Flag("--remote"), Problem::NoRepository);
        }
        file
    }
}

/// What a coordinator is called that was given no name: where it is, if that is told.
fn default_name(advertise: Option<&str>) -> String {
    let host = advertise.and_then(|address| Some(address.rsplit_once(':')?.0));
    let host = host.filter(|host| check::name(host).is_ok());
    host.unwrap_or("molt-coordinator").to_owned()
}

fn default_data() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty());
    let state = state
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local").join("state")))?;
    Some(state.join("molt").join("coordinator"))
}
