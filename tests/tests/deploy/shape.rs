//! What documents have in common: keys that are known, ports and tags that agree.

use serde_json::Value;
use toml::Table;

use crate::tree::Tree;

/// The documents of a YAML file. A key that is there twice is an error.
pub(crate) fn documents(place: &str, text: &str) -> Result<Vec<Value>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| format!("{place}: {error}"))
}

/// Complains about each key of `value` that is not among `known`.
pub(crate) fn only(place: &str, value: &Value, known: &[&str]) -> Vec<String> {
    let Some(map) = value.as_object() else {
        return vec![format!("{place}: is no map but {value}")];
    };
    let unknown = map.keys().filter(|key| !known.contains(&key.as_str()));
    unknown.map(|key| format!("{place}: unknown key `{key}`")).collect()
}

/// The texts of a list.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    let members = value.as_array().map(Vec::as_slice).unwrap_or_default();
    members.iter().filter_map(|member| Some(member.as_str()?.to_owned())).collect()
}

/// The members of a list, or none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What is wrong with the image `image`: it has a tag, which is a version, and for our own programs
/// it is theirs.
pub(crate) fn image(tree: &Tree, place: &str, image: &str) -> Vec<String> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, ""));
    if !tag.contains(|c: char| c.is_ascii_digit()) || tag.contains('/') {
        return vec![format!("{place}: image `{image}` has no version")];
    }
    let version = version(tree);
    if name.ends_with("molt-coordinator") && tag != version {
        return vec![format!("{place}: image `{image}` is not of version {version}")];
    }
    Vec::new()
}

/// The version of our programs.
fn version(tree: &Tree) -> String {
    let table: Table = tree.text("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let version = table["workspace"]["package"]["version"].as_str();
    version.expect("the workspace has a version").to_owned()
}

/// What is read from a coordinator's configuration to hold it against what is around it.
pub(crate) struct Config {
    /// The port that it listens on.
    pub(crate) port: String,
    /// The endpoints of etcd, if it names any.
    pub(crate) endpoints: Vec<String>,
}

impl Config {
    /// Reads `text`, in which the real program found nothing wrong.
    pub(crate) fn read(text: &str) -> Self {
        let table: Table = text.parse().unwrap_or_default();
        let listen = table.get("listen").and_then(|value| value.as_str());
        let port = listen.and_then(|address| address.rsplit_once(':')).map_or("7420", |(_, p)| p);
        let endpoints = table.get("etcd").and_then(|etcd| etcd.get("endpoints")?.as_array());
        let endpoints = endpoints.into_iter().flatten().filter_map(|value| value.as_str());
        Self { port: port.to_owned(), endpoints: endpoints.map(str::to_owned).collect() }
    }
}
