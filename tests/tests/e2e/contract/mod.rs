//! The contract of both command lines: every command, in text and in JSON, answered and refused.
//!
//! The commands are those of the parsers themselves; [`agent`] and [`operator`] say what each is
//! asked, in the order of one story on a live fleet ([`world`]), which is played twice: once for
//! people, once for programs. [`laws`] must hold for every answer, [`shown`] keeps what is said for
//! review, [`shape`] what documents look like, and [`manual`] that `docs/cli.md` is this very
//! command line. Not here: why the rules answer so, which the other rooms show.
//!
//! A new command is a row that is answered and one that is refused in `agent.rs` or `operator.rs`;
//! then `MOLT_CONTRACT=write cargo nextest run -p molt-tests -E 'test(contract::)'` writes the files
//! of `shown/`, the schemas and `docs/cli.md`, whose changes are reviewed like any other.

mod agent;
mod commands;
mod laws;
mod manual;
mod operator;
mod plain;
mod row;
mod shape;
mod shown;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use commands::Program;
use row::{Form, Row, Step};
use world::{Format, Heard, World};

/// A variable that is `write` where what is said now is to be what is expected from now on.
const VARIABLE: &str = "MOLT_CONTRACT";

/// Whether what is said now is written down instead of compared.
fn writes() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == "write")
}

/// How to write it down, for whoever reads that something differs.
const HOW_TO_WRITE: &str =
    "if it is meant so: MOLT_CONTRACT=write cargo nextest run -p molt-tests -E 'test(contract::)'";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What was heard of each row, as text and as JSON.
fn play(program: &Program, story: &[Step]) -> Vec<(Row, Heard, Heard)> {
    let [text, json] = std::thread::scope(|scope| {
        [Format::Text, Format::Json]
            .map(|format| scope.spawn(move || World::new(program, format).play(story)))
            .map(|played| match played.join() {
                Ok(heard) => heard,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    });
    let rows = story.iter().filter_map(Step::row).copied();
    rows.zip(text).zip(json).map(|((row, text), json)| (row, text, json)).collect()
}

/// Plays the story of a program and holds it against everything that is law or written down.
fn keeps_the_contract(program: &Program, story: &[Step]) {
    program.covered_by(story);
    let heard = play(program, story);
    let mut broken = Vec::new();
    let mut documents: Vec<(String, Value)> = Vec::new();
    for (row, text, json) in &heard {
        broken.extend(laws::of_text(program, row, text));
        broken.extend(laws::of_json(program, row, json));
        let command = program.command_of(row.line);
        if row.form == Form::Answer && command != "error" {
            documents.extend(serde_json::from_str(&json.out).map(|document| (command, document)));
        }
    }
    shape::stored(program, &documents);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for (row, text, json) in &heard {
        let verb = program.command_of(row.line);
        let verb = verb.split(' ').next().expect("a command has a name").to_owned();
        pages.entry(verb).or_default().push_str(&shown::entry(program, row, text, json));
    }
    shown::compare(program, &pages);
}

#[test]
fn every_command_of_the_agent_keeps_the_contract() {
    keeps_the_contract(&Program::agent(), agent::STORY);
}

#[test]
fn every_command_of_the_coordinator_keeps_the_contract() {
    keeps_the_contract(&Program::coordinator(), operator::STORY);
}

/// Whatever is asked for help says how it is used, and a misspelt flag is a usage error.
#[test]
fn every_command_has_help_and_refuses_what_it_does_not_know() {
    for program in [Program::agent(), Program::coordinator()] {
        let broken: Vec<String> =
            program.all().iter().flat_map(|command| laws::of_help(&program, command)).collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}
