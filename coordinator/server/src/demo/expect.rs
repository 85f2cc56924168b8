//! What was to be seen, and whether it was: every row is counted from the watch stream or
//! from what the agents' own children wrote down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::cast::HOSTS;
use super::error::DemoError;
use super::recipe::{Fate, Recipe};
use super::story::{Notes, most_at_once};
use super::watch::Entry;

/// One expectation.
#[derive(Debug)]
pub(super) struct Row {
    expected: String,
    seen: String,
    pub(super) met: bool,
}

fn row(expected: impl Into<String>, seen: impl Into<String>, met: bool) -> Row {
    Row { expected: expected.into(), seen: seen.into(), met }
}

/// The expectations of the whole story.
pub(super) fn rows(entries: &[Entry], notes: &Notes, recipe: &Recipe) -> Vec<Row> {
    let mut rows =
        vec![hosts(entries), refusal(notes, recipe), waiter(entries), tasks(entries, recipe)];
    rows.extend([exclusive(entries), build(entries, notes), pool(entries, notes, recipe)]);
    rows.extend(landings(entries, recipe));
    rows.extend([orphan(entries, recipe), survivors(notes), in_flight(entries, notes)]);
    rows
}

fn all<'a>(entries: &'a [Entry], what: &'a str) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(move |entry| entry.is(what))
}

fn names<'a>(entries: &'a [Entry], what: &'a str, key: &'a str) -> BTreeSet<&'a str> {
    all(entries, what).map(|entry| entry.text(key)).collect()
}

fn hosts(entries: &[Entry]) -> Row {
    let (agents, hosts) = (names(entries, "joined", "name"), names(entries, "joined", "host"));
    let seen = format!("{} agents on {} hosts", agents.len(), hosts.len());
    row("3 agents or more, on 3 hosts", seen, agents.len() >= 3 && hosts.len() == HOSTS.len())
}

fn refusal(notes: &Notes, recipe: &Recipe) -> Row {
    let text = &notes.refusal;
    let witness = text.lines().find_map(|line| line.split_once("e.g. ")).map(|(_, path)| path);
    let code = text.lines().last().unwrap_or_default();
    let met = code == "exit 4" && text.contains("held by ann") && witness.is_some();
    let expected = format!("a claim on {} refused, with a witness", recipe.wanted.0);
    row(expected, format!("{code}, {}", witness.unwrap_or("no witness")), met)
}

/// Whoever queued first after the first refusal was granted that very claim, after its holder
/// gave it back.
fn waiter(entries: &[Entry]) -> Row {
    let queued = all(entries, "queued").next();
    let served = queued.and_then(|queued| {
        let claim = queued.text("claim");
        let granted = all(entries, "claimed").find(|entry| entry.text("claim") == claim)?;
        let freed = all(entries, "released").find(|entry| entry.seq > queued.seq)?;
        Some((freed.seq, granted.seq, granted.text("name")))
    });
    let met = served.is_some_and(|(freed, granted, _)| freed < granted);
    let seen = served.map_or("nobody".to_owned(), |(freed, granted, name)| {
        format!("{name} at {granted}, freed at {freed}")
    });
    row("a waiter served when it was free", seen, met)
}

fn tasks(entries: &[Entry], recipe: &Recipe) -> Row {
    let added = names(entries, "task_added", "task").len();
    let taken = names(entries, "task_taken", "task").len();
    let scoped = all(entries, "task_taken").all(|entry| entry.event["claim"].is_string());
    let takers = names(entries, "task_taken", "name").len();
    let wanted = recipe.plan.len() + 3;
    let met = added == wanted && taken == wanted && takers >= 3 && scoped;
    let seen = format!("{taken} of {added}, by {takers} agents");
    row(format!("{wanted} tasks handed out with their scopes"), seen, met)
}

/// No two claims that are held have a scope in common.
fn exclusive(entries: &[Entry]) -> Row {
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    let (mut grants, mut doubles) = (0, 0);
    for entry in entries {
        let scopes = entry.event["scopes"].as_array().into_iter().flatten();
        let scopes = scopes.filter_map(Value::as_str);
        if entry.is("claimed") {
            for scope in scopes {
                grants += 1;
                doubles += u32::from(
                    held.insert(scope.to_owned(), entry.text("claim").to_owned()).is_some(),
                );
            }
        } else if ["released", "lapsed", "revoked"].iter().any(|end| entry.is(end)) {
            for scope in scopes {
                held.remove(scope);
            }
        }
    }
    row(
        "no scope held by two at once",
        format!("{grants} grants, {doubles} twice"),
        grants > 0 && doubles == 0,
    )
}

fn build(entries: &[Entry], notes: &Notes) -> Row {
    let begun = all(entries, "build_begun").count();
    let inherited = all(entries, "build_ended")
        .filter(|entry| entry.text("class") == "passed")
        .filter_map(|entry| entry.event["waiters"].as_u64())
        .sum::<u64>();
    let ran = notes.built.lines().count();
    let met = (begun, inherited, ran, notes.artifacts) == (1, 2, 1, 3);
    let seen = format!("{ran} run, {inherited} inherit, {} have it", notes.artifacts);
    row("one build for three callers", seen, met)
}

