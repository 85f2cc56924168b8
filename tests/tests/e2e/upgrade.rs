//! A fleet that is upgraded machine by machine, while it works.
//!
//! The old program is the one under test, as a process. The new one is the same
//! code with the numbers of the next version, in this process: it writes records
//! in a higher format once that is raised, and speaks the next version of the
//! wire beside the one of now. What a real next version changes besides, its
//! own tests show.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use clap::Parser as _;
use molt_coordinator::config::ServeArgs;
use molt_coordinator::serve::{Program, prepare_as};
use molt_proto::protocol::{VERSION, Versions};
use molt_proto::v1;
use molt_store::rig::{Cluster, Options};
use molt_store::{FORMAT, Format};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;

use crate::harness::{Agent, Host, Remote, Running, Said, command, programs, scratch, until};

const POLICY: &str = "version = 1\n[scope.docs]\npaths = [\"docs/**\"]\n\
                      [merge]\nrequired = [\"scope\"]\n";

/// How often the fleet is used at least between two steps of the upgrade.
const USES: usize = 3;

/// The numbers of the next version.
fn next() -> Program {
    let written = FORMAT.written + 1;
    let format = Format { written, min_reader: written, min_writer: written };
    Program { format, wire: Versions::of(VERSION + 1) }
}

/// Where a coordinator is, whichever program runs there.
struct Site {
    name: &'static str,
    address: SocketAddr,
    scratch: PathBuf,
}

impl Site {
    fn new(scratch: &Path, name: &'static str, remote: &Remote, etcd: &str) -> Self {
        // A port that nobody has: others are asked for one in the meantime at their own risk.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port");
        let text = format!(
            "name = {name:?}\ndata = {:?}\nlisten = \"{address}\"\nadvertise = \"{address}\"\n\
             [etcd]\nendpoints = [{etcd:?}]\nfleet = \"upgrade\"\n\
             [[repo]]\nname = \"main\"\nremote = {:?}\n\
             [spans]\nleader_ttl = \"4s\"\nheartbeat = \"500ms\"\n",
            scratch.join(name),
            remote.path(),
        );
        std::fs::write(scratch.join(format!("{name}.toml")), text).expect("the configuration");
        Self { name, address, scratch: scratch.to_owned() }
    }

    fn config(&self) -> PathBuf {
        self.scratch.join(format!("{}.toml", self.name))
    }

    fn old_command(&self) -> Command {
        let mut command = command(programs::coordinator(), &self.scratch);
        command.arg("serve").arg("--config").arg(self.config());
        command.arg("--ready-file").arg(self.ready()).current_dir(&self.scratch);
        command
    }

    fn ready(&self) -> PathBuf {
        self.scratch.join(format!("{}.ready", self.name))
    }

    /// The old program, once it answers.
    #[track_caller]
    fn old(&self) -> Running {
        let mut serving = Running::start(self.old_command(), &self.scratch.join("said"));
        until("the old program answers", || {
            if let Some(said) = serving.ended() {
                panic!("{} ended with {}: {}{}", self.name, said.code, said.out, said.err);
            }
            self.ready().exists().then_some(())
        });
        serving
    }

    /// The new program, once it answers.
    #[track_caller]
    fn new_program(&self) -> New {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            serve: ServeArgs,
        }
        let config = self.config().display().to_string();
        let line = Line::try_parse_from(["serve", "--config", config.as_str()]).expect("a line");
        let config = line.serve.config().expect("a configuration");
        let stop = CancellationToken::new();
        let (stopped, (tell, ready)) = (stop.clone(), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let ready = prepare_as(&config, "upgrade", next()).await.expect("it begins");
                tell.send(()).expect("somebody waits");
                ready.run(stopped).await.expect("it serves");
            });
        });
        ready.recv().expect("the new program begins");
        New { stop, thread: Some(thread) }
    }
}

