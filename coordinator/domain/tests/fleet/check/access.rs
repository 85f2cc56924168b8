//! Who may do what, by a table that shares nothing with the rules.

use molt_domain::access::{self, Identity, LIVE_TOKENS, Peer, Repos, Role, Token};
use molt_domain::board::{Caller, Change, Command, Event, Tables};
use molt_domain::host::Standing;
use molt_domain::id::BoardTime;
use molt_domain::job::State;
use molt_domain::name::RepoName;
use molt_domain::policy::Trust;
use molt_domain::report::Subject;

use super::{Checked, Step, ensure};

/// What each role may say, for itself or for a session.
fn words(role: Role) -> &'static [&'static str] {
    match role {
        Role::Viewer => &[],
        Role::Bot => &["join", "resume", "leave", "submit", "dequeue", "retry"],
        Role::Host | Role::Prover => &[
            "resume",
            "acquire-lock",
            "acquire-slot",
            "ask-build",
            "end-build",
            "release-hold",
            "root-dead",
            "see-host",
            "end-job",
        ],
        Role::Agent => &[
            "join",
            "resume",
            "leave",
            "claim",
            "release",
            "extend",
            "narrow",
            "handoff",
            "withdraw",
            "accept",
            "unqueue",
            "announce",
            "send",
            "read-inbox",
            "report",
            "add-task",
            "next",
            "end-task",
            "acquire-lock",
            "acquire-slot",
            "ask-build",
            "end-build",
            "release-hold",
            "submit",
            "dequeue",
            "retry",
        ],
        Role::Operator => &[
            "join",
            "resume",
            "leave",
            "claim",
            "release",
            "extend",
            "narrow",
            "handoff",
            "withdraw",
            "accept",
            "unqueue",
            "announce",
            "send",
            "read-inbox",
            "report",
            "add-task",
            "next",
            "end-task",
            "acquire-lock",
            "acquire-slot",
            "ask-build",
            "end-build",
            "release-hold",
            "submit",
            "dequeue",
            "retry",
            "revoke-claim",
            "revoke-session",
            "reopen-task",
            "approve",
            "override",
            "raise-epoch",
            "raise-format",
            "plan-scopes",
            "issue-token",
            "revoke-token",
        ],
    }
}

/// Only who has the right was obeyed.
pub(super) fn access(step: &Step<'_>, before: &Tables) -> Checked {
    let Peer::Known(identity) = &step.request.peer else { return Ok(()) };
    let word = step.request.command.word();
    ensure(words(identity.role).contains(&word), "13 roles limit verbs", || {
        format!("{word} by {identity:?}")
    })?;
    let by_operator = matches!(step.request.caller, Caller::Operator(_));
    ensure(!by_operator || identity.role == Role::Operator, "13 roles limit verbs", || {
        format!("{word} in an operator's name by {identity:?}")
    })?;
    let by_host = matches!(step.request.caller, Caller::Host(_));
    ensure(!by_host || identity.role.is_host(), "13 roles limit verbs", || {
        format!("{word} in a host's name by {identity:?}")
    })?;
    hosts_are_themselves(step, identity, before)?;
    tokens_are_good(step, identity, before)?;
    within_repos(step, identity, before)
}

fn hosts_are_themselves(step: &Step<'_>, identity: &Identity, before: &Tables) -> Checked {
    let host = match &step.request.caller {
        Caller::Host(host) => Some(host),
        Caller::Session(shown) if identity.role.is_host() => {
            before.sessions.get(&shown.session).map(|session| &session.host)
        }
        _ => None,
    };
    let same = host.is_none_or(|host| host.as_str() == identity.name.as_str());
    ensure(same, "13 a host speaks for itself", || format!("{host:?} by {identity:?}"))
}

fn tokens_are_good(step: &Step<'_>, identity: &Identity, before: &Tables) -> Checked {
    let Some(id) = identity.token else { return Ok(()) };
    let now = step.act.now.board;
    let good = |token: &Token| {
        token.state == access::State::Issued && token.expires.is_none_or(|end| now < end)
    };
    ensure(before.tokens.get(&id).is_some_and(|token| good(token)), "13 tokens end", || {
        format!("{id} at {now:?}: {:?}", before.tokens.get(&id))
    })
}

fn within_repos(step: &Step<'_>, identity: &Identity, before: &Tables) -> Checked {
    let Repos::Only(own) = &identity.repos else { return Ok(()) };
    let mut touched: Vec<RepoName> = Vec::new();
    for change in step.changes {
        match change {
            Change::Session(id, session) => {
                let session = session.as_ref().or_else(|| before.sessions.get(id));
                touched.extend(session.map(|session| session.repo.clone()));
            }
            Change::Claim(id, claim) => {
                let claim = claim.as_ref().or_else(|| before.claims.get(id));
                touched.extend(claim.map(|claim| claim.repo.clone()));
            }
            Change::Report(Subject::Task(id), _) => {
                touched.extend(before.tasks.get(id).map(|task| task.repo.clone()));
            }
            Change::Car(_, Some(car)) => touched.push(car.repo.clone()),
            Change::Plan(repo, _) => touched.push(repo.clone()),
            _ => {}
        }
    }
    let outside = touched.into_iter().find(|repo| !own.contains(repo));
    let fleet = matches!(
        step.request.command,
        Command::RaiseEpoch { .. }
            | Command::RaiseFormat { .. }
            | Command::IssueToken(_)
            | Command::RevokeToken { .. }
    );
    ensure(outside.is_none() && !fleet, "13 tokens are limited to repositories", || {
        format!("{outside:?} {:?} by {identity:?}", step.request.command)
    })
}

/// Tokens come and go by an operator's word, with an audit entry that tells no secret.
pub(super) fn tokens(step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    for change in step.changes {
        let Change::Token(id, token) = change else { continue };
        let told = step.events.iter().any(|event| {
            matches!(event, Event::TokenIssued { token, .. } | Event::TokenRevoked { token, .. }
                if token == id)
        });
        let forgotten = token.is_none() && ended(before, *id, step.act.now.board);
        ensure(told || forgotten, "11 every change has its audit entry", || format!("{change:?}"))?;
        let hash = before.tokens.get(id).or(token.as_ref()).map(|token| token.hash.to_string());
        let leaked = hash.is_some_and(|hash| format!("{:?}", step.events).contains(&hash));
        ensure(!leaked, "13 the audit tells no secret", || id.to_string())?;
    }
    let now = step.act.now.board;
    let live = after.tokens.values().filter(|token| token.is_live(now)).count();
    ensure(live <= LIVE_TOKENS, "tokens are bounded", || live.to_string())
}

/// A run whose result counts for landing is given to a host that no agent has a hand in.
pub(super) fn provers(step: &Step<'_>, after: &Tables) -> Checked {
    for change in step.changes {
        let Change::Job(id, Some(job)) = change else { continue };
        let State::Assigned { host, .. } = &job.state else { continue };
        let trust = after.repos.get(&job.repo).map(|repo| repo.policy.merge.trust);
        let standing = after.hosts.get(host).map(|host| host.standing);
        let doubted = standing == Some(Standing::AgentHost) && trust == Some(Trust::Provers);
        ensure(!doubted, "13 provers alone", || format!("{id} on {host}"))?;
    }
    Ok(())
}

fn ended(before: &Tables, id: molt_domain::id::TokenId, now: BoardTime) -> bool {
    before.tokens.get(&id).is_some_and(|token| !token.is_live(now))
}
