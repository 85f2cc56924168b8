//! What the board keeps of a pull request, and of the repository that it is in.
//!
//! All of it is what the forge forgets or never told: which heads were seen when, what was asked
//! for in comments, who looked at a head, what became of that, and what was said at the forge
//! last. Everything else is read from the forge again. Not here: what moves these records
//! ([`super::follow`], [`mod@super::hear`], [`super::desk`]).

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::admission::Asked;
use super::words::Answer;
use super::{CommitId, ForgeTime, Right, Sighting, UserId};
use crate::id::{BoardTime, CarId};
use crate::name::RepoName;
use crate::train::Origin;

/// Heads of a pull request that are remembered.
pub const MAX_SEEN: usize = 16;

/// Persons who looked at a head that are remembered; more than one is never needed.
pub const MAX_LOOKS: usize = 4;

/// Commits to which we moved the branch of a head that are remembered: a leader that nobody
/// listens to any more may move it late.
pub const MAX_MOVED: usize = 4;

/// Answers to comments that are remembered.
pub const MAX_ANSWERS: usize = 5;

/// A pull request by its repository and its number there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PullKey {
    /// The repository.
    pub repo: RepoName,
    /// Its number at the forge.
    pub number: u64,
}

impl PullKey {
    /// The key of a pull request.
    #[must_use]
    pub fn of(repo: &RepoName, number: u64) -> Self {
        Self { repo: repo.clone(), number }
    }
}

impl From<PullKey> for String {
    fn from(key: PullKey) -> String {
        format!("{}/{}", key.repo, key.number)
    }
}

impl TryFrom<String> for PullKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (repo, number) =
            text.rsplit_once('/').ok_or_else(|| format!("`{text}` is no key of a pull request"))?;
        Ok(Self {
            repo: repo.parse().map_err(|error| format!("{error}"))?,
            number: number.parse().map_err(|error| format!("number: {error}"))?,
        })
    }
}

impl fmt::Display for PullKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repo, self.number)
    }
}

/// What the board keeps of a pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The repository.
    pub repo: RepoName,
    /// Its number at the forge.
    pub number: u64,
    /// Whose repository the head comes from.
    #[serde(default, skip_serializing_if = "Origin::is_own")]
    pub origin: Origin,
    /// Who opened it.
    pub opened_by: UserId,
    /// Heads in the order in which they were seen, the last [`MAX_SEEN`]; the last is the head
    /// now. Never empty.
    #[serde(deserialize_with = "some_head")]
    pub seen: Vec<Sighting>,
    /// The session's change that it was opened for, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows: Option<Shows>,
    /// Who asked by a command that it land.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedIn>,
    /// The head at which somebody cancelled what had asked for it: labels and auto-merge of that
    /// head do not count any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<CommitId>,
    /// The last [`MAX_LOOKS`] persons who looked at the head now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked: Vec<Look>,
    /// What made it a car last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered: Option<Entered>,
    /// The last [`MAX_MOVED`] commits that the branch of the head now was to be moved to by us, for
    /// landings: seen there it has no new head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<String>,
    /// What is answered to comments, the last [`MAX_ANSWERS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// What was said at the forge last.
    #[serde(default)]
    pub told: Told,
}

/// That somebody asked in a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedIn {
    /// The comment.
    pub comment: u64,
    /// What it asks for, and of which head.
    pub asked: Asked,
}

/// That a person looked at a head and lets it go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The head.
    pub head: CommitId,
    /// Who.
    pub by: UserId,
    /// What they called themselves then.
    pub login: String,
    /// What they could do then.
    pub right: Right,
    /// Why.
    pub reason: String,
    /// The comment that says so.
    pub comment: u64,
}

/// That a pull request became a car.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// With which head.
    pub head: CommitId,
    /// The comment that asked for it; `None` for a label and the forge's auto-merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<u64>,
    /// The car.
    pub car: CarId,
}

/// That a pull request was opened for a change that a session submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shows {
    /// The change.
    pub car: CarId,
    /// The head that was submitted.
    pub head: CommitId,
    /// The branch that was made for it.
    pub branch: String,
}

