//! The way of a request: who asks and for what, its effect, its headers, and what is held of it.

use axum::http::HeaderMap;
use serde_json::Value;

use super::answer::{self, Answer};
use super::auth::Actor;
use super::call::{Call, Said};
use super::fault::{Plan, Sent, When};
use super::state::State;
use super::{checks, graphql, issues, pulls, repositories};
use crate::contract::{Contract, Exchange, query};

/// Requests that one token may make in an hour.
const LIMIT: u64 = 5000;
/// The most that a page holds, and what it holds unasked.
const PAGE: (usize, usize) = (100, 30);

/// A request as it came.
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A request that was made, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `METHOD /template`, or the request's own line if there is no such operation.
    pub(crate) operation: String,
    pub(crate) path: String,
    pub(crate) actor: Actor,
    pub(crate) token: Option<String>,
    pub(crate) body: Value,
    /// Of the answer that was sent.
    pub(crate) status: u16,
}

/// Everything behind the one lock.
pub(super) struct World {
    pub(super) state: State,
    pub(super) faults: Plan,
    pub(super) journal: Vec<Entry>,
    pub(super) violations: Vec<String>,
}

impl World {
    /// Answers a request and says how its body is sent.
    pub(super) fn answer(&mut self, asked: &Asked) -> (Answer, Sent) {
        self.state.requests += 1;
        let body = match asked.body.as_slice() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap_or_else(|_| "no JSON".into()),
        };
        let route = Contract::get().route(&asked.method, &asked.target);
        let operation = match &route {
            Some(route) => route.operation(),
            None => format!("{} {}", asked.method, asked.target),
        };
        let fault = self.faults.next(&operation);
        let before = fault.as_ref().is_some_and(|fault| fault.when == When::Before);
        let (actor, answer) = if before {
            (Actor::Nobody, None)
        } else {
            let (actor, answer) = self.effect(asked, &operation, body.clone());
            let answer = self.with_headers(asked, &actor, answer);
            self.check(asked, &body, &answer);
            (actor, Some(answer))
        };
        let (answer, sent) = match (fault, answer) {
            (Some(fault), answer) => fault.kind.instead(answer),
            (None, Some(answer)) => (answer, Sent::Whole),
            (None, None) => unreachable!("only a fault keeps an answer back"),
        };
        let token = asked.header("authorization").map(str::to_owned);
        let (path, status) = (asked.target.clone(), answer.status);
        self.journal.push(Entry { operation, path, actor, token, body, status });
        (answer, sent)
    }

    /// What the request does, and its answer.
    fn effect(&mut self, asked: &Asked, operation: &str, body: Value) -> (Actor, Answer) {
        let actor = match Actor::of(&self.state, asked.header("authorization")) {
            Ok(actor) => actor,
            Err(refusal) => return (Actor::Nobody, refusal),
        };
        if !body.is_null() && !body.is_object() {
            let words = "Problems parsing JSON";
            return (actor, Answer::new(400, serde_json::json!({ "message": words })));
        }
        let said = self.said(asked, operation, body, &actor);
        (actor, said.unwrap_or_else(|refusal| refusal))
    }

    fn said(&mut self, asked: &Asked, operation: &str, body: Value, actor: &Actor) -> Said {
        let mut call = Call {
            operation: operation.to_owned(),
            parameters: std::collections::BTreeMap::new(),
            query: query(&asked.target),
            body,
            actor: actor.clone(),
            repository: None,
        };
        if operation == "POST /graphql" {
            return self.graphql(&call);
        }
        // The check of the exchange says so too; here it is an answer.
        let route = Contract::get().route(&asked.method, &asked.target).ok_or(answer::NOT_FOUND)?;
        call.parameters = route.parameters;
        call.repository = match (call.parameters.get("owner"), call.parameters.get("repo")) {
            (Some(owner), Some(name)) => self.state.named(owner, name),
            _ => route.repository.filter(|id| self.state.repositories.contains_key(id)),
        };
        let of_repository = route.template.starts_with("/repos/");
        if of_repository && call.repository.is_none() {
            return Err(answer::NOT_FOUND.into());
        }
        if let (Actor::Person(login), Some(id)) = (actor, call.repository)
            && self.state.repository(id).right(login) < super::state::Right::Read
        {
            return Err(answer::NOT_FOUND.into());
        }
        actor.may(&self.state, operation, call.repository)?;
        let Some(handler) = handler(operation) else {
            self.violations.push(format!("{operation}: the simulator doesn't serve it"));
            return Err(answer::NOT_FOUND.into());
        };
        handler(&mut self.state, &call)
    }

    fn graphql(&mut self, call: &Call) -> Said {
        if let Err(refusal) = call.actor.may(&self.state, &call.operation, None) {
            let words = refusal.body["message"].as_str().unwrap_or_default();
            return if refusal.status == 403 {
                Ok(graphql::refused("FORBIDDEN", words))
            } else {
                Err(refusal)
            };
        }
        Ok(graphql::update_refs(&mut self.state, call).unwrap_or_else(|misshapen| {
            self.violations.push(format!("POST /graphql: {}", misshapen.0));
            Answer::ok(serde_json::json!({ "errors": [{ "message": misshapen.0 }] }))
        }))
    }

    /// Cuts a list into pages and adds what every answer carries.
    fn with_headers(&mut self, asked: &Asked, actor: &Actor, mut answer: Answer) -> Answer {
        paged(&self.state, asked, &mut answer);
        let token = asked.header("authorization").unwrap_or_default().to_owned();
        if asked.method == "GET" && answer.status == 200 {
            let key =
                format!("{token} {:?} {} {}", asked.header("accept"), asked.target, answer.body);
            let tag = format!("W/\"{}\"", blake3::hash(key.as_bytes()));
            if asked.header("if-none-match") == Some(tag.as_str()) {
                answer = Answer::new(304, Value::Null);
            }
            answer.headers.push(("ETag".to_owned(), tag));
        }
        let spent = self.state.spent.entry(token).or_default();
        if answer.status != 304 && *actor != Actor::Nobody {
            *spent += 1;
        }
        let (spent, now) = (*spent, self.state.now());
        for (name, value) in [
            ("X-RateLimit-Limit", LIMIT.to_string()),
            ("X-RateLimit-Remaining", LIMIT.saturating_sub(spent).to_string()),
            ("X-RateLimit-Used", spent.to_string()),
            ("X-RateLimit-Reset", (now - now % 3600 + 3600).to_string()),
            ("X-RateLimit-Resource", "core".to_owned()),
            ("X-GitHub-Request-Id", format!("SIM:{}", self.state.requests)),
            ("X-GitHub-Media-Type", "github.v3; format=json".to_owned()),
        ] {
            answer.headers.push((name.to_owned(), value));
        }
        answer
    }

    fn check(&mut self, asked: &Asked, request: &Value, answer: &Answer) {
        // GraphQL is not in the description; its own room is strict about it.
        if asked.target == "/graphql" {
            return;
        }
        let exchange = Exchange {
            method: &asked.method,
            path: &asked.target,
            request,
            status: answer.status,
            body: &answer.body,
        };
        let found = Contract::get().check(&exchange);
        self.violations.extend(found.iter().map(ToString::to_string));
    }
}

