//! Claims of paths beside scopes.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod world;

use molt_domain::board::{Command, Event, Refusal, Reply};
use molt_domain::claim::{Accepted, Claim, Mode, Named, Otherwise, Outcome, Piece, Wanted};
use molt_domain::scope::{Conflict, Pattern, ScopeTree};
use molt_domain::session::Credentials;

use world::World;

const SCOPES: [(&str, &str); 5] = [
    ("runtime", "runtime/**"),
    ("runtime/gc", "runtime/gc/**"),
    ("docs", "docs/**"),
    ("brief", "brief/**"),
    ("carve", "**/Cargo.toml"),
];

fn patterns(globs: &[&str]) -> Vec<Pattern> {
    globs.iter().map(|glob| glob.parse().unwrap()).collect()
}

fn wanted(scopes: &[&str], globs: &[&str]) -> Wanted {
    Wanted {
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        globs: patterns(globs),
        why: String::new(),
        task: None,
        mode: Mode::Exclusive,
        risk: None,
        tests: Vec::new(),
        max: None,
        otherwise: Otherwise::Refuse,
    }
}

fn claim(scopes: &[&str], globs: &[&str]) -> Command {
    Command::Claim(wanted(scopes, globs))
}

fn release(scopes: &[&str], globs: &[&str]) -> Command {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    Command::Release { scopes, globs: patterns(globs), outcome: Outcome::Done }
}

#[track_caller]
fn granted(world: &mut World, who: &Credentials, command: Command) -> Claim {
    match world.by(who, command) {
        Ok(Reply::Granted { claim, .. }) => *claim,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(world: &mut World, who: &Credentials, command: Command) -> Refusal {
    match world.by(who, command) {
        Err(refusal) => *refusal,
        Ok(reply) => panic!("{reply:?}"),
    }
}

/// The scopes of the policy in force.
fn policy(world: &World) -> ScopeTree {
    let mut repos = world.board.tables().repos.values();
    repos.next().unwrap().policy.scopes.clone()
}

#[test]
fn paths_and_scopes_keep_each_other_out_where_they_overlap() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    let held = granted(&mut world, &ann, claim(&[], &["runtime/*.rs", "loose/**"]));
    match refused(&mut world, &bob, claim(&["docs", "runtime"], &[])) {
        Refusal::ScopeHeld { obstacle, free, .. } => {
            assert_eq!(obstacle.claim, held.id);
            assert_eq!(obstacle.held.to_string(), "runtime/*.rs");
            assert!(matches!(obstacle.conflict, Conflict::Overlap { witness, .. }
                if witness == "runtime/x.rs"));
            assert_eq!(free, [Piece::Scope("docs".parse().unwrap())]);
        }
        other => panic!("{other:?}"),
    }
    granted(&mut world, &bob, claim(&["runtime/gc"], &[]));
    let told = refused(&mut world, &ann, claim(&[], &["runtime/gc/mark.c"]));
    assert!(told.to_string().contains("runtime/gc"), "{told}");
    let told = refused(&mut world, &bob, claim(&[], &["*/a.rs"]));
    let steps = told.next_steps();
    assert!(steps.contains(&"molt-agent claim --path '*/a.rs' --wait 15m".to_owned()), "{steps:?}");
    assert!(world.why(held.id)[0].ends_with("loose/** runtime/*.rs"), "{:?}", world.why(held.id));
}

#[test]
fn what_a_carve_has_is_the_carves_whoever_claims_paths_over_it() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    granted(&mut world, &ann, claim(&[], &["**"]));
    granted(&mut world, &bob, claim(&["carve"], &[]));
    refused(&mut world, &bob, claim(&["docs"], &[]));
    let policy = policy(&world);
    let (path, carved) = ("docs/a.md", "docs/Cargo.toml");
    assert!(policy.reaches(&patterns(&["**"]), path));
    assert!(!policy.reaches(&patterns(&["**"]), carved), "only its name gets it");
}

#[test]
fn paths_are_given_back_one_by_one_and_asked_for_again_in_vain() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    let both = granted(&mut world, &ann, claim(&["docs"], &["loose/a", "loose/b"]));
    let again = granted(&mut world, &ann, claim(&[], &["loose/b"]));
    assert_eq!(again, both, "what is held is success");
    let told = refused(&mut world, &ann, release(&[], &["loose/c"]));
    assert!(told.to_string().contains("no held path `loose/c`"), "{told}");
    world.by(&ann, release(&["docs"], &["loose/a"])).unwrap();
    granted(&mut world, &bob, claim(&["docs"], &["loose/a"]));
    refused(&mut world, &bob, claim(&[], &["loose/*"]));
    world.by(&ann, release(&[], &["loose/b"])).unwrap();
    assert!(!world.board.tables().claims.contains_key(&both.id));
    granted(&mut world, &bob, claim(&[], &["loose/*"]));
}

