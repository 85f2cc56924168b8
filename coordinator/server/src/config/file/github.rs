//! `[github]`: which GitHub pull requests come from, and by what right it is asked.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use molt_domain::pull::command::Handle;
use molt_forge::Fencing;
use molt_forge::github::{GITHUB, Transport};

use super::super::check::{self, Content};
use super::super::finding::Place;
use super::super::{DEFAULT_EVERY, DEFAULT_HANDLE, GithubAccess, GithubConfig};
use super::{Reader, keys};
use crate::policy::amount::Span;
use crate::policy::document::{Item, Keys, Table};

const GITHUB_KEYS: Keys = keys(&[
    "api",
    "app",
    "installation",
    "key_file",
    "token_file",
    "handle",
    "label",
    "check",
    "every",
    "fencing",
]);

/// Less often and nobody would wait for it; more often and the limits of requests are near.
const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// GitHub's numbers are below this in every language that reads its JSON.
const MAX_ID: u64 = (1 << 53) - 1;

impl Reader<'_, '_> {
    /// What the file says about GitHub, and where; `None` also for what is faulty and told.
    pub(super) fn github(&mut self, root: &Table<'_>) -> Option<(GithubConfig, Place)> {
        let item = root.get("github")?;
        let table = item.table(self.findings)?;
        table.allow(&GITHUB_KEYS, self.findings);
        let api = self.api(&table);
        let label = self.checked(&table, "label", check::label);
        let check = self.checked(&table, "check", check::check_name);
        let handle = table.get("handle").map(|item| item.parse::<Handle>(self.findings));
        let handle = handle.unwrap_or_else(|| DEFAULT_HANDLE.parse().ok());
        let access = self.access(&table);
        let check = check.unwrap_or_else(|| DEFAULT_HANDLE.to_owned());
        let every = self.every(&table);
        let fencing = self.fencing(&table);
        let (api, access, handle, every, fencing) = (api?, access?, handle?, every?, fencing?);
        let config = GithubConfig { api, access, handle, label, check, fencing, every };
        Some((config, self.place(&item)))
    }

    fn fencing(&mut self, table: &Table<'_>) -> Option<Fencing> {
        let Some(item) = table.get("fencing") else { return Some(Fencing::Together) };
        match item.words(self.findings)? {
            "together" => Some(Fencing::Together),
            "base" => Some(Fencing::BaseAlone),
            _ => item.invalid("is neither \"together\" nor \"base\"", self.findings),
        }
    }

    fn every(&mut self, table: &Table<'_>) -> Option<Duration> {
        let Some(item) = table.get("every") else { return Some(DEFAULT_EVERY) };
        let Span(every) = item.parse(self.findings)?;
        match EVERY.contains(&every) {
            true => Some(every),
            false => item.invalid("is not from 1s to 1h", self.findings),
        }
    }

    fn api(&mut self, table: &Table<'_>) -> Option<String> {
        let Some(item) = table.get("api") else {
            return Some(GITHUB.to_owned());
        };
        match Transport::address(item.words(self.findings)?) {
            Ok(address) => Some(address.to_owned()),
            Err(error) => item.invalid(error, self.findings),
        }
    }

    /// An App with its key, or a personal token, and nothing of the other.
    fn access(&mut self, table: &Table<'_>) -> Option<GithubAccess> {
        let Some(token) = table.get("token_file") else {
            return self.app(table);
        };
        let mine = ["app", "installation", "key_file"];
        let others: Vec<Item<'_>> = mine.iter().filter_map(|key| table.get(key)).collect();
        for item in &others {
            let why = "an app's, beside `token_file`: write either an app or a personal token";
            item.invalid::<()>(why, self.findings);
        }
        let file = self.named_file(&token, Content::Token)?;
        others.is_empty().then_some(GithubAccess::Token { file })
    }

    fn app(&mut self, table: &Table<'_>) -> Option<GithubAccess> {
        let example = "key_file = \"github.pem\", or token_file of a personal token";
        let key_file = table.require("key_file", example, self.findings);
        let id = match key_file.is_some() || table.get("app").is_some() {
            true => table.require("app", "app = 12345", self.findings),
            false => None,
        };
        let id = id.and_then(|item| item.whole(MAX_ID, self.findings));
        let installation = table.get("installation");
        let installation = installation.map(|item| item.whole(MAX_ID, self.findings));
        let key_file: Option<PathBuf> =
            key_file.and_then(|item| self.named_file(&item, Content::AppKey));
        let installation = match installation {
            None => None,
            Some(installation) => Some(installation?),
        };
        Some(GithubAccess::App { id: id?, installation, key_file: key_file? })
    }
}
