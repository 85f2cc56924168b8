//! `[[repo]]`: the repositories, each name once, here and at GitHub.

use molt_domain::name::RepoName;
use molt_forge::github::{GITHUB, Slug};

use super::super::finding::Problem;
use super::super::{DEFAULT_REPO, GithubConfig, RepoConfig};
use super::{Reader, keys};
use crate::policy::Problem as TomlProblem;
use crate::policy::document::{Item, Keys, Table};

const REPO: Keys = keys(&["name", "remote", "branch", "github"]);

/// A repository that was read, and its line.
type Seen = (RepoConfig, usize);

impl Reader<'_, '_> {
    pub(super) fn repos(
        &mut self,
        root: &Table<'_>,
        github: Option<&GithubConfig>,
    ) -> Vec<RepoConfig> {
        // One that is faulty is told already.
        let api = root.get("github").map(|_| github.map_or(GITHUB, |github| &github.api));
        let members = root.get("repo").and_then(|item| item.list(self.findings));
        let mut seen: Vec<Seen> = Vec::new();
        for member in members.unwrap_or_default() {
            let Some(table) = member.table(self.findings) else {
                continue;
            };
            let Some(repo) = self.repo(&table, api) else {
                continue;
            };
            if self.is_new(&table, &repo, &seen) {
                seen.push((repo, self.findings.line(table.at)));
            }
        }
        seen.into_iter().map(|(repo, _)| repo).collect()
    }

    /// Whether no repository before has its name, here or at GitHub.
    fn is_new(&mut self, table: &Table<'_>, repo: &RepoConfig, seen: &[Seen]) -> bool {
        if let Some((_, line)) = seen.iter().find(|(other, _)| other.name == repo.name) {
            let problem = Problem::SameRepository { name: repo.name.clone(), line: *line };
            let problem = TomlProblem::Invalid(problem.to_string());
            self.findings.error(table.at, "repo.name", problem);
            return false;
        }
        let Some(slug) = &repo.github else {
            return true;
        };
        let is_same = |other: &RepoConfig| other.github.as_ref().is_some_and(|it| it.is_same(slug));
        if let Some((other, line)) = seen.iter().find(|(other, _)| is_same(other)) {
            let (slug, name) = (slug.clone(), other.name.clone());
            let problem = Problem::SameSlug { slug, name, line: *line };
            let problem = TomlProblem::Invalid(problem.to_string());
            self.findings.error(table.at, "repo.github", problem);
            return false;
        }
        true
    }

    fn repo(&mut self, table: &Table<'_>, api: Option<&str>) -> Option<RepoConfig> {
        table.allow(&REPO, self.findings);
        let github = table.get("github").map(|item| self.slug(&item, api));
        let remote = match (table.get("remote"), &github, api) {
            (None, Some(slug), Some(api)) => slug.as_ref().map(|slug| slug.remote(api)),
            (None, Some(_), None) => None,
            _ => self.remote(table),
        };
        let name = table.get("name").map(|item| item.parse::<RepoName>(self.findings));
        let name = name.unwrap_or_else(|| DEFAULT_REPO.parse().ok());
        let branch = table.get("branch").map(|item| item.words(self.findings));
        let branch = branch.unwrap_or(Some(DEFAULT_REPO));
        let github = match github {
            None => None,
            Some(slug) => Some(slug?),
        };
        Some(RepoConfig { name: name?, remote: remote?, branch: branch?.to_owned(), github })
    }

    /// Its name at GitHub, which takes a table that says how GitHub is asked.
    fn slug(&mut self, item: &Item<'_>, api: Option<&str>) -> Option<Slug> {
        let slug = item.parse(self.findings);
        if api.is_none() {
            return item.invalid("there is no [github] that says how it is asked", self.findings);
        }
        slug
    }

    /// What git is given. A repository at GitHub is where GitHub has it, if nothing else is said.
    fn remote(&mut self, table: &Table<'_>) -> Option<String> {
        let remote = table.require("remote", "remote = \"git@HOST:PROJECT.git\"", self.findings)?;
        let text = remote.words(self.findings)?;
        // As in git's own files, a remote is relative only if it says so.
        Some(match text.starts_with("./") || text.starts_with("../") {
            true => self.beside(text).to_string_lossy().into_owned(),
            false => text.to_owned(),
        })
    }
}
