//! What GitHub has signed is taken in, whatever it says, and marks the very thing.

use std::collections::BTreeSet;

use molt_forge::github::webhook::{Dirty, Reading, Secrets};
use serde_json::{Value, json};

use super::data::{self, Folder, Payload};
use super::sender::{Head, Sender, deliver, post};
use super::stand::Stand;

/// Sends a body of our own, signed with `secret`.
async fn say(stand: &Stand, event: &str, body: &[u8]) -> Option<u16> {
    let head = Head::of(event, body.len()).signed(&data::sign("secret", body));
    post(stand.address, &head, body).await
}

#[tokio::test]
async fn each_payload_marks_what_it_names() {
    for Folder { secret, payloads, .. } in data::all() {
        let stand = Stand::with(&[&secret]).await;
        for payload in &payloads {
            assert_eq!(deliver(stand.address, payload).await, Some(202), "{}", payload.name);
            let named: BTreeSet<Dirty> = payload.names().into_iter().collect();
            assert_eq!(stand.dirty(), named, "{}", payload.name);
        }
    }
}

#[test]
fn no_payload_is_of_a_shape_that_nobody_knows() {
    for Folder { secret, payloads, .. } in data::all() {
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        std::fs::write(file.path(), secret).expect("a secret");
        let secrets = Secrets::read(&[file.path().to_owned()]).expect("a secret");
        for Payload { name, event, body, signature } in &payloads {
            let signature = signature.parse().expect("a signature");
            let verified = secrets.verify(&signature, body).expect("it is signed with that");
            assert_ne!(verified.hint(event).reading, Reading::Coarse, "{name}");
        }
    }
}

#[tokio::test]
async fn the_documented_signature_is_good() {
    let folder = data::own();
    let known = folder.known_answer.expect("GitHub's example");
    assert_eq!(data::sign(&known.secret, known.payload.as_bytes()), known.signature);
    let stand = Stand::with(&[&known.secret]).await;
    let head = Head::of("ping", known.payload.len()).signed(&known.signature);
    assert_eq!(post(stand.address, &head, known.payload.as_bytes()).await, Some(202));
    // Signed, and no JSON: it may have said anything.
    assert_eq!(stand.dirty(), BTreeSet::from([Dirty::Everything]));
}

#[tokio::test]
async fn an_order_is_as_good_as_another_and_twice_as_good_as_once() {
    let folder = data::own();
    let stand = Stand::with(&[&folder.secret]).await;
    let count = folder.payloads.len();
    let deliver_all = async |order: &mut dyn Iterator<Item = usize>| {
        for n in order {
            assert_eq!(deliver(stand.address, &folder.payloads[n]).await, Some(202));
        }
        stand.dirty()
    };
    let whole = deliver_all(&mut (0..count)).await;
    assert_eq!(whole, folder.payloads.iter().filter_map(Payload::names).collect());
    assert!(whole.len() > 5, "they are about several things: {whole:?}");
    assert_eq!(deliver_all(&mut (0..count).rev()).await, whole);
    for stride in [3, 7, 11, 13] {
        // Each once where the stride and the count have no common factor, else some often.
        let mut order = (0..count).chain((0..count).map(|n| n * stride % count));
        assert_eq!(deliver_all(&mut order).await, whole, "stride {stride}");
    }
}

#[tokio::test]
async fn a_delivery_that_comes_again_marks_again() {
    let folder = data::own();
    let stand = Stand::with(&[&folder.secret]).await;
    let payload = &folder.payloads[0];
    let named: BTreeSet<Dirty> = payload.names().into_iter().collect();
    for _ in 0..2 {
        assert_eq!(deliver(stand.address, payload).await, Some(202));
        assert_eq!(deliver(stand.address, payload).await, Some(202));
        stand.marked().await;
        assert_eq!(stand.dirty(), named, "GitHub sends every one of these under one id");
    }
}

#[tokio::test]
async fn what_is_new_to_us_is_taken_in_and_does_no_harm() {
    let stand = Stand::with(&["secret"]).await;
    let body = json!({"action": "sparkled", "repository": {"id": 7}, "number": 4});
    let body = body.to_string();
    assert_eq!(say(&stand, "pull_request", body.as_bytes()).await, Some(202));
    let pull = Dirty::Pull { repository: 7, number: 4 };
    assert_eq!(stand.dirty(), BTreeSet::from([pull]), "of a new action the thing is known");
    assert_eq!(say(&stand, "sparkle", body.as_bytes()).await, Some(202));
    assert_eq!(stand.dirty(), BTreeSet::new(), "of a new event nothing is read");
}

#[tokio::test]
async fn a_payload_whose_shape_has_changed_marks_what_is_left_of_its_name() {
    let folder = data::own();
    let stand = Stand::with(&["secret"]).await;
    for payload in folder.payloads.iter().filter(|payload| payload.event.starts_with("check_")) {
        let mut body: Value = serde_json::from_slice(&payload.body).expect("GitHub's JSON");
        let repository = body["repository"]["id"].as_u64().expect("a repository");
        body[&payload.event] = json!({"head": {"sha": "elsewhere now"}});
        assert_eq!(say(&stand, &payload.event, body.to_string().as_bytes()).await, Some(202));
        let whole = Dirty::Repository { repository };
        assert_eq!(stand.dirty(), BTreeSet::from([whole]), "{}", payload.name);
        body["repository"] = json!("a/b");
        body["installation"] = json!(null);
        assert_eq!(say(&stand, &payload.event, body.to_string().as_bytes()).await, Some(202));
        assert_eq!(stand.dirty(), BTreeSet::from([Dirty::Everything]), "{}", payload.name);
    }
}

#[tokio::test]
async fn more_things_than_are_kept_apart_are_one_mark() {
    let stand = Stand::with(&["secret"]).await;
    let limit = u64::try_from(molt_coordinator::webhooks::MAX_MARKS).expect("small");
    // One connection: what counts is how much is kept.
    let mut sender = Sender::connect(stand.address).await;
    for number in 0..=limit {
        let body = json!({"repository": {"id": 7}, "number": number}).to_string();
        let signature = data::sign("secret", body.as_bytes());
        sender.head(&Head::of("pull_request", body.len()).signed(&signature)).await;
        sender.send(body.as_bytes()).await;
        assert_eq!(sender.answer().await, Some(202));
    }
    assert_eq!(stand.dirty(), BTreeSet::from([Dirty::Everything]));
}
