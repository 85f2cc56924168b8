//! `submit`: propose a change.

use std::time::Duration;

use clap::Args;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::args::span;
use super::context::{Acted, Context, unexpected};
use super::gate::{ended, submitted, withheld};
use super::git::Git;
use super::wait::{Until, follow, is_withheld};
use crate::error::Error;
use crate::ui::{Answer, plural};

/// The longest title that the coordinator takes, in bytes.
const TITLE_BYTES: usize = 200;

/// Propose a commit for landing: push it, and put it in the train.
///
/// It lands when every gate has passed on the very tree that lands. Submitting a
/// new head replaces the former one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent submit
  molt-agent submit --wait 30m
  molt-agent submit HEAD~1 --title 'fix the write barrier' --body 'see tsk_0007'")]
pub(super) struct Submit {
    /// What is proposed.
    #[arg(value_name = "REV", default_value = "HEAD")]
    revision: String,
    /// One line; else the commit's subject.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// All that reviewers must know.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    body: String,
    /// Where it is pushed to.
    #[arg(long, default_value = "origin")]
    remote: String,
    /// Wait so long at most until it landed (0), was ejected or takes a person's approval (7).
    #[arg(long, value_name = "DUR", value_parser = span)]
    wait: Option<Duration>,
}

impl Submit {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let git = Git::new(&context.worktree()?.top);
        let head = git.commit(&self.revision)?;
        let title = match self.title {
            Some(title) => title,
            None => cut(git.subject(&head)?),
        };
        let uncommitted = git.uncommitted()?;
        if uncommitted > 0 {
            let files = plural(uncommitted, "file");
            context.note("warning", &format!("{files} with uncommitted changes: not proposed"));
        }
        let client = context.client()?;
        let file = context.joined(&client).await?;
        let record = file.read()?.ok_or_else(|| Error::bug("the session file vanished"))?;
        let reference = format!("refs/molt/changes/{}", record.id);
        git.push(&self.remote, &head, &reference).await?;
        let verb = Verb::Submit(v1::Submit { head, title, body: self.body, fork: String::new() });
        let Acted { answer, rev } = context.act_as(&client, &file, verb).await?;
        let Reply::Submitted(place) = answer else {
            return Err(unexpected("a place in the train"));
        };
        let Some(wait) = self.wait else {
            return Ok(submitted("submit", &place).rev(rev));
        };
        context.note("submitted", &format!("{}  {} ahead", place.id, place.ahead));
        let (car, rev) = follow(context, &client, &place.id, Until::EndedOrWithheld, wait).await?;
        let answer =
            if is_withheld(&car) { withheld("submit", &car) } else { ended("submit", &car) };
        Ok(answer.rev(rev))
    }
}

fn cut(mut title: String) -> String {
    title.truncate(title.floor_char_boundary(TITLE_BYTES));
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("ü".repeat(150));
        assert_eq!((long.len(), long.chars().count()), (200, 100));
        assert_eq!(cut(format!("a{}", "ü".repeat(150))).len(), 199);
    }
}
