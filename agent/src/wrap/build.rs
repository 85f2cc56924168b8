//! `build NAME -- CMD`: done once for equal trees, at one place.
//!
//! A build's place is where its artifacts are: by default this host and this
//! worktree, because a target directory that two worktree paths share lets a
//! failing tree pass. With a named place, equal trees of several worktrees of
//! this host share: the artifacts that were named are copied into
//! `<state>/artifacts/<place>/` and from there into the worktrees that ask. What was
//! built while its tree changed has no name, so it is shared with nobody.

use std::path::{Path, PathBuf};

use molt_domain::name::BuildName;
use molt_repo::{Before, Git};

use super::acquire::Taken;
use super::ask::{Ask, Key};
use super::hold::{Hold, Of, nobody_elses};
use super::interrupt::Interrupts;
use super::lock::variables;
use super::under::{Started, Task, blocking, code, phase};
use super::{Command, Failure, Patience, Wrapper, artifacts, one};
use crate::error::in_full;
use crate::run::{Class, RunFolder, Sources};
use crate::session::Worktree;
use crate::ui;

/// Variables that change what a build makes.
const RELEVANT: [&str; 10] = [
    "AR",
    "CARGO_BUILD_TARGET",
    "CC",
    "CFLAGS",
    "CXX",
    "CXXFLAGS",
    "LDFLAGS",
    "RUSTC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// What a build is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fingerprint {
    /// The worktree as it is on disk, untracked files that are not ignored included.
    /// It has to be the same at the end of the run.
    Auto,
    /// What the caller says, in hex; that nothing of it changes is the caller's word too.
    Given(String),
}

impl std::str::FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text {
            "auto" => Ok(Self::Auto),
            _ if hex && text.len() >= 8 => Ok(Self::Given(text.to_ascii_lowercase())),
            _ => Err("expected `auto` or 8 to 64 hex digits".to_owned()),
        }
    }
}

/// A build that is shared.
#[derive(Debug)]
pub struct Build<'a> {
    /// What is built.
    pub name: BuildName,
    /// From what.
    pub fingerprint: Fingerprint,
    /// How, such as `dev` or `release`.
    pub profile: BuildName,
    /// The place of its artifacts, for all worktrees of this host; `None` for
    /// this worktree's own.
    pub place: Option<BuildName>,
    /// What it makes, relative to where the command runs.
    pub artifacts: Vec<PathBuf>,
    /// What builds it.
    pub command: &'a Command,
    /// How long another's build is waited for.
    pub patience: Patience,
}

/// A build as it is asked for.
struct Wanted {
    key: Key,
    /// The tree that the key is of; `None` when that is the caller's word.
    sources: Option<Sources>,
    artifacts: Vec<PathBuf>,
    store: Option<PathBuf>,
}

