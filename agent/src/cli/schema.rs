//! `schema`: what the answer of a command looks like, as a JSON Schema.
//!
//! `answers.json` has the shape of each command's `data`. It is written from the
//! answers that the contract of the command line has seen (`tests`), which holds
//! every one of them against what is printed here.

use clap::Args;
use molt_proto::answer::Answers;
use serde_json::json;

use super::manual::{find, whole};
use crate::error::Error;
use crate::ui::Answer;

/// The shape of each command's `data`.
const ANSWERS: &str = include_str!("schema/answers.json");

/// What the document of a command with --json looks like, as a JSON Schema.
///
/// Without a command: which commands answer with a document. The others pass a
/// command's output on, or run until they are stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent schema
  molt-agent schema claim
  molt-agent schema task add")]
pub(super) struct Schema {
    /// Which command.
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

impl Schema {
    pub(super) fn run(self) -> Result<Answer, Error> {
        let answers = Answers::read(ANSWERS)
            .map_err(|error| Error::bug(format!("the stored answers: {error}")))?;
        if self.words.is_empty() {
            let commands: Vec<&str> = answers.commands().collect();
            let text = commands.join("\n");
            return Ok(whole("schema", "commands", &text, json!({ "commands": commands })));
        }
        let (words, asked) = (self.words.join(" "), find(&self.words)?);
        let Some(schema) = answers.schema("molt-agent", &words) else {
            let below: Vec<&str> = asked.get_subcommands().map(clap::Command::get_name).collect();
            let problem = match below.is_empty() {
                true => format!("`{words}` answers with no document: its output is a command's"),
                false => format!("`{words}` is several commands: {}", below.join(", ")),
            };
            return Err(Error::Precondition { problem });
        };
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| Error::bug(format!("the schema of {words}: {error}")))?;
        Ok(whole("schema", "schema", &text, json!({ "command": words, "schema": schema })))
    }
}
