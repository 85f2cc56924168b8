//! The board's tables, and a view of them that a decision writes to.
//!
//! One macro names every kind of record once: its table, its key, how it is
//! written. Not here: what the records mean.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::Token;
use crate::board::answer::{Answer, AnswerKey};
use crate::build::{Build, BuildKey};
use crate::claim::Claim;
use crate::gate::{Digest, Results};
use crate::host::Host;
use crate::id::{CarId, ClaimId, JobId, MessageId, SessionId, TaskId, TokenId};
use crate::job::Job;
use crate::lock::{Lock, LockKey};
use crate::message::{Announcement, Inbox, Message};
use crate::name::{HostName, RepoName};
use crate::plan::Plan;
use crate::policy::Repo;
use crate::pull;
use crate::report::{Report, Subject};
use crate::session::Session;
use crate::slot::{SlotKey, Slots};
use crate::task::Task;
use crate::train::Car;

/// A stored record that this program cannot read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The key is of no kind that this program knows.
    #[error("record key `{0}` is of no known kind")]
    Key(String),
    /// The value does not fit its kind.
    #[error("record `{key}` does not read")]
    Value {
        /// Its key.
        key: String,
        /// What the reader found.
        #[source]
        source: serde_json::Error,
    },
}

/// Committed records of one kind.
pub type Table<K, V> = BTreeMap<K, Arc<V>>;

/// One table as a decision sees it: what is committed, under what it wrote itself.
#[derive(Debug)]
pub struct View<'a, K, V> {
    base: &'a Table<K, V>,
    over: BTreeMap<K, Option<Arc<V>>>,
}

impl<'a, K: Ord + Clone, V: Clone> View<'a, K, V> {
    fn new(base: &'a Table<K, V>) -> Self {
        Self { base, over: BTreeMap::new() }
    }

    /// The record under `key`.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self.over.get(key) {
            Some(written) => written.as_deref(),
            None => self.base.get(key).map(Arc::as_ref),
        }
    }

    /// The record under `key`, to keep beside further writes.
    pub fn shared(&self, key: &K) -> Option<Arc<V>> {
        match self.over.get(key) {
            Some(written) => written.clone(),
            None => self.base.get(key).cloned(),
        }
    }

    /// Writes a record.
    pub fn put(&mut self, key: K, value: V) {
        self.over.insert(key, Some(Arc::new(value)));
    }

    /// Removes a record.
    pub fn delete(&mut self, key: &K) {
        self.over.insert(key.clone(), None);
    }

    /// All records, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let untouched = self.base.iter().filter(|(key, _)| !self.over.contains_key(*key));
        let mut left = untouched.map(|(key, value)| (key, value.as_ref())).peekable();
        let written = self.over.iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let mut right = written.peekable();
        std::iter::from_fn(move || match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) if a < b => left.next(),
            (_, Some(_)) => right.next(),
            (_, None) => left.next(),
        })
    }

    /// The records that this decision wrote, whether or not they were there before.
    pub fn written(&self) -> impl Iterator<Item = (&K, &V)> {
        self.over.iter().filter_map(|(key, value)| Some((key, value.as_deref()?)))
    }

    fn into_changes(self) -> btree_map::IntoIter<K, Option<Arc<V>>> {
        self.over.into_iter()
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident: $Kind:ident($Key:ty => $Value:ty), $path:literal;)*) => {
        /// Every committed record.
        #[derive(Debug, Default, Clone, PartialEq)]
        pub struct Tables {
            $($(#[$doc])* pub $table: Table<$Key, $Value>,)*
        }

        /// Every table as one decision sees it.
        #[derive(Debug)]
        pub struct Views<'a> {
            $($(#[$doc])* pub $table: View<'a, $Key, $Value>,)*
        }

        /// The only way in which state changes.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Change {
            $(
                /// Writes or (with `None`) removes a record of this kind.
                $Kind($Key, Option<Arc<$Value>>),
            )*
        }

        impl Tables {
            pub(super) fn view(&self) -> Views<'_> {
                Views { $($table: View::new(&self.$table),)* }
            }

            /// Makes a change and returns the one that undoes it.
            pub(super) fn apply(&mut self, change: Change) -> Change {
                match change {
                    $(Change::$Kind(key, value) => {
                        let before = match value {
                            Some(value) => self.$table.insert(key.clone(), value),
                            None => self.$table.remove(&key),
                        };
                        Change::$Kind(key, before)
                    })*
                }
            }
        }

        impl Tables {
            /// Every record as the change that would write it.
            pub(super) fn records(&self) -> Vec<Change> {
                let mut records = Vec::new();
                $(records.extend(self.$table.iter().map(|(key, value)| {
                    Change::$Kind(key.clone(), Some(Arc::clone(value)))
                }));)*
                records
            }
        }

        impl Views<'_> {
            /// How many records were written.
            pub(super) fn count(&self) -> usize {
                0 $(+ self.$table.over.len())*
            }

            pub(super) fn into_changes(self) -> Vec<Change> {
                let mut changes = Vec::new();
                $(changes.extend(
                    self.$table.into_changes().map(|(key, value)| Change::$Kind(key, value)),
                );)*
                changes
            }
        }

        impl Change {
            /// The record's key as the store knows it.
            #[must_use]
            pub fn key(&self) -> String {
                match self {
                    $(Change::$Kind(key, _) => path($path, key),)*
                }
            }

            /// The record's value as JSON; `None` when the change removes it.
            #[must_use]
            pub fn value(&self) -> Option<Vec<u8>> {
                match self {
                    $(Change::$Kind(_, value) => value.as_deref().map(json),)*
                }
            }

            /// Reads a stored record back.
            ///
            /// # Errors
            ///
            /// A key of an unknown kind or a value that does not fit its kind.
            pub fn read(key: &str, value: &[u8]) -> Result<Self, Unreadable> {
                let (kind, rest) =
                    key.split_once('/').ok_or_else(|| Unreadable::Key(key.to_owned()))?;
                let wrong = |source| Unreadable::Value { key: key.to_owned(), source };
                match kind {
                    $($path => {
                        let parsed: $Key = unpath(rest).map_err(wrong)?;
                        let value = serde_json::from_slice(value).map_err(wrong)?;
                        Ok(Change::$Kind(parsed, Some(Arc::new(value))))
                    })*
                    _ => Err(Unreadable::Key(key.to_owned())),
                }
            }
        }
    };
}

