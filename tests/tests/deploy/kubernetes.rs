//! The manifests: a fleet in a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::command::{CommandLine, Mount, What, expanded};
use crate::dockerfile;
use crate::etcd::{self, Member};
use crate::objects::Object;
use crate::shape::{self, Config, documents, list, texts};
use crate::tree::{Fault, Tree};

const FOLDER: &str = "deploy/kubernetes/";
const KUSTOMIZATION: &str = "deploy/kubernetes/kustomization.yaml";
const NAMESPACE: &str = "molt";

fn check(tree: &Tree) -> Vec<String> {
    let (objects, mut complaints) = objects(tree);
    let pods: Vec<&Object> =
        objects.iter().filter(|object| object.kind() == "StatefulSet").collect();
    let mut names = BTreeSet::new();
    for object in &objects {
        complaints.extend(object.misshapen());
        if !names.insert((object.kind(), object.name())) {
            complaints.push(format!("{}: is there twice", object.place));
        }
        let namespace = object.value["metadata"]["namespace"].as_str();
        if object.kind() != "Namespace" && namespace != Some(NAMESPACE) {
            complaints.push(format!("{}: is in namespace {namespace:?}", object.place));
        }
        complaints.extend(selected(object, &pods));
    }
    for pod in &pods {
        complaints.extend(secured(tree, pod));
        complaints.extend(mounted(pod, &objects));
        complaints.extend(governed(pod, &objects));
    }
    complaints.extend(fleet(tree, &pods, &objects));
    complaints
}

/// The objects of all files that the kustomization names, and it names all.
fn objects(tree: &Tree) -> (Vec<Object>, Vec<String>) {
    let mut complaints = Vec::new();
    let mut read = |path: &str, text: &str| match documents(path, text) {
        Ok(documents) => documents,
        Err(error) => {
            complaints.push(error);
            Vec::new()
        }
    };
    let named = read(KUSTOMIZATION, tree.text(KUSTOMIZATION));
    let named: BTreeSet<String> = named
        .iter()
        .flat_map(|value| texts(&value["resources"]))
        .map(|file| FOLDER.to_owned() + &file)
        .collect();
    let mut objects = Vec::new();
    let files: Vec<_> =
        tree.below(FOLDER, ".yaml").filter(|(path, _)| *path != KUSTOMIZATION).collect();
    for (path, text) in &files {
        objects.extend(read(path, text).into_iter().map(|value| Object::new(path, value)));
    }
    let files: BTreeSet<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
    if named != files {
        complaints.push(format!("{KUSTOMIZATION}: names {named:?}, there are {files:?}"));
    }
    (objects, complaints)
}

/// Whether an object's selectors select pods, and its ports are ports of theirs.
fn selected(object: &Object, pods: &[&Object]) -> Vec<String> {
    let of = |selector: &Value| -> Vec<&Object> {
        pods.iter().copied().filter(|pod| pod.selected_by(selector)).collect()
    };
    let mut complaints = Vec::new();
    let mut expect = |selector: &Value, ports: Vec<&Value>| {
        let found = of(selector);
        if found.is_empty() {
            complaints.push(format!("{}: {selector} selects nothing", object.place));
        }
        for (pod, port) in found.iter().flat_map(|pod| ports.iter().map(move |port| (pod, port))) {
            let is = |(number, name): &(u64, &str)| **port == *name || **port == *number;
            if !pod.ports().iter().any(is) {
                complaints.push(format!("{}: {} has no port {port}", object.place, pod.name()));
            }
        }
    };
    let spec = object.spec();
    match object.kind() {
        "Service" => {
            let ports = list(&spec["ports"]).iter().map(|port| &port["targetPort"]).collect();
            expect(&spec["selector"], ports);
        }
        "PodDisruptionBudget" => {
            expect(&spec["selector"]["matchLabels"], Vec::new());
            if spec["maxUnavailable"] != 1 {
                complaints.push(format!("{}: lets more than one go", object.place));
            }
        }
        "NetworkPolicy"
            if spec["podSelector"].as_object().is_some_and(|labels| !labels.is_empty()) =>
        {
            let ports = |rule: &'_ Value| {
                list(&rule["ports"]).iter().map(|port| port["port"].clone()).collect()
            };
            let own = &spec["podSelector"]["matchLabels"];
            for rule in list(&spec["ingress"]) {
                let ports: Vec<Value> = ports(rule);
                expect(own, ports.iter().collect());
                for peer in list(&rule["from"]) {
                    expect(&peer["podSelector"]["matchLabels"], Vec::new());
                }
            }
            for rule in list(&spec["egress"]) {
                let ports: Vec<Value> = ports(rule);
                for peer in list(&rule["to"]) {
                    expect(&peer["podSelector"]["matchLabels"], ports.iter().collect());
                }
            }
        }
        "StatefulSet" => {
            if !object.selected_by(&spec["selector"]["matchLabels"]) {
                complaints.push(format!("{}: does not select its own pods", object.place));
            }
            let term =
                "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0";
            let apart =
                object.template().pointer(term).map(|term| &term["labelSelector"]["matchLabels"]);
            if !apart.is_some_and(|labels| object.selected_by(labels)) {
                complaints.push(format!("{}: may be on one machine", object.place));
            }
        }
        _ => {}
    }
    complaints
}

