//! Claims: who holds or waits for what.

use molt_domain::board::Board;
use molt_domain::claim::{self, Claim, Mode, State};
use molt_domain::id::{BoardTime, millis};
use molt_domain::scope::Risk;
use molt_domain::session;

use super::task::Words;
use super::{count, name_of, texts};
use crate::v1;

/// A claim with its holder's name.
#[must_use]
pub fn claim(board: &Board, claim: &Claim, now: BoardTime) -> v1::ClaimView {
    let standing = Standing::of(board, claim);
    let ahead = match claim.state {
        State::Waiting { place, .. } => ahead(board, claim, place),
        State::Held { .. } | State::Offered { .. } => 0,
    };
    let offer = claim.offer(now);
    v1::ClaimView {
        id: claim.id.to_string(),
        scopes: texts(claim.scopes()),
        paths: texts(claim.parts.iter().flat_map(|part| &part.paths).chain(&claim.globs)),
        globs: texts(&claim.globs),
        holder: name_of(board, claim.session),
        session: claim.session.to_string(),
        state: standing.word.to_owned(),
        fence: standing.fence,
        task: claim.task.map(|task| task.to_string()).unwrap_or_default(),
        why: claim.why.clone(),
        risk: risk(claim.risk).to_owned(),
        tests: claim.tests.clone(),
        since_ms: standing.since.0,
        until_ms: standing.until.map_or(0, |until| until.0),
        ahead,
        seen_ms: millis(now.since(board.heard(claim.session))),
        already: false,
        shared: claim.mode == Mode::Shared,
        offered_to: offer.map(|offer| name_of(board, offer.to)).unwrap_or_default(),
        offer_note: offer.map(|offer| offer.note.clone()).unwrap_or_default(),
        offer_until_ms: offer.map_or(0, |offer| offer.until.0),
        report: String::new(),
        left: String::new(),
        notes: Vec::new(),
    }
}

/// A claim as whoever was granted it is told: with what was said of its task before.
#[must_use]
pub fn granted(board: &Board, claim: &Claim, now: BoardTime) -> v1::ClaimView {
    let task = claim.task.and_then(|id| board.tables().tasks.get(&id));
    let Words { report, left, notes, .. } =
        task.map(|task| Words::of(board, task)).unwrap_or_default();
    v1::ClaimView { report, left, notes, ..self::claim(board, claim, now) }
}

/// What a claim's state and its session's state make of it.
struct Standing {
    word: &'static str,
    fence: String,
    since: BoardTime,
    until: Option<BoardTime>,
}

impl Standing {
    fn of(board: &Board, claim: &Claim) -> Self {
        let holder = board.tables().sessions.get(&claim.session).map(|holder| holder.state);
        let asked = claim.asked;
        match (claim.state, holder) {
            (State::Held { fence, since, until }, Some(session::State::Lost { grace, .. })) => {
                let until = Some(until.map_or(grace, |until| until.min(grace)));
                Self { word: "orphaned", fence: fence.to_string(), since, until }
            }
            (State::Held { fence, since, until }, _) => {
                Self { word: "held", fence: fence.to_string(), since, until }
            }
            (State::Waiting { .. }, _) => {
                Self { word: "waiting", fence: String::new(), since: asked, until: None }
            }
            (State::Offered { until, .. }, _) => {
                Self { word: "offered", fence: String::new(), since: asked, until: Some(until) }
            }
        }
    }
}

/// How many stand in line before a claim at `place` and in its way.
fn ahead(board: &Board, claim: &Claim, place: u64) -> u32 {
    let Some(repo) = board.tables().repos.get(&claim.repo) else {
        return 0;
    };
    let wanted = claim.piece_list();
    let before = board.tables().claims.values().filter(|other| match other.state {
        State::Waiting { place: theirs, .. } => (theirs, other.id) < (place, claim.id),
        State::Held { .. } | State::Offered { .. } => false,
    });
    count(before.filter(|other| {
        let meets = |piece| claim::meets(&repo.policy, other, piece).is_some();
        let is_in_the_way = other.repo == claim.repo && !other.mode.admits(claim.mode);
        is_in_the_way && wanted.iter().any(meets)
    }))
}

pub(super) fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Med => "med",
        Risk::High => "high",
    }
}
