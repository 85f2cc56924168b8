//! What is opened once, wherever its repository is called what by now.

use molt_forge::github::{Cause, Proposal, Slug};
use serde_json::{Value, json};

use crate::script::{Reply, say, served};

fn place() -> Slug {
    "acme/widget".parse().unwrap()
}

const PROPOSAL: Proposal<'_> = Proposal { title: "t", body: "b", head: "molt/a", base: "main" };

fn repository(id: u64, name: &str) -> Value {
    json!({"id": id, "full_name": name})
}

fn pull(number: u64, of: u64) -> Value {
    let end =
        |branch: &str| json!({"ref": branch, "sha": "a", "repo": repository(of, "acme/widget")});
    let (head, base) = (end("molt/a"), end("main"));
    json!({"number": number, "state": "open", "title": "t", "head": head, "base": base})
}

#[tokio::test]
async fn one_that_a_list_had_not_yet_is_found_when_it_is_there_already() {
    let there = say(422, &json!({"message": "A pull request already exists for acme:molt/a."}));
    let (client, script) = served([there.clone(), say(200, &json!([pull(4, 9)]))], 0).await;
    let opened = client.open_pull(&place(), PROPOSAL, |_| true).await.unwrap();
    assert_eq!(opened.number, 4);
    let asked = script.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].path.contains("head=acme%3Amolt%2Fa"), "{}", asked[1].path);

    // Somebody else's is none of ours.
    let (client, script) = served([there, say(200, &json!([pull(4, 9)]))], 0).await;
    let error = client.open_pull(&place(), PROPOSAL, |_| false).await.unwrap_err();
    let Cause::Invalid { message } = &error.cause else { panic!("{error}") };
    assert!(message.contains("already exists"), "{message}");
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn one_that_was_opened_in_another_repository_is_none() {
    let (client, _) = served([say(201, &pull(1, 7))], 0).await;
    client.expect(&place(), 9);
    let error = client.open_pull(&place(), PROPOSAL, |_| true).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Replaced { id: 7, expected: 9, .. }), "{error}");
}

#[tokio::test]
async fn after_a_transfer_a_branch_is_looked_for_at_its_new_owner() {
    let moved = |script: &str| {
        let to = format!("{script}/repositories/9/pulls");
        Reply::Say(301, vec![("location", to)], "{}".to_owned())
    };
    let (client, script) = served([], 0).await;
    script.say_all([
        moved(&script.address()),
        say(200, &repository(9, "globex/widget")),
        say(200, &json!([])),
        say(200, &json!([pull(4, 9)])),
    ]);
    let found = client.pulls_from(&place(), "molt/a").await.unwrap();
    assert_eq!(found.entries.len(), 1, "{found:?}");
    let asked = script.asked();
    let last = "/repos/globex/widget/pulls?state=all&head=globex%3Amolt%2Fa&per_page=100";
    assert_eq!(asked.last().unwrap().path, last);
    assert_eq!(asked.len(), 4);
    assert!(client.pulls_from(&place(), "molt/a").await.is_err(), "the script's last word");
    assert_eq!(script.asked()[4].path, last, "and there from then on");
}
