//! `handoff`: offer what is held to another agent.

use clap::Args;
use molt_domain::name::AgentName;
use molt_domain::scope::Pattern;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::reply::Answer as Reply;

use super::context::{Acted, Context, unexpected};
use super::render::pieces;
use crate::error::Error;
use crate::ui::Answer;

/// Offer a claim to another agent, with its task.
///
/// The whole claim goes, all of its scopes and paths. You hold it until the other accepts,
/// and nobody in line gets in between; from then on you must not edit there. The
/// offer ends after a while, or when you withdraw it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent handoff runtime --to codex-3 --note 'the barrier is half done'
  molt-agent handoff --path 'src/vm/*.rs' --to codex-3
  molt-agent handoff runtime --withdraw")]
pub(super) struct Handoff {
    /// The claim's id or one of its scopes.
    #[arg(value_name = "CLAIM|SCOPE", required_unless_present = "glob")]
    what: Option<String>,
    /// A path that the claim has beside its scopes, or instead.
    #[arg(long = "path", value_name = "GLOB", conflicts_with = "what")]
    glob: Option<Pattern>,
    /// To whom.
    #[arg(long, value_name = "AGENT", required_unless_present = "withdraw")]
    to: Option<AgentName>,
    /// A line for that one.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "withdraw"
    )]
    note: String,
    /// Take the offer back.
    #[arg(long, conflicts_with = "to")]
    withdraw: bool,
}

impl Handoff {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let what = self.what.unwrap_or_default();
        let glob = self.glob.map(|glob| glob.to_string()).unwrap_or_default();
        let verb = match self.to {
            Some(to) => {
                Verb::Handoff(v1::Handoff { what, to: to.to_string(), note: self.note, glob })
            }
            None => Verb::Withdraw(v1::Withdraw { what, glob }),
        };
        let client = context.client()?;
        let Acted { answer, rev } = context.act(&client, verb).await?;
        match answer {
            Reply::Granted(claim) => Ok(told(&claim).rev(rev)),
            _ => Err(unexpected("the claim that is offered")),
        }
    }
}

fn told(claim: &v1::ClaimView) -> Answer {
    let (scopes, id) = (pieces(claim), claim.id.clone());
    if claim.offered_to.is_empty() {
        let kept = "it is yours, and offered to nobody".to_owned();
        return Answer::new("handoff", "withdrawn", claim).line("kept", [scopes, id, kept]);
    }
    let whole = match claim.scopes.len() + claim.globs.len() {
        1 => "the whole claim".to_owned(),
        count => format!("the whole claim, {count} in all"),
    };
    Answer::new("handoff", "offered", claim)
        .line("offered", [scopes, id, format!("to {}", claim.offered_to), whole])
        .line("until", ["it is accepted: then stop editing there; until then it is yours"])
        .next(format!("molt-agent why {}", claim.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_goes_and_whose_it_is_until_then() {
        let claim = v1::ClaimView {
            id: "clm_0007".to_owned(),
            scopes: vec!["docs".to_owned(), "runtime".to_owned()],
            offered_to: "bob".to_owned(),
            ..v1::ClaimView::default()
        };
        assert_eq!(
            told(&claim).text(),
            "offered  docs runtime  clm_0007  to bob  the whole claim, 2 in all\n\
             until    it is accepted: then stop editing there; until then it is yours\n\
             next     molt-agent why clm_0007\n"
        );
        let kept = v1::ClaimView { offered_to: String::new(), ..claim };
        let text = told(&kept).text();
        assert_eq!(text, "kept     docs runtime  clm_0007  it is yours, and offered to nobody\n");
    }
}
