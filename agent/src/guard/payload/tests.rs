//! Over payloads of each tool; `fixtures/sources.json` says where each is from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::*;

/// What a table expects of a payload.
enum Expected {
    Reads,
    Writes(&'static [&'static str]),
    Denied(&'static str),
}
use Expected::{Denied, Reads, Writes};

const RECORDED: [(Program, &str, Expected); 12] = [
    (
        Program::Claude,
        include_str!("../fixtures/claude-edit.json"),
        Writes(&["/repo/runtime/vm.rs"]),
    ),
    (
        Program::Claude,
        include_str!("../fixtures/claude-write.json"),
        Writes(&["/repo/docs/index.md"]),
    ),
    (
        Program::Claude,
        include_str!("../fixtures/claude-multiedit.json"),
        Writes(&["/repo/runtime/gc/mark.rs"]),
    ),
    (
        Program::Claude,
        include_str!("../fixtures/claude-notebookedit.json"),
        Writes(&["/repo/docs/run.ipynb"]),
    ),
    (Program::Claude, include_str!("../fixtures/claude-read.json"), Reads),
    (Program::Claude, include_str!("../fixtures/claude-bash.json"), Reads),
    (
        Program::Claude,
        include_str!("../fixtures/claude-mcp.json"),
        Denied("mcp__files__write_file"),
    ),
    (
        Program::Codex,
        include_str!("../fixtures/codex-apply-patch.json"),
        Writes(&["runtime/vm.rs", "docs/new.md"]),
    ),
    (Program::Codex, include_str!("../fixtures/codex-bash.json"), Reads),
    (
        Program::Codex,
        include_str!("../fixtures/codex-bash-patch.json"),
        Writes(&["runtime/vm.rs", "docs/new.md"]),
    ),
    (
        Program::Codex,
        include_str!("../fixtures/codex-bash-patch-elsewhere.json"),
        Denied("longer shell command"),
    ),
    (Program::Codex, include_str!("../fixtures/codex-mcp.json"), Denied("mcp__files__write_file")),
];

#[test]
fn recorded_payloads_are_understood() {
    for (program, payload, expected) in RECORDED {
        let found = intent(program, payload.as_bytes());
        match expected {
            Reads => assert_eq!(found, Ok(Intent::Reads), "{payload}"),
            Writes(paths) => {
                let paths = paths.iter().map(|&path| path.to_owned()).collect();
                assert_eq!(found, Ok(Intent::Writes { cwd: PathBuf::from("/repo"), paths }));
            }
            Denied(part) => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains(part), "{error}");
            }
        }
    }
}

#[test]
fn a_recorded_payload_that_is_cut_off_or_lacks_a_field_allows_nothing() {
    for (program, payload, expected) in RECORDED {
        let payload = payload.trim_end();
        for end in (0..payload.len()).filter(|&end| payload.is_char_boundary(end)) {
            assert!(intent(program, &payload.as_bytes()[..end]).is_err(), "{}", &payload[..end]);
        }
        let whole: Map<String, Value> = serde_json::from_str(payload).unwrap();
        for field in ["hook_event_name", "tool_name", "tool_input", "cwd"] {
            if field == "cwd" && !matches!(expected, Writes(_)) {
                continue;
            }
            let mut less = whole.clone();
            less.remove(field);
            let less = serde_json::to_vec(&less).unwrap();
            assert!(intent(program, &less).is_err(), "without {field}: {payload}");
        }
    }
}

/// Where a payload is from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    /// What names the fields, and where that is.
    source: String,
    /// The year and month as of which it does.
    date: String,
}

#[test]
fn every_payload_has_its_source_and_date_and_is_tried() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guard/fixtures");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().file_name());
    let files = files.map(|name| name.into_string().unwrap());
    let payloads: BTreeSet<String> =
        files.filter(|name| name.ends_with(".json") && name != "sources.json").collect();
    let origins: BTreeMap<String, Origin> =
        serde_json::from_str(include_str!("../fixtures/sources.json")).unwrap();
    assert_eq!(origins.keys().collect::<Vec<_>>(), payloads.iter().collect::<Vec<_>>());
    for (name, Origin { source, date }) in &origins {
        let program = if name.starts_with("claude-") { "Claude Code" } else { "Codex" };
        assert!(source.starts_with(program) && source.contains("https://"), "{name}: {source}");
        let (year, month) = date.split_once('-').unwrap();
        let (year, month): (u16, u8) = (year.parse().unwrap(), month.parse().unwrap());
        assert!(year >= 2025 && (1..=12).contains(&month), "{name}: {date}");
        let payload = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(RECORDED.iter().any(|(_, tried, _)| *tried == payload), "{name} is in no table");
    }
}

