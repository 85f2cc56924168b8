//! Real outputs of real tools, and every trap as a row.

use std::path::PathBuf;

use super::*;
use crate::run::record::{Ending, Moment};
use crate::run::{Argv, LogLine, RunId, RunSpec};

/// A run of `sh -c x` in a place of its own.
struct Bench {
    folder: tempfile::TempDir,
    run: RunFolder,
    spec: RunSpec,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let argv = Argv::try_from(["sh", "-c", "x"].map(str::to_owned).to_vec()).unwrap();
        let phase = "gate".parse().unwrap();
        let log = folder.path().join("gate.log");
        let spec = RunSpec::new(RunId::fresh(), argv, folder.path().into(), log, phase);
        let run = RunFolder::create(&folder.path().join("state"), &spec).unwrap();
        std::fs::create_dir(folder.path().join("tree")).unwrap();
        Self { folder, run, spec }
    }

    fn checkout(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn log(&self, stream: &str, text: &str) {
        let line = |text| format!("2026-01-01T00:00:00.000Z gate {stream} {text}\n");
        let lines: String = text.lines().map(line).collect();
        assert!(lines.lines().all(|line| LogLine::parse(line).is_some()));
        let before = std::fs::read_to_string(&self.spec.log).unwrap_or_default();
        std::fs::write(&self.spec.log, before + &lines).unwrap();
    }

    fn find(&self, reader: &str, ending: Ending, minimum: u32) -> v1::Finding {
        let reader = Reader::try_from(reader.to_owned()).unwrap();
        let now = Moment::now();
        let record = ExitRecord::new(&self.spec, &now, &now, ending);
        find(&Ended {
            gate: "unit",
            reader: &reader,
            minimum,
            checkout: &self.checkout(),
            folder: &self.run,
            record: &record,
        })
        .unwrap()
    }
}

fn exit(code: u8) -> Ending {
    let class = if code == 0 { run::Class::Passed } else { run::Class::Failed };
    Ending { status: Status::Exited(code), class, by: None }
}

fn stopped(class: run::Class, by: &str) -> Ending {
    Ending { status: Status::Signaled(15), class, by: Some(by.to_owned()) }
}

/// Class, green items, red items.
fn summary(finding: &v1::Finding) -> (&str, u32, Vec<&str>) {
    assert_eq!(finding.red.len(), finding.red_count as usize);
    (&finding.class, finding.green, finding.red.iter().map(String::as_str).collect())
}

const GREEN_TAP: &str = "TAP version 13\nok 1 - parses\nok 2 - prints\n1..2";

#[test]
fn no_output_turns_a_run_that_did_not_end_by_itself_into_a_pass() {
    let rows = [
        (stopped(run::Class::Timeout, "timeout after 10m"), "timeout"),
        (stopped(run::Class::Oom, "memory of 9 bytes over the limit of 8"), "oom"),
        (stopped(run::Class::Killed, "signal 9 from outside"), "killed"),
        (stopped(run::Class::Deadline, "deadline"), "killed"),
        (stopped(run::Class::Infra, "cannot write the log"), "infra"),
        // The supervisor told it to end and it answered with 0.
        (
            Ending { status: Status::Exited(0), ..stopped(run::Class::Timeout, "timeout") },
            "timeout",
        ),
        (exit(137), "killed"),
        (exit(143), "killed"),
    ];
    for reader in ["tap", "exit", "junit:report.xml"] {
        for (ending, class) in &rows {
            let bench = Bench::new();
            bench.log("stdout", GREEN_TAP);
            std::fs::write(bench.checkout().join("report.xml"), NEXTEST_GREEN).unwrap();
            let finding = bench.find(reader, ending.clone(), 1);
            assert_eq!(summary(&finding), (*class, 0, vec![]), "{reader} {ending:?}");
            let by = ending.by.as_deref().unwrap_or("below the shell");
            assert!(finding.note.contains(by), "{}", finding.note);
        }
    }
}

#[test]
fn the_exit_code_is_one_item_named_after_the_gate() {
    let bench = Bench::new();
    bench.log("stderr", "warning: unused\nerror[E0308]: mismatched types\nerror: aborting");
    assert_eq!(summary(&bench.find("exit", exit(0), 1)), ("passed", 1, vec![]));
    let red = bench.find("exit", exit(101), 1);
    assert_eq!(summary(&red), ("failed", 0, vec!["unit"]));
    assert_eq!((red.exit, red.note.as_str()), (Some(101), "error[E0308]: mismatched types"));
    let crash = Ending { status: Status::Signaled(11), class: run::Class::Failed, by: None };
    let crashed = bench.find("exit", crash, 1);
    assert_eq!((summary(&crashed), crashed.exit), (("failed", 0, vec!["unit"]), None));
    assert_eq!(summary(&bench.find("exit", exit(0), 2)).0, "vacuous");
    assert_eq!(red.log, blake3::hash(&std::fs::read(&bench.spec.log).unwrap()).to_hex().as_str());
    assert_eq!(red.argv, ["sh", "-c", "x"]);
}

