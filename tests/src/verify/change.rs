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
    let requires = |name: &str| policy.required.iter().any(|gate| gate == name);
    if requires("scope")
        && let Some(path) = changed.iter().find(|path| !policy.covers(&car.held, path))
    {
        report.violation(format!("{id} changed {path}, which {} did not hold", car.name));
    }
    if requires("announce")
        && let Some(claim) = car.silent.first()
    {
        report.violation(format!("{id} landed and nobody announced {claim}"));
    }
}
