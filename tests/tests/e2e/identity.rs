//! Who may come in and what they may do: over TLS, by certificates and by tokens, with the board
//! as it was after every refusal.

mod hosts;
mod limits;
mod raw;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use molt_proto::credentials::Credentials;
use molt_proto::v1;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::harness::{Remote, Running, Said, Signal, command, git, programs, scratch, until};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n[merge]\nrequired = [\"scope\"]\n";

/// A coordinator of two repositories that answers with TLS, and the certificates of its fleet.
pub(super) struct Ground {
    address: String,
    serving: Running,
    scratch: TempDir,
}

/// What somebody shows: variables of the environment.
pub(super) type Shows = Vec<(&'static str, String)>;

impl Ground {
    #[track_caller]
    fn new() -> Self {
        Self::with(POLICY)
    }

    /// One whose repositories have this `molt.toml`.
    #[track_caller]
    pub(super) fn with(policy: &str) -> Self {
        Self::configured(policy, "")
    }

    /// The same with a configuration that ends so.
    #[track_caller]
    fn configured(policy: &str, more: &str) -> Self {
        let scratch = scratch();
        let path = |name: &str| scratch.path().join(name);
        let remote = Remote::new(scratch.path(), &[("molt.toml", policy), ("docs/a.md", "a\n")]);
        git(scratch.path(), &["clone", "--quiet", "--bare", "R.git", "other.git"]);
        remote.clone_into(&path("work"));
        let clients = ["agent=ann", "host=h1", "operator=ops", "viewer=eve", "bot=ci"];
        for folder in ["certs", "foreign"] {
            let mut certs = command(programs::coordinator(), scratch.path());
            certs.args(["certs", "dev", "--out", folder]).current_dir(scratch.path());
            certs.args(clients.iter().flat_map(|client| ["--client", client]));
            Running::start(certs, &path("said")).end().exits(0);
        }
        expired(&path("certs"));
        let toml = "name = 'c1'\ndata = 'data'\nlisten = '127.0.0.1:0'\n\
                    [[repo]]\nname = 'main'\nremote = './R.git'\n\
                    [[repo]]\nname = 'other'\nremote = './other.git'\n\
                    [tls]\ncert = 'certs/server.pem'\nkey = 'certs/server.key'\n\
                    client_ca = 'certs/both.pem'\n";
        fs::write(path("c.toml"), format!("{toml}{more}")).expect("the configuration");
        let mut serve = command(programs::coordinator(), scratch.path());
        serve.args(["serve", "--config", "c.toml", "--ready-file", "ready"]);
        serve.current_dir(scratch.path());
        let mut serving = Running::start(serve, &path("said"));
        let address = until("the coordinator answers", || {
            if let Some(said) = serving.ended() {
                panic!("the coordinator ended with {}: {}{}", said.code, said.out, said.err);
            }
            fs::read_to_string(path("ready")).ok().filter(|address| address.contains(':'))
        });
        Self { address, serving, scratch }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The certificate called `stem` of the fleet's own folder.
    pub(super) fn certificate(&self, stem: &str) -> Shows {
        vec![
            ("MOLT_COORD_CA", self.text("certs/ca.pem")),
            ("MOLT_COORD_CERT", self.text(&format!("certs/{stem}.pem"))),
            ("MOLT_COORD_KEY", self.text(&format!("certs/{stem}.key"))),
        ]
    }

    /// A token in a file of its own, as people keep it.
    fn token(&self, token: &str) -> Shows {
        let path = self.path("token");
        fs::write(&path, format!("{token}\n")).expect("the token's file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        vec![
            ("MOLT_COORD_CA", self.text("certs/ca.pem")),
            ("MOLT_COORD_TOKEN_FILE", self.text("token")),
        ]
    }

    fn dressed(&self, mut command: Command, shows: &Shows, arguments: &[&str]) -> Said {
        command.env("MOLT_COORD_ENDPOINTS", format!("https://{}", self.address));
        command.envs(shows.iter().map(|(name, value)| (name, value)));
        command.args(arguments);
        Running::start(command, &self.path("said")).end()
    }

    /// A verb of people and scripts.
    pub(super) fn run(&self, shows: &Shows, arguments: &[&str]) -> Said {
        let mut command = command(programs::coordinator(), self.scratch.path());
        command.current_dir(self.scratch.path());
        self.dressed(command, shows, arguments)
    }

    /// A verb of an agent that is at work in its worktree, with no daemon at all.
    fn agent(&self, shows: &Shows, arguments: &[&str]) -> Said {
        let mut command = command(programs::agent(), self.scratch.path());
        command.current_dir(self.path("work")).env("MOLT_DAEMON", "off");
        command.env("MOLT_HOST", "h1").env("MOLT_STATE", self.path("state"));
        command.env("MOLT_AGENT_NAME", "codex");
        command.env("MOLT_AGENT_ROOT_PID", std::process::id().to_string());
        self.dressed(command, shows, arguments)
    }

    /// Issues a token and says its id and itself.
    #[track_caller]
    fn issue(&self, arguments: &[&str]) -> (String, String) {
        let all = [&["tokens", "issue", "--json"], arguments].concat();
        let data =
            self.run(&self.certificate("operator-ops"), &all).exits(0).document()["data"].clone();
        let text = |field: &str| data[field].as_str().expect("text").to_owned();
        (text("id"), text("token"))
    }

    /// Calls as the operator, in this process.
    fn ask<T>(&self, call: impl AsyncFnOnce(molt_proto::credentials::Stub) -> T) -> T {
        self.ask_as("operator-ops", call)
    }

    /// Calls with the certificate called `stem`, in this process.
    pub(super) fn ask_as<T>(
        &self,
        stem: &str,
        call: impl AsyncFnOnce(molt_proto::credentials::Stub) -> T,
    ) -> T {
        let shows = self.certificate(stem);
        raw::block_on(async {
            let credentials = self.credentials(&shows);
            let url = format!("https://{}", self.address);
            let channel = credentials.endpoint(&url).expect("an address").connect_lazy();
            call(credentials.stub(channel)).await
        })
    }

    fn credentials(&self, shows: &Shows) -> Credentials {
        let find =
            |key: &str| shows.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        Credentials::find(find, |_| None).expect("what is shown reads")
    }

    #[track_caller]
    pub(super) fn digest(&self) -> String {
        let what = Some(v1::query::What::Digest(v1::Empty {}));
        let query = v1::Query { what, ..v1::Query::default() };
        let view = self.ask(async |mut stub| stub.read(query).await).expect("a digest");
        let Some(v1::view::View::Digest(digest)) = view.into_inner().view else {
            panic!("a digest")
        };
        digest
    }

    /// That a refusal said all of `words` and ended with `code`.
    #[track_caller]
    pub(super) fn refused(said: Said, code: i32, words: &[&str]) {
        let said = said.exits(code);
        let text = format!("{}{}", said.out, said.err);
        for word in words {
            assert!(text.contains(word), "`{}` does not say {word}: {text}", said.asked);
        }
    }
}

/// Puts into `folder` a second authority, beside the first in `both.pem`, and a certificate of it
/// that was good once.
fn expired(folder: &Path) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    };
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("an authority");
    authority.distinguished_name.push(DnType::CommonName, "the old authority");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&key).expect("an authority").pem();
    let first = fs::read_to_string(folder.join("ca.pem")).expect("the first authority");
    write("both.pem", &format!("{first}{pem}"));
    let issuer = Issuer::new(authority, key);
    let mut old = CertificateParams::new(Vec::new()).expect("a certificate");
    old.distinguished_name.push(DnType::CommonName, "ann");
    old.distinguished_name.push(DnType::OrganizationName, "agent");
    old.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let key = KeyPair::generate().expect("a key");
    write("expired.pem", &old.signed_by(&key, &issuer).expect("a certificate").pem());
    write("expired.key", &key.serialize_pem());
}

