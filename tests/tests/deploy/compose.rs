//! The compose file: a fleet on one machine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::command::{CommandLine, Mount, What, expanded};
use crate::dockerfile;
use crate::etcd::{self, Member};
use crate::shape::{self, Config, documents, list, only, texts};
use crate::tree::{Fault, Tree};

const COMPOSE: &str = "deploy/container/compose.yaml";
const CONFIG: &str = "deploy/container/coordinator.toml";

const TOP: [&str; 6] = ["name", "x-etcd", "x-coordinator", "services", "networks", "volumes"];
const SERVICE: [&str; 16] = [
    "image",
    "build",
    "command",
    "restart",
    "init",
    "read_only",
    "cap_drop",
    "security_opt",
    "networks",
    "stop_grace_period",
    "depends_on",
    "healthcheck",
    "environment",
    "ports",
    "tmpfs",
    "volumes",
];
const HEALTHCHECK: [&str; 5] = ["test", "interval", "timeout", "retries", "start_period"];

/// A service, as far as it can be judged by itself.
struct Service<'c> {
    name: &'c str,
    place: String,
    spec: &'c Value,
    env: BTreeMap<String, String>,
    mounts: Vec<Mount>,
}

fn check(tree: &Tree) -> Vec<String> {
    let documents = match documents(COMPOSE, tree.text(COMPOSE)) {
        Ok(documents) => documents,
        Err(error) => return vec![error],
    };
    let [compose] = &*documents else { return vec![format!("{COMPOSE}: is not one document")] };
    let mut complaints = only(COMPOSE, compose, &TOP);
    let empty = Map::new();
    let mut services = Vec::new();
    for (name, spec) in compose["services"].as_object().unwrap_or(&empty) {
        let place = format!("{COMPOSE}: {name}");
        match environment(spec) {
            Ok(env) => {
                let mounts = mounts(tree, spec);
                services.push(Service { name, place, spec, env, mounts });
            }
            Err(error) => complaints.push(format!("{place}: {error}")),
        }
    }
    for service in &services {
        complaints.extend(secured(tree, service));
        complaints.extend(related(service, compose));
    }
    complaints.extend(declared(compose, &services));
    complaints.extend(coordinators(tree, &services));
    complaints
}

fn environment(spec: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for (name, value) in spec["environment"].as_object().into_iter().flatten() {
        let text = value.as_str().ok_or_else(|| format!("{name} is no string: quote it"))?;
        env.insert(name.clone(), expanded(text, ("${", '}'), &BTreeMap::new())?);
    }
    Ok(env)
}

/// What `volumes` and `tmpfs` put into a container.
fn mounts(tree: &Tree, spec: &Value) -> Vec<Mount> {
    let bound = texts(&spec["volumes"]).into_iter().filter_map(|volume| {
        let mut parts = volume.split(':');
        let (source, at, mode) = (parts.next()?, parts.next()?, parts.next());
        let what = match source.strip_prefix("./") {
            None => What::Writable,
            Some(path) => match tree.find(&format!("deploy/container/{path}")) {
                Some(text) => What::Text(text.to_owned()),
                // What can be written from a container is nothing that is given to it.
                None if mode != Some("ro") => return None,
                None => What::Given,
            },
        };
        Some(Mount::new(at, what))
    });
    let scratch = texts(&spec["tmpfs"]).into_iter().map(|entry| {
        let at = entry.split(':').next().unwrap_or_default().to_owned();
        Mount::new(at, What::Writable)
    });
    bound.chain(scratch).collect()
}

/// What every service has.
fn secured(tree: &Tree, service: &Service<'_>) -> Vec<String> {
    let Service { place, spec, .. } = service;
    let mut complaints = only(place, spec, &SERVICE);
    complaints.extend(shape::image(tree, place, spec["image"].as_str().unwrap_or_default()));
    complaints.extend(only(&format!("{place}: healthcheck"), &spec["healthcheck"], &HEALTHCHECK));
    let probe = texts(&spec["healthcheck"]["test"]);
    if probe.first().is_none_or(|word| word != "CMD") || probe.len() < 2 {
        complaints.push(format!("{place}: healthcheck runs nothing"));
    }
    if texts(&spec["cap_drop"]) != ["ALL"] {
        complaints.push(format!("{place}: keeps capabilities"));
    }
    if texts(&spec["security_opt"]) != ["no-new-privileges:true"] {
        complaints.push(format!("{place}: may gain privileges"));
    }
    if spec["restart"] != "unless-stopped" {
        complaints.push(format!("{place}: is not started again"));
    }
    complaints
}