tables! {
    /// Coordinated repositories with the policy in force.
    repos: Repo(RepoName => Repo), "repo";
    /// Agents at work.
    sessions: Session(SessionId => Session), "session";
    /// The last answers of each session.
    answers: Answer(AnswerKey => Answer), "answer";
    /// Claims, held and queued.
    claims: Claim(ClaimId => Claim), "claim";
    /// Work.
    tasks: Task(TaskId => Task), "task";
    /// What agents announced of their claims.
    announcements: Announcement(ClaimId => Announcement), "announcement";
    /// What agents are told.
    messages: Message(MessageId => Message), "message";
    /// What was reported of tasks, and of sessions without one.
    reports: Report(Subject => Report), "report";
    /// How far sessions have read.
    inboxes: Inbox(SessionId => Inbox), "inbox";
    /// Locks of fleet reach.
    locks: Lock(LockKey => Lock), "lock";
    /// Pools of slots, one a host.
    slots: Slots(SlotKey => Slots), "slots";
    /// Builds that are done once for a fingerprint.
    builds: Build(BuildKey => Build), "build";
    /// Host daemons.
    hosts: Host(HostName => Host), "host";
    /// Runs of gates.
    jobs: Job(JobId => Job), "job";
    /// What gates found, by the digest of all that could change it.
    results: Results(Digest => Results), "results";
    /// Changes in the train.
    cars: Car(CarId => Car), "car";
    /// Bearer tokens, by what is no secret of them.
    tokens: Token(TokenId => Token), "token";
    /// How ready work is dealt, by repository.
    plans: Plan(RepoName => Plan), "plan";
    /// Pull requests of repositories at a forge.
    pulls: Pull(pull::PullKey => pull::Known), "pull";
    /// Repositories at a forge.
    desks: Desk(RepoName => pull::Desk), "desk";
}

/// A key as the tail of a path: its JSON text, without quotes where it is a plain string.
fn path<K: Serialize>(kind: &str, key: &K) -> String {
    match serde_json::to_string(key) {
        Ok(text) => {
            // Names and ids are written as they are: nothing in them needs an escape.
            let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            format!("{kind}/{}", plain.unwrap_or(&text))
        }
        Err(error) => unreachable!("a key is a string or a list of strings: {error}"),
    }
}

fn unpath<'de, K: Deserialize<'de>>(text: &'de str) -> Result<K, serde_json::Error> {
    use serde::de::IntoDeserializer;
    if text.starts_with(['[', '{']) {
        return serde_json::from_str(text);
    }
    let plain: serde::de::value::StrDeserializer<'de, serde_json::Error> = text.into_deserializer();
    K::deserialize(plain)
}

fn json<V: Serialize>(value: &V) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("records have string keys and finite numbers: {error}"),
    }
}
