//! A fleet's state out of one place and into another: backup, restore, migration, and the doctor.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use molt_coordinator::transfer::archive;
use molt_domain::id::TaskId;
use molt_store::rig::{Cluster, Options};
use molt_store::{Json, Key, Record};
use serde_json::Value;

use crate::harness::{Agent, Fleet, Running, Said, Signal, pause, until};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n[scope.src]\n\
                      paths = [\"src/**\"]\n[scope.etc]\npaths = [\"etc/**\"]\n";

/// How often each kind of work is killed.
const KILLS: usize = 8;

/// How many tasks a large fleet has: so many that a restore of it takes many commits.
const TASKS: usize = 6000;

/// Variable that repeats a run: the moments of the kills come from it.
const SEED: &str = "MOLT_E2E_SEED";

/// Pseudo-random numbers (xorshift): the same seed, the same moments.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let given = std::env::var(SEED).ok().map(|text| text.parse().expect("a seed is a number"));
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
        println!("{SEED}={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// A verb of the coordinator with `--json` that is to succeed; its data.
#[track_caller]
fn data(fleet: &Fleet, arguments: &[&str]) -> Value {
    let said = fleet.coordinator.run(&[arguments, &["--json"]].concat());
    said.exits(0).document()["data"].clone()
}

/// The scopes that an agent holds.
#[track_caller]
fn held(agent: &Agent) -> Vec<String> {
    let status = agent.json(&["status"], 0);
    let claims = status["data"]["claims"].as_array().expect("claims").iter();
    let scopes = claims.flat_map(|claim| claim["scopes"].as_array().expect("scopes").clone());
    scopes.map(|scope| scope.as_str().expect("a name").to_owned()).collect()
}

/// The fence of the claim that an answer grants.
#[track_caller]
fn fence(document: &Value) -> String {
    document["data"]["fence"].as_str().expect("a fence").to_owned()
}

/// A copy of an agent's session file, as it is now.
fn session_file(fleet: &Fleet, agent: &Agent) -> PathBuf {
    let folder = agent.worktree().join(".git/molt/sessions");
    let files = folder.read_dir().expect("its session files").map(|it| it.expect("a file").path());
    let mut files = files.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let file = files.next().expect("a session file");
    assert_eq!(files.next(), None, "one program, one session");
    let copy = fleet.path(&format!("session-{}.json", agent.name()));
    std::fs::copy(&file, &copy).expect("a copy");
    copy
}

#[test]
fn a_fleet_comes_back_from_a_backup_and_old_fences_do_not() {
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &["--heartbeat", "200ms"]);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    bob.json(&["claim", "src"], 0);
    let task = ann.json(&["task", "add", "write it"], 0)["data"]["id"].clone();
    let old = session_file(&fleet, &ann);
    fleet.coordinator.events.wait("its host is seen", |event| event["what"] == "host_seen");
    let (state, file) = (fleet.coordinator.data(), fleet.path("fleet.backup"));
    let backup = until("a moment at which nothing changes", || {
        let before = fleet.coordinator.digest();
        drop(std::fs::remove_file(&file));
        let made = data(&fleet, &["backup", "--data", text(&state), text(&file)]);
        (fleet.coordinator.digest() == before).then_some((made, before))
    });
    let (made, before) = backup;
    assert_eq!(made["board"], before, "what is served is what is in the file");
    let again = fleet.coordinator.run(&["backup", "--data", text(&state), text(&file)]).exits(9);
    assert!(again.err.contains("is not empty"), "{}", again.err);

    // What happens after the backup is lost: the same scope goes to another one.
    ann.json(&["release"], 0);
    let lost = fence(&bob.json(&["claim", "docs"], 0));
    fleet.coordinator.stop().exits(0);
    std::fs::rename(&state, fleet.path("lost")).expect("the disk is gone");
    let restore = ["restore", text(&file), "--data", text(&state), "--reason", "the disk died"];
    let would = data(&fleet, &[restore.as_slice(), &["--dry-run"]].concat());
    assert!(!state.exists(), "a dry run writes nothing");
    let restored = data(&fleet, &restore);
    assert_eq!(would["records"], restored["records"]);
    assert_eq!(restored["backup"]["board"], before);
    assert_eq!(restored["sessions"], 2, "both must resume");
    let refused = fleet.coordinator.run(&restore).exits(9);
    assert!(refused.err.contains("nothing is overwritten"), "{}", refused.err);

    fleet.coordinator.start();
    let said = ann.run(&["--session", text(&old), "claim", "etc"]).exits(6);
    assert!(said.out.contains("molt-agent") || said.err.contains("resume"), "{said:?}");
    ann.run(&["resume"]).exits(0);
    bob.run(&["resume"]).exits(0);
    assert_eq!((held(&ann), held(&bob)), (vec!["docs".to_owned()], vec!["src".to_owned()]));
    let listed = ann.json(&["task", "list"], 0);
    assert_eq!(listed["data"]["tasks"][0]["id"], task);
    let granted = fence(&ann.json(&["claim", "etc"], 0));
    assert!(granted.starts_with("1."), "{granted} is of the new epoch, unlike {lost}");
    bob.json(&["claim", "docs"], 4);
    fleet.verify();
    let well = fleet.coordinator.run(&["doctor", "--data", text(&state)]).exits(0).out;
    assert!(well.contains("ok    leader   an embedded store, at "), "{well}");
}

/// A backup of a fleet with [`TASKS`] tasks, made from one of a small fleet.
fn large(fleet: &Fleet, agent: &Agent) -> PathBuf {
    agent.json(&["task", "add", "the first of many"], 0);
    let (small, large) = (fleet.path("small.backup"), fleet.path("large.backup"));
    let state = fleet.coordinator.data();
    fleet.coordinator.run(&["backup", "--data", text(&state), text(&small)]).exits(0);
    let archive::Archive { mut header, sealed, mut records, .. } =
        archive::read(&small).expect("what was written");
    let first = records.iter().find(|record| record.key.as_str().starts_with("task/"));
    let first = first.expect("a task").clone();
    let id = first.key.as_str().trim_start_matches("task/").to_owned();
    for n in 0..TASKS as u64 {
        let other = TaskId::from_counter(header.ledger.counter + n + 1).to_string();
        let value = first.value.as_str().replace(&id, &other);
        let key = Key::parse(format!("task/{other}")).expect("a key");
        records.push(Record { key, value: Json::parse(value).expect("json") });
    }
    records.sort_by(|a, b| a.key.cmp(&b.key));
    header.records = records.len() as u64;
    header.ledger.counter += TASKS as u64 + 1;
    let stop = AtomicBool::new(false);
    archive::write(&large, &header, &sealed, records, &stop).expect("a file");
    large
}

/// Starts a verb of the coordinator and kills it: at a random moment, or once it has said `cue`.
fn killed(fleet: &Fleet, arguments: &[&str], cue: Option<&str>, random: &mut Random) -> Said {
    let mut running = Running::start(fleet.coordinator.command(arguments), &fleet.path("said"));
    match cue {
        Some(cue) => until("it has come so far", || {
            let over = running.ended().is_some();
            (over || running.errors().contains(cue)).then_some(())
        }),
        None => pause(Duration::from_millis(random.below(400))),
    }
    running.signal(Signal::SIGKILL);
    running.end()
}

/// What `serve` says of a store that it must not serve.
#[track_caller]
fn not_served(fleet: &Fleet, state: &Path) -> String {
    let serve = ["serve", "--data", text(state), "--listen", "127.0.0.1:0", "--remote"];
    let remote = text(fleet.remote.path());
    fleet.coordinator.run(&[serve.as_slice(), &[remote]].concat()).exits(9).err
}

/// When the work is killed in the round `n`: every other time it is well under way.
fn cue(n: usize) -> Option<&'static str> {
    const CUES: [&str; 3] = ["wrote 1", "wrote 3", "wrote 5"];
    n.is_multiple_of(2).then(|| CUES[n / 2 % CUES.len()])
}

