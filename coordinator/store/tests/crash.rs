//! Crashes of the embedded store: simulated at the file layer, and real kills.
//!
//! The simulation knows what SQLite promises about order and nothing more. While one commit is
//! under way the log's header is written and synced, then frames in any order, then, if the log
//! is long enough, the main file's pages in any order after the log is synced. So a crash leaves
//! the files of before with any part of that applied.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use molt_store::embedded::{DATABASE_FILE, OpenError, Opened, Options, Tail};
use molt_store::seeded::Rng;
use molt_store::{
    Candidate, Change, Commit, EmbeddedStore, Head, Json, Key, Leadership, Record, Store,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const WAL_FILE: &str = "board.sqlite-wal";
const SECTOR: usize = 512;
const WAL_HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

type Records = BTreeMap<Key, Json>;

/// What commit `n` does, for every run alike.
fn changes(n: u64) -> Vec<Change> {
    let mut rng = Rng::new(n);
    let mut changes = Vec::new();
    for slot in 0..40 {
        let key = Key::parse(format!("k/{slot}")).unwrap();
        match rng.below(12) {
            0 => changes.push(Change::Delete { key }),
            1 | 2 => {
                let bytes = usize::try_from(rng.below(3000)).unwrap();
                let value = Json::encode(&format!("{n}{}", "x".repeat(bytes))).unwrap();
                changes.push(Change::Put(Record { key, value }));
            }
            _ => {}
        }
    }
    changes
}

fn ledger(n: u64) -> Json {
    Json::encode(&n).unwrap()
}

/// What must be stored after the first `n` commits, for each `n`.
fn replayed(commits: u64) -> Vec<Records> {
    let mut states = vec![Records::new()];
    for n in 1..=commits {
        let mut records = states.last().unwrap().clone();
        for change in changes(n) {
            match change {
                Change::Put(Record { key, value }) => records.insert(key, value),
                Change::Delete { key } => records.remove(&key),
            };
        }
        states.push(records);
    }
    states
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn open(folder: &Path, checkpoint_pages: u32) -> Result<(EmbeddedStore, Opened), OpenError> {
    EmbeddedStore::open(folder, Options { checkpoint_pages, ..Options::default() })
}

async fn lead(store: &EmbeddedStore) -> (Leadership, Head, Records) {
    let leadership = store.campaign(&Candidate::new("c", "c:1")).await.unwrap();
    let (head, records) = store.load(&leadership).await.unwrap();
    let records = records.into_iter().map(|record| (record.key, record.value)).collect();
    (leadership, head, records)
}

async fn commit_next(store: &EmbeddedStore, leadership: &Leadership, head: &Head) -> Head {
    let number = head.number + 1;
    let batch = Commit::new(leadership, ledger(number), changes(number)).unwrap();
    store.commit(leadership, head, batch).await.unwrap()
}

/// Opens what a crash has left, compares it with the commits up to its head, and commits once
/// more on it. Answers what was found, or what is wrong with it.
fn recover(runtime: &Runtime, folder: &Path, states: &[Records]) -> Result<Opened, String> {
    let (store, opened) = open(folder, 1000).map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (leadership, head, records) = lead(&store).await;
        let number = head.number;
        if number != opened.head {
            return Err(format!("opened at {}, loaded {number}", opened.head));
        }
        if states.get(usize::try_from(number).unwrap()) != Some(&records) {
            return Err(format!("the records are not those of commit {number}"));
        }
        if number > 0 && head.ledger != ledger(number) {
            return Err(format!("the ledger of commit {number} is {}", head.ledger));
        }
        let next = commit_next(&store, &leadership, &head).await;
        if next.number != number + 1 {
            return Err(format!("commit {} came after {number}", next.number));
        }
        Ok(opened)
    })
}

/// The store's two files at one moment.
#[derive(Clone, PartialEq)]
struct Files {
    main: Vec<u8>,
    wal: Vec<u8>,
}

impl Files {
    fn read(folder: &Path) -> Self {
        let main = fs::read(folder.join(DATABASE_FILE)).unwrap();
        Self { main, wal: fs::read(folder.join(WAL_FILE)).unwrap_or_default() }
    }

    fn write(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(DATABASE_FILE), &self.main).unwrap();
        fs::write(folder.path().join(WAL_FILE), &self.wal).unwrap();
        folder
    }
}

