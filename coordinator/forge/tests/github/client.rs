//! What is asked again, and what never is.

use std::time::Duration;

use molt_forge::github::shape::Made;
use molt_forge::github::{Cause, Limit, Operation, Route};
use serde_json::{Value, json};

use crate::script::{Reply, say, served, served_below};

fn route(operation: Operation) -> Route {
    operation.route().with("owner", "o").with("repo", "r")
}

fn comment() -> Route {
    route(Operation::COMMENT).with("issue_number", 3).body(json!({"body": "hello"}))
}

#[tokio::test]
async fn a_read_is_asked_again_and_a_change_is_not() {
    for trouble in [say(502, &json!({})), Reply::Break, say(200, &json!("half")).cut()] {
        let (client, script) = served([trouble.clone(), say(200, &json!({"id": 2}))], 0).await;
        let read = client.read::<Made>(route(Operation::REPOSITORY)).await;
        let again = !matches!(trouble, Reply::Say(200, ..));
        assert_eq!(read.is_ok(), again, "{trouble:?}");
        assert_eq!(script.asked().len(), if again { 2 } else { 1 });

        let (client, script) = served([trouble.clone()], 0).await;
        let error = client.read::<Made>(comment()).await.unwrap_err();
        assert!(error.may_have_changed(), "{error}");
        assert_eq!(script.asked().len(), 1, "{trouble:?}");
    }
}

#[tokio::test]
async fn who_looks_first_writes_once() {
    let (client, script) = served([Reply::Break], 0).await;
    let look = async || Ok(Some(Made { id: 9 }));
    assert_eq!(client.ensure(comment(), look).await, Ok(Made { id: 9 }));
    assert_eq!(script.asked().len(), 1, "it was there");

    let (client, script) = served([Reply::Break, say(201, &json!({"id": 4}))], 0).await;
    let look = async || Ok(None::<Made>);
    assert_eq!(client.ensure(comment(), look).await, Ok(Made { id: 4 }));
    let bodies: Vec<Value> = script.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(bodies, vec![json!({"body": "hello"}); 2], "it was not");

    let (client, script) = served([say(422, &json!({"message": "no"}))], 0).await;
    let look = async || -> Result<Option<Made>, _> { unreachable!("it is known") };
    let error = client.ensure(comment(), look).await.unwrap_err();
    assert_eq!(error.cause, Cause::Invalid { message: "no".to_owned() });
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn a_change_that_never_happens_is_given_up() {
    let (client, script) = served(vec![Reply::Break; 9], 0).await;
    let error = client.ensure(comment(), async || Ok(None::<Made>)).await.unwrap_err();
    assert!(error.may_have_changed());
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test]
async fn pages_are_followed_on_this_host_alone() {
    let page = |ids: Value, next: Option<&str>| {
        let link = next.map(|next| format!("<https://elsewhere.example{next}>; rel=\"next\""));
        Reply::Say(200, link.into_iter().map(|link| ("link", link)).collect(), ids.to_string())
    };
    let replies = [
        page(json!([{"id": 1}, {"id": 2}]), Some("/repositories/1/pulls?page=2&per_page=100")),
        page(json!([{"id": 3}]), None),
    ];
    let (client, script) = served(replies, 0).await;
    let pulls = route(Operation::PULLS).query("state", "open");
    let all = client.pages(pulls, |page: Vec<Made>| page).await;
    let all = all.map(|all| all.iter().map(|made| made.id).collect::<Vec<_>>());
    assert_eq!(all, Ok(vec![1, 2, 3]));
    let asked = script.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    let first = "/repos/o/r/pulls?state=open&per_page=100";
    assert_eq!(paths, [first, "/repositories/1/pulls?page=2&per_page=100"]);
    assert!(asked.iter().all(|asked| asked.bearer.starts_with("ghs_")));
}

#[tokio::test]
async fn an_enterprise_is_paged_through() {
    let root = "/api/v3";
    let link =
        format!("<https://elsewhere.example{root}/repositories/1/pulls?page=2>; rel=\"next\"");
    let first = Reply::Say(200, vec![("link", link)], json!([{"id": 1}]).to_string());
    let replies = [first.clone(), say(200, &json!([{"id": 2}])), first, say(200, &json!([]))];
    let (client, script) = served_below(root, replies, 0).await;
    let pulls = || route(Operation::PULLS);
    let all = client.pages(pulls(), |page: Vec<Made>| page).await;
    assert_eq!(all, Ok(vec![Made { id: 1 }, Made { id: 2 }]));
    let listed = client.whole::<Made>(pulls()).await.unwrap();
    assert_eq!(listed.entries, [Made { id: 1 }]);
    let asked = script.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    let (one, two) =
        ("/api/v3/repos/o/r/pulls?per_page=100", "/api/v3/repositories/1/pulls?page=2");
    assert_eq!(paths, [one, two, one, two]);
}

#[tokio::test]
async fn what_did_not_change_is_not_read_again() {
    let tagged = Reply::Say(200, vec![("etag", "\"a\"".to_owned())], json!({"id": 1}).to_string());
    let (client, script) = served([tagged, Reply::Say(304, Vec::new(), String::new())], 0).await;
    let ask = |etag| client.read_changed::<Made>(route(Operation::REPOSITORY), etag);
    let (made, etag) = ask(None).await.unwrap().unwrap();
    assert_eq!((made, etag.as_deref()), (Made { id: 1 }, Some("\"a\"")));
    assert_eq!(ask(etag.as_deref()).await, Ok(None));
    let etags: Vec<Option<String>> = script.asked().into_iter().map(|asked| asked.etag).collect();
    assert_eq!(etags, [None, Some("\"a\"".to_owned())]);
}

#[tokio::test]
async fn in_a_cooldown_nothing_is_asked() {
    let limited = Reply::Say(429, vec![("retry-after", "90".to_owned())], String::new());
    let (client, script) = served([limited], 0).await;
    for _ in 0..3 {
        let error = client.read::<Made>(route(Operation::REPOSITORY)).await.unwrap_err();
        let Cause::Cooldown { limit, wait } = error.cause else { panic!("{error}") };
        assert_eq!(limit, Limit::Secondary);
        assert!(wait <= Duration::from_secs(92) && wait > Duration::from_secs(60), "{wait:?}");
    }
    assert_eq!(script.asked().len(), 1);
    assert!(client.governor().cooldown().is_some());
}

impl Reply {
    /// The same with a body that is not whole.
    fn cut(self) -> Self {
        match self {
            Self::Say(status, head, body) => Self::Say(status, head, body[..body.len() - 1].into()),
            Self::Break => Self::Break,
        }
    }
}
