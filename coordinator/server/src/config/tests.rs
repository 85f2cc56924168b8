//! What is told about a configuration, and which setting goes before which.

mod github;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;

use super::{Config, ConfigError, Examined, Limits, ServeArgs, StorePlace};
use crate::policy::Severity;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    serve: ServeArgs,
}

fn args(words: &[&str]) -> ServeArgs {
    let words = std::iter::once("serve").chain(words.iter().copied());
    Line::try_parse_from(words).expect("a command line").serve
}

/// Of a kind that no App has, and of no key.
const EC: &str = "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";

/// A folder with the files that a configuration may name, and the configuration in `text`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (name, mode, text) in [
        ("c.pem", 0o644, "-----BEGIN CERTIFICATE-----"),
        ("c.key", 0o600, "-----BEGIN PRIVATE KEY-----"),
        ("ca.pem", 0o644, "-----BEGIN CERTIFICATE-----"),
        ("word", 0o400, "secret\n"),
        ("empty", 0o400, "\n"),
        ("ec.pem", 0o600, EC),
        ("github.pem", 0o600, include_str!("../../../forge/tests/github/app.pem")),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
    }
    fs::write(folder.path().join("c.toml"), text).expect("the configuration");
    folder
}

fn examine(folder: &TempDir, more: &[&str]) -> Examined {
    let file = folder.path().join("c.toml");
    let file = file.to_str().expect("a UTF-8 path");
    let words: Vec<&str> = ["--config", file].into_iter().chain(more.iter().copied()).collect();
    args(&words).examine().expect("a file that can be read")
}

/// The findings without the folder's name.
fn told(folder: &TempDir, examined: &Examined) -> Vec<String> {
    let prefix = format!("{}/", folder.path().display());
    examined.findings.iter().map(|finding| finding.to_string().replace(&prefix, "")).collect()
}

fn sound(folder: &TempDir, more: &[&str]) -> Config {
    let examined = examine(folder, more);
    let told = told(folder, &examined);
    examined.config.unwrap_or_else(|| panic!("{told:#?}"))
}

/// Checks that `text` is refused with exactly these findings.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let folder = folder(text);
    let examined = examine(&folder, &[]);
    assert_eq!(told(&folder, &examined), expected, "in\n{text}");
    assert_eq!(examined.config, None, "in\n{text}");
}

const REPO: &str = "[[repo]]\nremote = \"r\"\n";

#[test]
fn the_command_line_alone_is_enough() {
    let config = args(&["--remote", "r.git", "--data", "/state", "--repo", "core"]).config();
    let config = config.expect("a sound command line");
    assert_eq!(config.store, StorePlace::Embedded { folder: "/state".into() });
    assert_eq!(config.listen.to_string(), "127.0.0.1:7420");
    assert_eq!((config.name.as_str(), config.advertise), ("molt-coordinator", None));
    let [repo] = &*config.repos else { panic!("one repository") };
    assert_eq!((repo.name.as_str(), &*repo.remote, &*repo.branch), ("core", "r.git", "main"));
}

#[test]
fn a_command_line_without_a_repository_is_none() {
    for words in [&[][..], &["--branch", "x", "--config", "f"], &["--repo", "x", "--config", "f"]] {
        let words = std::iter::once("serve").chain(words.iter().copied());
        let error = Line::try_parse_from(words).expect_err("a repository is missing");
        assert!(error.to_string().contains("--remote"), "{error}");
    }
}

#[test]
fn the_command_line_goes_before_the_file() {
    let text = format!(
        "name = 'a'\ndata = 's'\nlisten = '127.0.0.1:1'\nadvertise = 'a:1'\n{REPO}[spans]\noffer = '1m'\ngrace = '2m'\n"
    );
    let folder = folder(&text);
    let words = "--name b --data /d --listen 127.0.0.1:2 --advertise b:2 --remote other --offer 3m";
    let words: Vec<&str> = words.split(' ').collect();
    let config = sound(&folder, &words);
    assert_eq!((&*config.name, &*config.repos[0].remote), ("b", "other"));
    assert_eq!((config.repos.len(), config.listen.port()), (1, 2));
    assert_eq!((config.data.to_str(), config.advertise.as_deref()), (Some("/d"), Some("b:2")));
    assert_eq!(config.spans.offer, Duration::from_secs(180));
    assert_eq!(config.spans.grace, Duration::from_secs(120));
}

