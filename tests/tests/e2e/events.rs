//! A reader of events that dies, a coordinator that dies, and nothing that is missed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Fleet, Host, Running, Signal, until};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n";

fn fleet() -> (Fleet, Host) {
    let fleet = Fleet::new(&[("molt.toml", POLICY), ("docs/a.md", "a\n")], &[]);
    let mut host = fleet.host("h1");
    host.serve(0);
    (fleet, host)
}

fn follower(host: &Host, cursor: &str) -> Running {
    let words = ["events", "--follow", "--json", "--cursor", cursor];
    Running::start(host.command(&words), &host.logs())
}

/// The documents that were said so far, without a line that is not whole.
fn documents(said: &str) -> Vec<Value> {
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect()
}

/// The numbers of the events that were said so far.
fn numbers(said: &str) -> Vec<u64> {
    let events = |document: Value| document["data"]["events"].as_array().expect("events").clone();
    let seq = |event: Value| event["seq"].as_u64().expect("a number");
    documents(said).into_iter().flat_map(events).map(seq).collect()
}

/// What is kept at a cursor.
fn kept(host: &Host, cursor: &str) -> Option<u64> {
    let fleets = host.state().join("cursors").read_dir().ok()?;
    let mut files = fleets.map(|fleet| fleet.expect("a folder").path());
    let file: PathBuf = files.next()?.join(format!("{cursor}.json"));
    let text = std::fs::read(file).ok()?;
    serde_json::from_slice::<Value>(&text).expect("a cursor is whole")["after"].as_u64()
}

/// The number of the last entry that there is.
fn last(fleet: &Fleet) -> u64 {
    fleet.coordinator.events.all().last().map_or(0, |entry| entry["seq"].as_u64().expect("one"))
}

/// Kills it at once; the numbers that it had said.
fn killed(running: Running) -> Vec<u64> {
    running.signal(Signal::SIGKILL);
    let said = running.end();
    assert_eq!(said.code, 137, "{said:?}");
    numbers(&said.out)
}

#[test]
fn a_follower_that_is_killed_goes_on_right_after_its_last_line() {
    let (mut fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    ann.json(&["claim", "docs"], 0);
    let claimed = fleet.coordinator.events.wait("a claim", |event| event["what"] == "claimed");
    let claimed = claimed["seq"].as_u64().expect("a number");

    let first = follower(&host, "notes");
    until("it has said what there was, and knows", || {
        let seen = numbers(&first.output()).last().copied()?;
        (seen >= claimed && kept(&host, "notes") == Some(seen)).then_some(())
    });
    let before = killed(first);
    let at = kept(&host, "notes").expect("a cursor");

    // What happens while nobody follows, and while the coordinator is started again.
    ann.json(&["release"], 0);
    let second = follower(&host, "notes");
    until("it goes on", || (!numbers(&second.output()).is_empty()).then_some(()));
    fleet.coordinator.kill();
    fleet.coordinator.start();
    let mark = last(&fleet);
    ann.json(&["claim", "docs"], 0);
    until("it goes on at the new one", || {
        (numbers(&second.output()).last().copied()? > mark).then_some(())
    });
    second.signal(Signal::SIGTERM);
    let said = second.end().exits(0);
    let after = numbers(&said.out);
    assert_eq!(documents(&said.out).last().expect("the end")["code"], "ended");

    assert_eq!(after[0], at + 1, "exactly after what was kept");
    let repeated = before.iter().filter(|seq| after.contains(seq)).count();
    assert!(repeated <= 1, "at most the line that it died at: {before:?} {after:?}");
    let all: BTreeSet<u64> = before.iter().chain(&after).copied().collect();
    let end = *after.last().expect("something");
    assert!(all.into_iter().eq(1..=end), "nothing is missed: {before:?} {after:?}");
    assert_eq!(kept(&host, "notes"), Some(end));
    for pair in [&before, &after] {
        assert!(pair.windows(2).all(|pair| pair[1] == pair[0] + 1), "{pair:?}");
    }
}

#[test]
fn wherever_a_follower_is_killed_nothing_is_missed() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    for at in 0..12 {
        ann.json(&["send", "docs", &format!("line {at}")], 3);
        ann.json(&["task", "add", &format!("line {at}")], 0);
    }
    let all = last(&fleet);
    let mut seen = Vec::new();
    let mut lives = 0;
    while seen.last().is_none_or(|last| *last < all) {
        let running = follower(&host, "often");
        // It dies as soon as it has said anything, in the middle of what it has to say.
        until("it says something", || running.output().contains('\n').then_some(()));
        let said = killed(running);
        let from = seen.last().map_or(1, |last: &u64| last + 1);
        assert!(
            said[0] == from || said[0] + 1 == from,
            "life {lives} begins with {} after {:?}",
            said[0],
            seen.last()
        );
        seen.extend(said);
        lives += 1;
    }
    let set: BTreeSet<u64> = seen.iter().copied().collect();
    assert!(set.into_iter().eq(1..=*seen.last().expect("something")), "{seen:?}");
    assert!(seen.len() as u64 - seen.last().expect("something") < lives + 1, "{seen:?}");
}

