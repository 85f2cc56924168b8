//! What `doctor` shows of an etcd: who answers, what is wrong, what is stored for the fleet.

use std::fmt;

use etcd_client::{AlarmAction, AlarmType, Client, StatusResponse};

use super::Inner;
use super::keys::{self, Keys};
use super::member::Member;
use super::members::{CALL, Members};
use super::options::{EtcdOptions, OptionsError};
use super::version::{self, Verdict};

/// How full a database may be, in percent of its quota, before a person should know.
const NEARLY_FULL: u64 = 80;

/// What was seen of an etcd at one time.
#[derive(Clone, Debug)]
pub struct Report {
    /// The fleet whose keys were looked at.
    pub fleet: String,
    /// The members that the options name, in that order.
    pub members: Vec<Examined>,
    /// What etcd itself complains about.
    pub alarms: Vec<Alarm>,
    /// Who leads the fleet, if somebody does.
    pub leader: Option<Leader>,
    /// The number of the fleet's head, if anything was ever committed.
    pub head: Option<u64>,
    /// What is to be thought of all this, worst first. Empty if nothing is.
    pub findings: Vec<Verdict>,
}

/// A member as it was seen.
#[derive(Clone, Debug)]
pub struct Examined {
    /// Where it is reached.
    pub endpoint: String,
    /// What it says.
    pub state: MemberState,
}

/// What a member says.
#[derive(Clone, Debug)]
pub enum MemberState {
    /// It answers.
    Reached {
        /// Its version.
        version: String,
        /// Whether it leads the other members.
        leads: bool,
        /// How large its database is on disk, in bytes.
        stored_bytes: u64,
        /// How much of that is in use, in bytes.
        used_bytes: u64,
        /// How large it may grow, in bytes, where it says so (from 3.6 on).
        quota_bytes: Option<u64>,
        /// What it complains about.
        errors: Vec<String>,
    },
    /// It does not.
    Unreachable {
        /// Why not.
        reason: String,
    },
}

/// What etcd complains about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A member's database has reached its quota: nothing is written until there is room and the
    /// alarm is disarmed.
    Full {
        /// The member's id.
        member: u64,
    },
    /// A member's data differ from the others'.
    Corrupt {
        /// The member's id.
        member: u64,
    },
}

/// Who leads the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// What people call it.
    pub name: String,
    /// Where clients reach it.
    pub address: String,
    /// The number of its leadership.
    pub term: u64,
}

impl Report {
    /// The worst of the findings.
    pub fn verdict(&self) -> Verdict {
        self.findings.first().cloned().unwrap_or(Verdict::Fine)
    }
}

/// Looks at an etcd without opening a store in it, so that one that must not be used can be seen
/// too. Whatever does not answer is in the report.
///
/// # Errors
///
/// Fails if the options make no sense.
pub async fn examine(options: &EtcdOptions) -> Result<Report, OptionsError> {
    let keys = Keys::of(&options.fleet);
    let members = Members::new(options, keys.leader())?;
    members.greet().await;
    let inner = Inner::new(keys, members, options.clone());
    Ok(inner.examine().await)
}

impl Inner {
    pub(super) async fn examine(&self) -> Report {
        let mut report = Report {
            fleet: self.options.fleet.to_string(),
            members: Vec::new(),
            alarms: Vec::new(),
            leader: None,
            head: None,
            findings: Vec::new(),
        };
        for member in self.members.each() {
            self.examine_member(member, &mut report).await;
        }
        if report.reached() > 0 {
            self.examine_keys(&mut report).await;
        }
        report.judge_members();
        report.findings.sort_by(|a, b| b.cmp(a));
        report.findings.dedup();
        report
    }

    async fn examine_member(&self, member: &Member, report: &mut Report) {
        let ask = |mut client: Client| async move {
            let status = client.status().await?;
            let members = client.member_list().await.map_or(0, |list| list.members().len());
            let alarms = client.alarm(AlarmAction::Get, AlarmType::None, None).await;
            Ok((status, members, alarms.map(|answer| answer.alarms().to_vec()).unwrap_or_default()))
        };
        let endpoint = member.endpoint().to_owned();
        let state = match member.ask(CALL, ask).await {
            Ok((status, members, alarms)) => {
                report.find(version::judge(status.version(), members));
                for alarm in alarms.iter().filter_map(Alarm::of) {
                    if !report.alarms.contains(&alarm) {
                        report.alarms.push(alarm);
                    }
                }
                reached(&status)
            }
            Err(failure) => MemberState::Unreachable { reason: failure.reason },
        };
        if let Some(reason) = member.barred() {
            report.find(Verdict::Refuse(format!("{endpoint}: {reason}")));
        }
        report.members.push(Examined { endpoint, state });
    }

