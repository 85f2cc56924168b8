//! `updateRefs`, the one mutation that landing needs: several refs move together or not at all.
//!
//! Whatever is asked is held against GitHub's schema first ([`schema`]).

mod schema;

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::auth::Actor;
use super::body;
use super::bug::Bug;
use super::call::Call;
use super::refs::{Move, moved};
use super::state::{Repository, Right, State};
use schema::Schema;

/// What GitHub would say of a request that its schema doesn't know.
pub(super) struct Misshapen(pub(super) String);

/// Moves refs, or says which part of the request GitHub's schema doesn't have.
pub(super) fn update_refs(state: &mut State, call: &Call) -> Result<Answer, Misshapen> {
    let asked = Schema::get().asked(&call.body).map_err(Misshapen)?;
    let [input] = asked.values().collect::<Vec<_>>()[..] else {
        return Err(Misshapen("more than one mutation".to_owned()));
    };
    let input = &input["input"];
    let moves: Vec<Move> =
        input["refUpdates"].as_array().into_iter().flatten().map(one_move).collect();
    let is_it = |it: &&Repository| input["repositoryId"] == body::node("R", it.id).as_str();
    let Some(repository) = state.repositories.values().find(is_it) else {
        return Ok(refused("NOT_FOUND", &answer::NO_NODE.words()));
    };
    if let Actor::Person(login) = &call.actor
        && repository.right(login) < Right::Write
    {
        return Ok(refused("FORBIDDEN", &answer::NO_RIGHT_OF_TOKEN.words()));
    }
    let repository = repository.id;
    let id = input["clientMutationId"].clone();
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

/// A step, whose fields are as the schema has them.
fn one_move(update: &Value) -> Move {
    let text = |name: &str| update[name].as_str().map(str::to_owned);
    Move {
        name: text("name").unwrap_or_default(),
        before: text("beforeOid"),
        after: text("afterOid").unwrap_or_default(),
        force: update["force"] == true,
    }
}
