//! `task new`: the folder of a task, with its log and the skeleton of its report.
//!
//! Folders are opened one below the other and never through a link, so nothing
//! is made outside of the worktree. Not here: what is reported, and to whom.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use molt_domain::id::TaskId;
use molt_domain::name::MAX_BYTES;
use molt_proto::v1;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::json;

use super::show::read;
use crate::cli::context::Context;
use crate::error::Error;
use crate::ui::{Answer, plain};

/// What the folders of all tasks are in, from the worktree's top.
const PARENTS: [&str; 2] = ["logs", "agents"];

/// The micro-report's line, which is what the log is for.
const LOG_LINE: &str = "- [<HH:MM>] <status> — <one-line update>. Output: <path>. \
                        Next: <one-line next step>. Resume: <command>.";

#[derive(Debug, Args)]
pub(super) struct New {
    /// The folder's name below logs/agents.
    name: FolderName,
    /// The task that it is for: its title heads the report.
    #[arg(long, value_name = "TASK")]
    task: Option<TaskId>,
}

impl New {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let top = &context.worktree()?.top;
        let task = match self.task {
            None => None,
            Some(id) => Some(read(context, id).await?.0),
        };
        let report = skeleton(&self.name, task.as_ref());
        let folder = folder_of(&self.name);
        let files = scaffold(top, &self.name, &report)?;
        Ok(told(&folder, &files, task.as_ref()))
    }
}

/// The name of a task's folder: one component of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FolderName(String);

/// A text that is no name of a task's folder, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum InvalidFolderName {
    /// Nothing was given.
    #[error("task name is empty")]
    Empty,
    /// More than names have.
    #[error("task name has {bytes} bytes, the limit is {MAX_BYTES}")]
    Long { bytes: usize },
    /// It would be hidden, or read as an option or as another folder.
    #[error("task name starts with a letter, a digit or _, not {found:?}")]
    Start { found: char },
    /// A character that such names do not have.
    #[error("task name has {found:?} at byte {at}: use letters, digits and . _ - @ # + =")]
    Character { found: char, at: usize },
}

impl FromStr for FolderName {
    type Err = InvalidFolderName;

