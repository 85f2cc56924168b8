//! What a person should look at before it changes: what the gates and continuous integration go by.
//!
//! A change that edits its own judge could let itself pass. Not here: the policy itself, which is
//! protected whatever it says, and files that every change of dependencies touches.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::scope::Pattern;

use super::guess::{Guess, makefile};
use super::partition::escaped;

/// Folders whose files continuous integration runs.
const CI_FOLDERS: [&str; 8] = [
    ".buildkite",
    ".circleci",
    ".forgejo/workflows",
    ".gitea/workflows",
    ".github/actions",
    ".github/workflows",
    ".gitlab/ci",
    ".woodpecker",
];

/// Files that continuous integration runs.
const CI_FILES: [&str; 8] = [
    ".cirrus.yml",
    ".drone.yml",
    ".gitlab-ci.yml",
    ".travis.yml",
    ".woodpecker.yml",
    "Jenkinsfile",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
];

/// Programs whose first argument is what they run.
const INTERPRETERS: [&str; 10] =
    ["bash", "dash", "env", "exec", "node", "perl", "python", "python3", "ruby", "sh"];

/// Patterns of what is there of all that, the gates' own files first.
pub(super) fn patterns(
    tracked: &BTreeSet<&str>,
    text_of: &impl Fn(&str) -> Option<String>,
    gates: &[Guess],
) -> Vec<Pattern> {
    let mut texts = Vec::new();
    for file in of_gates(tracked, text_of, gates) {
        texts.push(escaped(&file));
    }
    let has = |folder: &str| {
        let mut inside = tracked.iter().filter_map(|path| path.strip_prefix(folder));
        inside.any(|rest| rest.starts_with('/'))
    };
    texts.extend(CI_FOLDERS.iter().filter(|folder| has(folder)).map(|at| format!("{at}/**")));
    texts.extend(CI_FILES.iter().filter(|file| tracked.contains(**file)).map(|at| escaped(at)));
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The tracked files that the gates are made of: the makefile, and the scripts that they run.
fn of_gates(
    tracked: &BTreeSet<&str>,
    text_of: &impl Fn(&str) -> Option<String>,
    gates: &[Guess],
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let made = makefile(text_of);
    let package = text_of("package.json").and_then(|text| serde_json::from_str(&text).ok());
    let package: serde_json::Value = package.unwrap_or_default();
    for gate in gates {
        found.extend(scripts(&gate.run, tracked));
        if let (Some(target), Some((name, text))) = (gate.run.strip_prefix("make "), &made) {
            found.insert((*name).to_owned());
            let lines = recipes(text, target);
            found.extend(lines.iter().flat_map(|line| scripts(line, tracked)));
        }
        let kind = gate.run.rsplit_once("npm ").map(|(_, rest)| rest.trim_start_matches("run "));
        let line = kind.and_then(|kind| package.get("scripts")?.get(kind)?.as_str());
        found.extend(line.into_iter().flat_map(|line| scripts(line, tracked)));
    }
    found
}

/// The tracked files that a command line runs.
fn scripts(line: &str, tracked: &BTreeSet<&str>) -> Vec<String> {
    let commands = line.split(['&', ';', '|', '(', ')']);
    commands.filter_map(|command| script(command, tracked)).collect()
}

/// The tracked file that one command runs: its first word, or what an interpreter is given.
fn script(command: &str, tracked: &BTreeSet<&str>) -> Option<String> {
    let words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let sets = |word: &str| word.starts_with('-') || word.contains('=');
    let mut words = words.filter(|word| !sets(word) && !INTERPRETERS.contains(word));
    let first = words.next()?.trim_start_matches(['@', '+']);
    // The mark of a quiet recipe line stands before the interpreter too.
    let first = if INTERPRETERS.contains(&first) { words.next()? } else { first };
    let path = first.strip_prefix("./").unwrap_or(first);
    tracked.contains(path).then(|| path.to_owned())
}

/// The recipe lines of a target and of all that it needs.
fn recipes<'a>(makefile: &'a str, target: &'a str) -> Vec<&'a str> {
    let (mut rules, mut current): (BTreeMap<&str, Rule<'_>>, Vec<&str>) = Default::default();
    for line in makefile.lines() {
        if let Some(recipe) = line.strip_prefix('\t') {
            for target in &current {
                rules.entry(target).or_default().recipe.push(recipe);
            }
        } else if let Some((targets, needs)) = line.split_once(':')
            && !line.starts_with([' ', '#'])
            && !needs.starts_with('=')
        {
            current = targets.split_whitespace().collect();
            let needs = needs.split('#').next().unwrap_or_default();
            for target in &current {
                rules.entry(target).or_default().needs.extend(needs.split_whitespace());
            }
        }
    }
    let (mut wanted, mut seen, mut lines) = (vec![target], BTreeSet::new(), Vec::new());
    while let Some(target) = wanted.pop() {
        if let (true, Some(rule)) = (seen.insert(target), rules.get(target)) {
            lines.extend(&rule.recipe);
            wanted.extend(&rule.needs);
        }
    }
    lines
}

#[derive(Default)]
struct Rule<'a> {
    needs: Vec<&'a str>,
    recipe: Vec<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::super::guess;
    use super::*;

    fn protected(files: &[(&str, &str)]) -> Vec<String> {
        let tracked: BTreeSet<&str> = files.iter().map(|&(path, _)| path).collect();
        let text_of = |path: &str| {
            let file = files.iter().find(|&&(name, _)| name == path);
            file.map(|&(_, text)| text.to_owned())
        };
        let gates = guess::gates(&tracked, &text_of);
        let patterns = patterns(&tracked, &text_of, &gates);
        patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
    }

    #[test]
    fn a_makefile_is_protected_with_the_scripts_of_its_gates() {
        let makefile = "lint: style ## all of it\n\t@sh -e tools/lint.sh src && ./check [a]\n\
                        style:\n\tLANG=C python3 tools/style.py\n\
                        test:\n\tcat README.md | tools/count.pl\n\
                        clean:\n\tsh tools/clean.sh\n";
        let names = [
            "README.md",
            "check",
            "src/a.c",
            "tools/clean.sh",
            "tools/count.pl",
            "tools/lint.sh",
            "tools/style.py",
        ];
        let mut files = vec![("Makefile", makefile)];
        files.extend(names.map(|name| (name, "")));
        assert_eq!(
            protected(&files),
            ["Makefile", "check", "tools/count.pl", "tools/lint.sh", "tools/style.py"]
        );
        let others = [("Makefile", "all:\n\tsh tools/lint.sh\n"), ("tools/lint.sh", "")];
        assert_eq!(protected(&others), [] as [&str; 0], "no gate goes by it");
    }

    #[test]
    fn scripts_of_a_package_are_protected_and_its_manifest_is_not() {
        let package = r#"{"scripts": {"lint": "eslint .", "test": "node ci/run[1].mjs --all"}}"#;
        let files = [("package.json", package), ("ci/run[1].mjs", ""), ("index.js", "")];
        assert_eq!(protected(&files), [r"ci/run\[1\].mjs"]);
    }

    #[test]
    fn what_continuous_integration_runs_is_protected_where_it_is() {
        let files = [
            (".github/workflows/ci.yml", ""),
            (".github/CODEOWNERS", ""),
            (".gitlab-ci.yml", ""),
            (".circleci", ""),
            ("sub/.gitlab-ci.yml", ""),
        ];
        assert_eq!(protected(&files), [".github/workflows/**", ".gitlab-ci.yml"]);
    }
}
