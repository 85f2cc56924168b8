//! Webhooks on their way: signed, numbered, sent one after another, and gone wrong as planned.
//!
//! As GitHub does, nothing is sent again by itself. Not here: what they say, which is `events`'s.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::bug::Bug;
use super::events::Event;
use crate::webhooks::data::sign;

/// For how long GitHub waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long a test waits until everything is answered.
const SETTLED: Duration = Duration::from_secs(60);

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It isn't sent.
    Lost,
    /// It is sent twice, under one id.
    Twice,
    /// It is sent after the one that comes after it.
    Swapped,
    /// It is sent once the test lets the late ones go.
    Late,
    /// Before it, somebody who doesn't know the secret sends the same.
    Forged,
}

/// A delivery, and what the answers to it were.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// GitHub's id of it.
    pub(crate) id: String,
    pub(crate) event: &'static str,
    pub(crate) action: Option<String>,
    pub(crate) body: Value,
    /// The status that each sending of it had; none where nobody answered.
    pub(crate) answers: Vec<Option<u16>>,
}

impl Delivery {
    /// `pull_request.opened`, `push`.
    pub(crate) fn name(&self) -> String {
        let action = self.action.as_ref().map(|action| format!(".{action}"));
        format!("{}{}", self.event, action.unwrap_or_default())
    }
}

/// One sending of a delivery.
#[derive(Clone)]
struct Parcel {
    /// Which delivery, in the order of the log.
    index: usize,
    head: String,
    body: Arc<[u8]>,
}

#[derive(Default)]
struct Log {
    deliveries: Vec<Delivery>,
    /// Parcels that were not answered yet.
    waiting: usize,
}

type Shared = Arc<(Mutex<Log>, Condvar)>;

/// What was delivered so far, for whoever waits for it without holding the world.
#[derive(Clone)]
pub(super) struct Record(Shared);

impl Record {
    /// All deliveries, once everything that is on its way was answered.
    pub(super) fn settled(&self) -> Vec<Delivery> {
        let log = self.0.0.lock().expect("no delivery panics");
        let settled = self.0.1.wait_timeout_while(log, SETTLED, |log| log.waiting > 0);
        let (log, waited) = settled.expect("no delivery panics");
        assert!(!waited.timed_out(), "{} deliveries are not answered", log.waiting);
        log.deliveries.clone()
    }
}

/// Where webhooks go.
pub(super) struct Hooks {
    address: SocketAddr,
    path: String,
    secret: String,
    log: Shared,
    outgoing: Option<Sender<Parcel>>,
    thread: Option<JoinHandle<()>>,
    /// Fates by event and how many of it are still to come until then.
    plans: Vec<(&'static str, u64, Fate)>,
    late: Vec<Parcel>,
    swapped: Option<Parcel>,
}

impl Hooks {
    pub(super) fn new(address: SocketAddr, path: &str, secret: &str) -> Self {
        let (outgoing, incoming) = channel();
        let log = Shared::default();
        let sent = Arc::clone(&log);
        let thread = std::thread::spawn(move || send_all(address, &incoming, &sent));
        Self {
            address,
            path: path.to_owned(),
            secret: secret.to_owned(),
            log,
            outgoing: Some(outgoing),
            thread: Some(thread),
            plans: Vec::new(),
            late: Vec::new(),
            swapped: None,
        }
    }

    pub(super) fn record(&self) -> Record {
        Record(Arc::clone(&self.log))
    }

    pub(super) fn plan(&mut self, event: &'static str, nth: u64, fate: Fate) {
        assert!(nth > 0, "deliveries are counted from 1");
        self.plans.push((event, nth, fate));
    }

