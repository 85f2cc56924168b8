//! The command line as a whole.

use clap::error::ErrorKind;
use molt_domain::board::Refusal;
use molt_domain::claim::{Obstacle, Piece};
use molt_domain::id::{CarId, ClaimId, SessionId, TaskId};
use molt_domain::name::AgentName;
use molt_domain::scope::Conflict;

use super::*;

/// Every verb and what is below it, with the words that lead there.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(path: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let path = format!("{path} {}", verb.get_name());
            below(&path, verb, found);
            found.push((path, verb.clone()));
        }
    }
    let mut found = Vec::new();
    below("molt-agent", &Cli::command(), &mut found);
    found
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_has_help_with_an_example_that_parses() {
    let commands = commands();
    assert!(commands.len() > 25, "{} verbs", commands.len());
    for (path, command) in commands {
        assert!(command.get_about().is_some(), "{path} says nothing about itself");
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> =
            examples.lines().filter_map(|line| line.trim().strip_prefix("molt-agent ")).collect();
        assert!(!examples.is_empty(), "{path} has no example");
        for example in examples {
            let full = format!("molt-agent {example}");
            assert!(full.starts_with(path.as_str()), "{path}: `{full}` is of another verb");
            if let Err(error) = Cli::try_parse_from(words(&full)) {
                panic!("{path}: `{full}`: {error}");
            }
        }
    }
}

/// A line as a shell splits it, as far as examples need it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.replace("$PPID", "7").chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

#[test]
fn arguments_of_all_verbs_are_documented() {
    for (path, command) in commands() {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
        }
    }
}

#[test]
fn the_name_of_a_verb_is_its_word() {
    let table = [
        ("join", "join"),
        ("claim docs", "claim"),
        ("task done", "task"),
        ("gate show car_0001", "gate"),
        ("check --staged", "check"),
        ("supervise folder", "supervise"),
    ];
    for (line, name) in table {
        let cli = Cli::try_parse_from(words(&format!("molt-agent {line}"))).unwrap();
        assert_eq!(cli.verb.name(), name);
    }
}

#[test]
fn mistakes_are_usage_errors_with_the_nearest_word() {
    let table = [
        ("molt-agent stats", ErrorKind::InvalidSubcommand, "status"),
        ("molt-agent claim docs --wiat 3m", ErrorKind::UnknownArgument, "--wait"),
        ("molt-agent release --outcome don", ErrorKind::InvalidValue, "done"),
        ("molt-agent claim", ErrorKind::MissingRequiredArgument, "SCOPE"),
        ("molt-agent check", ErrorKind::MissingRequiredArgument, "PATH"),
        ("molt-agent claim docs --wait soon", ErrorKind::ValueValidation, "90s"),
        ("molt-agent gate show clm_0001", ErrorKind::ValueValidation, "car_"),
        ("molt-agent status --coordinator https://", ErrorKind::ValueValidation, "host:port"),
    ];
    for (line, kind, hint) in table {
        let error = Cli::try_parse_from(words(line)).unwrap_err();
        assert_eq!(error.kind(), kind, "{line}");
        assert!(error.to_string().contains(hint), "{line}: {error}");
    }
}

#[test]
fn a_usage_error_fits_one_line_with_the_nearest_word() {
    let problem = |line: &str| {
        let error = Cli::try_parse_from(words(line)).unwrap_err();
        problem_in(&error.render().to_string())
    };
    assert_eq!(
        problem("molt-agent claim docs --wiat 3m"),
        "unexpected argument '--wiat' found tip: a similar argument exists: '--wait'"
    );
    assert_eq!(
        problem("molt-agent claim"),
        "the following required arguments were not provided: <SCOPE>..."
    );
}

#[test]
fn only_steps_of_this_program_are_offered() {
    assert!(is_known("stop editing"));
    assert!(is_known("molt-agent claim docs --wait 15m"));
    assert!(is_known("molt-agent task list"));
    assert!(!is_known("molt-agent seize docs"));
    assert!(!is_known("molt-agent task seize tsk_0001"));
}

#[test]
fn an_unreadable_line_is_about_the_verb_that_it_names() {
    let asked = |line: &str| asked_for(words(line).into_iter());
    assert_eq!(asked("--json claim --wiat 3m"), "claim");
    assert_eq!(asked("--json stats"), "error");
}

#[test]
fn prime_alone_ends_well_when_the_line_is_unreadable() {
    let asked = |line: &str| is_prime(words(line).into_iter());
    assert!(asked("prime --jsno") && asked("--repo ? prime"));
    assert!(!asked("claim --why prime docs") && !asked("prim") && !asked("--jsno"));
}

/// A refusal of each kind that gives commands to go on with.
fn refusals() -> Vec<Refusal> {
    let named = |text: &str| text.parse().expect("a name");
    let obstacle = Obstacle {
        wanted: Piece::Scope("docs".parse().expect("a scope")),
        held: Piece::Scope("docs".parse().expect("a scope")),
        claim: ClaimId::from_counter(3),
        holder: SessionId::from_counter(2),
        conflict: Conflict::Ancestor,
    };
    let holder: AgentName = named("ann");
    let task = TaskId::from_counter(7);
    let lock = "diff".parse().expect("a lock");
    let pool = "cargo".parse().expect("a pool");
    let free = vec![Piece::Scope("src".parse().expect("a scope"))];
    vec![
        Refusal::ScopeHeld {
            obstacle,
            holder: holder.clone(),
            task: None,
            seen: 0,
            until: None,
            free,
            ahead: 0,
        },
        Refusal::LockHeld { lock, hold: None, holder: None, ahead: 0 },
        Refusal::PoolFull { pool, size: 1, users: Vec::new(), ahead: 0 },
        Refusal::TaskTaken { task, holder },
        Refusal::WaitCycle { cycle: Vec::new() },
        Refusal::Lost { what: "clm_0003".to_owned(), reason: "revoked".to_owned() },
        Refusal::NothingReady { reasons: Vec::new() },
        Refusal::NotFound { kind: "scope".to_owned(), name: "x".to_owned(), nearest: None },
        Refusal::Gate {
            car: CarId::from_counter(9),
            gate: "lint".parse().expect("a gate"),
            reason: "failed".to_owned(),
        },
        Refusal::Closed { reason: "no policy".to_owned() },
    ]
}

#[test]
fn every_command_that_a_refusal_suggests_parses() {
    let steps: Vec<String> = refusals().iter().flat_map(Refusal::next_steps).collect();
    let commands: Vec<&String> =
        steps.iter().filter(|step| step.starts_with("molt-agent ")).collect();
    assert!(commands.len() > 10, "{steps:?}");
    for command in commands {
        if let Err(error) = Cli::try_parse_from(words(command)) {
            panic!("`{command}`: {error}");
        }
    }
}
