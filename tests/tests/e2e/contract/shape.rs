//! What the documents of a command look like, and that `schema` says just that.
//!
//! The shape of a command's `data` is what all its answers have in common. It is stored beside the
//! programs, which print it as a JSON Schema; here each answer is held against what they print.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::commands::Program;
use super::world::said;
use super::{HOW_TO_WRITE, root, writes};

/// That the stored shapes are those of the documents, or stores them; and that every document is
/// as `schema` says.
pub(super) fn stored(program: &Program, documents: &[(String, Value)]) {
    let path = root().join(program.answers);
    let seen = shapes(documents);
    let text = serde_json::to_string_pretty(&seen).expect("shapes can be printed") + "\n";
    if writes() {
        std::fs::write(&path, text).expect("the stored shapes");
        return;
    }
    let kept = std::fs::read_to_string(&path).expect("the stored shapes");
    let kept: Value = serde_json::from_str(&kept).expect("the stored shapes are JSON");
    let mut broken = Vec::new();
    for (command, shape) in seen.as_object().into_iter().flatten() {
        if kept[command] != *shape {
            let (kept, shape) = (&kept[command], shape);
            broken
                .push(format!("`{command}` is stored as {kept:#}\nbut its answers are {shape:#}"));
        }
    }
    let gone =
        kept.as_object().into_iter().flatten().filter(|(command, _)| seen.get(command).is_none());
    broken.extend(gone.map(|(command, _)| format!("`{command}` is stored, but answers nothing")));
    assert!(broken.is_empty(), "{}: {}\n{HOW_TO_WRITE}", program.answers, broken.join("\n"));
    let mut schemas: BTreeMap<&str, Value> = BTreeMap::new();
    for (command, document) in documents.iter().filter(|(command, _)| kept.get(command).is_some()) {
        let schema = schemas.entry(command).or_insert_with(|| printed(program, command));
        if let Err(problem) = fits(schema, schema, document) {
            broken.push(format!("`{command}`: {problem}: {document}"));
        }
    }
    assert!(broken.is_empty(), "not as `{} schema` says: {}", program.name, broken.join("\n"));
}

fn printed(program: &Program, command: &str) -> Value {
    let words: Vec<&str> = std::iter::once("schema").chain(command.split(' ')).collect();
    let heard = said(program, &words);
    assert_eq!(heard.code, 0, "`{} schema {command}`: {}", program.name, heard.err);
    serde_json::from_str(&heard.out).expect("a schema is JSON")
}

/// The word in `schema` and the shape of `data` of each command: what its answers have in common.
/// Refusals have the shape of all refusals.
fn shapes(documents: &[(String, Value)]) -> Value {
    let mut shapes: BTreeMap<&str, (BTreeSet<&str>, Shape)> = BTreeMap::new();
    for (command, document) in documents {
        let (words, shape) = shapes.entry(command).or_default();
        words.extend(document["schema"].as_str());
        if document["data"].get("message").is_none() {
            shape.see(&document["data"]);
        }
    }
    let shapes = shapes.into_iter().map(|(command, (words, shape))| {
        assert_eq!(words.len(), 1, "`{command}` answers as {words:?}");
        (command.to_owned(), json!({ "schema": words.first(), "data": shape.schema() }))
    });
    shapes.collect::<Map<_, _>>().into()
}

/// What values have in common.
#[derive(Debug, Default)]
struct Shape {
    types: BTreeSet<&'static str>,
    objects: usize,
    fields: BTreeMap<String, (usize, Self)>,
    items: Option<Box<Self>>,
}

impl Shape {
    fn see(&mut self, value: &Value) {
        self.types.insert(type_of(value));
        match value {
            // A schema is a document of its own.
            Value::Object(fields) if fields.contains_key("$schema") => {}
            // So is an entry of the audit: what its event has is its kind's.
            Value::Object(fields)
                if fields.contains_key("hash") && fields.contains_key("event") => {}
            Value::Object(fields) => {
                self.objects += 1;
                for (name, value) in fields {
                    let (count, shape) = self.fields.entry(name.clone()).or_default();
                    *count += 1;
                    shape.see(value);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.items.get_or_insert_default().see(item);
                }
            }
            _ => {}
        }
    }

