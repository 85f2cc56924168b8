//! What no secret has signed is turned away, and leaves nothing behind.

use std::collections::BTreeSet;

use molt_forge::github::webhook::Dirty;

use super::data::{self, Payload};
use super::sender::{Head, Sender, ask, deliver, post};
use super::stand::Stand;

/// A body that is one byte longer than what GitHub sends.
const TOO_LONG: usize = (25 << 20) + 1;

/// `bytes` with one bit changed, which is somewhere else in each payload.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    bytes
}

/// The signature with one bit changed.
fn flipped_signature(signature: &str) -> String {
    let last = if signature.ends_with('0') { "1" } else { "0" };
    format!("{}{last}", &signature[..signature.len() - 1])
}

async fn is_turned_away_in_every_form(stand: &Stand, payload: &Payload) {
    let Payload { name, event, body, signature } = payload;
    let address = stand.address;
    let head = || Head::of(event, body.len());
    let sent = async |signature: &str, body: &[u8]| {
        post(address, &Head::of(event, body.len()).signed(signature), body).await
    };
    assert_eq!(sent(signature, &flipped(body)).await, Some(401), "{name}: a bit of the body");
    assert_eq!(
        sent(&flipped_signature(signature), body).await,
        Some(401),
        "{name}: of the signature"
    );
    let other = data::sign("another secret", body);
    assert_eq!(sent(&other, body).await, Some(401), "{name}: another secret");
    assert_eq!(sent(signature, &body[..body.len() - 1]).await, Some(401), "{name}: truncated");
    assert_eq!(sent(signature, b"").await, Some(401), "{name}: no body");
    // What the head alone gives away is answered before the body is there.
    let sha1 = head().with("X-Hub-Signature", "sha1=2a6f81a7cf73cfb841e25eecb23e75e927595c55");
    assert_eq!(ask(address, &sha1).await, Some(401), "{name}: sha1 only");
    let disguised = head().signed("sha1=2a6f81a7cf73cfb841e25eecb23e75e927595c55");
    assert_eq!(ask(address, &disguised).await, Some(401), "{name}: sha1 in the other's place");
    assert_eq!(ask(address, &head()).await, Some(401), "{name}: no signature");
    let half = head().signed(&signature[..40]);
    assert_eq!(ask(address, &half).await, Some(401), "{name}: half a signature");
    let two = head().signed(signature).signed(signature);
    assert_eq!(ask(address, &two).await, Some(401), "{name}: two signatures");
    let long = Head::of(event, TOO_LONG).signed(signature);
    assert_eq!(ask(address, &long).await, Some(413), "{name}: too long");
}

#[tokio::test]
async fn no_forged_payload_is_taken_in() {
    for folder in data::all() {
        let stand = Stand::with(&[&folder.secret]).await;
        for payload in &folder.payloads {
            is_turned_away_in_every_form(&stand, payload).await;
        }
        assert_eq!(stand.dirty(), BTreeSet::new());
        let last = folder.payloads.last().expect("there are payloads");
        assert_eq!(deliver(stand.address, last).await, Some(202), "it is not deaf");
    }
}

/// Sends what begins a request, has an honest delivery answered meanwhile, and ends the request; how
/// it is answered. Nothing but the honest one is taken in.
async fn answered_beside_another(
    secret: &str,
    head: &Head,
    begin: &[u8],
    rest: &[u8],
) -> Option<u16> {
    let folder = data::own();
    let stand = Stand::with(&[secret, &folder.secret]).await;
    let mut sender = Sender::connect(stand.address).await;
    sender.head(head).await;
    sender.send(begin).await;
    let honest = folder.payloads.iter().find(|payload| payload.names().is_some());
    let honest = honest.expect("most are about something");
    assert_eq!(deliver(stand.address, honest).await, Some(202), "nobody waits for it");
    let answer = sender.answer_to(rest).await;
    assert_eq!(stand.dirty(), honest.names().into_iter().collect());
    answer
}

#[tokio::test]
async fn a_body_that_is_too_long_is_turned_away_whoever_signed_it() {
    let secret = "a secret of GitHub's";
    let long = |length: usize| {
        let text =
            format!("{{\"repository\": {{\"id\": 7}}, \"more\": \"{}\"}}", "x".repeat(length));
        let signature = data::sign(secret, text.as_bytes());
        (text.into_bytes(), signature)
    };
    let (body, signature) = long(26 << 20);
    assert!(body.len() > TOO_LONG);
    let whole = Head::of("repository", body.len()).signed(&signature);
    let answer = answered_beside_another(secret, &whole, &[], &body).await;
    assert_eq!(answer, Some(413), "it says how long it is");

    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let (begin, rest) = body.split_at(20 << 20);
    let chunked = Head::in_chunks("repository").signed(&signature);
    let rest = [chunk(rest), chunk(b"")].concat();
    let answer = answered_beside_another(secret, &chunked, &chunk(begin), &rest).await;
    assert_eq!(answer, Some(413), "it does not say how long it is");

    // One that is not too long, in the same manner.
    let (body, signature) = long(1 << 20);
    let chunked = Head::in_chunks("repository").signed(&signature);
    let stand = Stand::with(&[secret]).await;
    let bytes = [chunk(&body), chunk(b"")].concat();
    assert_eq!(post(stand.address, &chunked, &bytes).await, Some(202));
    assert_eq!(stand.dirty(), BTreeSet::from([Dirty::Repository { repository: 7 }]));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_taken_in() {
    let folder = data::own();
    let stand = Stand::with(&[&folder.secret]).await;
    for Payload { name, event, body, signature } in &folder.payloads {
        let mut sender = Sender::connect(stand.address).await;
        sender.head(&Head::of(event, body.len()).signed(signature)).await;
        sender.send(&body[..body.len() / 2]).await;
        sender.cut().await;
        let answer = sender.answer().await;
        assert!(matches!(answer, None | Some(400)), "{name}: {answer:?}");
    }
    assert_eq!(stand.dirty(), BTreeSet::new());
}

#[tokio::test]
async fn a_secret_that_is_replaced_counts_until_it_is_gone() {
    let folder = data::own();
    let payload = &folder.payloads[0];
    let head = |secret: &str| {
        Head::of(&payload.event, payload.body.len()).signed(&data::sign(secret, &payload.body))
    };
    let answers = async |secrets: &[&str]| {
        let stand = Stand::with(secrets).await;
        let old = post(stand.address, &head("old"), &payload.body).await;
        (old, post(stand.address, &head("new"), &payload.body).await)
    };
    assert_eq!(answers(&["old"]).await, (Some(202), Some(401)));
    assert_eq!(answers(&["old", "new"]).await, (Some(202), Some(202)));
    assert_eq!(answers(&["new"]).await, (Some(401), Some(202)));
}

#[tokio::test]
async fn only_posts_to_the_one_place_are_looked_at() {
    let stand = Stand::with(&["secret"]).await;
    for (request, status) in [
        ("GET /webhooks/github", 405),
        ("PUT /webhooks/github", 405),
        ("POST /webhooks/gitlab", 404),
        ("POST /", 404),
    ] {
        let mut sender = Sender::connect(stand.address).await;
        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        sender.send(request.as_bytes()).await;
        assert_eq!(sender.answer().await, Some(status), "{request}");
    }
}
