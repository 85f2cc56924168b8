//! From what arrives on the wire to the rules' own types, and from their answers back.
//!
//! Every value is parsed here, once; what is wrong names its field. Not here:
//! whether a command is allowed, which the board decides, and messages that
//! only travel outwards ([`crate::view`]).

mod build;
mod claim;
mod field;
mod hold;
mod host;
mod job;
mod message;
mod reply;
mod session;
mod task;
mod token;
mod train;

use molt_domain::access::Peer;
use molt_domain::board::{Caller, Command, Invalid, Request};

pub(crate) use self::field::clip;

pub(crate) use self::message::page;

pub use self::hold::Place;
pub use self::host::Beat;
pub use self::reply::{place, reply};

use crate::v1;
use crate::v1::command::Verb;

impl TryFrom<v1::Command> for Request {
    type Error = Invalid;

    fn try_from(message: v1::Command) -> Result<Self, Invalid> {
        let verb = message.verb.ok_or_else(|| Invalid::field("verb", field::MISSING))?;
        let number = Some(message.number).filter(|&number| number != 0);
        let digest = digest(&verb);
        let (caller, command) = (caller(message.caller)?, verb.try_into()?);
        // Who is on the other end is found out by whoever holds the connection.
        Ok(Self { peer: Peer::Local, caller, number, digest, command })
    }
}

/// Digest of a verb: what makes two requests of one number the same.
fn digest(verb: &Verb) -> String {
    let mut bytes = Vec::with_capacity(verb.encoded_len());
    verb.encode(&mut bytes);
    blake3::hash(&bytes).to_hex()[..32].to_owned()
}

/// Who asks. Nobody in particular may ask too, and is refused where a session is needed.
///
/// # Errors
///
/// The field of the credentials or the host's name that is malformed.
pub fn caller(message: Option<v1::Caller>) -> Result<Caller, Invalid> {
    use v1::caller::Who;
    match message.and_then(|caller| caller.who) {
        None => Ok(Caller::Nobody),
        Some(Who::Session(credentials)) => Ok(Caller::Session(session::credentials(credentials)?)),
        Some(Who::Operator(name)) => {
            field::limited("caller.operator", &name, 200)?;
            if name.trim().is_empty() {
                return Err(Invalid::field("caller.operator", "empty: say who"));
            }
            Ok(Caller::Operator(name))
        }
        Some(Who::Host(name)) => Ok(Caller::Host(field::parse("caller.host", &name)?)),
    }
}

impl TryFrom<Verb> for Command {
    type Error = Invalid;

    fn try_from(verb: Verb) -> Result<Self, Invalid> {
        match verb {
            Verb::Join(join) => join.try_into(),
            Verb::Resume(resume) => resume.try_into(),
            Verb::Leave(leave) => Ok(leave.into()),
            Verb::RootDead(dead) => dead.try_into(),
            Verb::Claim(claim) => claim.try_into(),
            Verb::Release(release) => release.try_into(),
            Verb::Extend(extend) => extend.try_into(),
            Verb::Narrow(narrow) => narrow.try_into(),
            Verb::Handoff(handoff) => handoff.try_into(),
            Verb::Withdraw(withdraw) => withdraw.try_into(),
            Verb::Accept(accept) => accept.try_into(),
            Verb::Unqueue(unqueue) => unqueue.try_into(),
            Verb::Announce(announce) => announce.try_into(),
            Verb::Revoke(revoke) => revoke.try_into(),
            Verb::AddTask(task) => task.try_into(),
            Verb::NextTask(v1::NextTask {}) => Ok(Self::Next),
            Verb::EndTask(end) => end.try_into(),
            Verb::PlanScopes(plan) => plan.try_into(),
            Verb::ReopenTask(reopen) => reopen.try_into(),
            Verb::AcquireLock(acquire) => acquire.try_into(),
            Verb::AcquireSlot(acquire) => acquire.try_into(),
            Verb::AskBuild(ask) => ask.try_into(),
            Verb::EndBuild(end) => end.try_into(),
            Verb::ReleaseHold(release) => release.try_into(),
            Verb::EndJob(end) => end.try_into(),
            Verb::Submit(submit) => Ok(submit.into()),
            Verb::Approve(approve) => approve.try_into(),
            Verb::Dequeue(dequeue) => dequeue.try_into(),
            Verb::Retry(retry) => retry.try_into(),
            Verb::IssueToken(issue) => issue.try_into(),
            Verb::RevokeToken(revoke) => revoke.try_into(),
            Verb::Send(send) => send.try_into(),
            Verb::ReadInbox(read) => read.try_into(),
            Verb::Report(report) => report.try_into(),
            Verb::RaiseFormat(raise) => Ok(Self::RaiseFormat { reason: raise.reason }),
        }
    }
}

#[cfg(test)]
mod tests;