#[test]
fn a_scope_is_narrowed_to_paths_that_plainly_lie_in_it() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    let whole = granted(&mut world, &ann, claim(&["runtime"], &[]));
    let narrow = |globs: &[&str]| {
        let from = "runtime".parse().unwrap();
        Command::Narrow { from, to: Vec::new(), globs: patterns(globs) }
    };
    for outside in ["*/vm.rs", "runtime", "docs/**", "run*/a", "{runtime,docs}/a"] {
        let told = refused(&mut world, &ann, narrow(&[outside])).to_string();
        assert!(told.contains("does not plainly lie"), "{outside}: {told}");
    }
    let less = granted(&mut world, &ann, narrow(&["runtime/vm.rs", "runtime/{a,b}/*"]));
    assert_eq!((less.id, less.state, less.parts.len()), (whole.id, whole.state, 0));
    granted(&mut world, &bob, claim(&["runtime/gc"], &[]));
    refused(&mut world, &bob, claim(&["runtime"], &[]));
    refused(&mut world, &bob, claim(&[], &["runtime/vm.*"]));
}

#[test]
fn a_claim_of_paths_alone_is_handed_over_by_its_path_or_its_id() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    let before = granted(&mut world, &ann, claim(&[], &["loose/**", "runtime/*.rs"]));
    let other = granted(&mut world, &ann, claim(&["docs"], &["misc/*"]));
    let path = |path: &str| Named::Glob(path.parse().unwrap());
    let hand = |claim: Named, to: &str| Command::Handoff {
        claim,
        to: to.parse().unwrap(),
        note: String::new(),
    };
    let told = refused(&mut world, &ann, hand(path("loose/*"), "bob"));
    assert!(told.to_string().contains("loose/**"), "the nearest is named: {told}");
    let not_anns = refused(&mut world, &bob, hand(Named::Claim(before.id), "ann"));
    assert_eq!(not_anns.reason(), "NOT_FOUND");
    let offered = granted(&mut world, &ann, hand(path("runtime/*.rs"), "bob"));
    assert_eq!((offered.id, offered.handover.is_some()), (before.id, true));
    let kept = granted(&mut world, &ann, Command::Withdraw { claim: path("loose/**") });
    assert_eq!((kept.id, kept.handover), (before.id, None));
    granted(&mut world, &ann, hand(Named::Claim(before.id), "bob"));
    let taken = granted(&mut world, &bob, Command::Accept(Accepted::Claim(before.id)));
    assert_eq!((taken.session, taken.globs), (bob.session, before.globs));
    refused(&mut world, &ann, release(&[], &["loose/**"]));
    refused(&mut world, &ann, claim(&[], &["loose/a"]));

    // A path and a scope of one claim are names of the same.
    let by_path = granted(&mut world, &ann, hand(path("misc/*"), "bob"));
    assert_eq!(by_path.id, other.id);
    let docs = Named::Scope("docs".parse().unwrap());
    let kept = granted(&mut world, &ann, Command::Withdraw { claim: docs });
    assert_eq!(kept.id, other.id);
}

#[test]
fn a_claim_of_paths_lasts_longer_by_its_path_as_far_as_what_it_reaches_into() {
    let mut world = World::new(&SCOPES);
    let ann = world.join("ann");
    let brief = |globs: &[&str]| Command::Claim(Wanted { max: Some(10_000), ..wanted(&[], globs) });
    let extend =
        |globs: &[&str], span| Command::Extend { scopes: Vec::new(), globs: patterns(globs), span };
    let free = granted(&mut world, &ann, brief(&["loose/**"]));
    let bound = granted(&mut world, &ann, brief(&["brief/a"]));
    let until = |world: &World, claim: &Claim| {
        world.board.tables().claims[&claim.id].end().map(|end| end.0)
    };
    let (first, both) = (until(&world, &free), until(&world, &bound));
    let longer = Reply::Extended { scopes: Vec::new(), globs: patterns(&["loose/**"]) };
    assert_eq!(world.by(&ann, extend(&["loose/**"], 500_000)), Ok(longer));
    assert_eq!(until(&world, &free), Some(501_000), "it was {first:?}");
    assert_eq!(until(&world, &bound), both, "what is not named stays as it is");
    world.by(&ann, extend(&["brief/a"], 500_000)).unwrap();
    assert_eq!(until(&world, &bound), Some(61_000), "a minute in all, as the scope allows");
    let told = refused(&mut world, &ann, extend(&["brief/a"], 500_000)).to_string();
    assert!(told.contains("as long as its scope allows"), "{told}");
    let told = refused(&mut world, &ann, extend(&["loose/*"], 1)).to_string();
    assert!(told.contains("loose/**"), "the nearest is named: {told}");
}

