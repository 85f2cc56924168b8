//! What is read of files, and what is planned of it.

use super::source::{At, Remark};
use super::*;

/// Real rows and records; the README beside them says whose.
fn data(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    std::fs::read(folder.join(name)).unwrap()
}

fn plan_of(bytes: &[u8], format: Format) -> Plan {
    let there = v1::TaskView {
        id: "tsk_0001".to_owned(),
        title: "already there".to_owned(),
        ..v1::TaskView::default()
    };
    let scopes = ["docs".to_owned(), "runtime/gc".to_owned()];
    Plan::new(parsed(bytes, format, "stem.coordination"), &[there], &scopes)
}

fn texts(remarks: &[Remark]) -> Vec<String> {
    remarks.iter().map(ToString::to_string).collect()
}

fn titles(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.draft.title.as_str()).collect()
}

const TOML: &str = "\
[[task]]
title = 'use it'
needs = ['barrier', 'tsk_0001']
colour = 'red'

[[task]]
name = 'barrier'
title = 'fix the write barrier'
body = '''one
two'''
priority = -5
scopes = ['runtime/gc']
acceptance = 'gc tests pass'

[[task]]
name = 'old'
title = 'already there'

[[task]]
title = 'last'
needs = ['old']

[owner]
name = 'ada'
";

#[test]
fn toml_is_planned_with_what_is_needed_first() {
    let plan = plan_of(TOML.as_bytes(), Format::Toml);
    assert_eq!(texts(&plan.faults), [""; 0]);
    assert_eq!(titles(&plan), ["fix the write barrier", "use it", "last"]);
    let [first, second, third] = plan.steps.as_slice() else { panic!("{:?}", plan.steps) };
    assert_eq!((first.draft.body.as_str(), first.draft.priority), ("one\ntwo", -5));
    assert_eq!(first.draft.scopes, ["runtime/gc"]);
    assert_eq!(second.needs, [Need::Step(0), Need::Known("tsk_0001".to_owned())]);
    assert_eq!(third.needs, [Need::Known("tsk_0001".to_owned())]);
    assert_eq!(texts(&plan.skipped), ["line 15: already there: there as tsk_0001"]);
    assert_eq!(
        texts(&plan.notes),
        ["line 4: unknown key `colour`: left out", "line 23: unknown key `owner`: left out"]
    );
    let answer = planned(&plan);
    assert_eq!(
        answer.text(),
        "planned  3 tasks to add  1 skipped\n\
         add      fix the write barrier  runtime/gc\n\
         add      use it  after fix the write barrier, tsk_0001\n\
         add      last  after tsk_0001\n"
    );
}

#[test]
fn faults_name_their_lines_and_the_nearest() {
    let table = [
        ("[[task]]\ntitle = 3\n", "line 2: `title` is no text"),
        ("[[task]]\nbody = 'x'\n", "line 1: a task without a title"),
        (
            "[[task]]\ntitle = 'a'\nscopes = ['doc']\n",
            "line 1: no scope `doc`: did you mean `docs`?",
        ),
        ("[[task]]\ntitle = 'a'\nneeds = ['b']\n", "line 1: it needs `b`, which is no task"),
        (
            "[[task]]\ntitle = 'a'\npriority = 1_000_000_000_000\n",
            "line 3: `priority` is no number of 32 bits",
        ),
        ("[task]\ntitle = 'a'\n", "line 1: `task` is no list of tables: write [[task]]"),
        (
            "[[task]]\ntitle='a'\nname='a'\nneeds=['b']\n[[task]]\ntitle='b'\nname='b'\nneeds=['a']\n",
            "line 1: a: its needs (b) go round in a circle",
        ),
        (
            "[[task]]\ntitle='a'\nname='a'\n[[task]]\ntitle='b'\nname='a'\n",
            "line 4: `a` names two tasks",
        ),
    ];
    for (text, fault) in table {
        let plan = plan_of(text.as_bytes(), Format::Toml);
        let faults = texts(&plan.faults);
        assert!(faults.iter().any(|found| found == fault), "{text}: {faults:?}");
    }
    let broken = plan_of(b"[[task]]\ntitle = 'a\n", Format::Toml);
    assert!(broken.faults[0].at == At::Line(2) && titles(&broken).is_empty(), "{broken:?}");
    let many: String = (0..=plan::MAX_TASKS).map(|at| format!("- [ ] {at}\n")).collect();
    assert_eq!(plan_of(many.as_bytes(), Format::Markdown).faults.len(), 1);
}

