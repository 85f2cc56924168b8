//! Who leads: campaigns, renewals, resignations.
//!
//! A leader shows itself by moving the revision of `leader`, `renewal` or `head`. A candidate
//! that saw none of the three move for a ttl takes the lead by a transaction that compares all
//! three: if the leader was heard in the meantime, the candidate was wrong and nothing happens.

use etcd_client::{
    Compare, CompareOp, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
use tokio::time::Instant;

use super::Inner;
use super::failure::{Class, Failure, Refusal};
use super::keys::{self, Place, Stray};
use super::members::{CALL, Sending};
use super::text::{self, Seat};
use crate::head::{FORMAT, Head};
use crate::store::{
    CampaignError, Candidate, Cause, CommitError, Leadership, LoadError, TenureError,
};

/// What a leader moves when it shows itself: the revisions of its three keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) leader: i64,
    pub(super) renewal: i64,
    pub(super) head: i64,
}

/// Who leads and where the records stand.
pub(super) struct View {
    pub(super) sign: Sign,
    pub(super) seat: Option<Seat>,
    /// The head of a fresh store if there is none yet.
    pub(super) head: Head,
}

/// Why there is no view, or none that makes sense.
pub(super) enum Blind {
    Failure(Failure),
    Damaged { what: String, cause: Cause },
}

impl View {
    /// Whether `leadership` still holds.
    pub(super) fn is_led_by(&self, leadership: &Leadership) -> bool {
        let term = leadership.term();
        self.seat.as_ref().is_some_and(|seat| seat.term == term && !seat.resigned)
    }
}

impl Inner {
    /// Reads the three keys. They need not be of one moment, since whoever acts on them compares
    /// them again; and they are plain reads, since some etcds that are full refuse transactions
    /// that only read.
    pub(super) async fn look(&self) -> Result<View, Blind> {
        // Neighbours: one reading brings both, and whatever lies between and is not ours.
        let behind = format!("{}\0", self.keys.leader());
        let both = GetOptions::new().with_range(behind).with_limit(3);
        let pairs = self.members.get(CALL, self.keys.head(), both).await?;
        let renewal = self.members.get(CALL, self.keys.renewal(), GetOptions::new()).await?;
        let (mut leader, mut head) = (None, None);
        for pair in pairs.kvs() {
            match self.keys.place(pair.key()) {
                Ok(Place::Leader) => leader = Some(pair),
                Ok(Place::Head) => head = Some(pair),
                _ => return Err(stray(pair.key())),
            }
        }
        let revision = |pair: Option<&KeyValue>| pair.map_or(0, KeyValue::mod_revision);
        let sign = Sign {
            leader: revision(leader),
            renewal: revision(renewal.kvs().first()),
            head: revision(head),
        };
        let seat = leader.map(|pair| self.read(pair, Seat::read)).transpose()?;
        let head = self.head_in(head)?;
        Ok(View { sign, seat, head })
    }

    /// The head in what was read, noted for the next commit.
    pub(super) fn head_in(&self, pair: Option<&KeyValue>) -> Result<Head, Blind> {
        let head = pair.map(|pair| self.read(pair, text::read_head)).transpose()?;
        let head = head.unwrap_or_else(Head::fresh);
        self.remember_head(head.id, pair.map_or(0, KeyValue::mod_revision));
        Ok(head)
    }

    fn read<T>(&self, pair: &KeyValue, read: fn(&[u8]) -> Result<T, Cause>) -> Result<T, Blind> {
        read(pair.value()).map_err(|cause| Blind::Damaged { what: keys::shown(pair.key()), cause })
    }

    /// Takes the lead if the seat is free. Answers the leadership, and the revision that proves it.
    pub(super) async fn campaign(
        &self,
        candidate: &Candidate,
    ) -> Result<(Leadership, i64), CampaignError> {
        let view = self.look().await?;
        let silent = self.known().vigil.is_silent(view.sign, Instant::now());
        let format = if view.sign.head == 0 { FORMAT } else { view.head.format };
        if !format.admits(candidate.program) {
            return Err(CampaignError::Format { program: candidate.program, format });
        }
        match &view.seat {
            Some(seat) if !silent && !self.is_free(seat) => return Err(held(seat)),
            _ => {}
        }
        self.check_that_all_is_ours(&view).await?;
        self.take(candidate, &view).await
    }

