//! Whoever calls, once it is known: asked of the gate first, then of the board.

use molt_domain::access::{self, Identity, Peer, Repos, Right};
use molt_domain::board::{Now, Refusal};
use molt_domain::id::{JobId, SessionId, TokenId};
use molt_proto::convert::{Beat, Place};
use tonic::Status;

use super::{Service, refused, status};
use crate::auth::{Admitted, Shown};
use crate::engine::Committed;

/// Somebody whose call may go on.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) peer: Peer,
    admitted: Admitted,
}

impl Guest {
    /// Whether its word about what it was granted counts: it stops the fleet when it is true.
    pub(super) fn is_a_witness(&self) -> bool {
        match &self.peer {
            Peer::Local => true,
            Peer::Known(known) => known.role.has(Right::Work) || known.role.has(Right::Host),
        }
    }

    /// That its role has a right, for what is called `verb`.
    pub(super) fn may(&self, right: Right, verb: &str) -> Result<(), Status> {
        match &self.peer {
            Peer::Local => Ok(()),
            Peer::Known(identity) => identity.may(right, verb).map_err(|refusal| refused(&refusal)),
        }
    }

    /// That it is not limited to some repositories.
    pub(super) fn may_everywhere(&self, verb: &str) -> Result<(), Status> {
        match &self.peer {
            Peer::Local => Ok(()),
            Peer::Known(identity) => {
                identity.may_in(None, verb).map_err(|refusal| refused(&refusal))
            }
        }
    }

    /// What its streams end with.
    pub(super) fn proof(&self) -> Proof {
        match &self.peer {
            Peer::Local => Proof::None,
            Peer::Known(identity) => match (identity.token, self.admitted.until) {
                (Some(token), _) => Proof::Token(token),
                (None, Some(until)) => Proof::Certificate { of: identity.clone(), until },
                (None, None) => Proof::None,
            },
        }
    }

    /// What it may be told of what happens.
    pub(super) fn sight(&self) -> Sight {
        match &self.peer {
            Peer::Local => Sight { token: None, detail: Detail::Whole },
            Peer::Known(Identity { token, repos, .. }) => {
                let detail = if *repos == Repos::All { Detail::Whole } else { Detail::Number };
                Sight { token: *token, detail }
            }
        }
    }
}

/// That by which somebody came.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// Nothing had to be shown.
    None,
    /// A token: the board says when it is good no more.
    Token(TokenId),
    /// A certificate.
    Certificate {
        /// Whom it names.
        of: Identity,
        /// The wall time from which it is good no more, in milliseconds since 1970.
        until: u64,
    },
}

/// What somebody may be told of what happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    /// The token by which it came: the stream ends with it.
    pub(super) token: Option<TokenId>,
    pub(super) detail: Detail,
}

/// How much of an entry is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All of it.
    Whole,
    /// That there is one: entries are of all repositories, and its token is not.
    Number,
}

impl Service {
    /// Who calls, if it may go on.
    pub(super) async fn guest<T>(&self, call: &tonic::Request<T>) -> Result<Guest, Status> {
        self.gate.understands(call.metadata())?;
        let admitted = self.gate.admit(call)?;
        let peer = match admitted.shown.clone() {
            Shown::Nothing => Peer::Local,
            Shown::Certificate(identity) => Peer::Known(identity),
            Shown::Token(hash) => {
                let read = self.handle.read(move |at| access::authenticate(at.board, hash, at.now));
                Peer::Known(read.await.map_err(status)?.map_err(|refusal| refused(&refusal))?)
            }
        };
        Ok(Guest { peer, admitted })
    }

    /// Counts one more request of a guest's stream.
    pub(super) fn charge(&self, guest: &Guest) -> Result<(), Status> {
        self.gate.charge(&guest.admitted)
    }

    /// The sessions that a host may renew: those that live on it.
    pub(super) async fn renewable(
        &self,
        guest: &Guest,
        beat: &Beat,
    ) -> Result<Vec<SessionId>, Status> {
        let Peer::Known(_) = &guest.peer else { return Ok(beat.sessions.clone()) };
        let (host, sessions) = (beat.host.clone(), beat.sessions.clone());
        let request = molt_domain::board::Request { peer: guest.peer.clone(), ..beat.request() };
        let read = self.handle.read(move |at: Committed<'_>| {
            // Before the renewals count, and not only before the host's word is taken.
            access::check(at.board, &request, Now { board: at.now, wall: 0 })?;
            let known = &at.board.tables().sessions;
            let lives_here =
                |id: &SessionId| known.get(id).is_none_or(|session| session.host == host);
            Ok(sessions.into_iter().filter(lives_here).collect())
        });
        read.await.map_err(status)?.map_err(|refusal: Box<Refusal>| refused(&refusal))
    }

    /// That a guest may read the log of a job. Of one that has ended, nobody knows the repository
    /// any more: that takes a token for all of them.
    pub(super) async fn may_read_log(&self, guest: &Guest, job: &str) -> Result<(), Status> {
        guest.may(Right::Read, "log")?;
        let Peer::Known(identity) = guest.peer.clone() else { return Ok(()) };
        let Ok(job) = job.parse::<JobId>() else { return Ok(()) };
        let read = self.handle.read(move |at| {
            let job = at.board.tables().jobs.get(&job);
            identity.may_in(job.map(|job| &job.repo), "log")
        });
        read.await.map_err(status)?.map_err(|refusal| refused(&refusal))
    }

    /// That a guest may hold a place in line as present.
    pub(super) async fn may_attend(&self, guest: &Guest, place: Place) -> Result<(), Status> {
        let Peer::Known(identity) = &guest.peer else { return Ok(()) };
        guest.may(
            if matches!(place, Place::Hold(_)) { Right::Hold } else { Right::Work },
            "attend",
        )?;
        let identity = identity.clone();
        if identity.repos == Repos::All {
            return Ok(());
        }
        let read = self.handle.read(move |at| {
            let tables = at.board.tables();
            let repo = match place {
                Place::Claim(claim) => tables.claims.get(&claim).map(|claim| &claim.repo),
                Place::Inbox(session) => tables.sessions.get(&session).map(|session| &session.repo),
                Place::Hold(_) => None,
            };
            // What is not there is told so.
            repo.map_or(Ok(()), |repo| identity.may_in(Some(repo), "attend"))
        });
        read.await.map_err(status)?.map_err(|refusal| refused(&refusal))
    }
}
