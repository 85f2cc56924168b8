//! What must hold of messages: whom they reach, and what is kept of them.

use std::collections::{BTreeMap, BTreeSet};

use molt_domain::board::{Change, Command, Event, More, Refusal, Reply, Request, Tables};
use molt_domain::claim::Claim;
use molt_domain::id::{MessageId, SessionId};
use molt_domain::message::{MAX_INBOX, Message};
use molt_domain::policy::Policy;
use molt_domain::scope::{Owner, ScopeName};

use super::claims::closes;
use super::{Checked, Step, ensure};

/// What was ever told to whom.
#[derive(Debug, Default)]
pub struct Memory {
    told: BTreeMap<SessionId, BTreeSet<MessageId>>,
}

impl Memory {
    fn told(&self, session: SessionId) -> impl Iterator<Item = MessageId> {
        self.told.get(&session).into_iter().flatten().copied()
    }

    /// What is told is new, audited, and for those who are there.
    pub fn learn(&mut self, step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
        const NAME: &str = "messages are told once, and to the living";
        for change in step.changes {
            let Change::Message(id, Some(message)) = change else { continue };
            if before.messages.contains_key(id) {
                continue;
            }
            let is_told = |event: &Event| match event {
                Event::Sent { message: sent, to, .. } => {
                    sent == id && to.iter().copied().collect::<BTreeSet<_>>() == message.to
                }
                _ => false,
            };
            ensure(step.events.iter().any(is_told), NAME, || format!("{id} is in no entry"))?;
            for to in &message.to {
                let lives = before.sessions.contains_key(to) || after.sessions.contains_key(to);
                let known = self.told.entry(*to).or_default();
                let last = known.last().copied();
                ensure(lives && last < Some(*id), NAME, || format!("{id} to {to} after {last:?}"))?;
                known.insert(*id);
            }
        }
        Ok(())
    }

    /// Who reads is told of everything between the cursors, or that it is gone.
    pub fn whole(&self, step: &Step<'_>, before: &Tables) -> Checked {
        const NAME: &str = "10 an expired cursor is an error";
        let (Reply::Inbox { after, upto, .. }, Some(me)) = (step.reply, step.caller_session())
        else {
            return Ok(());
        };
        let between = |id: &MessageId| id > after && id <= upto;
        for id in self.told(me).filter(between) {
            let kept = before.messages.get(&id).is_some_and(|message| message.to.contains(&me));
            ensure(kept, NAME, || format!("{me} read from {after} to {upto} without {id}"))?;
        }
        Ok(())
    }

    /// Who is told that there is nothing was told nothing after the cursor.
    pub fn nothing_new(&self, request: &Request, refusal: &Refusal) -> Checked {
        const NAME: &str = "10 an expired cursor is an error";
        let Refusal::NothingNew { cursor } = refusal else { return Ok(()) };
        let molt_domain::board::Caller::Session(shown) = &request.caller else { return Ok(()) };
        let missed = self.told(shown.session).find(|id| id > cursor);
        ensure(missed.is_none(), NAME, || format!("nothing after {cursor}, but {missed:?}"))
    }
}

/// Cursors only grow, and a fleet at rest keeps no more than it should.
pub fn inboxes(step: &Step<'_>, before: &Tables, after: &Tables) -> Checked {
    for change in step.changes {
        let Change::Inbox(id, Some(now)) = change else { continue };
        let old = before.inboxes.get(id).map(|old| **old).unwrap_or_default();
        let grows = now.read >= old.read && now.gone >= old.gone;
        ensure(grows, "cursors only grow", || format!("{id}: {old:?}, then {now:?}"))?;
    }
    if matches!(step.reply, Reply::Ticked { more: More::No }) {
        let mut counts: BTreeMap<SessionId, usize> = BTreeMap::new();
        for to in after.messages.values().flat_map(|message| &message.to) {
            *counts.entry(*to).or_default() += 1;
        }
        for (session, count) in counts {
            let lives = after.sessions.contains_key(&session);
            ensure(lives && count <= MAX_INBOX, "inboxes are bounded", || {
                format!("{count} messages for {session}")
            })?;
        }
    }
    Ok(())
}

/// An announcement reaches whoever holds what it touches, or what is next to that.
pub fn announcements(step: &Step<'_>, before: &Tables) -> Checked {
    const NAME: &str = "17 announcements reach whom they concern";
    let (Command::Announce { files, .. }, Some(me)) =
        (&step.request.command, step.caller_session())
    else {
        return Ok(());
    };
    let repo = before.sessions.get(&me).and_then(|session| before.repos.get(&session.repo));
    let Some(policy) = repo.map(|repo| &repo.policy) else { return Ok(()) };
    let claims = || before.claims.values().map(AsRef::as_ref);
    let mine = claims().filter(|claim: &&Claim| claim.session == me && claim.is_held());
    let mut touched: BTreeSet<ScopeName> = mine.flat_map(Claim::scope_list).collect();
    for file in files {
        if let Owner::Scopes(owners) = policy.scopes.of_path(file) {
            touched.extend(owners.into_iter().map(|scope| scope.name.clone()));
        }
    }
    let told: BTreeSet<SessionId> = step.changes.iter().flat_map(reaches).collect();
    let concerned = |claim: &&Claim| {
        claim.session != me
            && closes(claim)
            && claim.scopes().any(|it| is_near(policy, &touched, it))
    };
    for claim in claims().filter(concerned) {
        ensure(told.contains(&claim.session), NAME, || {
            format!("{} holds {:?}, {touched:?} was announced", claim.session, claim.scope_list())
        })?;
    }
    Ok(())
}

fn reaches(change: &Change) -> BTreeSet<SessionId> {
    let message: Option<&Message> = match change {
        Change::Message(_, message) => message.as_deref(),
        _ => None,
    };
    message.map(|message| message.to.clone()).unwrap_or_default()
}

fn is_near(policy: &Policy, touched: &BTreeSet<ScopeName>, other: &ScopeName) -> bool {
    let parent =
        |name: &ScopeName| name.as_str().rsplit_once('/').map(|(above, _)| above.to_owned());
    touched.iter().any(|name| {
        let siblings = parent(name).is_some() && parent(name) == parent(other);
        siblings || policy.scopes.explain(name.as_str(), other.as_str()).is_some()
    })
}
