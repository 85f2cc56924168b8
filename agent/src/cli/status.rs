//! `status`: where this agent and the fleet stand.

use clap::Args;
use molt_proto::v1::query::What;
use molt_proto::v1::view::View;
use molt_proto::v1::{self, Empty};
use serde_json::json;

use super::context::{Context, unexpected};
use super::render::{count, left, offered, own_claim};
use crate::client::Client;
use crate::error::Error;
use crate::ui::{Answer, ago, short};

/// Where this agent stands: its session, claims and task, and the fleet's counts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  molt-agent status
  molt-agent status --fleet
  molt-agent status --json")]
pub(super) struct Status {
    /// Also who is at work, and on which machines.
    #[arg(long)]
    fleet: bool,
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Result<Answer, Error> {
        let client = context.client()?;
        let view = context.read(&client, What::Status(Empty {})).await?;
        let (rev, now_ms) = (view.rev, view.now_ms);
        let Some(View::Status(status)) = view.view else {
            return Err(unexpected("a status"));
        };
        let fleet = if self.fleet { Some(Fleet::read(context, &client).await?) } else { None };
        Ok(answer(&status, fleet.as_ref(), now_ms).rev(rev))
    }
}

/// Who is at work, and on which machines.
#[derive(Debug, Default)]
struct Fleet {
    sessions: Vec<v1::SessionView>,
    hosts: Vec<v1::HostView>,
}

impl Fleet {
    async fn read(context: &Context, client: &Client) -> Result<Self, Error> {
        let Some(View::Sessions(v1::Sessions { sessions })) =
            context.read(client, What::Sessions(Empty {})).await?.view
        else {
            return Err(unexpected("sessions"));
        };
        match context.read(client, What::Hosts(Empty {})).await?.view {
            Some(View::Hosts(v1::Hosts { hosts })) => Ok(Self { sessions, hosts }),
            _ => Err(unexpected("hosts")),
        }
    }
}

/// A machine, what it runs as whom, and why that counts for nothing, if it does.
fn host(answer: Answer, host: &v1::HostView) -> Answer {
    let runs = match &host.job_user {
        _ if host.jobs == 0 => "no jobs".to_owned(),
        Some(user) => format!("{} as uid {}", count(host.jobs, "job"), user.uid),
        None => count(host.jobs, "job"),
    };
    let mut words = vec![host.name.clone(), host.state.clone(), host.standing.clone(), runs];
    if host.jobs > 0 && !host.doubt.is_empty() {
        words.push(format!("does not count: {}", host.doubt));
    }
    answer.line("host", words)
}

fn is_live(status: &v1::StatusView) -> bool {
    status.session.as_ref().is_some_and(|session| session.state == "live")
}

