//! `format`: how records are written, and when an older program may not lead any more.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use molt_proto::credentials::Stub;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// What to do with the format.
#[derive(Debug, Subcommand)]
pub(super) enum FormatVerb {
    /// Say how records are written, and what the leader's program could write
    Show(ShowArgs),
    /// Write records as the leader's program does: the last step of an upgrade
    Raise(RaiseArgs),
}

/// Where to look.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  molt-coordinator format show")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    call: CallArgs,
}

/// Why, and whether at all.
#[derive(Debug, Args)]
#[command(after_help = "Raise it once every coordinator runs the new program: there is no way \
                        back but a backup.\n\nExamples:\n  molt-coordinator format raise \
                        --reason 'all run 0.2' --dry-run\n  molt-coordinator format raise \
                        --reason 'all run 0.2'")]
pub(super) struct RaiseArgs {
    /// Why; the audit keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Say what would be raised, and raise nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    call: CallArgs,
}

/// Shows or raises the format.
pub(super) async fn format(verb: &FormatVerb) -> Result<ExitCode, Error> {
    match verb {
        FormatVerb::Show(args) => show(args).await,
        FormatVerb::Raise(args) => raise(args).await,
    }
}

async fn read(stub: &mut Stub) -> Result<(v1::FormatView, u64), Error> {
    let (caller, what) = (Some(client::operator()), Some(What::Format(v1::Empty {})));
    let query = v1::Query { caller, what, ..v1::Query::default() };
    let view = stub.read(query).await.map_err(Failure::from)?.into_inner();
    match view.view {
        Some(View::Format(format)) => Ok((format, view.rev)),
        _ => {
            let reason = "the coordinator answered another question".to_owned();
            Err(Failure::Unknown { reason }.into())
        }
    }
}

async fn show(args: &ShowArgs) -> Result<ExitCode, Error> {
    let mut stub = client::connect(&args.call).await?;
    let (format, rev) = read(&mut stub).await?;
    if args.call.json {
        Output::json("molt.format/1", "ok", rev, &format);
        return Ok(ExitCode::SUCCESS);
    }
    for line in lines(&format) {
        Output::stdout(&line);
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(format: &v1::FormatView) -> Vec<String> {
    let v1::FormatView { stored, stored_oldest, program, .. } = format;
    let mut lines = vec![
        format!("format   {stored}: programs of {stored_oldest} and later lead"),
        format!("leader   its program writes {program}"),
    ];
    if program > stored {
        lines.push(
            "next     once every coordinator runs it: molt-coordinator format raise --reason TEXT"
                .to_owned(),
        );
    }
    lines
}

async fn raise(args: &RaiseArgs) -> Result<ExitCode, Error> {
    let mut stub = client::connect(&args.call).await?;
    let (format, rev) = read(&mut stub).await?;
    let v1::FormatView { stored, program, program_oldest: oldest, .. } = format;
    let (code, line, rev) = if program <= stored {
        ("already", format!("already  at {stored}: the leader's program writes {program}"), rev)
    } else if args.dry_run {
        let line =
            format!("would raise  from {stored} to {program}: none below {oldest} leads then");
        ("would-raise", line, rev)
    } else {
        let verb = Verb::RaiseFormat(v1::RaiseFormat { reason: args.reason.clone() });
        let command = v1::Command { caller: Some(client::operator()), number: 0, verb: Some(verb) };
        let reply = stub.act(command).await.map_err(Failure::from)?.into_inner();
        let line = format!("raised   from {stored} to {program}: none below {oldest} leads now");
        ("raised", line, reply.rev)
    };
    if args.call.json {
        Output::json("molt.format/1", code, rev, &format);
    } else {
        Output::stdout(&line);
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_could_raise_it_is_told_how() {
        let format = v1::FormatView { stored: 1, stored_oldest: 1, program: 2, program_oldest: 2 };
        let told = lines(&format);
        assert_eq!(told[0], "format   1: programs of 1 and later lead");
        assert_eq!(told[1], "leader   its program writes 2");
        assert!(told[2].ends_with("molt-coordinator format raise --reason TEXT"));
        assert_eq!(lines(&v1::FormatView { program: 1, ..format }).len(), 2);
    }
}
