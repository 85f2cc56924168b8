//! What is proposed for any tree reads, has no overlaps and leaves nothing out.

use molt_domain::scope::Owner;

use super::random::Random;
use crate::policy::{Outcome, check, propose, read};

/// Names that file systems allow and patterns, scope names or TOML find hard.
fn odd_names() -> Vec<String> {
    let names = [
        "src",
        "Src",
        "SRC",
        "docs",
        ".github",
        "workflows",
        "..x",
        "root",
        "root-2",
        "manifests",
        "tree",
        "a b",
        "[x]",
        "{y,z}",
        "*",
        "**",
        "?",
        "!n",
        "back\\slash",
        "\\",
        "q\"uote",
        "apos'",
        "a,b",
        "é",
        "e\u{301}",
        "\u{301}",
        "\u{212a}",
        "K",
        "k",
        "tab\there",
        "tab\u{1}here",
        "nl\nname",
        "\u{7f}",
        "\u{85}",
        "ſ",
        "crates",
        "core",
        "x.y",
        "-dash",
        "_under",
        "日本",
        "=\u{338}",
        "Cargo.toml",
        "package.json",
        "#hash",
        "end.",
        "\u{feff}bom",
        "#{x}",
    ];
    let long = ["x".repeat(255), format!("{}y", "x".repeat(254)), "é".repeat(127), "*".repeat(255)];
    names.map(str::to_owned).into_iter().chain(long).collect()
}

fn random_tree(random: &mut Random, names: &[String]) -> Vec<String> {
    let files: Vec<String> = [
        "main.rs",
        "Cargo.toml",
        "README.md",
        "lib",
        "Makefile",
        "pyproject.toml",
        "uv.lock",
        "package.json",
        "a\nb",
        "*",
    ]
    .map(str::to_owned)
    .into();
    let vocabulary: Vec<String> =
        (0..1 + random.below(12)).map(|_| random.pick(names).to_owned()).collect();
    let mut tracked = vec!["molt.toml".to_owned()];
    for _ in 0..random.below(40) {
        let folders = (0..random.below(5)).map(|_| random.pick(&vocabulary).to_owned() + "/");
        let folders: String = folders.collect();
        tracked.push(folders + random.pick(&files));
    }
    tracked
}

/// Commits that keep to few of the files, so that some change together and some apart.
fn random_history(seed: u64, tracked: &[String]) -> Vec<Vec<String>> {
    let mut random = Random::new(seed ^ 0xc0de);
    let commit = |random: &mut Random| {
        let files = 1 + random.below(3);
        (0..files).map(|_| random.pick(&tracked[..tracked.len().min(9)]).to_owned()).collect()
    };
    (0..random.below(120)).map(|_| commit(&mut random)).collect()
}

