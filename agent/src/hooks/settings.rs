//! Agent programs' settings: one entry more in a JSON file that is its user's.
//!
//! The text is changed where the entry goes and nowhere else, so that order,
//! spacing and everything unknown stay as they are. Removing looks for the text
//! that installing makes the present one of, and falls back to taking out the
//! entry where somebody changed the file since.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Obstacle, Standing};
use crate::guard::Program;

/// The event before a tool runs, in both programs.
const EVENT: &str = "PreToolUse";

/// What a settings file is to be after a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// As it is: nothing of ours is in it.
    Same,
    /// This text.
    Text(String),
    /// Gone: it was made by installing.
    File,
}

/// Where `program` reads settings of one worktree from, below its top.
#[must_use]
pub fn file(program: Program) -> &'static str {
    match program {
        Program::Claude => ".claude/settings.local.json",
        Program::Codex => ".codex/hooks.json",
    }
}

/// The tools that write, as a matcher, and what follows the program in the command.
/// Any other failure than exit 2 would let the tool run.
fn parts(program: Program) -> (&'static str, &'static str) {
    match program {
        Program::Claude => ("Edit|Write|MultiEdit|NotebookEdit", " check --hook claude || exit 2"),
        Program::Codex => ("apply_patch|Bash", " check --hook codex || exit 2"),
    }
}

/// The entry that asks the program `molt`, a word of the shell.
fn entry(program: Program, molt: &str) -> Value {
    let (matcher, tail) = parts(program);
    json!({ "matcher": matcher, "hooks": [{ "type": "command", "command": format!("{molt}{tail}") }] })
}

/// What installing adds, for whoever wants to see it.
#[must_use]
pub fn shown(program: Program, molt: &str) -> String {
    entry(program, molt).to_string()
}

/// The program that an entry of ours asks; `None` for other entries.
fn asks(program: Program, found: &Value) -> Option<String> {
    let command = found.pointer("/hooks/0/command")?.as_str()?;
    let molt = command.strip_suffix(parts(program).1)?;
    (*found == entry(program, molt)).then(|| molt.to_owned())
}

/// How the settings `text` stand to the program `molt`.
pub fn status(program: Program, molt: &str, text: Option<&str>) -> Result<Standing, Obstacle> {
    let Some(text) = text else { return Ok(Standing::Absent) };
    let found = ours(program, text)?;
    Ok(match found.as_slice() {
        [] => Standing::Absent,
        [(asked, _)] if asked == molt => Standing::Installed,
        _ => Standing::Outdated,
    })
}

/// The settings with the entry for `molt`; `None` where they have it.
pub fn added(program: Program, molt: &str, text: Option<&str>) -> Result<Option<String>, Obstacle> {
    let entry = entry(program, molt).to_string();
    let Some(text) = text else { return Ok(Some(whole(&entry))) };
    match ours(program, text)?.as_slice() {
        [] => {}
        [(asked, _)] if asked == molt => return Ok(None),
        [(_, at), ..] => return Ok(Some(splice(text, at, &entry))),
    }
    let top = object(text, skip_space(text, 0), "the file")?;
    let (at, new, close) = match member(text, top, "hooks")? {
        None => (top, format!("\n  \"hooks\": {{ \"{EVENT}\": [{entry}] }}"), "\n"),
        Some(hooks) => {
            let hooks = object(text, hooks.start, "hooks")?;
            match member(text, hooks, EVENT)? {
                None => (hooks, format!("\n    \"{EVENT}\": [{entry}]"), "\n  "),
                Some(list) => (array(text, list.start)?, format!("\n      {entry}"), "\n    "),
            }
        }
    };
    let after = at + 1;
    let is_empty = matches!(text.as_bytes().get(skip_space(text, after)), Some(b'}' | b']'));
    let end = if is_empty { close } else { "," };
    Ok(Some(splice(text, &(after..after), &format!("{new}{end}"))))
}

/// The settings without any entry of ours.
pub fn removed(program: Program, text: &str) -> Result<Removed, Obstacle> {
    let mut text = text.to_owned();
    let mut result = Removed::Same;
    while let Some((molt, at)) = ours(program, &text)?.into_iter().next() {
        let entry = entry(program, &molt).to_string();
        if text == whole(&entry) {
            return Ok(Removed::File);
        }
        text = match before(program, &molt, &entry, &text) {
            Some(before) => before,
            None => without(&text, at),
        };
        result = Removed::Text(text.clone());
    }
    Ok(result)
}

