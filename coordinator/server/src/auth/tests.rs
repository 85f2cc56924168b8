use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use molt_domain::access::Role;
use molt_proto::error::Failure;
use rcgen::{CertificateParams, DnType, KeyPair};
use tokio::time::Instant;
use tonic::Code;

use super::authority::{AuthorityError, Plan};
use super::*;
use crate::config::{KeyPair as Pair, TlsFiles};

const HERE: &str = "127.0.0.1:5";
const ELSEWHERE: &str = "10.0.0.7:5";

fn connection(address: &str, secure: bool, certificate: Option<Vec<u8>>) -> Connection {
    Connection { address: Some(address.parse().unwrap()), secure, certificate }
}

fn headers(authorization: Option<&str>) -> MetadataMap {
    let mut headers = MetadataMap::new();
    if let Some(text) = authorization {
        headers.insert("authorization", text.parse().unwrap());
    }
    headers
}

/// A certificate of its own with these names, as DER.
fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, name) in names {
        params.distinguished_name.push(kind.clone(), *name);
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn plan() -> Plan {
    Plan {
        hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        clients: vec![(Role::Agent, "ann".parse().unwrap()), (Role::Host, "h/1".parse().unwrap())],
        life: Duration::from_secs(3600),
    }
}

#[test]
fn only_loopback_without_tls_may_show_nothing() {
    let ask = |address, secure| {
        shown(&connection(address, secure, None), &headers(None)).map(|(shown, _)| shown)
    };
    assert_eq!(ask(HERE, false), Ok(Shown::Nothing));
    assert_eq!(ask("[::1]:5", false), Ok(Shown::Nothing));
    assert_eq!(ask("[::ffff:127.0.0.1]:5", false), Ok(Shown::Nothing));
    let table = [
        (HERE, true, "the call shows nothing"),
        (ELSEWHERE, true, "the call shows nothing"),
        (ELSEWHERE, false, "the call comes without TLS from another machine"),
    ];
    for (address, secure, problem) in table {
        let refusal = ask(address, secure).unwrap_err();
        let words = format!("{problem}: show a client certificate or a bearer token");
        assert_eq!(refusal.to_string(), words);
        let status = error::status(&refusal, None);
        assert_eq!(status.code(), Code::Unauthenticated);
        let exit = molt_proto::exit::Exit::from(&Failure::from(status));
        assert_eq!(exit.code(), 8);
    }
    let unknown = Connection { address: None, secure: false, certificate: None };
    assert!(shown(&unknown, &headers(None)).is_err(), "whose address is not known is not near");
}

#[test]
fn a_token_speaks_before_a_certificate_and_never_in_the_clear() {
    let own = certificate(&[(DnType::CommonName, "ann"), (DnType::OrganizationName, "viewer")]);
    let head = headers(Some("Bearer molt_x"));
    let token = Ok((Shown::Token(TokenHash::of("molt_x")), None));
    assert_eq!(shown(&connection(ELSEWHERE, true, Some(own.clone())), &head), token);
    assert_eq!(shown(&connection(HERE, false, None), &head), token);
    let clear = shown(&connection(ELSEWHERE, false, None), &head).unwrap_err();
    assert!(clear.to_string().starts_with("a token came without TLS"), "{clear}");
    let basic = shown(&connection(HERE, false, None), &headers(Some("Basic x"))).unwrap_err();
    assert!(basic.to_string().starts_with("the header authorization is no"), "{basic}");
    let Ok((Shown::Certificate(ann), Some(_))) =
        shown(&connection(ELSEWHERE, true, Some(own)), &headers(None))
    else {
        panic!("a certificate")
    };
    assert_eq!((ann.name.as_str(), ann.role, ann.token), ("ann", Role::Viewer, None));
}

#[test]
fn a_certificate_has_one_name_and_one_known_role() {
    use DnType::{CommonName, OrganizationName};
    let table: [(&[(DnType, &str)], &str); 4] = [
        (&[(OrganizationName, "host")], "has not one CN, which is the actor's name"),
        (&[(CommonName, "h1")], "has not one O, which is the actor's role"),
        (&[(CommonName, "h1"), (OrganizationName, "root")], "O of h1: `root` is no role"),
        (&[(CommonName, "h 1"), (OrganizationName, "host")], "CN: actor name `h 1` has ' '"),
    ];
    for (names, problem) in table {
        let refusal = certificate::read(&certificate(names)).unwrap_err();
        assert!(refusal.to_string().contains(problem), "{refusal}");
        assert_eq!(refusal.reason(), "UNAUTHENTICATED");
    }
    assert!(certificate::read(b"nonsense").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_does_not_outlive_its_certificate() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "ann");
    params.distinguished_name.push(DnType::OrganizationName, "agent");
    params.not_after = rcgen::date_time_ymd(1970, 1, 2);
    let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let connection = connection(ELSEWHERE, true, Some(der));
    let gate = Gate::default().by(Clock::Runtime { began: Instant::now() });
    let ask = || gate.admit_over(&connection, &headers(None));

    let day = Duration::from_secs(24 * 3600);
    assert_eq!(ask().unwrap().until, Some(86_401_000));
    tokio::time::advance(day).await;
    assert!(ask().is_ok(), "in its last second");
    tokio::time::advance(Duration::from_secs(1)).await;
    let refused = ask().unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let words = "the certificate of agent ann expired: show a client certificate";
    assert!(refused.message().starts_with(words), "{refused}");
    let own = headers(Some("Bearer molt_x"));
    assert!(gate.admit_over(&connection, &own).is_ok(), "a token goes by its own time");
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let gate = Gate::new(AuthOptions {
        rate: Rate { per_second: 0.5, burst: 1.0 },
        ..AuthOptions::default()
    });
    let mut call = tonic::Request::new(());
    call.metadata_mut().insert("authorization", "Bearer molt_x".parse().unwrap());
    let local =
        TcpConnectInfo { local_addr: None, remote_addr: Some("127.0.0.1:9".parse().unwrap()) };
    call.extensions_mut().insert(local);
    let first = gate.admit(&call).unwrap();
    let again = gate.clone().admit(&call).unwrap_err();
    assert_eq!(again.code(), Code::Unavailable);
    let Failure::Unavailable { retry_after: Some(wait), .. } = Failure::from(again) else {
        panic!("it says when to come back")
    };
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(2), "{wait:?}");
    assert!(gate.charge(&first).is_err(), "a stream is counted with the calls");
    call.metadata_mut().remove("authorization");
    for _ in 0..3 {
        assert!(gate.admit(&call).is_ok(), "this machine's own are not counted");
    }
}