/// Which part of a file's pending writes reaches the disk.
#[derive(Clone, Copy, Debug)]
enum Torn {
    /// All up to a byte.
    Prefix,
    /// Any set of sectors.
    Sectors,
    /// All up to a byte, and rubbish in one sector after it.
    Garbled,
}

/// `before` with part of what makes it `after`.
fn torn(before: &[u8], after: &[u8], how: Torn, rng: &mut Rng) -> Vec<u8> {
    let differs = |at: usize| before.get(at) != after.get(at);
    let changed: Vec<usize> = (0..after.len()).filter(|&at| differs(at)).collect();
    let Some((&first, &last)) = changed.first().zip(changed.last()) else {
        return before.to_vec();
    };
    let mut file = before.to_vec();
    let mut apply = |from: usize, to: usize, bytes: &[u8]| {
        if file.len() < to {
            file.resize(to, 0);
        }
        file[from..to].copy_from_slice(bytes);
    };
    let cut = first + usize::try_from(rng.below((last + 1 - first) as u64)).unwrap();
    match how {
        Torn::Prefix => apply(first, cut, &after[first..cut]),
        Torn::Sectors => {
            let permille = rng.below(1001);
            for sector in first / SECTOR..=last / SECTOR {
                let from = (sector * SECTOR).max(first);
                let to = ((sector + 1) * SECTOR).min(after.len());
                if rng.happens(permille) {
                    apply(from, to, &after[from..to]);
                }
            }
        }
        Torn::Garbled => {
            apply(first, cut, &after[first..cut]);
            let to = (cut + SECTOR).min(last + 1);
            let rubbish: Vec<u8> = (cut..to).map(|_| rng.bits().to_le_bytes()[0]).collect();
            apply(cut, to, &rubbish);
        }
    }
    file
}

/// The files after a crash on the way from `before` to `after`, and whether the commit between
/// them must have survived.
fn crash(before: &Files, after: &Files, rng: &mut Rng) -> (Files, bool) {
    let how = [Torn::Prefix, Torn::Sectors, Torn::Garbled][usize::try_from(rng.below(3)).unwrap()];
    let log_synced = rng.happens(300);
    if log_synced {
        let main = torn(&before.main, &after.main, how, rng);
        return (Files { main, wal: after.wal.clone() }, true);
    }
    let mut wal = before.wal.clone();
    if wal.get(..WAL_HEADER) != after.wal.get(..WAL_HEADER) {
        if rng.happens(200) {
            return (before.clone(), false);
        }
        wal.resize(wal.len().max(WAL_HEADER), 0);
        wal[..WAL_HEADER].copy_from_slice(&after.wal[..WAL_HEADER]);
    }
    let wal = torn(&wal, &after.wal, how, rng);
    (Files { main: before.main.clone(), wal }, false)
}

#[test]
fn a_crash_at_any_point_of_the_files_leaves_whole_commits() {
    const SEED: u64 = 0x6d6f_6c74;
    const COMMITS: u64 = 110;
    const CRASHES: u64 = 5;
    println!("seed {SEED:#x}");
    let mut rng = Rng::new(SEED);
    let (runtime, states) = (runtime(), replayed(COMMITS + 1));
    let folder = TempDir::new().unwrap();
    // Short enough for several checkpoints and runs of the log.
    let (store, _) = open(folder.path(), 60).unwrap();
    let (leadership, mut head, _) = runtime.block_on(lead(&store));
    let mut before = Files::read(folder.path());
    let (mut survived, mut lost, mut dropped, mut checkpoints, mut runs) = (0, 0, 0, 0, 0);
    while head.number < COMMITS {
        head = runtime.block_on(commit_next(&store, &leadership, &head));
        let after = Files::read(folder.path());
        checkpoints += u64::from(before.main != after.main);
        runs += u64::from(before.wal[..WAL_HEADER] != after.wal[..WAL_HEADER]);
        for turn in 0..CRASHES {
            let (files, must_survive) = crash(&before, &after, &mut rng);
            let context = format!("seed {SEED:#x}, commit {}, crash {turn}", head.number);
            let opened = recover(&runtime, files.write().path(), &states)
                .unwrap_or_else(|wrong| panic!("{context}: {wrong}"));
            let found = opened.head;
            assert!(found == head.number || found + 1 == head.number, "{context}: at {found}");
            assert!(found == head.number || !must_survive, "{context}: a synced commit is gone");
            survived += u64::from(found == head.number);
            lost += u64::from(found != head.number);
            dropped += u64::from(opened.tail != Tail::Clean);
        }
        before = after;
    }
    println!(
        "{} crash points: commit survived {survived}, lost {lost}; dropped tails {dropped}; \
         checkpoints {checkpoints}, runs of the log {runs}",
        survived + lost
    );
    assert!(survived > 100 && lost > 100 && dropped > 50);
    assert!(checkpoints > 5 && runs > 5, "{checkpoints} checkpoints, {runs} runs");
}