/// A file that has nothing else.
fn whole(entry: &str) -> String {
    format!("{{\n  \"hooks\": {{\n    \"{EVENT}\": [ {entry} ]\n  }}\n}}\n")
}

/// The text that installing makes `text` of, if there is one.
fn before(program: Program, molt: &str, entry: &str, text: &str) -> Option<String> {
    let shapes = [
        (format!("\n  \"hooks\": {{ \"{EVENT}\": [{entry}] }}"), "\n"),
        (format!("\n    \"{EVENT}\": [{entry}]"), "\n  "),
        (format!("\n      {entry}"), "\n    "),
    ];
    let mut candidates =
        shapes.iter().flat_map(|(new, close)| [",", *close].map(|end| format!("{new}{end}")));
    candidates.find_map(|new| {
        let at = text.find(&new)?;
        let earlier = splice(text, &(at..at + new.len()), "");
        let again = added(program, molt, Some(&earlier));
        (again == Ok(Some(text.to_owned()))).then_some(earlier)
    })
}

/// `text` without the element at `at` and the comma that it needed.
fn without(text: &str, at: Range<usize>) -> String {
    let next = skip_space(text, at.end);
    if text.as_bytes().get(next) == Some(&b',') {
        return splice(text, &(at.start..next + 1), "");
    }
    let start = text[..at.start].trim_end();
    let start = start.strip_suffix(',').map_or(at.start, str::len);
    splice(text, &(start..at.end), "")
}

fn splice(text: &str, at: &Range<usize>, new: &str) -> String {
    format!("{}{new}{}", &text[..at.start], &text[at.end..])
}

/// Our entries: the program that each asks, and where it stands.
fn ours(program: Program, text: &str) -> Result<Vec<(String, Range<usize>)>, Obstacle> {
    serde_json::from_str::<Value>(text).map_err(|error| Obstacle::Settings(error.to_string()))?;
    let top = object(text, skip_space(text, 0), "the file")?;
    let Some(hooks) = member(text, top, "hooks")? else { return Ok(Vec::new()) };
    let hooks = object(text, hooks.start, "hooks")?;
    let Some(list) = member(text, hooks, EVENT)? else { return Ok(Vec::new()) };
    let list = array(text, list.start)?;
    let asked = |at: Range<usize>| {
        let value = serde_json::from_str(&text[at.clone()]).ok()?;
        Some((asks(program, &value)?, at))
    };
    Ok(values(text, list).into_iter().filter_map(asked).collect())
}

// What follows reads text that serde_json has read already, so it is sound.

fn object(text: &str, at: usize, what: &str) -> Result<usize, Obstacle> {
    match text.as_bytes().get(at) {
        Some(b'{') => Ok(at),
        _ => Err(Obstacle::Settings(format!("{what} is no object"))),
    }
}

fn array(text: &str, at: usize) -> Result<usize, Obstacle> {
    match text.as_bytes().get(at) {
        Some(b'[') => Ok(at),
        _ => Err(Obstacle::Settings(format!("hooks.{EVENT} is no list"))),
    }
}

/// Where the value of `key` is in the object at `at`. One that is there twice means
/// what its program makes of it, so nobody can add to it.
fn member(text: &str, at: usize, key: &str) -> Result<Option<Range<usize>>, Obstacle> {
    let tokens = values(text, at);
    let is_key = |token: &Range<usize>| {
        serde_json::from_str::<String>(&text[token.clone()]).is_ok_and(|name| name == key)
    };
    let pairs = tokens.chunks_exact(2).filter(|pair| is_key(&pair[0]));
    let found: Vec<Range<usize>> = pairs.map(|pair| pair[1].clone()).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(Obstacle::Settings(format!("`{key}` is there twice"))),
    }
}

/// The values in the list at `at`, or the keys and values in turn of the object.
fn values(text: &str, at: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = skip_space(text, at + 1);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'}' | b']' => break,
            b',' | b':' => at += 1,
            _ => {
                let end = end_of_value(text, at);
                found.push(at..end);
                at = end;
            }
        }
        at = skip_space(text, at);
    }
    found
}

fn end_of_value(text: &str, start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at = end_of_string(text, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            return at;
        }
    }
    at
}