#[test]
fn who_is_not_proven_changes_nothing() {
    let ground = Ground::new();
    ground.agent(&ground.certificate("agent-ann"), &["claim", "docs"]).exits(0);
    let before = ground.digest();

    let wrong_ca = || {
        let mut shows = ground.certificate("agent-ann");
        shows[0].1 = ground.text("foreign/ca.pem");
        shows
    };
    let foreign = || {
        let mut shows = ground.certificate("agent-ann");
        (shows[1].1, shows[2].1) =
            (ground.text("foreign/agent-ann.pem"), ground.text("foreign/agent-ann.key"));
        shows
    };
    let nothing = || vec![("MOLT_COORD_CA", ground.text("certs/ca.pem"))];
    let table: [(&str, Shows, i32, &[&str]); 5] = [
        ("a wrong CA", wrong_ca(), 8, &["the coordinator's certificate is not believed"]),
        ("a foreign certificate", foreign(), 8, &["does not take this certificate"]),
        ("an old certificate", ground.certificate("expired"), 8, &["does not take", "Expired"]),
        ("nothing", nothing(), 8, &["the call shows nothing: show a client certificate or a"]),
        ("no CA", Vec::new(), 2, &["needs MOLT_COORD_CA"]),
    ];
    for (what, shows, code, words) in table {
        println!("{what}");
        Ground::refused(ground.agent(&shows, &["claim", "src"]), code, words);
        Ground::refused(ground.run(&shows, &["status"]), code, words);
    }
    assert_eq!(ground.digest(), before);
}