/// A log of many commits that no checkpoint has touched, and where each commit ends in it.
fn long_log(runtime: &Runtime, commits: u64) -> (Files, Vec<usize>) {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path(), 100_000).unwrap();
    let (leadership, mut head, _) = runtime.block_on(lead(&store));
    let mut ends = vec![0];
    while head.number < commits {
        head = runtime.block_on(commit_next(&store, &leadership, &head));
        ends.push(Files::read(folder.path()).wal.len());
    }
    (Files::read(folder.path()), ends)
}

/// The last commit that ends at or before `cut`.
fn whole_commits(ends: &[usize], cut: usize) -> u64 {
    ends.partition_point(|&end| end <= cut) as u64 - 1
}

#[test]
fn a_log_cut_or_garbled_to_its_end_opens_at_the_last_whole_commit() {
    const SEED: u64 = 11;
    const COMMITS: u64 = 40;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let (runtime, states) = (runtime(), replayed(COMMITS + 1));
    let (files, ends) = long_log(&runtime, COMMITS);
    let size = files.wal.len();
    let edges = ends[1..].iter().flat_map(|&end| [end - 1, end]);
    let random: Vec<_> =
        (0..120).map(|_| usize::try_from(rng.below(size as u64)).unwrap()).collect();
    for cut in edges.chain(random) {
        let expected = whole_commits(&ends, cut);
        let mut crashed = files.clone();
        crashed.wal.truncate(cut);
        let context = format!("log cut at {cut} of {size}");
        let opened = recover(&runtime, crashed.write().path(), &states)
            .unwrap_or_else(|wrong| panic!("{context}: {wrong}"));
        assert_eq!(opened.head, expected, "{context}");
        let at_frame = cut < WAL_HEADER || (cut - WAL_HEADER).is_multiple_of(FRAME);
        let at_end = ends.contains(&cut);
        assert!(at_frame || opened.tail != Tail::Clean, "{context}: {opened:?}");
        assert!(!at_end || opened.tail == Tail::Clean, "{context}: {opened:?}");

        if cut < WAL_HEADER {
            continue;
        }
        let mut crashed = files.clone();
        let zeroes = rng.happens(500);
        for byte in &mut crashed.wal[cut..] {
            *byte = if zeroes { 0 } else { rng.bits().to_le_bytes()[0] };
        }
        // The rubbish may begin like what was there: the ends of pages are often zeroes.
        let wrong = (cut..size).find(|&at| crashed.wal[at] != files.wal[at]).unwrap_or(size);
        let context = format!("log garbled from {cut} of {size}, in effect from {wrong}");
        let opened = recover(&runtime, crashed.write().path(), &states)
            .unwrap_or_else(|wrong| panic!("{context}: {wrong}"));
        assert_eq!(opened.head, whole_commits(&ends, wrong), "{context}");
    }
}

#[test]
fn what_no_crash_may_leave_is_noticed() {
    const COMMITS: u64 = 10;
    let (runtime, states) = (runtime(), replayed(COMMITS + 1));
    let (files, ends) = long_log(&runtime, COMMITS);
    let edited = |sql: &str| {
        let folder = files.write();
        let connection = rusqlite::Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
        drop(connection);
        recover(&runtime, folder.path(), &states)
    };
    for sql in [
        "UPDATE head SET number = number - 1",
        "UPDATE head SET number = number + 1",
        "UPDATE head SET ledger = '0'",
        "INSERT INTO record VALUES ('k/99', '1')",
        "DELETE FROM record WHERE key = (SELECT max(key) FROM record)",
        "UPDATE record SET value = '1' WHERE key = (SELECT max(key) FROM record)",
    ] {
        let wrong = edited(sql).expect_err(sql);
        assert!(wrong.contains("commit"), "{sql}: {wrong}");
    }
    assert_eq!(edited("UPDATE leader SET term = term + 1").unwrap().head, COMMITS);

    // One commit after a gap is what a crash leaves of a long commit whose first frames never
    // reached the disk, so the log counts up to the gap.
    let mut holey = files.clone();
    holey.wal[ends[8]..ends[9]].fill(0);
    let found = recover(&runtime, holey.write().path(), &states).map(|opened| opened.head);
    assert_eq!(found, Ok(8));
}