/// What a later version might send beside the fields that are known.
fn unknown_values() -> [Value; 7] {
    let path = json!("/repo/docs/hidden.md");
    let fields = json!({ "file_path": path, "decision": "allow" });
    [path.clone(), json!([path]), fields, json!(true), json!(7), json!(null), json!("allow")]
}

/// The payload with one more field in the object at each place, and the place: every object that
/// there is in it.
fn with_a_field(payload: &Value, field: &str, value: &Value) -> Vec<(String, Value)> {
    let mut places = vec![String::new()];
    let mut found = Vec::new();
    while let Some(place) = places.pop() {
        let inside: Vec<String> = match payload.pointer(&place) {
            Some(Value::Object(fields)) => {
                let mut more = payload.clone();
                more.pointer_mut(&place).unwrap()[field] = value.clone();
                found.push((place.clone(), more));
                fields.keys().cloned().collect()
            }
            Some(Value::Array(items)) => (0..items.len()).map(|at| at.to_string()).collect(),
            _ => Vec::new(),
        };
        places.extend(inside.into_iter().map(|name| format!("{place}/{name}")));
    }
    found
}

#[test]
fn an_unknown_field_never_allows() {
    for (program, payload, expected) in RECORDED {
        let before = intent(program, payload.as_bytes());
        let whole: Value = serde_json::from_str(payload).unwrap();
        for field in ["new_path", "decision", "permissionDecision", "workdir"] {
            for value in unknown_values() {
                for (place, more) in with_a_field(&whole, field, &value) {
                    let after = intent(program, more.to_string().as_bytes());
                    // What was denied still is, and what is written is still judged by its paths.
                    assert!(after.is_err() || after == before, "{place}/{field}: {more}");
                    let hides = value.is_string() || value.is_array() || value.is_object();
                    if hides && place.starts_with("/tool_input") && matches!(expected, Writes(_)) {
                        assert!(after.is_err(), "a path could hide in {place}/{field}: {more}");
                    }
                }
            }
        }
    }
}

fn told(program: Program, tool: &str, input: Value) -> Result<Intent, Undecidable> {
    let mut payload = json!({ "hook_event_name": "PreToolUse", "cwd": "/repo", "tool_name": tool });
    payload["tool_input"] = input;
    intent(program, payload.to_string().as_bytes())
}

#[test]
fn a_field_in_which_a_path_could_hide_allows_nothing() {
    let hidden = [json!("b.rs"), json!(["b.rs"]), json!({ "path": "b.rs" })];
    for value in hidden {
        let edit = json!({ "file_path": "/repo/a", "new_path": value });
        let error = told(Program::Claude, "Edit", edit).unwrap_err();
        assert_eq!(
            error,
            Undecidable::UnknownField { tool: "Edit".to_owned(), field: "new_path".to_owned() }
        );
        let edits = json!({ "file_path": "/repo/a", "edits": [{ "file_path": value }] });
        assert!(told(Program::Claude, "MultiEdit", edits).is_err());
        let patch = "*** Begin Patch\n*** Add File: a\n*** End Patch";
        let patch = json!({ "command": patch, "workdir": value });
        assert!(told(Program::Codex, "apply_patch", patch).is_err());
    }
    let edit = json!({ "file_path": "/repo/a", "count": 2, "strict": true, "note": null });
    assert!(told(Program::Claude, "Edit", edit).is_ok(), "none of these is a path");
}

#[test]
fn a_path_that_is_not_written_out_allows_nothing() {
    for path in ["~/x", " /repo/a", "/repo/a\n", "$HOME/x", "/repo/\u{0}a"] {
        let error = told(Program::Claude, "Write", json!({ "file_path": path })).unwrap_err();
        assert_eq!(error, Undecidable::Path(path.to_owned()));
    }
    assert!(told(Program::Claude, "Write", json!({ "file_path": 7 })).is_err());
    assert!(told(Program::Claude, "Write", json!({ "content": "x" })).is_err());
}

#[test]
fn only_the_event_before_a_tool_is_answered() {
    let payload =
        json!({ "hook_event_name": "PostToolUse", "tool_name": "Read", "tool_input": {} });
    let error = intent(Program::Claude, payload.to_string().as_bytes()).unwrap_err();
    assert_eq!(error, Undecidable::Event("PostToolUse".to_owned()));
}

#[test]
fn a_command_of_words_is_one_command() {
    let words = json!({ "command": ["apply_patch", "*** Begin Patch\n*** Delete File: a\n"] });
    let writes = Intent::Writes { cwd: PathBuf::from("/repo"), paths: vec!["a".to_owned()] };
    assert_eq!(told(Program::Codex, "Bash", words), Ok(writes));
    assert_eq!(told(Program::Codex, "Bash", json!({ "command": ["ls"] })), Ok(Intent::Reads));
    assert!(told(Program::Codex, "Bash", json!({ "command": [7] })).is_err());
}