type Handler = fn(&mut State, &Call) -> Said;

/// What an operation does; none if the simulator doesn't serve it.
fn handler(operation: &str) -> Option<Handler> {
    let (method, template) = operation.split_once(' ')?;
    let of_repository = template.strip_prefix("/repos/{owner}/{repo}");
    Some(match (method, of_repository.unwrap_or(template)) {
        ("GET", "/app") => repositories::app,
        ("GET", "/user") => repositories::user,
        ("GET", "/app/installations/{installation_id}" | "/installation") => {
            repositories::installation
        }
        ("POST", "/app/installations/{installation_id}/access_tokens") => {
            repositories::access_token
        }
        ("GET", "") => repositories::repository,
        ("GET", "/branches/{branch}") => repositories::branch,
        ("GET", "/rules/branches/{branch}") => repositories::rules,
        ("GET", "/collaborators/{username}/permission") => repositories::permission,
        ("GET", "/git/ref/{ref}") => repositories::reference,
        ("POST", "/git/refs") => repositories::create_reference,
        ("PATCH", "/git/refs/{ref}") => repositories::update_reference,
        ("DELETE", "/git/refs/{ref}") => repositories::delete_reference,
        ("GET", "/commits/{commit_sha}/pulls") => repositories::pulls_of_commit,
        ("GET", "/pulls") => pulls::list,
        ("POST", "/pulls") => pulls::create,
        ("GET", "/pulls/{pull_number}") => pulls::get,
        ("PATCH", "/pulls/{pull_number}") => pulls::update,
        ("GET", "/pulls/{pull_number}/reviews") => pulls::reviews,
        ("GET", "/issues/comments" | "/issues/{issue_number}/comments") => issues::comments,
        ("GET", "/issues/comments/{comment_id}") => issues::get_comment,
        ("POST", "/issues/{issue_number}/comments") => issues::create_comment,
        ("PATCH", "/issues/comments/{comment_id}") => issues::update_comment,
        ("GET", "/issues/{issue_number}/labels") => issues::labels,
        ("POST", "/issues/{issue_number}/labels") => issues::add_labels,
        ("DELETE", "/issues/{issue_number}/labels/{name}") => issues::remove_label,
        ("POST", "/check-runs") => checks::create,
        ("GET", "/check-runs/{check_run_id}") => checks::get,
        ("PATCH", "/check-runs/{check_run_id}") => checks::update,
        ("GET", "/check-runs/{check_run_id}/annotations") => checks::annotations,
        ("GET", "/commits/{ref}/check-runs") => checks::list,
        ("POST", "/statuses/{sha}") => checks::set_status,
        ("GET", "/commits/{ref}/status") => checks::combined_status,
        _ => return None,
    })
}

