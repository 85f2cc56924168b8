//! `molt-holder`: what runs under a lock, slot or build in the fault tests. It writes down that
//! it lives for as long as it does, and may use resources outside that the lock is to protect.
//!
//! Not here: anything that asks a coordinator. What it was granted it learns as every wrapped
//! command does, from its environment.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use molt_tests::verify::fleet::journal::{self, Holding, Pen, Sign};
use molt_tests::verify::fleet::outside::{Fences, Outcome, Outside};

/// Between two signs of life.
const BREATH: Duration = Duration::from_millis(2);

/// Hold something for a while, and write down that it is held
#[derive(Debug, Parser)]
struct Cli {
    /// The journal to write to
    #[arg(long)]
    journal: PathBuf,
    /// What kind of thing is held
    #[arg(long)]
    kind: String,
    /// Which; else the slot's folder
    #[arg(long)]
    what: Option<String>,
    /// For how long, in milliseconds
    #[arg(long, default_value_t = 0)]
    millis: u64,
    /// And until this file is there
    #[arg(long)]
    until: Option<PathBuf>,
    /// A folder of resources outside: it is read at the beginning and written at the end
    #[arg(long)]
    outside: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let told = |name: &str| std::env::var(name).with_context(|| format!("no {name}"));
    let what = match cli.what {
        Some(what) => what,
        None => told("MOLT_SLOT_DIR")?,
    };
    let (by, fence) = (told("MOLT_RUN_ID")?, told("MOLT_FENCE")?);
    let holding = Holding { kind: cli.kind, what, by, fence };
    let pen = Pen::open(&cli.journal)?;
    pen.write(Sign::Lives(holding.clone()))?;
    let outside = cli.outside.as_deref().map(|folder| use_both(folder, &holding)).transpose()?;
    let end = journal::now()? + cli.millis * 1_000_000;
    let is_due = || cli.until.as_ref().is_none_or(|file| file.exists());
    while journal::now()? < end || !is_due() {
        std::thread::sleep(BREATH);
        pen.write(Sign::Lives(holding.clone()))?;
    }
    if let Some(used) = outside {
        for one in used {
            one.end(&pen)?;
        }
    }
    pen.write(Sign::Ends(holding))?;
    Ok(ExitCode::SUCCESS)
}

/// A resource that was read and is to be written.
struct Used {
    outside: Outside,
    seen: Vec<String>,
    element: String,
    fence: u64,
}

/// Reads the resource that checks fences and the one that does not.
fn use_both(folder: &Path, holding: &Holding) -> anyhow::Result<[Used; 2]> {
    let fence = holding.fence.parse().context("a fence of the first epoch is a number")?;
    let one = |fences| -> anyhow::Result<Used> {
        let outside = Outside::new(folder, fences);
        let seen = outside.read(fence)?;
        Ok(Used { outside, seen, element: holding.fence.clone(), fence })
    };
    let used = [one(Fences::Checked)?, one(Fences::Ignored)?];
    // Whoever makes the fault waits for this.
    std::fs::write(folder.join(format!("{fence}.read")), "")?;
    Ok(used)
}

impl Used {
    fn end(mut self, pen: &Pen) -> anyhow::Result<()> {
        self.seen.push(self.element.clone());
        if self.outside.write(self.fence, &self.seen)? == Outcome::Written {
            let kind = format!("outside {}", self.outside.name());
            pen.write(Sign::Acknowledged { kind, id: self.element, fence: None })?;
        }
        Ok(())
    }
}
