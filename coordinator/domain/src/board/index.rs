//! What the rules look up often, kept in step with the records.
//!
//! An index never decides: it names candidates, which are then read from the
//! tables. It is rebuilt from the records at recovery.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use crate::access::TokenHash;
use crate::board::answer::AnswerKey;
use crate::board::table::{Change, Tables};
use crate::build::Build;
use crate::claim::{Claim, State};
use crate::hold::{Holder, Waiter};
use crate::id::{ClaimId, MessageId, SessionId, TaskId, TokenId};
use crate::message::{MAX_INBOX, Message};
use crate::name::{AgentName, RepoName};
use crate::scope::{Pattern, ScopeName};
use crate::session::Session;
use crate::task::{self, Task};
use crate::wait::LineKey;

/// Where an open task stands among those that are taken one by one: by priority, then by age.
pub(crate) type Place = (Reverse<i32>, TaskId);

/// Records by what they are looked up for.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Index {
    by_session: HashMap<SessionId, BTreeSet<ClaimId>>,
    /// Claims that close a scope for others: held or offered.
    by_scope: HashMap<RepoName, HashMap<ScopeName, BTreeSet<ClaimId>>>,
    /// Claims that close paths of their own, by where those lie.
    by_place: BTreeMap<RepoName, BTreeMap<Vec<String>, BTreeSet<ClaimId>>>,
    /// Claims granted under a policy, so that those of older policies are found.
    by_policy: BTreeMap<(RepoName, String), BTreeSet<ClaimId>>,
    waiting: BTreeMap<RepoName, BTreeSet<(u64, ClaimId)>>,
    /// Claims by the session that they are offered to.
    handed_to: HashMap<SessionId, BTreeSet<ClaimId>>,
    /// Answers whose session is not on the board.
    orphaned: BTreeSet<AnswerKey>,
    tokens: HashMap<TokenHash, TokenId>,
    /// Sessions by what proves them.
    by_secret: HashMap<String, BTreeSet<SessionId>>,
    by_name: HashMap<RepoName, HashMap<AgentName, BTreeSet<SessionId>>>,
    /// Open tasks in the order in which they are taken.
    open: HashMap<RepoName, BTreeSet<Place>>,
    /// Open tasks whose needs are done, in the same order, by the scopes that they touch.
    ready: HashMap<RepoName, HashMap<Vec<ScopeName>, BTreeSet<Place>>>,
    /// Tasks by what they need.
    needed_by: HashMap<TaskId, BTreeSet<TaskId>>,
    /// Tasks by who has them, and by the claim that was taken with them.
    taken: HashMap<SessionId, BTreeSet<TaskId>>,
    taken_with: HashMap<ClaimId, BTreeSet<TaskId>>,
    /// Tasks by who had them before.
    had: HashMap<SessionId, BTreeSet<TaskId>>,
    /// Messages by whom they are for.
    inboxes: HashMap<SessionId, BTreeSet<MessageId>>,
    /// Inboxes with more than are kept.
    crowded: BTreeSet<SessionId>,
    /// Inboxes whose session is not on the board.
    left: BTreeSet<SessionId>,
    /// Lines of locks, builds and slots by who is in them.
    lines: HashMap<Holder, BTreeSet<LineKey>>,
}

impl Index {
    /// Follows a change that was just applied, given the one that undoes it.
    pub(super) fn follow(&mut self, undo: &Change, tables: &Tables) {
        match undo {
            Change::Claim(id, before) => {
                if let Some(claim) = before {
                    self.forget(claim);
                }
                if let Some(claim) = tables.claims.get(id) {
                    self.learn(claim);
                }
            }
            Change::Session(id, before) => {
                if let Some(session) = before {
                    self.forget_session(session);
                }
                if let Some(session) = tables.sessions.get(id) {
                    self.learn_session(session);
                }
                let answers = AnswerKey::all_of(*id).filter(|key| tables.answers.contains_key(key));
                for key in answers {
                    self.place(key, tables);
                }
                self.weigh(*id, tables);
            }
            Change::Message(id, before) => {
                for of in before.iter().flat_map(|message| &message.to) {
                    remove(&mut self.inboxes, of, id);
                }
                let message = tables.messages.get(id);
                for of in message.iter().flat_map(|message| &message.to) {
                    self.inboxes.entry(*of).or_default().insert(*id);
                }
                let addressed = |message: &Message| message.to.clone();
                let before = before.as_deref().map(addressed).unwrap_or_default();
                let now = message.map(|message| message.to.clone()).unwrap_or_default();
                before.union(&now).for_each(|of| self.weigh(*of, tables));
            }
            Change::Answer(key, _) => self.place(*key, tables),
            Change::Task(id, before) => {
                if let Some(task) = before {
                    self.forget_task(task);
                }
                if let Some(task) = tables.tasks.get(id) {
                    self.learn_task(task, tables);
                }
                let waiting = self.needed_by.get(id).into_iter().flatten();
                for task in waiting.copied().collect::<Vec<_>>() {
                    if let Some(task) = tables.tasks.get(&task) {
                        self.judge(task, tables);
                    }
                }
            }
            Change::Lock(key, before) => {
                let now = tables.locks.get(key).map_or(&[][..], |lock| &lock.line);
                let before = before.as_deref().map_or(&[][..], |lock| &lock.line);
                self.queue(&LineKey::Lock(key.clone()), before, now);
            }
            Change::Build(key, before) => {
                let now = tables.builds.get(key).map_or(&[][..], |build| build.line());
                let before = before.as_deref().map_or(&[][..], Build::line);
                self.queue(&LineKey::Build(key.clone()), before, now);
            }
            Change::Slots(key, before) => {
                let now = tables.slots.get(key).map_or(&[][..], |slots| &slots.line);
                let before = before.as_deref().map_or(&[][..], |slots| &slots.line);
                self.queue(&LineKey::Slots(key.clone()), before, now);
            }
            Change::Token(id, before) => {
                if let Some(token) = before {
                    self.tokens.remove(&token.hash);
                }
                if let Some(token) = tables.tokens.get(id) {
                    self.tokens.insert(token.hash, *id);
                }
            }
            _ => {}
        }
    }

