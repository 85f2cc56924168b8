//! The emulator: a program that others wrote, which keeps state as GitHub does.
//!
//! It has no git and no GraphQL, so that nothing can land there. It checks an App's own tokens and
//! what an installation's may do, and signs its webhooks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use molt_forge::Oid;
use molt_forge::github::shape::{Commit, Ref};
use molt_forge::github::{As, Client, Effect, Operation, Slug};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Duration, Instant, sleep};

use super::place::{Branches, Place, Registered, person};
use super::steps;
use crate::client::MANIFEST;
use crate::webhooks::stand::Stand;

/// Names the emulator's program, which Node runs.
const PROGRAM: &str = "MOLT_EMULATOR";

/// What its webhooks are signed with.
const SECRET: &str = "between us";

/// Prints a fresh key: none is kept anywhere.
const FRESH_KEY: &str = "const form = {type: 'pkcs1', format: 'pem'};\
    process.stdout.write(require('node:crypto').generateKeyPairSync('rsa', \
    {modulusLength: 2048, privateKeyEncoding: form, publicKeyEncoding: form}).privateKey)";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it is known to do otherwise than GitHub, and why no product of ours is to be blamed. A
/// difference that is gone is as wrong here as one that is new.
fn differences() -> [(&'static str, Value, &'static str); 4] {
    let missing = || json!({"refused": "missing"});
    [
        ("its rules are read", missing(), "it has no rules of branches"),
        ("two refs are made together", missing(), "it has no GraphQL"),
        ("they are not made again", missing(), "it has no GraphQL"),
        (
            "who may write is known",
            json!({"permission": "push", "theirs": true}),
            "it says what was granted, in the word that grants it",
        ),
    ]
}

/// The emulator; it ends with this value.
struct Emulator {
    process: Child,
    folder: TempDir,
    api: String,
    registered: Registered,
}

impl Emulator {
    /// Starts it with an App whose webhooks go to `hooks`.
    async fn start(program: &Path, hooks: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let registered = Registered { id: 4711, key: fresh_key() };
        let seed = folder.path().join("seed.json");
        fs::write(&seed, seed_of(&registered, hooks).to_string()).expect("a seed");
        let log = folder.path().join("log");
        let out = File::create(&log).expect("a log");
        let preload = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulator/loopback.cjs");
        let mut command = Command::new("node");
        command.arg("--require").arg(preload).arg(program);
        command.args(["start", "--service", "github", "--seed"]).arg(&seed);
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(out.try_clone().expect("the log")).stderr(out);
        let process = command.spawn().expect("node starts");
        let mut emulator = Self { process, folder, api: String::new(), registered };
        emulator.api = emulator.address().await;
        emulator
    }

    /// Waits until it says where it listens.
    async fn address(&mut self) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if let Some(address) = said.lines().find_map(|it| it.strip_prefix("listening on ")) {
                return format!("http://{address}");
            }
            let ended = self.process.try_wait().expect("it is ours");
            assert!(ended.is_none() && Instant::now() < until, "it does not start: {said}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A repository with a branch, which people make there by REST: there is no git.
    async fn place(&self) -> Place {
        let slug: Slug = "acme/widget".parse().expect("a name");
        let owner = person(&self.api, "ghp_acme");
        let right = operation("PUT", "/repos/{owner}/{repo}/collaborators/{username}");
        let right = slug.route(right).with("username", "mona");
        owner.ask(&right.body(json!({"permission": "push"})), None).await.expect("it is granted");
        let mona = person(&self.api, "ghp_mona");
        let branches = branches(&mona, &slug).await;
        Place::open(&self.api, slug, self.registered.clone(), (mona, "mona"), branches).await
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }
}

fn fresh_key() -> String {
    let made = Command::new("node").args(["-e", FRESH_KEY]).output().expect("node runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("a key is text")
}

fn seed_of(app: &Registered, hooks: SocketAddr) -> Value {
    let permissions: BTreeMap<&str, &str> = MANIFEST.into_iter().collect();
    let person = |login| json!({"login": login, "scopes": ["repo"]});
    json!({
        "tokens": {"ghp_acme": person("acme"), "ghp_mona": person("mona")},
        "github": {
            "users": [{"login": "acme"}, {"login": "mona"}],
            "repos": [{"owner": "acme", "name": "widget", "private": true, "auto_init": true}],
            "apps": [{
                "app_id": app.id, "slug": "molt", "name": "molt", "private_key": app.key,
                "permissions": permissions,
                "events": ["pull_request", "issue_comment", "check_run", "push"],
                "webhook_url": format!("http://{hooks}/webhooks/github"),
                "webhook_secret": SECRET,
                "installations": [{"installation_id": 815, "account": "acme"}],
            }],
        },
    })
}

/// What people do there and the product never does.
fn operation(method: &'static str, template: &'static str) -> Operation {
    Operation { method, template, by: As::Installation, effect: Effect::Write }
}

async fn branches(mona: &Client, slug: &Slug) -> Branches {
    let main = slug.route(Operation::REF).branch("ref", "heads/main");
    let main: Ref = mona.read(main).await.expect("it has a branch");
    let base = main.object.sha;
    let make = async |path: &'static str, body: Value| -> Oid {
        let made = mona.read::<Commit>(slug.route(operation("POST", path)).body(body)).await;
        made.expect("it is made").sha.parse().expect("an id")
    };
    let file = json!([{"path": "case", "mode": "100644", "type": "blob", "content": "ok\n"}]);
    let tree = make("/repos/{owner}/{repo}/git/trees", json!({"tree": file})).await;
    let commit = json!({"message": "Add a case", "tree": tree.as_str(), "parents": [base]});
    let head = make("/repos/{owner}/{repo}/git/commits", commit).await;
    for (name, sha) in [("feature/a", head.as_str()), ("spare", base.as_str())] {
        let body = json!({"ref": format!("refs/heads/{name}"), "sha": sha});
        let route = slug.route(operation("POST", "/repos/{owner}/{repo}/git/refs")).body(body);
        mona.read::<Ref>(route).await.expect("it is made");
    }
    let (trunk, feature, spare) = ("main".into(), "feature/a".into(), "spare".into());
    Branches { trunk, base: base.parse().expect("an id"), feature, head, spare }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes Node and a package: `make github-emulator`"]
async fn what_others_take_github_to_be_is_what_we_do() {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    let program = program.unwrap_or_else(|| panic!("{PROGRAM}: the emulator's program"));
    let stand = Stand::with(&[SECRET]).await;
    let emulator = Emulator::start(&program, stand.address).await;
    let taken = steps::taken(&emulator.place().await, Some(&stand)).await;
    let mut known = steps::documented();
    for (name, theirs, why) in differences() {
        let documented = known.insert(name, theirs.clone()).expect("a step has this name");
        assert_ne!(documented, theirs, "{name} is no difference: {why}");
    }
    assert_eq!(taken, known, "{}", emulator.said());
}
