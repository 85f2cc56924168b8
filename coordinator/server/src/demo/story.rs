//! The story, act by act. Each act waits for what it is about, within bounds.

use serde_json::{Value, json};

use super::cast::Agent;
use super::error::DemoError;
use super::recipe::Task;
use super::stage::Stage;
use super::watch::Entry;

/// What was seen beside the watch stream.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What the refused agent was told, and its exit code in the last line.
    pub(super) refusal: String,
    /// What the one build wrote into its journal.
    pub(super) built: String,
    /// In how many worktrees the build's artifact is.
    pub(super) artifacts: usize,
    /// What the runs in slots wrote into their journal.
    pub(super) slots: String,
    /// The claim, its line and its task before the coordinator was killed, and after.
    pub(super) before: Value,
    pub(super) after: Value,
    /// The last entry before the coordinator was killed.
    pub(super) killed_at: u64,
}

/// Plays all acts.
pub(super) fn play(stage: &mut Stage<'_>) -> Result<Notes, DemoError> {
    let mut notes = Notes::default();
    claims(stage, &mut notes)?;
    one_build(stage, &mut notes)?;
    slots(stage, &mut notes)?;
    work(stage)?;
    killed_agent(stage)?;
    killed_coordinator(stage, &mut notes)?;
    Ok(notes)
}

/// One holds a scope, another is refused, waits, and is served.
fn claims(stage: &Stage<'_>, notes: &mut Notes) -> Result<(), DemoError> {
    let (held, free) = stage.recipe.wanted;
    let (watch, bound) = (stage.watch, stage.recipe.patience);
    let mut ann = Agent::start(stage, "ann", "hold.sh", &[held])?;
    watch.event("claimed", 0, bound, |entry| entry.text("name") == "ann")?;
    let report = stage.path("out").join("refused");
    let told = report.display().to_string();
    let bob = Agent::start(stage, "bob", "wait.sh", &[held, free, &told])?;
    notes.refusal =
        watch.wait("bob's refusal", bound, |_| Ok(std::fs::read_to_string(&report).ok()))?;
    for line in notes.refusal.lines().take(2) {
        let (label, text) = line.split_once(' ').unwrap_or((line, ""));
        watch.say(label, text.trim());
    }
    watch.event("queued", 0, bound, |entry| entry.text("name") == "bob")?;
    ann.go()?;
    ann.finish(stage)?;
    bob.finish(stage)
}

/// Three want the same build of the same tree: one runs, two wait and have it too.
fn one_build(stage: &Stage<'_>, notes: &mut Notes) -> Result<(), DemoError> {
    let build = &stage.recipe.build;
    let (watch, bound, after) = (stage.watch, stage.recipe.patience, stage.watch.last());
    let (journal, go) = (stage.path("out").join("built"), stage.path("out").join("build-go"));
    let command = format!(
        "{}; {}",
        held_until(&go.display().to_string(), &journal.display().to_string()),
        build.command
    );
    let arguments = [build.name, build.artifact, &command];
    let names = ["ann", "dan", "eve"];
    let agents = names.map(|name| Agent::start(stage, name, "build.sh", &arguments));
    let is_build = |entry: &Entry| entry.text("line").starts_with(build.name);
    watch.events(("waits", 2), after, bound, is_build)?;
    stage.write("out/build-go", "")?;
    for agent in agents {
        agent?.finish(stage)?;
    }
    notes.built = std::fs::read_to_string(&journal).map_err(DemoError::file(journal))?;
    let there = |name: &&str| stage.worktree(name).join(build.artifact).exists();
    notes.artifacts = names.iter().filter(|name| there(name)).count();
    Ok(())
}

/// Four want a slot of a pool that has fewer.
fn slots(stage: &Stage<'_>, notes: &mut Notes) -> Result<(), DemoError> {
    let (pool, size) = stage.recipe.pool;
    let (watch, bound, after) = (stage.watch, stage.recipe.patience, stage.watch.last());
    let (journal, go) = (stage.path("out").join("slots"), stage.path("out").join("slots-go"));
    let shown = journal.display().to_string();
    let command =
        format!("{}; echo end >>'{shown}'", held_until(&go.display().to_string(), &shown));
    let arguments = [pool, &command];
    // Two of them are one agent in two shells, which is as good as two.
    let agents =
        ["ann", "dan", "eve", "ann"].map(|name| Agent::start(stage, name, "slot.sh", &arguments));
    let is_pool = |entry: &Entry| entry.text("line").contains(pool);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    watch.events(("slot_granted", size), after, bound, |entry| entry.text("pool") == pool)?;
    watch.events(("waits", 4 - size.min(4)), after, bound, is_pool)?;
    // A grant is not a start: the others may begin only when these are seen side by side.
    watch.wait("the first runs", bound, |_| {
        let begun = std::fs::read_to_string(&journal).unwrap_or_default();
        Ok((begun.lines().count() >= size).then_some(()))
    })?;
    stage.write("out/slots-go", "")?;
    for agent in agents {
        agent?.finish(stage)?;
    }
    notes.slots = std::fs::read_to_string(&journal).map_err(DemoError::file(journal))?;
    let ended = notes.slots.lines().filter(|line| *line == "end").count();
    watch.say("slots", &format!("{ended} runs, at most {} at once", most_at_once(&notes.slots)));
    Ok(())
}

/// A command that says that it began, and is held until a file is there, within bounds.
fn held_until(go: &str, journal: &str) -> String {
    format!(
        "echo begin >>'{journal}'; n=0; \
         until test -e '{go}' || test $n -gt 600; do n=$((n + 1)); sleep 0.1; done"
    )
}

