//! The story of `molt-agent`: what each of its commands is asked, in this order.

use super::row::{Step, say};
use super::world::World;
use crate::harness::until;

/// Commands that never refuse.
pub(super) const ALWAYS: &[(&str, &str)] = &[
    ("job ls", "it lists a folder of this machine, which may be empty"),
    ("prime", "a start goes on whatever is wrong, and is told so"),
];

/// Commands whose success is shown elsewhere.
pub(super) const ELSEWHERE: &[(&str, &str)] =
    &[("gate retry", "a gate must have been interrupted before; see daemons")];

/// A payload of Claude Code, as in `agent/src/guard/fixtures`, where a place is filled in.
const CLAUDE: &str = r#"{ "session_id": "3f0c7a9e", "transcript_path": "/tmp/t.jsonl",
    "cwd": "{here}/work-ann", "permission_mode": "default", "hook_event_name": "PreToolUse",
    "tool_name": "Write", "tool_input": { "file_path": "{here}/work-ann/src/a.c", "content": "x" },
    "tool_use_id": "toolu_01" }"#;

pub(super) const STORY: &[Step] = &[
    // Who one is.
    say("ann", "join", 0),
    say("ann", "join", 0),
    say("nobody", "join", 2),
    say("bob", "join", 0),
    say("cyd", "join", 0),
    say("ann", "status", 0),
    say("ann", "status --fleet", 0),
    say("ann", "stats", 2).means("status"),
    say("ann", "status --flet", 2).means("--fleet"),
    say("ann", "status --repo mian", 3),
    say("ann", "prime", 0),
    say("nobody", "prime", 0),
    // The map.
    say("ann", "scopes", 0),
    say("ann", "scopes --repo mian", 3),
    say("ann", "scopes list", 0),
    say("ann", "scopes list --repo mian", 3),
    say("ann", "scopes show src", 0),
    say("ann", "scopes show scr", 3).means("src"),
    say("ann", "scopes of src/a.c docs/a.md", 0),
    say("ann", "scopes of ../elsewhere", 2),
    say("ann", "scopes free", 0),
    say("ann", "scopes free --repo mian", 3),
    // Claims.
    say("ann", "claim docs --why 'mend the manual'", 0),
    say("ann", "claim docs", 0),
    say("bob", "claim docs src", 4),
    say("bob", "why {ref}", 0),
    say("bob", "why ref_zzzz", 3),
    say("bob", "claim dosc", 3).means("docs"),
    say("bob", "claim docs --wiat 3m", 2).means("--wait"),
    say("bob", "claim docs --wait 50ms", 5),
    say("bob", "release", 0),
    say("ann", "extend --for 5m", 0),
    say("ann", "claim src --max 10m --risk high --tests 'make test'", 0),
    say("ann", "extend src --for 30m", 0),
    say("ann", "extend scr --for 30m", 3).means("src"),
    say("ann", "narrow src --to docs", 2),
    say("ann", "narrow scr --to src/vm", 3).means("src"),
    say("ann", "narrow src --to src/vm", 0),
    say("ann", "why {clm}", 0),
    say("ann", "release dosc", 3).means("docs"),
    say("ann", "release src/vm --outcome dropped", 0),
    say("ann", "release --outcome don", 2).means("done"),
    say("ann", "scopes", 0),
    say("bob", "accept", 3),
    say("ann", "claim src", 0),
    say("ann", "handoff src --to bbo", 3).means("bob"),
    say("ann", "handoff scr --to bob", 3).means("src"),
    say("ann", "handoff src --to bob --note 'half done'", 0),
    say("bob", "accept src", 0),
    say("bob", "release src", 0),
    say("cyd", "claim --path 'docs/a*'", 4),
    say("cyd", "claim --path '/docs'", 2),
    say("cyd", "claim --path 'loose/**'", 0),
    say("cyd", "extend --path 'loose/*' --for 30m", 3).means("loose/**"),
    say("cyd", "claim --path 'loose/**' --max 10m", 0),
    say("cyd", "extend --path 'loose/**' --for 30m", 0),
    say("cyd", "handoff --path 'loose/*' --to bob", 3).means("loose/**"),
    say("cyd", "handoff --path 'loose/**' --to bob", 0),
    say("cyd", "handoff --path 'loose/**' --withdraw", 0),
    say("cyd", "release --path 'loose/**'", 0),
    // The guard.
    Step::Do(snapshot_is_there),
    say("ann", "check docs/a.md", 0),
    say("ann", "check src/a.c", 9),
    say("bob", "check docs/a.md", 4),
    say("nobody", "check docs/a.md", 2),
    say("ann", "check --hook claude", 2).told(CLAUDE),
    say("ann", "check --hook claude", 2).told("no payload"),
    say("ann", "hooks install --dry-run", 0),
    say("ann", "hooks install", 0),
    say("ann", "hooks install", 0),
    say("nobody", "hooks install", 2),
    say("ann", "hooks status", 0),
    say("nobody", "hooks status", 2),
    say("ann", "hooks remove", 0),
    say("nobody", "hooks remove", 2),
    say("ann", "announce --files docs/a.md --tests 'make docs' --note 'only wording'", 0),
    say("nobody", "announce --files docs/a.md", 2),
    // What one is told.
    say("ann", "send bob 'docs will be mended by noon'", 0),
    say("ann", "send bbo 'are you there?'", 3).means("bob"),
    say("bob", "inbox --peek", 0),
    say("bob", "inbox", 0),
    say("bob", "inbox", 12),
    // What happened.
    say("ann", "events --from oldest --limit 1", 0),
    say("ann", "events --from soon", 2),
    say("bob", "events --follow --cursor notes", 0).served(has_said_something),
    // Tasks.
    say("ann", "next", 12),
    say("ann", "task list", 0),
    say("ann", "task add 'mend the barrier' --scope src/vm --accept 'gc passes' --priority 5", 0),
    say("ann", "task add 'mend it' --scope dosc", 3).means("docs"),
    say("ann", "task add 'mend it' --need tsk_zzzz", 3),
    say("ann", "task list", 0),
    say("ann", "task list --repo mian", 3),
    say("ann", "task ready", 0),
    say("ann", "task ready --repo mian", 3),
    say("ann", "task show {tsk}", 0),
    say("ann", "task show tsk_zzzz", 3),
    say("ann", "next", 0),
    say("bob", "task done {tsk}", 4),
    say("ann", "report running 'the barrier is in' --output logs/gc.log --next 'test it'", 0),
    say("ann", "report running 'the barrier is in' --next 'test it'", 2),
    say("ann", "report running it --output none --next none --task tsk_zzzz", 3),
    say("bob", "report running it --output none --next none --task {tsk}", 6),
    Step::Do(reports),
    say("ann", "report --full {here}/full.md", 0),
    say("ann", "task show {tsk}", 0),
    say("ann", "task show {tsk} --full", 0),
    say("ann", "report --full {here}/short.md", 2),
    say("ann", "task block --reason 'which format is meant?'", 0),
    say("ann", "task show {tsk}", 0),
    say("ann", "report done 'all of it' --output none --next none --task {tsk}", 6),
    say("ann", "task block --reason 'again'", 9),
    say("bob", "task add 'say it' --scope src", 0),
    say("bob", "next", 0),
    say("bob", "task done", 0),
    say("bob", "task done", 9),
    say("bob", "task add 'drop it'", 0),
    say("bob", "next", 0),
    say("bob", "task fail --reason 'rests on what is gone'", 0),
    say("bob", "task fail --reason 'again'", 9),
    say("ann", "task new barrier", 0),
    say("ann", "task new ../barrier", 2),
    say("ann", "task new barrier", 0),
    Step::Do(plans),
    say("ann", "task import {here}/plan.toml --dry-run", 0),
    say("ann", "task import {here}/plan.toml", 0),
    say("ann", "task import {here}/faulty.toml", 2),
    // Wrapped commands.
    say("ann", "lock run diff -- echo locked", 0).passes(),
    say("ann", "lock run diff -- sh -c 'exit 7'", 7).passes(),
    say("ann", "lock ls", 0),
    say("ann", "lock ls --repo mian", 3),
    say("ann", "slot run cargo -- echo slotted", 0).passes(),
    say("ann", "slot run crago -- echo slotted", 125).means("cargo").passes(),
    say("ann", "slot ls", 0),
    say("ann", "slot ls --coordinator 127.0.0.1:1", 10),
    say("ann", "build x --fingerprint 00ff00ff -- echo built", 0).passes(),
    say("ann", "build x --fingerprint 00fe00fe -- sh -c 'exit 3'", 3).passes(),
    say("ann", "job ls", 0),
    say("ann", "job run -- sh -c 'echo begun; exec sleep 600'", 0),
    say("ann", "job run", 2),
    say("ann", "job logs run-zzzz", 125).passes(),
    say("ann", "job attach run-zzzz", 125).passes(),
    say("ann", "job wait run-zzzz", 125).passes(),
    say("ann", "job stop {run}", 0),
    say("ann", "job stop run-zzzz", 3),
    say("ann", "job run -- echo over", 0),
    say("ann", "job attach {run}", 0).passes(),
    say("ann", "job wait {run}", 0).passes(),
    say("ann", "job logs {run}", 0).passes(),
    // The train.
    say("ann", "queue", 0),
    say("ann", "queue --repo mian", 3),
    say("ann", "submit nothing", 3),
    Step::Do(changed),
    say("ann", "submit --wait 30s", 0),
    say("ann", "gate show {car}", 0),
    say("ann", "gate show car_zzzz", 3),
    say("ann", "gate wait {car}", 0),
    say("ann", "gate wait car_zzzz", 3),
    say("ann", "why {car}", 0),
    Step::Do(spoilt),
    say("ann", "submit --wait 30s", 7),
    say("ann", "gate show {car}", 7),
    say("ann", "gate retry {car}", 2),
    say("ann", "queue", 0),
    // The machine, and the end.
    say("other", "daemon", 0).served(daemon_has_its_place),
    say("nobody", "daemon --jobs 2 --job-user nobody-of-this-name", 2),
    say("cyd", "leave --park 1h", 0),
    say("cyd", "claim docs", 6),
    say("cyd", "resume", 0),
    say("nobody", "resume", 2),
    say("cyd", "leave", 0),
    say("nobody", "leave", 2),
    // What others show of this command line.
    say("ann", "man claim", 0),
    say("ann", "man clam", 3).means("claim"),
    say("ann", "completions bash", 0),
    say("ann", "completions bahs", 2).means("bash"),
    say("ann", "schema", 0),
    say("ann", "schema man", 0),
    say("ann", "schema lock run", 9),
    say("ann", "schema clam", 3).means("claim"),
];