    async fn examine_keys(&self, report: &mut Report) {
        match self.look().await {
            Ok(view) => {
                report.head = (view.sign.head != 0).then_some(view.head.number);
                report.leader = view.seat.filter(|seat| !seat.resigned).map(|seat| Leader {
                    name: seat.name,
                    address: seat.address,
                    term: seat.term,
                });
            }
            Err(blind) => report.find(Verdict::Refuse(blind.into_cause().to_string())),
        }
        match self.stray().await {
            Ok(Some(key)) => {
                let reason = format!("{} is not ours: no coordinator writes it", keys::shown(&key));
                report.find(Verdict::Refuse(reason));
            }
            Ok(None) => {}
            Err(failure) => report.find(Verdict::Warn(failure.to_string())),
        }
    }
}

impl Report {
    fn find(&mut self, verdict: Verdict) {
        if verdict != Verdict::Fine {
            self.findings.push(verdict);
        }
    }

    fn reached(&self) -> usize {
        let reached = |member: &&Examined| matches!(member.state, MemberState::Reached { .. });
        self.members.iter().filter(reached).count()
    }

    fn judge_members(&mut self) {
        let mut found = Vec::new();
        for Examined { endpoint, state } in &self.members {
            match state {
                MemberState::Unreachable { reason } => {
                    found.push(Verdict::Warn(format!("{endpoint} does not answer: {reason}")));
                }
                MemberState::Reached { used_bytes, quota_bytes, errors, .. } => {
                    let quota = quota_bytes.filter(|quota| *quota > 0);
                    if let Some(quota) = quota
                        && used_bytes.saturating_mul(100) / quota >= NEARLY_FULL
                    {
                        found.push(Verdict::Warn(format!(
                            "{endpoint} is nearly full: {used_bytes} of {quota} bytes are in use"
                        )));
                    }
                    let complaints = errors.iter().filter(|error| !error.contains("alarm:"));
                    found.extend(complaints.map(|e| Verdict::Warn(format!("{endpoint}: {e}"))));
                }
            }
        }
        if self.reached() == 0 {
            found.push(Verdict::Refuse("no member of etcd answers".to_owned()));
        }
        found.extend(self.alarms.iter().map(|alarm| Verdict::Refuse(alarm.to_string())));
        for verdict in found {
            self.find(verdict);
        }
    }
}

fn reached(status: &StatusResponse) -> MemberState {
    let bytes = |count: i64| u64::try_from(count).unwrap_or(0);
    let own = status.header().map_or(0, etcd_client::ResponseHeader::member_id);
    MemberState::Reached {
        version: status.version().to_owned(),
        leads: own == status.leader(),
        stored_bytes: bytes(status.db_size()),
        used_bytes: bytes(status.raft_used_db_size()),
        quota_bytes: Some(bytes(status.db_size_quota())).filter(|quota| *quota > 0),
        errors: status.errors().to_vec(),
    }
}

impl Alarm {
    fn of(alarm: &etcd_client::AlarmMember) -> Option<Self> {
        let member = alarm.member_id();
        match alarm.alarm() {
            AlarmType::None => None,
            AlarmType::Nospace => Some(Self::Full { member }),
            AlarmType::Corrupt => Some(Self::Corrupt { member }),
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { member } => write!(
                f,
                "alarm NOSPACE of member {member:x}: the database is full and nothing is written; \
                 compact, defragment, then disarm the alarm"
            ),
            Self::Corrupt { member } => write!(
                f,
                "alarm CORRUPT of member {member:x}: its data differ from the others'; replace it"
            ),
        }
    }
}

impl fmt::Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.endpoint)?;
        match &self.state {
            MemberState::Unreachable { reason } => write!(f, "no answer ({reason})"),
            MemberState::Reached {
                version, leads, stored_bytes, used_bytes, quota_bytes, ..
            } => {
                let role = if *leads { "leader" } else { "follower" };
                write!(f, "etcd {version}, {role}, {used_bytes} of {stored_bytes} bytes in use")?;
                match quota_bytes {
                    Some(quota) => write!(f, ", quota {quota} bytes"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for member in &self.members {
            writeln!(f, "{member}")?;
        }
        match &self.leader {
            Some(Leader { name, address, term }) => {
                writeln!(f, "fleet `{}`: led by `{name}` at {address}, term {term}", self.fleet)?;
            }
            None => writeln!(f, "fleet `{}`: nobody leads", self.fleet)?,
        }
        if let Some(head) = self.head {
            writeln!(f, "fleet `{}`: head is commit {head}", self.fleet)?;
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        Ok(())
    }
}