#[test]
fn a_status_is_of_every_repository_or_of_the_named_one() {
    let ground = Ground::new();
    let shows = ground.certificate("operator-ops");
    let lines = |arguments: &[&str]| {
        let said = ground.run(&shows, arguments).exits(0).out;
        let repos = said.lines().filter_map(|line| line.strip_prefix("repo     "));
        repos.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(lines(&["status"]), ["main", "other"]);
    assert_eq!(lines(&["status", "--repo", "other"]), ["other"]);
    let names = |arguments: &[&str]| {
        let document = ground.run(&shows, arguments).exits(0).document();
        let repos = document["data"]["repos"].as_array().expect("repositories");
        repos.iter().map(|repo| repo["repo"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["status", "--json"]), ["main", "other"]);
    assert_eq!(names(&["status", "--json", "--repo", "main"]), ["main"]);
    let nowhere = ground.run(&shows, &["status", "--repo", "nowhere"]);
    Ground::refused(nowhere, 3, &["repository `nowhere` is not coordinated here"]);
}

#[test]
fn a_token_lets_in_until_it_is_revoked() {
    let ground = Ground::new();
    let issue = ["--role", "agent", "--name", "dan", "--repo", "main", "--expires", "30d"];
    let (id, token) = ground.issue(&issue);
    let shows = ground.token(&token);
    ground.agent(&shows, &["claim", "docs"]).exits(0);
    let operator = ground.certificate("operator-ops");
    let listed = ground.run(&operator, &["tokens", "list"]).exits(0).out;
    assert!(listed.starts_with(&format!("{id}  agent    dan  main  for 29days")), "{listed}");

    let unlike = ground.token(&token.replace('a', "b").replace('1', "2"));
    let before = ground.digest();
    Ground::refused(ground.agent(&unlike, &["claim", "src"]), 8, &["the token is not known here"]);
    let elsewhere = ground.agent(&ground.token(&token), &["--repo", "other", "status"]);
    Ground::refused(elsewhere, 8, &["needs a token for the repository other"]);
    let nowhere = ground.agent(&ground.token(&token), &["--repo", "nowhere", "status"]);
    Ground::refused(nowhere, 3, &["repository `nowhere` is not coordinated here"]);
    let verb = ["tokens", "revoke", id.as_str(), "--reason", "it leaked"];
    Ground::refused(
        ground.run(&shows, &verb),
        8,
        &["`revoke-token` as agent dan needs the role operator"],
    );
    fs::set_permissions(ground.path("token"), fs::Permissions::from_mode(0o640)).expect("a mode");
    Ground::refused(ground.agent(&shows, &["status"]), 2, &["others can read it (mode 640)"]);
    assert_eq!(ground.digest(), before);

    let shows = ground.token(&token);
    ground.run(&operator, &verb).exits(0);
    let before = ground.digest();
    let words = format!("token {id} of dan was revoked by operator ops: it leaked");
    Ground::refused(ground.agent(&shows, &["claim", "src"]), 8, &[&words]);
    assert_eq!(ground.digest(), before);
    let why = ground.run(&operator, &["tokens", "revoke", &id, "--reason", "x", "--dry-run"]);
    assert!(why.exits(0).out.contains("was revoked by operator ops"));

    ground.run(&operator, &["audit", "export", "audit.jsonl"]).exits(0);
    let audit = fs::read_to_string(ground.path("audit.jsonl")).expect("the audit");
    let by_dan = audit.lines().find(|line| line.contains("\"claimed\"")).expect("the claim");
    assert!(by_dan.contains("\"name\":\"codex\",\"by\":\"dan\""), "{by_dan}");
    assert!(audit.contains("token_issued") && audit.contains("{\"operator\":\"ops\"}"), "{audit}");
    let digest = molt_domain::access::TokenHash::of(&token).to_string();
    assert!(!audit.contains(&digest), "the audit tells no digest of a secret");
    secret_is_kept(&ground, &token);
}

/// That a token is in no file but its own and the answer that showed it.
#[track_caller]
fn secret_is_kept(ground: &Ground, token: &str) {
    let kept = |path: &Path| {
        let bytes = fs::read(path).expect("a file");
        bytes.windows(token.len()).any(|window| window == token.as_bytes())
    };
    let mut found = Vec::new();
    let mut folders = vec![ground.path("data"), ground.path("said"), ground.path("state")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false if kept(&path) => found.push(path),
                false => {}
            }
        }
    }
    let [shown] = &found[..] else { panic!("a token is in {found:?}") };
    assert!(shown.starts_with(ground.path("said")), "{}", shown.display());
}

