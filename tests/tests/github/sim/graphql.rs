//! `updateRefs`, the one mutation that landing needs: several refs move together or not at all.
//!
//! A query is held against the shape that GitHub's schema gives it, and no other query is known:
//!
//! ```graphql
//! mutation Name($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }
//! ```

use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::auth::Actor;
use super::body;
use super::bug::Bug;
use super::call::Call;
use super::git::ZERO;
use super::refs::{Move, moved};
use super::state::{Repository, Right, State};

/// What GitHub would say of a request that its schema doesn't know.
pub(super) struct Misshapen(pub(super) String);

/// Moves refs, or says which part of the request GitHub's schema doesn't have.
pub(super) fn update_refs(state: &mut State, call: &Call) -> Result<Answer, Misshapen> {
    let input = input(&call.body)?;
    let moves = moves(input)?;
    let asked = |it: &&Repository| {
        input.get("repositoryId").is_some_and(|id| *id == body::node("R", it.id))
    };
    let Some(repository) = state.repositories.values().find(asked) else {
        return Ok(refused("NOT_FOUND", &answer::NO_NODE.words()));
    };
    if let Actor::Person(login) = &call.actor
        && repository.right(login) < Right::Write
    {
        return Ok(refused("FORBIDDEN", &answer::NO_RIGHT_OF_TOKEN.words()));
    }
    let repository = repository.id;
    let id = input.get("clientMutationId").cloned().unwrap_or_default();
    let by = call.login(state);
    Ok(match moved_as_is(state, repository, &moves, &by) {
        Ok(()) => Answer::ok(json!({ "data": { "updateRefs": { "clientMutationId": id } } })),
        Err(words) => refused("UNPROCESSABLE", &words),
    })
}

/// Moves all or none of them, as long as this GitHub is sound.
fn moved_as_is(state: &mut State, repository: u64, moves: &[Move], by: &str) -> Result<(), String> {
    if !state.has(Bug::HalfMoves) {
        return moved(state, repository, moves, by);
    }
    let mut each = moves.chunks(1).map(|one| moved(state, repository, one, by));
    each.try_fold((), |(), moved| moved)
}

/// GraphQL refuses within an answer that is fine.
pub(super) fn refused(kind: &str, words: &str) -> Answer {
    Answer::ok(json!({
        "data": { "updateRefs": null },
        "errors": [{
            "type": kind, "path": ["updateRefs"], "locations": [{ "line": 1, "column": 1 }], "message": words,
        }],
    }))
}

/// The input of a query that has the one shape there is.
fn input(request: &Value) -> Result<&Map<String, Value>, Misshapen> {
    let query = request["query"].as_str().ok_or_else(|| Misshapen("no query".to_owned()))?;
    let mut tokens = tokens(query);
    if tokens.get(1).is_some_and(|token| token != "(") {
        tokens.remove(1);
    }
    let variable = tokens.get(3).cloned().unwrap_or_default();
    let shape = format!(
        "mutation ( $ {variable} : UpdateRefsInput ! ) \
         {{ updateRefs ( input : $ {variable} ) {{ clientMutationId }} }}"
    );
    if tokens.join(" ") != shape {
        return Err(Misshapen(format!("not the one query that is known: {query}")));
    }
    for field in request.as_object().into_iter().flat_map(Map::keys) {
        if !["query", "variables", "operationName"].contains(&field.as_str()) {
            return Err(Misshapen(format!("no such field of a request: {field}")));
        }
    }
    let variables = request["variables"].as_object().filter(|variables| variables.len() == 1);
    variables
        .and_then(|variables| variables.get(&variable)?.as_object())
        .ok_or_else(|| Misshapen(format!("the variables are not {variable} alone")))
}

/// Names and signs of a query, without what separates them.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut within = false;
    for sign in query.chars() {
        let names = sign.is_ascii_alphanumeric() || sign == '_';
        match tokens.last_mut() {
            Some(last) if names && within => last.push(sign),
            _ if sign.is_whitespace() || sign == ',' => {}
            _ => tokens.push(sign.to_string()),
        }
        within = names;
    }
    tokens
}

fn moves(input: &Map<String, Value>) -> Result<Vec<Move>, Misshapen> {
    known(input, &["clientMutationId", "refUpdates", "repositoryId"])?;
    let updates = input.get("refUpdates").and_then(Value::as_array);
    let updates = updates.ok_or_else(|| Misshapen("refUpdates is no list".to_owned()))?;
    updates.iter().map(one_move).collect()
}

fn one_move(update: &Value) -> Result<Move, Misshapen> {
    let fields =
        update.as_object().ok_or_else(|| Misshapen("a ref update is no object".to_owned()))?;
    known(fields, &["afterOid", "beforeOid", "force", "name"])?;
    let text = |name: &str| update[name].as_str().map(str::to_owned);
    let (Some(name), Some(after)) = (text("name"), text("afterOid")) else {
        return Err(Misshapen("a ref update without name or afterOid".to_owned()));
    };
    let before = text("beforeOid");
    for oid in before.iter().chain([&after]) {
        if oid.len() != ZERO.len() || !oid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Misshapen(format!("no GitObjectID: {oid}")));
        }
    }
    if !name.starts_with("refs/") {
        return Err(Misshapen(format!("no fully qualified GitRefname: {name}")));
    }
    Ok(Move { name, before, after, force: update["force"] == true })
}

fn known(fields: &Map<String, Value>, names: &[&str]) -> Result<(), Misshapen> {
    match fields.keys().find(|field| !names.contains(&field.as_str())) {
        Some(field) => Err(Misshapen(format!("no such field: {field}"))),
        None => Ok(()),
    }
}
