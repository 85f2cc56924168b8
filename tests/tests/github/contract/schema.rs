//! The schemas of GitHub's description as JSON Schema, compiled when they are first asked for.
//!
//! The document is OpenAPI 3.0: its schemas are JSON Schema but for `nullable`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jsonschema::{Draft, Registry, Validator};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// Where the document lives in the registry.
const BASE: &str = "gh://spec";

/// What a pointer may not hold when it is the fragment of an address.
const FRAGMENT: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}');

pub(super) struct Schemas {
    document: Value,
    registry: &'static Registry<'static>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schemas {
    pub(super) fn of(document: &Value) -> Self {
        let document = without_nullable(document);
        let registry = Registry::new()
            .draft(Draft::Draft7)
            .add(BASE, document.clone())
            .and_then(jsonschema::RegistryBuilder::prepare)
            .expect("the document's references resolve");
        // It lives as long as the one contract of the test binary.
        Self { document, registry: Box::leak(Box::new(registry)), compiled: Mutex::default() }
    }

    /// Where the JSON of a described answer is, if it has any.
    pub(super) fn content_of(&self, response: &str) -> Option<String> {
        let mut pointer = response.to_owned();
        if let Some(reference) = self.document.pointer(response)?["$ref"].as_str() {
            pointer = reference.trim_start_matches('#').to_owned();
        }
        pointer.push_str("/content/application~1json/schema");
        self.document.pointer(&pointer).map(|_| pointer)
    }

    /// Where `value` departs from the schema at that place of the document, and how.
    pub(super) fn errors(&self, pointer: &str, value: &Value) -> Vec<(String, String)> {
        let validator = self.validator(pointer);
        validator
            .iter_errors(value)
            .map(|error| {
                let mut what = error.masked().to_string();
                what.truncate(what.char_indices().nth(300).map_or(what.len(), |(end, _)| end));
                (error.instance_path().to_string(), what)
            })
            .collect()
    }

    /// Fields of `value` that no variant of the schema names, as pointers.
    pub(super) fn unknown_fields(&self, pointer: &str, value: &Value) -> Vec<String> {
        let schema = self.document.pointer(pointer).expect("the schema is in the document");
        let mut unknown = Vec::new();
        self.collect_unknown(&[schema], value, "", &mut unknown);
        unknown
    }

    fn collect_unknown(
        &self,
        schemas: &[&Value],
        value: &Value,
        at: &str,
        unknown: &mut Vec<String>,
    ) {
        let variants: Vec<_> = schemas.iter().flat_map(|schema| self.variants(schema)).collect();
        match value {
            Value::Object(fields) => {
                let named: Vec<_> =
                    variants.iter().filter_map(|schema| schema["properties"].as_object()).collect();
                let open = variants.iter().any(|schema| {
                    let more = &schema["additionalProperties"];
                    more.is_object() || *more == json!(true)
                });
                if named.is_empty() || open {
                    return;
                }
                for (field, value) in fields {
                    let at = format!("{at}/{field}");
                    let known: Vec<_> = named.iter().filter_map(|names| names.get(field)).collect();
                    if known.is_empty() {
                        unknown.push(at);
                    } else {
                        self.collect_unknown(&known, value, &at, unknown);
                    }
                }
            }
            Value::Array(items) => {
                let known: Vec<_> =
                    variants.iter().filter_map(|schema| schema.get("items")).collect();
                for (index, item) in items.iter().enumerate() {
                    self.collect_unknown(&known, item, &format!("{at}/{index}"), unknown);
                }
            }
            _ => {}
        }
    }

    /// The schema itself and all that it is composed of.
    fn variants<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = resolved(&self.document, schema);
        let parts =
            ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array());
        let mut found = vec![schema];
        found.extend(parts.flatten().flat_map(|part| self.variants(part)));
        found
    }

    fn validator(&self, pointer: &str) -> Arc<Validator> {
        let mut compiled =
            self.compiled.lock().expect("no check panics while it holds the schemas");
        let validator = compiled.entry(pointer.to_owned()).or_insert_with(|| {
            let fragment = utf8_percent_encode(pointer, FRAGMENT);
            let schema = json!({ "$ref": format!("{BASE}#{fragment}") });
            let options =
                jsonschema::options().with_draft(Draft::Draft7).with_registry(self.registry);
            let validator = options.should_validate_formats(true).build(&schema);
            Arc::new(validator.unwrap_or_else(|error| panic!("{pointer} is no schema: {error}")))
        });
        Arc::clone(validator)
    }
}

/// The node itself, or what it refers to.
pub(super) fn resolved<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => {
            let target = document.pointer(reference.trim_start_matches('#'));
            resolved(document, target.expect("the document has what it refers to"))
        }
        None => node,
    }
}

/// OpenAPI 3.0 says `nullable`, JSON Schema says that the type may be null.
fn without_nullable(node: &Value) -> Value {
    match node {
        Value::Object(fields) => {
            let mut fields: Map<_, _> = fields
                .iter()
                .map(|(name, field)| (name.clone(), without_nullable(field)))
                .collect();
            if fields.get("nullable") != Some(&json!(true)) {
                return Value::Object(fields);
            }
            fields.remove("nullable");
            let Some(Value::String(kind)) = fields.get("type").cloned() else {
                return json!({ "anyOf": [fields, { "type": "null" }] });
            };
            fields.insert("type".to_owned(), json!([kind, "null"]));
            if let Some(Value::Array(values)) = fields.get_mut("enum")
                && !values.contains(&Value::Null)
            {
                values.push(Value::Null);
            }
            Value::Object(fields)
        }
        Value::Array(items) => items.iter().map(without_nullable).collect(),
        plain => plain.clone(),
    }
}
