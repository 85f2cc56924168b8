//! What a git remote declines by a hook, or cannot do at all.

use molt_forge::{Forge, ForgeError, Landed};

use super::fixture::Fixture;
use super::leader::git;

const MAIN: &str = "refs/heads/main";
const FENCE: &str = "refs/molt/fence";

#[test]
fn what_the_remote_declines_moved_nothing() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    fixture.hook("update", &format!("test \"$1\" != {MAIN}"));
    let error = leader.forge.land(&landing).unwrap_err();
    let ForgeError::Declined { reason, .. } = &error else { panic!("{error:?}") };
    assert!(reason.contains("hook declined"), "{reason}");
    assert_eq!(leader.at_remote(FENCE), None, "the fence moved without the base");
    fixture.unhook("update");
    assert!(matches!(leader.forge.land(&landing).unwrap(), Landed::Moved));
}

#[test]
fn a_remote_that_cannot_move_two_refs_together_is_refused() {
    let (fixture, leader) = Fixture::new();
    let landing = leader.landing("i1");
    git(&fixture.remote(), &["config", "receive.advertiseAtomic", "false"]);
    let error = leader.forge.land(&landing).unwrap_err();
    assert!(matches!(error, ForgeError::NoAtomicPush { .. }), "{error}");
    assert_eq!(leader.base(), landing.expected_base);
}