fn answer(status: &v1::StatusView, fleet: Option<&Fleet>, now_ms: u64) -> Answer {
    let data = match fleet {
        None => json!(status),
        Some(Fleet { sessions, hosts }) => {
            json!({ "status": status, "sessions": sessions, "hosts": hosts })
        }
    };
    let mut answer = Answer::new("status", "status", data);
    answer = match &status.session {
        Some(session) => {
            let epoch = format!("epoch {}", session.epoch);
            let left = left(session.until_ms, now_ms);
            answer.line("session", [&session.name, &session.id, &session.state, &epoch, &left])
        }
        None => answer.line("session", ["none: the first claim joins"]),
    };
    let base = format!("{} at {}", status.branch, short(&status.base));
    answer = answer.line("repo", [&status.repo, &base]).line_if("closed", &status.closed);
    answer = status.claims.iter().fold(answer, |answer, claim| own_claim(answer, claim, now_ms));
    answer = status.offers.iter().fold(answer, |answer, claim| offered(answer, claim, now_ms));
    if let Some(task) = &status.task {
        answer = answer.line("task", [&task.id, &task.title]);
    }
    if status.unread > 0 {
        let risky = match status.risky.len() {
            0 => String::new(),
            _ => "some of it risky".to_owned(),
        };
        let unread = format!("{} unread", status.unread);
        answer = answer.line("inbox", [unread.as_str(), &risky, "molt-agent inbox"]);
    }
    answer = answer.line(
        "fleet",
        [
            count(status.sessions, "session"),
            count(status.hosts, "host"),
            format!("{} held", count(status.held, "claim")),
            format!("{} waiting", status.waiting),
            format!("{} ready", count(status.tasks_ready, "task")),
            format!("{} in the train", count(status.cars, "car")),
            count(status.jobs, "job"),
        ],
    );
    let nobody = Fleet::default();
    let fleet = fleet.unwrap_or(&nobody);
    answer = fleet.hosts.iter().fold(answer, host);
    for session in &fleet.sessions {
        let seen = format!("seen {}", ago(session.seen_ms));
        let signs = match session.signs.is_empty() {
            true => String::new(),
            false => format!("there is {}", session.signs.join(", ")),
        };
        let words = [&session.name, &session.host, &session.state, &seen, &signs];
        answer = answer.line("agent", words);
    }
    if let (Some(offer), true) = (status.offers.first(), is_live(status)) {
        answer = answer.next(format!("molt-agent accept {}", offer.id));
    }
    match (&status.session, &status.task) {
        (Some(session), _) if session.state != "live" => answer.next("molt-agent resume"),
        (_, None) if status.tasks_ready > 0 => answer.next("molt-agent next"),
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> v1::StatusView {
        v1::StatusView {
            repo: "main".to_owned(),
            branch: "main".to_owned(),
            base: "0123456789abcdef".to_owned(),
            sessions: 4,
            held: 1,
            tasks_ready: 2,
            cars: 1,
            hosts: 2,
            ..v1::StatusView::default()
        }
    }

    #[test]
    fn a_stranger_sees_the_fleet() {
        assert_eq!(
            answer(&status(), None, 0).text(),
            "session  none: the first claim joins\n\
             repo     main  main at 0123456789\n\
             fleet    4 sessions  2 hosts  1 claim held  0 waiting  2 tasks ready  \
             1 car in the train  0 jobs\n\
             next     molt-agent next\n"
        );
    }

    #[test]
    fn an_agent_sees_what_it_has() {
        let session = v1::SessionView {
            id: "ses_0001".to_owned(),
            name: "codex-3".to_owned(),
            state: "lost".to_owned(),
            epoch: 2,
            until_ms: 600_000,
            ..v1::SessionView::default()
        };
        let claim = v1::ClaimView {
            id: "clm_0002".to_owned(),
            scopes: vec!["docs".to_owned()],
            state: "waiting".to_owned(),
            ahead: 1,
            ..v1::ClaimView::default()
        };
        let status = v1::StatusView {
            session: Some(session),
            claims: vec![claim],
            unread: 2,
            risky: vec![v1::MessageView::default()],
            ..status()
        };
        let text = answer(&status, None, 0).text();
        assert!(
            text.starts_with("session  codex-3  ses_0001  lost  epoch 2  10m left\n"),
            "{text}"
        );
        let inbox = "\ninbox    2 unread  some of it risky  molt-agent inbox\nfleet    ";
        assert!(text.contains(inbox), "{text}");
        assert!(text.contains("\nwaiting  docs  clm_0002  1 ahead\n"), "{text}");
        assert!(text.ends_with("next     molt-agent resume\n"), "{text}");
    }

    #[test]
    fn an_agent_sees_what_is_offered_to_it() {
        let session = v1::SessionView { state: "live".to_owned(), ..v1::SessionView::default() };
        let offer = v1::ClaimView {
            id: "clm_0003".to_owned(),
            scopes: vec!["docs".to_owned()],
            holder: "ann".to_owned(),
            offer_note: "half done".to_owned(),
            offer_until_ms: 61_000,
            ..v1::ClaimView::default()
        };
        let status = v1::StatusView { session: Some(session), offers: vec![offer], ..status() };
        let text = answer(&status, None, 1_000).text();
        assert!(text.contains("\noffer    docs  clm_0003  by ann  1m left  half done\n"), "{text}");
        assert!(text.contains("\nnext     molt-agent accept clm_0003\n"), "{text}");
    }

    #[test]
    fn a_big_fleet_is_cut() {
        let agent = v1::SessionView { name: "a".to_owned(), ..v1::SessionView::default() };
        let fleet = Fleet { sessions: vec![agent; 100], hosts: Vec::new() };
        let text = answer(&status(), Some(&fleet), 0).text();
        assert_eq!(text.lines().count(), crate::ui::MAX_LINES);
    }

    #[test]
    fn who_was_lost_is_shown_with_what_tells_of_life() {
        let agent = v1::SessionView {
            name: "ann".to_owned(),
            host: "h1".to_owned(),
            state: "lost".to_owned(),
            seen_ms: 5_000,
            signs: vec!["a growing log".to_owned(), "changed files".to_owned()],
            ..v1::SessionView::default()
        };
        let fleet = Fleet { sessions: vec![agent], hosts: Vec::new() };
        let text = answer(&status(), Some(&fleet), 0).text();
        let line = "\nagent    ann  h1  lost  seen 5s ago  there is a growing log, changed files\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn a_machine_says_whom_its_jobs_run_as_and_whether_they_count() {
        let own = v1::HostView {
            name: "build1".to_owned(),
            state: "live".to_owned(),
            standing: "prover".to_owned(),
            jobs: 2,
            job_user: Some(v1::JobUser { uid: 995, shared: String::new() }),
            ..v1::HostView::default()
        };
        let doubt = "it is no prover, whose results alone count".to_owned();
        let standing = "host".to_owned();
        let other = v1::HostView { standing, job_user: None, doubt, ..own.clone() };
        let idle = v1::HostView { jobs: 0, ..other.clone() };
        let fleet = Fleet { sessions: Vec::new(), hosts: vec![own, other, idle] };
        let text = answer(&status(), Some(&fleet), 0).text();
        for line in [
            "host     build1  live  prover  2 jobs as uid 995\n",
            "host     build1  live  host  2 jobs  does not count: it is no prover, whose",
            "host     build1  live  host  no jobs\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
