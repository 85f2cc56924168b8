//! Git's hooks: short scripts that call what was there before, then this program.
//!
//! A hook that was there is kept beside as `NAME.before-molt`. A script is ours
//! only if it is byte for byte what some version at some place would write.

use std::path::Path;

use super::{Obstacle, Plan, Standing, Step, read};
use crate::error::Error;

/// The hooks that are installed, each with the program's arguments in it.
pub const HOOKS: [(&str, &str); 3] = [
    ("pre-commit", "check --hook git"),
    ("commit-msg", "hooks trailer \"$1\""),
    ("pre-push", "check --hook git --pushed"),
];

/// What the kept hook is called after.
const KEPT: &str = "before-molt";

/// The script of the hook `name` for the program `molt`, a word of the shell.
fn script(name: &str, arguments: &str, molt: &str) -> String {
    let call = match name {
        // Both read what is pushed.
        "pre-push" => format!(
            "pushed=$(cat; printf .)\n\
             if [ -x \"$before\" ]; then\n    \
             printf '%s' \"${{pushed%.}}\" | \"$before\" \"$@\" || exit $?\n\
             fi\n\
             printf '%s' \"${{pushed%.}}\" | \"$molt\" {arguments}\n"
        ),
        _ => format!(
            "if [ -x \"$before\" ]; then\n    \
             \"$before\" \"$@\" || exit $?\n\
             fi\n\
             exec \"$molt\" {arguments}\n"
        ),
    };
    format!(
        "#!/bin/sh\n\
         # {name} by molt-agent; `molt-agent hooks remove` brings back what was here before.\n\
         molt={molt}\n\
         before=\"$0.{KEPT}\"\n{call}"
    )
}

/// How the text of a hook stands to the program `molt`.
fn standing(name: &str, arguments: &str, molt: &str, text: Option<&str>) -> Standing {
    let Some(text) = text else { return Standing::Absent };
    if text == script(name, arguments, molt) {
        return Standing::Installed;
    }
    let other = text.lines().nth(2).and_then(|line| line.strip_prefix("molt="));
    match other {
        Some(other) if text == script(name, arguments, other) => Standing::Outdated,
        _ => Standing::Foreign,
    }
}

/// How each hook of the folder `hooks` stands to the program `molt`.
pub fn status(hooks: &Path, molt: &str) -> Result<Vec<(&'static str, Standing)>, Error> {
    let stands = |(name, arguments)| {
        let text = read(&hooks.join(name))?;
        Ok((name, standing(name, arguments, molt, text.as_deref())))
    };
    HOOKS.into_iter().map(stands).collect()
}

/// What installs the hooks in the folder `hooks`.
pub fn install(hooks: &Path, molt: &str) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    for (name, arguments) in HOOKS {
        let path = hooks.join(name);
        let kept = hooks.join(format!("{name}.{KEPT}"));
        let mut seen = read(&path)?;
        match standing(name, arguments, molt, seen.as_deref()) {
            Standing::Installed => continue,
            Standing::Absent | Standing::Outdated => {}
            Standing::Foreign if is_ours_edited(seen.as_deref()) => {
                return Err(obstacle(&Obstacle::Edited(path.display().to_string())));
            }
            Standing::Foreign if read(&kept)?.is_some() => {
                return Err(obstacle(&Obstacle::TwoHooks(path.display().to_string())));
            }
            Standing::Foreign => {
                plan.steps.push(Step::Rename { from: path.clone(), to: kept, replaces: None });
                seen = None;
            }
        }
        let text = script(name, arguments, molt);
        plan.steps.push(Step::Write { path, new: text.clone(), text, mode: 0o755, seen });
    }
    Ok(plan)
}

/// What removes the hooks from the folder `hooks` and brings back the former ones.
pub fn remove(hooks: &Path, molt: &str) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    for (name, arguments) in HOOKS {
        let path = hooks.join(name);
        let kept = hooks.join(format!("{name}.{KEPT}"));
        let (seen, before) = (read(&path)?, read(&kept)?);
        match (standing(name, arguments, molt, seen.as_deref()), seen, before) {
            (Standing::Foreign, seen, _) if is_ours_edited(seen.as_deref()) => {
                return Err(obstacle(&Obstacle::Edited(path.display().to_string())));
            }
            // Somebody put their own in its place since: what they did stands.
            (Standing::Foreign, ..) => {}
            (_, seen, Some(_)) => {
                plan.steps.push(Step::Rename { from: kept, to: path, replaces: seen });
            }
            (_, Some(seen), None) => plan.steps.push(Step::Remove { path, seen }),
            (_, None, None) => {}
        }
    }
    Ok(plan)
}

/// Whether a hook began as one of ours.
fn is_ours_edited(text: Option<&str>) -> bool {
    let second = text.and_then(|text| text.lines().nth(1));
    second.is_some_and(|line| line.contains(" by molt-agent; "))
}

fn obstacle(obstacle: &Obstacle) -> Error {
    Error::Precondition { problem: obstacle.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_state_that_an_install_can_leave_is_gone_on_from_and_undone() {
        let before = "#!/bin/sh\nexit 0\n";
        for done in 0..=4 {
            let hooks = tempfile::tempdir().unwrap();
            fs::write(hooks.path().join("pre-commit"), before).unwrap();
            let mut plan = install(hooks.path(), "'/old/molt-agent'").unwrap();
            assert_eq!(plan.steps.len(), 4, "one hook is kept");
            plan.steps.truncate(done);
            plan.carry_out().unwrap();
            install(hooks.path(), "/bin/molt-agent").unwrap().carry_out().unwrap();
            assert_eq!(install(hooks.path(), "/bin/molt-agent").unwrap(), Plan::default());
            let all = status(hooks.path(), "/bin/molt-agent").unwrap();
            assert!(all.iter().all(|(_, stands)| *stands == Standing::Installed), "{all:?}");
            let mut plan = remove(hooks.path(), "/bin/molt-agent").unwrap();
            plan.steps.truncate(done);
            plan.carry_out().unwrap();
            remove(hooks.path(), "/bin/molt-agent").unwrap().carry_out().unwrap();
            let left: Vec<_> = fs::read_dir(hooks.path()).unwrap().map(|e| e.unwrap()).collect();
            assert_eq!(left.len(), 1, "after {done} steps: {left:?}");
            assert_eq!(fs::read_to_string(hooks.path().join("pre-commit")).unwrap(), before);
        }
    }

    #[test]
    fn what_somebody_did_since_is_not_lost() {
        let hooks = tempfile::tempdir().unwrap();
        let (path, molt) = (hooks.path().join("pre-commit"), "/bin/molt-agent");
        install(hooks.path(), molt).unwrap().carry_out().unwrap();
        let edited = fs::read_to_string(&path).unwrap() + "make lint\n";
        fs::write(&path, &edited).unwrap();
        for refused in [install(hooks.path(), molt), remove(hooks.path(), molt)] {
            assert!(refused.unwrap_err().to_string().contains("was changed after"));
        }
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let removed = remove(hooks.path(), molt).unwrap();
        assert_eq!(removed.steps.len(), 2, "theirs stays: {removed:?}");
        fs::write(hooks.path().join("pre-commit.before-molt"), "#!/bin/sh\n").unwrap();
        let refused = install(hooks.path(), molt).unwrap_err().to_string();
        assert!(refused.contains("both hooks of others"), "{refused}");
    }
}
