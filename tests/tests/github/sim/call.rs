//! One request of an operation, as its handler sees it.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::answer::{self, Answer};
use super::auth::Actor;
use super::state::{Repository, State};

/// What a handler says; a refusal is an answer as well.
pub(super) type Said = Result<Answer, Answer>;

pub(super) struct Call {
    pub(super) operation: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    pub(super) actor: Actor,
    pub(super) repository: Option<u64>,
}

impl Call {
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).expect("the template has this parameter")
    }

    /// A number in the path; anything else is not there.
    pub(super) fn number(&self, name: &str) -> Result<u64, Answer> {
        self.parameter(name).parse().map_err(|_| answer::NOT_FOUND.into())
    }

    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The moment that a list is asked from.
    pub(super) fn since(&self) -> Result<u64, Answer> {
        let Some(text) = self.asked("since") else { return Ok(0) };
        let moment = humantime::parse_rfc3339(text).ok();
        let seconds = moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
        seconds.map(|seconds| seconds.as_secs()).ok_or_else(|| answer::NO_SINCE.into())
    }

    /// A text of the body that GitHub can't do without.
    pub(super) fn text(&self, name: &str) -> Result<&str, Answer> {
        let text = self.body[name].as_str();
        text.ok_or_else(|| answer::missing(name))
    }

    pub(super) fn repository_id(&self) -> u64 {
        self.repository.expect("the operation is of a repository")
    }

    pub(super) fn repository<'a>(&self, state: &'a State) -> &'a Repository {
        state.repository(self.repository_id())
    }

    pub(super) fn repository_mut<'a>(&self, state: &'a mut State) -> &'a mut Repository {
        state.repository_mut(self.repository_id())
    }

    /// Whoever acts, as others see them.
    pub(super) fn login(&self, state: &State) -> String {
        match &self.actor {
            Actor::Person(login) => login.clone(),
            _ => state.bot(),
        }
    }
}
