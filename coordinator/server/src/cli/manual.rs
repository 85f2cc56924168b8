//! `man`, `completions` and `schema`: what other programs show of this command line and read of
//! its answers.
//!
//! All of it is made from the parser itself and from the stored shapes of the answers, which the
//! contract of the command line (`tests`) holds every answer against.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use molt_domain::scope::nearest;
use molt_proto::answer::Answers;
use serde_json::json;

use super::error::Error;
use super::output::Output;
use super::{FormArgs, command};

/// The shape of each command's `data`.
const ANSWERS: &str = include_str!("schema/answers.json");

/// Of which command.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  molt-coordinator man | man -l -\n  \
                        molt-coordinator man tokens issue")]
pub(super) struct ManArgs {
    /// Which command; else the whole program
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,

    #[command(flatten)]
    form: FormArgs,
}

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator completions zsh >~/.zfunc/_molt-coordinator")]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: Shell,

    #[command(flatten)]
    form: FormArgs,
}

/// A shell that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Of which command.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a command: which commands answer with a document.\n\nExamples:\n  \
                        molt-coordinator schema\n  molt-coordinator schema tokens issue"
)]
pub(super) struct SchemaArgs {
    /// Which command
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,

    #[command(flatten)]
    form: FormArgs,
}

/// Prints a manual page.
pub(super) fn man(args: &ManArgs) -> Result<ExitCode, Error> {
    let mut page = Vec::new();
    let asked = find(&args.words)?;
    let name = asked.get_display_name().unwrap_or_else(|| asked.get_name()).to_owned();
    clap_mangen::Man::new(asked)
        .render(&mut page)
        .map_err(|source| Error::File { path: name.clone().into(), source })?;
    let page = String::from_utf8_lossy(&page);
    let data = json!({ "name": name, "section": 1, "roff": page });
    Ok(whole(&args.form, ("molt.man/1", "page"), &page, &data))
}

/// Prints a shell's script.
pub(super) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    let (mut command, name) = (command(), command().get_name().to_owned());
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    clap_complete::generate(shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    let data = json!({ "shell": shell.to_string(), "script": script });
    whole(&args.form, ("molt.completions/1", "script"), &script, &data)
}

/// Prints the schema of a command's answer.
pub(super) fn schema(args: &SchemaArgs) -> Result<ExitCode, Error> {
    let answers = Answers::read(ANSWERS)
        .map_err(|error| Error::Usage(format!("this program's stored answers: {error}")))?;
    if args.words.is_empty() {
        let commands: Vec<&str> = answers.commands().collect();
        let (text, data) = (commands.join("\n"), json!({ "commands": commands }));
        return Ok(whole(&args.form, ("molt.schema/1", "commands"), &text, &data));
    }
    let words = args.words.join(" ");
    find(&args.words)?;
    let schema = answers.schema("molt-coordinator", &words).ok_or_else(|| {
        Error::Usage(format!("`{words}` answers with no document, or is several commands"))
    })?;
    let text = format!("{schema:#}");
    let data = json!({ "command": words, "schema": schema });
    Ok(whole(&args.form, ("molt.schema/1", "schema"), &text, &data))
}

/// A file for another program, which has all of its lines.
fn whole(
    form: &FormArgs,
    (schema, code): (&str, &str),
    text: &str,
    data: &serde_json::Value,
) -> ExitCode {
    match form.json {
        true => Output::json(schema, code, 0, data),
        false => Output::stdout(text.trim_end()),
    };
    ExitCode::SUCCESS
}

/// The command that `words` name, with the names that it has in its place.
fn find(words: &[String]) -> Result<clap::Command, Error> {
    let mut found = command();
    found.build();
    for word in words {
        let Some(below) = found.find_subcommand(word) else {
            let known = found.get_subcommands().map(clap::Command::get_name);
            let nearest = nearest(word, known).map(str::to_owned);
            return Err(Error::NotFound { kind: "command", name: words.join(" "), nearest });
        };
        found = below.clone();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_command_names_the_nearest() {
        let words = ["tokens".to_owned(), "isue".to_owned()];
        let error = find(&words).unwrap_err();
        assert_eq!(error.to_string(), "no command `tokens isue`: did you mean `issue`?");
        assert_eq!(error.exit().code(), 3);
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}
