//! Jobs of another user: what they may, what they may not, and when they prove something.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use molt_domain::access::Role;
use molt_domain::gate::{Class, Finding, Gate, Reader};
use nix::sys::signal::Signal;

use crate::fleet::gate;
use crate::place::{Machine, ended, git, left_out_without_root, until, until_true};

/// Two numbers that no user of a test's machine has.
const JOBS: u32 = 48_611;
const DAEMON: u32 = 48_612;

/// A machine that everybody may enter, with a repository to fetch from; its commit and tree.
fn bench() -> (Machine, String, String) {
    let machine = Machine::new();
    open(&machine.path(""), 0o711);
    let worktree = machine.agent("origin").worktree;
    std::fs::create_dir(worktree.join("src")).unwrap();
    std::fs::write(worktree.join("src/a"), "a\n").unwrap();
    git(&worktree, &["add", "."]);
    git(&worktree, &["commit", "--quiet", "-m", "second"]);
    let at = |what: &str| git(&worktree, &["rev-parse", what]);
    let (commit, tree) = (at("HEAD"), at("HEAD^{tree}"));
    machine.fleet.set_remote(worktree.display().to_string());
    (machine, commit, tree)
}

fn open(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What a gate found that looks at each of `looks`.
fn found(machine: &Machine, looks: &[String], at: (&str, &str)) -> Finding {
    let script = format!("echo 1..{}\n{}exit ${{bad:-0}}", looks.len(), looks.concat());
    let job = machine.fleet.assign(Gate { result: Reader::Tap, ..gate(&script) }, at);
    until("the result", || machine.fleet.results(job)).finding
}

/// Looks whether `command` succeeds.
fn can(what: &str, command: &str) -> String {
    format!(
        "if ({command}) >/dev/null 2>&1; then echo \"ok - {what}\"; \
         else echo \"not ok - {what}\"; bad=1; fi\n"
    )
}

fn cannot(what: &str, command: &str) -> String {
    can(what, &format!("! ({command})"))
}

/// That each of so many looks succeeded.
#[track_caller]
fn all_hold(finding: &Finding, looks: usize) {
    assert_eq!((finding.class, finding.green as usize), (Class::Passed, looks), "{finding:?}");
}

#[test]
fn a_job_has_its_tree_and_nothing_of_the_daemon_s() {
    if left_out_without_root("apart::a_job_has_its_tree_and_nothing_of_the_daemon_s") {
        return;
    }
    let (machine, commit, tree) = bench();
    let secret = machine.path("token");
    std::fs::write(&secret, "molt_secret").unwrap();
    open(&secret, 0o600);
    machine.daemon_for(JOBS);
    let state = machine.state();
    let state = state.display();
    let secret = secret.display();
    let lines = [
        can(
            "it is the job's user",
            &format!("test $(id -u) = {JOBS} && test \"$(id -G)\" = {JOBS}"),
        ),
        can("it changes, makes and removes files", "echo b >> src/a && echo c > new && rm source"),
        can("it makes folders", "mkdir -p src/deep/er && echo d > src/deep/er/file"),
        can("git reads the tree", &format!("test $(git rev-parse HEAD) = {commit} && git status")),
        can("it has a home and a target", "echo x > $HOME/x && echo x > $CARGO_TARGET_DIR/x"),
        cannot("no git object is made", "git hash-object -w src/a"),
        cannot("the repository stays where it is", "mv .git .hg"),
        cannot("its settings are not changed", "git config user.name x"),
        cannot("no secret is read", &format!("cat {secret}")),
        cannot("the state is not listed", &format!("ls {state}")),
        cannot("no run is entered", &format!("ls {state}/runs")),
        cannot("no log is read", &format!("cat {state}/logs/daemon.log")),
        cannot("nothing of the daemon's is read", &format!("ls {state}/daemon")),
        cannot("no slot is entered", &format!("ls {state}/slots")),
        cannot("no other room is entered", &format!("ls {state}/rooms/0")),
    ];
    let finding = found(&machine, &lines, (&commit, &tree));
    all_hold(&finding, lines.len());
    assert_eq!((finding.commit, finding.tree), (commit.clone(), tree.clone()));
    assert!(finding.note.contains("clean before"), "{}", finding.note);

    // The next one has the same folder, with nothing of the first but what is to be kept. The
    // first left a link where a folder is: what git writes goes into the tree all the same.
    let trap = machine.path("trap");
    std::fs::create_dir(&trap).unwrap();
    let link = can("a link", &format!("rm -rf src && ln -s {} src", trap.display()));
    all_hold(&found(&machine, &[link], (&commit, &tree)), 1);
    let lines = [
        can(
            "the tree is as it was",
            "test \"$(cat src/a)\" = a && test -e source && ! test -e new",
        ),
        can("the tree is clean", "test -z \"$(git status --porcelain)\""),
        can("home and target are kept", "test -e $HOME/x && test -e $CARGO_TARGET_DIR/x"),
    ];
    let finding = found(&machine, &lines, (&commit, &tree));
    all_hold(&finding, lines.len());
    assert_eq!(std::fs::read_dir(&trap).unwrap().count(), 0, "nothing went through the link");
    assert_eq!(finding.note, "", "what ran before is not seen");
}

#[test]
fn a_job_of_another_user_can_be_ended() {
    if left_out_without_root("apart::a_job_of_another_user_can_be_ended") {
        return;
    }
    let (machine, commit, tree) = bench();
    let daemon = machine.daemon_for(JOBS);
    let out = machine.path("out");
    std::fs::create_dir(&out).unwrap();
    open(&out, 0o777);
    let script = format!(
        "trap 'echo told >> {0}/told; exit 1' TERM; echo $$ > {0}/pid; \
                          while :; do sleep 0.02; done",
        out.display()
    );
    let job = machine.fleet.assign(gate(&script), (&commit, &tree));
    until_true("the run", || out.join("pid").exists());
    assert_eq!(out.join("pid").metadata().unwrap().uid(), JOBS);
    // The next daemon finds it again, and the user of its files with it.
    machine.end(daemon, Signal::SIGKILL);
    machine.daemon_for(JOBS);
    machine.fleet.take_back(job);
    until_true("the stop", || out.join("told").exists());
}

#[test]
fn a_daemon_with_powers_of_its_own_gives_none_of_them_to_a_job() {
    if left_out_without_root("apart::a_daemon_with_powers_of_its_own_gives_none_of_them_to_a_job")
        || !cfg!(target_os = "linux")
    {
        return;
    }
    let (machine, commit, tree) = bench();
    let place = machine.path("");
    chown(&place, Some(DAEMON), Some(DAEMON)).unwrap();
    let origin = place.join("origin");
    for path in [&origin, &origin.join(".git")] {
        chown(path, Some(DAEMON), Some(DAEMON)).unwrap();
    }
    // As the unit has it: a user that is not root, and what it needs beyond that.
    let powers = "+setuid,+setgid,+kill,+chown,+fowner,+dac_override";
    let mut daemon = as_user("setpriv", DAEMON);
    daemon.arg(format!("--inh-caps={powers}")).arg(format!("--ambient-caps={powers}"));
    let program = machine.program();
    daemon.arg("--").arg(program.get_program()).args(["daemon", "--jobs", "1"]);
    daemon.args(["--job-user", &JOBS.to_string()]).env_clear();
    daemon.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    machine.keep(&mut daemon);
    let none = "0000000000000000";
    let powers =
        |set: &str| format!("test $(awk '/^{set}:/ {{print $2}}' /proc/self/status) = {none}");
    let lines = [
        can(
            "it is the job's user",
            &format!("test $(id -u) = {JOBS} && test \"$(id -G)\" = {JOBS}"),
        ),
        can("no power is permitted", &powers("CapPrm")),
        can("no power is in effect", &powers("CapEff")),
        can("no power is passed on", &powers("CapAmb")),
        cannot("it does not become the daemon", &format!("setpriv --reuid {DAEMON} true")),
        can("the tree is its own", "echo b >> src/a && rm source"),
    ];
    let finding = found(&machine, &lines, (&commit, &tree));
    all_hold(&finding, lines.len());
    let again = found(&machine, &[can("it is back", "test -e source")], (&commit, &tree));
    all_hold(&again, 1);
}

fn as_user(program: &str, uid: u32) -> Command {
    let mut command = Command::new(program);
    command.args(["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups"]);
    command
}

#[test]
fn a_daemon_that_cannot_keep_jobs_apart_says_why() {
    if left_out_without_root("apart::a_daemon_that_cannot_keep_jobs_apart_says_why") {
        return;
    }
    let machine = Machine::new();
    open(&machine.path(""), 0o700);
    let refused = |user: &str| {
        let mut daemon = machine.program();
        daemon.args(["daemon", "--jobs", "1", "--job-user", user]);
        let said = ended(daemon.spawn().unwrap());
        assert_eq!(said.code, 2, "{said:?}");
        said.stderr
    };
    assert!(refused("nosuchuser").contains("--job-user nosuchuser: no such user"));
    assert!(refused("root").contains("root is no job user"));
    let closed = refused(&JOBS.to_string());
    let folder = machine.path("x");
    let folder = folder.parent().unwrap().display();
    assert!(closed.contains(&format!("it may not enter {folder}: give --state")), "{closed}");

    let machine = Machine::new();
    std::fs::create_dir(machine.state()).unwrap();
    chown(machine.state(), Some(DAEMON), Some(DAEMON)).unwrap();
    let program = machine.program();
    let mut daemon = as_user("setpriv", DAEMON);
    daemon.arg("--").arg(program.get_program());
    daemon.args(["daemon", "--jobs", "1", "--job-user", &JOBS.to_string()]).env_clear();
    daemon.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    daemon.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let said = ended(daemon.spawn().unwrap());
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("without CAP_SETUID CAP_SETGID CAP_KILL"), "{}", said.stderr);
}

