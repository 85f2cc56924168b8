//! The Dockerfile: its stages, and what its image starts.

use std::collections::BTreeMap;

use toml::Table;

use crate::command::{CommandLine, Mount, What};
use crate::shape::Config;
use crate::tree::{Fault, Tree, root};

pub(crate) const DOCKERFILE: &str = "deploy/container/Dockerfile";
const IGNORED: &str = "deploy/container/Dockerfile.dockerignore";

const KEYWORDS: [&str; 12] = [
    "FROM",
    "RUN",
    "COPY",
    "WORKDIR",
    "USER",
    "VOLUME",
    "EXPOSE",
    "ENTRYPOINT",
    "CMD",
    "ENV",
    "ARG",
    "LABEL",
];

/// An image as its Dockerfile describes it.
pub(crate) struct Image {
    /// What is started, before the arguments.
    pub(crate) entrypoint: Vec<String>,
    /// The arguments that are given when no others are.
    pub(crate) arguments: Vec<String>,
    /// Who it runs as.
    pub(crate) user: String,
    /// The port that it listens on.
    port: String,
    /// The folders that can be written.
    volumes: Vec<String>,
}

/// The instructions: a keyword and the rest of its line, with continued lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let instruction = |line: &str| {
        let (keyword, rest) = line.trim().split_once(' ')?;
        Some((keyword.to_owned(), rest.trim().to_owned()))
    };
    joined.lines().filter_map(instruction).collect()
}

/// The image of the last stage.
pub(crate) fn image(tree: &Tree) -> Image {
    let all = instructions(tree.text(DOCKERFILE));
    let last = all.iter().rposition(|(keyword, _)| keyword == "FROM").unwrap_or(0);
    let get = |wanted: &str| {
        let found = all[last..].iter().rev().find(|(keyword, _)| keyword == wanted);
        found.map(|(_, rest)| rest.clone()).unwrap_or_default()
    };
    let words = |text: String| serde_json::from_str(&text).unwrap_or_default();
    Image {
        entrypoint: words(get("ENTRYPOINT")),
        arguments: words(get("CMD")),
        user: get("USER"),
        port: get("EXPOSE"),
        volumes: [get("VOLUME"), "/run/molt".to_owned()].into(),
    }
}

fn check(tree: &Tree) -> Vec<String> {
    let all = instructions(tree.text(DOCKERFILE));
    let mut complaints = Vec::new();
    for (keyword, _) in all.iter().filter(|(keyword, _)| !KEYWORDS.contains(&keyword.as_str())) {
        complaints.push(format!("unknown instruction {keyword}"));
    }
    complaints.extend(stages(tree, &all));
    complaints.extend(copies(tree, &all));
    let image = image(tree);
    let (user, group) = image.user.split_once(':').unwrap_or((&image.user, ""));
    if ![user, group].iter().all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)) {
        complaints.push(format!("user `{}` is no number, or root", image.user));
    }
    let text = tree.text("deploy/container/coordinator.toml");
    if Config::read(text).port != image.port {
        complaints.push(format!("port {} is not the configuration's", image.port));
    }
    let mut mounts = vec![
        Mount::new("/etc/molt/coordinator.toml", What::Text(text.to_owned())),
        Mount::new("/etc/molt/tls", What::Given),
    ];
    mounts.extend(image.volumes.iter().map(|path| Mount::new(path, What::Writable)));
    let words = [image.entrypoint, image.arguments].concat();
    let env = BTreeMap::from([(
        "MOLT_COORD_ADVERTISE".to_owned(),
        "coordinator.example:7420".to_owned(),
    )]);
    let line = CommandLine { place: DOCKERFILE.to_owned(), words, env, mounts };
    complaints.extend(line.complaints());
    complaints
}