#[test]
fn a_restore_that_is_killed_is_never_served_and_ends_whole() {
    let mut random = Random::new();
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let ann = fleet.agent("ann", &host);
    let file = large(&fleet, &ann);
    fleet.coordinator.stop().exits(0);
    let (mut unfinished, mut boards) = (0, Vec::new());
    for n in 0..KILLS {
        let state = fleet.path(&format!("state-{n}"));
        let restore = ["restore", text(&file), "--data", text(&state), "--reason", "to see"];
        let was = killed(&fleet, &restore, cue(n), &mut random);
        let doctor = fleet.coordinator.run(&["doctor", "--data", text(&state)]);
        if doctor.code == 9 {
            unfinished += 1;
            let said = not_served(&fleet, &state);
            assert!(said.contains("has not ended; run it again"), "{said}");
            let other = fleet.path("small.backup");
            let other = ["restore", text(&other), "--data", text(&state), "--reason", "to see"];
            let refused = fleet.coordinator.run(&other).exits(9).err;
            assert!(refused.contains("--again"), "{refused}");
        }
        // One that had ended before it was killed leaves a board, which is not overwritten.
        let over = was.code == 0 || doctor.out.contains("ok    audit");
        let done = fleet.coordinator.run(&[restore.as_slice(), &["--json"]].concat());
        if over {
            done.exits(9);
        } else {
            boards.push(done.exits(0).document()["data"]["board"].clone());
        }
        fleet.coordinator.run(&["doctor", "--data", text(&state)]).exits(0);
    }
    println!("{unfinished} of {KILLS} were unfinished, {} ended by a second run", boards.len());
    assert!(unfinished > 0, "no kill came in the middle");
    boards.dedup();
    assert_eq!(boards.len(), 1, "they are all the same board: {boards:?}");
}

