//! Ten thousand webhooks, 200 a second, at a coordinator whose forge is GitHub.
//!
//! The peer does with each what nobody can leave out; ours reads what it is about, marks that, and
//! reads it again at a GitHub where nothing has changed. They take turns.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::coordinator::publish;
use crate::deliveries::{Deliveries, PATH, RATE};
use crate::github::GitHub;
use crate::load::Effort;
use crate::process::{Running, output, own};
use crate::report::{Bar, Row, Series};
use crate::{receiver, usage};

/// How many there are in all, and in how many turns.
const DELIVERIES: u32 = 10_000;
const TURNS: u32 = 10;

/// What the service is said to be, at GitHub and in its configuration.
const REPOSITORY: &str = "acme/widget";

/// Measures webhooks; state goes into `folder`.
pub(crate) async fn measure(folder: &Path, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let deliveries = Deliveries::recorded()?;
    let repository = folder.join(format!("{REPOSITORY}.git"));
    fs::create_dir_all(&repository)?;
    publish(folder, &repository, 1)?;
    output(Command::new("git").arg("-C").arg(&repository).arg("update-server-info"))?;
    let github = GitHub::start(folder).await?;
    let service = Service::start(folder, &github, &deliveries.secret).await?;
    let (peer, peers) = receiver::start(folder, &deliveries.secret).await?;
    let before = usage::resident(service.process.id())?;
    let mut found = Found { memory: before, ..Found::default() };
    for turn in 0..TURNS {
        crate::report::progress(&format!("webhooks: turn {} of {TURNS}", turn + 1));
        let numbers = turn * DELIVERIES / TURNS..(turn + 1) * DELIVERIES / TURNS;
        let asked = github.asked();
        let took = deliveries.send(service.webhooks, numbers.clone()).await?;
        ensure!(github.asked() > asked, "no hint was acted on in turn {turn}");
        found.memory = found.memory.max(usage::resident(service.process.id())?);
        found.ours.add(&took);
        effort.rest().await;
        found.peers.add(&deliveries.send(peers, numbers).await?);
        effort.rest().await;
    }
    found.asked = github.asked();
    found.memory = found.memory.max(usage::peak(service.process.id())?.unwrap_or(0)) - before;
    found.counts = service.stopped()?;
    peer.finish()?;
    found.rows()
}

/// A coordinator that takes webhooks in, and acts on nothing else.
struct Service {
    process: Running,
    webhooks: SocketAddr,
    log: PathBuf,
}

/// What it counted itself.
#[derive(Debug, Default)]
struct Counts {
    accepted: u64,
    coarse: u64,
}

impl Service {
    async fn start(folder: &Path, github: &GitHub, secret: &str) -> anyhow::Result<Self> {
        let home = folder.join("leader");
        fs::create_dir_all(&home)?;
        for (name, text) in [("secret", secret), ("token", "ghp_bench")] {
            fs::write(home.join(name), text)?;
            fs::set_permissions(home.join(name), Permissions::from_mode(0o600))?;
        }
        let config = format!(
            "data = 'state'\nlisten = '127.0.0.1:0'\n\
             [github]\napi = '{}'\ntoken_file = 'token'\nevery = '1h'\n\
             [[repo]]\ngithub = '{REPOSITORY}'\n\
             [webhooks]\nlisten = '127.0.0.1:0'\nsecret_files = ['secret']\n",
            github.url
        );
        fs::write(home.join("coordinator.toml"), config)?;
        let mut command = Command::new(own("molt-coordinator")?);
        command.env("MOLT_LOG", "info").arg("serve").arg("--config");
        command.arg(home.join("coordinator.toml"));
        let printed = home.join("printed");
        let mut process = Running::start(&mut command, &printed)?;
        let address = async || address(&fs::read_to_string(&printed).ok()?);
        let webhooks = process.ready(address).await.context("molt-coordinator")?;
        Ok(Self { process, webhooks, log: home.join("state/logs/coordinator.log") })
    }

