//! A systemd unit as text: sections of settings, in order.

use std::collections::BTreeMap;

/// The settings of a unit by section.
pub(crate) struct Unit {
    settings: Vec<(String, String, String)>,
}

impl Unit {
    /// Reads a unit; also what is wrong with its lines.
    pub(crate) fn read(place: &str, text: &str) -> (Self, Vec<String>) {
        let mut unit = Self { settings: Vec::new() };
        let mut complaints = Vec::new();
        let mut section = String::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
            } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let (Some((key, value)), false) = (line.split_once('='), section.is_empty()) {
                unit.settings.push((section.clone(), key.to_owned(), value.to_owned()));
            } else {
                complaints.push(format!("{place}:{}: `{line}` is no setting", at + 1));
            }
        }
        (unit, complaints)
    }

    /// Every value of a setting.
    pub(crate) fn all(&self, section: &str, key: &str) -> Vec<&str> {
        let found = self.settings.iter().filter(|(s, k, _)| s == section && k == key);
        found.map(|(_, _, value)| value.as_str()).collect()
    }

    /// The one value of a setting.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.all(section, key).last().copied()
    }

    /// The variables that `Environment=` and the files of `EnvironmentFile=` set, in this order.
    pub(crate) fn environment<'f>(
        &self,
        file: impl Fn(&str) -> Option<&'f str>,
    ) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        let mut set = |word: &str| {
            if let Some((name, value)) = word.split_once('=') {
                environment.insert(name.to_owned(), value.to_owned());
            }
        };
        for line in self.all("Service", "Environment") {
            line.split_whitespace().for_each(&mut set);
        }
        for path in self.all("Service", "EnvironmentFile") {
            let text = file(path.trim_start_matches('-')).unwrap_or_default();
            text.lines().filter(|line| !line.starts_with('#')).for_each(&mut set);
        }
        environment
    }
}