#[test]
fn a_migration_that_is_killed_serves_one_of_two_at_most_and_ends_whole() {
    let mut random = Random::new();
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let ann = fleet.agent("ann", &host);
    let file = large(&fleet, &ann);
    fleet.coordinator.stop().exits(0);
    let (mut from, mut unfinished) = (fleet.path("state"), 0);
    let restore = ["restore", text(&file), "--data", text(&from), "--reason", "to see"];
    let mut board = data(&fleet, &restore)["board"].clone();
    for n in 0..KILLS {
        let to = fleet.path(&format!("state-{n}"));
        let migrate = ["migrate", "--from", text(&from), "--to", text(&to)];
        killed(&fleet, &migrate, cue(n), &mut random);
        let doctor = |state: &Path| {
            let said = fleet.coordinator.run(&["doctor", "--data", text(state)]);
            // A store that nothing was ever written to is none.
            said.code == 0 && !said.out.contains("empty, `serve` begins one")
        };
        let (old, new) = (doctor(&from), doctor(&to));
        assert!(!(old && new), "both could be served");
        if old && to.join("board.sqlite").exists() {
            let begun = fleet.coordinator.run(&["doctor", "--data", text(&to)]);
            unfinished += usize::from(begun.code == 9);
        }
        let moved = data(&fleet, &migrate);
        assert_eq!((&moved["board"]["from"], &moved["board"]["to"]), (&board, &board));
        let said = not_served(&fleet, &from);
        assert!(said.contains(&format!("the records moved to folder {}", text(&to))), "{said}");
        let again = data(&fleet, &migrate);
        assert_eq!(again["before"], true, "what is done is done");
        board = again["board"]["to"].clone();
        from = to;
    }
    println!("{unfinished} of {KILLS} were killed while the old one was still whole");
    assert!(unfinished > 0, "no kill came in the middle");
}

#[test]
fn a_backup_that_does_not_hold_is_refused_with_its_line() {
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let (state, file) = (fleet.coordinator.data(), fleet.path("fleet.backup"));
    fleet.coordinator.run(&["backup", "--data", text(&state), text(&file)]).exits(0);
    let target = fleet.path("target");
    let refused = |file: &Path, because: &str| {
        let restore = ["restore", text(file), "--data", text(&target), "--reason", "to see"];
        let said = fleet.coordinator.run(&restore).exits(9).err;
        assert!(said.contains(because), "{said}");
        assert!(!target.exists(), "nothing was written");
    };
    let whole = std::fs::read_to_string(&file).expect("a file of text");
    let altered = fleet.path("altered");
    std::fs::write(&altered, whole.replacen("\"branch\":\"main\"", "\"branch\":\"mail\"", 1))
        .expect("a file");
    refused(&altered, "the file was altered");
    std::fs::write(&altered, &whole[..whole.len() - 40]).expect("a file");
    refused(&altered, "was cut short");
    std::fs::write(&altered, whole.replacen(":1,", ":2,", 1)).expect("a file");
    refused(&altered, "line 1: the backup is of version 2, newer than 1");

    // A board that is served is neither moved nor overwritten, and goes on.
    let before = fleet.coordinator.digest();
    let served = ["migrate", "--from", text(&state), "--to", text(&target)];
    let said = fleet.coordinator.run(&served).exits(4).err;
    assert!(said.contains(&format!("at {}", fleet.coordinator.address())), "{said}");
    let onto = ["restore", text(&file), "--data", text(&state), "--reason", "to see"];
    fleet.coordinator.run(&onto).exits(4);
    assert_eq!(fleet.coordinator.digest(), before);
    fleet.coordinator.stop().exits(0);
}

