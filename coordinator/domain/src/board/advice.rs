//! What a refusal rests on, and what to do about it without harm.
//!
//! Every step is safe: it waits, asks for less, asks the holder, or reads.
//! None takes anything away from anybody.

use super::refusal::{Invalid, Refusal, display_list};
use crate::claim::Piece;
use crate::hold::Holder;
use crate::id::TaskId;
use crate::scope::Conflict;

/// Lines of a refusal's facts at most.
const MAX_FACTS: usize = 8;

impl Refusal {
    /// The facts that decided, one a line, the deciding one first; at most 8.
    #[must_use]
    pub fn facts(&self) -> Vec<String> {
        let mut lines = match self {
            Self::ScopeHeld { obstacle, holder, task, seen, until, free, ahead } => {
                let mut lines =
                    vec![format!("held     {} by {holder} as {}", obstacle.held, obstacle.claim)];
                lines.push(match &obstacle.conflict {
                    Conflict::Ancestor => {
                        format!("overlap  {} and {} are one family", obstacle.wanted, obstacle.held)
                    }
                    Conflict::Overlap { left, right, witness } => {
                        format!("overlap  {left} ~ {right}  e.g. {witness}")
                    }
                });
                lines.push(format!("seen     {} s ago", seen / 1000));
                lines.extend(task.map(|task| format!("task     {task}")));
                lines.extend(
                    until.map(|until| format!("ends     at board time {} s", until.0 / 1000)),
                );
                if !free.is_empty() {
                    lines.push(format!("free     {}", display_list(free)));
                }
                lines.push(format!("ahead    {ahead}"));
                lines
            }
            Self::LockHeld { lock, hold, holder, ahead } => {
                let mut lines = match hold {
                    Some(hold) => {
                        let name =
                            holder.as_ref().map_or_else(|| who(hold.holder), ToString::to_string);
                        vec![
                            format!("held     {lock} by {name} as {}", hold.id),
                            format!(
                                "run      `{}` on {}, fence {}",
                                hold.what, hold.host, hold.fence
                            ),
                        ]
                    }
                    None => vec![format!("closed   {lock}: its last holder fell silent")],
                };
                lines.push(format!("ahead    {ahead}"));
                lines
            }
            Self::PoolFull { pool, size, users, ahead } => {
                let users: Vec<String> = users.iter().copied().map(who).collect();
                vec![
                    format!("full     {pool}: {} of {size} slots in use", users.len()),
                    format!("users    {}", users.join(" ")),
                    format!("ahead    {ahead}"),
                ]
            }
            Self::WaitCycle { cycle } => vec![format!("circle   {}", cycle.join(" waits for "))],
            Self::NothingReady { reasons } => {
                reasons.iter().map(|it| format!("task     {it}")).collect()
            }
            Self::Stale { what, given, current } => {
                vec![format!("now      {what} is {current}"), format!("given    {given}")]
            }
            other => other.to_string().lines().map(|line| format!("fact     {line}")).collect(),
        };
        lines.truncate(MAX_FACTS);
        lines
    }

