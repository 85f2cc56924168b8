//! What lets git in: asked for each command that goes to the remote, and never on a command line.

use std::fs;
use std::sync::{Arc, Mutex};

use molt_forge::{Access, Forge, ForgeError, GitForge, Landed, Variables};

use super::fixture::Fixture;
use super::leader::{Leader, main_branch};

/// An address that leads nowhere unless git's environment says otherwise.
const ADDRESS: &str = "molt://nowhere/widget.git";

/// Ends as `ssh` does when the key is none of the remote's.
const REFUSAL: &str = "echo 'git@nowhere: Permission denied (publickey).' >&2; exit 255; #";

/// A door that opens by a setting in git's environment, after it was refused so often.
#[derive(Debug)]
struct Door {
    remote: String,
    refusals: usize,
    asked: Mutex<Vec<bool>>,
}

impl Access for Door {
    fn environment(&self, again: bool) -> Result<Variables, ForgeError> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(again);
        let open = asked.len() > self.refusals;
        let to = if open { self.remote.clone() } else { "ssh://nowhere/widget.git".to_owned() };
        let pairs = [
            ("GIT_CONFIG_COUNT", "1".to_owned()),
            ("GIT_CONFIG_KEY_0", format!("url.{to}.insteadOf")),
            ("GIT_CONFIG_VALUE_0", ADDRESS.to_owned()),
            ("GIT_SSH_COMMAND", REFUSAL.to_owned()),
        ];
        Ok(pairs.map(|(name, value)| (name.to_owned(), value)).to_vec())
    }
}

/// Nothing is to be had.
#[derive(Debug)]
struct Shut;

impl Access for Shut {
    fn environment(&self, _: bool) -> Result<Variables, ForgeError> {
        Err(ForgeError::ClearRemote { remote: ADDRESS.to_owned() })
    }
}

fn behind(fixture: &Fixture, leader: &Leader, refusals: usize) -> (GitForge, Arc<Door>) {
    let remote = fixture.remote().to_str().unwrap().to_owned();
    let door = Arc::new(Door { remote, refusals, asked: Mutex::default() });
    let program = fixture.wrapper(
        "recording-git",
        &format!(
            "printf '%s\\n' \"$*\" >> '{}'; exec \"$GIT\" \"$@\"",
            fixture.path("commands").display()
        ),
    );
    let forge = GitForge::new(program, &leader.git_dir, ADDRESS);
    (forge.with_access(Arc::clone(&door) as Arc<dyn Access>), door)
}

#[test]
fn it_is_asked_for_each_command_that_goes_to_the_remote_and_for_no_other() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let (forge, door) = behind(&fixture, &leader, 0);
    assert_eq!(forge.base(&main_branch()).unwrap(), landing.expected_base);
    assert!(matches!(forge.land(&landing).unwrap(), Landed::Moved));
    assert_eq!(leader.base(), landing.candidate);
    let commands = fs::read_to_string(fixture.path("commands")).unwrap();
    let remote = commands.lines().filter(|line| line.contains(ADDRESS)).count();
    assert!(commands.lines().count() > remote, "some were local: {commands}");
    assert_eq!(*door.asked.lock().unwrap(), vec![false; remote]);
    assert!(!commands.contains("insteadOf"), "it stands on a command line: {commands}");
}

#[test]
fn a_command_that_was_not_let_in_is_run_once_more() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let (forge, door) = behind(&fixture, &leader, 1);
    assert!(matches!(forge.land(&landing).unwrap(), Landed::Moved));
    assert_eq!(*door.asked.lock().unwrap(), [false, true]);

    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let (forge, door) = behind(&fixture, &leader, 2);
    let error = forge.land(&landing).unwrap_err();
    assert!(matches!(error, ForgeError::RemoteDenied { .. }), "{error:?}");
    assert_eq!(*door.asked.lock().unwrap(), [false, true], "once, and no more");
    assert_eq!(leader.base(), landing.expected_base);
}

#[test]
fn where_nothing_lets_it_in_nothing_is_run() {
    let (_fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    let forge = GitForge::new("/nowhere/git", &leader.git_dir, ADDRESS).with_access(Arc::new(Shut));
    let error = forge.base(&main_branch()).unwrap_err();
    assert!(matches!(error, ForgeError::ClearRemote { .. }), "{error:?}");
    let error = forge.publish_change(&"17".parse().unwrap(), &landing.candidate).unwrap_err();
    assert!(matches!(error, ForgeError::ClearRemote { .. }), "nothing was sent: {error:?}");
}
