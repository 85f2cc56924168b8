//! What every answer of both programs keeps to; the manual of the command line has the laws.

use serde_json::Value;

use super::commands::{Named, Program};
use super::row::{Form, Row};
use super::world::{Heard, said};

/// What an exit code may be: those of an answer.
const CODES: std::ops::RangeInclusive<i32> = 0..=12;

/// The wrappers' own, and what a shell says of a command that it cannot run.
const OF_WRAPPERS: [i32; 6] = [120, 121, 122, 125, 126, 127];

/// What a shell says of a program that was told to stop.
const STOPPED: i32 = 143;

/// Codes of a call that never got to an answer: its text is beside the result.
const NO_ANSWER: [i32; 4] = [1, 2, 10, 11];

/// The most lines of an answer, and of a refusal.
const MOST: (usize, usize) = (12, 8);

/// Commands whose whole point is a longer text, with how long it may be,
/// and those whose findings are the result, whatever they find.
const LONGER: [(&str, usize); 8] = [
    ("prime", 60),
    ("man", usize::MAX),
    ("completions", usize::MAX),
    ("schema", usize::MAX),
    ("policy check", usize::MAX),
    ("doctor", 12),
    ("why", 24),
    ("task show", usize::MAX),
];

/// Ways around the rules, which no refusal may name.
const AROUND: [&str; 6] = ["--force", "--no-verify", "steal", "bypass", "override", "revoke"];

/// The fields of a document.
const ENVELOPE: [&str; 7] = ["code", "data", "next", "ok", "rev", "schema", "warn"];

/// What is wrong with what was said as text.
pub(super) fn of_text(program: &Program, row: &Row, heard: &Heard) -> Vec<String> {
    let (out, err) = (&heard.out, &heard.err);
    let mut broken = Broken::new(program, row, heard);
    broken.common(row, heard);
    if row.form != Form::Answer {
        return broken.list;
    }
    let command = program.command_of(row.line);
    let (most, of_refusals) = MOST;
    let longer = LONGER.iter().find(|(longer, _)| *longer == command).map(|(_, most)| *most);
    let lines = out.lines().count();
    if heard.code == 0 {
        let most = longer.unwrap_or(most);
        broken.unless(lines <= most, &format!("{lines} lines, {most} at most"));
        let next = out.lines().filter(|line| line.starts_with("next ")).count();
        broken.unless(next <= 1 || longer.is_some(), "more than one next line");
    } else {
        let lines = lines + err.lines().count();
        broken.unless(lines <= of_refusals, &format!("a refusal of {lines} lines"));
        broken.unless(lines > 0, "a refusal without a word");
        for way in AROUND {
            broken.unless(!out.contains(way) && !err.contains(way), &format!("it names {way}"));
        }
        if NO_ANSWER.contains(&heard.code) && longer.is_none() {
            broken.unless(out.is_empty(), "a failure is said beside the result");
        }
    }
    broken.list
}

/// What is wrong with what was said as JSON.
pub(super) fn of_json(program: &Program, row: &Row, heard: &Heard) -> Vec<String> {
    let mut broken = Broken::new(program, row, heard);
    broken.common(row, heard);
    if row.form != Form::Answer {
        return broken.list;
    }
    let Ok(document) = serde_json::from_str::<Value>(&heard.out) else {
        broken.unless(false, "stdout is not one JSON document");
        return broken.list;
    };
    broken.unless(heard.out.lines().count() == 1, "the document is not one line");
    let fields: Vec<&str> =
        document.as_object().into_iter().flat_map(|it| it.keys()).map(String::as_str).collect();
    broken.unless(fields == ENVELOPE, &format!("its fields are {fields:?}"));
    broken.unless(document["ok"] == (heard.code == 0), "`ok` is not the exit code's");
    broken.unless(document["rev"].is_u64(), "rev is no number");
    let schema = document["schema"].as_str().unwrap_or_default();
    let named = schema.strip_prefix("molt.").and_then(|rest| rest.split_once('/'));
    let named = named.is_some_and(|(verb, version)| {
        !verb.is_empty() && version.parse::<u32>().is_ok_and(|version| version > 0)
    });
    broken.unless(named, &format!("its schema is {schema:?}"));
    let code = document["code"].as_str().unwrap_or_default();
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    broken.unless(!code.is_empty() && code.chars().all(word), &format!("its code is {code:?}"));
    for list in ["next", "warn"] {
        let texts = document[list].as_array().is_some_and(|it| it.iter().all(Value::is_string));
        broken.unless(texts, &format!("{list} is no list of texts"));
    }
    broken.list
}

