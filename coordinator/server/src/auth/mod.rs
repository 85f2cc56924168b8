//! Who is on the other end of a call: by its certificate, by its bearer token, or not at all.
//!
//! [`Gate`] looks at each call once, before anything else does: what the
//! connection proves, what the headers show, and whether it comes too often.
//! Only loopback without TLS may show nothing. It tells streams, too, when a
//! token is taken back or a certificate's time is over. Not here: which token is good (the board knows), and
//! what somebody may do (`molt_domain::access`).

pub mod authority;
mod certificate;
mod connections;
mod limit;
mod tls;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use molt_domain::access::{Identity, TokenHash};
use molt_domain::board::Refusal;
use molt_domain::name::ActorName;
use molt_proto::protocol::Versions;
use molt_proto::{credentials, error};
use tokio::sync::watch;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

pub use self::limit::Rate;
pub use self::tls::{TlsError, tls};

use self::certificate::Certificate;
pub(crate) use self::connections::{Counted, limited};
use self::limit::Buckets;
use crate::clock::{self, Clock};

/// What a gate lets through.
#[derive(Debug, Default, Clone, Copy)]
pub struct AuthOptions {
    /// How often one peer may ask. This machine's own users are not counted.
    pub rate: Rate,
    /// The versions of the wire that are spoken.
    pub wire: Versions,
}

/// The one place where a call turns into somebody, or is refused. Clones share their counts.
#[derive(Clone)]
pub struct Gate {
    wire: Versions,
    buckets: Arc<Mutex<Buckets>>,
    /// Changes when a token is taken back.
    revoked: watch::Sender<()>,
    /// By whose wall time certificates expire.
    clock: Clock,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(AuthOptions::default())
    }
}

/// What a call showed of its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Nothing, on loopback without TLS, where nothing has to be shown.
    Nothing,
    /// A certificate that an authority of this fleet signed.
    Certificate(Identity),
    /// A token; whether it is good is the board's to say.
    Token(TokenHash),
}

/// Who is counted for a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    Address(IpAddr),
    Actor(ActorName),
    Token(TokenHash),
}

/// A call that may go on.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) shown: Shown,
    /// The wall time from which its certificate is good no more, if it came by one.
    pub(crate) until: Option<u64>,
    payer: Option<(Payer, IpAddr)>,
}

/// The connection that a call came over.
struct Connection {
    address: Option<SocketAddr>,
    secure: bool,
    /// The peer's own certificate, as DER.
    certificate: Option<Vec<u8>>,
}

impl Connection {
    fn of<T>(call: &tonic::Request<T>) -> Self {
        let secure = call.extensions().get::<TlsConnectInfo<TcpConnectInfo>>().is_some();
        let shown = call.peer_certs();
        let certificate = shown.and_then(|chain| chain.first().map(|own| own.to_vec()));
        Self { address: call.remote_addr(), secure, certificate }
    }

    fn is_local(&self) -> bool {
        !self.secure && self.address.is_some_and(|at| at.ip().to_canonical().is_loopback())
    }
}

impl Gate {
    /// A gate that has seen nobody yet.
    #[must_use]
    pub fn new(options: AuthOptions) -> Self {
        let buckets = Arc::new(Mutex::new(Buckets::new(options.rate)));
        let (wire, revoked) = (options.wire, watch::Sender::default());
        Self { wire, buckets, revoked, clock: Clock::Machine }
    }

