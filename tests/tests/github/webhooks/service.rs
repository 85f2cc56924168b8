//! The service with webhooks: a listener of its own, for as long as calls are answered.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use molt_coordinator::config::{Config, ServeArgs};
use molt_coordinator::serve::prepare;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::data;
use super::sender::{Head, Sender, deliver};

const POLICY: &str = "version = 1\n[merge]\nmethod = \"merge\"\nrequired = [\"scope\"]\n\
                      [scope.all]\npaths = [\"**\"]\n";

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs git; answers the first line of what it prints.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "user.name=t", "-c", "user.email=t@localhost"]);
    let output = command.args(arguments).output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A configuration with a repository of one commit, and with webhooks.
fn config(folder: &Path, secret: &str) -> Config {
    git(folder, &["init", "--quiet", "--bare", "-b", "main", "remote.git"]);
    let remote = folder.join("remote.git");
    let policy = folder.join("molt.toml");
    fs::write(&policy, POLICY).expect("a policy");
    let policy = policy.to_str().expect("a UTF-8 path");
    let blob = git(&remote, &["hash-object", "-w", policy]);
    // git reads its index from a file that it makes here.
    git(&remote, &["update-index", "--add", "--cacheinfo", &format!("100644,{blob},molt.toml")]);
    let tree = git(&remote, &["write-tree"]);
    let commit = git(&remote, &["commit-tree", "-m", "Begin", &tree]);
    git(&remote, &["update-ref", "refs/heads/main", &commit]);
    let path = folder.join("secret");
    fs::write(&path, secret).expect("a secret");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its mode");
    let text = "data = 'state'\nlisten = '127.0.0.1:0'\n[[repo]]\nremote = './remote.git'\n\
                [webhooks]\nsecret_files = ['secret']\n";
    let file = folder.join("c.toml");
    fs::write(&file, text).expect("a configuration");
    let file = file.to_str().expect("a UTF-8 path");
    let line = ["serve", "--config", file, "--webhook-listen", "127.0.0.1:0"];
    Line::try_parse_from(line).expect("a line").serve.config().expect("a sound configuration")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_takes_webhooks_in_and_drains_them() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let webhooks = data::own();
    let ready = prepare(&config(folder.path(), &webhooks.secret), "t").await.expect("it begins");
    let address = ready.serving.webhooks.expect("it listens for webhooks");
    assert_ne!(address, ready.serving.address);
    let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
    let stopped = stop.clone();
    running.spawn(async move { ready.run(stopped).await });
    for payload in &webhooks.payloads {
        assert_eq!(deliver(address, payload).await, Some(202), "{}", payload.name);
    }
    let payload = &webhooks.payloads[0];
    let mut sender = Sender::connect(address).await;
    let head = Head::of(&payload.event, payload.body.len()).signed(&payload.signature);
    sender.head(&head.with("Expect", "100-continue")).await;
    assert_eq!(sender.answer().await, Some(100), "it has begun");
    stop.cancel();
    sender.send(&payload.body).await;
    assert_eq!(sender.answer().await, Some(202));
    running.join_next().await.expect("it ran").expect("it does not panic").expect("it ends well");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
