//! Results as a JUnit report, as nextest, pytest, gtest, jest and surefire write it.
//!
//! An item is red if any of its testcases is. Counts that a suite announces must
//! not exceed what it holds: a report that lost its end must not pass. Reports
//! of flaky passes (`flakyFailure`, `rerunFailure`) are not failures.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::tally::{Reading, Spot, Tally};
use crate::run::{FileError, RunFolder};

/// A longer report is not read.
const LONGEST_REPORT: u64 = 64 * 1024 * 1024;

/// Reads the report at `path` below `checkout`, if the run in `folder` wrote it.
pub(super) fn read(checkout: &Path, path: &str, folder: &RunFolder) -> Result<Reading, FileError> {
    let root = checkout.canonicalize().map_err(FileError::when("open", checkout))?;
    let report = match root.join(path).canonicalize() {
        Ok(report) if report.starts_with(&root) => report,
        Ok(_) => return Ok(Reading::Unreadable(format!("{path} leads out of the checkout"))),
        Err(error) if is_absent(&error) => {
            return Ok(Reading::Nothing(format!("no report at {path}")));
        }
        Err(error) => return Err(FileError::when("find", &root.join(path))(error)),
    };
    // The checkout may be somebody else's by now: only what was opened is looked at and read.
    let below = report.strip_prefix(&root).unwrap_or(&report);
    let file = match open_below(&root, below) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => {
            return Ok(Reading::Nothing(format!("no report at {path}")));
        }
        Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
            return Ok(Reading::Unreadable(format!("{path} was swapped for something else")));
        }
        Err(error) => return Err(FileError::when("open", &report)(error.into())),
    };
    let about = file.metadata().map_err(FileError::when("look at", &report))?;
    if !about.is_file() || about.len() > LONGEST_REPORT {
        let limit = LONGEST_REPORT >> 20;
        return Ok(Reading::Unreadable(format!("{path} is no file of at most {limit} MiB")));
    }
    // Both times are of this machine's kernel, and the specification came first.
    let spec = folder.path().join("spec.json");
    let began = spec.metadata().and_then(|about| about.modified());
    let began = began.map_err(FileError::when("look at", &spec))?;
    if about.modified().map_err(FileError::when("look at", &report))? < began {
        return Ok(Reading::Nothing(format!("the report at {path} is older than the run")));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_REPORT).read_to_end(&mut bytes).map_err(FileError::when("read", &report))?;
    Ok(match parse(&String::from_utf8_lossy(&bytes)) {
        Ok(tally) => Reading::Items(tally),
        Err(reason) => Reading::Unreadable(format!("{path}: {reason}")),
    })
}

/// Opens what is at `path` below `root`, folder by folder, and follows no link on the way: one may
/// have been put there since the path was found.
fn open_below(root: &Path, path: &Path) -> Result<File, Errno> {
    let itself = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = openat(CWD, root, itself | OFlags::DIRECTORY, Mode::empty())?;
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    for above in path.parent().into_iter().flatten() {
        folder = openat(&folder, above, itself | OFlags::DIRECTORY, Mode::empty())?;
    }
    // A pipe would keep whoever opens it waiting.
    let file = openat(&folder, name, itself | OFlags::NONBLOCK, Mode::empty())?;
    Ok(File::from(file))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The results of a report, or what is wrong with it, as a lowercase fragment.
pub(super) fn parse(text: &str) -> Result<Tally, String> {
    let mut reader = Reader::from_str(text);
    let mut report = Report::default();
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| format!("byte {at}: {error}"))?;
        match event {
            Event::Start(tag) => report.open(&tag)?,
            Event::Empty(tag) => {
                report.open(&tag)?;
                report.close()?;
            }
            Event::End(_) => report.close()?,
            Event::DocType(_) => return Err("it has a document type".to_owned()),
            Event::Eof => return report.finish(),
            _ => {}
        }
    }
}

/// What an element is to us.
#[derive(Debug)]
enum Element {
    Suites,
    Suite(Suite),
    Case(Case),
    Other,
}

/// What a suite announces and what it has.
#[derive(Debug, Default)]
struct Suite {
    name: String,
    announced: Counts,
    found: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    cases: u64,
    bad: u64,
}

#[derive(Debug)]
struct Case {
    name: String,
    red: bool,
    skipped: bool,
    bad: u64,
    /// Where it is, if the tool says so; the first failure's words.
    spot: Option<Spot>,
}

/// What all testcases of one name come to.
#[derive(Debug, Default)]
struct Item {
    red: bool,
    /// Where the first red one is.
    spot: Option<Spot>,
}

#[derive(Debug, Default)]
struct Report {
    open: Vec<Element>,
    suites: usize,
    items: BTreeMap<String, Item>,
}

