//! GitHub's own description of its API, as a check of every exchange in both directions.
//!
//! What the client sends and what the simulator answers are judged by a document that neither of
//! them wrote. Two rules go beyond its schemas: a query parameter or a field of a body that GitHub
//! doesn't know is a violation, for GitHub ignores it in silence. Not here: what an answer must
//! say; that is the simulator's, and its tests'.

pub(crate) mod events;
pub(crate) mod recordings;
mod route;
mod schema;
#[cfg(test)]
mod tests;
pub(crate) mod waivers;

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;

use route::Routes;
pub(crate) use route::{Route, query};
use schema::Schemas;

/// GitHub's description, with the examples that the simulator builds its answers from.
const DOCUMENT: &str = include_str!("../data/openapi.json");

/// Statuses that any operation may answer although its description doesn't list them.
const ANYWHERE: [u16; 10] = [301, 304, 307, 401, 403, 404, 409, 410, 422, 429];

/// One request and its answer.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    /// The path as it was sent, with its query.
    pub(crate) path: &'a str,
    /// Null when there was none.
    pub(crate) request: &'a Value,
    pub(crate) status: u16,
    /// Null when it was empty, a string when it was no JSON.
    pub(crate) body: &'a Value,
}

/// How an exchange departs from the description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// `METHOD /template`, or the path as sent when no operation has it.
    pub(crate) operation: String,
    pub(crate) status: u16,
    /// What part of the exchange, and where in it: `response /head/repo`.
    pub(crate) place: String,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}: {}", self.operation, self.status, self.place, self.what)
    }
}

/// The description, read once; schemas are compiled when an exchange first needs them.
pub(crate) struct Contract {
    document: Value,
    routes: Routes,
    schemas: Schemas,
}

impl Contract {
    pub(crate) fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
            let routes = Routes::of(&document);
            let schemas = Schemas::of(&document);
            Self { document, routes, schemas }
        })
    }

    /// The operation that a request is, if GitHub's description has it.
    pub(crate) fn route(&self, method: &str, path: &str) -> Option<Route> {
        self.routes.find(method, path)
    }

    /// GitHub's own example of that name, for the simulator to write its facts into.
    pub(crate) fn example(&self, name: &str) -> &Value {
        let example = &self.document["components"]["examples"][name]["value"];
        assert!(!example.is_null(), "no example {name}");
        example
    }

    /// Every way in which this exchange departs from the description.
    pub(crate) fn check(&self, exchange: &Exchange<'_>) -> Vec<Violation> {
        let mut found = Findings { exchange, operation: String::new(), violations: Vec::new() };
        let Some(route) = self.route(exchange.method, exchange.path) else {
            found.operation = format!("{} {}", exchange.method, exchange.path);
            found.add("request", "no operation has this method and path");
            return found.violations;
        };
        found.operation = route.operation();
        let described = Described::of(&self.document, &route);
        self.check_query(&described, exchange, &mut found);
        self.check_request(&described, exchange, &mut found);
        self.check_response(&described, exchange, &mut found);
        found.violations
    }

    fn check_query(
        &self,
        described: &Described<'_>,
        exchange: &Exchange<'_>,
        found: &mut Findings<'_>,
    ) {
        for (name, _) in query(exchange.path) {
            let known = described.parameters().any(|parameter| {
                let parameter = schema::resolved(&self.document, parameter);
                parameter["in"] == "query" && parameter["name"] == name.as_str()
            });
            if !known {
                found.add(&format!("query {name}"), "no such parameter");
            }
        }
    }

    fn check_request(
        &self,
        described: &Described<'_>,
        exchange: &Exchange<'_>,
        found: &mut Findings<'_>,
    ) {
        let body = exchange.request;
        let Some(content) = described.request_content() else {
            // Clients send `{}` or `null` where no body is asked for; GitHub reads neither.
            if body.as_object().is_some_and(|fields| !fields.is_empty()) {
                found.add("request", "a body, and the operation takes none");
            }
            return;
        };
        if body.is_null() {
            if described.request_required() {
                found.add("request", "no body, and the operation needs one");
            }
            return;
        }
        // A request that GitHub itself refused shows what it refuses.
        if exchange.status < 400 {
            for (pointer, what) in self.schemas.errors(&content, body) {
                found.add(&format!("request {pointer}"), &what);
            }
        }
        for pointer in self.schemas.unknown_fields(&content, body) {
            found.add(&format!("request {pointer}"), "no such field");
        }
    }

    fn check_response(
        &self,
        described: &Described<'_>,
        exchange: &Exchange<'_>,
        found: &mut Findings<'_>,
    ) {
        let Exchange { status, body, .. } = *exchange;
        let Some(response) = described.response(status) else {
            let allowed = ANYWHERE.contains(&status) || (500..600).contains(&status);
            if !allowed {
                found.add("status", "the operation doesn't answer so");
            } else if status != 304 && status < 500 && !body["message"].is_string() {
                found.add("response", "an error without a message");
            }
            return;
        };
        match self.schemas.content_of(&response) {
            // A proxy in front of GitHub answers with a page, or with nothing.
            Some(_) if status >= 500 && !body.is_object() => {}
            Some(content) => {
                for (pointer, what) in self.schemas.errors(&content, body) {
                    found.add(&format!("response {pointer}"), &what);
                }
            }
            None if matches!(status, 204 | 304) && !body.is_null() => {
                found.add("response", "a body where there is none");
            }
            None => {}
        }
    }
}

/// What is written down about one operation, by its place in the document.
struct Described<'a> {
    pointer: String,
    operation: &'a Value,
}

impl<'a> Described<'a> {
    fn of(document: &'a Value, route: &Route) -> Self {
        let path = route.template.replace('~', "~0").replace('/', "~1");
        let pointer = format!("/paths/{path}/{}", route.method.to_lowercase());
        let operation = document.pointer(&pointer).expect("a route comes from the document");
        Self { pointer, operation }
    }

    fn parameters(&self) -> impl Iterator<Item = &'a Value> {
        self.operation["parameters"].as_array().into_iter().flatten()
    }

    fn request_content(&self) -> Option<String> {
        let content = self.operation.pointer("/requestBody/content/application~1json/schema")?;
        (!content.is_null())
            .then(|| format!("{}/requestBody/content/application~1json/schema", self.pointer))
    }

    fn request_required(&self) -> bool {
        self.operation["requestBody"]["required"] == true
    }

    /// Where the answer with this status is described.
    fn response(&self, status: u16) -> Option<String> {
        let described = &self.operation["responses"][status.to_string()];
        (!described.is_null()).then(|| format!("{}/responses/{status}", self.pointer))
    }
}

/// The violations of one exchange as they are found.
struct Findings<'a> {
    exchange: &'a Exchange<'a>,
    operation: String,
    violations: Vec<Violation>,
}

impl Findings<'_> {
    fn add(&mut self, place: &str, what: &str) {
        self.violations.push(Violation {
            operation: self.operation.clone(),
            status: self.exchange.status,
            place: place.trim_end().to_owned(),
            what: what.to_owned(),
        });
    }
}
