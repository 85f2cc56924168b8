//! A maintainer answers for what a gate found red of one head, by a comment: it lands with their name
//! on it, and nothing else does.

use super::host::Host;
use super::stand::Stand;

/// Each line of `cases` that is not `ok` is red.
const TEST: &str = r#"n=0; red=0
while read -r case; do
  n=$((n + 1)); say=ok
  [ "$case" = ok ] || { say='not ok'; red=1; }
  echo "$say $n - line $n"
done < cases
echo "1..$n"
exit $red
"#;

const POLICY: &str = r#"version = 1
[merge]
method = "merge"
required = ["test"]
[gate.test]
run = "sh test.sh"
result = "tap"
timeout = "1m"
[scope.all]
paths = ["**"]
"#;

/// A repository with a gate, a coordinator and a host that runs it.
pub(super) async fn gated() -> (Stand, Host) {
    let mut stand = Stand::new(POLICY).hearing();
    stand.github.push_commit(stand.widget, "main", &[("test.sh", TEST), ("cases", "ok\nok\n")]);
    stand.serve().await;
    let host = Host::start(&stand);
    (stand, host)
}

/// Has somebody approve what the gate found of a pull request's head.
fn approve(stand: &Stand, number: u64, who: &str, reason: &str) {
    let head = stand.head(number);
    stand.comment(number, who, &format!("@molt approve test head={head} {reason}"));
}

/// Waits until it is refused for the gate.
async fn is_red(stand: &Stand, number: u64) {
    stand.until("it is red", |stand| stand.check_says(number, "gate-failed")).await;
    assert!(stand.check(number, "failure"));
}

/// Waits until one comment, and no second one, answers with these words so many times.
async fn is_answered(stand: &Stand, number: u64, words: &str, times: usize) {
    let answered = |stand: &Stand| stand.said(number).concat().matches(words).count() == times;
    stand.until(words, answered).await;
    assert_eq!(stand.said(number).len(), 1, "in one comment");
}

/// What the last landing says of who answered for it.
fn answered_for(stand: &Stand) -> String {
    stand.git(&["log", "-1", "--format=%(trailers:key=Molt-Override)", "main"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_red_lands_by_a_maintainers_word_and_no_one_elses() {
    let (mut stand, host) = gated().await;
    let base = stand.main();
    let number = stand.pull("mona", "feature/a", &[("cases", "ok\nflaky\n")]);
    stand.ask(number, "mona");
    is_red(&stand, number).await;
    approve(&stand, number, "mona", "it is my own change");
    is_answered(&stand, number, "takes the right to maintain", 1).await;
    stand.comment(number, "lead", &format!("@molt approve test head={}", stand.head(number)));
    is_answered(&stand, number, "it takes a reason", 1).await;
    stand.comment(number, "lead", "@molt approve lint the case is wrong");
    stand
        .until("another gate is told", |stand| {
            stand.said(number).concat().matches("nothing was done").count() == 3
        })
        .await;
    stand.round().await;
    assert_eq!(stand.main(), base, "nothing of it was an approval");
    approve(&stand, number, "lead", "the case is wrong");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    let trailer = answered_for(&stand);
    assert!(trailer.contains("test by @lead"), "{trailer}");
    assert!(trailer.contains("the case is wrong"), "{trailer}");
    drop(host);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_of_one_head_and_of_what_was_red_of_it() {
    let (mut stand, host) = gated().await;
    let number = stand.pull("mona", "feature/a", &[("cases", "ok\nflaky\n")]);
    stand.ask(number, "mona");
    is_red(&stand, number).await;
    let old = stand.head(number);
    let base = stand.main();
    stand.github.force_push(stand.widget, "feature/a", &[("cases", "flaky\nflaky\n")]);
    stand.comment(number, "lead", &format!("@molt approve test head={old} the case is wrong"));
    is_answered(&stand, number, "look at that one first", 1).await;
    stand.ask(number, "mona");
    is_red(&stand, number).await;
    assert_eq!(stand.main(), base, "the new head is nobody's");
    approve(&stand, number, "lead", "both cases are wrong");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    // What landed red is accepted where it was: the next one is red for what is its own.
    let next = stand.pull("mona", "feature/b", &[("cases", "flaky\nflaky\nflaky\n")]);
    stand.ask(next, "mona");
    is_red(&stand, next).await;
    assert_eq!(stand.landings(&stand.head(next)), 0);
    approve(&stand, next, "lead", "and this one too");
    stand.until("it lands", |stand| stand.check(next, "success")).await;
    let trailer = answered_for(&stand);
    assert!(trailer.contains("and this one too"), "{trailer}");
    drop(host);
    stand.stop().await;
}
