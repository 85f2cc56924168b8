//! One gated merge: the service and a host as their users start them, and a person who asks.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use molt_forge::github::Operation;
use molt_forge::github::shape::{CheckRun, CheckRuns, Pull};
use tokio::time::{Duration, Instant, sleep};

use super::git::Checkout;
use super::place::Place;
use super::programs;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// How long to wait before it is looked again.
const LOOK: Duration = Duration::from_millis(500);

/// A program that ends with this value.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = File::create(log).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        Self(command.spawn().expect("it starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}

/// Has the person ask for the pull request to land, and waits until it did: its head is in the
/// trunk by a merge, GitHub calls it merged, and its check run is green.
pub(super) async fn landed(place: &Place, checkout: &Checkout) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let folder = folder.path();
    let _service = service(place, folder);
    let address = wait(folder, "it listens", async || {
        fs::read_to_string(folder.join("ready")).ok().filter(|it| !it.is_empty())
    });
    let address = address.await;
    let _host = host(checkout, folder, &address);
    place.say(&format!("@molt land head={}", place.head)).await;
    wait(folder, "it is merged", async || {
        let route = place.slug.route(Operation::PULL).with("pull_number", place.number);
        let pull: Pull = place.app.read(route).await.ok()?;
        pull.merged_at
    })
    .await;
    wait(folder, "its check run is green", async || {
        let route = place.slug.route(Operation::CHECKS).with("ref", &place.head);
        let route = route.query("check_name", "molt");
        let runs = place.app.pages(route, |page: CheckRuns| page.check_runs).await.ok()?;
        let green = |run: &CheckRun| run.conclusion.as_deref() == Some("success");
        runs.iter().any(green).then_some(())
    })
    .await;
    assert!(
        checkout.is_merge(&place.trunk, &place.base, &place.head),
        "it is no merge of its head"
    );
}

fn service(place: &Place, folder: &Path) -> Running {
    let key = folder.join("app.pem");
    fs::write(&key, &place.registered.key).expect("a key");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("its mode");
    let text = format!(
        "data = 'state'\nlisten = '127.0.0.1:0'\n\
         [github]\napi = '{}'\napp = {}\nkey_file = 'app.pem'\nevery = '2s'\n\
         [[repo]]\ngithub = '{}'\nbranch = '{}'\n",
        place.api, place.registered.id, place.slug, place.trunk
    );
    let config = folder.join("c.toml");
    fs::write(&config, text).expect("a configuration");
    let mut command = Command::new(programs::coordinator());
    command.arg("serve").arg("--config").arg(config);
    command.arg("--ready-file").arg(folder.join("ready"));
    Running::start(&mut command, &folder.join("service.log"))
}

/// A host that runs the gate, and fetches as the person.
fn host(checkout: &Checkout, folder: &Path, address: &str) -> Running {
    let home = folder.join("host");
    fs::create_dir(&home).expect("a folder");
    let mut command = Command::new(programs::agent());
    command.args(["daemon", "--jobs", "1"]).current_dir(&home).env("GIT_ASKPASS", &checkout.ask);
    command.env("MOLT_HOST", "build-1").env("MOLT_STATE", home.join("state"));
    command.env("MOLT_COORD_ENDPOINTS", address);
    Running::start(&mut command, &folder.join("host.log"))
}

/// Looks until there is something to see.
async fn wait<T>(folder: &Path, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        let said = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            Instant::now() < until,
            "it never came: {what}\n{}\n{}",
            said("service.log"),
            said("state/logs/coordinator.log")
        );
        sleep(LOOK).await;
    }
}
