//! Tasks from what projects keep by hand: a ledger of claims in rows of lane,
//! agent, time, status and note, or the records of single tasks.
//!
//! Of a lane the latest row counts, by its time and not by its place: such files
//! are merged by hand. A status that nobody knows is not taken for an end.

use std::collections::BTreeMap;
use std::time::SystemTime;

use molt_domain::scope::nearest;
use serde_json::{Map, Value};

use super::source::{At, Draft, Found};

/// Work that is going on or waits.
const OPEN: [&str; 9] = [
    "claimed",
    "progress",
    "reclaim",
    "blocked",
    "unclaimed",
    "open",
    "running",
    "paused",
    "stale",
];

/// Work that ended, one way or another.
const OVER: [&str; 13] = [
    "complete",
    "released",
    "closed",
    "dropped",
    "done",
    "failed",
    "superseded",
    "falsified",
    "measured_implementation_retired",
    "stale_assumed_dead",
    "proof-complete",
    "landed",
    "retired",
];

/// How a record says what it is about.
const TITLES: [&str; 2] = ["task", "session_id"];

/// How a record says which files it is about.
const PATHS: [&str; 4] = ["owned_paths", "touched_authority", "input_paths", "owned_changes"];

/// How a record says what must pass.
const LANES: [&str; 3] = ["chosen_lanes", "planned_proof_lane", "proof"];

type Object = Map<String, Value>;

pub(super) fn read(text: &str, stem: &str, found: &mut Found) {
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            found.fault(At::Line(error.line()), error.to_string());
            return;
        }
    };
    match value {
        Value::Object(object) => record(At::File, &object, stem, found),
        Value::Array(values) => rows(values, found),
        _ => found.fault(At::File, "neither a list of rows nor a record"),
    }
}

/// A row of a ledger.
struct Row {
    at: At,
    lane: String,
    agent: String,
    utc: String,
    /// `None` comes before every time.
    time: Option<SystemTime>,
    status: String,
    note: String,
}

fn rows(values: Vec<Value>, found: &mut Found) {
    let mut lanes: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for (at, value) in (1..).map(At::Row).zip(values) {
        let Value::Object(object) = value else {
            found.skip(at, "no row: it has no names of its fields");
            continue;
        };
        if !object.contains_key("lane") {
            record(at, &object, "", found);
            continue;
        }
        let Some(row) = row(at, &object, found) else { continue };
        let lane = lanes.entry(row.lane.clone()).or_default();
        match lane.iter().find(|other| other.says_what(&row)) {
            Some(other) => found.skip(at, format!("{}: repeats {}", row.lane, other.at)),
            None => lane.push(row),
        }
    }
    let mut lanes: Vec<Vec<Row>> = lanes.into_values().collect();
    lanes.sort_by_key(|rows| rows.first().map(|row| row.at));
    lanes.into_iter().for_each(|rows| lane(rows, found));
}

impl Row {
    fn says_what(&self, other: &Self) -> bool {
        (&self.agent, &self.utc, &self.status, &self.note)
            == (&other.agent, &other.utc, &other.status, &other.note)
    }
}

fn row(at: At, object: &Object, found: &mut Found) -> Option<Row> {
    let known =
        |key: &str| object.get(key).and_then(Value::as_str).map(|text| text.trim().to_owned());
    let (lane, agent, utc) = (known("lane"), known("agent"), known("utc"));
    let (status, note) = (known("status"), known("note"));
    let Some(lane) = lane.filter(|lane| !lane.is_empty()) else {
        found.skip(at, "no lane");
        return None;
    };
    let unused = others(object, &["lane", "agent", "utc", "status", "note"]);
    if !unused.is_empty() {
        found.note(at, format!("left out: {}", unused.join(" ")));
    }
    let utc = utc.unwrap_or_default();
    let time = humantime::parse_rfc3339_weak(utc.trim_end_matches('Z')).ok();
    if time.is_none() {
        found.note(at, format!("{lane}: no time that can be read: taken as the oldest"));
    }
    let (agent, status) = (agent.unwrap_or_default(), status.unwrap_or_default());
    Some(Row { at, lane, agent, utc, time, status, note: note.unwrap_or_default() })
}

/// One lane, whose rows are in the order of the file.
fn lane(mut rows: Vec<Row>, found: &mut Found) {
    rows.sort_by_key(|row| row.time);
    let Some(last) = rows.last() else { return };
    if is_over(last.at, &last.lane, &last.status, found) {
        return;
    }
    let body = rows.iter().rev().map(|row| {
        let Row { utc, agent, status, note, .. } = row;
        format!("{utc} {agent} {status}: {note}")
    });
    let body = body.collect::<Vec<_>>().join("\n");
    let (at, title) = (last.at, last.lane.clone());
    found.drafts.push(Draft { at, title, body, ..Draft::default() });
}

/// Whether a status says that nothing is left to be done; remarks on it.
fn is_over(at: At, what: &str, status: &str, found: &mut Found) -> bool {
    let word = status.to_ascii_lowercase();
    if OVER.contains(&word.as_str()) {
        found.skip(at, format!("{what}: {status}"));
        return true;
    }
    if word.is_empty() {
        found.note(at, format!("{what}: no status: taken as open"));
    } else if !OPEN.contains(&word.as_str()) {
        let near = nearest(&word, OPEN.into_iter().chain(OVER));
        let near = near.map_or_else(String::new, |near| format!(" (nearest: {near})"));
        found.note(at, format!("{what}: unknown status {status}{near}: taken as open"));
    }
    false
}

/// The record of one task; one that does not say which is that of its file.
fn record(at: At, object: &Object, stem: &str, found: &mut Found) {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("").trim();
    let listed = |keys: &[&str]| -> Vec<String> {
        let values = keys.iter().filter_map(|key| object.get(*key));
        values.flat_map(texts).collect()
    };
    let (paths, lanes) = (listed(&PATHS), listed(&LANES));
    let title = TITLES.iter().map(|key| text(key)).find(|title| !title.is_empty());
    let has_work = !paths.is_empty() || !lanes.is_empty();
    let title = match title {
        Some(title) => title.to_owned(),
        None if !stem.is_empty() && has_work => {
            let title = stem.trim_end_matches(".coordination").to_owned();
            found.note(at, format!("no task is named: taken as {title}, as the file is called"));
            title
        }
        None => {
            found.skip(at, "no task is named");
            return;
        }
    };
    let used: Vec<&str> = [&TITLES[..], &PATHS, &LANES, &["status"]].concat();
    let unused = others(object, &used);
    if !unused.is_empty() {
        found.note(at, format!("{title}: left out: {}", unused.join(" ")));
    }
    if is_over(at, &title, text("status"), found) {
        return;
    }
    // Some tools wrote a list as one text with commas.
    let paths = paths.iter().flat_map(|path| path.split(',')).map(str::trim);
    let paths: Vec<&str> = paths.filter(|path| !path.is_empty()).collect();
    let body =
        if paths.is_empty() { String::new() } else { format!("paths:\n{}", paths.join("\n")) };
    let acceptance = lanes.join("\n");
    found.drafts.push(Draft { at, title, body, acceptance, ..Draft::default() });
}

/// A text, texts, or objects with a command or a path.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(object) => {
            let named = ["command", "path"].iter().find_map(|key| object.get(*key));
            named.map(texts).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The fields that nobody asks for.
fn others(object: &Object, used: &[&str]) -> Vec<String> {
    let unused = object.keys().filter(|key| !used.contains(&key.as_str()));
    unused.map(String::clone).collect()
}
