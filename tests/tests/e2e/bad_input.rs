//! Bad input and bad luck, in one table: the exact words, the exit code, and a
//! board and a base that are as they were.

use std::path::{Path, PathBuf};

use crate::harness::{Agent, Coordinator, Fleet, Host, Remote, Said, git, scratch, skip, write};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [scope.src]\npaths = [\"src/**\"]\n[gate.lint]\nrun = \"true\"\n\
                      [merge]\nrequired = [\"lint\", \"scope\"]\n";

/// What the inputs are tried on. Fields are dropped in this order.
struct Ground {
    agent: Agent,
    host: Host,
    fleet: Fleet,
}

/// Whether an input may leave a record behind: a change that was refused is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Board {
    Same,
    TellsOfIt,
}

/// One bad input: its name, what is done, the exit code, the words, what the board may show.
type Case = (&'static str, Box<dyn Fn(&Ground) -> Said>, i32, String, Board);

impl Ground {
    fn new() -> Self {
        let files = [("molt.toml", POLICY), ("docs/a.md", "a\n")];
        let fleet = Fleet::new(&files, &["--heartbeat", "300ms"]);
        let mut host = fleet.host("h1");
        host.serve(1);
        let agent = fleet.agent("ann", &host);
        agent.run(&["claim", "docs"]).exits(0);
        Self { agent, host, fleet }
    }

    /// What was said, with what differs from run to run replaced by its name.
    fn words(&self, said: &Said) -> String {
        let scratch = self.fleet.path("");
        let scratch = scratch.to_string_lossy();
        let text = format!("{}{}", said.out, said.err);
        let text = text.replace(scratch.trim_end_matches('/'), "{scratch}");
        let text = text.replace(self.fleet.coordinator.address(), "{coordinator}");
        let base = self.fleet.remote.base();
        text.replace(&base, "{base}")
    }

    /// Checks a policy in a repository of its own.
    fn check_policy(&self, text: &str) -> Said {
        let folder = self.fleet.path("policy");
        if !folder.exists() {
            std::fs::create_dir(&folder).expect("a folder");
            git(&folder, &["init", "--quiet"]);
        }
        write(&folder, "molt.toml", text);
        let file = folder.join("molt.toml");
        self.fleet.coordinator.run(&["policy", "check", "--file", &file.to_string_lossy()])
    }

    /// Submits a change of `files` and says how it ended, without what its head is called.
    fn submit(&self, files: &[(&str, &str)]) -> Said {
        self.agent.commit(files, "a change");
        self.submitted()
    }

    fn submitted(&self) -> Said {
        let ended = self.agent.run(&["submit", "--wait", "30s", "--json"]);
        let document = ended.document();
        let text = |field: &str| document["data"][field].as_str().unwrap_or_default().to_owned();
        let out = format!("{}\n{}\n{}\n", document["code"], text("detail"), text("remedy"));
        Said { out, err: String::new(), ..ended }
    }

    /// Serves another remote with another state, to its end.
    fn serve(&self, remote: &Path) -> Said {
        let mut serve = self.fleet.coordinator.command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.arg("--data").arg(self.fleet.path("other")).arg("--remote").arg(remote);
        said(serve)
    }
}

fn said(mut command: std::process::Command) -> Said {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        asked: format!("{command:?}"),
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// A case of the agent's command line.
fn agent(
    name: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    words: impl Into<String>,
) -> Case {
    let run = move |ground: &Ground| ground.agent.run(arguments);
    (name, Box::new(run), code, words.into(), Board::Same)
}

/// A policy that cannot be honoured; its findings.
fn policy(name: &'static str, text: &'static str, finding: &str) -> Case {
    let file = "{scratch}/policy/molt.toml";
    let words = format!("{file}:{finding}\n{file}: 1 error, 0 notes\n");
    (name, Box::new(move |ground| ground.check_policy(text)), 2, words, Board::Same)
}

fn usage(problem: &str) -> String {
    format!("error: {problem}\n\nFor more information, try '--help'.\n")
}

fn cases_of_policies() -> Vec<Case> {
    vec![
        policy("broken", "version = 1\n[scope.docs\n", "2:12: unclosed table, expected `]`"),
        policy(
            "unknown key",
            "version = 1\n[scope.docs]\npaths = [\"a/**\"]\nrisky = true\n",
            "4: scope.docs.risky: unknown key, did you mean `risk`?",
        ),
        policy(
            "invalid glob",
            "version = 1\n[scope.docs]\npaths = [\"docs/[a\"]\n",
            "3: scope.docs.paths: pattern `docs/[a` is invalid at character 6: the set is not \
             closed by `]`",
        ),
        policy(
            "a path out of the repository",
            "version = 1\n[scope.docs]\npaths = [\"../x\"]\n",
            "3: scope.docs.paths: pattern `../x` is invalid at character 1: a segment is `.` or `..`",
        ),
        policy(
            "a key that is not honoured yet",
            "version = 1\n[gate.lint]\nrun = \"x\"\npins = [\"x\"]\n",
            "4: gate.lint.pins: `pins` is not supported by this version",
        ),
        policy(
            "a later format",
            "version = 2\n",
            "1: version: format 2 is not supported by this version: it reads format 1",
        ),
    ]
}

fn cases_of_agents() -> Vec<Case> {
    let long: &'static str = "a".repeat(200).leak();
    let title: &'static str = "a".repeat(300).leak();
    vec![
        agent(
            "unknown scope",
            &["claim", "dcos"],
            3,
            "refused  no scope `dcos`: did you mean `docs`?\nwhy      molt-agent why ref_0001\n\
             next     use `docs`\n",
        ),
        agent(
            "a path outside",
            &["check", "../../etc/passwd"],
            2,
            "usage    ../../etc/passwd is not a file below {scratch}/work-ann\n",
        ),
        agent(
            "a path that leaves in its middle",
            &["check", "docs/../../x"],
            2,
            "usage    docs/../../x is not a file below {scratch}/work-ann\n",
        ),
        agent(
            "a scope that looks like a path outside",
            &["claim", "a/../b"],
            2,
            usage(
                "invalid value 'a/../b' for '[SCOPE]...': scope name `a/../b` is invalid at \
                 character 3: a component starts with a-z or 0-9, not '.'",
            ),
        ),
        agent(
            "over-long agent name",
            Box::leak(Box::new(["join", "--name", long])),
            2,
            usage(&format!(
                "invalid value '{long}' for '--name <NAME>': agent name has 200 bytes, the limit \
                 is 64"
            )),
        ),
        agent(
            "over-long scope name",
            Box::leak(Box::new(["claim", long])),
            2,
            usage(&format!(
                "invalid value '{long}' for '[SCOPE]...': scope name `{long}` is invalid at \
                 character 129: 200 bytes are more than 128"
            )),
        ),
        agent(
            "over-long title",
            Box::leak(Box::new(["task", "add", title])),
            2,
            "usage    title: 300 bytes, the limit is 200\nwhy      molt-agent why ref_0002\n\
             next     mend `title`\n",
        ),
        agent("unknown revision", &["submit", "nosuch"], 3, "refused  no commit `nosuch`\n"),
    ]
}

fn case_of(
    name: &'static str,
    run: impl Fn(&Ground) -> Said + 'static,
    (code, words, board): (i32, &str, Board),
) -> Case {
    (name, Box::new(run), code, words.to_owned(), board)
}

fn cases_of_repositories() -> Vec<Case> {
    vec![
        case_of(
            "a policy that would not read",
            |ground| ground.submit(&[("molt.toml", &format!("{POLICY}requird = []\n"))]),
            (
                7,
                "\"policy-change\"\npolicy-change: molt.toml:10: merge.requird: unknown key, \
                 did you mean `required`?\nmend what `molt-coordinator policy check` finds, submit the new head\n",
                Board::TellsOfIt,
            ),
        ),
        case_of(
            "a path that is not UTF-8, to be committed",
            stage_odd,
            (9, "refused  docs/a\u{fffd}: not UTF-8, so it is in no scope\n", Board::Same),
        ),
        case_of(
            "a path that is not UTF-8, submitted",
            |ground| {
                git(ground.agent.worktree(), &["commit", "--quiet", "--message", "odd"]);
                ground.submitted()
            },
            (
                7,
                "\"scope-escape\"\nscope-escape: 1 paths in no scope that was held, e.g. \n\
                 claim the scopes of those paths, or leave them out, then submit again\n",
                Board::TellsOfIt,
            ),
        ),
        case_of(
            "a worktree without commits",
            |ground| {
                let empty = ground.fleet.path("empty");
                std::fs::create_dir(&empty).expect("a folder");
                git(&empty, &["init", "--quiet"]);
                ground.agent.run(&["submit", "--repo-dir", &empty.to_string_lossy()])
            },
            (3, "refused  no commit `HEAD`\n", Board::Same),
        ),
        case_of(
            "no worktree at all",
            |ground| {
                let bare = ground.fleet.path("bare");
                std::fs::create_dir(&bare).expect("a folder");
                ground.agent.run(&["claim", "docs", "--repo-dir", &bare.to_string_lossy()])
            },
            (2, "usage    no git worktree at {scratch}/bare or above it\n", Board::Same),
        ),
        case_of(
            "a remote without commits",
            |ground| {
                git(&ground.fleet.path(""), &["init", "--quiet", "--bare", "E.git"]);
                ground.serve(&ground.fleet.path("E.git"))
            },
            (
                10,
                "molt-coordinator: cannot serve: the repository `main`: git mirror: {scratch}/E.git has \
                 no commits\n",
                Board::Same,
            ),
        ),
        case_of(
            "a base without a policy",
            |ground| {
                let other = ground.fleet.path("plain");
                std::fs::create_dir(&other).expect("a folder");
                let remote = Remote::new(&other, &[("a", "a\n")]);
                let served = ground.serve_apart(&remote);
                Said { err: served.err.replace(&remote.base(), "{commit}"), ..served }
            },
            (
                2,
                "molt-coordinator: cannot serve: the repository `main`: molt.toml of main at {commit}: \
                 missing: `molt-coordinator init` proposes one\n",
                Board::Same,
            ),
        ),
        case_of(
            "no daemon",
            |ground| {
                let mut check = ground.agent.command(&["check", "docs/a.md", "--state"]);
                check.arg(ground.fleet.path("nobody")).env("MOLT_DAEMON", "off");
                said(check)
            },
            (
                10,
                "failed   no snapshot of repository main on this host: the first claim starts it\n\
                 next     try again in a moment: nothing changed\n",
                Board::Same,
            ),
        ),
        case_of(
            "no coordinator",
            |ground| ground.agent.run(&["claim", "src", "--coordinator", "127.0.0.1:1"]),
            (
                10,
                "failed   the coordinator at 127.0.0.1:1 is away: tcp connect error\n\
                 next     try again in a moment: nothing changed\n",
                Board::Same,
            ),
        ),
    ]
}

impl Ground {
    /// Serves a remote with a state of its own, to its end.
    fn serve_apart(&self, remote: &Remote) -> Said {
        let mut serve = self.fleet.coordinator.command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.arg("--data").arg(self.fleet.path("apart")).arg("--remote").arg(remote.path());
        said(serve)
    }
}

/// Puts a file into the index whose name is no text. Not every file system could hold it.
fn stage_odd(ground: &Ground) -> Said {
    use std::os::unix::ffi::OsStrExt;
    let top = ground.agent.worktree();
    git(top, &["checkout", "--quiet", "--detach", "origin/main"]);
    let blob = git(top, &["hash-object", "-w", "docs/a.md"]);
    let mut entry = std::ffi::OsString::from(format!("100644,{blob},docs/a"));
    entry.push(std::ffi::OsStr::from_bytes(b"\xff"));
    let mut update = crate::harness::command("git", top);
    update.arg("-C").arg(top).args(["update-index", "--add", "--cacheinfo"]).arg(entry);
    let updated = said(update);
    assert_eq!(updated.code, 0, "{}", updated.err);
    ground.agent.run(&["check", "--staged"])
}

#[test]
fn whatever_is_wrong_is_said_exactly_and_changes_nothing() {
    let ground = Ground::new();
    let cases = [cases_of_policies(), cases_of_agents(), cases_of_repositories()];
    let mut wrong = Vec::new();
    for (name, run, code, words, board) in cases.into_iter().flatten() {
        let before = (ground.fleet.coordinator.digest(), ground.fleet.remote.base());
        let said = run(&ground);
        let after = (ground.fleet.coordinator.digest(), ground.fleet.remote.base());
        if before.1 != after.1 || (board == Board::Same) != (before.0 == after.0) {
            wrong.push(format!("{name}: board and base\n{before:?}\n{after:?}"));
        }
        let heard = (said.code, ground.words(&said));
        if heard != (code, words.clone()) {
            wrong.push(format!(
                "{name}: exit {}\n{}instead of exit {code}\n{words}",
                heard.0, heard.1
            ));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ground.host.daemon_pid().is_some(), "the daemon lived through all of it");
    ground.fleet.verify();
}

#[test]
fn a_base_whose_policy_breaks_lands_nothing_and_keeps_the_last_one_for_claims() {
    let ground = Ground::new();
    let broken = POLICY.replace("[gate.lint]", "[gat.lint]");
    ground.fleet.remote.push(&[("molt.toml", &broken)], "break the policy");
    let unreadable = ground
        .fleet
        .coordinator
        .events
        .wait("the policy is unreadable", |event| event["what"] == "policy_unreadable");
    let reason = unreadable["event"]["reason"].as_str().expect("a reason");
    assert_eq!(
        reason.split("; ").next(),
        Some("molt.toml:6: gat: unknown key, did you mean `gate`?"),
    );
    assert_eq!(ground.fleet.coordinator.status()["closed"], reason);
    ground.agent.run(&["claim", "src"]).exits(0);
    let base = ground.fleet.remote.base();
    ground.agent.commit(&[("src/b", "b\n")], "meanwhile");
    let refused = ground.agent.json(&["submit", "--wait", "30s"], 7);
    assert_eq!(refused["code"], "closed");
    assert_eq!(refused["data"]["reason"], format!("the base's policy: {reason}"));
    assert_eq!(ground.fleet.remote.base(), base);

    let mark = ground.fleet.coordinator.events.mark();
    ground.fleet.remote.push(&[("molt.toml", POLICY)], "mend the policy");
    ground
        .fleet
        .coordinator
        .events
        .wait_from(mark, "the policy is read", |event| event["what"] == "base_read");
    ground.agent.json(&["submit", "--wait", "30s"], 0);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let mut ground = Ground::new();
    let before = ground.fleet.coordinator.digest();
    ground.fleet.coordinator.stop().exits(0);
    let file = ground.fleet.coordinator.data().join("board.sqlite");
    let good = std::fs::read(&file).expect("the store");
    // SQLite keeps the layout's number, big-endian, in bytes 60 to 63 of the file.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, &newer).expect("the store");
    let refused = ground.fleet.coordinator.serve(&[]).end().exits(10);
    assert_eq!(
        ground.words(&refused),
        "molt-coordinator: cannot serve: store in {scratch}/data: {scratch}/data/board.sqlite has \
         layout 99, newer than 1, which is the newest of this program\n"
    );
    assert_eq!(std::fs::read(&file).expect("the store"), newer, "it is left alone");
    std::fs::write(&file, &good).expect("the store");
    ground.fleet.coordinator.start();
    assert_eq!(ground.fleet.coordinator.digest(), before);
}

/// A small file system at a folder, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of 2 MiB; `None` where this user may not mount.
    fn mount(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut mount = std::process::Command::new("mount");
        let mount =
            mount.args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(folder).output().ok()?;
        mount.status.success().then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(&self.0).status();
        drop(std::fs::remove_dir_all(self.0.parent().expect("a folder in the scratch folder")));
        if !std::thread::panicking() {
            assert!(unmounted.is_ok_and(|status| status.success()), "{}", self.0.display());
        }
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let Some(_disk) = SmallDisk::mount(&data) else {
        skip("bad_input::a_full_disk_refuses_and_loses_nothing");
        return;
    };
    let files = [("molt.toml", POLICY), ("docs/a.md", "a\n")];
    let mut fleet = Fleet::within(scratch, &files, &[]);
    let host = fleet.host("h1");
    let agent = fleet.agent("ann", &host);
    let granted = agent.json(&["claim", "docs"], 0);
    let fill = |name: &str| {
        let mut block = 256 << 10;
        let mut n = 0;
        while block > 0 {
            let path = data.join(format!("{name}-{n}"));
            n += 1;
            if std::fs::write(&path, vec![1_u8; block]).is_err() {
                drop(std::fs::remove_file(&path));
                block /= 2;
            }
        }
        n
    };
    let files = fill("filler");
    let before = fleet.coordinator.digest();
    let mut titles = Vec::new();
    let refused = loop {
        // What is left of the log's last page may still take a few.
        let title = format!("task {}", titles.len());
        let said = agent.run(&["task", "add", &title, "--json"]);
        if said.code != 0 {
            break said;
        }
        titles.push(title);
        assert!(titles.len() < 500, "the disk never becomes full");
    };
    let document = refused.exits(10).document();
    assert_eq!(document["code"], "unavailable", "{document}");
    if titles.is_empty() {
        assert_eq!(fleet.coordinator.digest(), before);
    }
    for n in 0..files {
        drop(std::fs::remove_file(data.join(format!("filler-{n}"))));
    }
    let title = format!("task {}", titles.len());
    crate::harness::until("there is room again", || {
        (agent.run(&["task", "add", &title]).code == 0).then_some(())
    });
    titles.push(title);
    fleet.coordinator.kill();
    fleet.coordinator.start();
    let listed = agent.json(&["task", "list"], 0);
    let listed = listed["data"]["tasks"].as_array().expect("tasks").iter();
    let shown: Vec<_> = listed.map(|task| task["title"].as_str().expect("a title")).collect();
    assert_eq!(shown, titles, "what was acknowledged, each once");
    let status = agent.json(&["status"], 0);
    assert_eq!(status["data"]["claims"][0]["fence"], granted["data"]["fence"]);
}

#[test]
fn a_coordinator_that_is_away_is_waited_for_by_those_who_wait() {
    let mut ground = Ground::new();
    let before = ground.fleet.coordinator.digest();
    ground.fleet.coordinator.kill();
    let refused = ground.agent.run(&["claim", "src"]).exits(10);
    assert!(refused.err.starts_with("failed   the coordinator at "), "{}", refused.err);
    let coordinator: &mut Coordinator = &mut ground.fleet.coordinator;
    let gone = coordinator.run(&["status"]).exits(10);
    assert!(gone.err.contains("no coordinator answers at "), "{}", gone.err);
    coordinator.start();
    assert_eq!(ground.fleet.coordinator.digest(), before);
    ground.agent.run(&["claim", "src"]).exits(0);
}
