//! Comments, friendly and hostile, against the commands that are heard in them.

use proptest::prelude::*;

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

fn said(text: &str) -> Result<Vec<Command>, Misread> {
    let by = Author::Person(UserId(7));
    hear(&"molt".parse().unwrap(), &Comment { by, edits: Edits::None, text })
}

fn land() -> Command {
    Command::Land { head: None }
}

fn problem(text: &str) -> String {
    said(text).expect_err("it is refused").to_string()
}

#[test]
fn each_command_reads_as_written() {
    let gate: GateName = "diff".parse().unwrap();
    let head: Option<CommitId> = Some(ID.parse().unwrap());
    let approve = |subject, head: &Option<CommitId>, reason: &str| Command::Approve {
        subject,
        head: head.clone(),
        reason: Reason(reason.to_owned()),
    };
    let cases = [
        ("@molt land".to_owned(), land()),
        ("@Molt\tland  ".to_owned(), land()),
        (format!("@molt land head={ID}"), Command::Land { head: head.clone() }),
        ("@molt cancel".to_owned(), Command::Cancel),
        ("@molt retry diff".to_owned(), Command::Retry { gate: gate.clone(), head: None }),
        (
            format!("@molt retry diff head={ID}"),
            Command::Retry { gate: gate.clone(), head: head.clone() },
        ),
        (
            format!("@molt approve diff head={ID} known since May, see #7"),
            approve(Subject::Gate(gate.clone()), &head, "known since May, see #7"),
        ),
        ("@molt approve head ich hab's gelesen: gut für uns".to_owned(), {
            approve(Subject::Head, &None, "ich hab's gelesen: gut für uns")
        }),
        ("@molt priority -3".to_owned(), Command::Priority(Priority(-3))),
        ("@molt why".to_owned(), Command::Why),
    ];
    for (text, command) in cases {
        assert_eq!(said(&text), Ok(vec![command.clone()]), "{text}");
        let around = format!("Looks good to me.\r\n{text}\r\n\r\nThanks, all!");
        assert_eq!(said(&around), Ok(vec![command]), "{around}");
    }
    assert_eq!(said("@molt priority 5\n@molt land").map(|it| it.len()), Ok(2));
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_done() {
    let words = "there are land cancel retry approve priority why";
    assert_eq!(
        problem("@molt lnad"),
        format!("line 1: no command `lnad`, did you mean `land`?; {words}")
    );
    assert!(problem("@molt LAND").contains("did you mean `land`?"));
    assert_eq!(problem("hi\n@molt"), format!("line 2: no command ``; {words}"));
    assert_eq!(
        problem("@molt land\n@molt please"),
        format!("line 2: no command `please`; {words}")
    );
    let cases = [
        ("@molt land now", "nothing is known of `now` here"),
        ("@molt cancel head=x", "nothing is known of `head=x` here"),
        ("@molt land head=0123456", "head: not a full commit id"),
        ("@molt retry", "it takes the name of a gate"),
        ("@molt retry head", "`head` is no gate"),
        ("@molt retry `diff`", "it takes the name of a gate"),
        ("@molt approve", "it takes the name of a gate"),
        ("@molt approve diff", "it takes a reason"),
        ("@molt approve head  ", "it takes a reason"),
        ("@molt approve diff ...", "it takes a reason"),
        ("@molt priority", "it takes a number from -100 to 100"),
        ("@molt priority 101", "it takes a number from -100 to 100"),
        ("@molt priority high", "it takes a number from -100 to 100"),
        ("@molt priority -2147483648", "it takes a number from -100 to 100"),
    ];
    for (text, expected) in cases {
        assert!(problem(text).contains(expected), "{text}: {}", problem(text));
    }
    let long = format!("@molt approve diff {}", "x".repeat(MAX_REASON + 1));
    assert!(problem(&long).contains("1001 bytes, the limit is 1000"));
    assert_eq!(said(&"@molt why\n".repeat(MAX_COMMANDS + 1)), Err(Misread::Many));
}

#[test]
fn programs_and_edited_comments_give_no_commands() {
    let handle: Handle = "molt".parse().unwrap();
    let text = "@molt land";
    let program = Comment { by: Author::Program, edits: Edits::None, text };
    assert_eq!(hear(&handle, &program), Ok(vec![]));
    let by = Author::Person(UserId(7));
    let edited = Comment { by, edits: Edits::Some, text };
    assert_eq!(hear(&handle, &edited), Err(Misread::Edited));
    let idle = Comment { by, edits: Edits::Some, text: "a typo, mended" };
    assert_eq!(hear(&handle, &idle), Ok(vec![]));
}

#[test]
fn what_is_quoted_or_code_is_not_meant() {
    let texts = [
        "> @molt land",
        "    @molt land",
        "\t@molt land",
        " @molt land",
        "say `@molt land` to land it",
        "```\n@molt land\n```",
        "~~~ sh\n\n@molt land\n\n~~~",
        "````\n```\n@molt land\n````",
        "```\n@molt land",
        "```\n    ```\n@molt land\n```",
        "<!-- @molt land -->",
        "<!--\n@molt land\n-->",
        "<!--\n\n@molt land",
        "<!-- a --> @molt land",
        "- @molt land",
        "# @molt land",
        "please @molt land",
        "@molt-bot land",
        "@molted land",
        "@molt, land",
        "@@molt land",
        "\\@molt land",
        "&#64;molt land",
        "@m\u{43e}lt land",
        "\u{ff20}molt land",
        "@\u{200b}molt land",
        "",
        "\0",
    ];
    for text in texts {
        assert_eq!(said(text), Ok(vec![]), "{text:?}");
    }
}

#[test]
fn behind_what_is_certainly_over_a_command_counts() {
    let texts = [
        "> @molt cancel\n\n@molt land",
        "```\n@molt cancel\n```\n@molt land",
        "<!-- a note -->\n@molt land",
        "<!--\n@molt cancel\n-->\n\n@molt land",
        "- a list\n- of things\n\n@molt land",
        "a `name` and [a link](https://example.com)\n\n@molt land",
        "@molt land\n<details>",
    ];
    for text in texts {
        assert_eq!(said(text), Ok(vec![land()]), "{text:?}");
    }
}

#[test]
fn what_a_reader_may_not_see_is_refused() {
    let runs_on = [
        "> somebody said\n@molt land",
        "- > somebody said\n@molt land",
        "1. > so\n@molt land",
        "a `code that\n@molt land\nruns` on",
        "[a name]: https://example.com \"\n@molt land\n\"",
        "[^1]: a note that nobody refers to\n@molt land",
        "~~taken back:\n@molt land\nno~~",
    ];
    for text in runs_on {
        assert_eq!(said(text), Err(Misread::RunsOn { line: 2 }), "{text:?}");
    }
    let doubtful = [
        "<details>\n\n@molt land",
        "<div title=\"\n\n@molt land\n\n\">",
        "</p>\n\n@molt land",
        "<?php\n\n@molt land\n\n?>",
        "<![CDATA[\n\n@molt land\n\n]]>",
        "$$\n\n@molt land\n\n$$",
        "- ```\n  code\n  ```\n\n@molt land",
        "```a`b\n\n@molt land",
        "a <!--\n```\n-->\n@molt land\n```",
        "<!-- a --> <!-- b\n-->\n\n@molt land",
    ];
    for text in doubtful {
        assert!(matches!(said(text), Err(Misread::Doubtful { .. })), "{text:?}: {:?}", said(text));
    }
    let hidden = [
        ("@molt land\u{200b}", 1),
        ("@molt l\u{ad}and", 1),
        ("@molt approve diff fine\u{e0061}", 1),
        ("@molt approve diff \u{202e}txet neddih", 1),
        ("\u{2066}\n\n@molt land", 1),
        ("@molt land\n\0", 2),
        ("x\r```\n@molt land", 1),
        ("@molt land\u{7}", 1),
    ];
    for (text, line) in hidden {
        assert_eq!(said(text), Err(Misread::Hidden { line }), "{text:?}");
    }
    assert!(matches!(said("@molt l\u{430}nd"), Err(Misread::Unknown { .. })), "a Cyrillic a");
    assert!(matches!(said("@molt land; rm -rf /"), Err(Misread::Unknown { .. })));
    assert!(matches!(said("@molt land $(reboot)"), Err(Misread::Arguments { .. })));
}

#[test]
fn a_comment_of_any_length_is_answered() {
    let fill = MAX_COMMENT - "@molt land\n".len();
    let most = format!("@molt land\n{}", "ä".repeat(fill));
    assert_eq!(said(&most), Ok(vec![land()]));
    assert_eq!(said(&format!("{most}!")), Err(Misread::Long));
    assert_eq!(said(&"`".repeat(MAX_COMMENT)), Ok(vec![]));
    assert_eq!(said(&"<!--".repeat(MAX_COMMENT / 4)), Ok(vec![]));
}

#[test]
fn each_command_takes_its_right() {
    let (one, other) = (UserId(1), UserId(2));
    let rights =
        [Right::None, Right::Read, Right::Triage, Right::Write, Right::Maintain, Right::Admin];
    let command = |text: &str| said(text).unwrap().remove(0);
    let least = [
        ("@molt why", Right::Read),
        ("@molt land", Right::Write),
        ("@molt cancel", Right::Write),
        ("@molt retry diff", Right::Write),
        ("@molt priority 1", Right::Maintain),
        ("@molt approve diff known", Right::Maintain),
        ("@molt approve head read", Right::Maintain),
    ];
    for (text, least) in least {
        for right in rights {
            let allowed = command(text).is_allowed(one, right, other);
            assert_eq!(allowed, right >= least, "{text} by {right}");
        }
    }
    assert!(command("@molt cancel").is_allowed(one, Right::None, one));
    assert!(!command("@molt land").is_allowed(one, Right::Read, one));
}

/// Pieces that Markdown, and whoever means to fool it, is made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("@molt land".to_owned()),
        4 => Just("\n".to_owned()),
        1 => proptest::sample::select(vec![
            "```", "~~~", "`", "<!--", "-->", "> ", "    ", "<div>", "$$", "[", "- ", "\r", "\t",
            "\u{202e}", "\0", "@molt cancel", "word", " ",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_command_is_a_line_that_stands_in_the_text(text in pieces()) {
        if let Ok(commands) = said(&text) {
            let lines = text.lines().filter(|line| line.starts_with("@molt "));
            prop_assert!(commands.len() <= lines.count());
            let odd = text.contains(['\u{202e}', '\0']);
            prop_assert!(commands.is_empty() || !odd);
        }
    }

    #[test]
    fn no_wrapped_text_gives_a_command(text in pieces()) {
        let each = |prefix: &str| -> String {
            text.lines().map(|line| format!("{prefix}{line}\n")).collect()
        };
        let longest = "`".repeat(text.matches('`').count() + 3);
        let wrapped = [
            each("> "),
            each("    "),
            format!("{longest}\n{text}\n{longest}"),
            format!("<!--\n{}\n-->", text.replace('>', "")),
        ];
        for wrapped in wrapped {
            let heard = said(&wrapped).unwrap_or_default();
            prop_assert!(heard.is_empty(), "{:?}", wrapped);
        }
    }

    #[test]
    fn what_follows_a_tag_or_a_quote_that_runs_on_is_never_heard(text in pieces()) {
        for before in ["<details>\n", "$$\n\n", "> so it was said\n"] {
            let text = text.trim_start_matches(['\n', '\r']);
            let text = text.split("\n\n").next().unwrap_or_default();
            let heard = said(&format!("{before}{text}")).unwrap_or_default();
            // Only a tag's reach has no end that is followed.
            let reached = !before.starts_with('>') || text.starts_with("@molt land\n");
            prop_assert!(heard.is_empty() || !reached, "{:?}", heard);
        }
    }
}
