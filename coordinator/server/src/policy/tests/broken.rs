//! What is broken says what is wrong, where, and what was probably meant.

use super::good::FULL;
use super::random::Random;
use crate::policy::{MAX_BYTES, read, read_bytes};

/// Every finding of `text`, one line each.
#[track_caller]
fn findings(text: &str) -> Vec<String> {
    read(text).expect_err("a broken policy").iter().map(ToString::to_string).collect()
}

/// Checks that a sound beginning followed by `text` has exactly these findings, from line 2 on.
#[track_caller]
fn expect(text: &str, expected: &[&str]) {
    assert_eq!(findings(&format!("version = 1\n{text}")), expected, "in\n{text}");
}

#[test]
fn what_is_no_toml_is_placed() {
    for (text, expected) in [
        ("not toml at all", &["molt.toml:1:5: key with no value, expected `=`"][..]),
        ("\u{feff}version 1", &["molt.toml:1:9: key with no value, expected `=`"]),
        ("version = 1\r\n\r\nopen = [\r\n", &["molt.toml:3:9: unclosed array, expected `]`"]),
        ("version = 1\ncase = \"sens\n", &["molt.toml:2:13: invalid basic string, expected `\"`"]),
        (
            "version = 1\ncase = sensitive\n[scope.a\npaths = ['a']",
            &[
                "molt.toml:2:8: string values must be quoted, expected literal string",
                "molt.toml:3:9: unclosed table, expected `]`",
            ],
        ),
        (
            "version = 1\n[scope.a]\npaths = ['a']\n[scope.a]\npaths = ['b']",
            &["molt.toml:4:8: duplicate key", "molt.toml:5:1: duplicate key"],
        ),
        ("version = 1\nversion = 1", &["molt.toml:2:1: duplicate key"]),
        ("version = 1\nscope.a.paths = ['a']\nscope = 2", &["molt.toml:3:1: duplicate key"]),
        (
            "\u{1f980} = [",
            &[
                "molt.toml:1:1: invalid unquoted key, expected letters, numbers, `-`, `_`",
                "molt.toml:1:6: unclosed array, expected `]`",
            ],
        ),
    ] {
        assert_eq!(findings(text), expected, "in\n{text}");
    }
}

#[test]
fn the_line_is_right_whatever_ends_it() {
    let text = "\u{feff}version = 1\r\n\r\n[gate.lint]\r\nrun = 7\r\n";
    assert_eq!(findings(text), ["molt.toml:4: gate.lint.run: expected a string, found an integer"]);
}

#[test]
fn any_damage_is_told_within_the_file() {
    let odd =
        ["", "[", "]", "\"", "'", "=", ".", "\n", "#", "\u{feff}", "\0", "{", "é", "-1", "[["];
    let odd = odd.map(str::to_owned);
    let mut refused = 0;
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let mut text: Vec<char> = FULL.chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len());
            let end = text.len().min(at + random.below(6));
            text.splice(at..end, random.pick(&odd).chars());
        }
        let text: String = text.into_iter().collect();
        let Err(findings) = read(&text) else {
            continue;
        };
        refused += 1;
        assert!(!findings.is_empty(), "seed {seed}");
        for finding in findings {
            let lines = 1..=text.split('\n').count();
            assert!(lines.contains(&finding.line), "seed {seed}: {finding}");
            assert!(!finding.to_string().contains('\n'), "seed {seed}: {finding}");
        }
    }
    assert!(refused > 1000, "only {refused} damaged texts were refused");
}

#[test]
fn keys_are_known() {
    expect("opne = []", &["molt.toml:2: opne: unknown key, did you mean `open`?"]);
    expect("zebra = 1", &["molt.toml:2: zebra: unknown key"]);
    expect(
        "[gate.lint]\nrun = 'x'\npol = 'cargo'",
        &["molt.toml:4: gate.lint.pol: unknown key, did you mean `pool`?"],
    );
    expect(
        "[scope.a]\npaths = ['a']\n\n[scope.'x/y']\npath = ['b']\npaths = ['c']",
        &["molt.toml:6: scope.\"x/y\".path: unknown key, did you mean `paths`?"],
    );
    expect(
        "[scope.a]\npaths = ['a/**']\n[scope.a.b]\npaths = ['a/b/**']",
        &["molt.toml:4: scope.a.b: unknown key: a child scope is written [scope.\"a/b\"]"],
    );
    expect(
        "[merge]\nmetod = 'ff'",
        &["molt.toml:3: merge.metod: unknown key, did you mean `method`?"],
    );
}

