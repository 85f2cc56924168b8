//! `@molt retry GATE`: what a machine interrupted runs again, what was judged does not.

use super::host::Host;
use super::stand::Stand;

const POLICY: &str = r#"version = 1
[merge]
method = "merge"
required = ["test"]
[gate.test]
run = "sh test.sh"
timeout = "1m"
[scope.all]
paths = ["**"]
"#;

/// A coordinator, a host, and a gate that somebody outside ends unless `mended` is there; else it
/// fails where the change says so.
async fn gated() -> (Stand, Host) {
    let mut stand = Stand::new(POLICY).hearing();
    let mended = stand.folder.path().join("mended");
    let test = format!("[ -e '{}' ] || kill -9 $$\n! grep -q no case\n", mended.display());
    stand.github.push_commit(stand.widget, "main", &[("test.sh", &test), ("case", "ok\n")]);
    stand.serve().await;
    let host = Host::start(&stand);
    (stand, host)
}

/// Waits until it is answered in these words.
async fn answered(stand: &Stand, number: u64, words: &str) {
    stand.until(words, |stand| stand.said(number).concat().contains(words)).await;
    assert_eq!(stand.said(number).len(), 1, "in one comment");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_interrupted_is_run_again_and_what_was_judged_is_not() {
    let (mut stand, host) = gated().await;
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    stand.ask(number, "mona");
    stand.until("it is out", |stand| stand.check_says(number, "gate-interrupted")).await;
    let retry = format!("@molt retry test head={}", stand.head(number));
    stand.comment(number, "eve", &retry);
    answered(&stand, number, "takes the right to write").await;
    stand.comment(number, "mona", &retry.replace("test", "lint"));
    answered(&stand, number, "was not ejected by gate lint").await;
    std::fs::write(stand.folder.path().join("mended"), "").expect("a file");
    stand.comment(number, "mona", &retry);
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);

    let red = stand.pull("mona", "feature/b", &[("case", "no\n")]);
    stand.ask(red, "mona");
    stand.until("it is red", |stand| stand.check_says(red, "gate-failed")).await;
    stand.comment(red, "mona", &format!("@molt retry test head={}", stand.head(red)));
    answered(&stand, red, "only an interrupted run is tried again").await;
    stand.round().await;
    assert!(stand.check_says(red, "gate-failed"));
    assert_eq!(stand.landings(&stand.head(red)), 0);
    drop(host);
    stand.stop().await;
}
