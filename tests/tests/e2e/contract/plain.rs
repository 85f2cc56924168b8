//! What is the same in every world of what was said: ids, times and numbers of commits are not.

use serde_json::Value;

use super::world::Heard;

/// Words before a number that is another one in every world.
const BEFORE: [&str; 10] =
    ["fence", "revision", "term", "pid", "process", "epoch", "time", "uid", "seq", "in"];

/// Words after a number that is another one in every world.
const AFTER: [&str; 7] = ["ago", "left", "s", "MiB", "bytes", "records", "entries"];

/// Fields of documents whose numbers are other ones in every world.
const FIELDS: [&str; 22] = [
    "rev",
    "fence",
    "at",
    "seen",
    "since",
    "pid",
    "start",
    "started",
    "revision",
    "term",
    "boot",
    "uid",
    "epoch",
    "memory",
    "peak_memory",
    "cores",
    "bytes",
    "lines",
    "records",
    "entries",
    "seq",
    "wall",
];

/// The ids in a text, in order.
pub(super) fn ids(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words = text.split(|c| !is_part(c)).filter(|word| kind(word).is_some());
    words.map(str::to_owned).collect()
}

/// The kind of an id: `clm` of `clm_0003`, `run` of `run-68a1…`.
fn kind(word: &str) -> Option<&str> {
    let (kind, rest) = word.split_once(['_', '-'])?;
    let letters = kind.len() == 3 && kind.bytes().all(|byte| byte.is_ascii_lowercase());
    let counted = rest.len() >= 4 && rest.bytes().any(|byte| byte.is_ascii_digit());
    let known = match kind {
        "run" => rest.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
        _ => word.contains('_') && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()),
    };
    (letters && counted && known).then_some(kind)
}

/// Text without what differs from world to world.
pub(super) fn text(heard: &Heard, text: &str) -> String {
    Plain::new(heard).text(text)
}

/// A document without what differs from world to world.
pub(super) fn document(heard: &Heard, document: &Value) -> Value {
    Plain::new(heard).value("", document)
}

/// Text without the times of day in it, as `2026-11-30T21:03:06.577Z` or, of a report, `[21:03]`.
fn times(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || "TZ:.-".contains(c);
    let mut plain = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_time = word.len() >= 20 && word.contains('T') && word.ends_with('Z');
        let clock =
            word.split_once(':').filter(|(hour, minute)| (hour.len(), minute.len()) == (2, 2));
        let is_clock = clock.is_some() && plain.ends_with('[') && after.starts_with(']');
        plain.push_str(if is_time || is_clock { "TIME" } else { word });
        let gap = after.find(is_part).unwrap_or(after.len());
        plain.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    plain
}

struct Plain<'a> {
    heard: &'a Heard,
    /// The ids so far; of each kind they are counted from 1.
    ids: Vec<String>,
}

impl<'a> Plain<'a> {
    fn new(heard: &'a Heard) -> Self {
        Self { heard, ids: Vec::new() }
    }

    fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (hidden, shown) in &self.heard.hidden {
            text = text.replace(hidden, shown);
        }
        let text = times(&text);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let mut plain = String::new();
        let mut before = String::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let gap = after.find(is_part).unwrap_or(after.len());
            let next = after[gap..].split(|c| !is_part(c)).next().unwrap_or_default();
            let in_path = plain.ends_with('/') || after.starts_with('/');
            if word == self.heard.machine && !in_path {
                plain.push_str("MACHINE");
            } else if !word.is_empty() {
                plain.push_str(&self.word(&before, word, next));
                before = word.to_owned();
            }
            plain.push_str(&after[..gap]);
            rest = &after[gap..];
        }
        plain
    }

    fn word(&mut self, before: &str, word: &str, next: &str) -> String {
        // A run is called after the hold that it is under, and what is random.
        if let Some((verb, _)) = word.split_once("-hld_") {
            return format!("{verb}-hld");
        }
        if let Some(kind) = kind(word) {
            return self.id(kind, word);
        }
        let digit = word.bytes().any(|byte| byte.is_ascii_digit());
        let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let numbered = word.starts_with(|c: char| c.is_ascii_digit());
        match word.len() {
            _ if word.starts_with("molt_") => "TOKEN".to_owned(),
            32 | 64 if hex && digit => "DIGEST".to_owned(),
            10 | 40 if hex && digit => "COMMIT".to_owned(),
            _ if numbered && (BEFORE.contains(&before) || AFTER.contains(&next)) => "N".to_owned(),
            _ => word.to_owned(),
        }
    }

    fn id(&mut self, kind: &str, id: &str) -> String {
        if !self.ids.iter().any(|known| known == id) {
            self.ids.push(id.to_owned());
        }
        let of_kind = self.ids.iter().filter(|known| known.starts_with(kind));
        let at = of_kind.take_while(|known| *known != id).count() + 1;
        format!("{kind}_{at}")
    }

    fn value(&mut self, field: &str, value: &Value) -> Value {
        let passing = FIELDS.contains(&field) || field.ends_with("_ms");
        match value {
            Value::Number(_) if passing => "N".into(),
            Value::String(_) if field == "start" => "N".into(),
            Value::String(text) if passing && text.bytes().all(|it| it.is_ascii_digit()) => {
                "N".into()
            }
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.value(field, item)).collect(),
            Value::Object(fields) => {
                let plain =
                    |(name, value): (&String, &Value)| (name.clone(), self.value(name, value));
                fields.iter().map(plain).collect::<serde_json::Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }
}

#[test]
fn what_differs_from_world_to_world_is_hidden_and_nothing_else() {
    let heard = Heard {
        code: 0,
        out: String::new(),
        err: String::new(),
        hidden: vec![("/tmp/x1".to_owned(), "HERE")],
        machine: "vm".to_owned(),
    };
    let plain = |said: &str| text(&heard, said);
    assert_eq!(
        plain("granted  docs  clm_000b  fence 4821  kept; clm_0009 beside clm_000b"),
        "granted  docs  clm_1  fence N  kept; clm_2 beside clm_1"
    );
    assert_eq!(
        plain("held by ann (seen 12s ago) --wait 15m"),
        "held by ann (seen N ago) --wait 15m"
    );
    assert_eq!(plain("vm at 2026-11-30T21:03:06.577Z in src/vm"), "MACHINE at TIME in src/vm");
    assert_eq!(plain("at /tmp/x1/a.md, exit 4, 2 ahead"), "at HERE/a.md, exit 4, 2 ahead");
    let shown = document(&heard, &serde_json::json!({ "rev": 7, "left_ms": 9, "ahead": 2 }));
    assert_eq!(shown, serde_json::json!({ "rev": "N", "left_ms": "N", "ahead": 2 }));
}