/// What it is, the output, the exit code, the minimum, and what is found.
type Row<'a, Output> = (&'a str, Output, u8, u32, (&'a str, u32, Vec<&'a str>));

#[test]
fn tap_and_its_traps() {
    let bats = "1..3\nok 1 addition\nnot ok 2 division in 12ms\n# (in test file t.bats, line 9)\n\
                #   `[ 1 -eq 2 ]' failed\nok 3 later # skip no network";
    let node = "TAP version 13\n# Subtest: outer\n    # Subtest: inner\n    not ok 1 - inner\n    1..1\n\
                not ok 1 - outer\n  ---\n  duration_ms: 1.2\n  ...\n1..1\n# tests 1\n# fail 1";
    let rows: Vec<Row<'_, &str>> = vec![
        ("green", GREEN_TAP, 0, 1, ("passed", 2, vec![])),
        ("bats", bats, 1, 1, ("failed", 1, vec!["division in 12ms"])),
        ("node", node, 1, 1, ("failed", 0, vec!["outer"])),
        ("no numbers", "ok parses\nnot ok - prints\n1..2", 1, 1, ("failed", 1, vec!["prints"])),
        ("todo", "1..2\nnot ok 1 - a # TODO later\nok 2 - b", 0, 1, ("passed", 1, vec![])),
        ("a hash in a name", "1..1\nnot ok 1 - issue #12", 1, 1, ("failed", 0, vec!["issue #12"])),
        (
            "one name twice",
            "1..3\nok 1 - x\nnot ok 2 - x\nnot ok 3",
            1,
            1,
            ("failed", 1, vec!["#3", "x #2"]),
        ),
        ("no plan", "ok 1 - a", 0, 1, ("infra", 0, vec![])),
        ("nothing at all", "compiling", 0, 1, ("vacuous", 0, vec![])),
        ("all skipped", "1..0 # SKIP no database", 0, 1, ("vacuous", 0, vec![])),
        ("only skips", "1..1\nok 1 - a # SKIP", 0, 1, ("vacuous", 0, vec![])),
        ("cut off", "1..3\nok 1 - a\nok 2 - b", 0, 1, ("infra", 0, vec![])),
        ("cut off and red", "1..3\nok 1 - a\nnot ok 2 - b", 1, 1, ("infra", 0, vec![])),
        ("more than planned", "1..1\nok 1 - a\nok 2 - b", 0, 1, ("infra", 0, vec![])),
        ("a number twice", "1..2\nok 1 - a\nok 1 - b", 0, 1, ("infra", 0, vec![])),
        ("a forged line", "1..2\nok 1 - a\nok 2 - b\nok 2 - b", 0, 1, ("infra", 0, vec![])),
        ("two plans", "1..1\nok 1 - a\n1..1", 0, 1, ("infra", 0, vec![])),
        ("bail out", "1..2\nok 1 - a\nok 2 - b\nBail out! no disk", 0, 1, ("infra", 0, vec![])),
        ("red and exit 0", "1..1\nnot ok 1 - a", 0, 1, ("infra", 0, vec!["a"])),
        ("green and exit 1", GREEN_TAP, 1, 1, ("vacuous", 2, vec![])),
        ("too few", GREEN_TAP, 0, 3, ("vacuous", 2, vec![])),
        ("too few and red", "1..1\nnot ok 1 - a", 1, 3, ("vacuous", 0, vec!["a"])),
        ("other words", "okay\nnot okay\nok: 5\n1..x", 0, 0, ("vacuous", 0, vec![])),
        ("a huge number", "1..1\nok 99999999999999999999999 - a", 0, 1, ("passed", 1, vec![])),
    ];
    for (name, output, code, minimum, expected) in rows {
        let bench = Bench::new();
        bench.log("stdout", output);
        let finding = bench.find("tap", exit(code), minimum);
        assert_eq!(summary(&finding), expected, "{name}: {}", finding.note);
        assert_eq!(finding.note.is_empty(), finding.class == "passed", "{name}: {}", finding.note);
    }
}

#[test]
fn tap_on_standard_error_is_no_tap() {
    let bench = Bench::new();
    bench.log("stderr", GREEN_TAP);
    assert_eq!(summary(&bench.find("tap", exit(0), 1)).0, "vacuous");
}