#[test]
fn a_prover_begins_with_a_job_user_alone() {
    let machine = Machine::new();
    machine.fleet.set_role(Role::Prover);
    let said = ended(machine.program().args(["daemon", "--jobs", "1"]).spawn().unwrap());
    assert_eq!(said.code, 2, "{said:?}");
    let words = "host bench is a prover, and its jobs have no uid of their own, which `daemon \
                 --job-user` gives them: name a user that no agent is, by --job-user or \
                 MOLT_JOB_USER";
    assert!(said.stderr.contains(words), "{}", said.stderr);
    // One that runs no jobs proves nothing, and needs nobody.
    machine.daemon(0);
    let seen = || machine.fleet.board(|board| board.tables().hosts.values().next().cloned());
    until_true("the one without jobs", || seen().is_some_and(|host| host.means.jobs == 0));
}

#[test]
fn a_session_of_the_job_s_user_makes_the_host_no_prover() {
    if left_out_without_root("apart::a_session_of_the_job_s_user_makes_the_host_no_prover") {
        return;
    }
    let (machine, commit, tree) = bench();
    machine.fleet.set_role(Role::Prover);
    machine.daemon_for(JOBS);
    let shared = || machine.fleet.job_user().and_then(|user| user.shared);
    until_true("the host", || machine.fleet.job_user().is_some_and(|user| user.uid == JOBS));
    assert_eq!(shared(), None);
    let proof = machine.fleet.assign(gate("true"), (&commit, &tree));
    let proof = until("a result that counts", || machine.fleet.results(proof));
    assert_eq!(proof.finding.class, Class::Passed);

    // An agent is here, whose user is at first this test's own, and then the job's.
    let agent = machine.agent("a").with_root(machine.process_of(JOBS));
    let joined = agent.run(&["join"]);
    assert_eq!(joined.code, 0, "{joined:?}");
    until_true("root's session", || shared().is_some_and(|why| why.contains("is root's")));
    let sessions = agent.worktree.join(".git/molt/sessions");
    for file in std::fs::read_dir(sessions).unwrap() {
        chown(file.unwrap().path(), Some(JOBS), Some(JOBS)).unwrap();
    }
    let words = format!("has uid {JOBS}, and so have the jobs");
    until_true("the job's user's session", || shared().is_some_and(|why| why.contains(&words)));

    // Even one that a coordinator gives to it all the same does not run.
    let journal = machine.path("journal");
    let script = format!("echo ran > {}", journal.display());
    let job = machine.fleet.assign(gate(&script), (&commit, &tree));
    let attempt =
        || machine.fleet.board(|board| board.tables().jobs.get(&job).map(|job| job.attempt));
    until_true("the refusal", || attempt() != Some(1));
    assert!(!journal.exists(), "it ran");
    machine.end(agent.root(), Signal::SIGKILL);
    until_true("the agent to be gone", || shared().is_none());
}