fn pool(entries: &[Entry], notes: &Notes, recipe: &Recipe) -> Row {
    let (pool, size) = recipe.pool;
    let grants = all(entries, "slot_granted").filter(|entry| entry.text("pool") == pool);
    let most = grants.filter_map(|entry| entry.event["in_use"].as_u64()).max().unwrap_or(0);
    let (ran, ended) =
        (most_at_once(&notes.slots), notes.slots.lines().filter(|line| *line == "end").count());
    let seen = format!("{ended} runs, {ran} at once, {most} granted");
    row(format!("4 runs in a pool of {size}"), seen, ended == 4 && ran == size && most == size)
}

/// What landed and what was refused, by whom.
fn landings(entries: &[Entry], recipe: &Recipe) -> Vec<Row> {
    let title = |car: &str| {
        let submitted = all(entries, "submitted").find(|entry| entry.text("car") == car);
        submitted.map_or("", |entry| entry.text("title"))
    };
    let landed: Vec<&str> = all(entries, "landed").map(|entry| title(entry.text("car"))).collect();
    let wanted = recipe.landings();
    let expected = format!("{wanted} changes landed");
    let mut rows =
        vec![row(expected, landed.len().to_string(), landed.len() == wanted && wanted >= 5)];
    for task in recipe.plan {
        let Fate::Refused(by) = task.fate else { continue };
        let ejected = all(entries, "ejected").find(|entry| title(entry.text("car")) == task.title);
        let ejection = ejected.map(|entry| &entry.event["ejection"]);
        let text =
            |key: &str| ejection.and_then(|ejection| ejection[key].as_str()).unwrap_or_default();
        let seen = if text("why") == "gate-failed" { text("gate") } else { text("why") };
        let met = seen == by && !landed.contains(&task.title);
        let seen = if seen.is_empty() { "nothing" } else { seen };
        rows.push(row(format!("refused by {by}"), format!("{seen}: {}", task.title), met));
    }
    rows
}

/// The killed agent's task was open again and landed as another's.
fn orphan(entries: &[Entry], recipe: &Recipe) -> Row {
    let title = recipe.orphaned.title;
    let task = all(entries, "task_added").find(|entry| entry.text("title") == title);
    let task = task.map_or("", |entry| entry.text("task"));
    let of_task = |what| all(entries, what).filter(|entry| entry.text("task") == task);
    let takers: Vec<&str> = of_task("task_taken").map(|entry| entry.text("name")).collect();
    let lost = all(entries, "lost").any(|entry| entry.text("cause") == "root_dead");
    let returned = of_task("task_returned").count();
    let landed = all(entries, "submitted")
        .filter(|entry| entry.text("title") == title)
        .any(|entry| all(entries, "landed").any(|landed| landed.text("car") == entry.text("car")));
    let met = lost && returned == 1 && landed && takers == ["cyd", "bob"];
    let seen = format!("taken by {}, open again {returned} time(s)", takers.join(", then "));
    row("a killed agent's work returns and lands", seen, met)
}

fn survivors(notes: &Notes) -> Row {
    let claim = notes.before["claim"].as_str().unwrap_or_default();
    let met = notes.before == notes.after && !claim.is_empty() && notes.before["waiting"] == 1;
    let holder = notes.after["holder"].as_str().unwrap_or("nobody");
    let seen = format!("{claim} of {holder}, {} waits", notes.after["waiting"]);
    row("claim, line and task outlive the coordinator", seen, met)
}

/// The change that was on its way landed after the restart.
fn in_flight(entries: &[Entry], notes: &Notes) -> Row {
    let before = |entry: &&Entry| entry.seq <= notes.killed_at;
    let open = all(entries, "submitted").filter(before).find(|car| {
        let ended = |entry: &Entry| {
            (entry.is("landed") || entry.is("ejected")) && entry.text("car") == car.text("car")
        };
        !entries.iter().any(|entry| entry.seq <= notes.killed_at && ended(entry))
    });
    let landed = open
        .and_then(|car| all(entries, "landed").find(|entry| entry.text("car") == car.text("car")));
    let seen = landed.map_or("nothing".to_owned(), |entry| {
        format!("{} at {}, killed at {}", entry.text("car"), entry.seq, notes.killed_at)
    });
    row("the change in flight lands after the restart", seen, landed.is_some())
}

/// Whatever the stream said is in the exported audit, byte for byte.
pub(super) fn all_in_audit(entries: &[Entry], audit: &Path) -> Result<Row, DemoError> {
    let text = std::fs::read_to_string(audit).map_err(DemoError::file(audit))?;
    let kept: BTreeSet<&str> = text.lines().collect();
    let missing = entries.iter().filter(|entry| !kept.contains(entry.raw.as_str())).count();
    let seen = format!("{} of {}", entries.len() - missing, entries.len());
    Ok(row("all that was told is in the audit", seen, missing == 0 && !entries.is_empty()))
}

/// The table.
pub(super) fn show(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.expected.len()).max().unwrap_or(0);
    let line = |row: &Row| {
        let mark = if row.met { "ok " } else { "NO " };
        format!("{mark} {:<width$}  {}\n", row.expected, row.seen)
    };
    rows.iter().map(line).collect()
}

/// The same for the independent check, which counts by itself.
pub(super) fn wanted(recipe: &Recipe) -> String {
    let mut text = format!(
        "landed = {{ exactly = {} }}\nbuild_begun = {{ exactly = 1 }}\ntask_returned = 1\nlost = 1\n",
        recipe.landings()
    );
    for task in recipe.plan {
        if let Fate::Refused(by) = task.fate {
            text.push_str(&format!("\"ejected {by}\" = 1\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests;
