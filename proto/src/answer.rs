//! The JSON document that both programs answer with, as a JSON Schema.
//!
//! What is the same in every answer is written here; what a command adds, its
//! `data`, comes from the answers that the contract of the command line has
//! seen. Not here: the answers themselves.

use serde_json::{Map, Value, json};

/// The dialect of the schemas.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What each command of a program answers, by the words that name it.
#[derive(Debug)]
pub struct Answers(Map<String, Value>);

impl Answers {
    /// The stored answers of a program: of each command the word in `schema` and the shape of its
    /// `data`.
    pub fn read(stored: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(stored).map(Self)
    }

    /// The commands that answer with a document, in order.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The schema of what `program` answers to `command`; `None` where that answers with no
    /// document.
    #[must_use]
    pub fn schema(&self, program: &str, command: &str) -> Option<Value> {
        let answer = self.0.get(command)?;
        Some(json!({
            "$schema": DIALECT,
            "title": format!("{program} {command}"),
            "type": "object",
            "required": ["schema", "ok", "code", "data", "next", "warn", "rev"],
            "additionalProperties": false,
            "properties": {
                "schema": { "const": answer.get("schema") },
                "ok": { "type": "boolean", "description": "true exactly when the exit code is 0" },
                "code": { "type": "string", "description": "the stable word to match on" },
                "data": { "anyOf": [{ "$ref": "#/$defs/answer" }, { "$ref": "#/$defs/refusal" }] },
                "next": { "type": "array", "items": { "type": "string" } },
                "warn": { "type": "array", "items": { "type": "string" } },
                "rev": { "type": "integer", "description": "the commit that it is of, 0 for none" },
            },
            "$defs": {
                "answer": answer.get("data"),
                "refusal": {
                    "type": "object",
                    "required": ["message"],
                    "properties": {
                        "message": { "type": "string" },
                        "refusal": { "type": "string", "description": "the rule that said no" },
                        "why": { "type": "string", "description": "an id to ask `why` about" },
                    },
                },
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_its_own_data_in_the_common_document() {
        let stored = r#"{ "join": { "schema": "molt.join/1", "data": { "type": "object" } } }"#;
        let answers = Answers::read(stored).unwrap();
        assert_eq!(answers.commands().collect::<Vec<_>>(), ["join"]);
        let schema = answers.schema("molt-agent", "join").unwrap();
        assert_eq!(schema["title"], "molt-agent join");
        assert_eq!(schema["properties"]["schema"]["const"], "molt.join/1");
        assert_eq!(schema["$defs"]["answer"], json!({ "type": "object" }));
        assert!(answers.schema("molt-agent", "lock run").is_none());
    }
}
