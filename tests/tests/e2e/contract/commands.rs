//! The commands of a program, as its parser has them.

use std::collections::BTreeSet;

use super::row::{Form, Row, Step, words};

/// A program and its whole command line.
pub(super) struct Program {
    /// What it is called.
    pub(super) name: &'static str,
    /// The file of its story.
    story: &'static str,
    /// The folder of its stored answers.
    pub(super) answers: &'static str,
    /// Commands that never refuse, each with its reason.
    pub(super) always: &'static [(&'static str, &'static str)],
    /// Commands whose success another room shows, each with where.
    pub(super) elsewhere: &'static [(&'static str, &'static str)],
    /// The parser.
    pub(super) command: clap::Command,
}

/// A command: the words that name it, and its parser.
pub(super) struct Named {
    /// Without the program.
    pub(super) words: String,
    /// As it is in its place.
    pub(super) command: clap::Command,
}

impl Program {
    /// What agents run.
    pub(super) fn agent() -> Self {
        Self {
            name: "molt-agent",
            story: "tests/tests/e2e/contract/agent.rs",
            answers: "agent/src/cli/schema/answers.json",
            always: super::agent::ALWAYS,
            elsewhere: super::agent::ELSEWHERE,
            command: built(molt_agent::cli::command()),
        }
    }

    /// What operators run.
    pub(super) fn coordinator() -> Self {
        Self {
            name: "molt-coordinator",
            story: "tests/tests/e2e/contract/operator.rs",
            answers: "coordinator/server/src/cli/schema/answers.json",
            always: super::operator::ALWAYS,
            elsewhere: super::operator::ELSEWHERE,
            command: built(molt_coordinator::cli::command()),
        }
    }

    /// Every command and what is below it, those that people are not shown left out.
    pub(super) fn all(&self) -> Vec<Named> {
        fn below(path: &str, command: &clap::Command, found: &mut Vec<Named>) {
            for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
                let words = format!("{path} {}", verb.get_name()).trim_start().to_owned();
                found.push(Named { words: words.clone(), command: verb.clone() });
                below(&words, verb, found);
            }
        }
        let mut found = Vec::new();
        below("", &self.command, &mut found);
        found
    }

    /// The command that a line is for; `error` where it names none, as in its document.
    pub(super) fn command_of(&self, line: &str) -> String {
        let mut command = &self.command;
        let mut named = Vec::new();
        for word in words(line) {
            match command.find_subcommand(&word) {
                Some(below) => command = below,
                None if named.is_empty() => continue,
                None => break,
            }
            named.push(word);
        }
        if named.is_empty() { "error".to_owned() } else { named.join(" ") }
    }

    /// Whether the command that a line is for has `--json`; one that cannot be read has.
    pub(super) fn has_documents(&self, line: &str) -> bool {
        let named = self.command_of(line);
        let command = self.all().into_iter().find(|command| command.words == named);
        command.is_none_or(|it| it.command.get_arguments().any(|arg| arg.get_id() == "json"))
    }

    /// That the story has each command, both answered and refused.
    pub(super) fn covered_by(&self, story: &[Step]) {
        let rows: Vec<&Row> = story.iter().filter_map(Step::row).collect();
        let asked = |yes: bool| -> BTreeSet<String> {
            let ends_well = |row: &Row| row.code == 0 || matches!(row.form, Form::Service(_));
            let rows = rows.iter().filter(|row| ends_well(row) == yes);
            rows.map(|row| self.command_of(row.line)).collect()
        };
        let (answered, refused) = (asked(true), asked(false));
        let listed = |list: &[(&str, &str)], words: &str| list.iter().any(|(it, _)| *it == words);
        let mut missing = Vec::new();
        for Named { words, command } in self.all() {
            let runs = !command.has_subcommands() || !command.is_subcommand_required_set();
            let need = |shown: bool, excused: bool, what: &str| {
                (runs && !shown && !excused).then(|| format!("`{} {words}` {what}", self.name))
            };
            missing.extend(need(
                answered.contains(&words),
                listed(self.elsewhere, &words),
                "has no row that is answered (exit 0)",
            ));
            missing.extend(need(
                refused.contains(&words),
                listed(self.always, &words),
                "has no row that is refused (another exit)",
            ));
        }
        assert!(
            missing.is_empty(),
            "{}\nadd rows to the story in {}, say(who, line, exit), where what they need is there; \
             then write down what they say: {}",
            missing.join("\n"),
            self.story,
            super::HOW_TO_WRITE,
        );
    }
}

fn built(mut command: clap::Command) -> clap::Command {
    command.build();
    command
}

#[test]
fn a_command_without_a_row_is_named_with_what_to_do() {
    let program = Program::agent();
    let missed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        program.covered_by(&[super::row::say("ann", "claim docs", 0)]);
    }));
    let said = missed.expect_err("nearly all are missing");
    let said = said.downcast_ref::<String>().expect("words");
    assert!(said.contains("`molt-agent claim` has no row that is refused"), "{said}");
    assert!(said.contains("`molt-agent task add` has no row that is answered"), "{said}");
    assert!(!said.contains("`molt-agent claim` has no row that is answered"), "{said}");
    assert!(said.contains("contract/agent.rs") && said.contains("MOLT_CONTRACT=write"), "{said}");
}
