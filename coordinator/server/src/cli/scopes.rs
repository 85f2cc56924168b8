//! `scopes plan`: deal the ready work over agents, so that no two of them meet.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use molt_domain::name::RepoName;
use molt_proto::credentials::Stub;
use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::command::Verb;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;

use super::error::Error;
use super::output::Output;
use super::{CallArgs, client};

/// Lines of an answer at most.
const LINES: usize = 12;

/// Tasks of a share that a line names.
const TASKS: usize = 4;

/// What to do with scopes.
#[derive(Debug, Subcommand)]
pub(super) enum ScopesVerb {
    /// Deal the ready tasks over shares that are apart, or show how they are dealt
    Plan(PlanArgs),
}

/// Over how many agents.
///
/// Scopes that meet stay in one share, and the work is spread evenly. `molt-agent
/// next` then gives each agent the tasks of its own share first. A plan ends with
/// the policy that it was made by; making it again keeps whoever has a share with
/// what is most like it. Without a flag the plan in force is shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-coordinator scopes plan --agents 4 --dry-run
  molt-coordinator scopes plan --agents 4
  molt-coordinator scopes plan
  molt-coordinator scopes plan --drop")]
pub(super) struct PlanArgs {
    /// How many agents are to work, at most 256
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    agents: Option<u32>,

    /// End the plan in force
    #[arg(long, conflicts_with = "agents")]
    drop: bool,

    /// Say how the work would be dealt, and deal nothing
    #[arg(long, requires = "agents")]
    dry_run: bool,

    /// The repository, where the fleet has several
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,

    #[command(flatten)]
    call: CallArgs,
}

/// Deals, shows or drops.
pub(super) async fn scopes(verb: &ScopesVerb) -> Result<ExitCode, Error> {
    let ScopesVerb::Plan(args) = verb;
    let mut stub = client::connect(&args.call).await?;
    // What would be dealt is asked for first: it says which repository is meant.
    let (plan, rev) = read(&mut stub, args, args.agents.unwrap_or(0)).await?;
    let code = match (args.agents, args.drop, args.dry_run) {
        (Some(_), _, true) => "would-plan",
        (None, false, _) => "plan",
        (Some(agents), _, false) => {
            act(&mut stub, &plan.repo, agents).await?;
            let (plan, rev) = read(&mut stub, args, 0).await?;
            return Ok(told(args, "planned", &plan, rev));
        }
        (None, true, _) => {
            act(&mut stub, &plan.repo, 0).await?;
            "dropped"
        }
    };
    Ok(told(args, code, &plan, rev))
}

async fn act(stub: &mut Stub, repo: &str, agents: u32) -> Result<(), Error> {
    let verb = Verb::PlanScopes(v1::PlanScopes { repo: repo.to_owned(), agents });
    let command = v1::Command { caller: Some(client::operator()), number: 0, verb: Some(verb) };
    stub.act(command).await.map_err(Failure::from)?;
    Ok(())
}

async fn read(stub: &mut Stub, args: &PlanArgs, agents: u32) -> Result<(v1::PlanView, u64), Error> {
    let repo = args.repo.as_ref().map(ToString::to_string).unwrap_or_default();
    let (caller, what) = (Some(client::operator()), Some(What::Plan(agents)));
    let query = v1::Query { caller, repo, what };
    let view = stub.read(query).await.map_err(Failure::from)?.into_inner();
    match view.view {
        Some(View::Plan(plan)) => Ok((plan, view.rev)),
        _ => {
            let reason = "the coordinator answered another question".to_owned();
            Err(Failure::Unknown { reason }.into())
        }
    }
}

fn told(args: &PlanArgs, code: &str, plan: &v1::PlanView, rev: u64) -> ExitCode {
    if args.call.json {
        Output::json("molt.scopes/1", code, rev, plan);
    } else {
        for line in lines(code, plan) {
            Output::stdout(&line);
        }
    }
    ExitCode::SUCCESS
}

/// A plan in a few lines: the shares, then why scopes are together and what is left.
fn lines(code: &str, plan: &v1::PlanView) -> Vec<String> {
    let ready: u32 = plan.shares.iter().map(|share| share.ready).sum();
    let used = plan.shares.iter().filter(|share| !share.scopes.is_empty()).count();
    let head = format!("{ready} ready tasks of {} over {} shares", plan.repo, plan.shares.len());
    let mut lines = vec![format!("{:<8} {head}", code.replace('-', " "))];
    if used < plan.shares.len() {
        let empty = plan.shares.len() - used;
        lines.push(format!("empty    {empty} shares: no more scopes with work are apart"));
    }
    let with_work = plan.shares.iter().filter(|share| !share.scopes.is_empty());
    lines.extend(with_work.map(share_line));
    lines.extend(
        plan.ties.iter().map(|it| format!("with     {} ~ {}: {}", it.left, it.right, it.why)),
    );
    lines.extend(plan.left.iter().map(|it| format!("left     {} {}", it.task, it.reason)));
    if lines.len() > LINES {
        let more = lines.len() - (LINES - 1);
        lines.truncate(LINES - 1);
        lines.push(format!("and {more} more: --json has them"));
    }
    lines
}

fn share_line(share: &v1::ShareView) -> String {
    let mut tasks: Vec<&str> = share.tasks.iter().map(String::as_str).take(TASKS).collect();
    let more = (share.ready as usize).saturating_sub(tasks.len());
    let more = format!("+{more}");
    tasks.extend((share.ready as usize > TASKS).then_some(more.as_str()));
    let whose =
        if share.holder.is_empty() { String::new() } else { format!(" ({})", share.holder) };
    let v1::ShareView { number, scopes, ready, .. } = share;
    format!("share {number:<2} {}{whose}: {ready} ready {}", scopes.join(" "), tasks.join(" "))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_fits_a_small_screen_and_says_what_is_left_out() {
        let share = |number, scope: &str, tasks: u32| v1::ShareView {
            number,
            scopes: (tasks > 0).then(|| scope.to_owned()).into_iter().collect(),
            tasks: (0..tasks).map(|n| format!("tsk_{n}")).collect(),
            ready: tasks,
            holder: if number == 1 { "ann".to_owned() } else { String::new() },
        };
        let tie = v1::TieView {
            left: "docs".to_owned(),
            right: "tests".to_owned(),
            why: "e.g. docs/x.py".to_owned(),
        };
        let left = |n| v1::LeftView { task: format!("tsk_{n}"), reason: "needs tsk_1".to_owned() };
        let mut plan = v1::PlanView {
            repo: "molt".to_owned(),
            shares: vec![share(1, "docs", 6), share(2, "front", 1), share(3, "", 0)],
            ties: vec![tie],
            left: vec![left(7)],
            left_count: 1,
        };
        assert_eq!(
            lines("would-plan", &plan),
            [
                "would plan 7 ready tasks of molt over 3 shares",
                "empty    1 shares: no more scopes with work are apart",
                "share 1  docs (ann): 6 ready tsk_0 tsk_1 tsk_2 tsk_3 +2",
                "share 2  front: 1 ready tsk_0",
                "with     docs ~ tests: e.g. docs/x.py",
                "left     tsk_7 needs tsk_1",
            ]
        );
        plan.left = (0..20).map(left).collect();
        let long = lines("plan", &plan);
        assert_eq!((long.len(), long[11].as_str()), (LINES, "and 14 more: --json has them"));
    }
}
