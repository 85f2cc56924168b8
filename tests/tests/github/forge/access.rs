//! Tokens: made anew when they end, and to be seen nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use molt_forge::github::{GithubForge, Operation};
use molt_forge::{Forge, ForgeError, GitForge, Landed};
use molt_repo::{Access, Git, Mirror, RepoError};

use super::fixture::{Fixture, in_full};
use super::leader::{Leader, program};

/// Longer than an installation's token lasts.
const OVER: Duration = Duration::from_secs(2 * 3600);

/// A mirror of the repository, let in as the forge is.
fn mirror(fixture: &Fixture, leader: &Leader, program: &Path) -> Mirror {
    let git = Git::at(program).expect("git is there");
    let mirror = Mirror::open(git, fixture.path("mirror.git"), &fixture.url());
    let access = leader.forge.access();
    mirror
        .expect("the folder is ours")
        .with_access(Access::new(move |again| Ok(access.environment(again)?)))
}

#[test]
fn a_token_that_ended_is_made_anew() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let mirror = mirror(&fixture, &leader, &program());
    assert_eq!(fixture.asked(Operation::TOKEN), 1, "all use one");

    fixture.github.advance_clock(OVER);
    let car = "car_0001".parse().expect("an id");
    leader.forge.publish_candidate(&car, &landing.candidate).expect("git is let in");
    fixture.github.advance_clock(OVER);
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Moved)));
    fixture.github.advance_clock(OVER);
    mirror.fetch().expect("the mirror is let in");
    assert_eq!(mirror.branch("main").expect("it was fetched").as_str(), landing.candidate.as_str());
    let made = fixture.github.journal();
    let made = made.iter().filter(|entry| entry.operation == Operation::TOKEN.to_string());
    assert_eq!(made.filter(|entry| entry.status == 201).count(), 4, "one each time");
}

#[test]
fn a_mirror_without_a_token_is_denied() {
    let (fixture, leader) = Fixture::new();
    let git = Git::at(program()).expect("git is there");
    let stranger = Mirror::open(git, fixture.path("stranger.git"), &fixture.url());
    let error = stranger.expect("the folder is ours").fetch().expect_err("it is private");
    assert!(matches!(error, RepoError::RemoteDenied { .. }), "{error:?}");

    let mirror = mirror(&fixture, &leader, &program());
    fixture.github.advance_clock(OVER);
    fixture.github.suspend_installation(true);
    let error = mirror.fetch().expect_err("the app is suspended");
    assert!(matches!(error, RepoError::NoAccess { .. }), "{error:?}");
    assert!(in_full(&error).contains("suspended"), "{}", in_full(&error));
}

#[test]
fn no_token_goes_to_a_remote_in_the_clear() {
    let (fixture, leader) = Fixture::new();
    for remote in ["http://git.example/acme/widget.git", "git@github.com:acme/widget.git", "origin"]
    {
        let git = GitForge::new(program(), &leader.git_dir, remote);
        let client = std::sync::Arc::new(fixture.client());
        let place = "acme/widget".parse().expect("a name");
        let opened = GithubForge::new(git, place, client, fixture.runtime());
        assert!(matches!(opened, Err(ForgeError::ClearRemote { .. })), "{remote}");
    }
}

/// Runs git and writes down with what arguments, and with what the header is.
fn recorder(fixture: &Fixture) -> PathBuf {
    let path = fixture.path("recording-git");
    let (arguments, header) = (fixture.path("arguments"), fixture.path("header"));
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\n\
         printf '%s\\n' \"$GIT_CONFIG_VALUE_0\" >> '{}'\nexec '{}' \"$@\"\n",
        arguments.display(),
        header.display(),
        program().display(),
    );
    fs::write(&path, text).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    path
}

/// All that would let somebody in who saw it.
fn secrets(fixture: &Fixture) -> Vec<String> {
    let journal = fixture.github.journal();
    let tokens = journal.iter().filter_map(|entry| entry.token.as_ref()?.strip_prefix("Bearer "));
    let mut tokens: Vec<String> = tokens.map(str::to_owned).collect();
    tokens.sort();
    tokens.dedup();
    let pairs: Vec<String> =
        tokens.iter().map(|token| STANDARD.encode(format!("x-access-token:{token}"))).collect();
    tokens.extend(pairs);
    tokens
}

#[test]
fn no_token_is_in_an_argument_an_error_or_what_is_shown() {
    let fixture = Fixture::granted(&[("metadata", "read"), ("contents", "write")]);
    let git = recorder(&fixture);
    let leader = fixture.leader_by(1, &git);
    let landing = leader.landing("i1");
    let mirror = mirror(&fixture, &leader, &git);
    assert!(matches!(leader.forge.land(&landing), Ok(Landed::Moved)));
    mirror.fetch().expect("the mirror is let in");
    let car = "car_0001".parse().expect("an id");
    let declined = leader.forge.retire_candidate(&car, &landing.candidate).expect_err("not there");
    fixture.github.delete_repository(fixture.repository);
    let gone = leader.forge.land(&landing).expect_err("it is gone");
    let lost = mirror.fetch().expect_err("it is gone");

    let shown = [
        fs::read_to_string(fixture.path("arguments")).expect("git ran"),
        in_full(&declined) + &in_full(&gone) + &in_full(&lost),
        format!("{declined:?} {gone:?} {lost:?} {:?} {mirror:?}", leader.forge),
        leader.forge.describe().to_string(),
    ];
    let header = fs::read_to_string(fixture.path("header")).expect("git ran");
    let secrets = secrets(&fixture);
    assert!(secrets.iter().any(|secret| header.contains(secret)), "git was told none of them");
    for secret in &secrets {
        assert!(shown.iter().all(|text| !text.contains(secret)), "it is shown: {secret}");
    }
    assert!(shown[0].contains("ls-remote"), "{}", shown[0]);
}
