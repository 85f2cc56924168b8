//! What people write: which of it is a command, and how it is shown again.

use std::time::Duration;

use serde_json::json;

use super::operation::ALL_COMMENTS;
use super::stand::{OPEN, Stand};
use crate::sim::{Right, When};

/// Signs that turn the text behind them around, and that say nothing by themselves.
const TURN: char = '\u{202e}';
const HIDDEN: char = '\u{200b}';

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_persons_own_word_commands_nothing() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, head) = (stand.main(), stand.head(number));
    stand.serve().await;
    let land = format!("@molt land head={head}");
    stand.github.set_right(stand.widget, "helper[bot]", Right::Write);
    stand.comment(number, "helper[bot]", &land);
    for text in [
        format!("> {land}"),
        format!("```\n{land}\n```"),
        format!("    {land}"),
        format!("<!--\n{land}\n-->"),
        format!("I would say `{land}`"),
        "@molten land".to_owned(),
    ] {
        stand.comment(number, "mona", &text);
    }
    stand.round().await;
    assert_eq!(stand.main(), base);
    assert_eq!(stand.said(number), Vec::<String>::new(), "nothing of it was meant for us");
    assert_eq!(stand.checks(number).len(), 0);
    stand.comment(number, "mona", &format!("> {land}\n\nYes:\n\n{land}"));
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_was_edited_may_be_somebody_elses() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let (base, head) = (stand.main(), stand.head(number));
    let comment = stand.comment(number, "mona", "Looks fine.");
    stand.serve().await;
    let land = format!("@molt land head={head}");
    stand.github.advance_clock(Duration::from_secs(5));
    stand.github.edit_comment(stand.widget, comment, "lead", &land);
    stand.round().await;
    assert_eq!(stand.checks(number).len(), 0, "what was heard is not heard again");
    // Nobody reads it before it is edited.
    let gate = stand.hold(ALL_COMMENTS, 1, When::Before);
    gate.arrived();
    let comment = stand.comment(number, "mona", "Looks fine.");
    stand.github.advance_clock(Duration::from_secs(5));
    stand.github.edit_comment(stand.widget, comment, "lead", &land);
    gate.open();
    stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
    assert!(stand.said(number)[0].contains("edited"), "{:?}", stand.said(number));
    assert_eq!(stand.main(), base);
    assert_eq!(stand.landings(&head), 0);
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_words_are_shown_and_do_nothing() {
    let mut stand = Stand::new(OPEN);
    let name = format!("a`b`` @all #1 [x](y) <img src=x> {TURN}gpj{HIDDEN}");
    let title = format!("$(touch pwned) `id`; @all #1 {TURN}<b>\u{7}");
    let branch = "feature/$(touch${IFS}pwned);`id`@all";
    let first = stand.pull("mona", "feature/a", &[(&name, "1\n")]);
    let second = stand.pull("mona", branch, &[(&name, "2\n")]);
    for number in [first, second] {
        let fields = json!({"title": title, "body": format!("{title}\n\nMolt-Car: c1")});
        stand.github.edit_pull(stand.widget, number, "mona", &fields);
    }
    stand.serve().await;
    stand.ask(first, "mona");
    stand.until("it lands", |stand| stand.check(first, "success")).await;
    stand.ask(second, "mona");
    stand.until("it does not", |stand| stand.check(second, "failure")).await;
    stand.until("it is said at length", |stand| stand.said(second).len() == 1).await;
    let comment = stand.said(second).remove(0);
    for shown in [stand.summary(second), comment] {
        assert!(shown.contains("⟨U+202E⟩gpj⟨U+200B⟩"), "{shown}");
        assert!(!shown.contains([TURN, HIDDEN, '\u{7}']), "{shown}");
        let outside = outside_of_code(&shown);
        for sign in ["@", "#", "<img", "]("] {
            assert!(!outside.contains(sign), "{sign} is markup in {shown}");
        }
    }
    let title = stand.checks(second)[0]["output"]["title"].as_str().map(str::to_owned);
    let title = title.expect("a title");
    assert!(!title.contains(['@', '#', TURN, HIDDEN]), "{title}");
    assert!(!stand.folder.path().join("pwned").exists());
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_read_as_it_is_written_is_none() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", &format!("feature/{TURN}hctap"), &[("a", "1\n")]);
    let (base, head) = (stand.main(), stand.head(number));
    stand.serve().await;
    stand.comment(number, "mona", &format!("@molt land {TURN}head={head}"));
    stand.until("it is answered", |stand| stand.said(number).len() == 1).await;
    let told = "line 1 has characters that are hidden or reorder text";
    assert!(stand.said(number)[0].contains(told), "{:?}", stand.said(number));
    stand.round().await;
    assert_eq!(stand.main(), base);
    // Its branch's name is as good as any.
    stand.ask(number, "mona");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    let shown = stand.summary(number) + &stand.said(number).concat();
    assert!(!shown.contains(TURN), "{shown}");
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_names_no_head_means_the_one_that_was_seen_before() {
    let mut stand = Stand::new(OPEN);
    stand.github.stop_clock();
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    stand.round().await;
    // In the very second in which it was seen it may have been another one.
    stand.comment(number, "mona", "@molt land");
    stand.until("it is asked back", |stand| stand.said(number).len() == 1).await;
    let back = format!("name it, head={}", stand.head(number));
    assert!(stand.said(number)[0].contains(&back), "{:?}", stand.said(number));
    assert_eq!(stand.main(), base);
    stand.github.advance_clock(Duration::from_secs(2));
    stand.comment(number, "mona", "@molt land");
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    assert_eq!(stand.landings(&stand.head(number)), 1);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_train_has_one_order_whoever_asks_for_another() {
    let mut stand = Stand::new(OPEN);
    let number = stand.pull("mona", "feature/a", &[("a", "1\n")]);
    let base = stand.main();
    stand.serve().await;
    let land = format!("@molt land head={}", stand.head(number));
    stand.comment(number, "mona", "@molt priority 5");
    stand.comment(number, "lead", &format!("{land}\n\n@molt priority 5"));
    let told = |stand: &Stand, words: &str| stand.said(number).concat().contains(words);
    stand.until("who may not is told", |it| told(it, "takes the right to maintain")).await;
    stand.until("who may is told too", |it| told(it, "one order, and no priorities")).await;
    stand.round().await;
    assert_eq!(stand.main(), base, "of a comment all is done or nothing");
    assert_eq!(stand.said(number).len(), 1);
    stand.comment(number, "lead", &land);
    stand.until("it lands", |stand| stand.check(number, "success")).await;
    stand.stop().await;
}

/// What of a page is not in a code span or a mark of ours.
fn outside_of_code(page: &str) -> String {
    let mut outside = String::new();
    let mut rest = page;
    while let Some(at) = rest.find('`') {
        outside.push_str(&rest[..at]);
        let fence: String = rest[at..].chars().take_while(|c| *c == '`').collect();
        let inside = &rest[at + fence.len()..];
        let end = end_of_span(inside, fence.len()).expect("a span that ends");
        rest = &inside[end..];
    }
    outside.push_str(rest);
    outside
}

/// Where the text behind the next run of exactly so many backticks begins.
fn end_of_span(text: &str, fence: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let begin = at + found;
        let run = text[begin..].chars().take_while(|c| *c == '`').count();
        at = begin + run;
        if run == fence {
            return Some(at);
        }
    }
    None
}