/// What the `restricted` standard asks of pods, and a bound on what they use.
fn secured(tree: &Tree, pod: &Object) -> Vec<String> {
    let place = &pod.place;
    let spec = &pod.template()["spec"];
    let context = &spec["securityContext"];
    let mut wanted = vec![
        (&spec["automountServiceAccountToken"], Value::from(false)),
        (&context["runAsNonRoot"], true.into()),
        (&context["seccompProfile"]["type"], "RuntimeDefault".into()),
    ];
    let mut complaints = Vec::new();
    for container in pod.containers() {
        let context = &container["securityContext"];
        wanted.push((&context["allowPrivilegeEscalation"], false.into()));
        wanted.push((&context["readOnlyRootFilesystem"], true.into()));
        wanted.push((&context["capabilities"]["drop"], vec!["ALL"].into()));
        let name = &container["name"];
        if container["resources"]["limits"]["memory"].is_null() {
            complaints.push(format!("{place}: {name} has no bound on memory"));
        }
        complaints.extend(shape::image(
            tree,
            place,
            container["image"].as_str().unwrap_or_default(),
        ));
    }
    for container in list(&spec["containers"]) {
        let probe = &container["readinessProbe"];
        let port = probe["httpGet"]["port"].as_str();
        let ports = pod.ports();
        let named = port.is_none_or(|port| ports.iter().any(|(_, name)| *name == port));
        if probe.is_null() || !named {
            complaints.push(format!("{place}: nobody sees whether it is ready"));
        }
    }
    let lax = wanted.into_iter().filter(|(found, wanted)| *found != wanted);
    complaints.extend(lax.map(|(found, wanted)| format!("{place}: {found} is not {wanted}")));
    complaints
}

/// Whether what is mounted is there, and what is there is mounted; secrets come by reference.
fn mounted(pod: &Object, objects: &[Object]) -> Vec<String> {
    let place = &pod.place;
    let mut complaints = Vec::new();
    let volumes = list(&pod.template()["spec"]["volumes"]);
    let claims = list(&pod.spec()["volumeClaimTemplates"]);
    let there: BTreeSet<&str> = volumes
        .iter()
        .map(|volume| &volume["name"])
        .chain(claims.iter().map(|claim| &claim["metadata"]["name"]))
        .filter_map(Value::as_str)
        .collect();
    let mounts = pod.containers().flat_map(|container| list(&container["volumeMounts"]));
    let used: BTreeSet<&str> = mounts.filter_map(|mount| mount["name"].as_str()).collect();
    for name in used.symmetric_difference(&there) {
        complaints.push(format!("{place}: volume `{name}` is not both there and mounted"));
    }
    for volume in volumes {
        if let Some(name) = volume["configMap"]["name"].as_str()
            && !objects.iter().any(|object| object.kind() == "ConfigMap" && object.name() == name)
        {
            complaints.push(format!("{place}: there is no ConfigMap {name}"));
        }
        if let Some(secret) = volume.get("secret")
            && (secret["defaultMode"] != 0o440 || list(&secret["items"]).is_empty())
        {
            complaints
                .push(format!("{place}: {} is open, or names no files", secret["secretName"]));
        }
    }
    complaints
}