fn end_of_string(text: &str, start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn skip_space(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOLT: &str = "'/opt/my tools/molt-agent'";

    const USERS: [&str; 11] = [
        "{}",
        "{}\n",
        " {\n}\n",
        "{\"z\": 1, \"a\": \"}]\\\"{\", \"m\": [1, {\"b\": 2}]}",
        "{\n  \"permissions\": { \"allow\": [\"Bash(ls:*)\"] },\n  \"hooks\": {}\n}\n",
        "{\"hooks\":{\"Stop\":[]},\"model\":\"x\"}",
        "{\"hooks\":{\"PreToolUse\":[]}}",
        "{\"hooks\": { \"PreToolUse\": [ ] , \"Stop\": [] } }",
        "{\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\": \"Bash\", \"hooks\": []}\n    ]\n  }\n}\n",
        "{\"\\u0068ooks\": {\"PreToolUse\": [{\"matcher\":\"*\",\"hooks\":[{\"type\":\"command\",\"command\":\"molt-agent check --hook claude\"}]}]}}",
        "{\r\n\t\"\u{fc}\": \"\u{1f600}\",\r\n\t\"hooks\": {\"PreToolUse\": [null]}\r\n}\r\n",
    ];

    #[test]
    fn nothing_of_the_users_is_lost_and_removing_restores_every_byte() {
        for program in [Program::Claude, Program::Codex] {
            for user in USERS {
                let with = added(program, MOLT, Some(user)).unwrap().unwrap();
                assert_eq!(added(program, MOLT, Some(&with)), Ok(None), "once: {with}");
                assert_eq!(status(program, MOLT, Some(&with)), Ok(Standing::Installed));
                let mut value: Value = serde_json::from_str(&with).unwrap();
                let list = value["hooks"]["PreToolUse"].as_array_mut().unwrap();
                assert_eq!(list.remove(0), entry(program, MOLT));
                let before: Value = serde_json::from_str(user).unwrap();
                for (key, kept) in before.as_object().unwrap() {
                    let kept_hooks = kept.as_object().filter(|_| key == "hooks");
                    match kept_hooks {
                        None => assert_eq!(&value[key], kept, "{with}"),
                        Some(hooks) => {
                            for (event, kept) in hooks {
                                assert_eq!(&value["hooks"][event], kept, "{with}");
                            }
                        }
                    }
                }
                assert_eq!(removed(program, &with), Ok(Removed::Text(user.to_owned())), "{with}");
                assert_eq!(removed(program, user), Ok(Removed::Same));
            }
        }
    }

    #[test]
    fn a_file_that_was_not_there_is_gone_again() {
        let with = added(Program::Codex, MOLT, None).unwrap().unwrap();
        assert_eq!(status(Program::Codex, MOLT, Some(&with)), Ok(Standing::Installed));
        assert_eq!(removed(Program::Codex, &with), Ok(Removed::File));
    }

    #[test]
    fn another_place_of_the_program_replaces_the_entry() {
        for user in USERS {
            let old = added(Program::Claude, "/old/molt-agent", Some(user)).unwrap().unwrap();
            assert_eq!(status(Program::Claude, MOLT, Some(&old)), Ok(Standing::Outdated));
            let new = added(Program::Claude, MOLT, Some(&old)).unwrap().unwrap();
            assert_eq!(Some(new.clone()), added(Program::Claude, MOLT, Some(user)).unwrap());
            assert_eq!(removed(Program::Claude, &new), Ok(Removed::Text(user.to_owned())));
        }
    }

    #[test]
    fn a_file_that_was_written_anew_loses_the_entry_alone() {
        for user in USERS {
            let with = added(Program::Claude, MOLT, Some(user)).unwrap().unwrap();
            let value: Value = serde_json::from_str(&with).unwrap();
            let anew = serde_json::to_string_pretty(&value).unwrap();
            let Removed::Text(left) = removed(Program::Claude, &anew).unwrap() else {
                panic!("{anew}")
            };
            let mut expected = value;
            expected["hooks"]["PreToolUse"].as_array_mut().unwrap().remove(0);
            assert_eq!(serde_json::from_str::<Value>(&left).unwrap(), expected, "{left}");
        }
    }

    #[test]
    fn settings_that_do_not_read_are_left_alone() {
        let odd =
            ["", "[]", "{", "// x\n{}", "{\"hooks\": []}", "{\"hooks\": {\"PreToolUse\": {}}}"];
        for text in odd.into_iter().chain(["{\"hooks\": {}, \"hooks\": {}}"]) {
            assert!(added(Program::Claude, MOLT, Some(text)).is_err(), "{text}");
            assert!(removed(Program::Claude, text).is_err(), "{text}");
        }
    }
}
