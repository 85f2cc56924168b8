//! No secret is in a log, in what is stored, or in anything else that the service leaves behind, as
//! talkative as it may be, and whatever goes wrong.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::operation::{COMMENT, PULLS, PUSH};
use super::program::Program;
use super::stand::{OPEN, SECRET, Stand};
use crate::sim::{APP_KEY, Entry, Fate, Fault, Kind, When};

/// All that would let somebody in who saw it.
fn secrets(stand: &Stand) -> BTreeSet<String> {
    let journal = stand.github.journal();
    let token = |entry: &Entry| Some(entry.token.as_ref()?.strip_prefix("Bearer ")?.to_owned());
    let tokens: Vec<String> = journal.iter().filter_map(token).collect();
    assert!(!tokens.is_empty(), "nobody asked for anything");
    let pairs = tokens.iter().map(|token| STANDARD.encode(format!("x-access-token:{token}")));
    let key = APP_KEY.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned);
    let own = [SECRET.to_owned()].into_iter().chain(key);
    tokens.iter().cloned().chain(pairs).chain(own).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder").map(|it| it.expect("an entry").path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

/// The files of a stand in which there is a secret, from its folder on.
fn told_in(stand: &Stand, secrets: &BTreeSet<String>) -> BTreeSet<String> {
    let folder = stand.folder.path();
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).expect("a file that is listed");
        let is_in =
            |secret: &String| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        secrets.iter().any(is_in)
    };
    let name = |path: PathBuf| {
        let name = path.strip_prefix(folder).expect("it is below").to_str();
        name.expect("a UTF-8 path").to_owned()
    };
    files(folder).into_iter().filter(holds).map(name).collect()
}

/// What goes wrong once, with this status.
fn refusal(operation: &'static str, status: u16, message: &'static str) -> Fault {
    let kind = Kind::Status { status, message, headers: Vec::new() };
    Fault { operation, nth: 1, when: When::Before, kind }
}

/// Has a change land, one refused and one answered; what GitHub says goes wrong meanwhile.
async fn eventful(stand: &Stand, landed: impl Fn(&Stand, u64) -> bool) {
    let first = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let second = stand.pull("mona", "feature/b", &[("a", "2\n")]);
    stand.github.plan(refusal(PULLS, 401, "Bad credentials"));
    stand.github.plan(refusal(PUSH, 403, "Write access to repository not granted."));
    stand.github.plan(refusal(COMMENT, 403, "Resource not accessible by integration"));
    stand.ask(second, "eve");
    stand.until("it is answered", |stand| stand.said(second).len() == 1).await;
    stand.ask(first, "mona");
    stand.until("it lands", |stand| landed(stand, first)).await;
    stand.ask(second, "mona");
    stand.until("one does not", |stand| stand.said(second)[0].contains("conflict-base")).await;
    assert_eq!(stand.landings(&stand.head(second)), 0);
}

/// That the service told much and no secret of it but in the files that hold them, and that one would
/// have been seen in its log.
fn tells_none(stand: &Stand, kept_in: &[&str]) {
    let secrets = secrets(stand);
    let kept: BTreeSet<String> = kept_in.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(told_in(stand, &secrets), kept, "a secret is told");
    let log = stand.folder.path().join("state/logs/coordinator.log");
    let told = fs::read_to_string(&log).expect("it logs");
    assert!(told.contains("TRACE"), "it says more than that");
    for secret in &secrets {
        let mut file = File::options().append(true).open(&log).expect("the log");
        write!(file, "said {secret} once").expect("the log is ours");
        let planted = told_in(stand, &BTreeSet::from([secret.clone()]));
        assert!(planted.contains("state/logs/coordinator.log"), "{secret} is not seen");
        fs::write(&log, &told).expect("the log is ours");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_tells_all_tells_no_secret() {
    let stand = Stand::new(OPEN).hearing();
    let program = Program::logging(&stand, "trace").await;
    stand.github.plan_delivery("pull_request", 1, Fate::Forged);
    eventful(&stand, |stand, number| stand.check(number, "success")).await;
    let forged = stand.github.deliveries().iter().any(|it| it.answers.contains(&Some(401)));
    assert!(forged, "nobody tried to be taken for GitHub");
    stand.github.suspend_installation(true);
    stand.until("it is told", |stand| stand.logged("the installation is suspended") > 0).await;
    program.kill();
    tells_none(&stand, &["app.pem", "secret"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_tells_all_tells_no_secret() {
    let stand = Stand::new(OPEN).by_person("robot").hearing();
    let program = Program::logging(&stand, "trace").await;
    let landed = |stand: &Stand, number| stand.status(&stand.head(number)) == "success";
    eventful(&stand, landed).await;
    program.kill();
    tells_none(&stand, &["secret", "token"]);
}