/// Whether the service that names its pods is there, and headless.
fn governed(pod: &Object, objects: &[Object]) -> Vec<String> {
    let names = |object: &&Object| {
        object.kind() == "Service"
            && object.spec()["clusterIP"] == "None"
            && pod.spec()["serviceName"] == object.name()
            && pod.selected_by(&object.spec()["selector"])
    };
    let named = objects.iter().any(|object| names(&object));
    (!named).then(|| format!("{}: no service names its pods", pod.place)).into_iter().collect()
}

/// The etcds as one cluster, and the coordinators that use it.
fn fleet(tree: &Tree, pods: &[&Object], objects: &[Object]) -> Vec<String> {
    let find = |name: &str| pods.iter().copied().find(|pod| pod.name() == name);
    let (Some(etcd), Some(coordinator)) = (find("molt-etcd"), find("molt-coordinator")) else {
        return vec![format!("{FOLDER}: etcd or the coordinator is missing")];
    };
    let mut complaints = Vec::new();
    let mut endpoints = Vec::new();
    for at in 0..replicas(coordinator) {
        for container in coordinator.containers() {
            match command(tree, coordinator, (container, at), objects) {
                Ok(line) => {
                    complaints.extend(line.complaints());
                    complaints.extend(reached(coordinator, &line, at));
                    endpoints =
                        line.config().map_or(endpoints, |text| Config::read(text).endpoints);
                }
                Err(error) => complaints.push(error),
            }
        }
    }
    if replicas(coordinator) < 2 {
        complaints.push(format!("{}: nobody stands by", coordinator.place));
    }
    let user = &coordinator.template()["spec"]["securityContext"];
    let user = format!("{}:{}", user["runAsUser"], user["runAsGroup"]);
    if user != dockerfile::image(tree).user {
        complaints.push(format!("{}: {user} is not the image's user", coordinator.place));
    }
    let members: Vec<Member> = (0..replicas(etcd)).map(|at| member(etcd, at)).collect();
    complaints.extend(etcd::cluster(&members, &endpoints));
    complaints
}

fn replicas(pod: &Object) -> u64 {
    pod.spec()["replicas"].as_u64().unwrap_or_default()
}

/// The name of one pod, as others resolve it.
fn host(pod: &Object, at: u64) -> String {
    let service = pod.spec()["serviceName"].as_str().unwrap_or_default();
    format!("{}-{at}.{service}.{NAMESPACE}.svc", pod.name())
}

/// The variables of a container in pod `at`, each made of those before it.
fn environment(
    pod: &Object,
    container: &Value,
    at: u64,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for variable in list(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default().to_owned();
        let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
        let value = match (variable["value"].as_str(), field) {
            (Some(text), _) => expanded(text, ("$(", ')'), &env)?,
            (None, Some("metadata.name")) => format!("{}-{at}", pod.name()),
            (None, other) => return Err(format!("{}: {name} comes from {other:?}", pod.place)),
        };
        env.insert(name, value);
    }
    Ok(env)
}

fn command(
    tree: &Tree,
    pod: &Object,
    (container, at): (&Value, u64),
    objects: &[Object],
) -> Result<CommandLine, String> {
    let env = environment(pod, container, at)?;
    let words = [dockerfile::image(tree).entrypoint, texts(&container["args"])].concat();
    let words: Result<_, _> = words.iter().map(|word| expanded(word, ("$(", ')'), &env)).collect();
    let place = format!("{} {}", pod.place, container["name"].as_str().unwrap_or_default());
    let mounts = list(&container["volumeMounts"]).iter();
    let mounts = mounts.flat_map(|mount| mounts_of(pod, mount, objects)).collect();
    Ok(CommandLine { place, words: words?, env, mounts })
}

