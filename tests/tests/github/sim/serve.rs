//! The way of a request: who asks and for what, its effect, its headers, and what is held of it.

use std::collections::VecDeque;

use axum::http::HeaderMap;
use serde_json::Value;

use super::answer::{self, Answer};
use super::auth::Actor;
use super::bug::Bug;
use super::call::{Call, Said};
use super::fault::{Fault, Kind, Plan, Sent, When};
use super::follow::Mover;
use super::hooks::Hooks;
use super::meter::Meter;
use super::state::{Repositories, State};
use super::{graphql, routes};
use crate::contract::events::Events;
use crate::contract::{Contract, Exchange, query};

/// So many changes ago is the oldest state that a read can be as of.
const PAST: usize = 8;
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
    /// When, in seconds since 1970 by the simulator's clock.
    pub(crate) at: u64,
}

/// A request as it begins.
pub(super) struct Begun {
    operation: String,
    body: Value,
    pub(super) fault: Option<Fault>,
}

/// Everything behind the one lock.
pub(super) struct World {
    pub(super) state: State,
    pub(super) faults: Plan,
    pub(super) journal: Vec<Entry>,
    /// Who pushed by git, each time that something moved.
    pub(super) pushes: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) meter: Meter,
    pub(super) hooks: Option<Hooks>,
    /// The repositories before each of the last changes, the latest last.
    past: VecDeque<Repositories>,
}