#[test]
fn roles_limit_verbs() {
    let ground = Ground::new();
    ground.agent(&ground.certificate("agent-ann"), &["claim", "docs"]).exits(0);
    let before = ground.digest();
    let as_ = |stem: &str| ground.certificate(stem);
    let revoke = ["revoke", "clm_0001", "--reason", "mine"];
    let next = ["next"];
    let table: [(&str, &[&str], &[&str]); 4] = [
        ("viewer-eve", &["claim", "src"], &["`claim` as viewer eve", "roles agent, operator"]),
        ("bot-ci", &["claim", "src"], &["`claim` as bot ci", "roles agent, operator"]),
        ("host-h1", &next, &["`next` as host h1", "roles agent, operator"]),
        ("viewer-eve", &["leave"], &["`leave` as viewer eve"]),
    ];
    for (stem, verb, words) in table {
        Ground::refused(ground.agent(&as_(stem), verb), 8, words);
    }
    for stem in ["agent-ann", "viewer-eve", "bot-ci", "host-h1"] {
        let words = format!("`revoke-claim` as {} needs the role operator", stem.replace('-', " "));
        Ground::refused(ground.run(&as_(stem), &revoke), 8, &[&words]);
        Ground::refused(ground.run(&as_(stem), &["tokens", "list"]), 8, &["the role operator"]);
    }
    for stem in ["agent-ann", "bot-ci", "host-h1"] {
        let file = format!("{stem}.jsonl");
        let export = ground.run(&as_(stem), &["audit", "export", &file]);
        Ground::refused(export, 8, &["`audit` as", "roles operator, viewer"]);
    }
    assert_eq!(ground.digest(), before);
    ground.agent(&as_("viewer-eve"), &["--repo", "main", "status"]).exits(0);
    ground.run(&as_("viewer-eve"), &["audit", "export", "eve.jsonl"]).exits(0);
}

