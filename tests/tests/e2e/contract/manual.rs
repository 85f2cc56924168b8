//! `docs/cli.md`: both command lines as their parsers have them.

use std::fmt::Write as _;

use clap::{Arg, Command};
use molt_proto::exit::Exit;

use super::commands::{Named, Program};
use super::world::said;
use super::{HOW_TO_WRITE, root, writes};
use crate::harness::{command, scratch, write};

const PAGE: &str = "docs/cli.md";

const HEAD: &str = "\
# The command line

<!-- Written from the parsers by the contract of the command line (tests/tests/e2e/contract). -->

People, scripts and language models use the same commands. Results are on stdout, everything else on
stderr. Text is short, at most 12 lines, a refusal at most 8; `--json` prints one document:
`{\"schema\":\"molt.claim/1\",\"ok\":true,\"code\":\"granted\",\"data\":{…},\"next\":[…],\"warn\":[],\"rev\":48213}`,
whose shape `schema COMMAND` prints. `ok` is false exactly when the exit code is not 0. Nothing ever
prompts, and every wait has a limit.

What each command says, word by word, is kept in `tests/tests/e2e/contract/shown`. Manual pages are
printed by `man`, what shells complete by `completions`.

## Exit codes

| code | meaning for the caller |
| --- | --- |
";

/// What each exit code means, for both programs.
const CODES: [(Exit, &str); 13] = [
    (Exit::Ok, "done, granted, already held, allowed"),
    (Exit::Bug, "a bug: report it"),
    (Exit::Usage, "usage: fix the command line or the file that it names"),
    (Exit::NotFound, "not found; the nearest match is given"),
    (Exit::Held, "held by someone else; nothing was acquired"),
    (Exit::Queued, "queued: the wait ended, the place in line is kept"),
    (Exit::Lost, "lost: fenced, expired or revoked; stop editing"),
    (Exit::Gate, "a gate failed or is pending"),
    (Exit::Forbidden, "forbidden: role, token or approval missing"),
    (Exit::Precondition, "a precondition did not hold"),
    (Exit::Unavailable, "unavailable: nothing changed, try again"),
    (Exit::Unknown, "unknown outcome: sent, no answer; repeat the same command"),
    (Exit::Empty, "empty: nothing ready, nothing new"),
];

const WRAPPERS: &str = "
`lock run`, `slot run`, `build`, `job attach` and `job wait` pass their command's code on. Their own
failures are 120 not acquired, 121 lost (the command was stopped), 122 unavailable, 125 wrapper
error, and 126 and 127 as a shell has them.
";

/// The whole page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    for (exit, meaning) in CODES {
        add(&mut page, &format!("| {} | {meaning} |\n", exit.code()));
    }
    add(&mut page, WRAPPERS);
    for program in [Program::agent(), Program::coordinator()] {
        add(&mut page, &format!("\n## `{}`\n\n{}\n", program.name, about(&program.command)));
        let global: Vec<&Arg> =
            program.command.get_arguments().filter(|arg| arg.is_global_set()).collect();
        if !global.is_empty() {
            add(&mut page, "\nOptions of every command:\n\n");
            global.into_iter().for_each(|arg| add(&mut page, &option(arg)));
        }
        for Named { words, command } in program.all() {
            add(&mut page, &section(&program, &words, &command));
        }
    }
    page
}

/// One command.
fn section(program: &Program, words: &str, command: &Command) -> String {
    let mut text = format!("\n### `{} {words}`\n\n{}\n", program.name, about(command));
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    add(&mut text, &format!("\n```\n{usage}\n```\n"));
    let own = command.get_arguments().filter(|arg| {
        !arg.is_global_set()
            && !arg.is_hide_set()
            && !["help", "version"].contains(&arg.get_id().as_str())
    });
    let own: Vec<String> = own.map(option).collect();
    if !own.is_empty() {
        add(&mut text, &format!("\n{}", own.concat()));
    }
    let below: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    if below.is_empty()
        && let Some(after) = command.get_after_help()
    {
        add(&mut text, &format!("\n```\n{}\n```\n", after.to_string().trim_end()));
    }
    text
}