#[test]
fn what_the_command_line_gets_wrong_is_told_by_its_flag() {
    let words =
        "--remote r --data /d --name x/y! --advertise nowhere --listen 0.0.0.0:1 --delay 1s";
    let error = args(&words.split(' ').collect::<Vec<_>>()).config().expect_err("four faults");
    let ConfigError::Faulty(findings) = &error else { panic!("{error}") };
    assert_eq!(findings.len(), 4, "{error}");
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "--advertise: `nowhere` is no HOST:PORT");
    assert_eq!(
        lines[1],
        "--listen: 0.0.0.0:1 is not loopback: without [tls] only loopback is served"
    );
    assert!(lines[2].starts_with("spans: leader ttl 15s + kill grace 5s is more than"), "{error}");
    assert!(lines[3].starts_with("--name: name `x/y!` has '!' at byte 3"), "{error}");
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_named() {
    let error = args(&["--config", "/not/there"]).config().expect_err("no file");
    assert_eq!(error.to_string(), "--config /not/there");
    let folder = folder("");
    fs::write(folder.path().join("c.toml"), b"name = 'a'\n\xff").expect("no text");
    assert_eq!(told(&folder, &examine(&folder, &[])), ["c.toml:2: the text is not UTF-8"]);
}

#[test]
fn an_unknown_key_is_placed_and_the_nearest_is_told() {
    let text = format!(
        "lisen = '127.0.0.1:1'\n[tsl]\n[spans]\nheart_beat = '1s'\noffer = 5\n{REPO}branches = 'x'\n"
    );
    refused(
        &text,
        &[
            "c.toml:1: lisen: unknown key, did you mean `listen`?",
            "c.toml:2: tsl: unknown key, did you mean `tls`?",
            "c.toml:4: spans.heart_beat: unknown key, did you mean `heartbeat`?",
            "c.toml:5: spans.offer: expected a string, found an integer",
            "c.toml:8: repo.branches: unknown key, did you mean `branch`?",
        ],
    );
    refused("listen = ", &["c.toml:1:10: string values must be quoted, expected literal string"]);
}

#[test]
fn repositories_are_there_and_each_name_is_one() {
    refused("", &["--remote: no repository: name one here, or in a [[repo]] of a --config"]);
    refused(
        "[[repo]]\nname = 'a'\nremote = 'x'\n[[repo]]\nname = 'a'\nremote = 'y'\n[[repo]]\nname = 'b'",
        &[
            "c.toml:4: repo.name: there is a repository `a` already, in line 1",
            "c.toml:7: repo.remote: missing: write remote = \"git@HOST:PROJECT.git\"",
        ],
    );
}

#[test]
fn only_loopback_goes_without_tls() {
    refused(
        &format!("listen = '0.0.0.0:7420'\n{REPO}"),
        &["c.toml:1: listen: 0.0.0.0:7420 is not loopback: without [tls] only loopback is served"],
    );
    let tls = format!("listen = '0.0.0.0:7420'\n{REPO}[tls]\ncert = 'c.pem'\nkey = 'c.key'\n");
    assert_eq!(sound(&folder(&tls), &[]).tls.expect("tls").client_ca, None);
    sound(&folder(&format!("listen = '[::1]:7420'\n{REPO}")), &[]);
}

#[test]
fn files_that_are_named_are_there() {
    refused(
        &format!("{REPO}[tls]\ncert = 'gone.pem'\nclient_ca = '.'\n"),
        &[
            "c.toml:3: tls.key: missing: write key = \"server.key\"",
            "c.toml:4: tls.cert: gone.pem: No such file or directory (os error 2)",
            "c.toml:5: tls.client_ca: .: is no file",
        ],
    );
    refused(&format!("data = 'c.pem'\n{REPO}"), &["c.toml:1: data: c.pem is no folder"]);
    refused(
        &format!("{REPO}[tls]\ncert = 'c.key'\nkey = 'word'\n"),
        &[
            "c.toml:4: tls.cert: c.key: there is no certificate in PEM",
            "c.toml:5: tls.key: word: there is no key in PEM",
        ],
    );
}

#[test]
fn a_key_is_kept_from_others() {
    let text = format!("{REPO}[tls]\ncert = 'c.pem'\nkey = 'c.key'\n");
    let folder = folder(&text);
    let key = folder.path().join("c.key");
    // A group may read what root keeps for it.
    let root = fs::metadata(&key).expect("a key").uid() == 0;
    for (mode, refused) in [(0o600, false), (0o400, false), (0o440, !root), (0o604, true)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).expect("its mode");
        let examined = examine(&folder, &[]);
        let told = told(&folder, &examined);
        assert_eq!(examined.config.is_none(), refused, "{mode:o}: {told:?}");
        let named = told.iter().any(|line| line.contains(&format!("(mode {mode:04o})")));
        assert_eq!(named, refused, "{told:?}");
    }
}

