//! How pull requests and their cars are stored.

use molt_domain::board::{Change, Event};
use molt_domain::id::SessionId;
use molt_domain::pull::{MAX_ANSWERS, MAX_LOOKS, MAX_SEEN, PullKey, UserId};
use molt_domain::train::{Car, Proposer};

use super::desk::{Forge, PAT, comment, entry, head, repo};

const CAR: &str = r#"{"id":"car_0007","repo":"molt","session":"ses_0004","agent":"ann",
    "head":"1111111111111111111111111111111111111111","title":"t","claims":[],"parts":[],
    "announced":"all","submitted":5,"proposed":6,"state":{"is":"queued"}}"#;

const SUBMITTED: &str = concat!(
    r#"{"what":"submitted","car":"car_0007","repo":"molt","session":"ses_0004","#,
    r#""name":"ann","head":"11","title":"t","scopes":[]}"#
);

#[test]
fn a_car_of_before_reads_as_a_sessions() {
    let car: Car = serde_json::from_str(CAR).unwrap();
    assert_eq!(car.proposer, Proposer::Session(SessionId::from_counter(4)));
    let told = serde_json::to_value(&car).unwrap();
    assert_eq!(told, serde_json::from_str::<serde_json::Value>(CAR).unwrap());
    let of_pull = CAR.replace(r#""session":"ses_0004""#, r#""pull":17"#);
    let car: Car = serde_json::from_str(&of_pull).unwrap();
    assert_eq!(car.proposer, Proposer::Pull(17));
    assert_eq!(serde_json::to_value(&car).unwrap()["pull"], 17);
    serde_json::from_str::<Car>(&CAR.replace(r#""session":"ses_0004","#, "")).unwrap_err();
}

#[test]
fn an_entry_of_before_keeps_its_very_bytes() {
    let event: Event = serde_json::from_str(SUBMITTED).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), SUBMITTED);
    assert_eq!((event.format(), event.pull()), (1, None));
    let of_pull = SUBMITTED.replace(r#""session":"ses_0004""#, r#""pull":17"#);
    let event: Event = serde_json::from_str(&of_pull).unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), of_pull);
    assert_eq!((event.format(), event.pull()), (3, Some((&repo(), 17))));
}

#[test]
fn a_record_reads_back_under_its_key_and_none_is_without_a_head() {
    let mut forge = Forge::new();
    forge.see(17, &head(1), 10);
    forge.hear(17, comment(101, 20, "@molt land\n\n@molt approve head I read it\n\n@molt why"));
    forge.enter(17, entry(&head(1), Some(101))).unwrap();
    let records = forge.world.board.records();
    for key in ["pull/molt/17", "desk/molt"] {
        let change = records.iter().find(|change| change.key() == key).unwrap();
        let read = Change::read(key, &change.value().unwrap()).unwrap();
        assert_eq!(read, *change);
    }
    let bare = serde_json::json!({"repo": "molt", "number": 17, "opened_by": 13, "seen": []});
    let read = Change::read("pull/molt/17", bare.to_string().as_bytes()).unwrap_err();
    assert!(std::error::Error::source(&read).unwrap().to_string().contains("no head was seen"));
    for key in ["molt", "molt/", "molt/x", "/17"] {
        PullKey::try_from(key.to_owned()).unwrap_err();
    }
    assert_eq!(PullKey::try_from("a/b/17".to_owned()).unwrap().number, 17);
}

#[test]
fn no_record_grows_beyond_its_bound() {
    let mut forge = Forge::new();
    for at in 0..40 {
        forge.see(17, &head(1 + (at % 5) as u8), at);
    }
    let reason = "\"".repeat(990) + "abc";
    let mut id = 100;
    for round in 0..12 {
        let login = "\u{1}".repeat(400);
        for text in [format!("@molt approve head {reason}"), "@molt land head=\u{1}".to_owned()] {
            id += 1;
            let by = UserId(PAT.0 + round);
            let heard =
                molt_domain::pull::Heard { by, login: login.clone(), ..comment(id, 90, &text) };
            assert_ne!(forge.hear(17, heard), [], "{text}");
        }
    }
    let known = forge.known(17);
    assert_eq!(known.seen.len(), MAX_SEEN);
    assert_eq!((known.looked.len(), known.answers.len()), (MAX_LOOKS, MAX_ANSWERS));
    let bytes = serde_json::to_vec(known).unwrap().len();
    assert!(bytes < 32 * 1024, "{bytes} bytes");
}
