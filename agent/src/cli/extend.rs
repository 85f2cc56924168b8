//! `extend`: hold for longer what ends by itself.

use std::time::Duration;

use clap::Args;
use molt_domain::id::millis;
use molt_domain::scope::{Pattern, ScopeName};
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::args::span;
use super::context::{Acted, Context, unexpected};
use crate::error::Error;
use crate::ui::{Answer, list};

/// Hold what ends by itself for so long from now on: what is named, or all.
///
/// Only claims with a maximum end by themselves. One that a scope's own `max`
/// sets is not passed: release in time, and claim again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent extend --for 30m
  molt-agent extend manifests --for 5m
  molt-agent extend --path 'src/vm/*.rs' --for 30m")]
pub(super) struct Extend {
    /// Which; none named: all.
    #[arg(value_name = "SCOPE")]
    scopes: Vec<ScopeName>,
    /// Paths that were claimed beside scopes.
    #[arg(long = "path", value_name = "GLOB")]
    globs: Vec<Pattern>,
    /// How long from now on.
    #[arg(long = "for", value_name = "DUR", value_parser = span)]
    span: Duration,
}

impl Extend {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let scopes = self.scopes.iter().map(ScopeName::to_string).collect();
        let globs = self.globs.iter().map(Pattern::to_string).collect();
        let verb = Verb::Extend(v1::Extend { scopes, span_ms: millis(self.span), globs });
        let Acted { answer, rev } = context.act(&context.client()?, verb).await?;
        let Reply::Extended(extended) = answer else {
            return Err(unexpected("what is extended"));
        };
        Ok(told(&extended).rev(rev))
    }
}

fn told(extended: &v1::Extended) -> Answer {
    let answer = Answer::new("extend", "extended", extended);
    let longer: Vec<&String> = extended.scopes.iter().chain(&extended.globs).collect();
    match longer.is_empty() {
        true => answer.line("extended", ["nothing: no claim of yours ends before that"]),
        false => answer.line("extended", [list(&longer)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_lasts_longer() {
        let (scopes, globs) = (vec!["docs".to_owned()], vec!["src/*.rs".to_owned()]);
        let extended = v1::Extended { scopes, globs };
        assert_eq!(told(&extended).text(), "extended docs src/*.rs\n");
        let nothing = told(&v1::Extended::default()).text();
        assert_eq!(nothing, "extended nothing: no claim of yours ends before that\n");
    }
}