/// Bases have versions, the compiler is ours, and what only builds is left behind.
fn stages(tree: &Tree, all: &[(String, String)]) -> Vec<String> {
    let toolchain: Table = tree.text("rust-toolchain.toml").parse().expect("TOML");
    let channel = toolchain["toolchain"]["channel"].as_str().expect("a channel");
    let froms: Vec<&str> = all
        .iter()
        .filter(|(keyword, _)| keyword == "FROM")
        .map(|(_, rest)| rest.as_str())
        .collect();
    let mut complaints = Vec::new();
    if froms.len() < 2 {
        complaints.push("builds in the stage that is shipped".to_owned());
    }
    for from in &froms {
        let base = from.split(' ').next().unwrap_or_default();
        let tag = base.rsplit_once(':').map_or("", |(_, tag)| tag);
        if !tag.contains('.') {
            complaints.push(format!("base `{base}` has no version"));
        }
        if base.starts_with("rust:") && !tag.starts_with(&format!("{channel}-")) {
            complaints.push(format!("base `{base}` is not Rust {channel}"));
        }
    }
    let last = all.iter().rposition(|(keyword, _)| keyword == "FROM").unwrap_or(0);
    for (at, (keyword, rest)) in all.iter().enumerate() {
        if keyword == "RUN" && rest.contains("protobuf-compiler") && at > last {
            complaints.push("protoc is shipped".to_owned());
        }
        if rest.contains("protobuf-compiler") && !rest.contains("libprotobuf-dev") {
            complaints.push("protoc has no definitions to build on".to_owned());
        }
    }
    let builds = |rest: &str| rest.contains("cargo build") && rest.contains("--locked");
    if !all.iter().any(|(keyword, rest)| keyword == "RUN" && builds(rest)) {
        complaints.push("does not build what is locked".to_owned());
    }
    complaints
}

/// What is copied is in the repository and not ignored, and all members of the workspace are.
fn copies(tree: &Tree, all: &[(String, String)]) -> Vec<String> {
    let ignored = tree.text(IGNORED);
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut complaints = Vec::new();
    let mut copied = Vec::new();
    for (_, rest) in all.iter().filter(|(keyword, _)| keyword == "COPY") {
        let words: Vec<&str> = rest.split_whitespace().collect();
        if let Some(stage) = words.first().and_then(|word| word.strip_prefix("--from=")) {
            let named = |(keyword, rest): &(String, String)| {
                keyword == "FROM" && rest.ends_with(&format!(" AS {stage}"))
            };
            if !all.iter().any(named) {
                complaints.push(format!("there is no stage `{stage}`"));
            }
            continue;
        }
        copied.extend(words.iter().copied().take(words.len().saturating_sub(1)));
    }
    for source in &copied {
        if !root().join(source).exists() {
            complaints.push(format!("{source} is not in the repository"));
        }
        if !kept.contains(source) {
            complaints.push(format!("{source} is ignored by {IGNORED}"));
        }
    }
    let workspace: Table = tree.text("Cargo.toml").parse().expect("TOML");
    for member in workspace["workspace"]["members"].as_array().expect("members") {
        let member = member.as_str().expect("a path");
        let within = |source: &&str| member == *source || member.starts_with(&format!("{source}/"));
        if !copied.iter().any(within) {
            complaints.push(format!("{member} is not copied"));
        }
    }
    complaints
}

#[test]
fn the_image_is_sound_and_its_command_line_is_accepted() {
    let faults: &[Fault] = &[
        (DOCKERFILE, "FROM debian:12.12-slim", "FROM debian:latest", "has no version"),
        (DOCKERFILE, "rust:1.95.0", "rust:1.94.0", "is not Rust 1.95.0"),
        (DOCKERFILE, "USER 10001:10001", "USER molt", "is no number, or root"),
        (DOCKERFILE, "USER 10001:10001", "USER 0:0", "is no number, or root"),
        (DOCKERFILE, "--from=build", "--from=builder", "there is no stage `builder`"),
        (DOCKERFILE, " git openssh", " git protobuf-compiler openssh", "protoc is shipped"),
        (DOCKERFILE, " libprotobuf-dev", "", "protoc has no definitions"),
        (DOCKERFILE, "COPY agent agent", "", "agent is not copied"),
        (DOCKERFILE, "COPY agent agent", "COPY agents agents", "agents is not in the repository"),
        (DOCKERFILE, "EXPOSE 7420", "EXPOSE 7421", "port 7421 is not the configuration's"),
        (DOCKERFILE, "\"--config\"", "\"--conf\"", "unexpected argument '--conf'"),
        (DOCKERFILE, "/usr/bin/molt-coordinator\"]", "/usr/bin/molt\"]", "none of our programs"),
        (DOCKERFILE, "/run/molt/ready", "/run/ready", "/run/ready cannot be written"),
        (DOCKERFILE, "--locked", "", "does not build what is locked"),
        (DOCKERFILE, "EXPOSE", "EXPOSES", "unknown instruction EXPOSES"),
        (IGNORED, "!proto\n", "", "proto is ignored"),
    ];
    Tree::hold(check, faults);
}