/// What a mount puts into its container.
fn mounts_of(pod: &Object, mount: &Value, objects: &[Object]) -> Vec<Mount> {
    let at = mount["mountPath"].as_str().unwrap_or_default();
    let volumes = list(&pod.template()["spec"]["volumes"]);
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
    let Some(volume) = volume else {
        // A claim, which `mounted` has seen.
        return vec![Mount::new(at, What::Writable)];
    };
    if let Some(name) = volume["configMap"]["name"].as_str() {
        let map =
            objects.iter().find(|object| object.kind() == "ConfigMap" && object.name() == name);
        let files = map.and_then(|map| map.value["data"].as_object()).into_iter().flatten();
        let file = |(name, text): (&String, &Value)| {
            Mount::new(format!("{at}/{name}"), What::Text(text.as_str().unwrap_or("").to_owned()))
        };
        return files.map(file).collect();
    }
    let what = match volume.get("secret") {
        None => What::Writable,
        Some(secret) => {
            let items = list(&secret["items"]).iter();
            What::Names(items.filter_map(|item| Some(item["path"].as_str()?.to_owned())).collect())
        }
    };
    vec![Mount::new(at, what)]
}

/// Whether a coordinator is reached where it says, and seen to be ready where it says so.
fn reached(pod: &Object, line: &CommandLine, at: u64) -> Vec<String> {
    let mut complaints = Vec::new();
    let Some(config) = line.config().map(Config::read) else {
        return vec![format!("{}: has no configuration", line.place)];
    };
    let wanted = format!("{}:{}", host(pod, at), config.port);
    if line.env.get("MOLT_COORD_ADVERTISE") != Some(&wanted) {
        complaints.push(format!("{}: does not advertise {wanted}", line.place));
    }
    if !pod.ports().iter().any(|(number, _)| number.to_string() == config.port) {
        complaints.push(format!(
            "{}: listens on {}, which is no port of its pod",
            line.place, config.port
        ));
    }
    let probes = list(&pod.template()["spec"]["containers"]).iter();
    let looks = |probe: &Value| texts(&probe["readinessProbe"]["exec"]["command"]).last().cloned();
    if let Some(ready) = line.after("--ready-file")
        && !probes.filter_map(looks).any(|path| path == ready)
    {
        complaints.push(format!("{}: nobody looks at {ready}", line.place));
    }
    complaints
}

fn member(pod: &Object, at: u64) -> Member {
    let container = &list(&pod.template()["spec"]["containers"])[0];
    let env = environment(pod, container, at).unwrap_or_default();
    let words = texts(&container["command"]);
    let expand = |word: &String| expanded(word, ("$(", ')'), &env).unwrap_or_else(|error| error);
    let words: Vec<String> = words.iter().map(expand).collect();
    let mounts = list(&container["volumeMounts"]).iter();
    let mut options = etcd::options(&words, &BTreeMap::new());
    // Plain, so that the kubelet can ask; `secured` sees that it does.
    options.remove("listen-metrics-urls");
    Member {
        place: format!("{}-{at}", pod.place),
        host: host(pod, at),
        options,
        mounts: mounts.flat_map(|mount| mounts_of(pod, mount, &[])).collect(),
    }
}