#[test]
fn who_waits_for_paths_has_them_when_they_are_free() {
    let mut world = World::new(&SCOPES);
    let [ann, bob] = ["ann", "bob"].map(|name| world.join(name));
    granted(&mut world, &ann, claim(&["docs"], &[]));
    let waits = Wanted { otherwise: Otherwise::Wait, ..wanted(&[], &["docs/a.md"]) };
    let Ok(Reply::Queued { claim: place, .. }) = world.by(&bob, Command::Claim(waits)) else {
        panic!("bob waits");
    };
    world.board.attend(place, molt_domain::board::Presence::Here);
    world.by(&ann, release(&[], &[])).unwrap();
    assert!(world.board.tables().claims[&place].is_held());
    granted(&mut world, &ann, claim(&[], &["docs/b.md"]));
    refused(&mut world, &ann, claim(&["docs"], &[]));
}

#[test]
fn paths_last_no_longer_than_the_scopes_that_they_reach_into() {
    let mut world = World::new(&SCOPES);
    let ann = world.join("ann");
    assert_eq!(granted(&mut world, &ann, claim(&[], &["brief/a"])).max, Some(60_000));
    assert_eq!(granted(&mut world, &ann, claim(&[], &["loose/a"])).max, None);
}

#[test]
fn the_audit_tells_the_paths_and_older_programs_are_spared_them() {
    let event = |globs: &[&str]| Event::Queued {
        claim: molt_domain::id::ClaimId::from_counter(1),
        session: molt_domain::id::SessionId::from_counter(1),
        name: "ann".parse().unwrap(),
        scopes: Vec::new(),
        globs: patterns(globs),
        ahead: 0,
        mode: Mode::Exclusive,
    };
    assert_eq!((event(&[]).format(), event(&["a/*"]).format()), (1, 2));
    assert_eq!(event(&["a/*"]).line(), "queued    ann for a/*, 0 ahead");
}

/// Paths of up to four segments, enough for a witness of any two patterns below.
fn paths() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..4 {
        let below = |path: &String| {
            let slash = if path.is_empty() { "" } else { "/" };
            ["a", "b", "x"].map(|segment| format!("{path}{slash}{segment}"))
        };
        last = last.iter().flat_map(below).collect();
        all.extend(last.iter().cloned());
    }
    all
}

#[test]
fn claims_of_paths_are_decided_as_by_trying_every_path() {
    const WORDS: [&str; 4] = ["a", "b", "*", "**"];
    let scopes = [("a", "a/**"), ("a/b", "a/b/**"), ("b", "b/*"), ("x", "x/**")];
    let mut world = World::new(&scopes);
    let agents: Vec<Credentials> = (0..6).map(|n| world.join(&format!("agent-{n}"))).collect();
    let (paths, mut seed) = (paths(), 7_u64);
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (mut yes, mut no) = (0, 0);
    for _ in 0..3_000 {
        let who = &agents[random(agents.len())];
        let glob = (0..=random(3)).map(|_| WORDS[random(4)]).collect::<Vec<_>>().join("/");
        let command = match random(6) {
            0 | 1 => {
                let held = world.board.tables().claims.values();
                let mut held = held.filter(|claim| claim.session == who.session);
                if let Some(pieces) = held.next().map(|claim| claim.piece_list()) {
                    let (scopes, globs) = match &pieces[random(pieces.len())] {
                        Piece::Scope(name) => (vec![name.clone()], Vec::new()),
                        Piece::Glob { glob } => (Vec::new(), vec![glob.clone()]),
                    };
                    let outcome = Outcome::Done;
                    world.by(who, Command::Release { scopes, globs, outcome }).unwrap();
                }
                continue;
            }
            2 => claim(&[scopes[random(4)].0], &[]),
            _ => claim(&[], &[&glob]),
        };
        let Command::Claim(wanted) = &command else { continue };
        let asked = |path: &str| {
            let by_scope = |name: &molt_domain::scope::ScopeName| {
                policy(&world).patterns(name.as_str()).iter().any(|it| it.matches(path))
            };
            wanted.globs.iter().any(|it| it.matches(path)) || wanted.scopes.iter().any(by_scope)
        };
        let others = world.board.tables().claims.values();
        let taken = others.filter(|claim| claim.session != who.session).any(|claim| {
            let parts = claim.parts.iter().flat_map(|part| &part.paths).chain(&claim.globs);
            let held: Vec<&Pattern> = parts.collect();
            paths.iter().any(|path| asked(path) && held.iter().any(|it| it.matches(path)))
        });
        match world.by(who, command.clone()).map_err(|it| *it) {
            Ok(_) => {
                assert!(!taken, "{command:?} was granted");
                yes += 1;
            }
            Err(Refusal::ScopeHeld { obstacle, .. }) => {
                assert!(taken, "{command:?} was refused for {obstacle:?}");
                no += 1;
            }
            // A session has so many claims at most.
            Err(Refusal::Invalid(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(yes > 200 && no > 200, "{yes} granted, {no} refused");
}
