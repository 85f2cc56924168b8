//! The machine's ledger, contended by real processes.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use molt_agent::ledger::{Admission, Budget, Ledger, Request, SlotDemand};
use molt_agent::run::{ProcessIdentity, RunId};

use crate::support::{self, Place, again, kill_hard, role, supervisor_of, until};

/// Room for three runs of one unit each, beside a pool of two places.
const BUDGET: Budget = Budget { memory: 3, millicores: 1000 };
const PLACES: u32 = 2;

fn request(run: RunId, folder: PathBuf, slot: Option<u32>) -> Request {
    Request {
        run,
        holder: ProcessIdentity::own().unwrap(),
        folder,
        slot: slot.map(|size| SlotDemand { pool: "cargo".to_owned(), size }),
        locks: BTreeSet::new(),
        demand: Budget { memory: 1, millicores: 0 },
    }
}

/// Takes and gives back, and checks against witnesses of its own that nobody has
/// the same: a file that must not exist yet, and a count of files.
fn contend(shared: &Path, rounds: u32) {
    let ledger = Ledger::open(&shared.join("ledger"), BUDGET).unwrap();
    let mut done = 0;
    while done < rounds {
        let run = RunId::fresh();
        let slot = (done % 3 != 0).then_some(PLACES);
        let Admission::Admitted(admitted) =
            ledger.admit(&request(run.clone(), shared.join(run.as_str()), slot)).unwrap()
        else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let counted = shared.join("counted").join(run.as_str());
        fs::write(&counted, "").unwrap();
        let there = fs::read_dir(shared.join("counted")).unwrap().count();
        assert!(there <= 3, "{there} runs at once");
        let place = admitted.slot.map(|slot| shared.join(format!("place-{}", slot.n)));
        if let Some(place) = &place {
            OpenOptions::new().write(true).create_new(true).open(place).expect("two in one place");
            fs::remove_file(place).unwrap();
        }
        fs::remove_file(&counted).unwrap();
        ledger.release(&run).unwrap();
        done += 1;
    }
}

/// Plays one of many processes that want the same things.
#[test]
fn contender() {
    let Some(role) = role() else { return };
    let (what, shared) = role.split_once(' ').unwrap();
    let shared = Path::new(shared);
    if what == "contend" {
        return contend(shared, 40);
    }
    let ledger = Ledger::open(&shared.join("ledger"), BUDGET).unwrap();
    let run: RunId = what.parse().unwrap();
    let answer = ledger.admit(&request(run.clone(), shared.join("none"), Some(PLACES))).unwrap();
    assert!(matches!(answer, Admission::Admitted(_)), "{answer:?}");
    fs::write(shared.join(format!("{run}.holds")), "").unwrap();
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

fn play(what: &str, shared: &Path) -> Child {
    again("ledger::contender", &format!("{what} {}", shared.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn no_two_processes_get_the_same() {
    let place = Place::new();
    let shared = place.path("");
    fs::create_dir(shared.join("counted")).unwrap();
    let players: Vec<_> = (0..6).map(|_| play("contend", &shared)).collect();
    for mut player in players {
        assert!(player.wait().unwrap().success());
    }
    let ledger = Ledger::open(&shared.join("ledger"), BUDGET).unwrap();
    assert_eq!(ledger.entries().unwrap(), []);
}

#[test]
fn the_dead_leave_and_the_living_stay() {
    let place = Place::new();
    let shared = place.path("");
    let mut players: Vec<_> = ["one", "two"].map(|name| play(name, &shared)).into();
    for name in ["one.holds", "two.holds"] {
        until(name, || shared.join(name).exists().then_some(()));
    }
    let ledger = Ledger::open(&shared.join("ledger"), BUDGET).unwrap();
    let wanted = request("three".parse().unwrap(), shared.join("none"), Some(PLACES));
    let Admission::Full { by, .. } = ledger.admit(&wanted).unwrap() else {
        panic!("a third place")
    };
    assert_eq!(by.len(), 2);
    players[0].kill().unwrap();
    players[0].wait().unwrap();
    assert!(matches!(ledger.admit(&wanted).unwrap(), Admission::Admitted(_)));
    players[1].kill().unwrap();
    players[1].wait().unwrap();
}

/// The holder dies, then the supervisor, but as long as a process of the run
/// lives its entry does too.
#[test]
fn an_entry_lives_as_long_as_its_run() {
    let place = Place::new();
    let spec = place.spec("exec sleep 300");
    let run = place.create(&spec);
    let folder = run.folder().path().to_owned();
    let mut holder = play("one", &place.path(""));
    until("one.holds", || place.path("one.holds").exists().then_some(()));
    let ledger = Ledger::open(&place.path("ledger"), BUDGET).unwrap();
    let holder_is = ProcessIdentity::of(i32::try_from(holder.id()).unwrap()).unwrap().unwrap();
    let wanted = Request { holder: holder_is, ..request(spec.id.clone(), folder.clone(), None) };
    assert!(matches!(ledger.admit(&wanted).unwrap(), Admission::Admitted(_)));
    let listed = || ledger.entries().unwrap().iter().any(|entry| entry.run == spec.id);

    molt_agent::supervisor::spawn(support::program(), &folder).unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(listed(), "its supervisor lives");
    kill_hard(&supervisor_of(&run));
    assert!(listed(), "its process lives");
    molt_agent::run::reap(&folder).unwrap();
    assert!(!listed(), "nothing is left");
}