#[test]
fn the_manifests_are_sound_and_their_command_lines_are_accepted() {
    const ETCD: &str = "deploy/kubernetes/etcd.yaml";
    const COORDINATOR: &str = "deploy/kubernetes/coordinator.yaml";
    const NETWORK: &str = "deploy/kubernetes/network.yaml";
    let faults: &[Fault] = &[
        (KUSTOMIZATION, "  - network.yaml\n", "", "names"),
        (ETCD, "replicas: 3", "replicaz: 3", "unknown key .spec.replicaz"),
        (ETCD, "replicas: 3", "replicas: 2", "2 members survive"),
        (ETCD, "replicas: 3", "replicas: three", "invalid type"),
        (ETCD, "port: 2379, ", "", "missing key .spec.ports[0].port"),
        (ETCD, "namespace: molt", "namespace: default", "is in namespace"),
        (
            ETCD,
            "selector: { app.kubernetes.io/name: etcd,",
            "selector: { app.kubernetes.io/name: etcdd,",
            "selects nothing",
        ),
        (ETCD, "targetPort: client", "targetPort: clients", "has no port \"clients\""),
        (ETCD, "serviceName: molt-etcd", "serviceName: etcd", "no service names its pods"),
        (ETCD, "clusterIP: None", "clusterIP: \"\"", "no service names its pods"),
        (ETCD, "runAsNonRoot: true", "runAsNonRoot: false", "false is not true"),
        (ETCD, "limits: { memory: 1Gi }", "limits: { cpu: \"1\" }", "has no bound on memory"),
        (ETCD, "port: metrics", "port: metric", "nobody sees whether it is ready"),
        (ETCD, "quay.io/coreos/etcd:v3.5.33", "quay.io/coreos/etcd", "has no version"),
        (ETCD, "--client-cert-auth", "--client-cert-oath", "client-cert-auth is None"),
        (
            ETCD,
            "--key-file=/etc/etcd/tls/tls.key",
            "--key-file=/etc/etcd/tls/my.key",
            "key-file is",
        ),
        (ETCD, "--data-dir=/var/lib/etcd", "--data-dir=/data", "/data/data is not kept"),
        (ETCD, "molt-etcd-2=https", "molt-etcd-3=https", "initial-cluster is"),
        (ETCD, "maxUnavailable: 1", "maxUnavailable: 2", "lets more than one go"),
        (COORDINATOR, "replicas: 2", "replicas: 1", "nobody stands by"),
        (
            COORDINATOR,
            "kubernetes.io/hostname\n              labelSelector",
            "kubernetes.io/hostname\n              namespaceSelector",
            "may be on one machine",
        ),
        (COORDINATOR, "molt-coordinator:0.1.0", "molt-coordinator:0.2.0", "is not of version"),
        (
            COORDINATOR,
            "args: [serve, --config",
            "args: [serve, --konfig",
            "unexpected argument '--konfig'",
        ),
        (COORDINATOR, "endpoints = [", "endpoint = [", "did you mean `endpoints`?"),
        (COORDINATOR, "molt-etcd-2.molt-etcd", "molt-etcd-3.molt-etcd", "the coordinators ask"),
        (
            COORDINATOR,
            "listen = \"0.0.0.0:7420\"",
            "listen = \"0.0.0.0:7430\"",
            "which is no port of its pod",
        ),
        (
            COORDINATOR,
            "$(POD_NAME).molt-coordinator.molt.svc",
            "$(POD_NAME).molt.svc",
            "does not advertise",
        ),
        (
            COORDINATOR,
            "$(POD_NAME).molt-coordinator",
            "$(NAME).molt-coordinator",
            "there is no variable NAME",
        ),
        (
            COORDINATOR,
            "name: data, mountPath: /var/lib/molt",
            "name: data, mountPath: /var/molt",
            "/var/lib/molt cannot be written",
        ),
        (
            COORDINATOR,
            "{ name: etcd, mountPath",
            "{ name: store, mountPath",
            "volume `store` is not both",
        ),
        (
            COORDINATOR,
            "{ key: tls.key, path: tls.key }",
            "{ key: tls.key, path: key }",
            "No such file",
        ),
        (COORDINATOR, "defaultMode: 288", "defaultMode: 292", "is open"),
        (
            COORDINATOR,
            "configMap: { name: molt-coordinator }",
            "configMap: { name: other }",
            "there is no ConfigMap other",
        ),
        (COORDINATOR, "-s, /run/molt/ready", "-s, /run/ready", "nobody looks at /run/molt/ready"),
        (COORDINATOR, "runAsUser: 10001", "runAsUser: 10003", "is not the image's user"),
        (COORDINATOR, "drop: [ALL]", "drop: [NET_RAW]", "is not [\"ALL\"]"),
        (COORDINATOR, "readinessProbe:", "livenessProbe:", "nobody sees whether it is ready"),
        (
            COORDINATOR,
            "kind: PodDisruptionBudget",
            "kind: PodDisruptionBudge",
            "is not expected here",
        ),
        (NETWORK, "port: grpc", "port: http", "has no port \"http\""),
        (NETWORK, "port: 2379", "port: 2380379", "has no port 2380379"),
        (NETWORK, "name: names", "name: deny-all", "is there twice"),
    ];
    Tree::hold(check, faults);
}
