//! Prints how many durable commits the embedded store makes in a second, in the folder given or
//! in a temporary one: `cargo run --release -p molt-store --example speed [FOLDER]`.

#![expect(clippy::print_stdout, reason = "a measurement is for reading")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the real clock")]

use std::error::Error;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use molt_store::embedded::Options;
use molt_store::{Candidate, Change, Commit, EmbeddedStore, Json, Key, Record, Store as _};

const VALUE_BYTES: usize = 400;
const KEYS: u64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(base)?;
    sync_alone(folder.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    for (changes, commits) in [(1, 5000), (64, 2000)] {
        let folder = tempfile::tempdir_in(folder.path())?;
        let (store, _) = EmbeddedStore::open(folder.path(), Options::default())?;
        runtime.block_on(commit_many(&store, changes, commits))?;
    }
    Ok(())
}

/// What the disk itself takes to write two pages over and sync them: the floor of any commit.
fn sync_alone(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(folder.join("floor"))?;
    file.write_all(&[1; 8192])?;
    file.sync_all()?;
    let mut times = Vec::new();
    for _ in 0..2000 {
        let start = Instant::now();
        file.rewind()?;
        file.write_all(&[2; 8192])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    report("write and sync 8 KiB", &mut times, 1);
    Ok(())
}

async fn commit_many(
    store: &EmbeddedStore,
    changes: u64,
    commits: u64,
) -> Result<(), Box<dyn Error>> {
    let leadership = store.campaign(&Candidate::new("speed", "nowhere")).await?;
    let (mut head, _) = store.load(&leadership).await?;
    let value = Json::encode(&"x".repeat(VALUE_BYTES))?;
    let mut next = 0;
    let mut times = Vec::new();
    for _ in 0..commits {
        let mut batch = Vec::new();
        for _ in 0..changes {
            // A step that is prime to the number of keys visits them all, spread out.
            next = (next + 7919) % KEYS;
            let key = Key::parse(format!("claim/clm_{next:08}"))?;
            batch.push(Change::Put(Record { key, value: value.clone() }));
        }
        let commit = Commit::new(&leadership, Json::empty_object(), batch)?;
        let start = Instant::now();
        head = store.commit(&leadership, &head, commit).await?;
        times.push(start.elapsed());
    }
    report(&format!("commit of {changes} changes"), &mut times, changes);
    Ok(())
}

fn report(what: &str, times: &mut [Duration], changes: u64) {
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    let rate = times.len() as f64 / total.as_secs_f64();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: {rate:.0}/s ({:.0} changes/s), median {:?}, p99 {:?}, longest {:?}",
        rate * changes as f64,
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