    /// Notes whether an answer is there without its session.
    fn place(&mut self, key: AnswerKey, tables: &Tables) {
        let is_there = tables.answers.contains_key(&key);
        if is_there && !tables.sessions.contains_key(&key.session) {
            self.orphaned.insert(key);
        } else {
            self.orphaned.remove(&key);
        }
    }

    /// Notes whether an inbox has too many messages, or nobody who reads them.
    fn weigh(&mut self, session: SessionId, tables: &Tables) {
        let count = self.inboxes.get(&session).map_or(0, BTreeSet::len);
        let is_gone = count > 0 && !tables.sessions.contains_key(&session);
        for (set, is_in) in [(&mut self.crowded, count > MAX_INBOX), (&mut self.left, is_gone)] {
            if is_in {
                set.insert(session)
            } else {
                set.remove(&session)
            };
        }
    }

    /// Notes who is in a line and was not, and the other way round.
    fn queue(&mut self, key: &LineKey, before: &[Waiter], now: &[Waiter]) {
        let holders = |line: &[Waiter]| -> BTreeSet<Holder> {
            line.iter().map(|waiter| waiter.holder).collect()
        };
        let (before, now) = (holders(before), holders(now));
        for gone in before.difference(&now) {
            remove(&mut self.lines, gone, key);
        }
        for new in now.difference(&before) {
            self.lines.entry(*new).or_default().insert(key.clone());
        }
    }

    /// The lines of locks, builds and slots that somebody is in.
    pub(crate) fn lines_of(&self, who: Holder) -> impl Iterator<Item = &LineKey> {
        self.lines.get(&who).into_iter().flatten()
    }

    /// The messages for a session, oldest first.
    pub(crate) fn inbox(&self, session: SessionId) -> impl Iterator<Item = MessageId> {
        self.inboxes.get(&session).into_iter().flatten().copied()
    }

    /// The sessions for which more messages are there than are kept.
    pub(crate) fn crowded_inboxes(&self) -> impl Iterator<Item = SessionId> {
        self.crowded.iter().copied()
    }

    /// The sessions that left messages behind.
    pub(crate) fn left_inboxes(&self) -> impl Iterator<Item = SessionId> {
        self.left.iter().copied()
    }

    fn learn_session(&mut self, session: &Session) {
        self.by_secret.entry(session.secret.clone()).or_default().insert(session.id);
        let names = self.by_name.entry(session.repo.clone()).or_default();
        names.entry(session.name.clone()).or_default().insert(session.id);
    }

    fn forget_session(&mut self, session: &Session) {
        remove(&mut self.by_secret, &session.secret, &session.id);
        if let Some(names) = self.by_name.get_mut(&session.repo) {
            remove(names, &session.name, &session.id);
        }
    }

    fn learn_task(&mut self, task: &Task, tables: &Tables) {
        for needed in &task.needs {
            self.needed_by.entry(*needed).or_default().insert(task.id);
        }
        for former in &task.former {
            self.had.entry(former.session).or_default().insert(task.id);
        }
        match task.state {
            task::State::Open => {
                let place = (Reverse(task.priority), task.id);
                self.open.entry(task.repo.clone()).or_default().insert(place);
                self.judge(task, tables);
            }
            task::State::Taken { session, claim, .. } => {
                self.taken.entry(session).or_default().insert(task.id);
                if let Some(claim) = claim {
                    self.taken_with.entry(claim).or_default().insert(task.id);
                }
            }
            task::State::Blocked { .. } | task::State::Done | task::State::Failed { .. } => {}
        }
    }

