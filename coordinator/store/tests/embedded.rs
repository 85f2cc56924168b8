//! What is particular to the embedded store: its files, its lock, its limits.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use molt_store::embedded::{DATABASE_FILE, Holder, LOCK_FILE, OpenError, Opened, Options, Tail};
use molt_store::{
    CampaignError, Candidate, Change, Commit, CommitError, EmbeddedStore, Head, Json, Key,
    Leadership, LoadError, Record, Settled, Store, commit_and_settle,
};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;

fn open(folder: &Path) -> Result<(EmbeddedStore, Opened), OpenError> {
    EmbeddedStore::open(folder, Options::default())
}

fn put(key: &str, bytes: usize) -> Change {
    let value = Json::encode(&"x".repeat(bytes)).unwrap();
    Change::Put(Record { key: Key::parse(key).unwrap(), value })
}

fn commit(leadership: &Leadership, changes: Vec<Change>) -> Commit {
    Commit::new(leadership, Json::empty_object(), changes).unwrap()
}

async fn lead(store: &EmbeddedStore) -> (Leadership, Head) {
    let leadership = store.campaign(&Candidate::new("c", "c:1")).await.unwrap();
    let (head, _) = store.load(&leadership).await.unwrap();
    (leadership, head)
}

/// A closed store in which `commits` commits have been made, each of a record of 1000 bytes.
async fn filled(folder: &Path, commits: u32) {
    let (store, _) = open(folder).unwrap();
    let (leadership, mut head) = lead(&store).await;
    for n in 0..commits {
        let batch = commit(&leadership, vec![put(&format!("k/{n:04}"), 1000)]);
        head = store.commit(&leadership, &head, batch).await.unwrap();
    }
}

fn database(folder: &Path) -> std::path::PathBuf {
    folder.join(DATABASE_FILE)
}

/// The database and its log; a log of no bytes is none.
fn bytes_of(folder: &Path) -> [Vec<u8>; 2] {
    ["", "-wal"]
        .map(|end| fs::read(folder.join(format!("{DATABASE_FILE}{end}"))).unwrap_or_default())
}

/// Asserts that opening is refused and neither the database nor its log changes by a byte.
fn refused(folder: &Path) -> OpenError {
    let before = bytes_of(folder);
    let error = open(folder).expect_err("a store that must be refused");
    assert!(before == bytes_of(folder), "the files changed although refused: {error}");
    error
}

#[tokio::test]
async fn records_are_readable_with_sqlite_while_the_store_is_open() {
    let folder = TempDir::new().unwrap();
    let (store, opened) = open(folder.path()).unwrap();
    assert_eq!(opened, Opened { head: 0, tail: Tail::Clean });
    let (leadership, head) = lead(&store).await;
    let value = Json::parse(r#"{"holder":"a1"}"#).unwrap();
    let key = Key::parse("claim/clm_0001").unwrap();
    let batch = commit(&leadership, vec![Change::Put(Record { key, value })]);
    store.commit(&leadership, &head, batch).await.unwrap();

    let reader = Connection::open(database(folder.path())).unwrap();
    let row: (String, String, String) = reader
        .query_row("SELECT key, value, typeof(value) FROM record", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(row, ("claim/clm_0001".into(), r#"{"holder":"a1"}"#.into(), "text".into()));
    let mode: String = reader.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
#[ignore = "the child of `a_second_process_is_refused_with_the_holder`"]
fn child_holds_the_store() {
    // Without a folder nobody asked for a child: all ignored tests are being run.
    let Some(folder) = std::env::var_os("MOLT_STORE_TEST_FOLDER") else {
        return;
    };
    let (store, _) = open(Path::new(&folder)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.campaign(&Candidate::new("child", "child.example:7400"))).unwrap();
    println!("\nheld");
    // Holds it until the parent closes the pipe, or is gone.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_second_process_is_refused_with_the_holder() {
    let folder = TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "child_holds_the_store"])
        .env("MOLT_STORE_TEST_FOLDER", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "held"), "the child died");

    let error = refused(folder.path());
    let text = error.to_string();
    let OpenError::Held { holder, .. } = error else { panic!("{error:?}") };
    let address = Some("child.example:7400".to_owned());
    assert_eq!(holder, Some(Holder { pid: child.id(), address }));
    assert!(text.contains(&format!("process {} at child.example:7400", child.id())), "{text}");

    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    open(folder.path()).expect("the lock ends with its process");
}

#[test]
fn a_second_handle_in_this_process_is_refused_until_the_first_is_dropped() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path()).unwrap();
    let error = refused(folder.path());
    let holder = Some(Holder { pid: std::process::id(), address: None });
    assert!(matches!(&error, OpenError::Held { holder: found, .. } if *found == holder));
    drop(store);
    open(folder.path()).expect("dropping gives the lock back");
    // What the file says does not matter, only the lock does.
    fs::write(folder.path().join(LOCK_FILE), "rubbish").unwrap();
    open(folder.path()).expect("an unlocked file with rubbish is free");
}

