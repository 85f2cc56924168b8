//! `approve`: a person lets a change go on.

use std::process::ExitCode;

use clap::Args;
use molt_domain::board::Refusal;
use molt_domain::id::CarId;
use molt_domain::name::GateName;
use molt_proto::credentials::Stub;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// Which change, and why.
///
/// A change of protected paths waits for a person, and so does everything of a
/// fork. A change that a gate ejected goes on when a person answers for what that
/// gate found red, with --gate: for those items and no others. The approval is of
/// the head that the change has now: a new head takes a new one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-coordinator approve car_0042 --reason 'read it' --dry-run
  molt-coordinator approve car_0042 --reason 'read it' --head 4f2a9c1d07
  molt-coordinator approve car_0042 --gate lint --reason 'the linter is wrong'")]
pub(super) struct ApproveArgs {
    /// A change in the train (car_…)
    #[arg(value_name = "CHANGE")]
    car: CarId,

    /// Why; the audit keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// The commit that you looked at, or its beginning: another head is refused
    #[arg(long, value_name = "COMMIT", value_parser = beginning)]
    head: Option<String>,

    /// The gate that ejected the change: what it found red is answered for
    #[arg(long, value_name = "GATE")]
    gate: Option<GateName>,

    /// Say what would be approved, and approve nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    call: CallArgs,
}

/// The beginning of a commit's id that is long enough to mean one.
fn beginning(text: &str) -> Result<String, String> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex && (7..=64).contains(&text.len()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("expected 7 to 64 of 0-9 a-f".to_owned())
}

/// Approves a change's head, or says what would be approved.
pub(super) async fn approve(args: &ApproveArgs) -> Result<ExitCode, Error> {
    let mut stub = client::connect(&args.call).await?;
    let car = read(&mut stub, args.car).await?;
    if let Some(head) = args.head.as_ref().filter(|head| !car.head.starts_with(*head)) {
        let what = format!("the head of {} of {}", car.id, car.agent);
        return Err(refused(Refusal::Stale { what, given: head.clone(), current: car.head }));
    }
    if args.dry_run {
        return would_approve(args, &car);
    }
    let (head, reason) = (car.head.clone(), args.reason.clone());
    let gate = args.gate.as_ref().map(ToString::to_string).unwrap_or_default();
    let verb = Verb::Approve(v1::Approve { car: car.id.clone(), head, reason, gate });
    let command = v1::Command { caller: Some(client::operator()), number: 0, verb: Some(verb) };
    let reply = stub.act(command).await.map_err(Failure::from)?.into_inner();
    if args.call.json {
        let data = serde_json::json!({"id": car.id, "head": car.head, "agent": car.agent});
        Output::json("molt.approve/1", "approved", reply.rev, &data);
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!("approved  {}  {}  ({})", car.id, car.head, args.reason));
    Ok(ExitCode::SUCCESS)
}

async fn read(stub: &mut Stub, id: CarId) -> Result<v1::CarView, Error> {
    let (caller, what) = (Some(client::operator()), Some(What::Car(id.to_string())));
    let query = v1::Query { caller, what, ..v1::Query::default() };
    let view = stub.read(query).await.map_err(Failure::from)?.into_inner();
    match view.view {
        Some(View::Car(car)) => Ok(car),
        _ => {
            let reason = "the coordinator answered another question".to_owned();
            Err(Failure::Unknown { reason }.into())
        }
    }
}

/// What the approval is of, as the coordinator has it now.
fn would_approve(args: &ApproveArgs, car: &v1::CarView) -> Result<ExitCode, Error> {
    if (car.phase != "open") != args.gate.is_some() || car.phase == "landed" {
        let reason = match &args.gate {
            Some(gate) => format!("{} is {}: {gate} did not eject it", car.id, car.state),
            None => format!("{} is {}: nothing is left to approve", car.id, car.state),
        };
        return Err(refused(Refusal::Closed { reason }));
    }
    if args.call.json {
        Output::json("molt.approve/1", "would-approve", 0, car);
        return Ok(ExitCode::SUCCESS);
    }
    Output::stdout(&format!("would approve  {}  {}", car.id, car.head));
    let mut facts = vec![format!("{} of {}", car.title, car.agent), car.detail.clone()];
    facts.extend((!car.fork.is_empty()).then(|| format!("from the fork {}", car.fork)));
    facts.extend((!car.approval.is_empty()).then(|| format!("approved by {}", car.approval)));
    for fact in facts {
        Output::stdout(&format!("               {fact}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn refused(refusal: Refusal) -> Error {
    Failure::Refused { refusal: Box::new(refusal), id: None }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_may_be_named_by_its_beginning() {
        assert_eq!(beginning("4F2A9C1"), Ok("4f2a9c1".to_owned()));
        for wrong in ["", "4f2a9c", "4f2a9cx", &"0".repeat(65)] {
            assert!(beginning(wrong).is_err(), "{wrong}");
        }
    }
}
