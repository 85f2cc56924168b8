//! A first `molt.toml` for a repository, guessed from its tracked files and its history.
//!
//! What is proposed always reads, has no overlaps and leaves no tracked file
//! without a scope; whether it cuts the work well is for a person to say.
//! Not here: writing the file ([`super::init()`]).

mod guess;
mod partition;
mod protect;
mod together;

use std::collections::BTreeSet;
use std::fmt::Write;

use guess::Guess;
use partition::Part;
use together::Together;

const HEADER: &str = r#"# Who may change what in this repository, and what a change must pass.
# Proposed from the tracked files and the last commits. Edit it, then run `molt-coordinator policy check`.

version = 1
requires = "0.1"
case = "sensitive"              # "insensitive": names that differ only in case are one file
# open = ["logs/**", "tmp/**"]  # anybody changes these, without a claim

# A scope is what one agent claims at a time: split those that several work in at
# once. [scope."a/b"] is a child of [scope.a]: whoever holds the parent holds it too.
"#;

const MERGE: &str = r#"
# What lands, and what it must pass: the gates above, "scope" (every changed path
# was claimed) and, if you add it, "announce" (the change said beforehand what it does).
[merge]
method = "merge"                # merge | ff
"#;

const PROTECT: &str = "\
# A change of these takes an operator's approval: gates and CI go by them. This file
# always does, so it need not be named.
";

const GATE_NOTES: &str = r#"
# A gate is a command that a change must pass. More of what it can have:
#   result = "exit"             # exit | tap | junit:PATH
#   compare = "base"            # only failures that the base does not have block
#   memory = "4GB"              # of all its processes together
#   pool = "cache"              # takes one of the slots of [pool.cache] slots = 1
#   env = { LANG = "C" }
"#;

/// The text of a policy for a tree with these tracked files.
///
/// `text_of` reads one of them, for guessing; `None` when it cannot. `history` has the paths that
/// each commit changed, as far back as it is worth to look.
pub fn propose<'a>(
    tracked: impl IntoIterator<Item = &'a str>,
    text_of: impl Fn(&str) -> Option<String>,
    history: &[Vec<String>],
) -> String {
    let tracked: BTreeSet<&str> = tracked.into_iter().collect();
    let text_of = |path: &str| tracked.contains(path).then(|| text_of(path)).flatten();
    let members = guess::members(&tracked, &text_of);
    let parts = partition::parts(&tracked, &members, &Together::of(history));
    let gates = guess::gates(&tracked, &text_of);
    let mut text = HEADER.to_owned();
    // Writing to a string cannot fail.
    for part in &parts {
        let _infallible = write_part(&mut text, part);
    }
    text.push_str(GATE_NOTES);
    for gate in &gates {
        let _infallible = write_gate(&mut text, gate);
    }
    text.push_str(MERGE);
    let required = gates.iter().map(|gate| gate.name.as_str()).chain(["scope"]);
    let _infallible = writeln!(text, "required = {}", array(required));
    let protected = protect::patterns(&tracked, &text_of, &gates);
    let protected = protected.iter().map(molt_domain::scope::Pattern::as_str);
    text.push_str(PROTECT);
    let _infallible = match protected.len() {
        0 => writeln!(text, "# protect = [\"tools/**\"]"),
        _ => writeln!(text, "protect = {}", array(protected)),
    };
    text
}

fn write_part(text: &mut String, part: &Part) -> std::fmt::Result {
    writeln!(text)?;
    for why in &part.why {
        writeln!(text, "# {why}")?;
    }
    writeln!(text, "[{}]", super::document::dotted("scope", part.name.as_str()))?;
    if part.is_carve() {
        writeln!(text, "carve = true\nmax = \"10m\"")?;
    }
    writeln!(
        text,
        "paths = {}",
        array(part.paths.iter().map(molt_domain::scope::Pattern::as_str))
    )?;
    if !part.tests.is_empty() {
        writeln!(text, "tests = {}", array(part.tests.iter().map(String::as_str)))?;
    }
    Ok(())
}

fn write_gate(text: &mut String, gate: &Guess) -> std::fmt::Result {
    writeln!(text, "\n[gate.{}]", gate.name)?;
    writeln!(text, "run = {}", string(&gate.run))?;
    writeln!(text, "timeout = \"30m\"")
}

fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn array<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.map(string).collect();
    format!("[{}]", texts.join(", "))
}