const MARKDOWN: &str = "\
# Plan

- [ ] mend the manual
    with care

      and a code line
  - [x] a part of it
- [X] done long ago
  and how
* [ ] mend the manual
- [~] half of it
- [link](x) no box
```
- [ ] no task
```
+ [ ] already there
";

#[test]
fn a_markdown_list_is_read_box_by_box() {
    let plan = plan_of(MARKDOWN.as_bytes(), Format::Markdown);
    assert_eq!(texts(&plan.faults), [""; 0]);
    assert_eq!(titles(&plan), ["mend the manual", "half of it"]);
    assert_eq!(plan.steps[0].draft.body, "  with care\n\n    and a code line\n- [x] a part of it");
    assert_eq!(
        texts(&plan.skipped),
        [
            "line 8: done: done long ago",
            "line 10: mend the manual: has the title of line 3",
            "line 16: already there: there as tsk_0001"
        ]
    );
    assert_eq!(
        texts(&plan.notes),
        [
            "line 1: no task, left out: # Plan",
            "line 7: a box in a box is kept in the body of the task above",
            "line 11: unknown mark [~]: taken as not done",
            "line 12: no task, left out: - [link](x) no box",
            "line 13: a block of code is left out"
        ]
    );
    let open = plan_of(b"- [ ] a\n```\n- [ ] b\n", Format::Markdown);
    assert_eq!(texts(&open.faults), ["line 2: a block of code begins here and never ends"]);
}

#[test]
fn every_encoding_gives_the_same_tasks() {
    let text = "- [ ] größer\n  body\n- [ ] b\n";
    let dos = text.replace('\n', "\r\n");
    let units = |swap: bool| -> Vec<u8> {
        let unit = |unit: u16| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() };
        dos.encode_utf16().flat_map(unit).collect()
    };
    let files = [
        text.as_bytes().to_vec(),
        dos.as_bytes().to_vec(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        [b"\xff\xfe".to_vec(), units(false)].concat(),
        [b"\xfe\xff".to_vec(), units(true)].concat(),
        units(false),
        units(true),
    ];
    for (at, bytes) in files.iter().enumerate() {
        let plan = plan_of(bytes, Format::Markdown);
        assert_eq!(titles(&plan), ["größer", "b"], "{at}");
        assert_eq!(plan.steps[0].draft.body, "body", "{at}");
        assert_eq!(plan.notes.is_empty(), at == 0, "{at}: {:?}", plan.notes);
    }
    let broken = plan_of(b"- [ ] a\n- [ ] \xff\n", Format::Markdown);
    assert_eq!(texts(&broken.faults), ["line 2: not UTF-8: write the file as UTF-8 or UTF-16"]);
    assert_eq!(plan_of(b"\xff\xfea\0b", Format::Markdown).faults.len(), 1, "half a character");
}

#[test]
fn what_is_too_long_is_cut_and_said() {
    let title = "t".repeat(300);
    let bytes = format!("- [ ] {title}\n  {}\n", "b".repeat(20_000));
    let plan = plan_of(bytes.as_bytes(), Format::Markdown);
    let draft = &plan.steps[0].draft;
    assert!(draft.title.len() <= 200 && draft.body.len() <= 16 * 1024);
    assert!(draft.body.starts_with(&title), "nothing of the title is lost");
    assert_eq!(plan.notes.len(), 2, "{:?}", plan.notes);
}

/// The rows of a lane in `name`, by its own reading of the file.
fn statuses(rows: &serde_json::Value, lane: &str) -> Vec<(String, String)> {
    let rows = rows.as_array().unwrap().iter().filter(|row| row["lane"] == lane);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut rows: Vec<_> = rows.map(|row| (text(&row["utc"]), text(&row["status"]))).collect();
    rows.sort();
    rows
}