fn text_of(path: &str, seed: u64) -> Option<String> {
    let members =
        [r#""*/*""#, r#""**""#, r#""crates/*", "core/x/", "[", 7"#, ""][seed as usize % 4];
    match path {
        "Cargo.toml" => Some(format!("[workspace]\nmembers = [{members}]\nexclude = [\"src\"]\n")),
        "Makefile" if seed.is_multiple_of(2) => {
            Some("lint test: x\nx:\n\t./lib && sh */lib; ./src/lib\n".to_owned())
        }
        "pyproject.toml" => Some("[tool.ruff]\n".to_owned()),
        "package.json" => Some(r#"{"scripts": {"lint": "x", "test": "y"}}"#.to_owned()),
        path if path.ends_with("/Cargo.toml") => {
            let name = path.split('/').next_back()?;
            Some(format!("[package]\nname = {}\n", toml::Value::from(name)))
        }
        _ => None,
    }
}

#[test]
fn any_tree_gets_a_sound_policy_that_leaves_nothing_out() {
    let names = odd_names();
    for seed in 0..400 {
        let tracked = random_tree(&mut Random::new(seed), &names);
        let paths = || tracked.iter().map(String::as_str);
        let text = propose(paths(), |path| text_of(path, seed), &random_history(seed, &tracked));
        let policy = match read(&text) {
            Ok(policy) => policy,
            Err(findings) => panic!("seed {seed}: {}\n{text}", findings[0]),
        };
        let report = check(&text, paths());
        assert_eq!(
            report.in_file("molt.toml").lines().count(),
            1,
            "seed {seed}: {report:?}\n{text}"
        );
        for path in paths() {
            let Owner::Scopes(owners) = policy.scopes.of_path(path) else {
                panic!("seed {seed}: {path:?} is nobody's\n{text}");
            };
            assert_eq!(owners.len(), 1, "seed {seed}: {path:?}\n{text}");
        }
    }
}

#[test]
fn the_checks_of_a_proposal_can_fail() {
    let tracked = ["src/main.rs", "docs/a.md", "molt.toml"];
    let text = propose(tracked, |_| None, &[]);
    assert_eq!(check(&text, tracked).findings, []);
    let without_docs = text.replace("[\"docs/**\"]", "[\"doc/**\"]");
    assert_eq!(check(&without_docs, tracked).findings.len(), 2);
    let overlapping = text.replace("[\"docs/**\"]", "[\"docs/**\", \"src/x\"]");
    assert_eq!(check(&overlapping, tracked).findings.len(), 1);
}

#[test]
fn a_workspace_is_cut_at_its_members() {
    let tracked = [
        "Cargo.toml",
        "Cargo.lock",
        "Makefile",
        "README.md",
        "molt.toml",
        ".github/workflows/ci.yml",
        "agent/Cargo.toml",
        "agent/src/main.rs",
        "coordinator/domain/Cargo.toml",
        "coordinator/domain/src/lib.rs",
        "coordinator/server/Cargo.toml",
        "coordinator/server/src/main.rs",
        "coordinator/old/Cargo.toml",
        "docs/Guide.md",
        "fuzz/Cargo.toml",
        "tools/lint.sh",
    ];
    let text_of = |path: &str| match path {
        "Cargo.toml" => Some("[workspace]\nmembers = ['agent', 'coordinator/*']".to_owned()),
        "agent/Cargo.toml" => Some("[package]\nname = 'molt-agent'".to_owned()),
        "coordinator/domain/Cargo.toml" => Some("[package]\nname = 'molt; domain'".to_owned()),
        "Makefile" => Some("test: lint\nlint:\n\tsh tools/lint.sh\n".to_owned()),
        _ => None,
    };
    let text = propose(tracked, text_of, &[]);
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(
        lines[3..],
        [
            "[scope.github]",
            "paths = [\".github/**\"]",
            "[scope.agent]",
            "paths = [\"agent/**\"]",
            "tests = [\"cargo test -p molt-agent\"]",
            "[scope.coordinator]",
            "paths = [\"coordinator/**\"]",
            "[scope.docs]",
            "paths = [\"docs/**\"]",
            "[scope.tools]",
            "paths = [\"tools/**\"]",
            "[scope.\"coordinator/domain\"]",
            "paths = [\"coordinator/domain/**\"]",
            "[scope.\"coordinator/server\"]",
            "paths = [\"coordinator/server/**\"]",
            "[scope.root]",
            "paths = [\"*\"]",
            "[scope.manifests]",
            "carve = true",
            "max = \"10m\"",
            "paths = [\"**/Cargo.lock\", \"**/Cargo.toml\"]",
            "[gate.lint]",
            "run = \"make lint\"",
            "timeout = \"30m\"",
            "[gate.test]",
            "run = \"make test\"",
            "timeout = \"30m\"",
            "[merge]",
            "method = \"merge\"                # merge | ff",
            "required = [\"lint\", \"test\", \"scope\"]",
            "protect = [\"Makefile\", \"tools/lint.sh\", \".github/workflows/**\"]",
        ]
    );
    let report = check(&text, tracked);
    assert_eq!(report.findings, []);
    let policy = report.policy.unwrap();
    for path in ["molt.toml", "Makefile", "tools/lint.sh", ".github/workflows/new.yml"] {
        assert!(policy.protects(path), "{path}");
    }
    assert!(!policy.protects("Cargo.toml") && !policy.protects("agent/src/main.rs"));
}

#[test]
fn a_tree_of_too_many_directories_is_one_scope() {
    let tracked: Vec<String> = (0..300).map(|n| format!("d{n}/x")).collect();
    let text = propose(tracked.iter().map(String::as_str), |_| None, &[]);
    let report = check(&text, tracked.iter().map(String::as_str));
    assert_eq!((report.outcome(), report.findings), (Outcome::Sound, vec![]));
    assert_eq!(report.policy.unwrap().scopes.names().count(), 1);
}

fn commits(times: usize, paths: &[&str]) -> Vec<Vec<String>> {
    vec![paths.iter().map(|path| (*path).to_owned()).collect(); times]
}

/// The lines of the scopes, with the reasons that stand over them.
fn scopes_of(text: &str) -> Vec<&str> {
    let (_, scopes) = text.split_once("too.\n\n").unwrap();
    let (scopes, _) = scopes.split_once("\n# A gate").unwrap();
    scopes.lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn folders_that_change_together_are_one_scope_and_say_so() {
    let tracked = ["docs/a.md", "include/v.h", "runtime/vm.c", "molt.toml"];
    let mut history = commits(14, &["include/v.h", "runtime/vm.c"]);
    history.extend(commits(6, &["runtime/vm.c"]));
    history.extend(commits(6, &["docs/a.md"]));
    history.extend(commits(4, &["docs/a.md", "runtime/vm.c"]));
    let text = propose(tracked, |_| None, &history);
    assert_eq!(
        scopes_of(&text),
        [
            "[scope.docs]",
            "paths = [\"docs/**\"]",
            "# include is in it: 14 of the last 24 commits to either changed both.",
            "[scope.runtime]",
            "paths = [\"runtime/**\", \"include/**\"]",
            "# The files at the root, this one among them.",
            "[scope.root]",
            "paths = [\"*\"]",
        ]
    );
    assert_eq!(check(&text, tracked).findings, []);
    let few = commits(4, &["include/v.h", "runtime/vm.c"]);
    assert!(propose(tracked, |_| None, &few).contains("[scope.include]"), "chance");
    let wide: Vec<String> = (0..40).map(|n| format!("runtime/{n}.c")).collect();
    let sweep = [wide, vec!["include/v.h".to_owned()]].concat();
    let sweeps = propose(tracked, |_| None, &vec![sweep; 20]);
    assert!(sweeps.contains("[scope.include]"), "whoever formats everything says nothing");
}

#[test]
fn a_folder_whose_parts_change_apart_is_cut_and_says_so() {
    let tracked = ["src/app/gc/x.c", "src/app/jit/x.c", "src/app/main.c", "tools/t", "molt.toml"];
    let mut history = commits(9, &["src/app/gc/x.c", "src/app/gc/y.c", "Cargo.lock"]);
    history.extend(commits(8, &["src/app/jit/x.c"]));
    history.extend(commits(3, &["src/app/gc/x.c", "src/app/jit/x.c", "src/app/main.c"]));
    history.extend(commits(7, &["src/app/gone/x.c"]));
    let text = propose(tracked, |_| None, &history);
    assert_eq!(
        scopes_of(&text),
        [
            "# Of the last 27 commits in src, 24 changed one of its parts alone: those are cut out.",
            "[scope.src]",
            "paths = [\"src/**\"]",
            "[scope.tools]",
            "paths = [\"tools/**\"]",
            "# Changed by 12 of them.",
            "[scope.\"src/app/gc\"]",
            "paths = [\"src/app/gc/**\"]",
            "# Changed by 11 of them.",
            "[scope.\"src/app/jit\"]",
            "paths = [\"src/app/jit/**\"]",
            "# The files at the root, this one among them.",
            "[scope.root]",
            "paths = [\"*\"]",
        ]
    );
    assert_eq!(check(&text, tracked).findings, []);
    let together = commits(20, &["src/app/gc/x.c", "src/app/jit/x.c"]);
    assert!(!propose(tracked, |_| None, &together).contains("src/app/gc/**"), "they change as one");
}