    fn from_str(text: &str) -> Result<Self, InvalidFolderName> {
        let first = text.chars().next().ok_or(InvalidFolderName::Empty)?;
        if text.len() > MAX_BYTES {
            return Err(InvalidFolderName::Long { bytes: text.len() });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-@#+=".contains(c);
        if let Some((at, found)) = text.char_indices().find(|&(_, c)| !allowed(c)) {
            return Err(InvalidFolderName::Character { found, at });
        }
        match first.is_ascii_alphanumeric() || first == '_' {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidFolderName::Start { found: first }),
        }
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn folder_of(name: &FolderName) -> PathBuf {
    PARENTS.iter().collect::<PathBuf>().join(&name.0)
}

/// The report's sections, in the order in which they are read.
fn skeleton(name: &FolderName, task: Option<&v1::TaskView>) -> String {
    let title = task.map_or_else(|| name.to_string(), |task| plain(&task.title));
    let (notes, resume) = match task {
        Some(task) => (format!("- task {}", task.id), format!("molt-agent task show {}", task.id)),
        None => ("- ...".to_owned(), "molt-agent prime".to_owned()),
    };
    format!(
        "## {title}\n\n\
         ### Status\nnot begun\n\n\
         ### Summary\n- ...\n\n\
         ### Files Touched\n- <path> — <one-line change>\n\n\
         ### Tests\n- <command> → PASS/FAIL\n\n\
         ### Notes\n{notes}\n\n\
         ### Resume\n{resume}\n"
    )
}

/// How a file of the folder came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It was made now.
    Made,
    /// It was there and is as it was.
    There,
    /// Something else was there under its name, and is as it was.
    NoFile,
}

/// Makes what is missing of a task's folder below `top`.
fn scaffold(
    top: &Path,
    name: &FolderName,
    report: &str,
) -> Result<[(&'static str, State); 2], Error> {
    let mut path = top.to_owned();
    let mut folder = open(CWD, top).map_err(Error::file("open folder", top))?;
    for part in PARENTS.into_iter().chain([name.0.as_str()]) {
        path.push(part);
        folder = enter(&folder, part).map_err(Error::file("open folder", &path))?;
    }
    let make = |file: &'static str, text: &str| {
        let made = make(&folder, file, text);
        made.map(|state| (file, state)).map_err(Error::file("make", &path.join(file)))
    };
    Ok([make("progress.log", "")?, make("report.md", report)?])
}

/// The folder `name` of `parent`, which is made if it is missing; never a link.
fn enter(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    open(parent, name).map_err(|error| {
        match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map(|found| kind(found.st_mode)) {
            Ok(FileType::Symlink) => io::Error::other("it is a link, which may lead elsewhere"),
            _ => error,
        }
    })
}

fn open(parent: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

/// Makes a file unless something of that name is there.
fn make(folder: &OwnedFd, name: &str, text: &str) -> io::Result<State> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = match openat(folder, name, flags, Mode::from_raw_mode(0o666)) {
        Ok(file) => file,
        Err(Errno::EXIST) => {
            let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let plain = kind(found.st_mode) == FileType::RegularFile;
            return Ok(if plain { State::There } else { State::NoFile });
        }
        Err(error) => return Err(error.into()),
    };
    let written = File::from(file).write_all(text.as_bytes());
    if written.is_err() {
        // Half a skeleton would be kept by every later call.
        let _removed = unlinkat(folder, name, AtFlags::empty());
    }
    written.map(|()| State::Made)
}

fn kind(mode: rustix::fs::RawMode) -> FileType {
    FileType::from_raw_mode(mode)
}

fn told(folder: &Path, files: &[(&str, State)], task: Option<&v1::TaskView>) -> Answer {
    let path = |file: &str| folder.join(file).display().to_string();
    let listed: Vec<_> =
        files.iter().map(|&(file, state)| json!({ "path": path(file), "state": state })).collect();
    let made = files.iter().any(|&(_, state)| state == State::Made);
    let code = if made { "made" } else { "there" };
    let task = task.map(|task| &task.id);
    let data = json!({ "folder": folder, "files": listed, "task": task });
    let mut answer = Answer::new("task", code, data);
    for &(file, state) in files {
        let label = if state == State::Made { "made" } else { "there" };
        answer = answer.line(label, [path(file)]);
        if state == State::NoFile {
            answer = answer.warn(format!("{} is no plain file: nothing was written", path(file)));
        }
    }
    answer.line("log", [LOG_LINE])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(text: &str) -> FolderName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_one_component() {
        for good in ["gc-barrier", "tsk_0007", "fix.2", "A", "_x", &"x".repeat(MAX_BYTES)] {
            assert!(good.parse::<FolderName>().is_ok(), "{good}");
        }
        for wrong in
            ["", ".", "..", "../x", "/x", "a/b", "-x", ".x", "a b", "ä", "a\n", &"x".repeat(65)]
        {
            assert!(wrong.parse::<FolderName>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_report_has_the_sections_of_the_guide() {
        let task = v1::TaskView {
            id: "tsk_0007".to_owned(),
            title: "mend\n## it".to_owned(),
            ..v1::TaskView::default()
        };
        let report = skeleton(&name("gc"), Some(&task));
        let heads: Vec<&str> = report.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(
            heads,
            [
                "## mend ## it",
                "### Status",
                "### Summary",
                "### Files Touched",
                "### Tests",
                "### Notes",
                "### Resume"
            ]
        );
        assert!(report.ends_with("### Resume\nmolt-agent task show tsk_0007\n"), "{report}");
        assert!(skeleton(&name("gc"), None).starts_with("## gc\n\n### Status\n"));
    }

    #[test]
    fn a_second_call_leaves_everything_as_it_is() {
        let top = tempfile::tempdir().unwrap();
        let made = scaffold(top.path(), &name("gc"), "one").unwrap();
        assert_eq!(made, [("progress.log", State::Made), ("report.md", State::Made)]);
        let folder = top.path().join("logs/agents/gc");
        std::fs::write(folder.join("progress.log"), "begun").unwrap();
        let there = scaffold(top.path(), &name("gc"), "two").unwrap();
        assert_eq!(there, [("progress.log", State::There), ("report.md", State::There)]);
        assert_eq!(std::fs::read_to_string(folder.join("progress.log")).unwrap(), "begun");
        assert_eq!(std::fs::read_to_string(folder.join("report.md")).unwrap(), "one");
        std::fs::remove_file(folder.join("report.md")).unwrap();
        let rest = scaffold(top.path(), &name("gc"), "two").unwrap();
        assert_eq!(rest[1], ("report.md", State::Made));
        let text = told(Path::new("logs/agents/gc"), &rest, None).text();
        assert!(
            text.starts_with(
                "there    logs/agents/gc/progress.log\nmade     logs/agents/gc/report.md\n\
                 log      - [<HH:MM>] <status> — "
            ),
            "{text}"
        );
    }

    #[test]
    fn a_link_on_the_way_is_not_followed() {
        for link in ["logs", "logs/agents", "logs/agents/gc"] {
            let (top, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let link = top.path().join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(elsewhere.path(), &link).unwrap();
            let error = scaffold(top.path(), &name("gc"), "one").unwrap_err();
            let said = error.in_full();
            assert_eq!(
                said,
                format!(
                    "cannot open folder {}: it is a link, which may lead elsewhere",
                    link.display()
                )
            );
            assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{said}");
        }
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_written_through() {
        let (top, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = top.path().join("logs/agents/gc");
        std::fs::create_dir_all(&folder).unwrap();
        let target = elsewhere.path().join("target");
        symlink(&target, folder.join("report.md")).unwrap();
        let found = scaffold(top.path(), &name("gc"), "one").unwrap();
        assert_eq!((found[1], target.exists()), (("report.md", State::NoFile), false));
        let answer = told(Path::new("logs/agents/gc"), &found, None);
        assert_eq!(answer.warnings().len(), 1);
    }
}
