//! Whoever webhooks are sent to: each is verified by the product, noted in order, and answered.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use molt_forge::github::webhook::{EVENT, SIGNATURE, Secrets};

/// A webhook as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) id: String,
    pub(super) event: String,
    /// Whether somebody who knows the secret sent it.
    pub(super) genuine: bool,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(super) fn with(secret: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("it is bound");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("secret");
        std::fs::write(&file, secret).expect("a secret");
        let secrets = Secrets::read(&[file]).expect("a secret");
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&arrived);
        let thread = std::thread::spawn(move || {
            // A connection that says nothing ends it.
            while listener.accept().is_ok_and(|(it, _)| take(it, &secrets, &noted)) {}
        });
        Self { address, arrived, thread: Some(thread) }
    }

    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.address));
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|it| it.is_ok()), "it panicked");
    }
}

/// Takes one webhook in, and notes it before it is answered. Says whether there was one.
fn take(mut stream: TcpStream, secrets: &Secrets, noted: &Mutex<Vec<Arrived>>) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).expect("it is sent") == 0 {
            return false;
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).expect("a head is text");
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned()).expect("GitHub sends it")
    };
    let mut body = vec![0; header("content-length").parse().expect("a length")];
    stream.read_exact(&mut body).expect("the body is as long as it says");
    let signature = header(SIGNATURE).parse().expect("a signature");
    let genuine = secrets.verify(&signature, &body).is_some();
    let arrived = Arrived { id: header("x-github-delivery"), event: header(EVENT), genuine };
    noted.lock().expect("nobody panics with it").push(arrived);
    let status = if genuine { "202 Accepted" } else { "401 Unauthorized" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").expect("it listens");
    true
}