/// Waits until the host's snapshot has the claims.
fn snapshot_is_there(world: &mut World<'_>) {
    until("the guard knows of the claim", || {
        let knows = world.agent("ann").run(&["check", "docs/a.md"]).code == 0;
        (knows && world.agent("bob").run(&["check", "docs/a.md"]).code == 4).then_some(())
    });
}

fn reports(world: &mut World<'_>) {
    let full = "## Mend it\n\n### Status\nhalf done\n\n### Summary\n- one store less\n\n\
                ### Files Touched\n- src/vm.c — the barrier\n\n### Tests\n- make test → FAIL\n\n\
                ### Notes\nnone\n\n### Resume\nmake test\n";
    world.file("full.md", full);
    world.file("short.md", &full.replace("### Notes\nnone\n\n", ""));
}

fn plans(world: &mut World<'_>) {
    let plan = "[[task]]\nname = 'one'\ntitle = 'plan it'\nscopes = ['docs']\n\n\
                [[task]]\ntitle = 'then this'\nneeds = ['one']\n";
    world.file("plan.toml", plan);
    world.file("faulty.toml", "[[task]]\ntitle = 'plan more'\nneeds = ['two']\n");
}

fn changed(world: &mut World<'_>) {
    world.commit("ann", &[("docs/a.md", "better\n")], "mend the manual");
}

/// A change that its gate refuses.
fn spoilt(world: &mut World<'_>) {
    world.agent("ann").run(&["claim", "src"]).exits(0);
    world.commit("ann", &[("src/a.c", "TABS\n")], "spoil it");
}

fn has_said_something(_: &World<'_>, said: &str) -> bool {
    !said.is_empty()
}

fn daemon_has_its_place(world: &World<'_>, _said: &str) -> bool {
    world.other.daemon_pid().is_some()
}