/// A configuration whose store is the fleet `name` of `etcd`, with its files in `state`.
fn etcd_config(fleet: &Fleet, etcd: &Cluster, name: &str, state: &Path) -> PathBuf {
    let config = fleet.path(&format!("{name}.toml"));
    let settings = format!(
        "data = \"{}\"\n[etcd]\nendpoints = [\"{}\"]\nfleet = \"{name}\"\n[[repo]]\n\
         name = \"main\"\nremote = \"{}\"\n[spans]\nleader_ttl = \"3s\"\n",
        text(state),
        etcd.endpoints()[0],
        text(fleet.remote.path())
    );
    std::fs::write(&config, settings).expect("a configuration");
    config
}

/// One real etcd, gone with what is answered.
fn one_etcd() -> Cluster {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(Cluster::start(1, Options::default())).expect("an etcd")
}

#[test]
fn a_migration_to_etcd_that_is_killed_goes_on_once_its_lead_has_run_out() {
    let mut random = Random::new();
    let etcd = one_etcd();
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let host = fleet.host("h1");
    let ann = fleet.agent("ann", &host);
    let file = large(&fleet, &ann);
    fleet.coordinator.stop().exits(0);
    let (from, back) = (fleet.path("state"), fleet.path("back"));
    let restore = ["restore", text(&file), "--data", text(&from), "--reason", "to see"];
    let board = data(&fleet, &restore)["board"].clone();
    let config = etcd_config(&fleet, &etcd, "killed", &from);
    let migrate = ["migrate", "--from", text(&from), "--to", text(&config)];
    let mut begun = 0;
    for cue in ["wrote 1", "wrote 3", "wrote 5"] {
        let said = killed(&fleet, &migrate, Some(cue), &mut random);
        if said.code != 0 {
            begun += 1;
            let doctor = fleet.coordinator.run(&["doctor", "--config", text(&config)]).out;
            assert!(doctor.contains("fail  store") || doctor.contains("ok    store"), "{doctor}");
        }
    }
    assert!(begun > 0, "no kill came in the middle");
    let moved = data(&fleet, &migrate);
    assert_eq!((&moved["board"]["from"], &moved["board"]["to"]), (&board, &board));
    let migrate = ["migrate", "--from", text(&config), "--to", text(&back)];
    killed(&fleet, &migrate, Some("wrote 3"), &mut random);
    let moved = data(&fleet, &migrate);
    assert_eq!((&moved["board"]["from"], &moved["board"]["to"]), (&board, &board));
    fleet.coordinator.run(&["doctor", "--data", text(&back)]).exits(0);
}

