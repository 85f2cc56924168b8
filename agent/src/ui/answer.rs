//! What a verb has to say, in either format.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Value, json};

use super::text::{MAX_LINES, plain, row};
use crate::error::{Error, Exit};

/// What a verb has to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    verb: String,
    exit: Exit,
    code: String,
    data: Value,
    lines: Vec<String>,
    most: usize,
    next: Vec<String>,
    warnings: Vec<String>,
    rev: u64,
}

/// The one JSON document of a call.
#[derive(Serialize)]
struct Envelope<'a> {
    schema: String,
    ok: bool,
    code: &'a str,
    data: &'a Value,
    next: &'a [String],
    warn: &'a [String],
    rev: u64,
}

impl Answer {
    /// The answer of `verb`: `code` is the stable word for it, `data` what
    /// `--json` shows.
    pub fn new(verb: &str, code: &str, data: impl Serialize) -> Self {
        let data = serde_json::to_value(data)
            .unwrap_or_else(|error| json!({ "unprintable": error.to_string() }));
        Self {
            verb: verb.to_owned(),
            exit: Exit::Ok,
            code: code.to_owned(),
            data,
            lines: Vec::new(),
            most: MAX_LINES,
            next: Vec::new(),
            warnings: Vec::new(),
            rev: 0,
        }
    }

    /// Why `verb` did not do what it was asked.
    #[must_use]
    pub fn of_error(verb: &str, error: &Error) -> Self {
        let message = error.in_full();
        let (mut data, id) = match error {
            Error::Refused { refusal, id } => (serde_json::to_value(refusal), id.as_str()),
            Error::Compacted { oldest } => (Ok(json!({ "oldest": oldest })), ""),
            _ => (Ok(json!({})), ""),
        };
        if let Ok(Value::Object(fields)) = &mut data {
            fields.insert("message".to_owned(), message.clone().into());
            if !id.is_empty() {
                fields.insert("why".to_owned(), id.into());
            }
        }
        let mut answer = match data {
            Ok(data) => Self::new(verb, &error.code(), data),
            Err(unprintable) => Self::new(verb, &error.code(), json!({ "message": message }))
                .warn(unprintable.to_string()),
        };
        answer.exit = error.exit();
        answer.lines = error_lines(error, &message);
        if !id.is_empty() {
            answer.lines.push(row("why", [format!("molt-agent why {id}")]));
        }
        answer.next = error_steps(error);
        answer
    }

    /// Adds a line of text.
    #[must_use]
    pub fn line<T: Display>(mut self, label: &str, fields: impl IntoIterator<Item = T>) -> Self {
        self.lines.push(row(label, fields));
        self
    }

    /// Adds a line of text unless `field` is empty.
    #[must_use]
    pub fn line_if(self, label: &str, field: impl Display) -> Self {
        let field = field.to_string();
        if field.is_empty() { self } else { self.line(label, [field]) }
    }

    /// Adds lines of text that are made already.
    #[must_use]
    pub fn rows(mut self, rows: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(rows);
        self
    }

    /// Lets the text have up to `most` lines, for a verb whose whole point they are.
    #[must_use]
    pub fn lines_at_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Adds what can be done next; the first is printed.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// Adds something that the caller should know.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Drops the next steps that `possible` says no to.
    #[must_use]
    pub fn only_steps(mut self, possible: impl Fn(&str) -> bool) -> Self {
        self.next.retain(|step| possible(step));
        self
    }

    /// The commit that the answer is of.
    #[must_use]
    pub fn rev(mut self, rev: u64) -> Self {
        self.rev = rev;
        self
    }

    /// Keeps so many lines of text, at least one, beside the next steps; who reads it cannot ask
    /// for the rest.
    #[must_use]
    pub fn at_most(mut self, room: usize) -> Self {
        cut(&mut self.lines, room, "not shown");
        self
    }

    /// Prints no text where the answer is yes.
    #[must_use]
    pub fn silent_if_ok(mut self) -> Self {
        if self.exit == Exit::Ok {
            self.lines.clear();
            self.next.clear();
        }
        self
    }