/// What a command says about itself.
fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let about = about.trim_end_matches('.');
    format!("{}.", escaped(about))
}

/// One argument or option, as an item of a list.
fn option(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default().iter();
    let mut values: Vec<String> = names.map(|name| format!("<{name}>")).collect();
    let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    if many && let Some(last) = values.last_mut() {
        last.push('…');
    }
    let takes = arg.get_action().takes_values();
    let values = if takes { values.join(" ") } else { String::new() };
    let flags = [
        arg.get_short().map(|short| format!("-{short}")),
        arg.get_long().map(|long| format!("--{long}")),
    ];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    let shown = format!("{} {values}", flags.join(", "));
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut facts = Vec::new();
    let possible = arg.get_possible_values();
    if !possible.is_empty() && takes {
        let words: Vec<&str> =
            possible.iter().map(clap::builder::PossibleValue::get_name).collect();
        facts.push(format!("one of {}", words.join(", ")));
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes && !arg.is_hide_default_value_set() && !defaults.is_empty() {
        facts.push(format!("default {}", defaults.join(" ")));
    }
    facts.extend(arg.get_env().map(|name| format!("also by {}", name.to_string_lossy())));
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join("; ")) };
    let help = escaped(help.trim_end_matches('.')).replace("\n\n", " ").replace('\n', " ");
    format!("* `{}`: {help}{facts}\n", shown.trim())
}

/// Text in which angle brackets are no markup.
fn escaped(text: &str) -> String {
    text.replace('<', "\\<")
}

fn add(page: &mut String, text: &str) {
    page.write_str(text).expect("text can be written to");
}

#[test]
fn the_manual_is_this_command_line() {
    let (path, page) = (root().join(PAGE), page());
    if writes() {
        std::fs::write(path, page).expect("the page");
        return;
    }
    let kept = std::fs::read_to_string(path).expect("the page");
    let differs = kept.lines().zip(page.lines()).find(|(kept, now)| kept != now);
    assert!(kept == page, "{PAGE} is not this command line, first at {differs:?}; {HOW_TO_WRITE}");
}

#[test]
fn every_exit_code_has_its_line() {
    assert_eq!(CODES.map(|(exit, _)| exit), Exit::ALL);
}

/// What is printed for other programs is what they read. Where one of them is not on this machine,
/// the form of the text is still looked at.
#[test]
fn manual_pages_and_completions_are_read_by_what_they_are_for() {
    for program in [Program::agent(), Program::coordinator()] {
        for shell in ["bash", "zsh", "fish"] {
            let script = said(&program, &["completions", shell]);
            assert_eq!(script.code, 0, "{}", script.err);
            let verbs = program.command.get_subcommands().filter(|verb| !verb.is_hide_set());
            for verb in verbs.map(Command::get_name) {
                assert!(script.out.contains(verb), "{shell} does not complete {verb}");
            }
            read_by(shell, &["-n"], &script.out);
        }
        for Named { words, .. } in program.all() {
            let words: Vec<&str> = std::iter::once("man").chain(words.split(' ')).collect();
            let page = said(&program, &words);
            assert_eq!(page.code, 0, "{words:?}: {}", page.err);
            assert!(page.out.lines().any(|line| line.starts_with(".TH ")), "{words:?}");
            assert!(page.out.contains(".SH SYNOPSIS"), "{words:?}");
        }
        let whole = said(&program, &["man"]);
        read_by("groff", &["-man", "-ww", "-z", "-Tutf8"], &whole.out);
    }
}

/// That a program, if it is there, reads a text without a complaint.
fn read_by(program: &str, options: &[&str], text: &str) {
    let folder = scratch();
    write(folder.path(), "text", text);
    let mut reader = command(program, folder.path());
    let output = reader.args(options).arg(folder.path().join("text")).output();
    let Ok(output) = output else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
}