const NEXTEST_GREEN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="2" failures="0" errors="0" uuid="x" time="0.02">
    <testsuite name="molt-runtime" tests="2" disabled="0" errors="0" failures="0">
        <testcase name="vm::adds" classname="molt-runtime" time="0.006"></testcase>
        <testcase name="vm::flaky" classname="molt-runtime" time="0.006">
            <flakyFailure message="x" type="test failure"><stackTrace>boom</stackTrace></flakyFailure>
        </testcase>
    </testsuite>
</testsuites>"#;

const PYTEST: &str = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite
name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.05" hostname="h"><testcase
classname="tests.test_a" name="test_ok[a&amp;b]" time="0.001" /><testcase classname="tests.test_a"
name="test_red" time="0.001"><failure message="assert 1 == 2&#10;">def test_red(): &lt;x&gt;</failure>
</testcase><testcase classname="tests.test_a" name="test_error"><error message="failed on setup">E
</error></testcase><testcase classname="tests.test_a" name="test_skip"><skipped type="pytest.skip"
message="no net">x</skipped></testcase></testsuite></testsuites>"#;

const GTEST: &str = r#"<testsuites tests="3" failures="1" disabled="1" errors="0" name="AllTests">
<testsuite name="Gc" tests="3" failures="1" disabled="1" errors="0">
<testcase name="Marks" status="run" result="completed" classname="Gc"/>
<testcase name="DISABLED_Sweeps" status="notrun" result="suppressed" classname="Gc"/>
<testcase name="Moves" status="run" result="completed" classname="Gc">
<failure message="gc.cc:9&#x0A;Expected 1" type=""><![CDATA[gc.cc:9 </testcase> <testcase name="x"/>]]></failure>
<failure message="again" type=""/></testcase></testsuite></testsuites>"#;

#[test]
fn junit_and_its_traps() {
    let pytest_red = vec!["tests.test_a::test_error", "tests.test_a::test_red"];
    let one = |attributes: &str, inside: &str| {
        format!("<testsuite name='s' {attributes}>{inside}</testsuite>")
    };
    let case = "<testcase name='a'/>";
    let red = "<testcase name='a'><failure/></testcase>";
    let twice = format!("{case}{red}");
    let rows: Vec<Row<'_, String>> = vec![
        ("nextest", NEXTEST_GREEN.into(), 0, 2, ("passed", 2, vec![])),
        ("pytest", PYTEST.into(), 1, 3, ("failed", 1, pytest_red)),
        ("gtest", GTEST.into(), 1, 2, ("failed", 1, vec!["Gc::Moves"])),
        ("disabled is no result", GTEST.into(), 1, 3, ("vacuous", 1, vec!["Gc::Moves"])),
        ("suite name", one("tests='1'", red), 1, 1, ("failed", 0, vec!["s::a"])),
        ("red once is red", one("", &twice), 1, 1, ("failed", 0, vec!["s::a"])),
        (
            "only skipped",
            one("", "<testcase name='a'><skipped/></testcase>"),
            0,
            1,
            ("vacuous", 0, vec![]),
        ),
        ("empty suite", one("tests='0'", ""), 0, 1, ("vacuous", 0, vec![])),
        ("lost its tests", one("tests='2'", case), 0, 1, ("infra", 0, vec![])),
        ("lost its failures", one("tests='1' failures='1'", case), 1, 1, ("infra", 0, vec![])),
        (
            "red by a word",
            one("", "<testcase name='a' status='failed'/>"),
            1,
            1,
            ("failed", 0, vec!["s::a"]),
        ),
        ("breaks off", one("", case).replace("</testsuite>", ""), 0, 1, ("infra", 0, vec![])),
        ("breaks off in a tag", NEXTEST_GREEN[..300].into(), 0, 1, ("infra", 0, vec![])),
        (
            "crossed",
            "<testsuite><testcase name='a'></testsuite></testcase>".into(),
            0,
            1,
            ("infra", 0, vec![]),
        ),
        ("another root", "<html><testcase name='a'/></html>".into(), 0, 1, ("infra", 0, vec![])),
        (
            "no suite",
            "<testsuites><testcase name='a'/></testsuites>".into(),
            0,
            1,
            ("infra", 0, vec![]),
        ),
        ("empty file", String::new(), 0, 1, ("infra", 0, vec![])),
        ("no XML", "all tests passed".into(), 0, 1, ("infra", 0, vec![])),
        (
            "entities",
            format!("<!DOCTYPE x [<!ENTITY a 'b'>]>{}", one("", case)),
            0,
            1,
            ("infra", 0, vec![]),
        ),
        ("unknown entity", one("", "<testcase name='&a;'/>"), 0, 1, ("infra", 0, vec![])),
        ("no count", one("tests='many'", case), 0, 1, ("infra", 0, vec![])),
        ("red and exit 0", one("", red), 0, 1, ("infra", 0, vec!["s::a"])),
        ("green and exit 1", one("", case), 1, 1, ("vacuous", 1, vec![])),
    ];
    for (name, report, code, minimum, expected) in rows {
        let bench = Bench::new();
        std::fs::write(bench.checkout().join("report.xml"), report).unwrap();
        let finding = bench.find("junit:report.xml", exit(code), minimum);
        assert_eq!(summary(&finding), expected, "{name}: {}", finding.note);
    }
}

