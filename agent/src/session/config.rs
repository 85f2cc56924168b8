//! What git's configuration says about the coordinator: `molt.coordinator`, and
//! what to show to it: `molt.ca`, `molt.cert`, `molt.key`, `molt.tokenFile`; a
//! machine's daemon shows `molt.hostCert`, `molt.hostKey`, `molt.hostTokenFile`.
//!
//! The files are read directly, because starting the git program would cost
//! more than the call that it is for. Includes and conditions are not followed:
//! `--coordinator` or the environment say the same where they are needed.

use std::io;
use std::path::{Path, PathBuf};

use molt_proto::credentials::Credentials;

use super::Worktree;
use crate::client::unusable;
use crate::error::Error;

/// The value of `molt.<key>` in the repository's configuration, else in the
/// user's.
pub fn get(worktree: Option<&Worktree>, key: &str) -> Result<Option<String>, Error> {
    let own = worktree.map(|worktree| worktree.common_dir.join("config"));
    for file in own.into_iter().chain(user_files()) {
        if let Some(value) = read(&file)?.and_then(|text| find(&text, key)) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// What to show to a coordinator: by the environment, else by the user's configuration.
///
/// A repository's own says nothing here, so that a daemon, which is of no
/// repository, shows the same as the verbs.
pub fn credentials() -> Result<Credentials, Error> {
    let texts = user_texts()?;
    Credentials::find(variable, |key| filed(&texts, key)).map_err(|error| unusable(&error))
}

/// What this machine's daemon shows, found in the same places.
pub fn host_credentials() -> Result<Credentials, Error> {
    let texts = user_texts()?;
    Credentials::of_host(variable, |key| filed(&texts, key)).map_err(|error| unusable(&error))
}

/// The texts of the user's own files, the first to be believed first.
fn user_texts() -> Result<Vec<String>, Error> {
    let mut texts = Vec::new();
    for file in user_files() {
        texts.extend(read(&file)?);
    }
    Ok(texts)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn filed(texts: &[String], key: &str) -> Option<String> {
    texts.iter().find_map(|text| find(text, key)).map(with_home)
}

/// `~/` is the user's home, as in git's own paths.
fn with_home(path: String) -> String {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
        _ => path,
    }
}

/// The text of a file of git's; `None` if there is no such file.
fn read(file: &Path) -> Result<Option<String>, Error> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::file("read", file)(error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn user_files() -> impl Iterator<Item = PathBuf> {
    let home = std::env::home_dir();
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let xdg = xdg.filter(|folder| folder.is_absolute());
    let xdg = xdg.or_else(|| home.as_ref().map(|home| home.join(".config")));
    let under =
        |folder: Option<PathBuf>, file: &str| folder.map(|folder| folder.join(Path::new(file)));
    [under(home, ".gitconfig"), under(xdg, "git/config")].into_iter().flatten()
}

/// The last `key` of the sections `[molt]`.
fn find(text: &str, key: &str) -> Option<String> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            inside = header
                .split(']')
                .next()
                .is_some_and(|name| name.trim().eq_ignore_ascii_case("molt"));
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim().eq_ignore_ascii_case(key)
        {
            let value = value.split([';', '#']).next().unwrap_or_default().trim();
            found = Some(value.trim_matches('"').to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn it_reads_what_git_wrote() {
        let scratch = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(scratch.path()).args(arguments).output();
            assert!(output.unwrap().status.success(), "{arguments:?}");
        };
        run(&["init", "--quiet"]);
        run(&["config", "moltx.coordinator", "wrong:1"]);
        run(&["config", "molt.coordinator", "build2:7420,build3:7420"]);
        run(&["config", "other.coordinator", "wrong:2"]);
        let worktree = Worktree::find(scratch.path()).unwrap();
        let value = get(worktree.as_ref(), "coordinator").unwrap();
        assert_eq!(value.as_deref(), Some("build2:7420,build3:7420"));
    }

    #[test]
    fn quotes_comments_and_case_are_gits() {
        let text = "[Molt]\n\tCoordinator = \"a:1\" ; the old one\n[molt \"x\"]\ncoordinator=b:2\n";
        assert_eq!(find(text, "coordinator").as_deref(), Some("a:1"));
        assert_eq!(find("[molt]\n# coordinator = c:3\n", "coordinator"), None);
    }
}