#[test]
fn webhooks_need_a_secret_that_is_kept_from_others() {
    let hooks = |text: &str| format!("{REPO}[webhooks]\n{text}\n");
    assert_eq!(sound(&folder(REPO), &[]).webhooks, None, "off unless there is a secret");
    let folder = folder(&hooks("secret_files = ['word', 'c.key']"));
    let webhooks = sound(&folder, &[]).webhooks.expect("webhooks");
    assert_eq!(webhooks.listen.to_string(), "127.0.0.1:7480");
    assert_eq!(webhooks.secret_files, ["word", "c.key"].map(|name| folder.path().join(name)));
    let open = sound(&folder, &["--webhook-listen", "0.0.0.0:80"]).webhooks.expect("webhooks");
    assert_eq!(open.listen.to_string(), "0.0.0.0:80");
    refused(
        &hooks("listen = '127.0.0.1:1'"),
        &["c.toml:3: webhooks.secret_files: missing: write secret_files = [\"webhook.secret\"]"],
    );
    refused(
        &hooks("listn = 'x'\nsecret_files = ['word', 'empty', 'word']"),
        &[
            "c.toml:4: webhooks.listn: unknown key, did you mean `listen`?",
            "c.toml:5: webhooks.secret_files: is not one file, or two while the secret is replaced",
        ],
    );
    refused(
        &hooks("secret_files = ['empty']"),
        &["c.toml:4: webhooks.secret_files: empty: there is no secret"],
    );
    let told_open = refused_mode(&hooks("secret_files = ['word']"), "word", 0o604);
    assert!(told_open.contains("word can be read by others (mode 0604)"), "{told_open}");
}

/// What is told when `name` has `mode`, in a line.
fn refused_mode(text: &str, name: &str, mode: u32) -> String {
    let folder = folder(text);
    fs::set_permissions(folder.path().join(name), Permissions::from_mode(mode)).expect("its mode");
    let examined = examine(&folder, &[]);
    assert_eq!(examined.config, None);
    told(&folder, &examined).join(" ")
}

#[test]
fn webhooks_on_the_command_line_alone_are_refused_and_in_the_clear_noted() {
    let words = ["--remote", "r", "--data", "/d", "--webhook-listen", "127.0.0.1:1"];
    let error = args(&words).config().expect_err("there is no secret");
    assert_eq!(
        error.to_string(),
        "--webhook-listen: there is no secret: name its file as `secret_files` below [webhooks] \
         in a --config"
    );
    let text = format!("{REPO}[webhooks]\nlisten = '0.0.0.0:80'\nsecret_files = ['word']\n");
    let folder = folder(&text);
    let examined = examine(&folder, &[]);
    assert_eq!(
        told(&folder, &examined),
        ["c.toml:4: note: webhooks.listen: webhooks come to 0.0.0.0:80 unencrypted: have a proxy \
             before it that ends TLS"]
    );
    assert!(examined.config.is_some(), "a note keeps nobody from serving");
}

#[test]
fn limits_are_counts_and_a_size_and_the_rest_is_usual() {
    let limits = |text: &str| sound(&folder(&format!("{REPO}{text}")), &[]).limits;
    assert_eq!(limits(""), Limits::default());
    assert_eq!(Limits::default().message, molt_proto::MAX_COMMAND_BYTES);
    let given = limits(
        "[limits]\nper_second = 20\nburst = 50\nmessage = '1MiB'\nconnections = 8\nstreams = 9\n",
    );
    let (per_second, burst, message) = (20, 50, 1 << 20);
    assert_eq!(given, Limits { per_second, burst, message, connections: 8, streams: 9 });
    assert_eq!(limits("[limits]\nburst = 5\n"), Limits { burst: 5, ..Limits::default() });
    refused(
        &format!(
            "{REPO}[limits]\nper_secund = 2\nburst = 0\nmessage = '1KiB'\nstreams = '9'\n\
             connections = -1\n"
        ),
        &[
            "c.toml:4: limits.per_secund: unknown key, did you mean `per_second`?",
            "c.toml:5: limits.burst: 0 is not from 1 to 4294967295",
            "c.toml:6: limits.message: is not from 16KiB to 4MiB",
            "c.toml:7: limits.streams: expected a whole number, found a string",
            "c.toml:8: limits.connections: -1 is not from 1 to 4294967295",
        ],
    );
    refused(
        &format!("{REPO}[limits]\nmessage = '1 meg'\n"),
        &["c.toml:4: limits.message: `1 meg` is no amount of memory such as 512MB or 4GiB"],
    );
}

