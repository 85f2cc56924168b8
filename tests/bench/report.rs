//! The table, the file, and whether the bars hold.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::clock;
use crate::machine::{self, Facts};

/// Measured values of one thing, one a round or start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// A single value.
    pub(crate) fn of(value: f64) -> Self {
        Self(vec![value])
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The middle one, of an even number the mean of the two in the middle.
    fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    /// The least and the greatest.
    fn spread(&self) -> [f64; 2] {
        let sorted = self.sorted();
        [sorted[0], sorted[sorted.len() - 1]]
    }
}

/// What a row has to keep to: its ratio to the peer, or its own value where there is no peer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bar) => format!(">= {bar}"),
            Self::AtMost(bar) => format!("<= {bar}"),
        }
    }
}

/// What a row is compared with.
#[derive(Debug)]
struct Peer {
    name: String,
    series: Series,
}

/// One measured thing.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    ours: Series,
    peer: Option<Peer>,
    bar: Option<Bar>,
    conditions: String,
}

impl Row {
    /// What was measured, under which conditions.
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &'static str,
        ours: Series,
        conditions: impl Into<String>,
    ) -> Self {
        let (name, conditions) = (name.into(), conditions.into());
        Self { name, unit, ours, peer: None, bar: None, conditions }
    }

    /// Compares it with a peer, and their ratio with a bar.
    pub(crate) fn beside(self, name: &str, series: Series, bar: Option<Bar>) -> Self {
        Self { peer: Some(Peer { name: name.to_owned(), series }), bar, ..self }
    }

    /// Holds its own value to a bar.
    pub(crate) fn keeps(self, bar: Bar) -> Self {
        Self { bar: Some(bar), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().map(|peer| self.ours.median() / peer.series.median())
    }

    /// Whether its bar holds; `None` without a bar.
    fn verdict(&self) -> Option<bool> {
        let value = self.ratio().unwrap_or_else(|| self.ours.median());
        self.bar.map(|bar| bar.holds(value))
    }

    fn json(&self) -> Value {
        let peer = self.peer.as_ref();
        json!({
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours.median(),
            "peer": peer.map(|peer| peer.series.median()),
            "peer_name": peer.map(|peer| &peer.name),
            "ratio": self.ratio(),
            "conditions": {
                "what": self.conditions,
                "ours_spread": self.ours.spread(),
                "peer_spread": peer.map(|peer| peer.series.spread()),
                "bar": self.bar.map(Bar::text),
                "holds": self.verdict(),
            },
        })
    }

    fn cells(&self) -> [String; 6] {
        let verdict = match self.verdict() {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        let peer = self.peer.as_ref();
        let bar = self.bar.map(|bar| match peer {
            Some(_) => format!("{} x", bar.text()),
            None => format!("{} {}", bar.text(), self.unit),
        });
        [
            self.name.clone(),
            format!("{} {}", shown(&self.ours), self.unit),
            peer.map(|peer| format!("{} {}", shown(&peer.series), peer.name)).unwrap_or_default(),
            self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            bar.unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

/// Median and spread.
fn shown(series: &Series) -> String {
    let [least, greatest] = series.spread();
    match series.median() {
        median if median < 100.0 => format!("{median:.1} ({least:.1}-{greatest:.1})"),
        median => format!("{median:.0} ({least:.0}-{greatest:.0})"),
    }
}

/// Everything that was found.
#[derive(Debug)]
pub(crate) struct Report {
    facts: Facts,
    load: [Option<f64>; 2],
    rows: Vec<Row>,
}

impl Report {
    /// The rows, found since the load was `before`.
    pub(crate) fn new(facts: Facts, before: Option<f64>, rows: Vec<Row>) -> Self {
        Self { facts, load: [before, machine::load()], rows }
    }

    /// The names of the rows whose bars do not hold.
    pub(crate) fn missed(&self) -> Vec<&str> {
        let missed = self.rows.iter().filter(|row| row.verdict() == Some(false));
        missed.map(|row| row.name.as_str()).collect()
    }

    /// Writes the report into a file of its own in `folder`, and a copy beside the folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let mut whole = serde_json::to_value(&self.facts)?;
        whole["load"] = json!({ "before": self.load[0], "after": self.load[1] });
        whole["results"] = self.rows.iter().map(Row::json).collect();
        let text = format!("{whole:#}\n");
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}-{}.json", clock::utc(), self.facts.commit));
        let mut file = File::create_new(&path).with_context(|| format!("{}", path.display()))?;
        file.write_all(text.as_bytes())?;
        fs::write(folder.with_extension("json"), text)?;
        Ok(path)
    }

    /// Prints the table.
    #[expect(clippy::print_stdout, reason = "the table is the program's result")]
    pub(crate) fn print(&self, file: &Path) {
        let head = ["", "ours (spread)", "peer (spread)", "ratio", "bar", ""].map(str::to_owned);
        let rows: Vec<[String; 6]> =
            std::iter::once(head).chain(self.rows.iter().map(Row::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
            println!("{}", cells.collect::<String>().trim_end());
        }
        println!("\nwritten to {}", file.display());
    }
}

/// Says which bars were missed.
#[expect(clippy::print_stderr, reason = "why the program fails")]
pub(crate) fn complain(missed: &[&str]) {
    eprintln!("missed: {}", missed.join("; "));
}

/// Says how far the run is.
#[expect(clippy::print_stderr, reason = "a run takes minutes")]
pub(crate) fn progress(step: &str) {
    eprintln!("bench: {step}");
}

/// Says what went wrong beside the run.
#[expect(clippy::print_stderr, reason = "nobody else is told")]
pub(crate) fn warn(problem: &str) {
    eprintln!("bench: {problem}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, peer: Option<f64>, bar: Bar) -> Row {
        let row = Row::new("it", "x", Series::of(ours), "").keeps(bar);
        match peer {
            Some(peer) => row.beside("peer", Series::of(peer), Some(bar)),
            None => row,
        }
    }

    #[test]
    fn the_middle_and_the_ends_are_of_the_values() {
        let series = Series(vec![3.0, 1.0, 10.0]);
        assert_eq!((series.median(), series.spread()), (3.0, [1.0, 10.0]));
        assert_eq!(Series(vec![4.0, 1.0, 2.0, 8.0]).median(), 3.0);
    }

    #[test]
    fn a_bar_is_of_the_ratio_where_there_is_a_peer() {
        assert_eq!(row(30.0, Some(20.0), Bar::AtLeast(1.5)).verdict(), Some(true));
        assert_eq!(row(29.0, Some(20.0), Bar::AtLeast(1.5)).verdict(), Some(false));
        assert_eq!(row(10.0, None, Bar::AtMost(10.0)).verdict(), Some(true));
        assert_eq!(row(10.1, None, Bar::AtMost(10.0)).verdict(), Some(false));
    }
}