    /// Sends what happened, as it was planned.
    pub(super) fn post(&mut self, event: Event, bug: Option<Bug>) {
        let fate = if bug == Some(Bug::SilentHooks) { Some(Fate::Lost) } else { self.fate(&event) };
        let secret = if bug == Some(Bug::WrongSignature) { "another" } else { &self.secret };
        let parcel = self.parcel(&event, secret);
        let forged = (fate == Some(Fate::Forged)).then(|| self.parcel(&event, "nobody's"));
        self.log.0.lock().expect("no delivery panics").deliveries.push(Delivery {
            id: guid(parcel.index),
            event: event.name,
            action: event.action,
            body: event.body,
            answers: Vec::new(),
        });
        match fate {
            Some(Fate::Lost) => {}
            Some(Fate::Late) => self.late.push(parcel),
            Some(Fate::Swapped) => self.swapped = Some(parcel),
            Some(Fate::Twice) => self.queue([parcel.clone(), parcel]),
            Some(Fate::Forged) | None => {
                let held = self.swapped.take();
                self.queue(forged.into_iter().chain([parcel]).chain(held));
            }
        }
    }

    /// Sends the late ones.
    pub(super) fn release(&mut self) {
        let late = std::mem::take(&mut self.late);
        let held = self.swapped.take();
        self.queue(late.into_iter().chain(held));
    }

    /// Sends a delivery again, under the id that it had.
    pub(super) fn redeliver(&mut self, id: &str) {
        let again = {
            let log = self.log.0.lock().expect("no delivery panics");
            let index = log.deliveries.iter().position(|delivery| delivery.id == id);
            let index = index.expect("there was such a delivery");
            let Delivery { event, action, body, .. } = log.deliveries[index].clone();
            (index, Event { name: event, action, body })
        };
        let parcel = self.numbered(again.0, &again.1, &self.secret);
        self.queue([parcel]);
    }

    fn fate(&mut self, event: &Event) -> Option<Fate> {
        for (_, left, _) in self.plans.iter_mut().filter(|(name, ..)| *name == event.name) {
            *left -= 1;
        }
        let due = self.plans.iter().position(|(_, left, _)| *left == 0)?;
        Some(self.plans.remove(due).2)
    }

    fn parcel(&self, event: &Event, secret: &str) -> Parcel {
        let index = self.log.0.lock().expect("no delivery panics").deliveries.len();
        self.numbered(index, event, secret)
    }

    fn numbered(&self, index: usize, event: &Event, secret: &str) -> Parcel {
        let body = event.body.to_string().into_bytes();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nUser-Agent: GitHub-Hookshot/sim\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nX-GitHub-Event: {}\r\n\
             X-GitHub-Delivery: {}\r\nX-GitHub-Hook-ID: 1\r\n\
             X-GitHub-Hook-Installation-Target-Type: integration\r\n\
             X-Hub-Signature-256: {}\r\n\r\n",
            self.path,
            self.address,
            body.len(),
            event.name,
            guid(index),
            sign(secret, &body)
        );
        Parcel { index, head, body: body.into() }
    }

    fn queue(&self, parcels: impl IntoIterator<Item = Parcel>) {
        let outgoing = self.outgoing.as_ref().expect("it is there until this goes");
        for parcel in parcels {
            self.log.0.lock().expect("no delivery panics").waiting += 1;
            outgoing.send(parcel).expect("the sender's thread is there until this goes");
        }
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.outgoing = None;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || ended.is_some_and(|it| it.is_ok()),
            "a delivery panicked"
        );
    }
}

/// An id as GitHub's are, which the index alone decides.
fn guid(index: usize) -> String {
    format!("{index:08x}-cc78-11e3-81ab-4c9367dc0958")
}

fn send_all(address: SocketAddr, incoming: &Receiver<Parcel>, log: &Shared) {
    for parcel in incoming {
        let answer = send(address, &parcel).ok().flatten();
        let mut log_of = log.0.lock().expect("no delivery panics");
        log_of.deliveries[parcel.index].answers.push(answer);
        log_of.waiting -= 1;
        log.1.notify_all();
    }
}

/// Sends a parcel; the status of the answer, if there is one.
fn send(address: SocketAddr, parcel: &Parcel) -> std::io::Result<Option<u16>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(parcel.head.as_bytes())?;
    stream.write_all(&parcel.body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()))
}
