//! `man` and `completions`: what other programs show of this command line.
//!
//! Both are made from the parser itself, at the moment they are asked for.

use clap::{Args, ValueEnum};
use molt_domain::scope::nearest;
use serde_json::json;

use super::command;
use crate::error::Error;
use crate::ui::Answer;

/// Print the manual page of this program or of one of its commands.
///
/// `man -l -` shows what it prints.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent man
  molt-agent man task add")]
pub(super) struct Man {
    /// Which command; else the whole program.
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

/// Print what makes a shell complete this command line.
///
/// It belongs where the shell looks for it: bash in
/// ~/.local/share/bash-completion/completions/molt-agent, zsh in a file
/// _molt-agent of its fpath, fish in ~/.config/fish/completions/molt-agent.fish.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent completions bash
  molt-agent completions zsh")]
pub(super) struct Completions {
    /// Which shell.
    shell: Shell,
}

/// A shell that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Man {
    pub(super) fn run(self) -> Result<Answer, Error> {
        let mut page = Vec::new();
        let asked = find(&self.words)?;
        let name = asked.get_display_name().unwrap_or_else(|| asked.get_name()).to_owned();
        clap_mangen::Man::new(asked)
            .render(&mut page)
            .map_err(|error| Error::bug(format!("no manual page: {error}")))?;
        let page = String::from_utf8_lossy(&page).into_owned();
        Ok(whole("man", "page", &page, json!({ "name": name, "section": 1, "roff": page })))
    }
}

impl Completions {
    pub(super) fn run(self) -> Answer {
        let mut script = Vec::new();
        let (mut command, name) = (command(), command().get_name().to_owned());
        let shell = match self.shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        };
        clap_complete::generate(shell, &mut command, name, &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        let data = json!({ "shell": shell.to_string(), "script": script });
        whole("completions", "script", &script, data)
    }
}

/// A file for another program, which has all of its lines.
pub(super) fn whole(verb: &str, code: &str, text: &str, data: serde_json::Value) -> Answer {
    let lines = text.lines().map(str::to_owned);
    Answer::new(verb, code, data).rows(lines).lines_at_most(usize::MAX)
}

/// The command that `words` name, with the names and options that it has in its place.
pub(super) fn find(words: &[String]) -> Result<clap::Command, Error> {
    let mut found = command();
    found.build();
    for word in words {
        let below = found.find_subcommand(word).filter(|below| !below.is_hide_set());
        let Some(below) = below else {
            let known = found.get_subcommands().filter(|below| !below.is_hide_set());
            let nearest = nearest(word, known.map(clap::Command::get_name)).map(str::to_owned);
            return Err(Error::NotFound { kind: "command", name: words.join(" "), nearest });
        };
        found = below.clone();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_command_has_a_page_of_its_own() {
        let page = |line: &str| Man { words: words(line) }.run().map(|answer| answer.text());
        let whole = page("").unwrap();
        assert!(whole.contains("molt\\-agent\\-task(1)"), "{whole}");
        let add = page("task add").unwrap();
        assert!(add.contains("molt\\-agent task add") && add.contains("\\-\\-priority"), "{add}");
        let error = page("task ad").unwrap_err();
        assert_eq!(error.to_string(), "no command `task ad`: did you mean `add`?");
        assert_eq!(page("supervise").unwrap_err().exit().code(), 3, "it is not for people");
    }

    #[test]
    fn each_shell_has_a_script_that_knows_the_verbs() {
        for &shell in Shell::value_variants() {
            let script = Completions { shell }.run().text();
            for word in ["molt-agent", "narrow", "--outcome", "falsified"] {
                let bare = word.trim_start_matches('-');
                assert!(script.contains(bare), "{shell:?} does not know {word}");
            }
        }
    }
}