/// A coordinator of the next version, in this process; it is stopped with this value.
struct New {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl New {
    #[track_caller]
    fn end(mut self) {
        self.stop.cancel();
        let thread = self.thread.take().expect("it runs");
        thread.join().expect("it ends well");
    }
}

impl Drop for New {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A fleet of two sites on one etcd, with an agent that uses it all the time.
struct Ground {
    sites: [Site; 2],
    agent: Agent,
    _host: Host,
    _etcd: Cluster,
    scratch: TempDir,
}

impl Ground {
    fn new() -> Self {
        let scratch = scratch();
        let remote = Remote::new(scratch.path(), &[("molt.toml", POLICY), ("docs/a.md", "a\n")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let etcd = runtime
            .expect("a runtime")
            .block_on(Cluster::start(1, Options::default()))
            .expect("an etcd");
        let endpoint = etcd.endpoints()[0].clone();
        let sites = ["c1", "c2"].map(|name| Site::new(scratch.path(), name, &remote, &endpoint));
        let both = format!("{},{}", sites[0].address, sites[1].address);
        let host = Host::new(scratch.path(), "h1", &both);
        let worktree = remote.clone_into(&scratch.path().join("work"));
        let agent = Agent::new("ann", &host, worktree);
        Self { sites, agent, _host: host, _etcd: etcd, scratch }
    }

    /// A verb of the operator's.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = command(programs::coordinator(), self.scratch.path());
        let both = format!("{},{}", self.sites[0].address, self.sites[1].address);
        command.args(arguments).env("MOLT_COORD_ENDPOINTS", both);
        command.current_dir(self.scratch.path());
        Running::start(command, &self.scratch.path().join("said")).end()
    }

    /// Waits until the site leads: it answers questions itself.
    #[track_caller]
    fn leads(&self, site: usize) {
        let address = self.sites[site].address;
        until("it leads", || {
            let answer = status_as(address, None);
            answer.is_ok().then_some(())
        });
    }
}

/// Asks the coordinator at `address` for its status as a client of this version of the wire.
fn status_as(address: SocketAddr, version: Option<u32>) -> Result<v1::View, tonic::Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut client = plain(address);
        let what = Some(v1::query::What::Status(v1::Empty {}));
        let query = v1::Query { what, ..v1::Query::default() };
        let mut request = tonic::Request::new(query);
        if let Some(version) = version {
            request.metadata_mut().insert("molt-protocol", MetadataValue::from(version));
        }
        client.read(request).await.map(tonic::Response::into_inner)
    })
}

fn plain(
    address: SocketAddr,
) -> v1::coordinator_client::CoordinatorClient<tonic::transport::Channel> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    v1::coordinator_client::CoordinatorClient::new(endpoint.expect("an address").connect_lazy())
}

/// What an agent does all the time, each call by a process of its own that must succeed.
fn use_it(agent: &Agent, over: &AtomicBool, uses: &AtomicUsize) -> Vec<String> {
    let mut failed = Vec::new();
    let mut step = 0;
    while !over.load(Ordering::Relaxed) {
        let title = format!("task {step}");
        let calls: [&[&str]; 3] =
            [&["claim", "docs"], &["task", "add", &title], &["release", "docs"]];
        for call in calls {
            let said = agent.run(call);
            if said.code != 0 {
                failed.push(format!("{call:?} {}: {}{}", said.code, said.out, said.err));
            }
        }
        step += 1;
        uses.fetch_add(1, Ordering::Relaxed);
    }
    failed
}