#[test]
fn what_this_version_cannot_do_is_refused() {
    expect(
        "[pool.cargo]\nslots = 1\nbudget = '30GB'\nmax_age = '30d'",
        &[
            "molt.toml:4: pool.cargo.budget: `budget` is not supported by this version",
            "molt.toml:5: pool.cargo.max_age: `max_age` is not supported by this version",
        ],
    );
    expect(
        "[sweep.all]\nlock = 'diff:{target_root}'",
        &["molt.toml:2: sweep: `sweep` is not supported by this version"],
    );
    expect(
        "[gate.diff]\nrun = 'x --jobs {jobs}'\nresult = 'molt-diff'\ngit = true",
        &[
            "molt.toml:3: gate.diff.run: `{jobs}` is not supported by this version: \
             write a number, or read the machine's in the command",
            "molt.toml:4: gate.diff.result: result `molt-diff` is not supported: \
             use exit, tap or junit:PATH",
            "molt.toml:5: gate.diff.git: `git` is not supported by this version",
        ],
    );
    expect(
        "[merge]\nmethod = 'squahs'\nprotect = ['x', '/x', 'x', 3]",
        &[
            "molt.toml:3: merge.method: `squahs` is not one of merge, ff, squash, rebase, \
             did you mean `squash`?",
            "molt.toml:4: merge.protect: pattern `/x` is invalid at character 1: a leading `/`: \
             patterns start at the root anyway",
            "molt.toml:4: merge.protect: names `x` twice",
            "molt.toml:4: merge.protect: expected a string, found an integer",
        ],
    );
}

#[test]
fn versions_are_this_programs() {
    assert_eq!(
        findings("case = 'sensitive'\nopne = 1"),
        [
            "molt.toml:1: version: missing: write version = 1",
            "molt.toml:2: opne: unknown key, did you mean `open`?",
        ]
    );
    assert_eq!(
        findings("\nversion = 2\nwhatever = 1"),
        ["molt.toml:2: version: format 2 is not supported by this version: it reads format 1"]
    );
    assert_eq!(
        findings("version = '1'"),
        ["molt.toml:1: version: expected a whole number, found a string"]
    );
    let ours = env!("CARGO_PKG_VERSION");
    for newer in ["9", "0.99", "0.1.999"] {
        expect(
            &format!("requires = '{newer}'"),
            &[&format!("molt.toml:2: requires: version {newer} is needed, this program is {ours}")],
        );
    }
    for no_version in ["", "1.", "v1", "1.2.3.4", "+1", "99999999999999999999"] {
        expect(
            &format!("requires = '{no_version}'"),
            &[&format!("molt.toml:2: requires: `{no_version}` is no version such as 0.1")],
        );
    }
}

#[test]
fn values_have_their_types() {
    expect(
        "case = true\nopen = 'logs/**'\nscope = 1",
        &[
            "molt.toml:2: case: expected a string, found a boolean",
            "molt.toml:3: open: expected an array, found a string",
            "molt.toml:4: scope: expected a table, found an integer",
        ],
    );
    expect(
        "gate = []\n[scope.a]\npaths = [\n  'a',\n  7,\n]\ncarve = 'yes'\ntests = [1.5]",
        &[
            "molt.toml:2: gate: expected a table, found an array",
            "molt.toml:6: scope.a.paths: expected a string, found an integer",
            "molt.toml:8: scope.a.carve: expected true or false, found a string",
            "molt.toml:9: scope.a.tests: expected a string, found a float",
        ],
    );
    expect(
        "scope.a = 1\n[gate]\nlint = 'x'\n[gate.b]\nrun = 'x'\nenv = { A = 1 }",
        &[
            "molt.toml:2: scope.a: expected a table, found an integer",
            "molt.toml:4: gate.lint: expected a table, found a string",
            "molt.toml:7: gate.b.env.A: expected a string, found an integer",
        ],
    );
}

#[test]
fn scopes_are_sound() {
    expect(
        "open = ['/logs']\n[scope.a]\npaths = ['a/**', 'b/', 'x[']\nrisk = 'hihg'\nmax = 'soon'",
        &[
            "molt.toml:2: open: pattern `/logs` is invalid at character 1: \
             a leading `/`: patterns start at the root anyway",
            "molt.toml:4: scope.a.paths: pattern `b/` is invalid at character 2: \
             a trailing `/`: `/**` is everything below a directory",
            "molt.toml:4: scope.a.paths: pattern `x[` is invalid at character 2: \
             the set is not closed by `]`",
            "molt.toml:5: scope.a.risk: `hihg` is not one of low, med, high, did you mean `high`?",
            "molt.toml:6: scope.a.max: `soon` is no duration such as 90s or 2h: \
             expected number at 0",
        ],
    );
    expect(
        "[scope.Docs]\npaths = ['a']\n[scope.empty]\n[scope.parent]\n[scope.'parent/x']\npaths = ['/']",
        &[
            "molt.toml:2: scope.Docs: scope name `Docs` is invalid at character 1: \
             a component starts with a-z or 0-9, not 'D'",
            "molt.toml:4: scope.empty: scope `empty` has no paths and no child with the same reach",
            "molt.toml:7: scope.\"parent/x\".paths: pattern `/` is invalid at character 1: \
             a leading `/`: patterns start at the root anyway",
        ],
    );
    expect(
        "case = 'insensitve'\n[scope.a]\npaths = ['a']\nmax = '0s'\ntests = ['']",
        &[
            "molt.toml:2: case: `insensitve` is not one of sensitive, insensitive, \
             did you mean `insensitive`?",
            "molt.toml:5: scope.a.max: `0s` is less than a millisecond",
            "molt.toml:6: scope.a.tests: is empty",
        ],
    );
}

