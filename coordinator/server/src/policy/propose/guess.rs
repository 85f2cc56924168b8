//! What the files at the root say about how a repository is built and tested.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::scope::Pattern;

/// A gate that a repository most likely wants.
pub(super) struct Guess {
    /// Its name: letters and `-`.
    pub(super) name: String,
    /// Its command line.
    pub(super) run: String,
}

/// Folders of a Cargo workspace's members, and the package of each where its name is plain.
pub(super) type Members = BTreeMap<String, Option<String>>;

/// The members of the Cargo workspace at the root.
pub(super) fn members(
    tracked: &BTreeSet<&str>,
    text_of: &impl Fn(&str) -> Option<String>,
) -> Members {
    let manifest = |folder: &str| -> Option<toml::Table> {
        text_of(&format!("{folder}Cargo.toml"))?.parse().ok()
    };
    let workspace = manifest("");
    let workspace = workspace.as_ref().and_then(|manifest| manifest.get("workspace"));
    let list = |key: &str| -> Vec<Pattern> {
        let list = workspace.and_then(|workspace| workspace.get(key)?.as_array());
        let texts = list.into_iter().flatten().filter_map(toml::Value::as_str);
        let texts = texts.map(|text| text.trim_start_matches("./").trim_end_matches('/'));
        texts.filter_map(|text| text.parse().ok()).collect()
    };
    let (members, excluded) = (list("members"), list("exclude"));
    let matches = |patterns: &[Pattern], path| patterns.iter().any(|pattern| pattern.matches(path));
    let folders = tracked.iter().filter_map(|path| path.strip_suffix("/Cargo.toml"));
    folders
        .filter(|folder| matches(&members, folder) && !matches(&excluded, folder))
        .map(|folder| {
            let manifest = manifest(&format!("{folder}/"));
            let name = manifest.as_ref().and_then(|manifest| manifest.get("package")?.get("name"));
            let name = name.and_then(toml::Value::as_str).filter(|name| is_plain(name));
            (folder.to_owned(), name.map(str::to_owned))
        })
        .collect()
}

/// Whether a name can stand in a command line as it is.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

/// The makefile that `make` reads at the root: its name and its text.
pub(super) fn makefile(
    text_of: &impl Fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    let names = ["GNUmakefile", "makefile", "Makefile"];
    names.into_iter().find_map(|name| Some((name, text_of(name)?)))
}

/// Gates for what is at the root: a `Makefile`'s own targets, else what each tool is known for.
pub(super) fn gates(
    tracked: &BTreeSet<&str>,
    text_of: &impl Fn(&str) -> Option<String>,
) -> Vec<Guess> {
    let makefile = makefile(text_of);
    let targets = makefile.as_ref().map(|(_, text)| targets(text)).unwrap_or_default();
    let made: Vec<Guess> = ["lint", "test"]
        .into_iter()
        .filter(|target| targets.contains(target))
        .map(|target| Guess { name: target.to_owned(), run: format!("make {target}") })
        .collect();
    if !made.is_empty() {
        return made;
    }
    let mut guesses: Vec<Guess> = Vec::new();
    for (tool, kind, run) in known(tracked, text_of) {
        let taken = guesses.iter().any(|guess| guess.name == kind);
        let name = if taken { format!("{kind}-{tool}") } else { kind.to_owned() };
        guesses.push(Guess { name, run: run.to_owned() });
    }
    guesses
}

/// The command lines that are usual with the tools of this tree: the tool, what it is for, the line.
fn known(
    tracked: &BTreeSet<&str>,
    text_of: &impl Fn(&str) -> Option<String>,
) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut known = Vec::new();
    if tracked.contains("Cargo.toml") {
        known.push(("rust", "lint", "cargo fmt --check && cargo clippy --all-targets"));
        known.push(("rust", "test", "cargo test"));
    }
    if tracked.contains("pyproject.toml") {
        let locked = tracked.contains("uv.lock");
        let ruff = text_of("pyproject.toml").is_some_and(|text| text.contains("[tool.ruff"));
        match (ruff, locked) {
            (true, true) => known.push(("python", "lint", "uv run --locked ruff check")),
            (true, false) => known.push(("python", "lint", "ruff check")),
            (false, _) => {}
        }
        let run = if locked { "uv run --locked pytest" } else { "python3 -m pytest" };
        known.push(("python", "test", run));
    }
    if let Some(package) = text_of("package.json") {
        let package: Option<serde_json::Value> = serde_json::from_str(&package).ok();
        let has = |name: &str| {
            let script = package.as_ref().and_then(|package| package.get("scripts")?.get(name));
            script.is_some_and(serde_json::Value::is_string)
        };
        if has("lint") {
            known.push(("node", "lint", "npm ci && npm run lint"));
        }
        if has("test") {
            known.push(("node", "test", "npm ci && npm test"));
        }
    }
    if tracked.contains("go.mod") {
        known.push(("go", "lint", "go vet ./..."));
        known.push(("go", "test", "go test ./..."));
    }
    known
}

/// The targets that a makefile names outright.
fn targets(makefile: &str) -> BTreeSet<&str> {
    let rule = |line| str::split_once(line, ':').filter(|(_, rest)| !rest.starts_with('='));
    let rules = makefile.lines().filter(|line| !line.starts_with(['\t', ' ', '#']));
    rules.filter_map(rule).flat_map(|(targets, _)| targets.split_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_stands_before_a_colon() {
        let makefile = "CC := cc\nlint test: all ## both\n\tcp a: b\n# old: x\nx::\n";
        assert_eq!(targets(makefile), ["lint", "test", "x"].into());
    }

    fn guessed(files: &[(&str, &str)]) -> Vec<String> {
        let tracked = files.iter().map(|&(path, _)| path).collect();
        let text_of = |path: &str| {
            let file = files.iter().find(|&&(name, _)| name == path);
            file.map(|&(_, text)| text.to_owned())
        };
        let gates = gates(&tracked, &text_of);
        gates.iter().map(|gate| format!("{}: {}", gate.name, gate.run)).collect()
    }

    #[test]
    fn gates_come_from_the_makefile_or_from_the_tools() {
        let (cargo, make) = (("Cargo.toml", ""), ("Makefile", "test:\n\ttrue\n"));
        assert_eq!(guessed(&[cargo, make]), ["test: make test"]);
        let python = ("pyproject.toml", "[tool.ruff]\n");
        assert_eq!(
            guessed(&[cargo, ("Makefile", "all:\n"), python, ("uv.lock", "")]),
            [
                "lint: cargo fmt --check && cargo clippy --all-targets",
                "test: cargo test",
                "lint-python: uv run --locked ruff check",
                "test-python: uv run --locked pytest",
            ]
        );
        let node = ("package.json", r#"{"scripts": {"test": "x"}}"#);
        assert_eq!(guessed(&[node]), ["test: npm ci && npm test"]);
        assert_eq!(guessed(&[("package.json", "{"), ("sub/go.mod", "")]), [] as [&str; 0]);
    }
}