    /// Ends with another code than 0.
    #[must_use]
    pub fn exits(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// How the call ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What the caller should know beside the result.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The text, at most [`MAX_LINES`] lines or as many as the verb said; each
    /// ends with a line feed.
    #[must_use]
    pub fn text(&self) -> String {
        let steps = if self.exit == Exit::Ok { 1 } else { 3 };
        let next: Vec<String> =
            self.next.iter().take(steps).map(|next| row("next", [next])).collect();
        let mut lines = self.lines.clone();
        cut(&mut lines, self.most - next.len(), "--json shows all");
        lines.extend(next);
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// The JSON document, on one line.
    #[must_use]
    pub fn json(&self) -> String {
        let envelope = Envelope {
            schema: format!("molt.{}/1", self.verb),
            ok: self.exit == Exit::Ok,
            code: &self.code,
            data: &self.data,
            next: &self.next,
            warn: &self.warnings,
            rev: self.rev,
        };
        // Keys are text and numbers finite, so this has nothing to fail on.
        serde_json::to_string(&envelope).unwrap_or_else(|error| {
            json!({ "schema": "molt.error/1", "ok": false, "code": error.to_string() }).to_string()
        })
    }
}

/// Leaves as many lines as there is room for, the last one being how many are missing.
fn cut(lines: &mut Vec<String>, room: usize, rest: &str) {
    if lines.len() > room {
        let more = lines.len() + 1 - room;
        lines.truncate(room - 1);
        lines.push(row("more", [format!("{more} more lines: {rest}")]));
    }
}

/// A refusal words its own lines; other errors are one.
fn error_lines(error: &Error, message: &str) -> Vec<String> {
    let label = match error.exit() {
        Exit::Usage => "usage",
        Exit::Bug => "bug",
        Exit::Unavailable => "failed",
        Exit::Unknown => "unknown",
        _ => "refused",
    };
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    let first = match first.strip_prefix("refused  ") {
        Some(rest) => row("refused", [rest]),
        None => row(label, [first]),
    };
    std::iter::once(first).chain(lines.map(plain)).collect()
}

/// What can safely be done about an error; never a way around it.
fn error_steps(error: &Error) -> Vec<String> {
    let steps: &[&str] = match error {
        Error::Refused { refusal, .. } => return refusal.next_steps(),
        Error::Unavailable { .. } => &["try again in a moment: nothing changed"],
        Error::Unknown { .. } => &["repeat the same command: it is carried out once"],
        // What was missed cannot be read one by one any more: how things stand can.
        Error::Compacted { .. } => &["molt-agent status"],
        Error::Bug { .. } => &["report it with the command and this message"],
        _ => &[],
    };
    steps.iter().map(|&step| step.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use molt_domain::board::Refusal;

    fn granted() -> Answer {
        Answer::new("claim", "granted", json!({ "id": "clm_7f3k" }))
            .line(
                "granted",
                ["runtime", "clm_7f3k", "fence 48213", "kept while this session lives"],
            )
            .line("covers", ["runtime/** include/molt/**"])
            .next("molt-agent announce --files 'runtime/**'")
            .next("molt-agent release")
            .rev(48213)
    }

    #[test]
    fn success_is_fixed_text_with_one_next_line() {
        assert_eq!(
            granted().text(),
            "granted  runtime  clm_7f3k  fence 48213  kept while this session lives\n\
             covers   runtime/** include/molt/**\n\
             next     molt-agent announce --files 'runtime/**'\n"
        );
    }

    #[test]
    fn success_is_one_json_document() {
        assert_eq!(
            granted().warn("the daemon is away").json(),
            "{\"schema\":\"molt.claim/1\",\"ok\":true,\"code\":\"granted\",\
             \"data\":{\"id\":\"clm_7f3k\"},\"next\":[\"molt-agent announce --files 'runtime/**'\",\
             \"molt-agent release\"],\"warn\":[\"the daemon is away\"],\"rev\":48213}"
        );
    }

    #[test]
    fn a_refusal_is_a_document_too() {
        let refusal =
            Refusal::Lost { what: "clm_0001".to_owned(), reason: "max is over".to_owned() };
        let error = Error::Refused { refusal: Box::new(refusal), id: "ref_0009".to_owned() };
        let answer = Answer::of_error("release", &error);
        assert_eq!(answer.exit(), Exit::Lost);
        assert_eq!(
            answer.text(),
            "refused  clm_0001 is lost: max is over\nwhy      molt-agent why ref_0009\n\
             next     stop editing\nnext     molt-agent status\n"
        );
        assert_eq!(
            answer.json(),
            "{\"schema\":\"molt.release/1\",\"ok\":false,\"code\":\"lost\",\
             \"data\":{\"message\":\"clm_0001 is lost: max is over\",\"reason\":\"max is over\",\
             \"refusal\":\"lost\",\"what\":\"clm_0001\",\"why\":\"ref_0009\"},\
             \"next\":[\"stop editing\",\"molt-agent status\"],\
             \"warn\":[],\"rev\":0}"
        );
    }

    #[test]
    fn ok_is_false_exactly_when_the_code_is_not_0() {
        for exit in Exit::ALL {
            let document: Value =
                serde_json::from_str(&Answer::new("x", "x", ()).exits(exit).json()).unwrap();
            assert_eq!(document["ok"], exit == Exit::Ok, "{exit:?}");
        }
    }

    #[test]
    fn long_answers_are_cut_and_say_so() {
        let many =
            (0..40).fold(Answer::new("queue", "queue", ()), |answer, n| answer.line("car", [n]));
        let text = many.next("molt-agent why car_0001").text();
        assert_eq!(text.lines().count(), MAX_LINES);
        assert!(text.contains("\nmore     30 more lines: --json shows all\nnext "), "{text}");
        assert!(text.contains("car      9\n") && !text.contains("car      10\n"), "{text}");
    }

    #[test]
    fn an_unknown_outcome_says_to_repeat() {
        let error = Error::Unknown { problem: "no answer in 10s".to_owned() };
        assert_eq!(
            Answer::of_error("claim", &error).text(),
            "unknown  no answer in 10s; it may have been carried out\n\
             next     repeat the same command: it is carried out once\n"
        );
    }
}