#[test]
fn a_first_fleet_has_its_files_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("certs");
    let files = plan().make().unwrap();
    authority::write(&folder, &files).unwrap();
    let names = plan().names().unwrap();
    assert_eq!(names[..4], ["ca.pem", "ca.key", "server.pem", "server.key"]);
    assert_eq!(names[6], "host-h_1.pem");
    for name in &names {
        let mode = folder.join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name.ends_with(".key") { 0o600 } else { 0o644 }, "{name}");
    }
    let before = fs::read(folder.join("ca.key")).unwrap();
    let there = authority::write(&folder, &plan().make().unwrap()).unwrap_err();
    assert!(matches!(&there, AuthorityError::Write { path, .. } if path.ends_with("ca.pem")));
    assert!(matches!(authority::absent(&folder, &names), Err(AuthorityError::Exists(_))));
    assert_eq!(fs::read(folder.join("ca.key")).unwrap(), before);

    let client = fs::read(folder.join("agent-ann.pem")).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&client).unwrap();
    let ann = certificate::read(&pem.contents).unwrap().identity;
    assert_eq!((ann.name.as_str(), ann.role), ("ann", Role::Agent));

    let twice = Plan { clients: [plan().clients, plan().clients].concat(), ..plan() };
    assert!(matches!(twice.names(), Err(AuthorityError::Twice(name)) if name == "agent-ann"));
}

#[test]
fn files_that_are_no_identity_say_which_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    authority::write(folder.path(), &plan().make().unwrap()).unwrap();
    let old = tempfile::tempdir().unwrap();
    let over = Plan { life: Duration::ZERO, ..plan() };
    let mut over = over.make().unwrap();
    over.truncate(4);
    authority::write(old.path(), &over).unwrap();
    let ask = |cert: &str, key: &str, ca: Option<&str>| {
        let identity = Pair { cert: at(cert), key: at(key) };
        let files = TlsFiles { identity, client_ca: ca.map(at) };
        tls(&files)
            .map(drop)
            .map_err(|error| error.to_string().replace(&at("").display().to_string(), ""))
    };
    assert_eq!(ask("server.pem", "server.key", Some("ca.pem")), Ok(()));
    assert_eq!(
        ask("server.key", "server.key", None),
        Err("server.key: no certificate in PEM".to_owned())
    );
    assert_eq!(ask("server.pem", "ca.pem", None), Err("ca.pem: no private key in PEM".to_owned()));
    assert_eq!(ask("absent", "server.key", None), Err("cannot read absent".to_owned()));
    fs::copy(old.path().join("server.pem"), at("old.pem")).unwrap();
    // Its last second may not be over yet.
    let deadline = clock::boottime() + Duration::from_secs(5);
    let said = loop {
        match ask("old.pem", "server.key", None) {
            Ok(()) if clock::boottime() < deadline => std::thread::yield_now(),
            said => break said,
        }
    };
    let said = said.unwrap_err();
    assert!(
        said.starts_with("old.pem: the certificate of `CN=molt-coordinator` is good from"),
        "{said}"
    );
}