#[test]
fn gates_are_sound() {
    expect(
        "[gate.lint]\ntimeout = '0s'\nmemory = '4 potatoes'\nminimum = 0\npool = 'crago'\n\
         [pool.cargo]\nslots = 0\n[pool.empty]",
        &[
            "molt.toml:2: gate.lint.run: missing: write run = \"the command line\"",
            "molt.toml:3: gate.lint.timeout: `0s` is less than a millisecond",
            "molt.toml:4: gate.lint.memory: `4 potatoes` is no amount of memory such as 512MB or 4GiB",
            "molt.toml:5: gate.lint.minimum: 0 is not from 1 to 4294967295",
            "molt.toml:6: gate.lint.pool: there is no pool `crago`, did you mean `cargo`?",
            "molt.toml:8: pool.cargo.slots: 0 is not from 1 to 4294967295",
            "molt.toml:9: pool.empty.slots: missing: write slots = 1",
        ],
    );
    expect(
        "[gate.scope]\nrun = ' '\nminimum = 2\ninputs = []\ncompare = 'bse'\n\
         env = { 'A-B' = '1', 1A = 'x', OK = \"\\u0000\" }",
        &[
            "molt.toml:2: gate.scope: `scope` is a gate that the coordinator decides itself",
            "molt.toml:3: gate.scope.run: is empty",
            "molt.toml:4: gate.scope.minimum: an exit code is one result, so more never come",
            "molt.toml:5: gate.scope.inputs: `inputs` is not supported by this version",
            "molt.toml:6: gate.scope.compare: `bse` is not one of base, did you mean `base`?",
            "molt.toml:7: gate.scope.env.1A: \"1A\" is no name of a variable: \
             use letters, digits and _",
            "molt.toml:7: gate.scope.env.A-B: \"A-B\" is no name of a variable: \
             use letters, digits and _",
            "molt.toml:7: gate.scope.env.OK: has a NUL character",
        ],
    );
    expect(
        "[gate.'a b']\nrun = 'x'\nresult = 'junit:../x'\ninputs = ['a**']",
        &["molt.toml:2: gate.\"a b\": gate name `a b` has ' ' at byte 1: \
             use letters, digits and . _ - @ # : / + = { }"],
    );
    expect(
        "[gate.a]\nrun = 'x'\nresult = 'junit:../x'\ninputs = ['a**']\nminimum = -1",
        &[
            "molt.toml:4: gate.a.result: result `junit:../x` is not supported: \
             use exit, tap or junit:PATH",
            "molt.toml:5: gate.a.inputs: `inputs` is not supported by this version",
            "molt.toml:6: gate.a.minimum: -1 is not from 1 to 4294967295",
        ],
    );
}

#[test]
fn what_is_required_exists() {
    expect(
        "[gate.lint]\nrun = 'x'\n[merge]\nrequired = [\n  'lnit',\n  'scop',\n  'policy',\n  'lint',\n  'lint',\n]",
        &[
            "molt.toml:6: merge.required: there is no gate `lnit`, did you mean `lint`?",
            "molt.toml:7: merge.required: there is no gate `scop`, did you mean `scope`?",
            "molt.toml:8: merge.required: there is no gate `policy`",
            "molt.toml:10: merge.required: names `lint` twice",
        ],
    );
    // A faulty gate is still a gate: its name is not told a second time.
    expect(
        "[gate.lint]\n[merge]\nrequired = ['lint']",
        &["molt.toml:2: gate.lint.run: missing: write run = \"the command line\""],
    );
}

#[test]
fn what_is_no_text_or_too_much_of_it_is_refused() {
    let told = |bytes: &[u8]| read_bytes(bytes).expect_err("no policy")[0].to_string();
    assert_eq!(told(b"version = 1\n# \xff\n"), "molt.toml:2: the text is not UTF-8");
    let long = format!("version = 1\n#{}", "x".repeat(MAX_BYTES));
    assert_eq!(
        told(long.as_bytes()),
        format!("molt.toml:1: {} bytes are more than {MAX_BYTES}", MAX_BYTES + 13)
    );
    let deep = format!("version = 1\nopen = {}", "[".repeat(100_000));
    assert!(!findings(&deep).is_empty());
}