#[tokio::test]
async fn a_newer_layout_is_refused_untouched() {
    let folder = TempDir::new().unwrap();
    filled(folder.path(), 3).await;
    let raise = |in_log_only: bool| {
        let connection = Connection::open(database(folder.path())).unwrap();
        let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        connection.set_db_config(keep_log, in_log_only).unwrap();
        connection.pragma_update(None, "user_version", 7).unwrap();
    };
    for in_log_only in [true, false] {
        raise(in_log_only);
        let main = fs::read(database(folder.path())).unwrap();
        assert_eq!(main[63], if in_log_only { 1 } else { 7 }, "where the layout is written");
        let error = refused(folder.path());
        let text = error.to_string();
        assert!(matches!(error, OpenError::Newer { found: 7, supported: 1, .. }), "{error:?}");
        assert!(text.contains("layout 7, newer than 1"), "{text}");
    }
}

#[test]
fn a_file_that_is_no_board_is_refused_untouched() {
    let folder = TempDir::new().unwrap();
    fs::write(database(folder.path()), "x".repeat(5000)).unwrap();
    assert!(matches!(refused(folder.path()), OpenError::Foreign { .. }));
    fs::remove_file(database(folder.path())).unwrap();

    let other = Connection::open(database(folder.path())).unwrap();
    other.execute_batch("CREATE TABLE t (x); PRAGMA application_id = 66;").unwrap();
    drop(other);
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("application 0x00000042"), "{error}");
}

#[tokio::test]
async fn a_main_file_cut_short_is_refused_untouched() {
    let folder = TempDir::new().unwrap();
    filled(folder.path(), 60).await;
    let whole = fs::read(database(folder.path())).unwrap();
    assert!(whole.len() > 10 * 4096, "{} bytes", whole.len());
    let page_cuts = (0..whole.len()).step_by(4096);
    let odd_cuts = [1, 50, 99, 101, 5000, whole.len() - 4095, whole.len() - 1];
    for cut in page_cuts.chain(odd_cuts) {
        fs::write(database(folder.path()), &whole[..cut]).unwrap();
        let error = refused(folder.path());
        let text = error.to_string();
        assert!(matches!(error, OpenError::Damaged { .. }), "cut at {cut}: {error:?}");
        assert!(text.contains(DATABASE_FILE) && text.contains(&format!("{cut} bytes")), "{text}");
    }
    fs::write(database(folder.path()), &whole).unwrap();
    assert_eq!(open(folder.path()).unwrap().1.head, 60);
}

#[tokio::test]
async fn a_broken_page_is_refused_untouched() {
    let folder = TempDir::new().unwrap();
    filled(folder.path(), 60).await;
    let whole = fs::read(database(folder.path())).unwrap();
    // The first page is the schema; each later one is part of a table.
    for page in 1..whole.len() / 4096 {
        let mut broken = whole.clone();
        broken[page * 4096..][..4096].fill(0xa5);
        fs::write(database(folder.path()), &broken).unwrap();
        let error = refused(folder.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "page {}: {error:?}", page + 1);
    }
}

