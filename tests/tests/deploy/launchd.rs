//! The property list of a macOS host.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::command::CommandLine;
use crate::tree::{Fault, Tree};

const PLIST: &str = "deploy/launchd/dev.molt.agent-daemon.plist";

/// The keys of launchd that are used.
const KEYS: [&str; 8] = [
    "Label",
    "ProgramArguments",
    "EnvironmentVariables",
    "RunAtLoad",
    "KeepAlive",
    "AbandonProcessGroup",
    "ProcessType",
    "Umask",
];

/// A value of a property list.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Dict(BTreeMap<String, Value>),
    Array(Vec<Value>),
    /// A string, a number, or the name of a truth value.
    Text(String),
}

/// Reads a property list. Comments and what is before the first value are passed over.
fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<(Value, Option<String>)> = vec![(Value::Array(Vec::new()), None)];
    let mut key = None;
    let mut content = String::new();
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let done = match event {
            Event::Eof => break,
            Event::Start(start) => {
                content.clear();
                match start.name().as_ref() {
                    "dict" => open.push((Value::Dict(BTreeMap::new()), key.take())),
                    "array" => open.push((Value::Array(Vec::new()), key.take())),
                    "plist" | "key" | "string" | "integer" => {}
                    other => return Err(format!("unknown <{other}>")),
                }
                None
            }
            Event::Text(text) => {
                content.push_str(&text);
                None
            }
            Event::Empty(empty) => Some(Value::Text(empty.name().as_ref().to_owned())),
            Event::End(end) => match end.name().as_ref() {
                "key" => {
                    key = Some(content.clone());
                    None
                }
                "dict" | "array" => {
                    let (value, of) = open.pop().ok_or("closed twice")?;
                    key = of;
                    Some(value)
                }
                "plist" => None,
                _ => Some(Value::Text(content.clone())),
            },
            _ => None,
        };
        match (done, open.last_mut()) {
            (None, _) => {}
            (Some(value), Some((Value::Array(members), _))) => members.push(value),
            (Some(value), Some((Value::Dict(entries), _))) => {
                let key = key.take().ok_or_else(|| format!("{value:?} has no key"))?;
                entries.insert(key, value);
            }
            (Some(value), _) => return Err(format!("{value:?} is nowhere")),
        }
    }
    match open.pop() {
        Some((Value::Array(mut members), _)) if members.len() == 1 => Ok(members.remove(0)),
        other => Err(format!("not one value: {other:?}")),
    }
}

fn check(tree: &Tree) -> Vec<String> {
    let entries = match read(tree.text(PLIST)) {
        Ok(Value::Dict(entries)) => entries,
        other => return vec![format!("{PLIST}: {other:?} is no dictionary")],
    };
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let mut complaints = Vec::new();
    for key in entries.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        complaints.push(format!("{PLIST}: unknown key `{key}`"));
    }
    let label = PLIST.rsplit('/').next().and_then(|name| name.strip_suffix(".plist"));
    for (key, value) in [
        ("Label", label.expect("a property list")),
        ("RunAtLoad", "true"),
        ("KeepAlive", "true"),
        ("AbandonProcessGroup", "true"),
        ("Umask", "63"),
    ] {
        let found = entries.get(key).map(text);
        if found.as_deref() != Some(value) {
            complaints.push(format!("{PLIST}: {key} is {found:?}, not `{value}`"));
        }
    }
    let words = match entries.get("ProgramArguments") {
        Some(Value::Array(words)) => words.iter().map(text).collect(),
        _ => Vec::new(),
    };
    let env = match entries.get("EnvironmentVariables") {
        Some(Value::Dict(entries)) => entries.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
        _ => BTreeMap::new(),
    };
    let line = CommandLine { place: PLIST.to_owned(), words, env, mounts: Vec::new() };
    complaints.extend(line.complaints());
    complaints
}

#[test]
fn the_property_list_is_sound_and_its_command_line_is_accepted() {
    let faults: &[Fault] = &[
        (PLIST, "--jobs", "--jbos", "unexpected argument '--jbos'"),
        (PLIST, "<string>2</string>", "<string>two</string>", "invalid value 'two'"),
        (PLIST, "KeepAlive", "KeepAlife", "unknown key `KeepAlife`"),
        (PLIST, "<true/>", "<false/>", "not `true`"),
        (PLIST, "dev.molt.agent-daemon</string>", "other</string>", "Label is"),
        (PLIST, "<key>Label</key>", "", "has no key"),
        (PLIST, "</dict>\n</plist>", "</plist>", "is no dictionary"),
        (PLIST, "MOLT_COORD_ENDPOINTS", "MOLT_ENDPOINTS", "no variable MOLT_ENDPOINTS"),
    ];
    Tree::hold(check, faults);
}
