//! What one caller may ask for, as the configuration says.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use molt_proto::v1;

use super::{Ground, POLICY, raw};

const LIMITS: &str =
    "[limits]\nper_second = 1\nburst = 5\nmessage = '16KiB'\nconnections = 3\nstreams = 7\n";

#[test]
fn limits_are_those_of_the_configuration() {
    let ground = Ground::configured(POLICY, LIMITS);
    let said = ground.serving.output();
    let words = "limits   1 requests/s of a peer, 5 at once, 16384 bytes a message, 3 connections \
                 from an address, 7 calls over each\n";
    assert!(said.contains(words), "{said}");

    let credentials = ground.credentials(&ground.certificate("agent-ann"));
    let endpoint = credentials.endpoint(&format!("https://{}", ground.address));
    let large = raw::act(endpoint.as_ref().expect("an address"), vec![0; (16 << 10) + 1]);
    assert_eq!(large.message(), "message: larger than 16384 bytes, the limit");

    let refused = ground.ask(async |mut stub| {
        for _ in 0..100 {
            let what = Some(v1::query::What::Digest(v1::Empty {}));
            if let Err(status) = stub.read(v1::Query { what, ..v1::Query::default() }).await {
                return Some(status);
            }
        }
        None
    });
    let status = refused.expect("a hundred calls in a row are more than five");
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().contains("operator ops asks too often: come back in"), "{status}");

    let connect = || TcpStream::connect(&ground.address).expect("a connection");
    let mut connections: Vec<TcpStream> = (0..4).map(|_| connect()).collect();
    let last = connections.last_mut().expect("four");
    // Sooner than a handshake that does not come would end it.
    last.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    assert!(matches!(last.read(&mut [0]), Ok(0)), "the fourth is closed");
}
