//! Which operation of GitHub's description a request is.
//!
//! Some parameters take several segments, `heads/a/b`, which the document says of a few only; among
//! templates that fit, the one with the most literal segments is meant. The addresses that GitHub
//! puts into `Link`, `/repositories/ID/..`, are the same operations under another name.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Parameters that match one segment or more.
const MULTI_SEGMENT: [&str; 7] =
    ["ref", "path", "basehead", "sha", "branch", "tree_sha", "commit_sha"];

/// A request's operation, and what its path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) template: String,
    /// Decoded; without `owner` and `repo` when the path names a repository by id.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The repository's id, when that is how the path names it.
    pub(crate) repository: Option<u64>,
}

impl Route {
    pub(crate) fn operation(&self) -> String {
        format!("{} {}", self.method, self.template)
    }
}

pub(super) struct Routes {
    /// Method, template and its segments.
    templates: Vec<(String, String, Vec<String>)>,
}

impl Routes {
    pub(super) fn of(document: &Value) -> Self {
        let paths = document["paths"].as_object().expect("the document has paths");
        let mut templates = Vec::new();
        for (template, operations) in paths {
            let segments: Vec<_> = template.split('/').skip(1).map(str::to_owned).collect();
            for method in operations.as_object().expect("a path has operations").keys() {
                templates.push((method.to_uppercase(), template.clone(), segments.clone()));
            }
        }
        Self { templates }
    }

    pub(super) fn find(&self, method: &str, path: &str) -> Option<Route> {
        let path = path.split('?').next().unwrap_or_default();
        let mut segments: Vec<&str> = path.split('/').skip(1).collect();
        let mut repository = None;
        if let ["repositories", id, ..] = segments.as_slice() {
            repository = Some(id.parse().ok()?);
            drop(segments.splice(0..2, ["repos", "", ""]));
        }
        let (_, template, parameters) = self
            .templates
            .iter()
            .filter(|(known, ..)| known == method)
            .filter_map(|(_, template, pattern)| {
                let parameters = matched(pattern, &segments)?;
                let literals = pattern.iter().filter(|part| name(part).is_none()).count();
                Some((literals, template, parameters))
            })
            .max_by_key(|(literals, ..)| *literals)?;
        let mut parameters: BTreeMap<_, _> = parameters.into_iter().collect();
        if repository.is_some() {
            parameters.remove("owner");
            parameters.remove("repo");
        }
        Some(Route {
            method: method.to_owned(),
            template: template.clone(),
            parameters,
            repository,
        })
    }
}

/// The pairs of a query, decoded.
pub(crate) fn query(path: &str) -> Vec<(String, String)> {
    let Some((_, query)) = path.split_once('?') else { return Vec::new() };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " "))))
        .collect()
}

fn matched(pattern: &[String], segments: &[&str]) -> Option<Vec<(String, String)>> {
    let Some((first, rest)) = pattern.split_first() else {
        return segments.is_empty().then(Vec::new);
    };
    let Some(parameter) = name(first) else {
        return (segments.first() == Some(&first.as_str()))
            .then(|| matched(rest, &segments[1..]))?;
    };
    let most = if MULTI_SEGMENT.contains(&parameter) { segments.len() } else { 1 };
    (1..=most.min(segments.len())).rev().find_map(|count| {
        let mut found = matched(rest, &segments[count..])?;
        found.push((parameter.to_owned(), decoded(&segments[..count].join("/"))));
        Some(found)
    })
}

/// The parameter that a segment of a template is, if it is one.
fn name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