    /// Stops it; what it says at its end that it has counted.
    fn stopped(self) -> anyhow::Result<Counts> {
        let Self { process, log, .. } = self;
        drop(process);
        let text = fs::read_to_string(&log)?;
        let counted = |line: &&str| line.contains("no more webhooks are taken in");
        let line = text.lines().rfind(counted).context("it did not say what it counted")?;
        Ok(Counts { accepted: count(line, "accepted")?, coarse: count(line, "coarse")? })
    }
}

/// Where it says that it takes webhooks in.
fn address(printed: &str) -> Option<SocketAddr> {
    let line = printed.lines().find_map(|line| line.strip_prefix("webhooks at http://"))?;
    line.strip_suffix(PATH)?.parse().ok()
}

/// A number in a line of a log: `accepted=7`.
fn count(line: &str, name: &str) -> anyhow::Result<u64> {
    let mut words = line.split_whitespace().filter_map(|word| word.split_once('='));
    let (_, number) = words.find(|(key, _)| *key == name).context("a count is missing")?;
    Ok(number.parse()?)
}

#[derive(Debug, Default)]
struct Found {
    ours: Times,
    peers: Times,
    counts: Counts,
    /// What GitHub was asked.
    asked: u64,
    /// The most memory, in bytes, less what it had before the first one.
    memory: u64,
}

/// How long answers took, in milliseconds.
#[derive(Debug, Default)]
struct Times {
    all: Vec<f64>,
    /// The middle one of each turn.
    middles: Series,
}

impl Times {
    fn add(&mut self, turn: &[Duration]) {
        let turn: Vec<f64> = turn.iter().map(|took| took.as_secs_f64() * 1e3).collect();
        self.middles.push(part(&turn, 0.5));
        self.all.extend(turn);
    }
}

/// The value that so large a part of them are not above.
fn part(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

impl Found {
    fn rows(self) -> anyhow::Result<Vec<Row>> {
        let Self { ours, peers, counts, asked, memory } = self;
        let sent = u64::from(DELIVERIES);
        ensure!(counts.accepted <= sent, "{} of {sent} were counted", counts.accepted);
        let seconds = f64::from(DELIVERIES) / f64::from(RATE);
        let how = format!(
            "{DELIVERIES} recorded webhooks, {RATE}/s, a connection each, from when it is due to \
             its answer, {TURNS} turns"
        );
        let [p99, beside] = [&ours, &peers].map(|times| part(&times.all, 0.99));
        let beside = format!("{how}; HMAC alone has {beside:.2} ms");
        let lost = (sent - counts.accepted + counts.coarse) as f64;
        let row = |name: &str, unit, value: f64, how: &str| {
            Row::new(format!("webhooks: {name}"), unit, Series::of(value), how)
        };
        let kept = format!("{how}; less what it has before the first");
        let hour = format!("{how}; GitHub is looked at once an hour without hints");
        Ok(vec![
            row("an answer, p99", "ms", p99, &beside).keeps(Bar::AtMost(100.0)),
            Row::new("webhooks: an answer, p50", "ms", ours.middles, &how).beside(
                "HMAC alone",
                peers.middles,
                Some(Bar::AtMost(2.0)),
            ),
            row("lost or not understood", "webhooks", lost, &how).keeps(Bar::AtMost(0.0)),
            row("the most memory", "MiB", memory as f64 / f64::from(1 << 20), &kept)
                .keeps(Bar::AtMost(16.0)),
            row("asked of GitHub a second", "requests", asked as f64 / seconds, &hour)
                .keeps(Bar::AtMost(4.0)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_says_is_read() {
        let printed =
            "serving  main at 127.0.0.1:1\nwebhooks at http://127.0.0.1:2/webhooks/github\n";
        assert_eq!(address(printed), "127.0.0.1:2".parse().ok());
        assert_eq!(address("serving  main at 127.0.0.1:1\n"), None);
        let line = "INFO no more webhooks are taken in phase=\"webhook\" accepted=12 coarse=0";
        assert_eq!(count(line, "accepted").unwrap(), 12);
        assert!(count(line, "refused").is_err());
    }

    #[test]
    fn a_part_is_one_of_the_values() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!((part(&values, 0.5), part(&values, 0.99)), (50.0, 99.0));
    }
}
