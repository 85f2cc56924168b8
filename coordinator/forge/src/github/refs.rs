//! Moves refs at GitHub: several together in GraphQL, or one alone by REST.
//!
//! `updateRefs` compares every ref with what it is expected to name and moves all of them or none,
//! which is what fences a landing. One alone can only be kept from going back.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{Cause, GithubError};
use super::operation::{Operation, Route};
use super::shape::Ref;
use crate::Oid;

/// The one thing that is asked in GraphQL.
const UPDATE: &str = "mutation($input: UpdateRefsInput!) \
                      { updateRefs(input: $input) { clientMutationId } }";

/// What a ref names that is not there.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// What GraphQL says when it gave up and does not know itself what was done.
const GAVE_UP: &str = "Something went wrong while executing your query";

/// A step of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefMove {
    /// Its whole name: `refs/heads/main`.
    pub name: String,
    /// What it must name before; `None` for a ref that must not be there.
    pub from: Option<Oid>,
    /// What it names then.
    pub to: Oid,
    /// Whether that must be ahead.
    pub course: Course,
}

/// Where a ref may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// To what has its commit in its history.
    Forward,
    /// To any commit, which loses what it named unless something else names that.
    Anywhere,
}

/// What a move came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// All refs moved.
    All,
    /// None did: GitHub's words.
    None(String),
}

/// What GraphQL answers, whatever was asked.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
}

impl Client {
    /// Moves refs of the repository with this id in GraphQL, all of them or none, each only from
    /// where it is expected.
    ///
    /// # Errors
    ///
    /// Nothing moved; or, if the error [may have changed](GithubError::may_have_changed) something,
    /// nobody knows: read the refs.
    pub async fn move_together(
        &self,
        repository: &str,
        moves: &[RefMove],
    ) -> Result<Moved, GithubError> {
        let steps: Vec<Value> = moves.iter().map(step).collect();
        let input = json!({"repositoryId": repository, "refUpdates": steps});
        let body = json!({"query": UPDATE, "variables": {"input": input}});
        let operation = Operation::GRAPHQL;
        let said: Said = self.read(operation.route().body(body)).await?;
        came_to(said).map_err(|cause| GithubError { operation, cause })
    }

    /// Moves one ref forward. Nothing but its history keeps it from moving in between.
    ///
    /// # Errors
    ///
    /// As [`Client::move_together`].
    pub async fn move_forward(&self, route: Route, to: &Oid) -> Result<Moved, GithubError> {
        let body = json!({"sha": to.as_str(), "force": false});
        match self.read::<Ref>(route.body(body)).await {
            Ok(moved) if moved.object.sha == to.as_str() => Ok(Moved::All),
            Ok(moved) => {
                let detail = format!("it names {} now", moved.object.sha);
                let cause = Cause::Unreadable { detail };
                Err(GithubError { operation: Operation::MOVE_REF, cause })
            }
            Err(GithubError {
                cause:
                    Cause::Invalid { message }
                    | Cause::Conflict { message }
                    | Cause::NotAllowed { message },
                ..
            }) => Ok(Moved::None(message)),
            Err(error) => Err(error),
        }
    }
}

fn came_to(said: Said) -> Result<Moved, Cause> {
    let refused = !said.errors.is_empty();
    let words: Vec<String> = said.errors.into_iter().map(|it| it.message).collect();
    let words = words.join("; ");
    match (refused, said.data["updateRefs"].is_object()) {
        (true, _) if words.contains(GAVE_UP) => Err(Cause::Unanswered { reason: words }),
        (false, true) => Ok(Moved::All),
        (true, false) => Ok(Moved::None(words)),
        // Neither a success nor a failure, by what GraphQL is.
        _ => Err(Cause::Unreadable { detail: "data beside errors, or neither".into() }),
    }
}

fn step(it: &RefMove) -> Value {
    let from = it.from.as_ref().map_or(NOTHING, Oid::as_str);
    let force = it.course == Course::Anywhere;
    json!({"name": it.name, "beforeOid": from, "afterOid": it.to.as_str(), "force": force})
}