    /// Whether nobody is to be waited for: the leader resigned, or was this same handle, whose
    /// earlier leadership ends with the new one.
    fn is_free(&self, seat: &Seat) -> bool {
        seat.resigned || seat.instance == self.instance
    }

    async fn take(
        &self,
        candidate: &Candidate,
        view: &View,
    ) -> Result<(Leadership, i64), CampaignError> {
        // A lost `leader` key does not make terms begin anew: the head knows the last that wrote.
        let last = view.seat.as_ref().map_or(0, |seat| seat.term).max(view.head.id.term());
        let last = last.max(candidate.above);
        let seat = Seat::of(candidate, last + 1, &self.instance);
        let sign = view.sign;
        let txn = Txn::new()
            .when([
                at(self.keys.leader(), sign.leader),
                at(self.keys.renewal(), sign.renewal),
                at(self.keys.head(), sign.head),
            ])
            .and_then([TxnOp::put(self.keys.leader(), seat.text().map_err(unavailable)?, None)])
            .or_else([TxnOp::get(self.keys.leader(), None)]);
        let answer = match self.members.txn(Sending::Once, txn).await {
            Ok(answer) => answer,
            Err(failure) => {
                if failure.class() == Class::Refused(Refusal::Full) {
                    // The leader cannot be heard either while nobody can write.
                    self.known().vigil.restart();
                }
                return Err(unavailable(failure));
            }
        };
        if !answer.succeeded() {
            let [leader] = found(&answer);
            return Err(match leader.map(|pair| self.read(&pair, Seat::read)).transpose()? {
                Some(seat) if !self.is_free(&seat) => held(&seat),
                _ => unavailable("the seat changed while it was taken"),
            });
        }
        let revision = revision(&answer);
        self.known().seat = Some((seat.term, revision));
        Ok((Leadership::new(seat.term), revision))
    }

    /// Refuses to write among keys that are not ours.
    async fn check_that_all_is_ours(&self, view: &View) -> Result<(), CampaignError> {
        if let Some(key) = self.stray().await? {
            return Err(stray(&key).into());
        }
        if view.sign.head == 0
            && let Some(key) = self.first_key(self.keys.records()).await?
        {
            let what = keys::shown(self.keys.head().as_bytes());
            let cause = format!("it is missing, but there is {}", keys::shown(&key));
            return Err(CampaignError::Damaged { what, cause: cause.into() });
        }
        Ok(())
    }