/// From the old program at both sites, of which the first leads, to the new one; who leads then.
fn upgrade(ground: &Ground, old_first: Running, used: &dyn Fn()) -> New {
    let [first, second] = &ground.sites;
    let stop = |running: Running| {
        running.signal(Signal::SIGTERM);
        running.end().exits(0);
    };
    speaks(first.address, VERSION);
    let old_second = second.old();
    used();
    // Who stands by goes first, then the leader.
    stop(old_second);
    let new_second = second.new_program();
    used();
    stop(old_first);
    ground.leads(1);
    speaks(second.address, VERSION + 1);
    used();
    let (now, then) = (FORMAT.written, next().format.written);
    let shown = ground.run(&["format", "show"]).exits(0).out;
    assert!(
        shown.contains(&format!("format   {now}: programs of {now} and later lead")),
        "{shown}"
    );
    assert!(shown.contains(&format!("leader   its program writes {then}")), "{shown}");

    // There is a way back for as long as nobody raised the format.
    let old_first = first.old();
    new_second.end();
    ground.leads(0);
    used();
    let raise = |more: &[&str]| {
        let verb = [&["format", "raise", "--reason", "all are new"], more].concat();
        ground.run(&verb).exits(0).out
    };
    let already = |at: u32| format!("already  at {at}: the leader's program writes {at}\n");
    assert_eq!(raise(&[]), already(now));
    let new_second = second.new_program();
    stop(old_first);
    ground.leads(1);
    used();

    // Somebody has forgotten one: it ends, and cannot come back.
    let old_first = first.old();
    let dry = raise(&["--dry-run"]);
    assert_eq!(dry, format!("would raise  from {now} to {then}: none below {then} leads then\n"));
    assert!(ground.run(&["format", "show"]).exits(0).out.contains(&format!("format   {now}:")));
    let raised = format!("raised   from {now} to {then}: none below {then} leads now\n");
    assert_eq!(raise(&[]), raised);
    assert_eq!(raise(&[]), already(then));
    too_old(old_first);
    too_old(Running::start(first.old_command(), &first.scratch.join("said")));
    used();
    let new_first = first.new_program();
    new_second.end();
    ground.leads(0);
    used();
    new_first
}

/// That a program ends because the records are of a newer format.
#[track_caller]
fn too_old(old: Running) {
    let ended = old.end().exits(9);
    let (now, then) = (FORMAT.written, next().format.written);
    let words = format!("program of format {now} is too old: the records are of format {then}");
    assert!(ended.err.contains(&words), "{}{}", ended.out, ended.err);
}

/// That a leader of this version of the wire answers it and the one before, and no other.
#[track_caller]
fn speaks(address: SocketAddr, version: u32) {
    for spoken in [version, version.saturating_sub(1).max(1)] {
        assert!(status_as(address, Some(spoken)).is_ok(), "{spoken} at {address}");
    }
    let newer = status_as(address, Some(version + 1)).expect_err("it is not known here");
    assert_eq!(newer.code(), tonic::Code::InvalidArgument);
    let words = format!("\"{}\" is newer than {version}: upgrade the coordinator", version + 1);
    assert!(newer.message().ends_with(&words), "{newer}");
}

#[test]
fn a_fleet_is_upgraded_while_it_works_and_an_old_program_leads_no_more() {
    let ground = Ground::new();
    let (over, uses) = (AtomicBool::new(false), AtomicUsize::new(0));
    let used = || {
        let enough = uses.load(Ordering::Relaxed) + USES;
        until("the fleet is used", || (uses.load(Ordering::Relaxed) >= enough).then_some(()));
    };
    let first = ground.sites[0].old();
    ground.leads(0);
    let failed = std::thread::scope(|scope| {
        let load = scope.spawn(|| use_it(&ground.agent, &over, &uses));
        // The load ends whatever becomes of the upgrade.
        let ended = Flag(&over);
        let leads = upgrade(&ground, first, &used);
        drop(ended);
        let failed = load.join().expect("the load ends");
        leads.end();
        failed
    });
    println!("{} uses", uses.load(Ordering::Relaxed));
    assert_eq!(failed, Vec::<String>::new(), "calls that the client's retry did not hide");
}

/// Raised when it is dropped.
struct Flag<'a>(&'a AtomicBool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
