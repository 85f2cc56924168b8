//! Commits: one transaction each.

use etcd_client::{Txn, TxnOp};

use super::Inner;
use super::failure::{Class, Failure, Refusal};
use super::members::Sending;
use super::seat::{at, found, revision};
use super::text;
use crate::commit::Commit;
use crate::head::Head;
use crate::record::{Change, Record};
use crate::store::{CommitError, Leadership};

/// The revisions that a commit compares.
struct Footing {
    leader: i64,
    head: i64,
}

impl Inner {
    pub(super) async fn commit(
        &self,
        leadership: &Leadership,
        expected: &Head,
        commit: &Commit,
    ) -> Result<Head, CommitError> {
        let footing = self.footing(leadership, expected).await?;
        let next = expected.after(commit);
        let txn = Txn::new()
            .when([at(self.keys.leader(), footing.leader), at(self.keys.head(), footing.head)])
            .and_then(self.operations(commit, &next))
            .or_else([TxnOp::get(self.keys.leader(), None), TxnOp::get(self.keys.head(), None)]);
        match self.members.txn(Sending::Once, txn).await {
            Ok(answer) if answer.succeeded() => {
                self.remember_head(next.id, revision(&answer));
                Ok(next)
            }
            Ok(answer) => {
                let [leader, head] = found(&answer);
                if leader.is_none_or(|pair| pair.mod_revision() != footing.leader) {
                    return Err(CommitError::Deposed { term: leadership.term() });
                }
                Err(CommitError::Moved { head: self.head_in(head.as_ref())? })
            }
            Err(failure) => self.not_acknowledged(failure, next).await,
        }
    }

    /// What the commit has to compare. It costs a round trip only if this handle has not seen the
    /// lead or the head before.
    async fn footing(
        &self,
        leadership: &Leadership,
        expected: &Head,
    ) -> Result<Footing, CommitError> {
        let known = {
            let known = self.known();
            known.seat_of(leadership).zip(known.revision_of(expected))
        };
        if let Some((leader, head)) = known {
            return Ok(Footing { leader, head });
        }
        let view = self.look().await?;
        if !view.is_led_by(leadership) {
            return Err(CommitError::Deposed { term: leadership.term() });
        }
        if !view.head.is_at(expected) {
            return Err(CommitError::Moved { head: view.head });
        }
        Ok(Footing { leader: view.sign.leader, head: view.sign.head })
    }

    fn operations(&self, commit: &Commit, next: &Head) -> Vec<TxnOp> {
        let operation = |change: &Change| match change {
            Change::Put(Record { key, value }) => {
                TxnOp::put(self.keys.record(key), value.as_str(), None)
            }
            Change::Delete { key } => TxnOp::delete(self.keys.record(key), None),
        };
        let head = TxnOp::put(self.keys.head(), text::write_head(next), None);
        commit.changes().iter().map(operation).chain([head]).collect()
    }

    /// Says what became of a commit whose call failed, as far as that is known.
    async fn not_acknowledged(&self, failure: Failure, next: Head) -> Result<Head, CommitError> {
        match failure.class() {
            Class::Unknown | Class::TooLong => Err(CommitError::Unknown(failure.into())),
            // The change that fills the database is applied and then refused. Either way it is
            // over, so the head tells.
            Class::Refused(Refusal::Full) => match self.look().await {
                Ok(view) if view.head.id == next.id => Ok(next),
                Ok(_) => Err(CommitError::Unavailable(failure.into())),
                Err(_) => Err(CommitError::Unknown(failure.into())),
            },
            Class::NotSent | Class::Refused(_) => Err(CommitError::Unavailable(failure.into())),
        }
    }
}
