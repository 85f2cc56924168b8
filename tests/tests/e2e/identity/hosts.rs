//! Machines among them: each has an identity of its own, which is not that of whoever works on it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::{Ground, Shows};
use crate::harness::{Host, Running, Said, skip, until};

/// A number that no user of a test's machine has.
const JOBS: &str = "48611";

impl Ground {
    /// A machine of this name, with a state folder of its own.
    fn host(&self, name: &str) -> Host {
        Host::new(self.scratch.path(), name, &format!("https://{}", self.address))
    }

    /// A verb of an agent on `host`, which starts the daemon that it misses.
    fn agent_on(&self, host: &Host, shows: &[&Shows], arguments: &[&str]) -> Said {
        let mut command = host.command(arguments);
        command.current_dir(self.path("work")).env("MOLT_AGENT_NAME", "codex");
        command.env("MOLT_AGENT_ROOT_PID", std::process::id().to_string());
        command.envs(shows.iter().flat_map(|shows| shows.iter().cloned()));
        Running::start(command, &host.logs()).end()
    }

    /// What a machine shows that has this token.
    fn host_token(&self, token: &str) -> Shows {
        let path = self.path("host-token");
        fs::write(&path, token).expect("the token's file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        vec![
            ("MOLT_COORD_CA", self.text("certs/ca.pem")),
            ("MOLT_HOST_TOKEN_FILE", self.text("host-token")),
        ]
    }

    /// How many machines the coordinator hears of.
    #[track_caller]
    fn hosts(&self) -> u64 {
        let ask = ["--repo", "main", "status", "--json"];
        let status = self.agent(&self.certificate("operator-ops"), &ask).exits(0).document();
        status["data"]["hosts"].as_u64().expect("a number")
    }
}

#[test]
fn a_daemon_that_a_verb_starts_shows_what_is_the_machine_s() {
    let ground = Ground::new();
    let (id, token) = ground.issue(&["--role", "host", "--name", "h1"]);
    let (ann, machine) = (ground.certificate("agent-ann"), ground.host_token(&token));
    let host = ground.host("h1");
    let claimed = ground.agent_on(&host, &[&ann, &machine], &["claim", "docs"]).exits(0);
    assert!(!claimed.err.contains("unkept"), "{}", claimed.err);
    until("its daemon beats", || (ground.hosts() == 1).then_some(()));
    assert!(host.daemon_pid().is_some());
    // What runs under a lock needs a session that is renewed.
    let ran = ground.agent_on(&host, &[&ann, &machine], &["lock", "run", "l", "--", "echo", "ran"]);
    assert_eq!(ran.exits(0).out, "ran\n");
    let operator = ground.certificate("operator-ops");
    ground.run(&operator, &["audit", "export", "audit.jsonl"]).exits(0);
    let audit = fs::read_to_string(ground.path("audit.jsonl")).expect("the audit");
    let seen = audit.lines().find(|line| line.contains("\"host_seen\"")).expect("the host");
    assert!(seen.contains("{\"host\":\"h1\"}") && !seen.contains("ann"), "{seen}");

    // Its stream ends with its token, and the next verb says so.
    ground.run(&operator, &["tokens", "revoke", &id, "--reason", "it leaked"]).exits(0);
    let words =
        format!("the daemon of h1 is refused: token {id} of h1 was revoked by operator ops");
    until("a verb says that the daemon is refused", || {
        let status = ground.agent_on(&host, &[&ann, &machine], &["status"]).exits(0);
        status.err.contains(&words).then_some(())
    });
}

#[test]
fn a_machine_without_an_identity_has_no_daemon_and_says_what_to_do() {
    let ground = Ground::new();
    let ann = ground.certificate("agent-ann");
    let host = ground.host("h1");
    let words = "unkept   nobody renews this session: nothing says that this is host h1: set \
                 MOLT_HOST_TOKEN_FILE, or MOLT_HOST_CERT and MOLT_HOST_KEY; an operator makes \
                 one: molt-coordinator tokens issue --role host --name h1\n";
    let claimed = ground.agent_on(&host, &[&ann], &["claim", "docs"]).exits(0);
    assert_eq!(claimed.err.matches(words).count(), 1, "{}", claimed.err);
    let document = ground.agent_on(&host, &[&ann], &["status", "--json"]).exits(0).document();
    let warned = document["warn"].to_string();
    assert!(warned.contains("nobody renews this session"), "{warned}");
    let ran = ground.agent_on(&host, &[&ann], &["lock", "run", "l", "--", "true"]).exits(122);
    assert!(ran.err.contains("nothing says that this is host h1"), "{}", ran.err);
    assert_eq!((host.daemon_pid(), ground.hosts()), (None, 0));
}

#[test]
fn a_machine_with_another_s_identity_is_told_so() {
    let ground = Ground::new();
    let ann = ground.certificate("agent-ann");
    let machine = vec![
        ("MOLT_HOST_CERT", ground.text("certs/host-h1.pem")),
        ("MOLT_HOST_KEY", ground.text("certs/host-h1.key")),
    ];
    let host = ground.host("h2");
    ground.agent_on(&host, &[&ann, &machine], &["claim", "docs"]).exits(0);
    let words = "as host h1 needs the certificate or token of host h2";
    until("a verb says that the daemon is refused", || {
        let status = ground.agent_on(&host, &[&ann, &machine], &["status"]).exits(0);
        status.err.contains(words).then_some(())
    });
    assert_eq!(ground.hosts(), 0);
}

#[test]
fn a_prover_has_a_user_for_its_jobs() {
    let ground = Ground::new();
    let (_, token) = ground.issue(&["--role", "prover", "--name", "h1"]);
    let machine = ground.host_token(&token);
    let host = ground.host("h1");
    let daemon = |more: &[&str]| {
        let mut daemon = host.command(&[&["daemon", "--jobs", "1"], more].concat());
        daemon.envs(machine.iter().cloned());
        Running::start(daemon, &host.logs())
    };
    let refused = daemon(&[]).end().exits(2).err;
    assert!(refused.contains("host h1 is a prover, and its jobs have no uid of"), "{refused}");
    let scratch = ground.scratch.path();
    if scratch.metadata().expect("the folder").uid() != 0 {
        skip("identity::hosts::a_prover_has_a_user_for_its_jobs");
        return;
    }
    let open = fs::Permissions::from_mode(0o711);
    fs::set_permissions(scratch, open).expect("the folder's mode");
    let _daemon = daemon(&["--job-user", JOBS]);
    let ann = ground.certificate("agent-ann");
    let asked = |arguments: &[&str]| ground.agent(&ann, arguments);
    let why = until("the daemon's word is taken", || {
        let said = asked(&["why", "h1"]);
        (said.code == 0 && said.out.contains("run as uid")).then_some(said.out)
    });
    for words in ["the role prover", "which no agent there has", "for main"] {
        assert!(why.contains(words), "no `{words}` in {why}");
    }
    let fleet = asked(&["--repo", "main", "status", "--fleet"]).exits(0).out;
    assert!(fleet.contains(&format!("h1  live  prover  1 job as uid {JOBS}\n")), "{fleet}");
}
