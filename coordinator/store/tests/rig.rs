//! The components that fault tests break do break, and only as they were told to.

#![expect(clippy::expect_used, reason = "a broken fixture is a failed test")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use molt_store::rig::{Cluster, Direction, Fault, Options, Proxy, RigError};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// The longest that anything here may take. Passing takes far less.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough that what could come would have come. Only a broken fault is found by it: a test
/// that ends it early passes as well.
const SILENCE: Duration = Duration::from_millis(150);

async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?}: {what}"))
}

/// A server that sends everything back, and a proxy in front of it.
async fn echo() -> (Proxy, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    (Proxy::start(address).await.expect("a proxy"), serving)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    soon("a connection", TcpStream::connect(proxy.address())).await.expect("it accepts")
}

async fn hears(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    soon(text, stream.read_exact(&mut heard)).await.expect("it answers");
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

async fn says(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("it is taken");
}

/// How the stream is when nothing may come.
async fn is_silent(stream: &mut TcpStream) {
    let mut one = [0];
    let heard = timeout(SILENCE, stream.read(&mut one)).await;
    assert!(heard.is_err(), "something came: {heard:?}");
}

async fn is_reset(stream: &mut TcpStream) {
    let mut one = [0];
    let error = soon("the reset", stream.read(&mut one)).await.expect_err("a reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn everything_passes_and_is_counted() {
    let (proxy, _serving) = echo().await;
    let mut client = connect(&proxy).await;
    says(&mut client, "hello").await;
    hears(&mut client, "hello").await;
    client.shutdown().await.expect("it can end");
    let mut rest = Vec::new();
    soon("the end", client.read_to_end(&mut rest)).await.expect("a plain end");
    assert_eq!(rest, b"");
    for direction in Direction::BOTH {
        let counts = proxy.counts(direction);
        assert_eq!((counts.passed, counts.held, counts.swallowed, counts.cut), (5, 0, 0, 0));
    }
}

#[tokio::test]
async fn what_is_held_passes_later_in_its_order() {
    let (proxy, _serving) = echo().await;
    let mut client = connect(&proxy).await;
    says(&mut client, "a").await;
    hears(&mut client, "a").await;

    proxy.set(Direction::Requests, Fault::Hold);
    says(&mut client, "b").await;
    soon("it is held", proxy.until(Direction::Requests, |counts| counts.held == 1)).await;
    says(&mut client, "c").await;
    is_silent(&mut client).await;
    assert_eq!(proxy.counts(Direction::Requests).passed, 1);
    proxy.heal();
    hears(&mut client, "bc").await;
}

#[tokio::test]
async fn one_way_is_held_while_the_other_passes() {
    let (proxy, _serving) = echo().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Answers, Fault::Hold);
    says(&mut client, "x").await;
    soon("the answer is held", proxy.until(Direction::Answers, |counts| counts.held == 1)).await;
    assert_eq!(proxy.counts(Direction::Requests).passed, 1, "the request went through");
    is_silent(&mut client).await;
    proxy.heal();
    hears(&mut client, "x").await;
}

#[tokio::test]
async fn what_is_held_arrives_though_its_sender_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = Proxy::start(listener.local_addr().expect("an address")).await.expect("a proxy");
    proxy.set(Direction::Requests, Fault::Hold);
    let mut client = connect(&proxy).await;
    says(&mut client, "late").await;
    let (mut server, _) = soon("it connects", listener.accept()).await.expect("it accepts");
    soon("it is held", proxy.until(Direction::Requests, |counts| counts.held == 4)).await;
    client.set_zero_linger().expect("a reset");
    drop(client);
    proxy.heal();
    hears(&mut server, "late").await;
}

#[tokio::test]
async fn swallowed_answers_never_come_and_end_their_connection() {
    let (proxy, _serving) = echo().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Answers, Fault::Swallow);
    says(&mut client, "x").await;
    soon("it vanishes", proxy.until(Direction::Answers, |counts| counts.swallowed == 1)).await;
    assert_eq!(proxy.counts(Direction::Requests).passed, 1, "the request went through");
    is_silent(&mut client).await;
    proxy.heal();
    is_reset(&mut client).await;
    let mut next = connect(&proxy).await;
    says(&mut next, "y").await;
    hears(&mut next, "y").await;
}

#[tokio::test]
async fn what_is_delayed_comes_not_earlier_and_in_order() {
    const BY: Duration = Duration::from_millis(200);
    let (proxy, _serving) = echo().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Requests, Fault::Delay(BY));
    let sent = Instant::now();
    says(&mut client, "a").await;
    soon("it is late", proxy.until(Direction::Requests, |counts| counts.delayed == 1)).await;
    proxy.heal();
    says(&mut client, "b").await;
    hears(&mut client, "ab").await;
    assert!(sent.elapsed() >= BY, "after {:?}", sent.elapsed());
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_what_comes() {
    let (proxy, _serving) = echo().await;
    let mut client = connect(&proxy).await;
    says(&mut client, "a").await;
    hears(&mut client, "a").await;
    proxy.set(Direction::Requests, Fault::Cut);
    is_reset(&mut client).await;
    is_reset(&mut connect(&proxy).await).await;
    assert_eq!(proxy.counts(Direction::Requests).cut, 2);
    proxy.heal();
    let mut next = connect(&proxy).await;
    says(&mut next, "b").await;
    hears(&mut next, "b").await;
}