#[test]
fn a_cursor_is_never_ahead_of_what_a_reader_can_have_read() {
    let (fleet, host) = fleet();
    let ann = fleet.agent("ann", &host);
    for part in ["first", "second"] {
        let task =
            |at: u32| format!("[[task]]\ntitle = 'line {at} of the {part} that fill a pipe'\n");
        let plan: String = (0..120).map(task).collect();
        let path = fleet.path(&format!("{part}.toml"));
        std::fs::write(&path, plan).expect("a plan");
        ann.json(&["task", "import", path.to_str().expect("a path of text")], 0);
    }
    let mut command = host.command(&["events", "--follow", "--json", "--cursor", "slow"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut follower = command.spawn().expect("it starts");
    // Nobody reads, so it stops in the middle of a line, or right before one.
    let mut looks = Vec::new();
    until("it is held up", || {
        looks.push(kept(&host, "slow").unwrap_or_default());
        let same = looks.iter().rev().take_while(|at| Some(*at) == looks.last()).count();
        (*looks.last()? > 10 && same > 40).then_some(())
    });
    follower.kill().expect("it can be killed");
    let said = follower.wait_with_output().expect("it ends").stdout;
    let said = numbers(&String::from_utf8(said).expect("text"));
    let at = kept(&host, "slow").expect("a cursor");
    assert!(at < last(&fleet), "it was held up: {at}");
    assert!(said.iter().copied().eq(1..=said.len() as u64), "{said:?}");
    assert!(said.contains(&at), "entry {at} was passed over: it said {said:?}");
}

#[test]
fn what_is_new_is_told_once_and_a_cursor_is_of_one_reader() {
    let (fleet, host) = fleet();
    let (ann, bob) = (fleet.agent("ann", &host), fleet.agent("bob", &host));
    ann.json(&["claim", "docs"], 0);
    bob.json(&["join"], 0);
    let told = ann.json(&["events", "--limit", "2"], 0);
    assert_eq!((&told["data"]["cursor"], &told["data"]["more"]), (&2.into(), &true.into()));
    assert_eq!(told["data"]["events"][0]["entry"]["seq"], 1);
    let text = ann.run(&["events"]).exits(0).out;
    assert!(text.starts_with("3  ") && text.lines().count() <= 12, "{text}");
    until("all is read", || match ann.run(&["events"]) {
        said if said.code == 12 => {
            assert!(said.out.starts_with("nothing  new after"), "{said:?}");
            Some(())
        }
        said => {
            said.exits(0);
            None
        }
    });
    // Another session has its own place.
    assert_eq!(bob.json(&["events"], 0)["data"]["events"][0]["seq"], 1);

    let mut follower = follower(&host, "shared");
    until("it has the cursor", || kept(&host, "shared"));
    let refused = ann.json(&["events", "--cursor", "shared"], 9);
    assert_eq!(refused["code"], "precondition", "{refused}");
    assert!(follower.ended().is_none());

    // A place that is ahead of all that happened is none.
    let ahead = ann.json(&["events", "--from", "4000000000"], 9);
    assert_eq!(ahead["code"], "stale", "{ahead}");
    assert!(ahead["next"].to_string().contains("molt-agent events --from oldest"), "{ahead}");
    // From now on means: nothing of before.
    until("it is quiet", || (ann.run(&["events", "--from", "now"]).code == 12).then_some(()));
}