#[test]
fn a_hole_before_acknowledged_commits_is_refused_not_dropped() {
    const COMMITS: u64 = 12;
    let mut rng = Rng::new(13);
    let runtime = runtime();
    let (files, ends) = long_log(&runtime, COMMITS);
    // Two whole commits after the hole are proof that it is no crash.
    let last = ends[usize::try_from(COMMITS).unwrap() - 3];
    for turn in 0..60 {
        let at = usize::try_from(rng.below(last as u64)).unwrap();
        let mut damaged = files.clone();
        damaged.wal[at] ^= 1 << rng.below(8);
        let folder = damaged.write();
        match open(folder.path(), 1000) {
            Err(OpenError::Damaged { path, found }) => {
                assert!(path.ends_with(WAL_FILE), "{}", path.display());
                assert!(found.contains("write-ahead log"), "{found}");
            }
            other => panic!("turn {turn}: one bit at {at} is wrong, but {other:?}"),
        }
        assert!(Files::read(folder.path()) == damaged, "refused, but the files changed");
    }
}

#[test]
#[ignore = "the child of `every_acknowledged_commit_survives_a_kill`"]
fn child_commits_until_it_is_killed() {
    // Without a folder nobody asked for a child: all ignored tests are being run.
    let Some(folder) = std::env::var_os("MOLT_STORE_TEST_FOLDER") else {
        return;
    };
    runtime().block_on(async {
        let (store, _) = open(Path::new(&folder), 30).unwrap();
        let (leadership, mut head, _) = lead(&store).await;
        println!("\nopen");
        loop {
            head = commit_next(&store, &leadership, &head).await;
            println!("{}", head.number);
        }
    });
}

#[test]
fn every_acknowledged_commit_survives_a_kill() {
    const SEED: u64 = 17;
    const KILLS: u64 = 50;
    println!("seed {SEED}");
    let mut rng = Rng::new(SEED);
    let runtime = runtime();
    let folder = TempDir::new().unwrap();
    let mut states = replayed(0);
    let (mut acknowledged, mut unheard) = (0, 0);
    for turn in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "child_commits_until_it_is_killed"])
            .env("MOLT_STORE_TEST_FOLDER", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "open"), "turn {turn}: the child died");
        let before_the_kill = usize::try_from(rng.below(40)).unwrap();
        let mut numbers: Vec<u64> =
            lines.by_ref().take(before_the_kill).map(|line| line.parse().unwrap()).collect();
        for _ in 0..rng.below(200_000) {
            std::hint::spin_loop();
        }
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
        // What it said before it died counts too; a last line may be cut.
        numbers.extend(lines.map_while(|line| line.parse::<u64>().ok()));
        child.wait().unwrap();
        acknowledged = numbers.last().copied().unwrap_or(acknowledged);

        let (store, opened) = open(folder.path(), 30).unwrap();
        let (leadership, head, records) = runtime.block_on(lead(&store));
        let context = format!("turn {turn}: {acknowledged} acknowledged, {opened:?}");
        assert_eq!(head.number, opened.head, "{context}");
        assert!(head.number >= acknowledged, "{context}");
        assert!(head.number <= acknowledged + 1, "{context}: more than one under way");
        unheard += head.number - acknowledged;
        if head.number >= states.len() as u64 {
            states = replayed(head.number + 100);
        }
        assert!(records == states[usize::try_from(head.number).unwrap()], "{context}");
        acknowledged = runtime.block_on(commit_next(&store, &leadership, &head)).number;
    }
    println!("{KILLS} kills, {acknowledged} commits, {unheard} of them durable but unheard");
    assert!(acknowledged > KILLS * 10);
}