#[tokio::test]
async fn a_dropped_proxy_leaves_no_connection() {
    let (proxy, _serving) = echo().await;
    let address = proxy.address();
    let mut client = connect(&proxy).await;
    says(&mut client, "a").await;
    hears(&mut client, "a").await;
    drop(proxy);
    let mut one = [0];
    let ended = soon("the end", client.read(&mut one)).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

/// Asks an etcd's gateway; the status and the body.
async fn ask(address: SocketAddr, path: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    Ok((status.expect("a status"), answer))
}

/// `key`, in base 64.
const KEY: &str = r#"{"key":"a2V5"}"#;
const PUT: &str = r#"{"key":"a2V5","value":"dmFsdWU="}"#;

#[tokio::test]
async fn a_single_member_keeps_its_state_over_a_kill() {
    let cluster = Cluster::start(1, Options::default()).await.expect("an etcd");
    let member = &cluster.members()[0];
    assert_eq!(cluster.leader().await.expect("a leader"), 0);
    assert_eq!(cluster.endpoints(), [member.endpoint()]);
    let (status, _) = ask(member.address(), "/v3/kv/put", PUT).await.expect("an answer");
    assert_eq!(status, 200);
    member.kill().expect("it runs");
    assert!(member.kill().is_err(), "it is dead already");
    assert!(ask(member.address(), "/v3/kv/range", KEY).await.is_err(), "nobody answers");
    member.restart().await.expect("it starts again");
    let (_, answer) = ask(member.address(), "/v3/kv/range", KEY).await.expect("an answer");
    assert!(answer.contains("dmFsdWU="), "{answer}");
}

#[tokio::test]
async fn a_frozen_leader_says_nothing_and_is_replaced() {
    let cluster = Cluster::start(3, Options::default()).await.expect("three etcds");
    let first = cluster.leader().await.expect("a leader");
    let member = &cluster.members()[first];
    member.freeze().expect("it runs");
    assert_eq!(member.leads().await, None, "frozen");
    let second = soon("another leads", cluster.leader()).await.expect("a leader");
    assert_ne!(first, second);
    member.thaw().expect("it is there");
    soon("it follows", async {
        while member.leads().await != Some(false) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_dead_member_is_done_without_and_three_are_revived_together() {
    let cluster = Cluster::start(3, Options::default()).await.expect("three etcds");
    let dead = cluster.leader().await.expect("a leader");
    cluster.members()[dead].kill().expect("it runs");
    let leads = soon("another leads", cluster.leader()).await.expect("a leader");
    assert_ne!(leads, dead);
    let address = cluster.members()[leads].address();
    let (status, _) = ask(address, "/v3/kv/put", PUT).await.expect("an answer");
    assert_eq!(status, 200);
    for member in cluster.members().iter().filter(|member| member.number() != dead) {
        member.kill().expect("it runs");
    }
    cluster.revive().await.expect("they start again");
    let address = cluster.members()[dead].address();
    let (_, answer) = ask(address, "/v3/kv/range", KEY).await.expect("an answer");
    assert!(answer.contains("dmFsdWU="), "the member that missed it learned it: {answer}");
}

#[tokio::test]
async fn a_quota_is_reached() {
    let options = Options { quota_bytes: Some(256 * 1024), ..Options::default() };
    let cluster = Cluster::start(1, options).await.expect("an etcd");
    let value = "A".repeat(64 * 1024);
    let put = format!(r#"{{"key":"a2V5","value":"{value}"}}"#);
    let address = cluster.members()[0].address();
    for _ in 0..64 {
        let (status, answer) = ask(address, "/v3/kv/put", &put).await.expect("an answer");
        if status != 200 {
            assert!(answer.contains("database space exceeded"), "{answer}");
            return;
        }
    }
    panic!("4 MiB went into 256 KiB");
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_cluster() {
    let cluster = Cluster::start(3, Options::default()).await.expect("three etcds");
    let pids: Vec<u32> =
        cluster.members().iter().filter_map(molt_store::rig::Member::pid).collect();
    let data = cluster.members()[1].data();
    assert!(data.exists());
    assert_eq!(pids.len(), 3);
    cluster.members()[1].freeze().expect("it runs");
    drop(cluster);
    for pid in pids {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a process number"));
        assert_eq!(kill(pid, None), Err(Errno::ESRCH), "{pid} is gone");
    }
    assert!(!data.exists());
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let options = Options { program: "/nowhere/etcd".into(), ..Options::default() };
    let error = Cluster::start(1, options).await.expect_err("there is none");
    assert!(matches!(error, RigError::NoProgram { .. }), "{error:?}");
    assert!(error.to_string().contains("/nowhere/etcd: set ETCD_BIN"), "{error}");
}

#[tokio::test]
async fn a_member_that_ends_by_itself_says_why() {
    let hasty = Duration::from_millis(100);
    let options = Options { heartbeat: hasty, election: hasty, ..Options::default() };
    let error = Cluster::start(1, options).await.expect_err("etcd refuses");
    assert!(matches!(&error, RigError::Ended { member: 0, .. }), "{error:?}");
    assert!(error.to_string().contains("should be at least as 5 times"), "{error}");
}