    fn forget_task(&mut self, task: &Task) {
        for needed in &task.needs {
            remove(&mut self.needed_by, needed, &task.id);
        }
        for former in &task.former {
            remove(&mut self.had, &former.session, &task.id);
        }
        match task.state {
            task::State::Open => {
                let place = (Reverse(task.priority), task.id);
                remove(&mut self.open, &task.repo, &place);
                self.unready(task, place);
            }
            task::State::Taken { session, claim, .. } => {
                remove(&mut self.taken, &session, &task.id);
                if let Some(claim) = claim {
                    remove(&mut self.taken_with, &claim, &task.id);
                }
            }
            task::State::Blocked { .. } | task::State::Done | task::State::Failed { .. } => {}
        }
    }

    /// Notes whether an open task is ready.
    fn judge(&mut self, task: &Task, tables: &Tables) {
        let place = (Reverse(task.priority), task.id);
        if task.state == task::State::Open && task::undone(tables, task).is_none() {
            let ready = self.ready.entry(task.repo.clone()).or_default();
            ready.entry(task.scopes.clone()).or_default().insert(place);
        } else {
            self.unready(task, place);
        }
    }

    fn unready(&mut self, task: &Task, place: Place) {
        if let Some(ready) = self.ready.get_mut(&task.repo) {
            remove(ready, &task.scopes, &place);
        }
    }

    /// The open tasks of a repository, in the order in which they are taken.
    pub(crate) fn open(&self, repo: &RepoName) -> impl Iterator<Item = TaskId> {
        self.open.get(repo).into_iter().flatten().map(|&(_, id)| id)
    }

    /// Those of them whose needs are done, in the same order, for each list of scopes that any of
    /// them touches; the lists are in no order.
    pub(crate) fn ready(
        &self,
        repo: &RepoName,
    ) -> impl Iterator<Item = (&[ScopeName], &BTreeSet<Place>)> {
        let lists = self.ready.get(repo).into_iter().flatten();
        lists.map(|(scopes, places)| (scopes.as_slice(), places))
    }

    /// Every task that somebody has.
    pub(crate) fn all_taken(&self) -> impl Iterator<Item = TaskId> {
        self.taken.values().flatten().copied()
    }

    /// The tasks that a session has.
    pub(crate) fn taken_by(&self, session: SessionId) -> impl Iterator<Item = TaskId> {
        self.taken.get(&session).into_iter().flatten().copied()
    }

    /// The tasks that a session had before.
    pub(crate) fn had_by(&self, session: SessionId) -> impl Iterator<Item = TaskId> {
        self.had.get(&session).into_iter().flatten().copied()
    }

    /// The task that was taken with a claim.
    pub(crate) fn taken_with(&self, claim: ClaimId) -> impl Iterator<Item = TaskId> {
        self.taken_with.get(&claim).into_iter().flatten().copied()
    }

    /// The sessions that a secret proves.
    pub(crate) fn proven_by(&self, secret: &str) -> impl Iterator<Item = SessionId> {
        self.by_secret.get(secret).into_iter().flatten().copied()
    }

    /// Whether a session of the repository has this name.
    pub(crate) fn is_taken(&self, repo: &RepoName, name: &AgentName) -> bool {
        self.by_name.get(repo).is_some_and(|names| names.contains_key(name))
    }

    /// The sessions of the repository that have this name.
    pub(crate) fn named(
        &self,
        repo: &RepoName,
        name: &AgentName,
    ) -> impl Iterator<Item = SessionId> {
        self.by_name.get(repo).and_then(|names| names.get(name)).into_iter().flatten().copied()
    }

    /// The names of the repository's sessions.
    pub(crate) fn names(&self, repo: &RepoName) -> impl Iterator<Item = &AgentName> {
        self.by_name.get(repo).into_iter().flat_map(HashMap::keys)
    }

    /// The token of a digest.
    pub(crate) fn token(&self, hash: &TokenHash) -> Option<TokenId> {
        self.tokens.get(hash).copied()
    }

    /// Whether the session of an answer ended.
    pub(crate) fn is_orphaned(&self, answer: AnswerKey) -> bool {
        self.orphaned.contains(&answer)
    }

    /// The answers of sessions that ended.
    pub(crate) fn orphaned_answers(&self) -> impl Iterator<Item = AnswerKey> {
        self.orphaned.iter().copied()
    }

