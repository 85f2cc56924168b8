use std::time::Duration;

use molt_domain::board::{Invalid, Kind, Refusal};
use molt_domain::claim::{Obstacle, Piece};
use molt_domain::gate::Class;
use molt_domain::hold::{Hold, Holder};
use molt_domain::id::{BoardTime, Fence, HoldId, JobId, RefusalId, SessionId};
use molt_domain::scope::Conflict;
use tonic::{Code, Status};

use super::{
    Failure, KINDS, compacted, hindered, message, standby, status, unavailable, unknown_outcome,
};
use crate::fixture::parsed;

/// What common HTTP/2 stacks take of headers, in bytes.
const MAX_HEADERS: usize = 16 * 1024;

fn obstacle() -> Obstacle {
    Obstacle {
        wanted: Piece::Scope(parsed("runtime")),
        held: Piece::Scope(parsed("runtime/gc")),
        claim: parsed("clm_0002"),
        holder: SessionId::from_counter(1),
        conflict: Conflict::Overlap {
            left: parsed("runtime/**"),
            right: parsed("runtime/*.rs"),
            witness: "runtime/vm.rs".to_owned(),
        },
    }
}

fn hold() -> Hold {
    Hold {
        id: HoldId::from_counter(4),
        holder: Holder::Session(SessionId::from_counter(1)),
        host: parsed("build1"),
        fence: Fence { epoch: 1, n: 7 },
        since: BoardTime(5),
        what: "make \"it\"\nso — é".to_owned(),
    }
}

/// A refusal of each variant, with the code that it travels under.
fn refusals() -> Vec<(Refusal, Code)> {
    let text = str::to_owned;
    vec![
        (
            Refusal::ScopeHeld {
                obstacle: obstacle(),
                holder: parsed("ada"),
                task: Some(parsed("tsk_0003")),
                seen: 3000,
                until: Some(BoardTime(9000)),
                free: vec![Piece::Scope(parsed("docs"))],
                ahead: 1,
            },
            Code::AlreadyExists,
        ),
        (
            Refusal::LockHeld {
                lock: parsed("publish"),
                hold: Some(hold()),
                holder: Some(parsed("ada")),
                ahead: 2,
            },
            Code::AlreadyExists,
        ),
        (
            Refusal::PoolFull {
                pool: parsed("cargo"),
                size: 1,
                users: vec![Holder::Job(JobId::from_counter(8))],
                ahead: 0,
            },
            Code::AlreadyExists,
        ),
        (Refusal::Lost { what: text("clm_0002"), reason: text("revoked") }, Code::Unauthenticated),
        (
            Refusal::Unauthenticated { problem: text("token x"), needs: text("a token") },
            Code::Unauthenticated,
        ),
        (
            Refusal::TaskTaken { task: parsed("tsk_0003"), holder: parsed("ada") },
            Code::AlreadyExists,
        ),
        (Refusal::WaitCycle { cycle: vec![text("a"), text("b")] }, Code::AlreadyExists),
        (
            Refusal::BuildFailed {
                build: text("std,abc,dev,build1").try_into().expect("a key"),
                class: Class::Oom,
            },
            Code::AlreadyExists,
        ),
        (Refusal::NothingReady { reasons: vec![text("tsk_0003 waits")] }, Code::ResourceExhausted),
        (
            Refusal::NotFound {
                kind: text("scope"),
                name: text("runtme"),
                nearest: Some(text("runtime")),
            },
            Code::NotFound,
        ),
        (Refusal::NoRepo { repo: parsed("molt") }, Code::NotFound),
        (Refusal::Closed { reason: text("unreadable") }, Code::FailedPrecondition),
        (
            Refusal::Gate { car: parsed("car_0005"), gate: parsed("test"), reason: text("red") },
            Code::FailedPrecondition,
        ),
        (
            Refusal::Forbidden { what: text("revoke"), needs: text("an operator") },
            Code::PermissionDenied,
        ),
        (
            Refusal::Stale { what: text("base"), given: text("1"), current: text("2") },
            Code::Aborted,
        ),
        (Refusal::FormatTooLow { what: text("claim"), needed: 2, stored: 1 }, Code::Aborted),
        (Refusal::Invalid(Invalid::RequestExpired { number: 3 }), Code::InvalidArgument),
        (Refusal::Invalid(Invalid::RequestReused { number: 3 }), Code::InvalidArgument),
        (Invalid::field("note", "too long").into(), Code::InvalidArgument),
    ]
}

/// A status after a journey through headers, and how many bytes of them it took.
fn sent(status: Status) -> (Status, usize) {
    let response = status.into_http::<()>();
    let headers = response.headers();
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    (Status::from_header_map(headers).expect("a status in the headers"), bytes)
}

#[test]
fn every_refusal_comes_back_as_it_was() {
    let id = RefusalId::from_counter(77);
    for (refusal, code) in refusals() {
        let (status, _) = sent(status(&refusal, Some(id)));
        assert_eq!(status.code(), code, "{refusal:?}");
        let as_message = Failure::from(message(&status));
        let failure = Failure::from(status);
        assert_eq!(failure.kind(), Some(refusal.kind()));
        assert_eq!(failure, as_message);
        assert_eq!(failure, Failure::Refused { refusal: Box::new(refusal), id: Some(id) });
    }
}

#[test]
fn each_kind_has_its_own_word_and_code() {
    for (kind, word, code) in KINDS {
        let same =
            KINDS.iter().filter(|other| other.0 == kind || other.1 == word || other.2 == code);
        assert_eq!(same.count(), 1, "{kind:?}");
    }
    for (refusal, _) in refusals() {
        assert!(KINDS.iter().any(|(kind, ..)| *kind == refusal.kind()), "{refusal:?}");
    }
}