impl Build<'_> {
    /// Builds, or uses what was built; the command's exit code, or 0 for what
    /// was there.
    pub async fn run(&self, wrapper: &Wrapper<'_>) -> Result<u8, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let wanted = self.wanted(wrapper).await?;
        wrapper.renewed().await?;
        let mut missing = String::new();
        loop {
            let (key, what) = (wanted.key.clone(), self.command.what());
            let ask = Ask::Build { key, missing: missing.clone(), what };
            let taken = wrapper.take(&ask, self.patience, &mut interrupts).await;
            match taken {
                Ok(Taken::Built(digest)) => {
                    if self.is_there(&wanted, &digest).await? {
                        say_shared(wrapper, &wanted)?;
                        return Ok(0);
                    }
                    missing = digest;
                }
                Ok(Taken::Held(view, place)) => {
                    let task = self.task(&wanted, &view.fence)?;
                    let start =
                        wrapper.start(&task, (&view, &place), self.patience, &mut interrupts);
                    if let Started::Run(run) = start.await? {
                        return self.see_built(wrapper, *run, &mut interrupts).await;
                    }
                }
                Err(Failure::FailedBefore { reason }) => {
                    let log = earlier(wrapper.state, &wanted.key)?
                        .map(|(hold, log)| format!("; {}'s log: {}", hold.holder, log.display()));
                    let reason = reason + &log.unwrap_or_default();
                    return Err(Failure::FailedBefore { reason });
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn see_built(
        &self,
        wrapper: &Wrapper<'_>,
        run: super::under::UnderWay,
        interrupts: &mut Interrupts,
    ) -> Result<u8, Failure> {
        let record = wrapper.see_through(run, interrupts).await?;
        let artifacts = self.absolute(wrapper);
        let made = blocking(move || artifacts::digest(&artifacts)).await??;
        if record.class == Class::Passed && made.is_none() {
            return Err(Failure::wrapper("the build passed and did not make its artifacts"));
        }
        if let Some(doubt) = nobody_elses(&record) {
            ui::warn(&format!("the result is not shared: {doubt}"));
        }
        code(self.command, &record)
    }

    fn task(&self, wanted: &Wanted, fence: &str) -> Result<Task<'_>, Failure> {
        let Key { name, fingerprint, profile, place } = wanted.key.clone();
        let key = format!("build:{name}:{fingerprint}:{profile}:{place}");
        Ok(Task {
            command: self.command,
            names: one(key),
            phase: phase("build")?,
            variables: variables([
                ("MOLT_BUILD", name.clone()),
                ("MOLT_FINGERPRINT", fingerprint.clone()),
                ("MOLT_FENCE", fence.to_owned()),
            ]),
            sure_until: None,
            sources: wanted.sources.clone(),
            of: Of::Build {
                name,
                fingerprint,
                profile,
                place,
                artifacts: wanted.artifacts.clone(),
                store: wanted.store.clone(),
            },
        })
    }

    async fn wanted(&self, wrapper: &Wrapper<'_>) -> Result<Wanted, Failure> {
        let worktree = Worktree::find(&wrapper.cwd)?;
        let top = worktree.map_or_else(|| wrapper.cwd.clone(), |worktree| worktree.top);
        let artifacts = self.absolute(wrapper);
        let (tree, sources) = match &self.fingerprint {
            Fingerprint::Given(given) => (given.clone(), None),
            Fingerprint::Auto => {
                let (folder, outputs) = (wrapper.cwd.clone(), artifacts.clone());
                let sources = blocking(move || look(&folder, outputs)).await??;
                (sources.before.fingerprint().to_owned(), Some(sources))
            }
        };
        let (place, store) = match &self.place {
            None => {
                let own = blake3::hash(top.as_os_str().as_encoded_bytes()).to_hex();
                (format!("{}:{}", wrapper.host, &own[..8]), None)
            }
            Some(name) => {
                let folder = name.as_str().replace('/', "%");
                let store = wrapper.state.join("artifacts").join(folder);
                (format!("{}={name}", wrapper.host), Some(store))
            }
        };
        let place: BuildName =
            place.parse().map_err(|error| Failure::wrapper(format!("--place: {error}")))?;
        let key = Key {
            name: self.name.to_string(),
            fingerprint: self.key_of(&tree, wrapper.cwd.strip_prefix(&top).unwrap_or(&wrapper.cwd)),
            profile: self.profile.to_string(),
            place: place.to_string(),
        };
        Ok(Wanted { key, sources, artifacts, store })
    }

    /// Everything that the build depends on, as one digest.
    fn key_of(&self, tree: &str, inside: &Path) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &[u8]| {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text);
        };
        part(b"molt build 1");
        part(tree.as_bytes());
        part(self.profile.as_str().as_bytes());
        part(inside.as_os_str().as_encoded_bytes());
        part(&(self.command.argv.as_slice().len() as u64).to_le_bytes());
        for argument in self.command.argv.as_slice() {
            part(argument.as_bytes());
        }
        part(&(self.artifacts.len() as u64).to_le_bytes());
        for artifact in &self.artifacts {
            part(artifact.as_os_str().as_encoded_bytes());
        }
        for name in RELEVANT {
            if let Some(value) = self.command.environment.get(name) {
                part(name.as_bytes());
                part(value.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    fn absolute(&self, wrapper: &Wrapper<'_>) -> Vec<PathBuf> {
        self.artifacts.iter().map(|artifact| wrapper.cwd.join(artifact)).collect()
    }

    /// Whether the artifacts of `digest` are here, or can be brought here.
    async fn is_there(&self, wanted: &Wanted, digest: &str) -> Result<bool, Failure> {
        if wanted.artifacts.is_empty() || digest.is_empty() {
            return Ok(wanted.artifacts.is_empty());
        }
        let (paths, store) = (wanted.artifacts.clone(), wanted.store.clone());
        let digest = digest.to_owned();
        blocking(move || {
            if artifacts::digest(&paths)?.as_deref() == Some(&digest) {
                return Ok(true);
            }
            match store {
                Some(store) => artifacts::restore(&store, &digest, &paths),
                None => Ok(false),
            }
        })
        .await?
        .map_err(Failure::from)
    }
}

/// The tree that `folder` lies in, as it is now. It is looked at again at the run's end,
/// however long the build waits for its turn until then.
fn look(folder: &Path, outputs: Vec<PathBuf>) -> Result<Sources, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::wrapper(format!("no fingerprint: {}", in_full(error)))
    };
    let git = Git::find().map_err(|error| failed(&error))?;
    let before = Before::look(&git, folder).map_err(|error| failed(&error))?;
    Ok(Sources { before, outputs })
}

fn say_shared(wrapper: &Wrapper<'_>, wanted: &Wanted) -> Result<(), Failure> {
    let key = &wanted.key;
    let short = &key.fingerprint[..8];
    let what = format!("{}:{short} ({})", key.name, key.profile);
    let by = match earlier(wrapper.state, key)? {
        Some((hold, _)) => format!("built by {}", hold.holder),
        None => format!("built at {}", key.place),
    };
    ui::note(&ui::row("shared:", [by, what]));
    Ok(())
}

/// The last run of the same build under this state folder, with its log.
fn earlier(state: &Path, key: &Key) -> Result<Option<(Hold, PathBuf)>, Failure> {
    let same = |of: &Of| match of {
        Of::Build { name, fingerprint, profile, place, .. } => {
            (name, fingerprint, profile, place)
                == (&key.name, &key.fingerprint, &key.profile, &key.place)
        }
        Of::Lock { .. } | Of::Slot { .. } => false,
    };
    let mut newest: Option<(Hold, PathBuf)> = None;
    for run in crate::run::list(state)? {
        let folder: &RunFolder = run.folder();
        let Some(hold) = Hold::read(folder)?.filter(|hold| same(&hold.of)) else { continue };
        if newest.as_ref().is_none_or(|(known, _)| known.hold < hold.hold) {
            newest = Some((hold, run.spec()?.log));
        }
    }
    Ok(newest)
}