/// What is wrong with the help of a command, and with what it says to a flag that it has not.
pub(super) fn of_help(program: &Program, named: &Named) -> Vec<String> {
    let words: Vec<&str> = named.words.split(' ').collect();
    let row =
        Row { who: "nobody", line: "…", code: 2, stdin: None, nearest: None, form: Form::Answer };
    let mut list = Vec::new();

    let heard = said(program, &[words.as_slice(), &["--help"]].concat());
    let mut broken = Broken::of(program, &format!("{} --help", named.words), &heard);
    broken.unless(heard.code == 0, "help does not exit 0");
    broken.unless(heard.err.is_empty(), "help is the result, so nothing is beside it");
    let example = format!("  {} {}", program.name, named.words);
    let has = heard.out.contains("Example") && heard.out.contains(&example);
    broken.unless(has, "its help has no example");
    broken.plain(&heard);
    list.extend(broken.list);

    let heard = said(program, &[words.as_slice(), &["--no-such-flag", "--json"]].concat());
    let mut broken = Broken::of(program, &format!("{} --no-such-flag", named.words), &heard);
    // A start goes on, whatever it is told.
    let code = if named.words == "prime" { 0 } else { 2 };
    broken.unless(heard.code == code, "an unknown flag is a usage error");
    broken.plain(&heard);
    list.extend(broken.list);
    list.extend(of_json(program, &row, &heard).into_iter().filter(|_| code != 0));
    list
}

/// What is wrong with one answer, each with what was said.
struct Broken {
    list: Vec<String>,
    about: String,
}

impl Broken {
    fn new(program: &Program, row: &Row, heard: &Heard) -> Self {
        Self::of(program, row.line, heard)
    }

    fn of(program: &Program, line: &str, Heard { code, out, err, .. }: &Heard) -> Self {
        let about = format!("`{} {line}` exits {code} and says\n{out}{err}", program.name);
        Self { list: Vec::new(), about }
    }

    fn unless(&mut self, holds: bool, problem: &str) {
        if !holds {
            self.list.push(format!("{problem}: {}", self.about));
        }
    }

    fn plain(&mut self, heard: &Heard) {
        let coloured = heard.out.contains('\u{1b}') || heard.err.contains('\u{1b}');
        self.unless(!coloured, "it colours what is no terminal");
    }

    fn common(&mut self, row: &Row, heard: &Heard) {
        // A service may be stopped before it listens for that.
        let stopped = matches!(row.form, Form::Service(_)) && heard.code == STOPPED;
        let ends = heard.code == row.code || stopped;
        self.unless(ends, &format!("it should exit {}", row.code));
        let own = match row.form {
            Form::Answer => false,
            Form::Output => OF_WRAPPERS.contains(&heard.code),
            Form::Service(_) => heard.code == STOPPED,
        };
        self.unless(CODES.contains(&heard.code) || own, "this exit code has no meaning");
        if let Some(nearest) = row.nearest {
            let told = format!("{}{}", heard.out, heard.err);
            let named = told.split(|c: char| !(c.is_alphanumeric() || "-_/*".contains(c)));
            let named = named.into_iter().any(|word| word == nearest);
            self.unless(named, &format!("it does not ask whether `{nearest}` was meant"));
        }
        self.plain(heard);
    }
}

#[test]
fn what_breaks_a_law_is_found() {
    let program = Program::agent();
    let row = Row {
        who: "ann",
        line: "claim docs",
        code: 4,
        stdin: None,
        nearest: None,
        form: Form::Answer,
    };
    let heard = |code: i32, out: &str| Heard {
        code,
        out: out.to_owned(),
        err: String::new(),
        hidden: Vec::new(),
        machine: String::new(),
    };
    let text = |code: i32, out: &str| of_text(&program, &row, &heard(code, out)).join("\n");
    assert_eq!(text(4, "refused  docs\n"), "");
    assert!(text(0, "granted  docs\n").starts_with("it should exit 4"));
    assert!(text(4, "\u{1b}[31mrefused\n").starts_with("it colours"));
    assert!(text(4, &"x\n".repeat(9)).starts_with("a refusal of 9 lines"));
    assert!(text(4, "").starts_with("a refusal without a word"));
    assert!(text(4, "refused: try --force\n").starts_with("it names --force"));
    assert!(text(0, &"x\n".repeat(13)).contains("13 lines, 12 at most"));
    let misspelt = Row { nearest: Some("docs"), ..row };
    let told = |out: &str| of_text(&program, &misspelt, &heard(4, out)).join("\n");
    assert_eq!(told("no scope `dosc`: did you mean `docs`?\n"), "");
    assert!(told("no scope `dosc`\n").starts_with("it does not ask whether `docs` was meant"));
    let json = |code: i32, out: &str| of_json(&program, &row, &heard(code, out)).join("\n");
    let good = r#"{"code":"scope_held","data":{},"next":[],"ok":false,"rev":1,"schema":"molt.claim/1","warn":[]}"#;
    assert_eq!(json(4, good), "");
    for (right, wrong) in [
        ("\"ok\":false", "\"ok\":true"),
        ("molt.claim/1", "claim"),
        ("\"rev\":1", "\"rev\":\"1\""),
        ("\"next\":[]", "\"next\":[1]"),
        ("\"warn\":[]", "\"warns\":[]"),
        ("scope_held", "Scope held"),
    ] {
        let spoilt = good.replace(right, wrong);
        assert_ne!(json(4, &spoilt), "", "{spoilt}");
    }
    assert!(json(4, &format!("{good}\n{good}")).starts_with("stdout is not one JSON document"));
}