    /// The rule that it follows from.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::ScopeHeld { .. } => {
                "no two claims meet unless both share; several scopes are granted whole or not"
            }
            Self::LockHeld { .. } => {
                "a lock has one holder; after a silent loss it opens when its delay is over"
            }
            Self::PoolFull { .. } => "a pool never lends more slots than it has",
            Self::Lost { .. } => "only the holder, in its last epoch, changes what it holds",
            Self::TaskTaken { .. } => "a task has one holder for as long as its claim lives",
            Self::WaitCycle { .. } => "a wait that nothing could ever end is not begun",
            Self::BuildFailed { .. } => "a failure is remembered for a while for the same inputs",
            Self::NothingReady { .. } => {
                "a task is ready when what it needs is done and its scopes are free"
            }
            Self::NotFound { .. } | Self::NoRepo { .. } => {
                "what is named must be on the board or in the policy"
            }
            Self::Closed { .. } => "while this stands nothing goes on",
            Self::Gate { .. } => "a change lands when every required gate passed on its tree",
            Self::Forbidden { .. } | Self::Unauthenticated { .. } => {
                "roles limit verbs, and tokens limit repositories"
            }
            Self::NothingNew { .. } => {
                "what was taken is not told again, but after an older cursor"
            }
            Self::CursorExpired { .. } => {
                "an inbox says what it does not keep, and is never silent"
            }
            Self::Stale { .. } => "what was decided on facts that are over is not carried out",
            Self::FormatTooLow { .. } => "nothing is written that an older program cannot read",
            Self::Invalid(_) => "a request is carried out as it is, or not at all",
        }
    }

    /// What may be done next: commands that wait, ask or read, and take nothing away.
    #[must_use]
    pub fn next_steps(&self) -> Vec<String> {
        let steps: Vec<String> = match self {
            Self::ScopeHeld { obstacle, free, .. } => {
                let mut steps =
                    vec![format!("molt-agent claim {} --wait 15m", obstacle.wanted.argument())];
                if !free.is_empty() {
                    let free: Vec<String> = free.iter().map(Piece::argument).collect();
                    steps.push(format!("molt-agent claim {}", display_list(&free)));
                }
                steps.push("molt-agent next".to_owned());
                steps
            }
            Self::LockHeld { lock, .. } => {
                vec![format!("molt-agent lock run {lock} --wait 15m -- COMMAND")]
            }
            Self::PoolFull { pool, .. } => {
                vec![format!("molt-agent slot run {pool} --wait 15m -- COMMAND")]
            }
            Self::TaskTaken { task, .. } => {
                vec![format!("molt-agent task show {task}"), "molt-agent next".to_owned()]
            }
            Self::WaitCycle { .. } => vec![
                "release what you can do without, then ask again".to_owned(),
                "molt-agent status".to_owned(),
            ],
            Self::BuildFailed { .. } => {
                vec!["mend the inputs: other inputs are another build".to_owned()]
            }
            Self::Lost { what, reason } => after_loss(what, reason),
            Self::NothingReady { .. } => vec!["molt-agent task list".to_owned()],
            Self::NothingNew { .. } => vec!["molt-agent inbox --wait 15m".to_owned()],
            Self::CursorExpired { oldest, .. } => {
                vec!["molt-agent status".to_owned(), format!("molt-agent inbox --since {oldest}")]
            }
            Self::NotFound { nearest: Some(nearest), .. } => vec![format!("use `{nearest}`")],
            Self::NotFound { kind, .. } if kind == "scope" => {
                vec!["molt-agent scopes list".to_owned()]
            }
            Self::NotFound { .. } | Self::Stale { .. } => vec!["molt-agent status".to_owned()],
            Self::NoRepo { .. } => vec!["ask an operator which repositories are served".to_owned()],
            Self::Gate { car, .. } => vec![format!("molt-agent why {car}")],
            Self::Closed { .. } => vec!["molt-agent status".to_owned()],
            Self::Forbidden { needs, .. } | Self::Unauthenticated { needs, .. } => {
                vec![format!("ask for {needs}")]
            }
            Self::FormatTooLow { .. } => {
                vec!["ask an operator to raise the format once every program is new".to_owned()]
            }
            Self::Invalid(Invalid::RequestExpired { .. } | Invalid::RequestReused { .. }) => {
                vec!["molt-agent status".to_owned()]
            }
            Self::Invalid(Invalid::Field { field, .. }) => vec![format!("mend `{field}`")],
        };
        steps
    }
}

/// What is left to whoever lost something. A session comes back only as the reason says, and what
/// went to others does not come back with it.
fn after_loss(what: &str, reason: &str) -> Vec<String> {
    let named = reason.split('`').find(|text| text.starts_with("molt-agent "));
    let task = what.split(' ').find_map(|word| word.parse::<TaskId>().ok());
    let mut steps = vec!["stop editing".to_owned()];
    steps.extend(named.map(str::to_owned));
    steps.extend(task.map(|task| format!("molt-agent task show {task}")));
    steps.push("molt-agent status".to_owned());
    steps
}

fn who(holder: Holder) -> String {
    match holder {
        Holder::Session(id) => id.to_string(),
        Holder::Job(id) => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_decides_what_is_left_to_do() {
        const STOP: &str = "stop editing";
        const STATUS: &str = "molt-agent status";
        let table: [(&str, &str, &[&str]); 6] = [
            ("clm_0001", "revoked: its host was sold", &[STOP, STATUS]),
            ("hld_0001", "it is not yours", &[STOP, STATUS]),
            ("tsk_0001", "bob has it now", &[STOP, "molt-agent task show tsk_0001", STATUS]),
            (
                "the report of tsk_0001",
                "it fell silent: run `molt-agent resume` at once",
                &[STOP, "molt-agent resume", "molt-agent task show tsk_0001", STATUS],
            ),
            (
                "ses_0001",
                "its grace is over: run `molt-agent join`",
                &[STOP, "molt-agent join", STATUS],
            ),
            ("ses_0001", "it was resumed elsewhere as epoch 2", &[STOP, STATUS]),
        ];
        for (what, reason, steps) in table {
            let refusal = Refusal::Lost { what: what.to_owned(), reason: reason.to_owned() };
            assert_eq!(refusal.next_steps(), steps, "{what}: {reason}");
        }
    }
}