#[test]
fn spans_that_are_unsafe_are_refused_and_odd_ones_noted() {
    let text = format!("{REPO}[spans]\ndelay = '1s'\n");
    let folder_of_unsafe = folder(&text);
    let examined = examine(&folder_of_unsafe, &[]);
    assert!(examined.config.is_none());
    let told_of_unsafe = told(&folder_of_unsafe, &examined);
    assert!(told_of_unsafe[0].starts_with("c.toml:3: spans: leader ttl 15s"), "{told_of_unsafe:?}");
    let text = format!("{REPO}[spans]\nsession_ttl = '30s'\n");
    let folder = folder(&text);
    let examined = examine(&folder, &[]);
    assert!(examined.config.is_some());
    let [finding] = &*examined.findings else { panic!("{:?}", examined.findings) };
    assert_eq!(finding.severity(), Severity::Note);
    assert!(
        finding.to_string().contains(":3: note: spans: session ttl 30s - margin 10s"),
        "{finding}"
    );
}

#[test]
fn when_claims_lapse_is_set_within_bounds() {
    let set = |spans: &str| folder(&format!("{REPO}[spans]\n{spans}\n"));
    let words = "extension = '2h'\nfresh = '5m'\nidle = '20m'\nanswer = '4m'";
    let spans = sound(&set(words), &["--idle", "10m"]).spans;
    let minutes = |n: u64| Duration::from_secs(n * 60);
    assert_eq!((spans.extension, spans.fresh), (minutes(120), minutes(5)));
    assert_eq!((spans.idle, spans.answer), (minutes(10), minutes(4)), "the flag goes first");
    refused(
        &format!("{REPO}[spans]\nextension = '25h'\n"),
        &["c.toml:3: spans: extension 90000s is not from grace 600s to 86400s"],
    );
    let late = "is not more than 2 x heartbeat 5s: what hosts see would be told too late";
    refused(
        &format!("{REPO}[spans]\nanswer = '8s'\n"),
        &[
            &format!("c.toml:3: spans: answer 8s {late}"),
            "c.toml:3: note: spans: answer 8s is hardly more than the minute in which hosts look \
             at files once: who changes files and does nothing else may be taken for idle or gone",
        ],
    );
}

#[cfg(feature = "etcd")]
mod etcd {
    use super::{REPO, examine, folder, refused, sound, told};
    use std::path::Path;
    use std::time::Duration;

    use crate::config::{EtcdPlace, EtcdUser, KeyPair, StorePlace, TlsFiles};

    #[test]
    fn a_whole_file_is_a_whole_configuration() {
        let text = r#"
            name = "coord-1"
            data = "state"
            listen = "0.0.0.0:7420"
            advertise = "coord-1.example:7420"
            [etcd]
            endpoints = ["https://etcd-1:2379/", "https://[::1]:2379"]
            fleet = "blue"
            user = "molt"
            password_file = "word"
            ca = "ca.pem"
            cert = "c.pem"
            key = "c.key"
            [[repo]]
            name = "core"
            remote = "git@forge.example:core.git"
            branch = "trunk"
            [[repo]]
            name = "docs"
            remote = "../docs.git"
            [tls]
            cert = "c.pem"
            key = "c.key"
            client_ca = "ca.pem"
            [spans]
            heartbeat = "2s"
        "#;
        let folder = folder(text);
        let at = |name: &str| folder.path().join(name);
        let config = sound(&folder, &[]);
        let pair = KeyPair { cert: at("c.pem"), key: at("c.key") };
        let user = EtcdUser { name: "molt".to_owned(), password_file: at("word") };
        let etcd = StorePlace::Etcd(EtcdPlace {
            endpoints: vec!["https://etcd-1:2379".to_owned(), "https://[::1]:2379".to_owned()],
            fleet: "blue".to_owned(),
            user: Some(user),
            ca: Some(at("ca.pem")),
            identity: Some(pair.clone()),
        });
        assert_eq!(config.store, etcd);
        assert_eq!(config.tls, Some(TlsFiles { identity: pair, client_ca: Some(at("ca.pem")) }));
        assert_eq!((config.name.as_str(), config.data), ("coord-1", at("state")));
        assert_eq!(config.advertise.as_deref(), Some("coord-1.example:7420"));
        assert_eq!(config.spans.heartbeat, Duration::from_secs(2));
        assert_eq!(config.spans.session_ttl, Duration::from_secs(60));
        let remotes: Vec<&Path> = config.repos.iter().map(|repo| Path::new(&repo.remote)).collect();
        assert_eq!(remotes, [Path::new("git@forge.example:core.git"), &at("../docs.git")]);
        assert_eq!((&*config.repos[0].branch, &*config.repos[1].branch), ("trunk", "main"));
    }