#[test]
fn of_a_ledger_the_latest_row_of_a_lane_counts() {
    let bytes = data("claims.json");
    let rows: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let plan = plan_of(&bytes, Format::Ledger);
    assert_eq!(texts(&plan.faults), [""; 0]);
    let mut lanes: Vec<&str> =
        rows.as_array().unwrap().iter().map(|row| row["lane"].as_str().unwrap()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    assert_eq!(titles(&plan).len() + plan.skipped.len(), lanes.len(), "each lane is one of them");
    let open = ["CLAIMED", "PROGRESS", "RECLAIM", "BLOCKED", "STEP2-LANDED"];
    for lane in lanes {
        let (_, last) = statuses(&rows, lane).pop().unwrap();
        assert_eq!(titles(&plan).contains(&lane), open.contains(&last.as_str()), "{lane}: {last}");
    }
}

#[test]
fn a_ledger_in_any_order_with_every_row_twice_gives_the_same() {
    let rows: serde_json::Value = serde_json::from_slice(&data("claims.json")).unwrap();
    let rows = rows.as_array().unwrap();
    let once = plan_of(&data("claims.json"), Format::Ledger);
    let twice: Vec<_> = rows.iter().rev().chain(rows).collect();
    let twice = plan_of(&serde_json::to_vec(&twice).unwrap(), Format::Ledger);
    let sorted = |plan: &Plan| {
        let mut titles: Vec<String> = titles(plan).into_iter().map(str::to_owned).collect();
        titles.sort();
        titles
    };
    assert_eq!(sorted(&once), sorted(&twice));
    assert_eq!(twice.skipped.len(), once.skipped.len() + rows.len(), "each repetition is said");
}

#[test]
fn unknown_words_of_a_ledger_are_said_and_do_not_end_it() {
    let text = r#"[
        {"lane": "A", "utc": "2026-07-11T17:20:00Z", "status": "COMPLETED", "note": "x", "who": 1},
        {"lane": "B", "utc": "yesterday", "status": "COMPLETE"},
        {"lane": "B", "utc": "2026-07-11T17:20:00Z", "status": "CLAIMED"},
        {"agent": "nobody"},
        "a row"
    ]"#;
    let plan = plan_of(text.as_bytes(), Format::Ledger);
    assert_eq!(titles(&plan), ["A", "B"]);
    assert_eq!(
        texts(&plan.notes),
        [
            "row 1: A: unknown status COMPLETED (nearest: complete): taken as open",
            "row 1: left out: who",
            "row 2: B: no time that can be read: taken as the oldest"
        ]
    );
    assert_eq!(
        texts(&plan.skipped),
        ["row 4: no task is named", "row 5: no row: it has no names of its fields"]
    );
}

#[test]
fn records_of_tasks_have_many_shapes() {
    let whole = plan_of(&data("tir_effect_oracle.coordination.json"), Format::Ledger);
    assert_eq!(texts(&whole.skipped), ["file: tir_effect_oracle: proof-complete"]);
    let bytes =
        [b"\xef\xbb\xbf".to_vec(), data("vector_reduction_generated_rules.coordination.json")]
            .concat();
    let proof = plan_of(&bytes, Format::Ledger);
    let draft = &proof.steps[0].draft;
    assert_eq!(draft.title, "vector_reduction_generated_rules");
    assert!(draft.acceptance.contains("cargo test -p molt-tir vectorize --lib\n"), "{draft:?}");
    assert!(draft.body.contains("\ntools/gen_op_kinds.py\n"), "{draft:?}");
    let unnamed = plan_of(&data("call_role_generated_facts.coordination.json"), Format::Ledger);
    assert_eq!(titles(&unnamed), ["stem"]);
    let notes = texts(&unnamed.notes);
    assert!(notes.contains(&"file: stem: no status: taken as open".to_owned()), "{notes:?}");
    let commas = plan_of(br#"{"task": "t", "owned_paths": ["a,b"]}"#, Format::Ledger);
    assert_eq!(commas.steps[0].draft.body, "paths:\na\nb");
}

#[test]
fn the_ending_says_how_a_file_is_written() {
    let of = |name: &str| format_of(Path::new(name)).ok();
    assert_eq!(of("a.TOML"), Some(Format::Toml));
    assert_eq!(of("TODO.md"), Some(Format::Markdown));
    assert_eq!(of("x.coordination.json"), Some(Format::Ledger));
    assert_eq!(of("plan"), None);
}
