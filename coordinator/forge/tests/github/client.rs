//! What is asked again, and what never is.

use std::time::Duration;

use molt_forge::github::shape::Made;
use molt_forge::github::{Cause, Client, Credentials, Limit, Operation, Route, Transport};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

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
async fn what_is_read_for_each_landing_is_asked_each_time_and_had_from_before() {
    let tagged = |tag: &str, id: u64| {
        let head = vec![("etag", format!("\"{tag}\""))];
        Reply::Say(200, head, json!({"id": id}).to_string())
    };
    let same = Reply::Say(304, Vec::new(), String::new());
    let (client, script) = served([tagged("a", 1), same.clone(), tagged("b", 2), same], 0).await;
    for expected in [1, 1, 2, 2] {
        let made: Made = client.read(route(Operation::REPOSITORY)).await.unwrap();
        assert_eq!(made, Made { id: expected });
    }
    let etags: Vec<Option<String>> = script.asked().into_iter().map(|asked| asked.etag).collect();
    let [a, b] = ["\"a\"", "\"b\""].map(|tag| Some(tag.to_owned()));
    assert_eq!(etags, [None, a.clone(), a, b]);
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

#[tokio::test(start_paused = true)]
async fn nothing_in_reply_is_no_answer() {
    let (client, script) = served([], 0).await;
    assert!(client.token(false).await.is_ok());
    script.fall_silent();
    let start = Instant::now();
    let error = client.read::<Made>(route(Operation::REPOSITORY)).await.unwrap_err();
    let reason = "nothing within 12s".to_owned();
    assert_eq!(error.cause, Cause::Unanswered { reason: reason.clone() });
    assert!(!error.may_have_changed(), "{error}");
    let reads = script.asked().len();
    assert!(reads > 1, "a read is asked again: {reads}");
    assert!(start.elapsed() <= Duration::from_secs(140), "with an end: {:?}", start.elapsed());

    let start = Instant::now();
    let error = client.read::<Made>(comment()).await.unwrap_err();
    assert_eq!(error.cause, Cause::Unanswered { reason });
    assert!(error.may_have_changed(), "{error}");
    assert_eq!(script.asked().len(), reads + 1, "a change is not");
    assert_eq!(start.elapsed().as_secs(), 12);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_takes_a_connection_is_waited_for_a_while() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once as many wait as may, the next is not even heard.
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    let transport = Transport::new(&format!("http://{address}")).unwrap();
    let client = Client::new(transport, Credentials::personal("x".to_owned().into()));
    let start = Instant::now();
    let error = client.read::<Made>(comment()).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unanswered { .. }), "{error}");
    assert_eq!(start.elapsed().as_secs(), 5, "{error}");
}

#[tokio::test]
async fn more_than_anybody_asked_for_is_not_read() {
    let long = |size: usize| Reply::Say(201, Vec::new(), format!("\"{}\"", "x".repeat(size)));
    let (client, script) = served([long((32 << 20) - 2), long((32 << 20) - 1)], 0).await;
    let read = client.read::<String>(comment()).await;
    assert!(read.is_ok_and(|text| text.len() == (32 << 20) - 2), "that much is");
    let error = client.read::<String>(comment()).await.unwrap_err();
    let Cause::Unanswered { reason } = &error.cause else { panic!("{error}") };
    assert!(reason.starts_with("half of one"), "{reason}");
    assert!(error.may_have_changed());
    assert_eq!(script.asked().len(), 2);
}

impl Reply {
    /// The same with a body that is not whole.
    fn cut(self) -> Self {
        match self {
            Self::Say(status, head, mut body) => {
                body.pop();
                Self::Say(status, head, body)
            }
            Self::Break | Self::Never => self,
        }
    }
}
