//! `events tail`: what happens, as it happens.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use molt_proto::error::Failure;
use molt_proto::v1;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// What to do with events.
#[derive(Debug, Subcommand)]
pub(super) enum EventsVerb {
    /// Print events from now on, or after a number
    Tail(TailArgs),
}

/// Where to begin.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator events tail --after 0")]
pub(super) struct TailArgs {
    /// Begin after this entry instead of now
    #[arg(long, value_name = "N")]
    after: Option<u64>,

    #[command(flatten)]
    call: CallArgs,
}

/// Prints events until interrupted or the coordinator stops.
pub(super) async fn events(verb: &EventsVerb) -> Result<ExitCode, Error> {
    let EventsVerb::Tail(args) = verb;
    let mut client = client::connect(&args.call).await?;
    let (after, tail) = (args.after.unwrap_or_default(), args.after.is_none());
    let request = v1::WatchRequest { after, tail, present: false };
    let mut entries = client.watch(request).await.map_err(Failure::from)?.into_inner();
    while let Some(entry) = entries.message().await.map_err(Failure::from)? {
        let line =
            if args.call.json { entry.json } else { format!("{:>6}  {}", entry.seq, entry.line) };
        if !Output::stdout(&line) {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