/// Whether what a service names is there.
fn related(service: &Service<'_>, compose: &Value) -> Vec<String> {
    let Service { place, spec, .. } = service;
    let mut complaints = Vec::new();
    for network in texts(&spec["networks"]) {
        if compose["networks"].get(&network).is_none() {
            complaints.push(format!("{place}: there is no network `{network}`"));
        }
    }
    for volume in texts(&spec["volumes"]) {
        let source = volume.split(':').next().unwrap_or_default();
        if !source.starts_with("./") && compose["volumes"].get(source).is_none() {
            complaints.push(format!("{place}: there is no volume `{source}`"));
        }
    }
    for (other, how) in spec["depends_on"].as_object().into_iter().flatten() {
        let there = &compose["services"][other];
        if there.is_null() {
            complaints.push(format!("{place}: there is no service `{other}`"));
        } else if how["condition"] != "service_healthy" || there["healthcheck"].is_null() {
            complaints.push(format!("{place}: does not wait until {other} is healthy"));
        }
    }
    complaints
}

/// Whether everything that is declared is used, volumes by one service alone.
fn declared(compose: &Value, services: &[Service<'_>]) -> Vec<String> {
    let mut complaints = Vec::new();
    let users = |key: &str, name: &str| {
        let names = |service: &&Service<'_>| {
            let entries = texts(&service.spec[key]);
            entries.iter().any(|entry| entry.split(':').next() == Some(name))
        };
        services.iter().filter(names).count()
    };
    for name in compose["volumes"].as_object().into_iter().flat_map(Map::keys) {
        match users("volumes", name) {
            1 => {}
            users => complaints.push(format!("{COMPOSE}: volume `{name}` has {users} users")),
        }
    }
    for name in compose["networks"].as_object().into_iter().flat_map(Map::keys) {
        if users("networks", name) == 0 {
            complaints.push(format!("{COMPOSE}: network `{name}` is unused"));
        }
    }
    complaints
}