#[test]
fn a_huge_refusal_still_fits_the_headers() {
    let long = "é\n".repeat(100_000);
    let name = format!("a{}", "/b".repeat(63));
    let many = 10_000;
    for refusal in [
        Refusal::ScopeHeld {
            obstacle: Obstacle {
                wanted: Piece::Scope(parsed(&name)),
                held: Piece::Scope(parsed(&name)),
                ..obstacle()
            },
            holder: parsed(&"a".repeat(64)),
            task: None,
            seen: 0,
            until: None,
            free: vec![Piece::Scope(parsed(&name)); many],
            ahead: 0,
        },
        Refusal::LockHeld {
            lock: parsed("publish"),
            hold: Some(Hold { what: long.clone(), ..hold() }),
            holder: None,
            ahead: 0,
        },
        Refusal::PoolFull {
            pool: parsed("cargo"),
            size: 1,
            users: vec![Holder::Job(JobId::from_counter(u64::MAX)); many],
            ahead: 0,
        },
        Refusal::WaitCycle { cycle: vec![long.clone(); many / 100] },
        Refusal::NothingReady { reasons: vec!["\u{1}".repeat(10_000); 5] },
        Refusal::Stale { what: long.clone(), given: long.clone(), current: long.clone() },
        Refusal::Lost { what: long.clone(), reason: long.clone() },
        Invalid::field(&long, long.as_str()).into(),
    ] {
        let (status, bytes) = sent(status(&refusal, Some(RefusalId::from_counter(u64::MAX))));
        assert!(bytes < MAX_HEADERS, "{bytes} bytes for {}", refusal.reason());
        match Failure::from(status) {
            Failure::Refused { refusal: read, .. } => assert_eq!(read.reason(), refusal.reason()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn failures_that_are_no_refusals_come_back_too() {
    let (reason, wait) = ("the inbox is full".to_owned(), Some(Duration::from_millis(1500)));
    let busy = Failure::Unavailable { reason: reason.clone(), retry_after: wait, leader: None };
    let standing = |leader: Option<&str>, reason: &str| Failure::Unavailable {
        reason: reason.to_owned(),
        retry_after: None,
        leader: leader.map(str::to_owned),
    };
    for (status, wanted) in [
        (unavailable(reason, Duration::from_millis(1500)), busy),
        (
            standby(Some("10.0.0.2:7420")),
            standing(Some("10.0.0.2:7420"), "this coordinator stands by: ask 10.0.0.2:7420"),
        ),
        (standby(None), standing(None, "this coordinator stands by, and no leader is known yet")),
        (
            hindered("the store is full"),
            standing(
                None,
                "this coordinator cannot take the lead, and no leader is known: the store is full",
            ),
        ),
        (unknown_outcome("deposed"), Failure::Unknown { reason: "deposed".to_owned() }),
        (compacted(812), Failure::Compacted { oldest: 812 }),
    ] {
        let (status, _) = sent(status);
        assert_eq!(Failure::from(message(&status)), wanted);
        assert_eq!(Failure::from(status), wanted);
    }
}

#[test]
fn what_broke_on_the_way_is_unknown_unless_nothing_was_sent() {
    let unknown = |reason: &str| Failure::Unknown { reason: reason.to_owned() };
    for code in [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::DeadlineExceeded] {
        assert_eq!(Failure::from(Status::new(code, "broke")), unknown("broke"));
    }
    let bug = Failure::from(Status::internal("a bug"));
    assert_eq!(
        bug,
        Failure::Other { code: Code::Internal, kind: None, message: "a bug".to_owned() }
    );
    let reset = std::io::Error::other("connection reset");
    let broken = Failure::from(Status::from_error(Box::new(reset)));
    assert!(matches!(broken, Failure::Unknown { .. }), "{broken:?}");
    let refused = tonic::ConnectError(Box::new(std::io::Error::other("connection refused")));
    let unsent = Failure::from(Status::from_error(Box::new(refused)));
    assert!(matches!(unsent, Failure::Unavailable { .. }), "{unsent:?}");
}

#[test]
fn a_refusal_of_a_newer_program_keeps_its_kind() {
    let (status, _) = sent(status(&Refusal::NoRepo { repo: parsed("molt") }, None));
    let mut newer = message(&status);
    let known = newer.metadata.insert("refusal".to_owned(), r#"{"refusal":"new"}"#.to_owned());
    assert!(known.is_some());
    let failure = Failure::from(newer);
    assert_eq!(failure.kind(), Some(Kind::NotFound));
    assert!(matches!(failure, Failure::Other { code: Code::NotFound, .. }), "{failure:?}");
}

#[test]
fn what_breaks_in_tls_is_nobodys_unknown_outcome() {
    use molt_domain::board::Kind::{Forbidden, Usage};
    use rustls::{AlertDescription, CertificateError, InvalidMessage};
    let status = |error: rustls::Error| {
        let broken = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        let mut status = Status::unavailable("transport error");
        status.set_source(std::sync::Arc::new(broken));
        status
    };
    let table = [
        (rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer), Some(Forbidden)),
        (rustls::Error::AlertReceived(AlertDescription::CertificateExpired), Some(Forbidden)),
        (rustls::Error::AlertReceived(AlertDescription::UnknownCA), Some(Forbidden)),
        (rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType), Some(Usage)),
        (rustls::Error::AlertReceived(AlertDescription::CloseNotify), None),
    ];
    for (error, kind) in table {
        let failure = Failure::from(status(error.clone()));
        assert_eq!(failure.kind(), kind, "{error}: {failure}");
        assert_eq!(matches!(failure, Failure::Unknown { .. }), kind.is_none(), "{failure}");
    }
}
