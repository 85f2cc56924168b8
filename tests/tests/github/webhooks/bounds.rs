//! What strangers and crowds cost is bounded, and nobody else waits for them.

use std::collections::BTreeSet;
use std::time::Duration;

use molt_coordinator::webhooks::Bounds;
use molt_forge::github::webhook::Dirty;

use super::data::{self, Folder, Payload};
use super::sender::{Head, Sender, deliver, post};
use super::stand::Stand;

/// More deliveries than it takes to see something change.
const MANY: u32 = 5000;

/// The head of a body of so many bytes, which nobody has signed yet.
fn unsigned(length: usize) -> Head {
    Head::of("push", length).signed(&data::sign("nobody's", b""))
}

#[tokio::test]
async fn a_slow_sender_is_given_up_at_every_point() {
    let patience = Duration::from_millis(50);
    let stand = Stand::within(&["secret"], Bounds { patience, ..Bounds::default() }).await;
    let mut silent = Sender::connect(stand.address).await;
    let mut in_its_head = Sender::connect(stand.address).await;
    in_its_head.send(b"POST /webhooks/github HTTP/1.1\r\nHost: loc").await;
    let mut in_its_body = Sender::connect(stand.address).await;
    in_its_body.head(&unsigned(100)).await;
    in_its_body.send(b"{").await;
    assert_eq!(silent.answer().await, None, "it was hung up on");
    assert_eq!(in_its_head.answer().await, None);
    let answer = in_its_body.answer().await;
    assert!(matches!(answer, None | Some(408)), "{answer:?}");
    assert_eq!(in_its_body.answer().await, None, "the rest is not waited for");
    assert_eq!(stand.dirty(), BTreeSet::new());
}

#[tokio::test]
async fn nobody_waits_for_a_slow_sender() {
    let Folder { secret, payloads, .. } = data::own();
    // They are not given up while this test lasts.
    let patience = Duration::from_secs(3600);
    let stand = Stand::within(&[&secret], Bounds { patience, ..Bounds::default() }).await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut sender = Sender::connect(stand.address).await;
        sender.head(&unsigned(100)).await;
        slow.push(sender);
    }
    for payload in &payloads {
        assert_eq!(deliver(stand.address, payload).await, Some(202), "{}", payload.name);
    }
    drop(slow);
}

#[tokio::test]
async fn a_body_is_read_no_further_than_to_its_limit() {
    let bounds = Bounds { body: 1000, ..Bounds::default() };
    let stand = Stand::within(&["secret"], bounds).await;
    let mut sender = Sender::connect(stand.address).await;
    let request = "POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nX-GitHub-Event: push\r\n";
    let signature = data::sign("secret", b"");
    let chunked = format!(
        "{request}X-Hub-Signature-256: {signature}\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
    );
    // It does not say how long it is, and it is not over: the answer does not wait for that.
    sender.send(chunked.as_bytes()).await;
    sender.send(&[b' '; 1001]).await;
    assert_eq!(sender.answer().await, Some(413));
    let body = format!("{{\"repository\": {{\"id\": 7}}{}}}", " ".repeat(975));
    assert_eq!(body.len(), 1000);
    let head = Head::of("repository", body.len()).signed(&data::sign("secret", body.as_bytes()));
    assert_eq!(post(stand.address, &head, body.as_bytes()).await, Some(202));
    assert_eq!(stand.dirty(), BTreeSet::from([Dirty::Repository { repository: 7 }]));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_are_answered_in_the_end() {
    let Folder { secret, payloads, .. } = data::own();
    let bounds = Bounds { connections: 4, ..Bounds::default() };
    let stand = Stand::within(&[&secret], bounds).await;
    let mut holders = Vec::new();
    for _ in 0..4 {
        let mut sender = Sender::connect(stand.address).await;
        sender.head(&unsigned(100).with("Expect", "100-continue")).await;
        assert_eq!(sender.answer().await, Some(100), "it has a place");
        holders.push(sender);
    }
    let mut waiting = Vec::new();
    for payload in &payloads {
        let mut sender = Sender::connect(stand.address).await;
        let head = Head::of(&payload.event, payload.body.len()).signed(&payload.signature);
        sender.head(&head.with("Connection", "close")).await;
        sender.send(&payload.body).await;
        waiting.push(sender);
    }
    assert_eq!(stand.dirty(), BTreeSet::new(), "nobody is heard before there is a place");
    drop(holders);
    for mut sender in waiting {
        assert_eq!(sender.answer().await, Some(202));
    }
    let named = payloads.iter().filter_map(Payload::names).collect();
    assert_eq!(stand.dirty(), named);
}

#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let Folder { secret, payloads, .. } = data::own();
    let payload = &payloads[0];
    let bounds = Bounds { bodies: payload.body.len() + 1000, ..Bounds::default() };
    let stand = Stand::within(&[&secret], bounds).await;
    let mut holder = Sender::connect(stand.address).await;
    holder.head(&unsigned(5000)).await;
    holder.send(&[b' '; 2000]).await;
    let mut deliveries = 0;
    // Until what the holder sent is read there is room, and after it has gone there is again.
    while deliver(stand.address, payload).await == Some(202) {
        deliveries += 1;
        assert!(deliveries < MANY, "there is room for everybody");
    }
    drop(holder);
    while deliver(stand.address, payload).await != Some(202) {
        deliveries += 1;
        assert!(deliveries < MANY, "there is no room any more");
    }
}

#[tokio::test]
async fn what_has_begun_when_it_stops_is_answered() {
    let Folder { secret, payloads, .. } = data::own();
    let stand = Stand::with(&[&secret]).await;
    let payload = &payloads[0];
    let mut idle = Sender::connect(stand.address).await;
    let mut sender = Sender::connect(stand.address).await;
    let head = Head::of(&payload.event, payload.body.len()).signed(&payload.signature);
    sender.head(&head.with("Expect", "100-continue")).await;
    assert_eq!(sender.answer().await, Some(100), "it has begun");
    stand.stop();
    assert_eq!(idle.answer().await, None, "nothing had begun there");
    sender.send(&payload.body).await;
    assert_eq!(sender.answer().await, Some(202));
    assert_eq!(sender.answer().await, None, "and it is over");
    assert_eq!(stand.dirty(), payload.names().into_iter().collect());
    let address = stand.address;
    stand.ended().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
