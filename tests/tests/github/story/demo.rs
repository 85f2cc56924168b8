//! Twenty gated merges at the simulated GitHub, told as a story: `make demo-github`.
//!
//! A coordinator, a host that runs the gates, and people who open pull requests, comment, push and
//! change their minds. Each line says what somebody does or what became of it; what has to be so at
//! the end is checked, and told in a table.

#![expect(clippy::print_stdout, reason = "the story is what this is for")]

use std::time::Duration;

use tokio::time::Instant;

use super::host::Host;
use super::stand::Stand;

/// What the base requires: a linter without items, and tests that name theirs.
const POLICY: &str = r#"version = 1
[merge]
method = "merge"
required = ["lint", "test"]
protect = ["tools/**", "molt.toml"]
[gate.lint]
run = "sh tools/lint.sh"
timeout = "1m"
[gate.test]
run = "sh tools/test.sh"
result = "tap"
timeout = "1m"
[scope.all]
paths = ["**"]
"#;

/// No line ends in a blank.
const LINT: &str = "! grep -rn ' $' README.md cases\n";

/// Each case is a file that says `ok`, or is red.
const TEST: &str = r#"n=0; red=0
for case in cases/*; do
  n=$((n + 1)); say=ok
  [ "$(head -n 1 "$case")" = ok ] || { say='not ok'; red=1; }
  echo "$say $n - ${case#cases/}"
done
echo "1..$n"
exit $red
"#;

/// How long the whole may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Who tells, and of what.
struct Tale {
    stand: Stand,
    began: Instant,
    landed: Vec<u64>,
}

impl Tale {
    fn tell(&self, number: u64, who: &str, what: &str) {
        println!("{:6.1}s  #{number:<3} {who:<6} {what}", self.began.elapsed().as_secs_f64());
    }

    /// Somebody opens a pull request that writes files.
    fn open(&self, who: &str, branch: &str, files: &[(&str, &str)]) -> u64 {
        let number = self.stand.pull(who, branch, files);
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        self.tell(number, who, &format!("opens {branch}: {}", names.join(" ")));
        number
    }

    /// Somebody asks for the head that is there now.
    fn ask(&self, number: u64, who: &str) {
        self.comment(number, who, &format!("@molt land head={}", self.stand.head(number)));
    }

    fn comment(&self, number: u64, who: &str, text: &str) {
        let shown: Vec<String> = text
            .split(' ')
            .map(|word| match word.strip_prefix("head=") {
                Some(head) => format!("head={}…", &head[..8]),
                None => word.to_owned(),
            })
            .collect();
        self.tell(number, who, &shown.join(" "));
        self.stand.comment(number, who, text);
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Stand) -> bool) {
        self.stand.until_within(PATIENCE, what, is_so).await;
    }

    /// Waits until the check run says something, and tells its title.
    async fn says(&self, number: u64, words: &str) {
        self.until(words, |stand| stand.check_says(number, words)).await;
        self.tell(number, "molt", &self.title(number));
    }

    /// Waits until it has landed.
    async fn lands(&mut self, number: u64) {
        self.until("it lands", |stand| stand.check(number, "success")).await;
        self.tell(number, "molt", &self.title(number));
        self.landed.push(number);
    }

    fn title(&self, number: u64) -> String {
        let checks = self.stand.checks(number);
        let title = checks.last().and_then(|check| check["output"]["title"].as_str());
        title.unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "`make demo-github` tells it"]
async fn twenty_changes_and_what_became_of_them() {
    let mut stand = Stand::new(POLICY).hearing();
    let tools = [("tools/lint.sh", LINT), ("tools/test.sh", TEST), ("cases/first", "ok\n")];
    stand.github.push_commit(stand.widget, "main", &tools);
    let first = stand.main();
    stand.serve().await;
    let host = Host::start(&stand);
    let mut tale = Tale { stand, began: Instant::now(), landed: Vec::new() };
    plain(&mut tale).await;
    conflicts(&mut tale).await;
    fails(&mut tale).await;
    overridden(&mut tale).await;
    forks(&mut tale).await;
    moves(&mut tale).await;
    protected(&mut tale).await;
    asks_in_vain(&mut tale).await;
    cancelled(&mut tale).await;
    checked(&tale, &first);
    drop(host);
    tale.stand.stop().await;
}

/// Eleven that nothing is to be said of; every other one is asked for by a label.
async fn plain(tale: &mut Tale) {
    let mut asked = Vec::new();
    for n in 1..=11 {
        let branch = format!("feature/{n}");
        let case = format!("cases/case-{n}");
        let number = tale.open("mona", &branch, &[(&case, "ok\n")]);
        if n % 2 == 0 {
            tale.tell(number, "mona", "sets the label molt:land");
            tale.stand.github.label(tale.stand.widget, number, "mona", "molt:land");
        } else {
            tale.ask(number, "mona");
        }
        asked.push(number);
    }
    for number in asked {
        tale.lands(number).await;
    }
}

/// Two of the same line: the second is refused, and lands once it is resolved.
async fn conflicts(tale: &mut Tale) {
    let [one, two] = [("one", "# one\n"), ("two", "# two\n")]
        .map(|(branch, text)| tale.open("mona", branch, &[("README.md", text)]));
    tale.ask(one, "mona");
    tale.ask(two, "mona");
    tale.lands(one).await;
    tale.says(two, "conflict-base").await;
    tale.tell(two, "mona", "resolves it and pushes");
    tale.stand.github.force_push(tale.stand.widget, "two", &[("README.md", "# one and two\n")]);
    tale.ask(two, "mona");
    tale.lands(two).await;
}

/// One with a red test, which is mended.
async fn fails(tale: &mut Tale) {
    let number = tale.open("mona", "broken", &[("cases/broken", "no\n")]);
    tale.ask(number, "mona");
    tale.says(number, "gate-failed").await;
    tale.tell(number, "mona", "mends it and pushes");
    tale.stand.github.force_push(tale.stand.widget, "broken", &[("cases/broken", "ok\n")]);
    tale.ask(number, "mona");
    tale.lands(number).await;
}

/// One with a red test that a maintainer answers for, and the next one, which is not to suffer.
async fn overridden(tale: &mut Tale) {
    let number = tale.open("mona", "flaky", &[("cases/flaky", "not today\n")]);
    tale.ask(number, "mona");
    tale.says(number, "gate-failed").await;
    let head = tale.stand.head(number);
    tale.comment(number, "lead", &format!("@molt approve test head={head} the case is wrong"));
    tale.lands(number).await;
    let trailer = tale.stand.git(&["log", "-1", "--format=%(trailers:key=Molt-Override)", "main"]);
    assert!(trailer.contains("test by @lead"), "{trailer}");
    tale.tell(number, "git", trailer.trim());
    let next = tale.open("mona", "after", &[("cases/after", "ok\n")]);
    tale.ask(next, "mona");
    tale.lands(next).await;
}

/// A stranger's, of which nothing runs before a maintainer looked.
async fn forks(tale: &mut Tale) {
    let fork = tale.stand.github.fork(tale.stand.widget, "eve");
    tale.stand.github.push_commit(fork, "patch", &[("cases/eve", "ok\n")]);
    let number = tale.stand.github.open_pull(tale.stand.widget, "eve", "eve:patch");
    tale.tell(number, "eve", "opens eve:patch from a fork");
    tale.ask(number, "mona");
    tale.says(number, "approval-missing").await;
    let head = tale.stand.head(number);
    tale.comment(number, "lead", &format!("@molt approve head head={head} I read it"));
    tale.lands(number).await;
}

/// One whose head moves after it was asked for.
async fn moves(tale: &mut Tale) {
    let number = tale.open("mona", "moving", &[("cases/moving", "no\n")]);
    tale.tell(number, "mona", "marks it as a draft");
    tale.stand.github.set_draft(tale.stand.widget, number, "mona", true);
    tale.stand.round().await;
    tale.ask(number, "mona");
    tale.says(number, "draft").await;
    tale.tell(number, "mona", "pushes another head by force, and says that it is ready");
    tale.stand.github.force_push(tale.stand.widget, "moving", &[("cases/moving", "ok\n")]);
    tale.stand.github.set_draft(tale.stand.widget, number, "mona", false);
    tale.says(number, "head-moved").await;
    tale.ask(number, "mona");
    tale.lands(number).await;
}

/// One that changes what the policy protects.
async fn protected(tale: &mut Tale) {
    let lint = format!("{LINT}# and no more\n");
    let number = tale.open("mona", "tools", &[("tools/lint.sh", &lint)]);
    tale.ask(number, "mona");
    tale.says(number, "approval-missing").await;
    let head = tale.stand.head(number);
    tale.comment(number, "lead", &format!("@molt approve head head={head} it still lints"));
    tale.lands(number).await;
}

/// One that somebody asks for who may not.
async fn asks_in_vain(tale: &mut Tale) {
    let number = tale.open("mona", "last", &[("cases/last", "ok\n")]);
    tale.ask(number, "eve");
    tale.until("it is answered", |stand| !stand.said(number).is_empty()).await;
    let said = tale.stand.said(number).concat();
    let answer = said.lines().last().unwrap_or_default();
    tale.tell(number, "molt", answer);
    tale.ask(number, "mona");
    tale.lands(number).await;
}

/// One that is not wanted after all.
async fn cancelled(tale: &mut Tale) {
    let number = tale.open("mona", "no", &[("cases/no", "no\n")]);
    tale.ask(number, "mona");
    tale.says(number, "gate-failed").await;
    tale.comment(number, "mona", "@molt cancel");
    tale.stand.github.close_pull(tale.stand.widget, number, "mona");
    tale.tell(number, "mona", "closes it");
}

/// What has to be so at the end.
fn checked(tale: &Tale, first: &str) {
    let stand = &tale.stand;
    assert_eq!(tale.landed.len(), 20, "{:?}", tale.landed);
    let range = format!("{first}..main");
    let landings = stand.git(&["rev-list", "--count", "--first-parent", &range]);
    assert_eq!(landings, "20", "each landed as one commit, and nothing else did");
    for number in &tale.landed {
        let head = stand.head(*number);
        assert_eq!(stand.landings(&head), 1, "#{number}");
        assert!(stand.check(*number, "success"), "#{number} has one check run, and it is green");
        assert!(stand.said(*number).len() <= 1, "#{number} has one comment at most");
    }
    let changes = stand.changes();
    println!();
    for (operation, count) in &changes {
        println!("{count:19} {operation}");
    }
    let changes: usize = changes.values().sum();
    assert!(changes <= 8 * tale.landed.len(), "{changes} changing requests");
    println!("landed              20 of 21, each as one commit that its gates had passed");
    println!("check runs          one for each head, comments at most one");
    println!("changing requests   {changes}, {:.1} a landing", changes as f64 / 20.0);
    println!("took                {:.1} s", tale.began.elapsed().as_secs_f64());
}