/// The etcds as one cluster, and the coordinators that use it.
fn coordinators(tree: &Tree, services: &[Service<'_>]) -> Vec<String> {
    let ours = |service: &&Service<'_>| !service.spec["build"].is_null();
    let config = Config::read(tree.text(CONFIG));
    let mut complaints = Vec::new();
    let members: Vec<Member> =
        services.iter().filter(|service| !ours(service)).map(member).collect();
    complaints.extend(etcd::cluster(&members, &config.endpoints));
    let coordinators: Vec<&Service<'_>> = services.iter().filter(ours).collect();
    if coordinators.len() < 2 {
        complaints.push(format!("{COMPOSE}: nobody stands by"));
    }
    let image = dockerfile::image(tree);
    for service in &coordinators {
        let Service { place, spec, env, .. } = service;
        if spec["read_only"] != true {
            complaints.push(format!("{place}: its root can be written"));
        }
        let file = format!("deploy/container/{}", spec["build"]["context"].as_str().unwrap_or(""));
        let file = format!("{file}/{}", spec["build"]["dockerfile"].as_str().unwrap_or(""));
        if file != format!("deploy/container/../../{}", dockerfile::DOCKERFILE) {
            complaints.push(format!("{place}: there is no {file}"));
        }
        let words = [image.entrypoint.clone(), texts(&spec["command"])].concat();
        let line = CommandLine {
            place: place.clone(),
            words,
            env: env.clone(),
            mounts: mounts(tree, spec),
        };
        complaints.extend(line.complaints());
        if !list(&spec["healthcheck"]["test"]).contains(&line.after("--ready-file").into()) {
            complaints.push(format!("{place}: healthcheck looks at another file"));
        }
        let advertised = env.get("MOLT_COORD_ADVERTISE").and_then(|at| at.rsplit_once(':'));
        let published = format!("{}:{}", advertised.map_or("none", |(_, port)| port), config.port);
        if texts(&spec["ports"]) != [published.as_str()] {
            complaints.push(format!("{place}: {published} is not published"));
        }
    }
    for variable in ["MOLT_COORD_NAME", "MOLT_COORD_ADVERTISE"] {
        let values: BTreeSet<_> =
            coordinators.iter().map(|service| service.env.get(variable)).collect();
        if values.len() != coordinators.len() || values.contains(&None) {
            complaints.push(format!("{COMPOSE}: {variable} tells coordinators not apart"));
        }
    }
    complaints
}

fn member(service: &Service<'_>) -> Member {
    let words = texts(&service.spec["command"]);
    let mounts = service.mounts.iter().map(|mount| {
        let what = if matches!(mount.what, What::Writable) { What::Writable } else { What::Given };
        Mount::new(mount.at.clone(), what)
    });
    Member {
        place: service.place.clone(),
        host: service.name.to_owned(),
        options: etcd::options(&words, &service.env),
        mounts: mounts.collect(),
    }
}

#[test]
fn the_compose_file_is_sound_and_its_command_lines_are_accepted() {
    let faults: &[Fault] = &[
        (COMPOSE, "healthcheck: &patience", "healthchek: &patience", "unknown key `healthchek`"),
        (COMPOSE, "name: molt\n", "name: molt\nname: malt\n", "name"),
        (COMPOSE, "molt-coordinator:0.1.0", "molt-coordinator:0.0.9", "is not of version"),
        (COMPOSE, "etcd:v3.5.33", "etcd:latest", "has no version"),
        (COMPOSE, "cap_drop: [ALL]", "cap_drop: [NET_RAW]", "keeps capabilities"),
        (COMPOSE, "no-new-privileges:true", "seccomp:unconfined", "may gain privileges"),
        (COMPOSE, "restart: unless-stopped", "restart: \"no\"", "is not started again"),
        (COMPOSE, "networks: [store]", "networks: [stores]", "there is no network `stores`"),
        (COMPOSE, "etcd-1:/var/lib/etcd", "etcd-9:/var/lib/etcd", "there is no volume `etcd-9`"),
        (COMPOSE, "etcd-3: { condition", "etcd-4: { condition", "there is no service `etcd-4`"),
        (COMPOSE, "service_healthy", "service_started", "does not wait until etcd-1"),
        (
            COMPOSE,
            "--advertise-client-urls=https://etcd-2",
            "--advertise-client-urls=http://etcd-2",
            "advertise-client-urls is",
        ),
        (
            COMPOSE,
            "ETCD_INITIAL_CLUSTER: etcd-1=https://etcd-1:2380,",
            "ETCD_INITIAL_CLUSTER: ",
            "initial-cluster is",
        ),
        (COMPOSE, "ETCD_CLIENT_CERT_AUTH: \"true\"", "ETCD_CLIENT_CERT_AUTH: true", "is no string"),
        (COMPOSE, "ETCD_KEY_FILE: /etc/etcd/tls", "ETCD_KEY_FILE: /etc/tls", "key-file is"),
        (COMPOSE, "ETCD_DATA_DIR: /var/lib/etcd", "ETCD_DATA_DIR: /data", "/data is not kept"),
        (COMPOSE, "[serve, --config", "[serve, --konfig", "unexpected argument '--konfig'"),
        (
            COMPOSE,
            "./tls/coordinator:/etc/molt/tls:ro",
            "./tls/coordinator:/etc/tls:ro",
            "No such file",
        ),
        (COMPOSE, "./coordinator.toml:/etc", "./coordinator.tom:/etc", "Is a directory"),
        (
            COMPOSE,
            "coordinator-1:/var/lib/molt",
            "coordinator-1:/var/molt",
            "/var/lib/molt cannot be written",
        ),
        (COMPOSE, "\"/run/molt:uid", "\"/run/malt:uid", "/run/molt/ready cannot be written"),
        (COMPOSE, "-s, /run/molt/ready", "-s, /run/ready", "healthcheck looks at another file"),
        (COMPOSE, "ports: [\"7421:7420\"]", "ports: [\"7421:7421\"]", "7421:7420 is not published"),
        (
            COMPOSE,
            "MOLT_COORD_NAME: coordinator-2",
            "MOLT_COORD_NAME: coordinator-1",
            "MOLT_COORD_NAME tells",
        ),
        (COMPOSE, "read_only: true", "read_only: false", "its root can be written"),
        (COMPOSE, "dockerfile: deploy/container", "dockerfile: deploy", "there is no deploy/"),
        (
            COMPOSE,
            "store: { internal: true }",
            "store: {}\n  other: {}",
            "network `other` is unused",
        ),
        (CONFIG, "https://etcd-3:2379", "https://etcd-4:2379", "the coordinators ask"),
        (CONFIG, "client_ca", "client_ka", "did you mean `client_ca`?"),
        (CONFIG, ":7420\"", ":7430\"", "7420:7430 is not published"),
    ];
    Tree::hold(check, faults);
}
