//! What a coding agent's own tool is about to write, from what the agent tells
//! its hooks before the tool runs.
//!
//! Both agents send one JSON object with the tool's name and input. The inputs
//! are known field by field: a field that is not known and that could hold a
//! path, or a tool that is not known, makes the whole payload undecidable. Not
//! here: reading it from stdin, and what the paths are judged by.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::patch;

/// The agent program whose tool asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
}

/// What a tool is about to do to files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Nothing that is certain: it reads, or runs a command of which only a
    /// commit will show what it wrote.
    Reads,
    /// It writes to these, as seen from the folder.
    Writes {
        /// The folder that the agent works in.
        cwd: PathBuf,
        /// The paths, as the tool was given them; at least one.
        paths: Vec<String>,
    },
}

/// Why nobody can say what a tool is about to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// The payload is no JSON object.
    #[error("the hook's payload is not JSON: {0}")]
    NotJson(String),
    /// A field that has to be there is not, or is of another kind.
    #[error("the hook's payload has no usable `{0}`")]
    Field(&'static str),
    /// The payload is about something that is not a tool about to run.
    #[error("the hook's payload is of event `{0}`, not PreToolUse")]
    Event(String),
    /// A field of the input in which a path could hide.
    #[error("the tool {tool} has an input `{field}` that this version does not know")]
    UnknownField {
        /// The tool.
        tool: String,
        /// The field.
        field: String,
    },
    /// A tool that may write anywhere.
    #[error("this version does not know what the tool {0} writes")]
    UnknownTool(String),
    /// A patch that does not read.
    #[error("the patch does not read: {0}")]
    Patch(#[from] patch::Unreadable),
    /// A patch within a longer command, which may change folders first.
    #[error("a patch inside a longer shell command: what its paths start from cannot be told")]
    PatchInShell,
    /// A path that the tool may expand to another.
    #[error("the path `{0}` is not written out")]
    Path(String),
}

/// Tools of Claude Code that write no file of the repository by themselves.
const CLAUDE_READS: [&str; 28] = [
    "Agent",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "EnterPlanMode",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "KillBash",
    "KillShell",
    "LS",
    "ListMcpResourcesTool",
    "NotebookRead",
    "Read",
    "ReadMcpResourceTool",
    "Skill",
    "SlashCommand",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
];

/// Tools of Codex that write no file by themselves.
const CODEX_READS: [&str; 3] = ["update_plan", "view_image", "web_search"];

/// What the tool of `payload` is about to do.
pub fn intent(program: Program, payload: &[u8]) -> Result<Intent, Undecidable> {
    let payload: Map<String, Value> =
        serde_json::from_slice(payload).map_err(|error| Undecidable::NotJson(error.to_string()))?;
    match payload.get("hook_event_name") {
        Some(Value::String(event)) if event == "PreToolUse" => {}
        Some(Value::String(event)) => return Err(Undecidable::Event(event.clone())),
        _ => return Err(Undecidable::Field("hook_event_name")),
    }
    let tool = text(&payload, "tool_name")?;
    let Some(Value::Object(input)) = payload.get("tool_input") else {
        return Err(Undecidable::Field("tool_input"));
    };
    let paths = match program {
        Program::Claude => claude(tool, input)?,
        Program::Codex => codex(tool, input)?,
    };
    let Some(paths) = paths else { return Ok(Intent::Reads) };
    if let Some(path) = paths.iter().find(|path| !is_written_out(path)) {
        return Err(Undecidable::Path(path.clone()));
    }
    let cwd = PathBuf::from(text(&payload, "cwd")?);
    if !cwd.is_absolute() {
        return Err(Undecidable::Field("cwd"));
    }
    Ok(Intent::Writes { cwd, paths })
}

/// The path that a tool of Claude Code writes to; `None` where it writes none.
fn claude(tool: &str, input: &Map<String, Value>) -> Result<Option<Vec<String>>, Undecidable> {
    let (path, others): (&'static str, &[&str]) = match tool {
        "Edit" => ("file_path", &["old_string", "new_string", "replace_all"]),
        "Write" => ("file_path", &["content"]),
        "MultiEdit" => ("file_path", &["edits"]),
        "NotebookEdit" => {
            ("notebook_path", &["new_source", "cell_id", "cell_number", "cell_type", "edit_mode"])
        }
        tool if CLAUDE_READS.contains(&tool) => return Ok(None),
        tool => return Err(Undecidable::UnknownTool(tool.to_owned())),
    };
    only(tool, input, path, others)?;
    if tool == "MultiEdit" {
        edits(tool, input)?;
    }
    Ok(Some(vec![text(input, path)?.to_owned()]))
}

/// The single edits of one file have no path of their own.
fn edits(tool: &str, input: &Map<String, Value>) -> Result<(), Undecidable> {
    let Some(Value::Array(edits)) = input.get("edits") else {
        return Err(Undecidable::Field("edits"));
    };
    for edit in edits {
        let Value::Object(edit) = edit else { return Err(Undecidable::Field("edits")) };
        only(tool, edit, "old_string", &["new_string", "replace_all"])?;
    }
    Ok(())
}

/// The paths that a tool of Codex writes to; `None` where none is certain.
fn codex(tool: &str, input: &Map<String, Value>) -> Result<Option<Vec<String>>, Undecidable> {
    match tool {
        "apply_patch" => {
            only(tool, input, "command", &[])?;
            Ok(Some(patch::paths(&command(input)?)?))
        }
        "Bash" => {
            let command = command(input)?;
            if !patch::is_in(&command) {
                return Ok(None);
            }
            if !patch::is_invocation(&command) {
                return Err(Undecidable::PatchInShell);
            }
            // Another field could name the folder that the patch starts from.
            only(tool, input, "command", &["description", "timeout"])?;
            Ok(Some(patch::paths(&command)?))
        }
        tool if CODEX_READS.contains(&tool) => Ok(None),
        tool => Err(Undecidable::UnknownTool(tool.to_owned())),
    }
}

/// A command as one text; older versions give its words.
fn command(input: &Map<String, Value>) -> Result<String, Undecidable> {
    match input.get("command") {
        Some(Value::String(command)) => Ok(command.clone()),
        Some(Value::Array(words)) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            words.map(|words| words.join(" ")).ok_or(Undecidable::Field("command"))
        }
        _ => Err(Undecidable::Field("command")),
    }
}

/// That `input` has no field besides these in which a path could hide: numbers,
/// switches and nothing cannot.
fn only(
    tool: &str,
    input: &Map<String, Value>,
    path: &str,
    others: &[&str],
) -> Result<(), Undecidable> {
    let hides = |value: &Value| value.is_string() || value.is_array() || value.is_object();
    let unknown = |field: &str| field != path && !others.contains(&field);
    match input.iter().find(|(field, value)| unknown(field) && hides(value)) {
        None => Ok(()),
        Some((field, _)) => {
            Err(Undecidable::UnknownField { tool: tool.to_owned(), field: field.clone() })
        }
    }
}

fn text<'a>(object: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, Undecidable> {
    match object.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(Undecidable::Field(field)),
    }
}

/// Whether a path is one by itself: a tool may put a home folder for `~`, and
/// trim what surrounds it.
fn is_written_out(path: &str) -> bool {
    !path.starts_with('~') && path.trim() == path && !path.contains(['\0', '\n', '$'])
}

#[cfg(test)]
mod tests;
