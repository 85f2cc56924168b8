//! Refs that move together, or do not.

use molt_forge::Oid;
use molt_forge::github::{Cause, Course, Limit, Moved, Operation, RefMove};
use serde_json::json;

use crate::script::{Reply, say, served};

fn oid(digit: char) -> Oid {
    digit.to_string().repeat(40).parse().unwrap()
}

fn moves() -> [RefMove; 2] {
    [
        RefMove {
            name: "refs/heads/main".into(),
            from: Some(oid('a')),
            to: oid('b'),
            course: Course::Forward,
        },
        RefMove {
            name: "refs/molt/fence".into(),
            from: None,
            to: oid('c'),
            course: Course::Anywhere,
        },
    ]
}

#[tokio::test]
async fn each_ref_is_expected_where_it_stands() {
    let done = say(200, &json!({"data": {"updateRefs": {"clientMutationId": null}}}));
    let (client, script) = served([done], 0).await;
    assert_eq!(client.move_together("R_1", &moves()).await, Ok(Moved::All));
    let asked = &script.asked()[0];
    assert_eq!(asked.path, "/graphql");
    let updates = &asked.body["variables"]["input"]["refUpdates"];
    let zero = "0".repeat(40);
    assert_eq!(updates[0]["beforeOid"], oid('a').as_str());
    assert_eq!(updates[1]["beforeOid"], zero.as_str(), "it must not be there");
    assert_eq!((&updates[0]["force"], &updates[1]["force"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn a_refusal_moved_nothing_and_says_why() {
    let message = "reference \"refs/heads/main\" does not point to \"aaaa\"";
    let refused = json!({"data": {"updateRefs": null}, "errors": [{"message": message}]});
    let (client, _) = served([say(200, &refused)], 0).await;
    let moved = client.move_together("R_1", &moves()).await;
    assert_eq!(moved, Ok(Moved::None(message.to_owned())));
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let both = json!({"data": {"updateRefs": {}}, "errors": [{"message": "and yet"}]});
    let gave_up = "Something went wrong while executing your query. Please include `A1`";
    let gave_up = json!({"data": null, "errors": [{"message": gave_up}]});
    for unclear in [
        Reply::Break,
        say(502, &json!({})),
        say(200, &both),
        say(200, &json!({})),
        say(200, &gave_up),
    ] {
        let (client, script) = served([unclear.clone()], 0).await;
        let error = client.move_together("R_1", &moves()).await.unwrap_err();
        assert!(error.may_have_changed(), "{unclear:?}: {error}");
        assert_eq!(script.asked().len(), 1, "never sent again: {unclear:?}");
    }
}

#[tokio::test]
async fn too_much_in_graphql_is_a_cooldown_as_well() {
    let limited = json!({"data": null, "errors": [{"type": "RATE_LIMITED", "message": "wait"}]});
    let words = "You have exceeded a secondary rate limit. Please wait a few minutes.";
    let secondary = json!({"data": null, "errors": [{"message": words}]});
    // The script's clock stands there.
    let reset = (1_800_000_000_u64 + 600).to_string();
    let spent =
        || vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset.clone())];
    for (reply, limit, least) in [
        (say(200, &limited), Limit::Primary, 60),
        (Reply::Say(200, spent(), limited.to_string()), Limit::Primary, 600),
        (say(200, &secondary), Limit::Secondary, 60),
    ] {
        let (client, script) = served([reply.clone()], 0).await;
        for left in [least, least - 5] {
            let error = client.move_together("R_1", &moves()).await.unwrap_err();
            let Cause::Cooldown { limit: met, wait } = &error.cause else { panic!("{error}") };
            assert_eq!(*met, limit, "{reply:?}");
            assert!((left..least + 20).contains(&wait.as_secs()), "{wait:?} after {reply:?}");
            assert!(!error.may_have_changed(), "{error}");
        }
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test]
async fn one_alone_goes_forward_only() {
    let route = || Operation::MOVE_REF.route().branch("ref", "heads/a#b");
    let there = say(200, &json!({"ref": "refs/heads/a#b", "object": {"sha": oid('b').as_str()}}));
    let (client, script) = served([there], 0).await;
    assert_eq!(client.move_forward(route(), &oid('b')).await, Ok(Moved::All));
    let asked = &script.asked()[0];
    assert!(asked.path.ends_with("/git/refs/heads/a%23b"), "{}", asked.path);
    assert_eq!(asked.body, json!({"sha": oid('b').as_str(), "force": false}));

    let message = "Update is not a fast forward";
    let (client, _) = served([say(422, &json!({"message": message}))], 0).await;
    let moved = client.move_forward(route(), &oid('b')).await;
    assert_eq!(moved, Ok(Moved::None(message.to_owned())));
}
