//! `revoke`: an operator takes a claim or a session away.

use std::process::ExitCode;

use clap::Args;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::command::Verb;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// What to take away, and why.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator revoke clm_0042 --reason 'its host was sold'")]
pub(super) struct RevokeArgs {
    /// A claim (clm_…) or a session (ses_…)
    id: String,

    /// Why; the holder and the audit are told
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Say what would be taken away, and take nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    call: CallArgs,
}

/// Revokes, or says what would be revoked.
pub(super) async fn revoke(args: &RevokeArgs) -> Result<ExitCode, Error> {
    let mut client = client::connect(&args.call).await?;
    let caller = Some(client::operator());
    if args.dry_run {
        let what = Some(v1::query::What::Why(args.id.clone()));
        let query = v1::Query { caller, what, ..v1::Query::default() };
        let view = client.read(query).await.map_err(Failure::from)?.into_inner();
        let facts = match view.view {
            Some(v1::view::View::Why(why)) => why.facts,
            _ => Vec::new(),
        };
        if args.call.json {
            let data = serde_json::json!({"id": args.id, "facts": facts});
            Output::json("molt.revoke/1", "would-revoke", view.rev, &data);
            return Ok(ExitCode::SUCCESS);
        }
        let first = format!("would revoke  {}", args.id);
        let facts = facts.iter().map(|fact| format!("              {fact}"));
        Output::lines(&std::iter::once(first).chain(facts).collect::<Vec<_>>());
        return Ok(ExitCode::SUCCESS);
    }
    let verb = Verb::Revoke(v1::Revoke { id: args.id.clone(), reason: args.reason.clone() });
    let command = v1::Command { caller, number: 0, verb: Some(verb) };
    let reply = client.act(command).await.map_err(Failure::from)?.into_inner();
    if args.call.json {
        Output::json("molt.revoke/1", "revoked", reply.rev, &serde_json::json!({"id": args.id}));
    } else {
        Output::stdout(&format!("revoked  {}  ({})", args.id, args.reason));
    }
    Ok(ExitCode::SUCCESS)
}
