//! The client against sockets that misbehave.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use molt_domain::board::Kind;
use molt_domain::board::Refusal;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;

use super::*;

fn next_task(number: u64) -> v1::Command {
    v1::Command { caller: None, number, verb: Some(Verb::NextTask(v1::NextTask {})) }
}

fn status() -> v1::Query {
    v1::Query { caller: None, repo: String::new(), what: Some(What::Status(v1::Empty {})) }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Takes every connection, reads until the request is there, and hangs up.
/// Returns where, and how many came.
fn hangs_up() -> (Address, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut bytes = [0; 64];
            let read = stream.read(&mut bytes).unwrap();
            assert!(bytes[..read].starts_with(b"PRI * HTTP/2.0"), "HTTP/2 without TLS");
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, count)
}

/// Takes one connection, reads until the request is there, and is gone.
fn dies() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    });
    address
}

/// Where nobody listens.
fn nobody() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

#[test]
fn where_nobody_listens_nothing_changed() {
    let state = tempfile::tempdir().unwrap();
    let client = Client::new(vec![nobody()], state.path()).unwrap();
    for error in [
        block_on(client.act(next_task(1))).unwrap_err(),
        block_on(client.act(next_task(0))).unwrap_err(),
        block_on(client.read(status())).unwrap_err(),
        block_on(client.watch(v1::WatchRequest::default())).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.exit(), Exit::Unavailable, "{error}");
    }
}

#[test]
fn a_lost_answer_is_an_unknown_outcome() {
    let state = tempfile::tempdir().unwrap();
    let (address, count) = hangs_up();
    let client = Client::new(vec![address], state.path()).unwrap();
    let error = block_on(client.act(next_task(0))).unwrap_err();
    assert_eq!(error.exit(), Exit::Unknown, "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 1, "without a number it is never sent again");
    let error = block_on(client.act(next_task(7))).unwrap_err();
    assert_eq!(error.exit(), Exit::Unknown, "{error}");
    assert!(count.load(Ordering::SeqCst) > 2, "with a number it is");
    let error = block_on(client.read(status())).unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable, "reading changes nothing");
}

#[test]
fn a_lost_answer_stays_one_when_nobody_is_left_to_be_asked() {
    let state = tempfile::tempdir().unwrap();
    let client = Client::new(vec![dies(), nobody()], state.path()).unwrap();
    let error = block_on(client.act(next_task(7))).unwrap_err();
    assert_eq!(error.exit(), Exit::Unknown, "the first one may have done it: {error}");
}

#[test]
fn every_coordinator_of_the_list_is_asked() {
    let state = tempfile::tempdir().unwrap();
    let (address, count) = hangs_up();
    let client = Client::new(vec![nobody(), address.clone()], state.path()).unwrap();
    assert!(block_on(client.read(status())).is_err());
    assert!(count.load(Ordering::SeqCst) > 0);
    assert_eq!(client.addresses()[1], address);
}

#[test]
fn the_next_command_begins_where_this_one_would_have_gone_on() {
    let state = tempfile::tempdir().unwrap();
    let ((silent, first), (other, second)) = (hangs_up(), hangs_up());
    let list = || vec![silent.clone(), other.clone()];
    let counts = || (first.load(Ordering::SeqCst), second.load(Ordering::SeqCst));
    for expected in [(1, 0), (1, 1), (2, 1)] {
        let client = Client::new(list(), state.path()).unwrap();
        assert_eq!(block_on(client.act(next_task(0))).unwrap_err().exit(), Exit::Unknown);
        assert_eq!(counts(), expected);
    }
}

#[test]
fn a_standby_names_the_leader() {
    let state = tempfile::tempdir().unwrap();
    let client = Client::new(vec![nobody()], state.path()).unwrap();
    let (leader, count) = hangs_up();
    let standby = molt_proto::error::standby(Some(&leader.to_string()));
    assert!(client.broken(standby).is_none(), "worth another try");
    assert_eq!(block_on(client.act(next_task(0))).unwrap_err().exit(), Exit::Unknown);
    assert_eq!(count.load(Ordering::SeqCst), 1, "the leader was asked first");
}

#[test]
fn what_is_not_kept_any_more_is_no_outage() {
    let state = tempfile::tempdir().unwrap();
    let client = Client::new(vec![nobody()], state.path()).unwrap();
    let error = client.broken(molt_proto::error::compacted(812)).expect("final: no other try");
    assert!(matches!(error, Error::Compacted { oldest: 812 }), "{error:?}");
    assert_eq!((error.exit(), error.code()), (Exit::Precondition, "compacted".to_owned()));
    let answer = crate::ui::Answer::of_error("events", &error);
    assert_eq!(
        answer.text(),
        "refused  entries before 812 are not kept any more\nnext     molt-agent status\n"
    );
    assert!(answer.json().contains("\"oldest\":812"), "{}", answer.json());
}

#[test]
fn refusals_keep_their_words_and_their_id() {
    let state = tempfile::tempdir().unwrap();
    let client = Client::new(vec![nobody()], state.path()).unwrap();
    let refusal = Refusal::NothingReady { reasons: vec!["tsk_0001 needs tsk_0002".to_owned()] };
    let id = "ref_0009".parse().unwrap();
    let error = client.broken(molt_proto::error::status(&refusal, Some(id))).unwrap();
    assert!(matches!(&error, Error::Refused { id, .. } if id == "ref_0009"), "{error:?}");
    assert_eq!((error.exit(), error.to_string()), (Exit::Empty, refusal.to_string()));
    let newer = Failure::Other {
        code: Code::AlreadyExists,
        kind: Some(Kind::Held),
        message: "held in a new way".to_owned(),
    };
    let error = client.error(newer);
    assert_eq!((error.exit(), error.to_string().as_str()), (Exit::Held, "held in a new way"));
}
