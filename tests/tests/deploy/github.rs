//! The App's manifest and the page about it: what is asked for is what the product uses, and what it
//! can say is explained.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use molt_domain::policy::Method;
use molt_domain::pull::command::{Author, Command, Comment, Edits, Misread, hear};
use molt_domain::pull::rules::{Beyond, Bypass, Found, Met, NEEDS, Place, Rule, Strict, met};
use molt_forge::github::permission::{Asker, Comes, EVENTS, asked_for, needed};
use serde_json::{Value, json};

use crate::page;
use crate::shape::{only, texts};
use crate::tree::{Fault, Tree, root};

const MANIFEST: &str = "deploy/github/manifest.json";
const PAGE: &str = "docs/github.md";

/// What is wrong with the manifest.
fn manifest(tree: &Tree) -> Vec<String> {
    let manifest: Value = match serde_json::from_str(tree.text(MANIFEST)) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{MANIFEST}: {error}")],
    };
    let keys = [
        "name",
        "url",
        "description",
        "hook_attributes",
        "redirect_url",
        "public",
        "default_permissions",
        "default_events",
    ];
    let mut complaints = only(MANIFEST, &manifest, &keys);
    let permissions: BTreeMap<&str, String> =
        asked_for().into_iter().map(|(name, access)| (name, access.to_string())).collect();
    if manifest["default_permissions"] != json!(permissions) {
        complaints.push(format!("{MANIFEST}: permissions are not {permissions:?}"));
    }
    let events: BTreeSet<&str> = EVENTS
        .iter()
        .filter_map(|(event, comes)| matches!(comes, Comes::For(_)).then_some(*event))
        .collect();
    let asked = texts(&manifest["default_events"]);
    if asked.len() != events.len() || asked.iter().any(|event| !events.contains(event.as_str())) {
        complaints.push(format!("{MANIFEST}: events are not {events:?}"));
    }
    if manifest["public"] != json!(false) {
        complaints.push(format!("{MANIFEST}: others can install the App"));
    }
    let hook = manifest["hook_attributes"]["url"].as_str().unwrap_or_default();
    if !hook.starts_with("https://") || !hook.ends_with("/webhooks/github") {
        complaints.push(format!("{MANIFEST}: webhooks go to `{hook}`"));
    }
    complaints
}

#[test]
fn the_manifest_asks_for_what_is_used_and_for_nothing_else() {
    let faults: &[Fault] = &[
        (MANIFEST, "\"checks\": \"write\"", "\"checks\": \"read\"", "permissions are not"),
        (MANIFEST, "\"statuses\": \"read\"", "\"statuses\": \"write\"", "permissions are not"),
        (MANIFEST, "\"issues\": \"read\",", "", "permissions are not"),
        (MANIFEST, "    \"push\",\n", "", "events are not"),
        (MANIFEST, "\"status\"\n", "\"status\", \"member\"\n", "events are not"),
        (MANIFEST, "\"public\": false", "\"public\": true", "others can install"),
        (MANIFEST, "/webhooks/github", "/hooks", "webhooks go to"),
        (MANIFEST, "default_events", "events", "unknown key `events`"),
    ];
    Tree::hold(manifest, faults);
}

#[test]
fn what_a_pull_request_waits_for_is_what_operations_take() {
    let waited: BTreeMap<String, String> = NEEDS
        .iter()
        .map(|(permission, level)| (permission.to_string(), level.to_string()))
        .collect();
    let taken: BTreeMap<String, String> = needed(Asker::App)
        .into_iter()
        .map(|(name, access)| (name.to_owned(), access.to_string()))
        .collect();
    assert_eq!(waited, taken);
}

/// The rows of the table below `heading`, each with its cells.
fn rows<'p>(page: &'p str, heading: &str) -> Vec<Vec<&'p str>> {
    let from = page.find(&format!("\n{heading}\n")).unwrap_or(page.len());
    let section = &page[from..];
    let to = section[1..].find("\n## ").map_or(section.len(), |to| to + 1);
    let lines = section[..to].lines().filter(|line| line.starts_with("| "));
    let cells = |line: &'p str| line.trim_matches('|').split(" | ").map(str::trim).collect();
    lines.map(cells).collect()
}

/// The text of a cell that is all code.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.split('`').next()
}

