//! What is said, kept for review: a file for each verb.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use super::commands::Program;
use super::row::{Form, Row};
use super::world::Heard;
use super::{HOW_TO_WRITE, plain, writes};

/// Answers that are files for other programs: their beginning is enough.
const FILES: [&str; 3] = ["man", "completions", "schema"];

/// How much of a file is shown; of a schema nothing, which is stored where it is made from.
const OF_A_FILE: usize = 5;

/// One row, as text and as JSON.
pub(super) fn entry(program: &Program, row: &Row, text: &Heard, json: &Heard) -> String {
    let mut entry = format!("## {}: {} {}\nexit {}\n", row.who, program.name, row.line, row.code);
    let file = FILES.contains(&program.command_of(row.line).as_str());
    let most = match program.command_of(row.line).as_str() {
        "schema" if row.code == 0 => 0,
        _ if file => OF_A_FILE,
        _ => usize::MAX,
    };
    for (name, said) in [("stdout", &text.out), ("stderr", &text.err)] {
        let said = plain::text(text, said);
        // What a service says depends on when it is stopped.
        if said.is_empty() || matches!(row.form, Form::Service(_)) {
            continue;
        }
        let lines: Vec<&str> = said.lines().take(most).collect();
        let more = if said.lines().count() > most { "…\n" } else { "" };
        let lines: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        write!(entry, "--- {name}\n{lines}{more}").expect("text can be written to");
    }
    if row.form == Form::Answer && !file {
        let document = plain::document(json, &json.document());
        let pretty = serde_json::to_string_pretty(&document).expect("a document can be printed");
        write!(entry, "--- json\n{pretty}\n").expect("text can be written to");
    }
    entry.push('\n');
    entry
}

fn folder(program: &Program) -> PathBuf {
    super::root().join("tests/tests/e2e/contract/shown").join(program.name)
}

/// That the pages are those that are kept, or keeps them.
pub(super) fn compare(program: &Program, pages: &BTreeMap<String, String>) {
    let folder = folder(program);
    if writes() {
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).expect("the folder of pages");
        for (verb, page) in pages {
            std::fs::write(folder.join(format!("{verb}.txt")), page).expect("a page");
        }
        return;
    }
    let mut differs = Vec::new();
    for (verb, page) in pages {
        let kept = std::fs::read_to_string(folder.join(format!("{verb}.txt"))).unwrap_or_default();
        differs.extend(difference(verb, &kept, page));
    }
    let kept = std::fs::read_dir(&folder).into_iter().flatten();
    let kept: BTreeSet<String> = kept
        .map(|entry| entry.expect("a page").file_name().to_string_lossy().into_owned())
        .collect();
    let said = pages.keys().map(|verb| format!("{verb}.txt")).collect();
    differs.extend(kept.difference(&said).map(|page| format!("{page} is of no verb")));
    assert!(differs.is_empty(), "{}\n{HOW_TO_WRITE}", differs.join("\n"));
}

/// The first lines that differ, with the row that they are of.
fn difference(verb: &str, kept: &str, said: &str) -> Option<String> {
    if kept == said {
        return None;
    }
    let (mut kept, mut said) = (kept.lines(), said.lines());
    let mut row = "";
    loop {
        let (before, now) = (kept.next(), said.next());
        row = now.filter(|line| line.starts_with("## ")).unwrap_or(row);
        if before != now {
            let before: Vec<&str> = before.into_iter().chain(kept.take(3)).collect();
            let now: Vec<&str> = now.into_iter().chain(said.take(3)).collect();
            let (before, now) = (before.join("\n  - "), now.join("\n  + "));
            return Some(format!("{verb}: {row}\n  - {before}\n  + {now}"));
        }
    }
}

#[test]
fn a_page_that_differs_is_told_with_its_row() {
    assert_eq!(difference("claim", "## a\nexit 0\n", "## a\nexit 0\n"), None);
    let told = difference("claim", "## a\nexit 0\n## b\nx\n", "## a\nexit 0\n## b\ny\n");
    assert_eq!(told.as_deref(), Some("claim: ## b\n  - x\n  + y"));
}