#[test]
fn where_a_report_says_that_a_case_is_is_kept_for_what_is_red() {
    let bench = Bench::new();
    let inside = bench.checkout().join("src/b.rs").display().to_string();
    let case = |name: &str, at: &str, inside: &str| {
        format!("<testcase name='{name}' {at}>{inside}</testcase>")
    };
    let failure = "<failure message='1 &lt; 0'/><failure message='again'/>";
    let cases = [
        case("green", "file='src/a.rs' line='1'", ""),
        case("red", "file='src/a.rs' line='7'", failure),
        case("whole", &format!("file='{inside}' line='9'"), "<error/>"),
        case("out", "file='/etc/passwd' line='1'", "<failure/>"),
        case("no line", "file='src/a.rs' line='x'", "<failure/>"),
        case("odd words", "file='src/c.rs' line='2'", "<failure message='&nothing;'/>"),
    ];
    let report = format!("<testsuite name=''>{}</testsuite>", cases.concat());
    std::fs::write(bench.checkout().join("report.xml"), report).unwrap();
    let finding = bench.find("junit:report.xml", exit(1), 1);
    assert_eq!(summary(&finding).0, "failed", "{}", finding.note);
    let places: Vec<_> =
        finding.places.iter().map(|it| (&*it.item, &*it.path, it.line, &*it.says)).collect();
    let expected = [
        ("odd words", "src/c.rs", 2, ""),
        ("red", "src/a.rs", 7, "1 < 0"),
        ("whole", "src/b.rs", 9, ""),
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_report_is_of_this_run_and_of_this_checkout() {
    let bench = Bench::new();
    let missing = bench.find("junit:out/report.xml", exit(0), 1);
    assert_eq!(summary(&missing).0, "vacuous");
    assert_eq!(missing.note, "no report at out/report.xml, exit code 0");

    let report = bench.checkout().join("report.xml");
    std::fs::write(&report, NEXTEST_GREEN).unwrap();
    assert_eq!(summary(&bench.find("junit:report.xml", exit(0), 1)).0, "passed");
    let file = std::fs::File::options().write(true).open(&report).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let stale = bench.find("junit:report.xml", exit(0), 1);
    assert_eq!(summary(&stale).0, "vacuous");
    assert!(stale.note.contains("older than the run"), "{}", stale.note);

    let outside = bench.folder.path().join("report.xml");
    std::fs::write(&outside, NEXTEST_GREEN).unwrap();
    std::fs::remove_file(&report).unwrap();
    std::os::unix::fs::symlink(&outside, &report).unwrap();
    let elsewhere = bench.find("junit:report.xml", exit(0), 1);
    assert_eq!(summary(&elsewhere).0, "infra");
    assert!(elsewhere.note.contains("leads out of"), "{}", elsewhere.note);
}

#[test]
fn a_finding_fits_its_record() {
    let bench = Bench::new();
    let many: String = (1..=900).map(|n| format!("not ok {n} - {}\n", "n".repeat(n))).collect();
    bench.log("stdout", &format!("1..900\n{many}"));
    let finding = bench.find("tap", exit(1), 1);
    assert_eq!((finding.class.as_str(), finding.red_count), ("failed", 900));
    assert!(finding.red.len() <= MAX_RED);
    assert!(finding.red.iter().map(String::len).sum::<usize>() <= RED_BYTES);
    assert!(finding.note.len() <= LONGEST_NOTE);
    let long = not_run(&["sh".into(), "-c".into(), "é".repeat(5000)], "no\nremote");
    assert_eq!((long.class.as_str(), long.note.as_str()), ("infra", "no remote"));
    assert!(long.argv.iter().map(String::len).sum::<usize>() <= ARGV_BYTES);
    let command = v1::EndJob { job: "job_0001".into(), attempt: 1, finding: Some(finding) };
    assert!(molt_domain::board::Command::try_from(command).is_ok());
}