/// Every reason code that the domain can say of a change, as its source has them.
fn codes() -> BTreeSet<String> {
    let folder = root().join("coordinator/domain/src");
    let mut codes = BTreeSet::new();
    let files = ["train.rs", "train/approval.rs", "pull/admission.rs", "pull/rules.rs"];
    for file in files {
        let text = fs::read_to_string(folder.join(file)).expect("a file of the domain");
        let bodies = text.split("fn reason(&self) -> &'static str {").skip(1);
        let bodies: Vec<&str> = bodies.filter_map(|rest| rest.split("\n    }\n").next()).collect();
        assert!(!bodies.is_empty(), "{file} says no reasons any more");
        for body in bodies {
            codes.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    codes
}

/// The words that a command can begin with, as its reader tells them.
fn commands() -> Vec<String> {
    let misread = heard("@molt no-such-word").expect_err("there is no such command");
    assert!(matches!(misread, Misread::Unknown { .. }), "{misread}");
    let told = misread.to_string();
    let (_, words) = told.rsplit_once("there are ").expect("it tells which there are");
    words.split(' ').map(str::to_owned).collect()
}

/// What the page says of commands that their reader does not: each row is one, and takes that right.
fn said_of_commands(page: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let rows = rows(page, "## Commands");
    let rows = rows.iter().filter_map(|cells| Some((code(cells[0])?, cells[cells.len() - 1])));
    for (line, who) in rows {
        let given = [("GATE", "test"), ("REASON", "I read it"), ("N", "3")];
        let fill = |word| given.iter().find(|(name, _)| *name == word).map_or(word, |it| it.1);
        let text = line.split(' ').map(fill).collect::<Vec<_>>().join(" ");
        match heard(&text).as_deref() {
            Ok([command]) => {
                let needs = format!("who may {}", command.needs());
                if !who.starts_with(&needs) {
                    complaints.push(format!("{PAGE}: `{line}` is for {needs}, not {who}"));
                }
            }
            Ok(commands) => complaints.push(format!("{PAGE}: `{line}` is {commands:?}")),
            Err(misread) => complaints.push(format!("{PAGE}: `{line}`: {misread}")),
        }
    }
    for subject in ["head", "GATE"] {
        if !page.contains(&format!("\n| `@molt approve {subject} REASON` | ")) {
            complaints.push(format!("{PAGE}: no row for an approval of {subject}"));
        }
    }
    complaints
}

/// A person's comment as the reader of commands hears it.
fn heard(text: &str) -> Result<Vec<Command>, Misread> {
    let handle = "molt".parse().expect("a handle");
    let by = Author::Person(molt_domain::pull::UserId(1));
    hear(&handle, &Comment { by, edits: Edits::None, text })
}

/// Complains about names that are there without a row, and of rows that nothing is behind.
fn covers(what: &str, rows: &BTreeSet<String>, known: &BTreeSet<String>) -> Vec<String> {
    let missing = known.difference(rows).map(|name| format!("{PAGE}: no {what} `{name}`"));
    let idle = rows.difference(known).map(|name| format!("{PAGE}: `{name}` is no {what}"));
    missing.chain(idle).collect()
}

/// What is wrong with what the page explains.
fn explained(tree: &Tree) -> Vec<String> {
    let page = tree.text(PAGE);
    let first = |heading: &str| -> BTreeSet<String> {
        let rows = rows(page, heading);
        rows.iter().filter_map(|cells| Some(code(cells[0])?.to_owned())).collect()
    };
    let mut complaints = covers("code", &first("## What the check says"), &codes());
    let said = first("## Commands");
    let words: BTreeSet<String> =
        said.iter().filter_map(|line| Some(line.split(' ').nth(1)?.to_owned())).collect();
    complaints.extend(covers("command", &words, &commands().into_iter().collect()));
    complaints.extend(said_of_commands(page));
    let asked = asked_for();
    let asked = asked.iter().map(|(name, access)| format!("{name}: {access}")).collect();
    complaints.extend(covers("permission", &first("## Permissions"), &asked));
    for cells in
        ["## What the check says", "## Permissions", "## Commands"].map(|it| rows(page, it))
    {
        let empty = cells.iter().flatten().any(|cell| cell.is_empty());
        if empty {
            complaints.push(format!("{PAGE}: a row has an empty cell"));
        }
    }
    complaints.extend(rules(page));
    complaints
}

/// What the page's table of rules says otherwise than the domain.
fn rules(page: &str) -> Vec<String> {
    let rows = rows(page, "## Branch protection and rulesets");
    // Below its head and the line under that.
    let rows: Vec<_> = rows.into_iter().filter(|cells| cells.len() == 7).skip(2).collect();
    let named: BTreeSet<&str> = rows.iter().filter_map(|cells| code(cells[0])).collect();
    let mut complaints = Vec::new();
    for word in words_of_rules() {
        if !named.contains(word.as_str()) {
            complaints.push(format!("{PAGE}: no rule `{word}`"));
        }
    }
    for cells in rows {
        let rule = rule(cells[0]);
        let columns: [&[Method]; 3] =
            [&[Method::Merge], &[Method::Squash, Method::Rebase], &[Method::Ff]];
        let columns = columns.into_iter().zip(cells[1..].chunks(2));
        let cases = columns.flat_map(|(methods, pair)| {
            let pair = [(Bypass::Never, pair[0]), (Bypass::Always, pair[1])];
            methods
                .iter()
                .flat_map(move |method| pair.map(|(bypass, cell)| (*method, bypass, cell)))
        });
        for (method, bypass, cell) in cases {
            let place = Place::Ruleset("main".to_owned());
            let met = told(met(&Found { rule: rule.clone(), place, bypass }, method));
            if cell != met {
                let case = format!("{} with {method:?}, {bypass:?}", cells[0]);
                complaints.push(format!("{PAGE}: {case}: is {met}, not {cell}"));
            }
        }
    }
    complaints
}

fn told(met: Met) -> &'static str {
    match met {
        Met::Kept => "kept",
        Met::Judged => "judged",
        Met::AtLanding => "at landing",
        Met::Bypassed => "bypassed",
        Met::InTheWay => "in the way",
    }
}

/// The rule that a row is about.
fn rule(cell: &str) -> Rule {
    let beyond = match cell.ends_with("and more") {
        true => BTreeSet::from([Beyond::CodeOwners]),
        false => BTreeSet::new(),
    };
    match code(cell) {
        Some("pull_request") => Rule::PullRequest { approvals: 1, beyond },
        Some("required_status_checks") => {
            Rule::StatusChecks { contexts: Vec::new(), strict: Strict::No }
        }
        word => Rule::plain(word.unwrap_or("any other")),
    }
}

/// GitHub's words for the rules that the domain knows, as its source has them.
fn words_of_rules() -> BTreeSet<String> {
    let file = root().join("coordinator/domain/src/pull/rules.rs");
    let text = fs::read_to_string(file).expect("a file of the domain");
    let from = text.find("pub fn plain(").expect("rules have words");
    let body = text[from..].split("\n    }\n").next().expect("it ends");
    let mut words: BTreeSet<String> =
        body.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    words.extend(["pull_request", "required_status_checks"].map(str::to_owned));
    words
}

#[test]
fn the_page_is_right_and_explains_all_that_is_said() {
    let faults: &[Fault] = &[
        (PAGE, "| `superseded` | ", "| superseded | ", "no code `superseded`"),
        (PAGE, "| `head-moved` | ", "| `head-gone` | ", "`head-gone` is no code"),
        (PAGE, "| `@molt why` | ", "| `@molt how` | ", "no command `why`"),
        (PAGE, "| `@molt retry GATE` | ", "| `@molt retry` | ", "it takes the name of a gate"),
        (
            PAGE,
            "the trailer `Molt-Override` | who may maintain |",
            "the trailer `Molt-Override` | who may write |",
            "is for who may maintain, not who may write",
        ),
        (
            PAGE,
            "| `@molt approve GATE ",
            "| `@molt approve test ",
            "no row for an approval of GATE",
        ),
        (PAGE, "| `checks: write` | ", "| `checks: read` | ", "no permission `checks: write`"),
        (
            PAGE,
            "| `merge_queue` | in the way",
            "| `merge_queue` | judged",
            "is in the way, not judged",
        ),
        (PAGE, "| `update` | ", "| `updates` | ", "no rule `update`"),
        (PAGE, "label = \"molt:land\"", "labels = \"molt:land\"", "did you mean `label`?"),
        (PAGE, "doctor --config", "doctor --conf", "unexpected argument '--conf'"),
        (PAGE, "`deploy/github/create.html`", "`deploy/github/make.html`", "there is no deploy/"),
        (
            PAGE,
            "(operations.md#webhooks)",
            "(operations.md#hooks)",
            "there is no operations.md#hooks",
        ),
    ];
    let check = |tree: &Tree| {
        let mut complaints = page::check(tree, PAGE);
        complaints.extend(explained(tree));
        complaints
    };
    Tree::hold(check, faults);
}