impl Report {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let element = match tag.local_name().into_inner() {
            "testsuites" if self.open.is_empty() => {
                self.suites += 1;
                Element::Suites
            }
            "testsuite" if self.in_suite() || self.open.is_empty() => {
                self.suites += 1;
                Element::Suite(suite(tag)?)
            }
            "testcase" => Element::Case(self.case(tag)?),
            kind @ ("failure" | "error" | "skipped") => {
                if let Some(Element::Case(case)) = self.open.last_mut() {
                    let skips = kind == "skipped";
                    case.skipped |= skips;
                    case.red |= !skips;
                    case.bad += u64::from(!skips);
                    if let Some(spot) = case.spot.as_mut().filter(|spot| spot.says.is_empty()) {
                        spot.says = told(tag, "message").unwrap_or_default();
                    }
                }
                Element::Other
            }
            other if self.open.is_empty() => return Err(format!("its root is `{other}`")),
            _ => Element::Other,
        };
        self.open.push(element);
        Ok(())
    }

    fn in_suite(&self) -> bool {
        matches!(self.open.last(), Some(Element::Suites | Element::Suite(_)))
    }

    fn case(&self, tag: &BytesStart<'_>) -> Result<Case, String> {
        let Some(Element::Suite(suite)) = self.open.last() else {
            return Err("a testcase outside of a suite".to_owned());
        };
        let name = attribute(tag, "name")?.ok_or("a testcase without a name")?;
        let class = attribute(tag, "classname")?.filter(|class| !class.is_empty());
        let class = class.unwrap_or_else(|| suite.name.clone());
        let name = if class.is_empty() { name } else { format!("{class}::{name}") };
        let words = [attribute(tag, "status")?, attribute(tag, "result")?];
        let says = |known: &[&str]| {
            words.iter().flatten().any(|word| known.contains(&word.to_ascii_lowercase().as_str()))
        };
        Ok(Case {
            name,
            red: says(&["failed", "failure", "error", "broken"]),
            // gtest lists disabled tests as testcases that did not run.
            skipped: says(&["notrun", "suppressed", "skipped", "disabled", "ignored"]),
            bad: 0,
            spot: spot(tag),
        })
    }

    fn close(&mut self) -> Result<(), String> {
        match self.open.pop() {
            Some(Element::Case(case)) => {
                if let Some(Element::Suite(suite)) = self.open.last_mut() {
                    suite.found.cases += 1;
                    suite.found.bad += case.bad.max(u64::from(case.red));
                }
                if case.red || !case.skipped {
                    let item = self.items.entry(case.name).or_default();
                    item.red |= case.red;
                    item.spot = item.spot.take().or(case.spot.filter(|_| case.red));
                }
                Ok(())
            }
            Some(Element::Suite(suite)) => {
                complete(&suite)?;
                if let Some(Element::Suite(outer)) = self.open.last_mut() {
                    outer.found.cases += suite.found.cases;
                    outer.found.bad += suite.found.bad;
                }
                Ok(())
            }
            Some(Element::Suites | Element::Other) => Ok(()),
            None => Err("an end without a beginning".to_owned()),
        }
    }

    fn finish(self) -> Result<Tally, String> {
        if !self.open.is_empty() {
            return Err("it breaks off".to_owned());
        }
        if self.suites == 0 {
            return Err("it has no suite".to_owned());
        }
        let mut tally = Tally::default();
        for (name, item) in self.items {
            match item.red {
                true => tally.fail_at(&name, item.spot),
                false => tally.pass(),
            }
        }
        Ok(tally)
    }
}

fn suite(tag: &BytesStart<'_>) -> Result<Suite, String> {
    let bad = count(tag, "failures")?.saturating_add(count(tag, "errors")?);
    Ok(Suite {
        name: attribute(tag, "name")?.unwrap_or_default(),
        announced: Counts { cases: count(tag, "tests")?, bad },
        found: Counts::default(),
    })
}

/// Where a testcase says that it is. That is for people alone: what does not read is left out.
fn spot(tag: &BytesStart<'_>) -> Option<Spot> {
    let line = told(tag, "line")?.trim().parse::<u32>().ok().filter(|line| *line > 0)?;
    Some(Spot { file: told(tag, "file")?, line, says: String::new() })
}

/// An attribute that decides nothing.
fn told(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    attribute(tag, name).ok().flatten()
}

/// Fewer than announced means that something is lost; more is how some tools
/// count a test that fails twice.
fn complete(suite: &Suite) -> Result<(), String> {
    let Suite { name, announced, found } = suite;
    if found.cases < announced.cases {
        return Err(format!("suite `{name}` has {} of {} tests", found.cases, announced.cases));
    }
    if found.bad < announced.bad {
        return Err(format!("suite `{name}` names {} of {} failures", found.bad, announced.bad));
    }
    Ok(())
}

fn count(tag: &BytesStart<'_>, name: &str) -> Result<u64, String> {
    match attribute(tag, name)? {
        None => Ok(0),
        Some(text) if text.trim().is_empty() => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| format!("{name}=`{text}` is no count")),
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attribute.key.local_name().into_inner() == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            return value.map(|value| Some(value.into_owned())).map_err(|error| error.to_string());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_swapped_for_a_link_or_a_pipe_is_not_followed() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let (root, outside) = (top.join("tree"), top.join("outside"));
        for folder in [root.join("out"), outside.clone()] {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("report.xml"), folder.display().to_string()).unwrap();
        }
        let open = |path: &str| open_below(&root, Path::new(path));
        let mut text = String::new();
        open("out/report.xml").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, root.join("out").display().to_string());

        std::os::unix::fs::symlink(outside.join("report.xml"), root.join("out/link.xml")).unwrap();
        assert_eq!(open("out/link.xml").unwrap_err(), Errno::LOOP);
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        assert!(matches!(open("link/report.xml").unwrap_err(), Errno::LOOP | Errno::NOTDIR));
        assert_eq!(open("").unwrap_err(), Errno::ISDIR);

        let pipe = root.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let opened = open("pipe").unwrap();
        assert!(!opened.metadata().unwrap().is_file(), "it is opened at once, and is no file");
    }
}
