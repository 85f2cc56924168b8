//! `release`: give scopes back.

use clap::Args;
use molt_domain::scope::{Pattern, ScopeName};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::context::{Acted, Context, unexpected};
use super::guarded::{self, Change};
use crate::error::Error;
use crate::ui::{Answer, list};

/// Give scopes back: the named ones, or all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent release
  molt-agent release docs --outcome dropped
  molt-agent release --path 'src/vm/*.rs'")]
pub(super) struct Release {
    /// Which; none named: all.
    #[arg(value_name = "SCOPE")]
    scopes: Vec<ScopeName>,
    /// Paths that were claimed beside scopes.
    #[arg(long = "path", value_name = "GLOB")]
    globs: Vec<Pattern>,
    /// How the work ended.
    #[arg(
        long,
        default_value = "done",
        value_parser = ["done", "dropped", "blocked", "superseded", "falsified"]
    )]
    outcome: String,
}

impl Release {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let scopes = self.scopes.iter().map(ScopeName::to_string).collect();
        let globs = self.globs.iter().map(Pattern::to_string).collect();
        let verb = Verb::Release(v1::Release { scopes, globs, outcome: self.outcome.clone() });
        let client = context.client()?;
        let file = context.joined(&client).await?;
        let Acted { answer, rev } = context.act_as(&client, &file, verb).await?;
        let released = match answer {
            Reply::Released(released) => released,
            Reply::Done(_) => v1::Released::default(),
            _ => return Err(unexpected("what was released")),
        };
        let answer = told(&released, &self.outcome).rev(rev);
        guarded::known(context, &file, answer, (Change::Released(&released), rev)).await
    }
}

fn told(released: &v1::Released, outcome: &str) -> Answer {
    let answer = Answer::new("release", "released", released);
    let given: Vec<&String> = released.scopes.iter().chain(&released.globs).collect();
    match given.is_empty() {
        true => answer.line("released", ["nothing: nothing is held"]),
        false => answer.line("released", [list(&given), outcome.to_owned()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_given_back() {
        let released = v1::Released {
            scopes: vec!["docs".to_owned(), "runtime".to_owned()],
            globs: vec!["src/*.rs".to_owned()],
        };
        assert_eq!(told(&released, "done").text(), "released docs runtime src/*.rs  done\n");
        let nothing = told(&v1::Released::default(), "done");
        assert_eq!(nothing.text(), "released nothing: nothing is held\n");
        assert_eq!(nothing.exit().code(), 0, "giving back what one does not hold is success");
    }
}
