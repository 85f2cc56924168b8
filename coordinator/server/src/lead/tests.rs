use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use molt_domain::policy::Spans;
use molt_store::{CampaignError, Candidate, MemoryStore, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::codegen::http::Request;
use tonic::transport::server::TcpConnectInfo;

use super::*;
use crate::fixture::{Door, Kept};

/// Gives nobody the lead while it has a reason.
struct Refusing {
    reason: Mutex<Option<&'static str>>,
    asked: AtomicUsize,
}

#[tonic::async_trait]
impl Door for Refusing {
    async fn campaign(&self) -> Result<(), CampaignError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match *self.reason.lock().unwrap() {
            Some(reason) => Err(CampaignError::Unavailable(reason.into())),
            None => Ok(()),
        }
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines_with(&self, words: &str) -> usize {
        let log = self.0.lock().unwrap();
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains(words)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is said to who calls now from an address, and shows nothing.
async fn said(seat: &Seat, from: &str) -> String {
    let remote_addr = Some(from.parse().unwrap());
    let call = Request::builder().uri("/molt.v1.Coordinator/Read");
    let call = call.extension(TcpConnectInfo { local_addr: None, remote_addr });
    let call = call.body(Body::empty()).unwrap();
    let answer = seat.switch().call(call).await.unwrap();
    Status::from_header_map(answer.headers()).unwrap().message().to_owned()
}

/// This machine, whose users need to show nothing.
const HERE: &str = "127.0.0.1:4000";

#[tokio::test(start_paused = true)]
async fn what_is_in_the_way_of_a_lead_is_told_once_and_answered() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let scratch = tempfile::tempdir().unwrap();
    let store = Arc::new(Kept {
        store: MemoryStore::leased(Duration::from_secs(15)),
        door: Refusing {
            reason: Mutex::new(Some("the database is full")),
            asked: AtomicUsize::new(0),
        },
    });
    let ground = Ground {
        candidate: Candidate::new("c1", "c1:1"),
        spans: Spans::default(),
        clock: Clock::Runtime { began: Instant::now() },
        archive: Archive::open(scratch.path()).unwrap(),
        gate: Gate::default(),
        places: Arc::default(),
        hints: Arc::default(),
    };
    let seat = Seat::default();
    let lead = Lead::new(Arc::clone(&store) as Arc<dyn Store>, ground, seat.clone());
    let stop = CancellationToken::new();
    let standing = lead.campaign().await.unwrap();
    let mut tasks = JoinSet::new();
    let ending = stop.clone();
    tasks.spawn(async move { lead.hold(standing, &ending).await.unwrap() });

    sleep(Duration::from_secs(60)).await;
    let words = said(&seat, HERE).await;
    let begin = "this coordinator cannot take the lead, and no leader is known: ";
    assert!(words.starts_with(begin) && words.ends_with(": the database is full"), "{words}");
    assert_eq!(log.lines_with("the database is full"), 1, "told once");
    let stranger = said(&seat, "192.0.2.7:4000").await;
    assert_eq!(stranger, "this coordinator stands by, and no leader is known yet");
    let asked = store.door.asked.load(Ordering::Relaxed);
    assert!((55..=70).contains(&asked), "every second: {asked}");

    *store.door.reason.lock().unwrap() = Some("the password is wrong");
    sleep(Duration::from_secs(60)).await;
    assert!(said(&seat, HERE).await.contains("the password is wrong"));
    assert_eq!(log.lines_with("the password is wrong"), 1, "another reason is told again");

    *store.door.reason.lock().unwrap() = None;
    let limit = Instant::now() + Duration::from_secs(2);
    while log.lines_with("leading") == 0 {
        assert!(Instant::now() < limit, "it leads within a wait");
        sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}