/// How many runs a journal shows at once.
pub(super) fn most_at_once(journal: &str) -> u64 {
    let (mut now, mut most) = (0_u64, 0);
    for line in journal.lines() {
        now = if line == "begin" { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

/// Tasks are handed out by scope; their changes land or are refused.
fn work(stage: &Stage<'_>) -> Result<(), DemoError> {
    let plan = stage.recipe.plan;
    add_tasks(stage, "plan", plan)?;
    stage.watch.say("tasks", &format!("{} added by pam", plan.len()));
    let after = stage.watch.last();
    let stop = stage.path("out").join("work-stop");
    let workers =
        ["ann", "bob", "cyd"].map(|name| worker(stage, name, &stop.display().to_string(), &[]));
    for ended in 1..=plan.len() {
        // One after another, so that the bound is for each of them.
        stage.watch.events(("task_ended", ended), after, stage.recipe.patience, |_| true)?;
    }
    stage.write("out/work-stop", "")?;
    workers.into_iter().try_for_each(|worker| worker?.finish(stage))
}

fn add_tasks(stage: &Stage<'_>, name: &str, tasks: &[Task]) -> Result<(), DemoError> {
    let lines: String = tasks.iter().map(Task::line).collect();
    let plan = stage.write(&format!("out/{name}"), &lines)?;
    let plan = plan.display().to_string();
    Agent::start(stage, "pam", "plan.sh", &[&plan])?.finish(stage)
}

fn worker(
    stage: &Stage<'_>,
    name: &'static str,
    stop: &str,
    more: &[&str],
) -> Result<Agent, DemoError> {
    let mind = stage.path("agents").join("mind.sh").display().to_string();
    let arguments = [&[mind.as_str(), stop], more].concat();
    Agent::start(stage, name, "work.sh", &arguments)
}

/// An agent dies with a task; the task is open again, and another brings it to its end.
fn killed_agent(stage: &Stage<'_>) -> Result<(), DemoError> {
    let (watch, bound, after) = (stage.watch, stage.recipe.patience, stage.watch.last());
    let stop = stage.path("out").join("orphan-stop").display().to_string();
    add_tasks(stage, "orphan", &[stage.recipe.orphaned])?;
    let cyd = worker(stage, "cyd", &stop, &["pause"])?;
    let taken = watch.event("task_taken", after, bound, |entry| entry.text("name") == "cyd")?;
    watch.say("kill -9", &format!("cyd, who has \"{}\"", stage.recipe.orphaned.title));
    cyd.crash()?;
    watch.event("task_returned", after, bound, |entry| entry.text("task") == taken.text("task"))?;
    let bob = worker(stage, "bob", &stop, &[])?;
    watch.event("task_ended", after, bound, |entry| entry.text("task") == taken.text("task"))?;
    stage.write("out/orphan-stop", "")?;
    bob.finish(stage)
}

/// The coordinator dies while a claim is held, one waits for it, and a change is on its way.
fn killed_coordinator(stage: &mut Stage<'_>, notes: &mut Notes) -> Result<(), DemoError> {
    let (watch, bound, after) = (stage.watch, stage.recipe.patience, stage.watch.last());
    let stop = stage.path("out").join("crash-stop").display().to_string();
    let held = stage.recipe.held;
    add_tasks(stage, "held", &[held])?;
    let mut ann = worker(stage, "ann", &stop, &["pause"])?;
    let taken = watch.event("task_taken", after, bound, |entry| entry.text("name") == "ann")?;
    let report = stage.path("out").join("refused-again").display().to_string();
    let bob = Agent::start(stage, "bob", "wait.sh", &[held.scope, held.scope, &report])?;
    watch.event("queued", after, bound, |entry| entry.text("name") == "bob")?;
    notes.before = standing(stage, held.scope, taken.text("task"))?;
    add_tasks(stage, "flying", &[stage.recipe.flying])?;
    let cyd = worker(stage, "cyd", &stop, &[])?;
    let made = watch.event("candidate_made", after, bound, |_| true)?;
    stage.crash_coordinator();
    notes.killed_at = watch.last();
    let car = made.text("car");
    watch.say("kill -9", &format!("the coordinator, with {car} in the train and bob in line"));
    stage.serve()?;
    notes.after = standing(stage, held.scope, taken.text("task"))?;
    watch.say("serving", &format!("again; {} still has {}", "ann", held.scope));
    watch.event("landed", after, bound, |entry| entry.text("car") == car)?;
    ann.go()?;
    watch.event("task_ended", after, bound, |entry| entry.text("task") == taken.text("task"))?;
    stage.write("out/crash-stop", "")?;
    for agent in [ann, bob, cyd] {
        agent.finish(stage)?;
    }
    Ok(())
}

/// How a scope and a task stand: who has them, by which grant, and who waits.
fn standing(stage: &Stage<'_>, scope: &str, task: &str) -> Result<Value, DemoError> {
    let scopes = stage.ask(&["scopes", "list"])?;
    let tasks = stage.ask(&["task", "list"])?;
    let find = |list: &Value, key: &str, name: &str| {
        let found = list.as_array().into_iter().flatten().find(|item| item[key] == name);
        found.cloned().unwrap_or_default()
    };
    let scope = find(&scopes["scopes"], "name", scope);
    let task = find(tasks.get("tasks").unwrap_or(&tasks), "id", task);
    let claim = &scope["claim"];
    Ok(json!({
        "claim": claim["id"], "holder": claim["holder"], "fence": claim["fence"],
        "waiting": scope["waiting"], "task": task["id"], "state": task["state"],
    }))
}