    #[test]
    fn the_least_is_an_endpoint() {
        let folder = folder(&format!("{REPO}[etcd]\nendpoints = ['http://127.0.0.1:2379']\n"));
        let StorePlace::Etcd(place) = sound(&folder, &[]).store else {
            panic!("etcd is where the records are");
        };
        assert_eq!((place.fleet.as_str(), place.user, place.identity), ("main", None, None));
    }

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        let wrong = |endpoint: &str, why: &str| {
            let finding = format!(
                "c.toml:4: etcd.endpoints: `{endpoint}` is no endpoint such as https://etcd-1:2379: {why}"
            );
            refused(&format!("{REPO}[etcd]\nendpoints = ['{endpoint}']\n"), &[&finding]);
        };
        wrong("etcd-1:2379", "it begins neither with http:// nor with https://");
        wrong("https://etcd-1", "it has no host or no port");
        wrong("https://etcd-1:0", "it has no host or no port");
        wrong("https://etcd 1:2379", "it is no URL");
        wrong("https://etcd-1:2379/v3", "nothing follows the port");
        wrong(
            "https://me:secret@etcd-1:2379",
            "a user belongs in `user` and a password in `password_file`",
        );
    }

    #[test]
    fn endpoints_are_told_apart_and_alike() {
        refused(
            &format!("{REPO}[etcd]\nendpoints = []\n"),
            &["c.toml:4: etcd.endpoints: is empty"],
        );
        refused(
            &format!("{REPO}[etcd]\nendpoints = ['http://a:1', 'http://a:1/', 'https://b:1']\n"),
            &[
                "c.toml:4: etcd.endpoints: `http://a:1` is named twice",
                "c.toml:4: etcd.endpoints: some begin with https://, others with http://",
            ],
        );
        refused(
            &format!("{REPO}[etcd]\nendpoints = ['http://a:1']\nca = 'ca.pem'\n"),
            &[
                "c.toml:4: etcd.endpoints: certificates are of no use to http:// endpoints: write https://",
            ],
        );
    }

    #[test]
    fn what_belongs_together_is_there_together() {
        refused(
            &format!("{REPO}[etcd]\nendpoints = ['https://a:1']\nuser = 'x'\ncert = 'c.pem'\n"),
            &[
                "c.toml:3: etcd.password_file: missing: write password_file = \"etcd.password\"",
                "c.toml:3: etcd.key: missing: write key = \"server.key\"",
                "c.toml:3: etcd.ca: missing: write ca = \"etcd-ca.pem\"",
            ],
        );
        refused(
            &format!("{REPO}[etcd]\nendpoints = ['http://a:1']\nfleet = 'a/b'\n"),
            &["c.toml:5: etcd.fleet: `a/b` is not 1 to 64 letters, digits and . _ -"],
        );
    }

    #[test]
    fn a_password_is_not_empty() {
        refused(
            &format!(
                "{REPO}[etcd]\nendpoints = ['https://a:1']\nca = 'ca.pem'\nuser = 'x'\npassword_file = 'empty'\n"
            ),
            &["c.toml:7: etcd.password_file: empty: there is no password"],
        );
    }

    #[test]
    fn a_password_in_the_clear_is_noted() {
        let text = format!(
            "{REPO}[etcd]\nendpoints = ['http://a:1']\nuser = 'x'\npassword_file = 'word'\n"
        );
        let folder = folder(&text);
        let examined = examine(&folder, &[]);
        assert!(examined.config.is_some());
        assert_eq!(
            told(&folder, &examined),
            ["c.toml:4: note: etcd.endpoints: the password goes to http://a:1 unencrypted"]
        );
    }

    #[test]
    fn a_fleet_needs_an_address_that_others_can_call() {
        let text = format!(
            "listen = '0.0.0.0:7420'\n{REPO}[etcd]\nendpoints = ['http://a:1']\n[tls]\ncert = 'c.pem'\nkey = 'c.key'\n"
        );
        let told_by =
            "c.toml:1: listen: 0.0.0.0:7420 is no address that others can call: advertise one";
        refused(&text, &[told_by]);
        sound(&folder(&text), &["--advertise", "coord-1:7420"]);
    }
}