    /// A key below the fleet's prefix that is none of ours, if there is one.
    pub(super) async fn stray(&self) -> Result<Option<Vec<u8>>, Failure> {
        for gap in self.keys.gaps() {
            if let Some(key) = self.first_key(gap).await? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn first_key(&self, range: (String, String)) -> Result<Option<Vec<u8>>, Failure> {
        let (first, end) = range;
        let options = GetOptions::new().with_range(end).with_limit(1).with_keys_only();
        let answer = self.members.get(CALL, first, options).await?;
        Ok(answer.kvs().first().map(|pair| pair.key().to_vec()))
    }

    /// The revision of `leader` under `leadership`; `None` if another one holds.
    pub(super) async fn seat_of(&self, leadership: &Leadership) -> Result<Option<i64>, Blind> {
        if let Some(revision) = self.known().seat_of(leadership) {
            return Ok(Some(revision));
        }
        let view = self.look().await?;
        Ok(view.is_led_by(leadership).then_some(view.sign.leader))
    }

    pub(super) async fn renew(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let put = TxnOp::put(self.keys.renewal(), text::write_renewal(leadership.term()), None);
        let answer = self.as_leader(leadership, put).await?;
        if answer.succeeded() { Ok(()) } else { Err(deposed(leadership)) }
    }

    pub(super) async fn resign(&self, leadership: &Leadership) -> Result<(), TenureError> {
        let view = self.look().await?;
        match view.seat {
            Some(seat) if seat.term == leadership.term() && !seat.resigned => {
                self.write_resigned(leadership, seat).await
            }
            _ => Err(deposed(leadership)),
        }
    }

    async fn write_resigned(&self, leadership: &Leadership, seat: Seat) -> Result<(), TenureError> {
        let seat = Seat { resigned: true, ..seat };
        let text = seat.text().map_err(|error| TenureError::Unavailable(error.into()))?;
        let answer = self.as_leader(leadership, TxnOp::put(self.keys.leader(), text, None)).await?;
        let [leader] = if answer.succeeded() { [None] } else { found(&answer) };
        // It may have been sent twice: then the first has done what the second could not.
        let by_us = |pair: KeyValue| Seat::read(pair.value()).is_ok_and(|found| found == seat);
        if answer.succeeded() || leader.is_some_and(by_us) {
            return Ok(());
        }
        Err(deposed(leadership))
    }

    /// Runs `operation` if `leadership` still holds; else the answer has the `leader` key.
    async fn as_leader(
        &self,
        leadership: &Leadership,
        operation: TxnOp,
    ) -> Result<TxnResponse, TenureError> {
        let Some(seat) = self.seat_of(leadership).await? else {
            return Err(deposed(leadership));
        };
        let txn = Txn::new()
            .when([at(self.keys.leader(), seat)])
            .and_then([operation])
            .or_else([TxnOp::get(self.keys.leader(), None)]);
        let answer = self.members.txn(Sending::Again, txn).await;
        answer.map_err(|failure| TenureError::Unavailable(failure.into()))
    }

    #[cfg(feature = "test-util")]
    pub(super) async fn unseat(&self) -> Result<(), TenureError> {
        let view = self.look().await?;
        match view.seat {
            Some(seat) if !seat.resigned => {
                self.write_resigned(&Leadership::new(seat.term), seat).await
            }
            _ => Ok(()),
        }
    }
}

/// The condition that `key` was written at `revision` last, or never if that is 0.
pub(super) fn at(key: String, revision: i64) -> Compare {
    Compare::mod_revision(key, CompareOp::Equal, revision)
}

/// The first pair that each of the `N` reads of a transaction found.
pub(super) fn found<const N: usize>(answer: &TxnResponse) -> [Option<KeyValue>; N] {
    let mut answers = answer.op_responses().into_iter();
    std::array::from_fn(|_| match answers.next() {
        Some(TxnOpResponse::Get(mut get)) => get.take_kvs().into_iter().next(),
        _ => None,
    })
}

/// The revision that a transaction wrote at.
pub(super) fn revision(answer: &TxnResponse) -> i64 {
    answer.header().map_or(0, etcd_client::ResponseHeader::revision)
}

fn stray(key: &[u8]) -> Blind {
    Blind::Damaged { what: keys::shown(key), cause: Stray::Unknown.into() }
}

fn held(seat: &Seat) -> CampaignError {
    let Seat { name, address, charter, .. } = seat.clone();
    CampaignError::Held { name, address, charter }
}

fn deposed(leadership: &Leadership) -> TenureError {
    TenureError::Deposed { term: leadership.term() }
}

fn unavailable(cause: impl Into<Cause>) -> CampaignError {
    CampaignError::Unavailable(cause.into())
}

impl From<Failure> for Blind {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Failure> for CampaignError {
    fn from(failure: Failure) -> Self {
        unavailable(failure)
    }
}

impl From<Blind> for CampaignError {
    fn from(blind: Blind) -> Self {
        match blind {
            Blind::Failure(failure) => unavailable(failure),
            Blind::Damaged { what, cause } => Self::Damaged { what, cause },
        }
    }
}

impl From<Blind> for LoadError {
    fn from(blind: Blind) -> Self {
        match blind {
            Blind::Failure(failure) => Self::Unavailable(failure.into()),
            Blind::Damaged { what, cause } => Self::Damaged { what, cause },
        }
    }
}

impl From<Blind> for TenureError {
    fn from(blind: Blind) -> Self {
        Self::Unavailable(blind.into_cause())
    }
}

impl From<Blind> for CommitError {
    fn from(blind: Blind) -> Self {
        Self::Unavailable(blind.into_cause())
    }
}

impl Blind {
    /// The cause alone, for who cannot do anything about damage.
    pub(super) fn into_cause(self) -> Cause {
        match self {
            Self::Failure(failure) => failure.into(),
            Self::Damaged { what, cause } => {
                format!("{what} in the store is damaged: {cause}").into()
            }
        }
    }
}