    fn learn(&mut self, claim: &Claim) {
        self.by_session.entry(claim.session).or_default().insert(claim.id);
        if let Some(offer) = &claim.handover {
            self.handed_to.entry(offer.to).or_default().insert(claim.id);
        }
        match claim.state {
            State::Held { .. } | State::Offered { .. } => {
                let scopes = self.by_scope.entry(claim.repo.clone()).or_default();
                for scope in claim.scopes() {
                    scopes.entry(scope.clone()).or_default().insert(claim.id);
                }
                for glob in &claim.globs {
                    let places = self.by_place.entry(claim.repo.clone()).or_default();
                    places.entry(glob.place()).or_default().insert(claim.id);
                }
                let policy = (claim.repo.clone(), claim.policy.clone());
                self.by_policy.entry(policy).or_default().insert(claim.id);
            }
            State::Waiting { place, .. } => {
                self.waiting.entry(claim.repo.clone()).or_default().insert((place, claim.id));
            }
        }
    }

    fn forget(&mut self, claim: &Claim) {
        remove(&mut self.by_session, &claim.session, &claim.id);
        if let Some(offer) = &claim.handover {
            remove(&mut self.handed_to, &offer.to, &claim.id);
        }
        match claim.state {
            State::Held { .. } | State::Offered { .. } => {
                if let Some(scopes) = self.by_scope.get_mut(&claim.repo) {
                    for scope in claim.scopes() {
                        remove(scopes, scope, &claim.id);
                    }
                }
                for glob in &claim.globs {
                    self.forget_place(&claim.repo, &glob.place(), claim.id);
                }
                let policy = (claim.repo.clone(), claim.policy.clone());
                if let Some(ids) = self.by_policy.get_mut(&policy) {
                    ids.remove(&claim.id);
                    if ids.is_empty() {
                        self.by_policy.remove(&policy);
                    }
                }
            }
            State::Waiting { place, .. } => {
                if let Some(line) = self.waiting.get_mut(&claim.repo) {
                    line.remove(&(place, claim.id));
                }
            }
        }
    }

    fn forget_place(&mut self, repo: &RepoName, place: &Vec<String>, id: ClaimId) {
        let Some(places) = self.by_place.get_mut(repo) else { return };
        if let Some(ids) = places.get_mut(place) {
            ids.remove(&id);
            if ids.is_empty() {
                places.remove(place);
            }
        }
        if places.is_empty() {
            self.by_place.remove(repo);
        }
    }

    /// The closing claims with a glob that may overlap a pattern: those that lie above it, where
    /// it does, or below.
    pub(crate) fn globs_near(&self, repo: &RepoName, path: &Pattern) -> Vec<ClaimId> {
        let Some(places) = self.by_place.get(repo) else { return Vec::new() };
        let place = path.place();
        let above = (0..place.len()).filter_map(|length| places.get(&place[..length]));
        let below = places.range(place.clone()..).take_while(|(at, _)| at.starts_with(&place));
        above.chain(below.map(|(_, ids)| ids)).flatten().copied().collect()
    }

    /// The claims of a session.
    pub(crate) fn claims_of(&self, session: SessionId) -> impl Iterator<Item = ClaimId> {
        self.by_session.get(&session).into_iter().flatten().copied()
    }

    /// The claims that are offered to a session.
    pub(crate) fn handed_to(&self, session: SessionId) -> impl Iterator<Item = ClaimId> {
        self.handed_to.get(&session).into_iter().flatten().copied()
    }

    /// The claims that are offered to anybody, in an order that is every board's.
    pub(crate) fn handed_over(&self) -> impl Iterator<Item = ClaimId> {
        let ids: BTreeSet<ClaimId> = self.handed_to.values().flatten().copied().collect();
        ids.into_iter()
    }

    /// The claims that close a scope.
    pub(crate) fn closing(
        &self,
        repo: &RepoName,
        scope: &ScopeName,
    ) -> impl Iterator<Item = ClaimId> {
        self.by_scope.get(repo).and_then(|scopes| scopes.get(scope)).into_iter().flatten().copied()
    }

    /// The closing claims of every policy but `policy`.
    pub(crate) fn of_older_policies(
        &self,
        repo: &RepoName,
        policy: &str,
    ) -> impl Iterator<Item = ClaimId> {
        self.by_policy
            .iter()
            .filter(move |((of, digest), _)| of == repo && digest != policy)
            .flat_map(|(_, ids)| ids.iter().copied())
    }

    /// The line of a repository, first come first.
    pub(crate) fn line(&self, repo: &RepoName) -> impl Iterator<Item = ClaimId> {
        self.waiting.get(repo).into_iter().flatten().map(|&(_, id)| id)
    }
}

fn remove<K: Hash + Eq, I: Ord>(map: &mut HashMap<K, BTreeSet<I>>, key: &K, id: &I) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}
