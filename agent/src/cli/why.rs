//! `why`: why something is as it is.

use clap::Args;
use molt_proto::v1;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;

use super::context::{Context, unexpected};
use crate::error::Error;
use crate::ui::Answer;

/// Why something is as it is: a refusal, claim, task, hold, job, change or session.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent why ref_0042
  molt-agent why car_0007")]
pub(super) struct Why {
    /// Its id.
    id: String,
}

impl Why {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let view = context.read(&context.client()?, What::Why(self.id)).await?;
        match view.view {
            Some(View::Why(why)) => Ok(told(&why).rev(view.rev)),
            _ => Err(unexpected("facts")),
        }
    }
}

fn told(why: &v1::WhyView) -> Answer {
    let answer = Answer::new("why", "facts", why).line("why", [&why.id]);
    why.facts.iter().fold(answer, |answer, fact| answer.line("", [fact]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_below_the_id() {
        let facts = vec!["gate test failed".to_owned(), "3 red".to_owned()];
        let text = told(&v1::WhyView { id: "car_0007".to_owned(), facts }).text();
        assert_eq!(text, "why      car_0007\n         gate test failed\n         3 red\n");
    }
}
