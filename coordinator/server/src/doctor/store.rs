//! The store: whether it is whole, who leads, and how much room there is.

use std::time::Duration;

use molt_proto::exit::Exit;
use molt_store::embedded::{self, Options, Use};
use molt_store::{FORMAT, Format};

use super::Finding;
use crate::config::StorePlace;
use crate::transfer::{Site, Whole, look, sealed};

/// How full a store may be, in percent, before a person should know.
const NEARLY_FULL: u64 = 80;

/// How long a leader may take to be there.
const REACH: Duration = Duration::from_secs(2);

/// Looks at the store of `site`.
pub(super) async fn examine(site: &Site, findings: &mut Vec<Finding>) {
    match &site.store {
        StorePlace::Embedded { folder } => {
            if let Ok(Use::Held(Some(embedded::Holder { address: Some(address), .. }))) =
                embedded::in_use(folder)
            {
                findings.push(leader(&address, "an embedded store").await);
            }
        }
        #[cfg(feature = "etcd")]
        StorePlace::Etcd(place) => {
            if !etcd::examine(place, site.spans.leader_ttl, findings).await {
                return;
            }
        }
        #[cfg(not(feature = "etcd"))]
        StorePlace::Etcd(_) => {}
    }
    records(site, findings).await;
}

async fn leader(address: &str, name: &str) -> Finding {
    let connected = tokio::time::timeout(REACH, tokio::net::TcpStream::connect(address)).await;
    let why = match connected {
        Ok(Ok(_)) => return Finding::ok("leader", format!("{name}, at {address}")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {} s", REACH.as_secs()),
    };
    Finding::warn("leader", format!("{name}, at {address}, is not reached from here: {why}"))
}

/// Reads and verifies everything, beside whoever serves.
async fn records(site: &Site, findings: &mut Vec<Finding>) {
    let place = site.store_name();
    let seen = match look::look(site).await {
        Ok(Some(seen)) if seen.head.number > 0 => seen,
        // Nothing was ever committed.
        Ok(_) => {
            findings.push(Finding::ok("store", format!("{place}: empty, `serve` begins one")));
            return;
        }
        Err(error) => {
            findings.push(Finding::error("store", &error));
            return;
        }
    };
    findings.push(format(seen.head.format));
    if let Some(bytes) = seen.bytes {
        findings.push(size(bytes, Options::default().max_bytes));
    }
    match Whole::verify(&place, seen.head, seen.records, site.spans) {
        Ok(whole) => match whole.moved() {
            Some(to) => {
                let detail = format!("{place}: the records moved {to}");
                findings.push(Finding::fail("store", Exit::Precondition, detail));
            }
            None => {
                let figures = whole.figures();
                let detail = format!("{place}: revision {}, {figures}", whole.revision());
                findings.push(Finding::ok("store", detail));
                findings.push(audit(site, &whole));
            }
        },
        Err(error) => findings.push(Finding::error("store", &error)),
    }
}

fn format(format: Format) -> Finding {
    let detail = format!("records {}, this program {}", format.written, FORMAT.written);
    if format.admits(FORMAT.written) {
        Finding::ok("format", detail)
    } else {
        let needs = format.min_writer.max(format.min_reader);
        Finding::fail(
            "format",
            Exit::Precondition,
            format!("{detail}: a program of {needs} is needed"),
        )
    }
}

fn size(bytes: u64, limit: u64) -> Finding {
    let percent = bytes.saturating_mul(100) / limit.max(1);
    let detail = format!("{} MiB of {} MiB", bytes >> 20, limit >> 20);
    match percent {
        ..NEARLY_FULL => Finding::ok("size", detail),
        NEARLY_FULL..100 => Finding::warn("size", detail),
        _ => Finding::fail("size", Exit::Unavailable, detail),
    }
}

/// Whether the audit is here from its first entry on.
fn audit(site: &Site, whole: &Whole) -> Finding {
    let anchor = whole.sealed();
    match sealed::read(&site.audit(), anchor) {
        Ok(entries) => {
            let missing = anchor.seq - entries.len() as u64;
            let detail = format!("{} entries, {} of them in files", whole.entries(), anchor.seq);
            if missing == 0 {
                return Finding::ok("audit", detail);
            }
            let folder = site.audit();
            Finding::warn(
                "audit",
                format!("{detail}; the first {missing} are not in {}", folder.display()),
            )
        }
        Err(error) => Finding::error("audit", &error.into()),
    }
}

#[cfg(feature = "etcd")]
mod etcd {
    use std::time::Duration;

    use molt_proto::exit::Exit;
    use molt_store::etcd::{Alarm, Examined, MemberState, Report, Verdict};

    use super::super::Finding;
    use crate::config::EtcdPlace;
    use crate::store_place;
    use crate::transfer::of_place;

    /// Looks at the members. Says whether the store can be opened.
    pub(super) async fn examine(
        place: &EtcdPlace,
        leader_ttl: Duration,
        findings: &mut Vec<Finding>,
    ) -> bool {
        let report = match store_place::examine(place, leader_ttl).await {
            Ok(report) => report,
            Err(error) => {
                let detail = crate::reconcile::chain(&error);
                findings.push(Finding::fail("etcd", of_place(&error), detail));
                return false;
            }
        };
        let reached = |member: &&Examined| matches!(member.state, MemberState::Reached { .. });
        let members: Vec<&Examined> = report.members.iter().filter(reached).collect();
        findings.extend(members.iter().map(|member| Finding::ok("etcd", member.to_string())));
        let judged = report.findings.iter().filter_map(|verdict| judgement(verdict, &report));
        findings.extend(judged);
        if let Some(leader) = &report.leader {
            findings.push(super::leader(&leader.address, &leader.name).await);
        }
        // A store that takes no changes can be read all the same.
        let bars = |verdict: &Verdict| {
            matches!(verdict, Verdict::Refuse(_)) && !is_alarm(verdict, &report)
        };
        !members.is_empty() && !report.findings.iter().any(bars)
    }

    fn judgement(verdict: &Verdict, report: &Report) -> Option<Finding> {
        Some(match verdict {
            Verdict::Fine => return None,
            Verdict::Warn(reason) => Finding::warn("etcd", reason),
            Verdict::Refuse(reason) => {
                let mends = is_full(verdict, report);
                let exit = if mends { Exit::Unavailable } else { Exit::Precondition };
                Finding::fail("etcd", exit, reason)
            }
        })
    }

    /// Whether it is one of etcd's own alarms.
    fn is_alarm(verdict: &Verdict, report: &Report) -> bool {
        let is = |alarm: &Alarm| *verdict == Verdict::Refuse(alarm.to_string());
        report.alarms.iter().any(is)
    }

    /// Whether waiting, or making room, mends it.
    fn is_full(verdict: &Verdict, report: &Report) -> bool {
        let is = |alarm: &Alarm| {
            matches!(alarm, Alarm::Full { .. }) && *verdict == Verdict::Refuse(alarm.to_string())
        };
        let reached = |member: &Examined| matches!(member.state, MemberState::Reached { .. });
        report.alarms.iter().any(is) || !report.members.iter().any(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_store_fills_up_in_steps() {
        assert_eq!(size(79, 100).level, Level::Ok);
        assert_eq!(size(80, 100).level, Level::Warn);
        assert_eq!(size(100, 100).level, Level::Fail(Exit::Unavailable));
    }

    #[test]
    fn records_of_a_newer_format_fail() {
        assert_eq!(format(FORMAT).level, Level::Ok);
        let newer = Format { min_writer: FORMAT.written + 1, ..FORMAT };
        assert_eq!(format(newer).level, Level::Fail(Exit::Precondition));
    }
}
