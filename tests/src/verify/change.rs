//! The gates that are no runs: what the change's own claims and announcements say.

use super::Report;
use super::book::Car;
use super::policy::Policy;

/// Checks scope and announcement of a change that landed, where the base requires them.
pub(super) fn check(
    (id, car): (&str, &Car),
    changed: &[String],
    policy: &Policy,
    report: &mut Report,
) {
    // A person answers for a fork's change and for a pull request: neither holds claims.
    if car.fork || car.pull.is_some() {
        return;
    }
    if policy.requires("scope")
        && let Some(path) =
            changed.iter().find(|path| !policy.covers((&car.held, &car.globs), path))
    {
        report.violation(format!("{id} changed {path}, which {} did not hold", car.name));
    }
    if policy.requires("announce")
        && let Some(claim) = car.silent.first()
    {
        report.violation(format!("{id} landed and nobody announced {claim}"));
    }
}

/// Checks that a person approved the head before its landing was decided, where the base's policy
/// or the head's origin asks for that.
pub(super) fn approved(
    (id, car): (&str, &Car),
    changed: &[String],
    policy: &Policy,
    intent: u64,
    report: &mut Report,
) {
    if car.approvals.iter().any(|approval| approval.seq < intent && approval.is == car.head) {
        return;
    }
    if let Some(path) = changed.iter().find(|path| policy.protects(path)) {
        report.violation(format!("{id} changed {path} and no person approved {}", car.head));
    }
    if car.fork {
        report.violation(format!("{id} landed and no person approved the fork's {}", car.head));
    }
    let takes_claims = ["scope", "announce"].into_iter().any(|gate| policy.requires(gate));
    if car.pull.is_some() && takes_claims && !changed.is_empty() {
        report.violation(format!("{id} landed without claims or an approval of {}", car.head));
    }
}
