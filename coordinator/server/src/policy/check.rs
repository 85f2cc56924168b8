//! `policy check`: every finding of a policy, held against the tracked files.
//!
//! Needs no server. Not here: printing, which the command line does.

use std::fs;
use std::io;
use std::path::Path;

use molt_domain::policy::Policy;
use molt_domain::scope;
use molt_repo::TreePath;

use super::document::{Findings, dotted};
use super::finding::{Finding, Problem, Severity};
use super::read::{self, Examined, examine};
use super::scopes::Scopes;
use super::tracked::tracked;

/// Whether a checked policy could be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It could: there are notes at most.
    Sound,
    /// It could not.
    Faulty,
}

impl Outcome {
    /// The exit code of the program.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Faulty => 2,
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Errors and notes in the order of the lines.
    pub findings: Vec<Finding>,
    /// The policy, when it is sound.
    pub policy: Option<Policy>,
}

impl Report {
    /// Whether the policy could be in force.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.policy.is_some() { Outcome::Sound } else { Outcome::Faulty }
    }

    /// A line for each finding in the file called `file`, and one that counts.
    #[must_use]
    pub fn in_file(&self, file: &str) -> String {
        let lines = self.findings.iter().map(|finding| finding.in_file(file) + "\n");
        let mut text: String = lines.collect();
        let of = |severity| self.findings.iter().filter(|f| f.severity == severity).count();
        let notes = counted(of(Severity::Note), "note");
        let summary = match &self.policy {
            None => format!("{}, {notes}", counted(of(Severity::Error), "error")),
            Some(policy) => format!(
                "sound, {}, {}, {notes}",
                counted(policy.scopes.scopes().len(), "scope"),
                counted(policy.gates.len(), "gate"),
            ),
        };
        text.push_str(&format!("{file}: {summary}\n"));
        text
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Reads a policy and holds it against the paths of the tracked files.
pub fn check<'a>(text: &str, tracked: impl IntoIterator<Item = &'a str>) -> Report {
    let tracked: Vec<&str> = tracked.into_iter().collect();
    report(text, |examined, findings| note_oddities(examined, &tracked, findings))
}

/// Checks the policy in the file at `path` against the git working tree around it.
///
/// Returns what to print and how the program ends. A file outside of a working
/// tree is checked by itself, and the report says so.
pub fn run_check(path: &Path) -> (String, Outcome) {
    let file = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("{file}: not found: `molt-coordinator init` proposes one\n");
            return (text, Outcome::Faulty);
        }
        Err(error) => return (format!("{file}: unreadable: {error}\n"), Outcome::Faulty),
    };
    let report = match read::text(&bytes) {
        Ok(text) => report(text, |examined, findings| note_tree(path, examined, findings)),
        Err(findings) => Report { findings, policy: None },
    };
    (report.in_file(&file), report.outcome())
}

fn report(text: &str, note: impl FnOnce(&Examined, &mut Findings<'_>)) -> Report {
    let mut findings = Findings::new(text);
    let examined = examine(text, &mut findings);
    if let Some(examined) = &examined {
        note(examined, &mut findings);
    }
    let sound = findings.errors() == 0;
    let policy = examined.filter(|_| sound).map(|examined| examined.policy);
    Report { findings: findings.into_sorted(), policy }
}

/// Notes what is odd about the policy in the working tree around the file at `path`.
fn note_tree(path: &Path, examined: &Examined, findings: &mut Findings<'_>) {
    let scopes = &examined.scopes;
    let tracked = match tracked(path.parent().unwrap_or(path)) {
        Ok(tracked) => tracked.paths,
        Err(error) => {
            findings.note(0, "", Problem::NoTree(error.to_string()));
            // Nothing is tracked, so only what the scopes say of each other is odd.
            return note_overlaps(scopes, findings);
        }
    };
    let texts: Vec<&str> = tracked.iter().filter_map(TreePath::as_text).collect();
    note_oddities(examined, &texts, findings);
    let mut odd = tracked.iter().filter(|path| path.as_text().is_none());
    if let Some(first) = odd.next() {
        let problem = Problem::NotText { count: odd.count() + 1, first: first.to_string() };
        findings.note(first_place(scopes), "scope", problem);
    }
}

fn note_oddities(examined: &Examined, tracked: &[&str], findings: &mut Findings<'_>) {
    let Examined { policy, scopes, protected } = examined;
    for oddity in scopes.tree.lint(tracked.iter().copied()) {
        note_oddity(scopes, oddity, findings);
    }
    let case = policy.scopes.case();
    for (pattern, &at) in policy.merge.protect.iter().zip(protected) {
        if !tracked.iter().any(|path| pattern.matches_in(path, case)) {
            let problem = Problem::ProtectsNothing(pattern.as_str().to_owned());
            findings.note(at, "merge.protect", problem);
        }
    }
}

fn note_overlaps(scopes: &Scopes, findings: &mut Findings<'_>) {
    let overlaps = scopes.tree.lint([]).into_iter();
    for overlap in overlaps.filter(|oddity| matches!(oddity, scope::Finding::Overlap { .. })) {
        note_oddity(scopes, overlap, findings);
    }
}

/// Notes an oddity where the scope is; an overlap where the later scope is.
fn note_oddity(scopes: &Scopes, oddity: scope::Finding, findings: &mut Findings<'_>) {
    let place = |name| scopes.places.get(name).copied().unwrap_or_default();
    let scope = match &oddity {
        scope::Finding::Overlap { left, right, .. } if place(left) > place(right) => left,
        scope::Finding::Overlap { right: scope, .. }
        | scope::Finding::Shadowed { scope, .. }
        | scope::Finding::NoFile { scope } => scope,
        scope::Finding::NoScope { .. } => {
            return findings.note(first_place(scopes), "scope", Problem::Scopes(oddity));
        }
    };
    let (at, key) = (place(scope), dotted("scope", scope.as_str()));
    findings.note(at, &key, Problem::Scopes(oddity));
}

/// Where the scopes begin.
fn first_place(scopes: &Scopes) -> usize {
    scopes.places.values().copied().min().unwrap_or_default()
}