    fn schema(&self) -> Value {
        let mut schema = Map::new();
        match self.types.iter().collect::<Vec<_>>().as_slice() {
            [] => {}
            [one] => drop(schema.insert("type".to_owned(), json!(one))),
            several => drop(schema.insert("type".to_owned(), json!(several))),
        }
        if !self.fields.is_empty() {
            let always = self.fields.iter().filter(|(_, (count, _))| *count == self.objects);
            let always: Vec<&String> = always.map(|(name, _)| name).collect();
            let fields =
                self.fields.iter().map(|(name, (_, shape))| (name.clone(), shape.schema()));
            schema.insert("properties".to_owned(), fields.collect::<Map<_, _>>().into());
            schema.insert("required".to_owned(), json!(always));
        }
        if let Some(items) = &self.items {
            schema.insert("items".to_owned(), items.schema());
        }
        schema.into()
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a value is as a schema says; `whole` is what references are into. A word that is not
/// known here is refused: nothing is believed to be checked that is not.
fn fits(whole: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(rules) = schema.as_object() else { return Err(format!("no schema: {schema}")) };
    for (word, rule) in rules {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "additionalProperties" => {}
            "$ref" => {
                let place = rule.as_str().and_then(|it| it.strip_prefix('#')).unwrap_or("?");
                let Some(schema) = whole.pointer(place) else { return Err(format!("no {rule}")) };
                fits(whole, schema, value)?;
            }
            "anyOf" => {
                let ways = rule.as_array().map(Vec::as_slice).unwrap_or_default();
                let tried: Vec<_> = ways.iter().map(|way| fits(whole, way, value)).collect();
                if tried.iter().all(Result::is_err) {
                    return Err(format!("none of {tried:?}"));
                }
            }
            "const" if rule != value => return Err(format!("{value} is not {rule}")),
            "const" => {}
            "type" => {
                let named = [rule.clone()];
                let types = rule.as_array().map_or(named.as_slice(), Vec::as_slice);
                if !types.iter().any(|it| it == type_of(value)) {
                    return Err(format!("{value} is not {rule}"));
                }
            }
            "required" => {
                for name in rule.as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap_or_default();
                    if value.is_object() && value.get(name).is_none() {
                        return Err(format!("no {name}"));
                    }
                }
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(schema) => {
                            fits(whole, schema, value).map_err(|it| format!("{name}: {it}"))?;
                        }
                        None if rules.get("additionalProperties") == Some(&json!(false)) => {
                            return Err(format!("{name} is not named"));
                        }
                        None => {}
                    }
                }
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    fits(whole, rule, item)?;
                }
            }
            word => return Err(format!("`{word}` is not understood")),
        }
    }
    Ok(())
}

#[test]
fn a_shape_is_what_answers_have_in_common_and_drift_is_found() {
    let answers = [json!({ "id": "a", "n": 1 }), json!({ "id": null, "list": [{ "x": true }] })];
    let mut shape = Shape::default();
    for answer in &answers {
        shape.see(answer);
    }
    let schema = shape.schema();
    assert_eq!(
        schema,
        json!({ "type": "object", "required": ["id"], "properties": {
            "id": { "type": ["null", "string"] },
            "n": { "type": "integer" },
            "list": { "type": "array", "items": { "type": "object", "required": ["x"],
                "properties": { "x": { "type": "boolean" } } } },
        } })
    );
    for answer in &answers {
        assert_eq!(fits(&schema, &schema, answer), Ok(()));
    }
    for drifted in
        [json!({ "n": 1 }), json!({ "id": 3 }), json!({ "id": "a", "list": [{}] }), json!([])]
    {
        assert!(fits(&schema, &schema, &drifted).is_err(), "{drifted}");
    }
    let unknown = json!({ "minLength": 3 });
    assert!(fits(&unknown, &unknown, &json!("a")).is_err(), "what is not checked is refused");
}
