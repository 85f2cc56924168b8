//! The objects of a cluster: whether each is what its kind may be, and the pods among them.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::shape::list;

/// An object and where it was found.
pub(crate) struct Object {
    pub(crate) place: String,
    pub(crate) value: Value,
}

impl Object {
    pub(crate) fn new(file: &str, value: Value) -> Self {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or("nameless");
        let place = format!("{file}: {} {}", text("/kind"), text("/metadata/name"));
        Self { place, value }
    }

    pub(crate) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn spec(&self) -> &Value {
        &self.value["spec"]
    }

    /// The template of its pods.
    pub(crate) fn template(&self) -> &Value {
        &self.value["spec"]["template"]
    }

    /// The containers of its pods, those included that run before.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &Value> {
        let spec = &self.template()["spec"];
        list(&spec["initContainers"]).iter().chain(list(&spec["containers"]))
    }

    /// Whether `selector`, a map of labels, selects its pods.
    pub(crate) fn selected_by(&self, selector: &Value) -> bool {
        let labels = &self.template()["metadata"]["labels"];
        let mut wanted = selector.as_object().into_iter().flatten().peekable();
        wanted.peek().is_some() && wanted.all(|(label, value)| labels[label] == *value)
    }

    /// The container ports of its pods: number and name.
    pub(crate) fn ports(&self) -> Vec<(u64, &str)> {
        let ports = self.containers().flat_map(|container| list(&container["ports"]));
        let port = |port: &'_ Value| port["containerPort"].as_u64();
        ports.filter_map(|value| Some((port(value)?, value["name"].as_str()?))).collect()
    }

    /// What is in it that its kind does not have, or has otherwise, or must have.
    pub(crate) fn misshapen(&self) -> Vec<String> {
        let version = self.value["apiVersion"].as_str().unwrap_or_default();
        let known = match (version, self.kind()) {
            ("v1", "Namespace") => known::<Namespace>(&self.value),
            ("v1", "Service") => known::<Service>(&self.value),
            ("v1", "ConfigMap") => known::<ConfigMap>(&self.value),
            ("apps/v1", "StatefulSet") => known::<StatefulSet>(&self.value),
            ("policy/v1", "PodDisruptionBudget") => known::<PodDisruptionBudget>(&self.value),
            ("networking.k8s.io/v1", "NetworkPolicy") => known::<NetworkPolicy>(&self.value),
            (version, kind) => Err(format!("{version} {kind} is not expected here")),
        };
        let mut complaints = Vec::new();
        match known {
            Ok(known) => differences("", &self.value, &known, &mut complaints),
            Err(error) => complaints.push(error),
        }
        complaints.into_iter().map(|complaint| format!("{}: {complaint}", self.place)).collect()
    }
}

/// The object as its type has it: what the type does not know is gone, what it needs is there.
fn known<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// Where what is written differs from what is known.
fn differences(path: &str, written: &Value, known: &Value, complaints: &mut Vec<String>) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (key, value) in written {
                match known.get(key) {
                    Some(known) => differences(&format!("{path}.{key}"), value, known, complaints),
                    None => complaints.push(format!("unknown key {path}.{key}")),
                }
            }
            // An object within another one need not say what it is.
            let told =
                |key: &&String| !path.is_empty() && ["apiVersion", "kind"].contains(&key.as_str());
            let missing = known.keys().filter(|key| !written.contains_key(*key));
            for key in missing.filter(|key| !told(key)) {
                complaints.push(format!("missing key {path}.{key}"));
            }
        }
        (Value::Array(written), Value::Array(known)) if written.len() == known.len() => {
            for (at, (written, known)) in written.iter().zip(known).enumerate() {
                differences(&format!("{path}[{at}]"), written, known, complaints);
            }
        }
        (written, known) if written == known => {}
        (written, known) => complaints.push(format!("{path} is read as {known}, not {written}")),
    }
}