#[test]
fn a_host_is_who_its_certificate_says() {
    let ground = Ground::new();
    ground.agent(&ground.certificate("agent-ann"), &["claim", "docs"]).exits(0);
    let before = ground.digest();
    let dead = |stem: &str, host: &str, session: &str| {
        let who = Some(v1::caller::Who::Host(host.to_owned()));
        let verb = v1::command::Verb::RootDead(v1::RootDead { session: session.to_owned() });
        let (caller, verb) = (Some(v1::Caller { who }), Some(verb));
        let credentials = ground.credentials(&ground.certificate(stem));
        let url = format!("https://{}", ground.address);
        let channel = || credentials.endpoint(&url).expect("an address").connect_lazy();
        let command = v1::Command { caller, number: 0, verb };
        raw::block_on(async { credentials.stub(channel()).act(command).await })
    };
    let query =
        v1::Query { what: Some(v1::query::What::Sessions(v1::Empty {})), ..v1::Query::default() };
    let view = ground.ask(async |mut stub| stub.read(query).await).expect("sessions").into_inner();
    let Some(v1::view::View::Sessions(sessions)) = view.view else { panic!("sessions") };
    let session = sessions.sessions.first().expect("one session").id.clone();
    let table = [
        ("host-h1", "h2", "`root-dead` as host h1 needs the certificate or token of host h2"),
        ("agent-ann", "h1", "`root-dead` as agent ann needs one of the roles host, prover"),
        ("operator-ops", "h1", "`root-dead` as operator ops needs one of the roles host, prover"),
    ];
    for (stem, host, words) in table {
        let status = dead(stem, host, &session).expect_err("a refusal");
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert_eq!(status.message(), words);
    }
    assert_eq!(ground.digest(), before);
    dead("host-h1", "h1", &session).expect("its own word");
    assert_ne!(ground.digest(), before);
}

#[test]
fn what_is_no_message_is_told_so() {
    let ground = Ground::new();
    let before = ground.digest();
    let credentials = ground.credentials(&ground.certificate("agent-ann"));
    let endpoint = credentials.endpoint(&format!("https://{}", ground.address));
    let send = |bytes: Vec<u8>| raw::act(endpoint.as_ref().expect("an address"), bytes);
    let large = send(vec![0; molt_proto::MAX_COMMAND_BYTES + 1]);
    assert_eq!(large.message(), "message: larger than 262144 bytes, the limit");
    let broken = send(vec![0xff; 64]);
    assert!(broken.message().starts_with("message: it does not read"), "{broken}");
    // A verb of a program that is newer than this one: field 999 with nothing in it.
    let newer = send(vec![0xba, 0x3e, 0x00]);
    assert_eq!(newer.message(), "verb: missing");
    for status in [large, broken, newer] {
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
        let exit = molt_proto::exit::Exit::from(&molt_proto::error::Failure::from(status));
        assert_eq!(exit.code(), 2);
    }
    assert_eq!(ground.digest(), before);
    ground.serving.signal(Signal::SIGTERM);
}

#[test]
fn certificates_are_made_once_and_told_what_for() {
    let scratch = scratch();
    let certs = |more: &[&str]| {
        let mut command = command(programs::coordinator(), scratch.path());
        command.args(["certs", "dev", "--out", "fleet", "--host", "coord-1.example"]).args(more);
        command.current_dir(scratch.path());
        Running::start(command, &scratch.path().join("said")).end()
    };
    let dry = certs(&["--dry-run"]).exits(0).out;
    assert!(dry.contains("would write") && dry.contains("coord-1.example"), "{dry}");
    assert!(!scratch.path().join("fleet").exists());
    let wrote = certs(&[]).exits(0).out;
    let key = scratch.path().join("fleet/server.key");
    assert!(wrote.contains(&format!("key = \"{}\"", key.display())), "{wrote}");
    assert!(wrote.contains("note     for a first fleet"), "{wrote}");
    let before = fs::read(&key).expect("the key");
    let again = certs(&[]).exits(2).err;
    assert!(again.contains("is there already: name another folder"), "{again}");
    assert_eq!(fs::read(&key).expect("the key"), before);
}