/// The asked page of a list, and where the others are.
fn paged(state: &State, asked: &Asked, answer: &mut Answer) {
    let Some(field) = answer.pages.take() else { return };
    let asked_for = query(&asked.target);
    let number = |name: &str| -> Option<usize> {
        asked_for.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok())
    };
    let size = number("per_page").unwrap_or(PAGE.1).clamp(1, PAGE.0);
    let page = number("page").unwrap_or(1).max(1);
    let items = match field {
        Some(field) => &mut answer.body[field],
        None => &mut answer.body,
    };
    let items = items.as_array_mut().expect("what is paged is a list");
    let last = items.len().div_ceil(size).max(1);
    *items = items.iter().skip((page - 1) * size).take(size).cloned().collect();
    let mut others = Vec::new();
    if page > 1 {
        others.extend([("prev", page - 1), ("first", 1)]);
    }
    if page < last {
        others.extend([("next", page + 1), ("last", last)]);
    }
    if others.is_empty() {
        return;
    }
    let links: Vec<_> = others
        .into_iter()
        .map(|(kind, page)| format!("<{}>; rel=\"{kind}\"", address(state, &asked.target, page)))
        .collect();
    answer.headers.push(("Link".to_owned(), links.join(", ")));
}

/// Where another page is: by the repository's id, which is how GitHub writes it.
fn address(state: &State, target: &str, page: usize) -> String {
    let (path, asked) = target.split_once('?').unwrap_or((target, ""));
    let parts: Vec<_> = path.splitn(5, '/').collect();
    if let ["", "repos", owner, name, rest] = parts.as_slice()
        && let Some(id) = state.named(owner, name)
    {
        return format!("{}/repositories/{id}/{rest}?{}", state.base, other_page(asked, page));
    }
    format!("{}{path}?{}", state.base, other_page(asked, page))
}

fn other_page(asked: &str, page: usize) -> String {
    let kept = asked.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
    let mut pairs: Vec<_> = kept.map(str::to_owned).collect();
    pairs.push(format!("page={page}"));
    pairs.join("&")
}
