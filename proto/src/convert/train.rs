//! The train: proposing a change, taking it out, putting it in again.

use molt_domain::board::{Command, Invalid};
use molt_domain::train::Origin;

use super::field;
use crate::v1;

impl From<v1::Submit> for Command {
    fn from(submit: v1::Submit) -> Self {
        let v1::Submit { head, title, body, fork } = submit;
        let origin = field::nonempty(fork).map_or(Origin::Own, Origin::Fork);
        Self::Submit { head, title, body, origin }
    }
}

impl TryFrom<v1::Approve> for Command {
    type Error = Invalid;

    fn try_from(approve: v1::Approve) -> Result<Self, Invalid> {
        let v1::Approve { car, head, reason, gate } = approve;
        let car = field::parse("car", &car)?;
        match field::nonempty(gate) {
            None => Ok(Self::Approve { car, head, reason }),
            Some(gate) => {
                Ok(Self::Override { car, head, gate: field::parse("gate", &gate)?, reason })
            }
        }
    }
}

impl TryFrom<v1::Dequeue> for Command {
    type Error = Invalid;

    fn try_from(dequeue: v1::Dequeue) -> Result<Self, Invalid> {
        Ok(Self::Dequeue { car: field::parse("car", &dequeue.car)? })
    }
}

impl TryFrom<v1::Retry> for Command {
    type Error = Invalid;

    fn try_from(retry: v1::Retry) -> Result<Self, Invalid> {
        Ok(Self::Retry { car: field::parse("car", &retry.car)? })
    }
}