#[tokio::test]
async fn a_log_without_its_main_file_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("board.sqlite-wal"), "x").unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(!database(folder.path()).exists());
}

#[tokio::test]
async fn an_unfinished_creation_is_started_again() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("board.sqlite.new"), "half").unwrap();
    fs::write(folder.path().join("board.sqlite.new-wal"), "half").unwrap();
    filled(folder.path(), 2).await;
    assert_eq!(open(folder.path()).unwrap().1, Opened { head: 2, tail: Tail::Clean });
    assert!(!folder.path().join("board.sqlite.new").exists());
}

#[tokio::test]
async fn a_full_store_refuses_and_stays_whole() {
    // Several of them fit before the store is full.
    const RECORD: usize = 32 * 1024;
    let folder = TempDir::new().unwrap();
    let options = Options { max_bytes: 40 * 4096, ..Options::default() };
    let (store, _) = EmbeddedStore::open(folder.path(), options).unwrap();
    let (leadership, mut head) = lead(&store).await;
    let mut kept = 0;
    loop {
        let changes = vec![put("a", 10), put(&format!("k/{kept}"), RECORD)];
        match store.commit(&leadership, &head, commit(&leadership, changes)).await {
            Ok(next) => head = next,
            Err(CommitError::Unavailable(cause)) => {
                assert!(cause.to_string().contains("full"), "{cause}");
                break;
            }
            Err(error) => panic!("{error:?}"),
        }
        kept += 1;
        assert!(kept < 10, "the store was never full");
    }
    assert!(kept > 0);
    let (found, records) = store.load(&leadership).await.unwrap();
    assert_eq!((&found, records.len()), (&head, kept + 1), "a refused commit left something");

    // What frees room and what fits is still taken, on the same head.
    let free = commit(&leadership, vec![Change::Delete { key: Key::parse("k/0").unwrap() }]);
    head = store.commit(&leadership, &head, free).await.unwrap();
    let again = commit(&leadership, vec![put("k/new", RECORD)]);
    let settled = commit_and_settle(&store, &leadership, &head, again, |_| async {}).await;
    let Ok(Settled::Applied(head)) = settled else { panic!("{settled:?}") };
    drop(store);

    let (store, opened) = open(folder.path()).unwrap();
    assert_eq!(opened, Opened { head: head.number, tail: Tail::Clean });
    let (leadership, head) = lead(&store).await;
    let more = (0..9).map(|n| put(&format!("m/{n}"), RECORD)).collect();
    let grown = store.commit(&leadership, &head, commit(&leadership, more)).await;
    grown.expect("more room was given");
}

#[tokio::test]
async fn a_record_that_is_no_json_is_named() {
    let folder = TempDir::new().unwrap();
    filled(folder.path(), 2).await;
    let edit = |sql: &str| {
        Connection::open(database(folder.path())).unwrap().execute_batch(sql).unwrap();
    };
    edit("UPDATE record SET value = '{' WHERE key = 'k/0001'");
    let (store, _) = open(folder.path()).unwrap();
    let leadership = store.campaign(&Candidate::new("c", "c:1")).await.unwrap();
    let answer = store.load(&leadership).await;
    assert!(
        matches!(&answer, Err(LoadError::Damaged { what, .. }) if what == "record `k/0001`"),
        "{answer:?}"
    );
    drop(store);

    edit("UPDATE head SET id = 'x'");
    let (store, _) = open(folder.path()).unwrap();
    let answer = store.campaign(&Candidate::new("c", "c:1")).await;
    assert!(
        matches!(&answer, Err(CampaignError::Damaged { what, .. }) if what == "the head's id"),
        "{answer:?}"
    );
}