/// What was said of a pull request at the forge.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// In the check run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckTold>,
    /// The number of our comment, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<u64>,
    /// Digest of all that was said; empty where it is to be said anew.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// A check run that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTold {
    /// Of which head.
    pub head: CommitId,
    /// Its number at the forge.
    pub id: u64,
}

/// What the board keeps of a repository at a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    /// The repository.
    pub repo: RepoName,
    /// Which repository it is at the forge: what stays the same when it is renamed, and is another
    /// one's when somebody else takes its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge_id: Option<u64>,
    /// The last comment that was heard; later ones have greater numbers.
    pub comment: u64,
    /// When that was written: what is read next begins there.
    pub since: ForgeTime,
    /// Until when nothing is asked of the forge, whoever leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<BoardTime>,
}

impl Known {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> PullKey {
        PullKey::of(&self.repo, self.number)
    }

    /// The head now.
    #[must_use]
    pub fn head(&self) -> &CommitId {
        match self.seen.last() {
            Some(sighting) => &sighting.head,
            None => unreachable!("a pull request is known by a head, and a record without is none"),
        }
    }

    /// Whether this commit is where we moved its head's branch.
    #[must_use]
    pub fn is_moved_to(&self, head: &str) -> bool {
        self.moved.iter().any(|moved| moved == head)
    }

    /// The last look at the head now by somebody who may decide over it.
    #[must_use]
    pub fn look(&self) -> Option<&Look> {
        self.looked.iter().rfind(|look| look.head == *self.head() && look.right >= Right::Maintain)
    }

    /// The head that a session submitted, if no other one was ever seen: a push voids what was said
    /// of the head before, also when it is taken back.
    #[must_use]
    pub fn submitted(&self) -> Option<&CommitId> {
        let head = &self.shows.as_ref()?.head;
        self.seen.iter().all(|sighting| sighting.head == *head).then_some(head)
    }

    /// The same pull request before anything but its head is known of it.
    pub(super) fn new(key: &PullKey, first: Sighting, origin: Origin, opened_by: UserId) -> Self {
        Self {
            repo: key.repo.clone(),
            number: key.number,
            origin,
            opened_by,
            seen: vec![first],
            shows: None,
            asked: None,
            cancelled: None,
            looked: Vec::new(),
            entered: None,
            moved: Vec::new(),
            answers: Vec::new(),
            told: Told::default(),
        }
    }

    /// Takes a head that is another one than before.
    pub(super) fn see(&mut self, head: &CommitId, at: ForgeTime) {
        // The forge has more than one clock: what was read later was seen later.
        let at = self.seen.last().map_or(at, |last| last.at.max(at));
        self.seen.push(Sighting { head: head.clone(), at });
        keep_last(&mut self.seen, MAX_SEEN);
        self.looked.clear();
        // Whoever pushes that commit now has seen it, and means it.
        self.moved.clear();
    }

    /// Takes note that the branch is to be moved to a commit.
    pub(crate) fn add_moved(&mut self, commit: &str) {
        self.moved.retain(|moved| moved != commit);
        self.moved.push(commit.to_owned());
        keep_last(&mut self.moved, MAX_MOVED);
    }

    /// Takes a look; of each person the last one counts.
    pub(super) fn add_look(&mut self, look: Look) {
        self.looked.retain(|other| other.by != look.by);
        self.looked.push(look);
        keep_last(&mut self.looked, MAX_LOOKS);
    }

    pub(super) fn add_answer(&mut self, answer: Answer) {
        self.answers.push(answer);
        keep_last(&mut self.answers, MAX_ANSWERS);
    }
}

fn keep_last<T>(list: &mut Vec<T>, limit: usize) {
    list.drain(..list.len().saturating_sub(limit));
}

fn some_head<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Sighting>, D::Error> {
    let seen = Vec::<Sighting>::deserialize(from)?;
    if seen.is_empty() { Err(D::Error::custom("no head was seen")) } else { Ok(seen) }
}
