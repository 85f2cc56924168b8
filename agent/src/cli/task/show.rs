//! `task show`: all about one task.

use clap::Args;
use molt_domain::id::TaskId;
use molt_domain::report::Full;
use molt_proto::v1;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;

use crate::cli::context::{Context, unexpected};
use crate::cli::render;
use crate::error::Error;
use crate::ui::{Answer, plural};

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Which.
    task: TaskId,
    /// Print all of its body and of its last full report.
    #[arg(long)]
    full: bool,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let (task, rev) = read(context, self.task).await?;
        Ok(told(&task, self.full).rev(rev))
    }
}

/// A task with all that was said of it, and the commit that this is of.
pub(super) async fn read(context: &Context, id: TaskId) -> Result<(v1::TaskView, u64), Error> {
    let view = context.read(&context.client()?, What::Task(id.to_string())).await?;
    match view.view {
        Some(View::Task(task)) => Ok((task, view.rev)),
        _ => Err(unexpected("a task")),
    }
}

/// What decides comes first: where there is no room for all, the body is cut.
fn told(task: &v1::TaskView, full: bool) -> Answer {
    let losses = match task.losses {
        0 => String::new(),
        losses => format!("lost {}", plural(losses as usize, "time")),
    };
    let needed: Vec<String> = task.needed.iter().map(needed).collect();
    let claim = task.claim.as_ref().map(|claim| claim.id.as_str()).unwrap_or_default();
    let operator = match task.state.as_str() {
        "blocked" => format!("molt-coordinator tasks reopen {} --reason WHY", task.id),
        _ => String::new(),
    };
    let mut answer = Answer::new("task", "task", task)
        .line("task", render::task(task))
        .line_if("reason", &task.reason)
        .line_if("operator", operator)
        .line_if("claim", claim)
        .line_if("needs", needed.join(", "))
        .line("priority", [task.priority.to_string(), losses])
        .line_if("accept", &task.acceptance)
        .line_if("share", &task.share);
    answer = render::said_of_task(answer, (&task.report, &task.left, &task.notes));
    answer = answer.line_if("reopened", &task.reopened);
    let report = match (full, Full::parse(&task.full_report)) {
        // Its lines follow, or there are none.
        (true, _) | (false, Err(_)) => String::new(),
        (false, Ok(report)) => {
            format!("{}: {}  (--full prints it)", report.title(), report.status())
        }
    };
    answer = answer.line_if("full", report);
    answer = lines(answer, "body", &task.body);
    match full {
        true => lines(answer, "full", &task.full_report).lines_at_most(usize::MAX),
        false => answer,
    }
}

fn lines(answer: Answer, label: &str, text: &str) -> Answer {
    let said = text.lines().filter(|line| !line.trim().is_empty());
    said.fold(answer, |answer, line| answer.line(label, [line]))
}

fn needed(needed: &v1::NeedView) -> String {
    match needed.state.as_str() {
        "" => format!("{} over", needed.id),
        state => format!("{} {state}", needed.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "## Mend it\n\n### Status\nhalf done\n\n### Summary\n- one store less\n\n\
        ### Files Touched\n- src/vm.c — the barrier\n\n### Tests\n- make test → FAIL\n\n\
        ### Notes\nnone\n\n### Resume\nmake test\n";

    fn task() -> v1::TaskView {
        let need = |id: &str, state: &str| v1::NeedView {
            id: id.to_owned(),
            title: "first this".to_owned(),
            state: state.to_owned(),
        };
        v1::TaskView {
            id: "tsk_0007".to_owned(),
            title: "mend it".to_owned(),
            state: "blocked".to_owned(),
            reason: "which format is meant?".to_owned(),
            needed: vec![need("tsk_0001", "done"), need("tsk_0002", "taken"), need("tsk_0003", "")],
            losses: 1,
            body: "line one\n\nline two".to_owned(),
            report: "- [12:07] running — it builds.".to_owned(),
            left: "which format is meant?".to_owned(),
            full_report: FULL.to_owned(),
            notes: vec!["- [12:09] late — all done.".to_owned()],
            reopened: "operator pat: read it again".to_owned(),
            ..v1::TaskView::default()
        }
    }

    #[test]
    fn it_tells_what_decides_and_then_the_work() {
        assert_eq!(
            told(&task(), false).text(),
            "task     tsk_0007  blocked  mend it\n\
             reason   which format is meant?\n\
             operator molt-coordinator tasks reopen tsk_0007 --reason WHY\n\
             needs    tsk_0001 done, tsk_0002 taken, tsk_0003 over\n\
             priority 0  lost 1 time\n\
             report   - [12:07] running — it builds.\n\
             left     which format is meant?\n\
             late     - [12:09] late — all done.\n\
             reopened operator pat: read it again\n\
             full     Mend it: half done  (--full prints it)\n\
             body     line one\n\
             body     line two\n"
        );
    }

    #[test]
    fn all_of_it_is_printed_when_asked_for() {
        let long = v1::TaskView { body: "more\n".repeat(40), ..task() };
        let text = told(&long, false).text();
        assert!(text.contains("late ") && text.ends_with(": --json shows all\n"), "{text}");
        let text = told(&long, true).text();
        assert_eq!(text.matches("\nbody     more").count(), 40, "{text}");
        assert!(text.contains("\nfull     ### Summary\nfull     - one store less\n"), "{text}");
        assert!(text.ends_with("full     ### Resume\nfull     make test\n"), "{text}");
    }
}