#[test]
fn a_fleet_moves_to_etcd_and_back_and_loses_nothing() {
    let etcd = one_etcd();
    let spans = ["--heartbeat", "200ms", "--leader-ttl", "3s"];
    let mut fleet = Fleet::new(&[("molt.toml", POLICY)], &spans);
    let host = fleet.host("h1");
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    let first = fence(&ann.json(&["claim", "docs"], 0));
    let state = fleet.coordinator.data();
    let config = etcd_config(&fleet, &etcd, "e2e", &state);
    fleet.coordinator.stop().exits(0);

    let migrate = ["migrate", "--from", text(&state), "--to", text(&config)];
    let would = data(&fleet, &[migrate.as_slice(), &["--dry-run"]].concat());
    assert_eq!(would["written"], false);
    let moved = data(&fleet, &migrate);
    assert_eq!(moved["board"]["from"], moved["board"]["to"]);
    assert_eq!((&moved["epoch"], &moved["records"]), (&Value::from(1), &would["records"]));
    assert_eq!(data(&fleet, &migrate)["before"], true);
    let said = not_served(&fleet, &state);
    assert!(said.contains("the records moved to fleet `e2e` of etcd http"), "{said}");

    fleet.coordinator.start_with(&["--config", text(&config)]);
    assert_eq!(held(&ann), ["docs"], "her session goes on");
    assert_eq!(fence(&ann.json(&["claim", "docs"], 0)), first, "and so does her claim");
    let second = fence(&bob.json(&["claim", "src"], 0));
    assert!(second.starts_with("1."), "{second}");
    let file = fleet.path("etcd.backup");
    let made = data(&fleet, &["backup", "--config", text(&config), text(&file)]);
    assert!(made["records"].as_u64().expect("a number") > 0);
    bob.json(&["release"], 0);
    let doctor = fleet.coordinator.run(&["doctor", "--config", text(&config)]).exits(0).out;
    assert!(doctor.contains("ok    remote   main: main at "), "{doctor}");
    let address = fleet.coordinator.address();
    assert!(doctor.contains(&format!("ok    leader   molt-coordinator, at {address}")), "{doctor}");
    let third = fleet.path("third");
    let served = ["migrate", "--from", text(&config), "--to", text(&third)];
    let said = fleet.coordinator.run(&served).exits(4).err;
    assert!(said.contains(&format!("`molt-coordinator` at {address}: stop it first")), "{said}");
    fleet.coordinator.stop().exits(0);

    std::fs::rename(&state, fleet.path("left")).expect("what was left behind");
    let back = data(&fleet, &["migrate", "--from", text(&config), "--to", text(&state)]);
    assert_eq!(back["board"]["from"], back["board"]["to"]);
    assert_eq!(back["epoch"], 2);
    fleet.coordinator.start();
    assert_eq!((held(&ann), held(&bob)), (vec!["docs".to_owned()], Vec::new()));
    let third = fence(&bob.json(&["claim", "src"], 0));
    assert!(third.starts_with("2."), "{third}");
    fleet.verify();
}

#[test]
fn the_doctor_says_what_would_keep_a_coordinator_from_serving() {
    let fleet = Fleet::new(&[("molt.toml", POLICY)], &[]);
    let config = fleet.path("fleet.toml");
    let doctor = |settings: &str, code: i32| {
        std::fs::write(&config, settings).expect("a configuration");
        let said = fleet.coordinator.run(&["doctor", "--config", text(&config), "--json"]);
        let document = said.exits(code).document();
        let findings = document["data"]["findings"].as_array().expect("findings").clone();
        move |level: &str, what: &str| -> Vec<String> {
            let of = |it: &&Value| it["level"] == level && it["what"] == what;
            let details = findings.iter().filter(of).map(|it| it["detail"].as_str());
            details.map(|it| it.expect("text").to_owned()).collect()
        }
    };
    let state = fleet.coordinator.data();
    let repo = format!("[[repo]]\nname = \"main\"\nremote = \"{}\"\n", text(fleet.remote.path()));
    let sound = format!("data = \"{}\"\n{repo}", text(&state));
    let well = doctor(&sound, 0);
    for what in ["config", "data", "disk", "leader", "format", "size", "store", "audit", "git"] {
        assert_eq!(well("ok", what).len(), 1, "{what}");
    }
    let base = fleet.remote.base();
    assert_eq!(well("ok", "remote"), [format!("main: main at {}", &base[..10])]);

    let faulty = doctor(&format!("dada = 1\n{sound}"), 2)("fail", "config");
    assert!(faulty[0].contains("fleet.toml:1"), "{faulty:?}");
    let gone = sound.replace("R.git", "gone.git");
    let remote = doctor(&gone, 10)("fail", "remote");
    assert!(remote[0].starts_with("main: main: "), "{remote:?}");
    let etcd = "[etcd]\nendpoints = [\"http://127.0.0.1:1\"]\n";
    let nobody = doctor(&format!("data = \"{}\"\n{etcd}{repo}", text(&state)), 10);
    assert_eq!(nobody("fail", "etcd"), ["no member of etcd answers"]);
    let nothing = fleet.coordinator.run(&["doctor"]).exits(0).out;
    assert!(nothing.contains("ok    git ") && nothing.contains("warn  config"), "{nothing}");
}
