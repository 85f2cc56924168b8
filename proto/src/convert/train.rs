//! The train: proposing a change, taking it out, putting it in again.

use molt_domain::board::{Command, Invalid};

use super::field;
use crate::v1;

impl From<v1::Submit> for Command {
    fn from(submit: v1::Submit) -> Self {
        let v1::Submit { head, title, body } = submit;
        Self::Submit { head, title, body }
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
