//! A gate that fails: the files show where, once, and the check run shows what else there is to know.

use serde_json::Value;

use super::host::Host;
use super::stand::Stand;

/// Tests that name the file and the line of what is wrong: every line of `cases` that is not `ok`.
pub(super) const TEST: &str = r#"awk '
  $0 == "ok" { body = body "<testcase name=\"line " NR "\"/>"; next }
  { red++; body = body "<testcase name=\"line " NR "\" file=\"cases\" line=\"" NR "\">" \
      "<failure message=\"" $0 "\"/></testcase>" }
  END { print "<testsuite name=\"\" tests=\"" NR "\">" body "</testsuite>" > "report.xml"
        exit red > 0 }' cases
"#;

pub(super) const POLICY: &str = r#"version = 1
[merge]
method = "merge"
required = ["test", "scope"]
[gate.test]
run = "sh test.sh"
result = "junit:report.xml"
timeout = "1m"
[scope.all]
paths = ["**"]
"#;

/// What is said at lines of the files of a pull request's head.
pub(super) fn annotations(stand: &Stand, number: u64) -> Vec<Value> {
    stand.github.annotations(stand.widget, &stand.head(number))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_that_a_gate_failed_at_are_annotated_once() {
    let mut stand = Stand::new(POLICY).hearing();
    stand.github.push_commit(stand.widget, "main", &[("test.sh", TEST), ("cases", "ok\n")]);
    // A hundred bytes of a message that would be markup, a person and a number.
    let hostile = "@all &lt;img src=x&gt; #1 `id` &#x202e;\n";
    let cases = format!("ok\n{}", hostile.repeat(60));
    let number = stand.pull("mona", "feature/a", &[("cases", &cases)]);
    stand.serve().await;
    let host = Host::start(&stand);
    stand.ask(number, "mona");
    let head = stand.head(number);
    stand.comment(number, "lead", &format!("@molt approve head head={head} I read it"));
    stand.until("it fails", |stand| stand.check(number, "failure")).await;
    stand.until("it shows where", |stand| annotations(stand, number).len() >= 60).await;
    stand.comment(number, "mona", "@molt why");
    stand
        .until("it is told again", |stand| stand.said(number).concat().contains("to `mona`"))
        .await;
    stand.round().await;
    let said = annotations(&stand, number);
    let lines: Vec<u64> = said.iter().filter_map(|it| it["start_line"].as_u64()).collect();
    assert_eq!(lines.len(), 60, "each once");
    assert_eq!(
        (said[0]["path"].as_str(), *lines.iter().min().expect("a line")),
        (Some("cases"), 2)
    );
    let message = said[0]["message"].as_str().expect("a message");
    assert!(message.starts_with("test: line "), "{message}");
    assert!(message.contains("＠all <img src=x> ＃1 `id` ⟨U+202E⟩"), "{message}");
    let summary = stand.summary(number);
    for line in ["* `test` failed", "* `scope` void", "The whole story: `molt-agent why car_"] {
        assert!(summary.contains(line), "{line} is not in {summary}");
    }
    stand.github.push_commit(stand.widget, "feature/a", &[("cases", "ok\nok\n")]);
    stand.ask(number, "mona");
    let head = stand.head(number);
    stand.comment(number, "lead", &format!("@molt approve head head={head} I read it again"));
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert!(stand.summary(number).contains("* `test` passed"), "{}", stand.summary(number));
    assert_eq!(annotations(&stand, number), Vec::<Value>::new());
    drop(host);
    stand.stop().await;
}
