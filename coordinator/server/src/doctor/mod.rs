//! `doctor`: what would keep a coordinator from serving, found without serving and without
//! writing anything.
//!
//! Each room looks at one thing and says in one line each how it is. Not here: mending anything,
//! and the hosts' own health (`molt-agent doctor`).

mod config;
mod github;
mod machine;
mod outside;
mod store;

use std::fmt;
use std::path::Path;

use molt_proto::exit::Exit;

use crate::config::Config;
use crate::transfer::{Site, TransferError};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works; a person should know this.
    Warn,
    /// It keeps a coordinator from serving; the code says who must act.
    Fail(Exit),
}

impl Level {
    /// The level in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail(_) => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// What it is.
    pub what: &'static str,
    /// What was seen of it.
    pub detail: String,
}

impl Finding {
    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { level: Level::Ok, what, detail: detail.into() }
    }

    fn warn(what: &'static str, detail: impl Into<String>) -> Self {
        Self { level: Level::Warn, what, detail: detail.into() }
    }

    fn fail(what: &'static str, exit: Exit, detail: impl Into<String>) -> Self {
        Self { level: Level::Fail(exit), what, detail: detail.into() }
    }

    fn error(what: &'static str, error: &TransferError) -> Self {
        Self::fail(what, error.exit(), crate::reconcile::chain(error))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Further lines stand below the detail's first one.
        let detail = self.detail.replace('\n', "\n               ");
        write!(f, "{:<5} {:<8} {detail}", self.level.word(), self.what)
    }
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// A configuration.
    pub config: Option<&'a Path>,
    /// A folder of state; with a configuration, in place of the one that it names.
    pub data: Option<&'a Path>,
}

/// Looks at everything that can be looked at, in the order in which it matters.
pub async fn examine(subject: Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = match subject.config {
        Some(file) => config::examine(file, subject.data, &mut findings),
        None => None,
    };
    let site = match (&config, subject.data) {
        (Some(config), _) => Some(Site::of(config)),
        (None, Some(data)) if subject.config.is_none() => Some(Site::folder(data)),
        (None, _) => None,
    };
    match &site {
        Some(site) => {
            findings.extend(machine::data(&site.data));
            store::examine(site, &mut findings).await;
        }
        None if subject.config.is_none() => {
            let detail = "no --config and no --data: only this machine was looked at";
            findings.push(Finding::warn("config", detail));
        }
        None => {}
    }
    let remotes = config.as_ref().map(outside::remotes).unwrap_or_default();
    findings.extend(outside::examine(remotes).await);
    if let Some(Config { github: Some(github), repos, .. }) = &config {
        findings.extend(github::examine(github, repos).await);
    }
    findings
}

/// The code of the first failure; 0 if nothing fails.
#[must_use]
pub fn exit(findings: &[Finding]) -> Exit {
    let failure = findings.iter().find_map(|finding| match finding.level {
        Level::Fail(exit) => Some(exit),
        Level::Ok | Level::Warn => None,
    });
    failure.unwrap_or(Exit::Ok)
}
