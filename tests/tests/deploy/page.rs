//! What pages for operators have in common: their commands are commands, their files and links are
//! there, and their settings are settings.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::programs;
use crate::tree::{Tree, root};

/// The key of an App, which opens nothing.
const KEY: &str = include_str!("../github/data/app.pem");

/// A block of the page: its language and its lines.
pub(crate) struct Block<'p> {
    pub(crate) language: &'p str,
    pub(crate) lines: Vec<&'p str>,
}

pub(crate) fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            if inside {
                blocks.push(Block { language, lines: Vec::new() });
            }
        } else if let (true, Some(block)) = (inside, blocks.last_mut()) {
            block.lines.push(line);
        }
    }
    blocks
}

/// What is typed, by anybody or by root.
pub(crate) fn typed<'p>(block: &Block<'p>) -> Vec<&'p str> {
    if block.language != "console" {
        return Vec::new();
    }
    let prompt = |line: &'p str| line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
    block.lines.iter().filter_map(|line| prompt(line)).collect()
}

/// The words of a command, of which some are in quotes.
pub(crate) fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// What is wrong with the page `name`.
pub(crate) fn check(tree: &Tree, name: &str) -> Vec<String> {
    let page = tree.text(name);
    let mut complaints = Vec::new();
    for line in blocks(page).iter().flat_map(typed) {
        for command in line.trim_matches(['(', ')', '&', ' ']).split("&&") {
            let words = words(command);
            let program = match words.first().map(String::as_str) {
                Some("molt-coordinator") => programs::coordinator(),
                Some("molt-agent") => programs::agent(),
                _ => continue,
            };
            // Help comes once everything before it was understood.
            let output = Command::new(program)
                .args(&words[1..])
                .arg("--help")
                .stdin(Stdio::null())
                .output()
                .expect("the program starts");
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                complaints.push(format!("{name}: `{}`: {said}", command.trim()));
            }
        }
    }
    complaints.extend(links(tree, name));
    complaints.extend(files(name, page));
    complaints.extend(settings(name, page));
    complaints
}

/// Links lead to files, and to headings of this page or another one.
fn links(tree: &Tree, name: &str) -> Vec<String> {
    let targets = tree.text(name).split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let broken = targets.filter(|target| {
        let (file, heading) = target.split_once('#').unwrap_or((*target, ""));
        let path = if file.is_empty() { name.to_owned() } else { format!("docs/{file}") };
        let has = |page: &str| page.lines().filter_map(anchor).any(|known| known == heading);
        let is_there = root().join(&path).exists();
        !is_there || !heading.is_empty() && !tree.find(&path).is_some_and(has)
    });
    broken.map(|target| format!("{name}: there is no {target}")).collect()
}

/// What a heading is linked by.
fn anchor(line: &str) -> Option<String> {
    let text = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -".contains(*c));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// The files that the page names are in the repository.
fn files(name: &str, page: &str) -> Vec<String> {
    let named = page.split('`').skip(1).step_by(2).filter(|text| text.starts_with("deploy/"));
    let missing = named.filter(|path| !root().join(path).exists());
    missing.map(|path| format!("{name}: there is no {path}")).collect()
}

/// Tables of a coordinator's own configuration are taken by the real program. They stand beside
/// others, which are a repository if they name none.
fn settings(name: &str, page: &str) -> Vec<String> {
    let of_coordinator = |block: &&Block<'_>| {
        block.language == "toml" && block.lines[0].contains("other tables of every coordinator")
    };
    let blocks = blocks(page);
    let faults = blocks.iter().filter(of_coordinator).flat_map(|block| {
        let mut text = block.lines.join("\n");
        if !text.contains("[[repo]]") {
            text.push_str("\n[[repo]]\nremote = \"project.git\"\n");
        }
        unsound(&text)
    });
    faults.map(|fault| format!("{name}: {fault}")).collect()
}

/// What the real program has against a configuration.
fn unsound(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (file, text) in [("c.toml", text), ("github.pem", KEY), ("webhook.secret", "secret\n")] {
        let path = folder.path().join(file);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
    }
    let output = Command::new(programs::coordinator())
        .args(["serve", "--config", "c.toml", "--data", "state", "--check-config"])
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    if output.status.success() {
        return Vec::new();
    }
    let said = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&said).lines().map(str::to_owned).collect()
}
