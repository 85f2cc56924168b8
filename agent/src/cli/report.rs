//! `report`: how the work goes, in one line or in full.

use std::path::{Path, PathBuf};

use clap::Args;
use molt_domain::board::Refusal;
use molt_domain::id::TaskId;
use molt_domain::report::{Full, Micro};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::context::{Acted, Context, unexpected};
use crate::error::Error;
use crate::ui::{Answer, plain};

/// Report how the work goes: one line every 10 to 20 minutes, and the whole at an end.
///
/// It is of the task that you have, else of your session, and whoever takes the
/// task after you reads it first. The line is printed as it is kept, with the
/// time in UTC. A report of a task that is not yours any more is exit code 6:
/// stop editing; what you said is kept as a note.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent report running 'the collector builds' --output logs/compiler/gc.log --next 'run its tests'
  molt-agent report blocked 'the format is not decided' --output none --next 'ask' --resume 'make test'
  molt-agent report --full logs/agents/gc/report.md")]
pub(super) struct Report {
    /// How it stands, in a word or two.
    #[arg(required_unless_present = "full")]
    status: Option<String>,
    /// What is new, in one line.
    #[arg(required_unless_present = "full")]
    line: Option<String>,
    /// Where the output is.
    #[arg(long, value_name = "PATH", required_unless_present = "full")]
    output: Option<String>,
    /// The next step, in one line.
    #[arg(long, value_name = "STEP", required_unless_present = "full")]
    next: Option<String>,
    /// The command that goes on with it.
    #[arg(long, value_name = "COMMAND", default_value = "molt-agent prime")]
    resume: String,
    /// Instead of a line, a file with a title (##) and the sections (###) Status,
    /// Summary, Files Touched, Tests, Notes and Resume.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "line", "output", "next"])]
    full: Option<PathBuf>,
    /// The task that it is of; else the one that you have.
    #[arg(long, value_name = "TASK")]
    task: Option<TaskId>,
}

impl Report {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let said = self.said(context.cwd())?;
        let is_full = !said.full.is_empty();
        let client = context.client()?;
        let Acted { answer, rev } = context.act(&client, Verb::Report(said)).await?;
        match answer {
            Reply::Reported(reported) => Ok(told(&reported, is_full).rev(rev)),
            Reply::Noted(v1::Noted { task, reason }) => {
                context.note("kept", &format!("as a note of {task}"));
                let refusal = Refusal::Lost { what: format!("the report of {task}"), reason };
                Err(Error::Refused { refusal: Box::new(refusal), id: String::new() })
            }
            _ => Err(unexpected("a report")),
        }
    }

    /// What is sent; what is wrong with it is found here, before anybody is asked.
    fn said(self, cwd: &Path) -> Result<v1::Report, Error> {
        let wrong = |error| Error::usage(format!("{error}"));
        let task = self.task.map(|task| task.to_string()).unwrap_or_default();
        if let Some(path) = &self.full {
            let path = cwd.join(path);
            let full = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
            Full::parse(&full).map_err(wrong)?;
            return Ok(v1::Report { task, full, ..v1::Report::default() });
        }
        let [status, line, output, next] =
            [self.status, self.line, self.output, self.next].map(Option::unwrap_or_default);
        let resume = self.resume;
        Micro::new([&status, &line, &output, &next, &resume]).map_err(wrong)?;
        Ok(v1::Report { task, status, line, output, next, resume, full: String::new() })
    }
}

fn told(reported: &v1::Reported, is_full: bool) -> Answer {
    let code = if is_full { "full" } else { "line" };
    let answer = Answer::new("report", code, reported);
    match is_full {
        true => answer.line("reported", [&reported.about, &reported.line]),
        // Exactly the line, for whoever keeps it in a log.
        false => answer.rows([plain(&reported.line)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(full: Option<PathBuf>) -> Report {
        let text = |text: &str| Some(text.to_owned());
        Report {
            status: text("running"),
            line: text("it builds"),
            output: text("logs/x"),
            next: text("test it"),
            resume: "make".to_owned(),
            full,
            task: None,
        }
    }

    #[test]
    fn the_line_is_printed_as_it_is_kept() {
        let line = "- [12:07] running — it builds. Output: logs/x. Next: test it. Resume: make.";
        let reported = v1::Reported { about: "tsk_0007".to_owned(), line: line.to_owned() };
        assert_eq!(told(&reported, false).text(), format!("{line}\n"));
        let full = v1::Reported { about: "tsk_0007".to_owned(), line: "Mend it: done".to_owned() };
        assert_eq!(told(&full, true).text(), "reported tsk_0007  Mend it: done\n");
    }

    #[test]
    fn what_is_wrong_is_said_before_anybody_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(report(None).said(folder.path()).unwrap().line, "it builds");
        let two = Report { line: Some("a\nb".to_owned()), ..report(None) };
        let error = two.said(folder.path()).unwrap_err();
        assert_eq!(
            (error.exit().code(), error.in_full().as_str()),
            (2, "line: more than one line")
        );
        let missing = report(Some("report.md".into())).said(folder.path()).unwrap_err();
        assert_eq!(missing.exit().code(), 2);
        std::fs::write(folder.path().join("report.md"), "## It\n\n### Status\n").unwrap();
        let short = report(Some("report.md".into())).said(folder.path()).unwrap_err();
        let said = "report: line 3: the section `### Summary` is missing";
        assert_eq!(short.in_full(), said);
    }
}