    /// The same in another time than the machine's.
    #[must_use]
    pub fn by(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// How long it is until a wall time; `None` once it is over.
    pub(crate) fn left(&self, until: u64) -> Option<Duration> {
        let left = until.checked_sub(self.clock.wall())?;
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// That a call is of a version of the wire that is spoken here.
    pub(crate) fn understands(&self, metadata: &MetadataMap) -> Result<(), Status> {
        self.wire.check(metadata)
    }

    /// What a call shows, if it may go on.
    ///
    /// # Errors
    ///
    /// A status that says what is missing or wrong, or when to come back.
    pub(crate) fn admit<T>(&self, call: &tonic::Request<T>) -> Result<Admitted, Status> {
        self.admit_over(&Connection::of(call), call.metadata())
    }

    fn admit_over(
        &self,
        connection: &Connection,
        metadata: &MetadataMap,
    ) -> Result<Admitted, Status> {
        let (shown, until) =
            shown(connection, metadata).map_err(|refusal| error::status(&refusal, None))?;
        if let (Shown::Certificate(identity), Some(until)) = (&shown, until)
            && self.left(until).is_none()
        {
            return Err(expired(identity));
        }
        let address = connection.address.map_or(IpAddr::from([0, 0, 0, 0]), |at| at.ip());
        let payer = match &shown {
            Shown::Nothing => None,
            Shown::Certificate(identity) => Some(Payer::Actor(identity.name.clone())),
            Shown::Token(hash) => Some(Payer::Token(*hash)),
        };
        let admitted = Admitted { shown, until, payer: payer.map(|payer| (payer, address)) };
        self.charge(&admitted)?;
        Ok(admitted)
    }

    /// Tells the streams that some token is good no more: each asks the board about its own.
    pub(crate) fn token_revoked(&self) {
        self.revoked.send_replace(());
    }

    /// Changes with every [`token_revoked`](Self::token_revoked) from now on.
    pub(crate) fn revocations(&self) -> watch::Receiver<()> {
        self.revoked.subscribe()
    }

    /// Counts one more request of somebody who was admitted.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` with the time to come back: nothing changed, and nobody failed.
    pub(crate) fn charge(&self, admitted: &Admitted) -> Result<(), Status> {
        let Some((payer, address)) = &admitted.payer else { return Ok(()) };
        // What is in there is whole at every moment, so a panic elsewhere spoils nothing.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = buckets.take(payer, *address, clock::boottime());
        drop(buckets);
        taken.map_err(|wait| too_often(admitted, wait))
    }
}

fn too_often(admitted: &Admitted, wait: Duration) -> Status {
    let who = match &admitted.shown {
        Shown::Certificate(identity) => format!("{} {}", identity.role, identity.name),
        Shown::Token(_) | Shown::Nothing => "this token's bearer".to_owned(),
    };
    let reason = format!("{who} asks too often: come back in {} ms", wait.as_millis());
    error::unavailable(reason, wait)
}

/// That the time of a certificate is over, by which a connection began that is still there.
pub(crate) fn expired(identity: &Identity) -> Status {
    let Identity { name, role, .. } = identity;
    error::status(&unproven(format!("the certificate of {role} {name} expired")), None)
}

/// What a call shows, and the end of that if it has one by itself.
fn shown(
    connection: &Connection,
    metadata: &MetadataMap,
) -> Result<(Shown, Option<u64>), Box<Refusal>> {
    // A token is shown on purpose, a certificate by whoever connects: the token speaks.
    if let Some(token) = credentials::shown(metadata).map_err(unproven)? {
        if connection.secure || connection.is_local() {
            return Ok((Shown::Token(TokenHash::of(token)), None));
        }
        return Err(unproven("a token came without TLS, and others may have read it".to_owned()));
    }
    if let Some(certificate) = &connection.certificate {
        let Certificate { identity, until } = certificate::read(certificate)?;
        return Ok((Shown::Certificate(identity), Some(until)));
    }
    if connection.is_local() {
        return Ok((Shown::Nothing, None));
    }
    Err(unproven(match connection.secure {
        true => "the call shows nothing".to_owned(),
        false => "the call comes without TLS from another machine".to_owned(),
    }))
}

fn unproven(problem: String) -> Box<Refusal> {
    let needs = "a client certificate or a bearer token".to_owned();
    Refusal::Unauthenticated { problem, needs }.into()
}

#[cfg(test)]
mod tests;
