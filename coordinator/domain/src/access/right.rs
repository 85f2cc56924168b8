//! Rights: which command and which query takes which role.

use super::Role;
use crate::board::{Caller, Command};

/// What may be asked for, as far as roles differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To begin and end a session.
    Join,
    /// To bring a session back.
    Resume,
    /// To work in a session: claims, tasks, announcements, places in line.
    Work,
    /// To use locks, slots and builds in a session.
    Hold,
    /// To propose changes in a session, take them out, and put them in again.
    Propose,
    /// To speak for a machine: renew its sessions, end its runs.
    Host,
    /// To take away, give up, approve, and let in: what only people decide.
    Operate,
    /// To read the board and follow what happens.
    Read,
    /// To read the whole audit.
    Audit,
    /// To tell the board what was found out, which the coordinator does itself.
    FindOut,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 10] = [
        Self::Join,
        Self::Resume,
        Self::Work,
        Self::Hold,
        Self::Propose,
        Self::Host,
        Self::Operate,
        Self::Read,
        Self::Audit,
        Self::FindOut,
    ];

    /// The right that a command of such a caller takes.
    #[must_use]
    pub fn of(command: &Command, caller: &Caller) -> Self {
        match command {
            Command::Join { .. } | Command::Leave { .. } => Self::Join,
            Command::Resume { .. } => Self::Resume,
            Command::Claim(_)
            | Command::Release { .. }
            | Command::Extend { .. }
            | Command::Narrow { .. }
            | Command::Handoff { .. }
            | Command::Withdraw { .. }
            | Command::Accept(_)
            | Command::Unqueue { .. }
            | Command::Announce { .. }
            | Command::Send { .. }
            | Command::ReadInbox { .. }
            | Command::Report { .. }
            | Command::AddTask(_)
            | Command::Next
            | Command::EndTask { .. } => Self::Work,
            Command::AcquireLock { .. }
            | Command::AcquireSlot { .. }
            | Command::AskBuild { .. } => Self::Hold,
            Command::EndBuild { .. } | Command::ReleaseHold { .. } => match caller {
                Caller::Host(_) => Self::Host,
                _ => Self::Hold,
            },
            Command::Submit { .. } => Self::Propose,
            Command::Dequeue { .. } | Command::Retry { .. } => match caller {
                Caller::Operator(_) => Self::Operate,
                _ => Self::Propose,
            },
            Command::RootDead { .. } | Command::SeeHost { .. } | Command::EndJob { .. } => {
                Self::Host
            }
            Command::RevokeClaim { .. }
            | Command::RevokeSession { .. }
            | Command::Approve { .. }
            | Command::Override { .. }
            | Command::RaiseEpoch { .. }
            | Command::RaiseFormat { .. }
            | Command::PlanScopes { .. }
            | Command::ReopenTask { .. }
            | Command::IssueToken { .. }
            | Command::RevokeToken { .. } => Self::Operate,
            Command::ReadBase { .. }
            | Command::SetCandidate { .. }
            | Command::Conflict { .. }
            | Command::Unmergeable { .. }
            | Command::SetBaseInputs { .. }
            | Command::Intend { .. }
            | Command::LeaveHead { .. }
            | Command::DeclineLanding { .. }
            | Command::ConfirmLanding { .. }
            | Command::WithdrawIntent { .. }
            | Command::Tick
            | Command::SeePull { .. }
            | Command::KeepHead { .. }
            | Command::HearComment { .. }
            | Command::OpenPull { .. }
            | Command::HinderCar { .. }
            | Command::EnterPull { .. }
            | Command::LeavePull { .. }
            | Command::TellPull { .. }
            | Command::ForgetPull { .. }
            | Command::OpenDesk { .. }
            | Command::CoolForge { .. } => Self::FindOut,
        }
    }

    /// The roles that have it.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Agent, Bot, Host, Operator, Prover, Viewer};
        match self {
            Self::Join => &[Agent, Operator, Bot],
            // A machine's daemon brings back what it lost sight of, and asks again what a
            // wrapper that died had asked.
            Self::Resume => &[Agent, Host, Prover, Operator, Bot],
            Self::Hold => &[Agent, Host, Prover, Operator],
            Self::Work => &[Agent, Operator],
            Self::Propose => &[Agent, Operator, Bot],
            Self::Host => &[Host, Prover],
            Self::Operate => &[Operator],
            Self::Read => &[Agent, Host, Prover, Operator, Viewer, Bot],
            Self::Audit => &[Operator, Viewer],
            Self::FindOut => &[],
        }
    }

    /// What it takes, for a refusal.
    pub(super) fn needs(self) -> String {
        match self.roles() {
            [] => "the coordinator itself".to_owned(),
            [role] => format!("the role {role}"),
            roles => {
                let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
                format!("one of the roles {}", words.join(", "))
            }
        }
    }
}