impl World {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            faults: Plan::default(),
            journal: Vec::new(),
            pushes: Vec::new(),
            violations: Vec::new(),
            meter: Meter::default(),
            hooks: None,
            past: VecDeque::new(),
        }
    }

    /// Makes a change, of which whoever listens hears.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut State) -> T) -> T {
        let before = self.state.as_they_are();
        let made = change(&mut self.state);
        self.changed(before);
        made
    }

    /// Remembers what was, and sends word of what is.
    fn changed(&mut self, before: Repositories) {
        self.past.push_back(before);
        if self.past.len() > PAST {
            self.past.pop_front();
        }
        self.violations.append(&mut self.state.complaints);
        for event in std::mem::take(&mut self.state.events) {
            self.violations.extend(Events::get().check(event.name, &event.body));
            if let Some(hooks) = &mut self.hooks {
                hooks.post(event, self.state.bug);
            }
        }
    }

    /// Holds git itself against what must be true of it in the end.
    pub(super) fn check_git(&mut self) {
        for repository in self.state.repositories.values() {
            let name = repository.full_name();
            if let Err(said) = repository.git.sound() {
                self.violations.push(format!("git of {name}: {said}"));
            }
            for pull in repository.pulls.values() {
                let base = repository.git.tip(&format!("refs/heads/{}", pull.base));
                let (Some(merged), Some(base)) = (&pull.merged, base) else { continue };
                let head = pull.head_now();
                if !repository.git.is_ancestor(head, merged) {
                    self.violations
                        .push(format!("{name}#{}: merged without its head", pull.number));
                }
                if !repository.git.is_ancestor(merged, &base) {
                    self.violations.push(format!("{name}#{}: merged and lost since", pull.number));
                }
            }
        }
    }

    /// Reads git after somebody pushed.
    pub(super) fn follow_git(&mut self, by: Mover<'_>) {
        let before = self.state.as_they_are();
        if self.state.follow_git(by) {
            if let Mover::Asker(login) = by {
                self.pushes.push(login.to_owned());
            }
            self.changed(before);
        }
    }

    /// Counts a request, and says what is to go wrong with it.
    pub(super) fn begin(&mut self, asked: &Asked) -> Begun {
        self.state.requests += 1;
        let body = match asked.body.as_slice() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap_or_else(|_| "no JSON".into()),
        };
        let operation = match Contract::get().route(&asked.method, &asked.target) {
            Some(route) => route.operation(),
            None => format!("{} {}", asked.method, asked.target),
        };
        let mut fault = self.faults.next(&operation);
        if body["status"] == "completed" {
            fault = self.faults.next(&format!("{operation} completed")).or(fault);
        }
        if body["output"]["annotations"].as_array().is_some_and(|them| !them.is_empty()) {
            fault = self.faults.next(&format!("{operation} annotated")).or(fault);
        }
        Begun { operation, body, fault }
    }

    /// Answers a request and says how its body is sent.
    pub(super) fn answer(&mut self, asked: &Asked, begun: Begun) -> (Answer, Sent) {
        let Begun { operation, body, fault } = begun;
        let kept_back = |fault: &Fault| fault.when == When::Before && !fault.kind.lets_through();
        let (actor, answer) = if fault.as_ref().is_some_and(kept_back) {
            (Actor::Nobody, None)
        } else {
            let (actor, answer) = self.carried_out(asked, &operation, &body, fault.as_ref());
            (actor, Some(answer))
        };
        let (answer, sent) = match (fault, answer) {
            (Some(fault), answer) => fault.kind.instead(answer),
            (None, Some(answer)) => (answer, Sent::Whole),
            (None, None) => unreachable!("only a fault keeps an answer back"),
        };
        let token = asked.header("authorization").map(str::to_owned);
        let (path, status) = (asked.target.clone(), answer.status);
        let at = self.state.now();
        self.journal.push(Entry { operation, path, actor, token, body, status, at });
        (answer, sent)
    }

    /// Carries the request out, as of now or of what was, and holds it against the description.
    fn carried_out(
        &mut self,
        asked: &Asked,
        operation: &str,
        body: &Value,
        fault: Option<&Fault>,
    ) -> (Actor, Answer) {
        let stale = match fault.map(|fault| &fault.kind) {
            Some(Kind::Stale { changes }) => Some(self.as_of(*changes)),
            _ => None,
        };
        let now = stale.map(|stale| std::mem::replace(&mut self.state.repositories, stale));
        let before = (asked.method != "GET").then(|| self.state.as_they_are());
        let (actor, answer) = self.effect(asked, operation, body.clone());
        let answer = self.with_headers(asked, &actor, answer);
        self.check(asked, body, &answer);
        if let Some(now) = now {
            self.state.repositories = now;
        }
        if let Some(before) = before.filter(|_| answer.status < 400) {
            self.changed(before);
        }
        (actor, answer)
    }

    /// The repositories as they were so many changes ago.
    fn as_of(&self, changes: usize) -> Repositories {
        let index = self.past.len().checked_sub(changes).expect("there were so many changes");
        self.past.get(index).cloned().unwrap_or_else(|| self.state.as_they_are())
    }

    /// What the request does, and its answer.
    fn effect(&mut self, asked: &Asked, operation: &str, body: Value) -> (Actor, Answer) {
        let actor = match Actor::of(&self.state, asked.header("authorization")) {
            Ok(actor) => actor,
            Err(refusal) => return (Actor::Nobody, refusal),
        };
        if !body.is_null() && !body.is_object() {
            return (actor, answer::NO_JSON.into());
        }
        if let Some(account) = account(&actor) {
            let now = self.state.now();
            if let Err(refusal) = self.meter.admit(&account, operation, now) {
                return (actor, refusal);
            }
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
            if let Some(moved) = self.moved(asked, &call) {
                return Err(moved);
            }
            return Err(answer::NOT_FOUND.into());
        }
        if let (Actor::Person(login), Some(id)) = (actor, call.repository)
            && self.state.repository(id).right(login) < super::state::Right::Read
        {
            return Err(answer::NOT_FOUND.into());
        }
        actor.may(&self.state, operation, call.repository)?;
        let Some(handler) = routes::handler(operation) else {
            self.violations.push(format!("{operation}: the simulator doesn't serve it"));
            return Err(answer::NOT_FOUND.into());
        };
        handler(&mut self.state, &call)
    }

    /// Where the repository is that had the asked name once: by its id, as GitHub says it (B28).
    fn moved(&self, asked: &Asked, call: &Call) -> Option<Answer> {
        let (owner, name) = (call.parameters.get("owner")?, call.parameters.get("repo")?);
        let id = self.state.formerly(owner, name)?;
        let rest = asked.target.splitn(5, '/').nth(4).map(|rest| format!("/{rest}"));
        let asked_for = asked.target.split_once('?').filter(|_| rest.is_none());
        let query = asked_for.map(|(_, query)| format!("?{query}"));
        let rest = rest.or(query).unwrap_or_default();
        let location = format!("{}/repositories/{id}{rest}", self.state.base);
        Some(answer::moved(&asked.method, location))
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
        let (now, limit) = (self.state.now(), self.meter.limits.requests_an_hour);
        let account = account(actor);
        let counts = answer.status != 304;
        let used = account.map_or(0, |account| self.meter.answered(&account, counts, now));
        for (name, value) in [
            ("X-RateLimit-Limit", limit.to_string()),
            ("X-RateLimit-Remaining", limit.saturating_sub(used).to_string()),
            ("X-RateLimit-Used", used.to_string()),
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

/// Whose limits a request counts against.
pub(super) fn account(actor: &Actor) -> Option<String> {
    match actor {
        Actor::Nobody => None,
        Actor::App(_) => Some("app".to_owned()),
        Actor::Installation { .. } => Some("installation".to_owned()),
        Actor::Person(login) => Some(format!("person {login}")),
    }
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
    if page < last && !state.has(Bug::OnePage) {
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
