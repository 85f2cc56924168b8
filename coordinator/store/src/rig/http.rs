//! One question to an HTTP server, as plain as it can be: etcd answers its health and status so.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A frozen server accepts and says nothing: that is no answer after this long.
const PATIENCE: Duration = Duration::from_millis(800);

/// A status and a body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Asks for `path` without a body.
pub(super) async fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    ask(address, &format!("GET {path} HTTP/1.0\r\n\r\n")).await
}

/// Sends `{}` to `path`.
pub(super) async fn post(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let head = "Content-Type: application/json\r\nContent-Length: 2";
    ask(address, &format!("POST {path} HTTP/1.0\r\n{head}\r\n\r\n{{}}")).await
}

/// HTTP/1.0, so that the answer ends where the connection does and needs no other framing.
async fn ask(address: SocketAddr, request: &str) -> io::Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer: io::Result<Vec<u8>> = tokio::time::timeout(PATIENCE, exchange).await?;
    parse(&answer?).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: answer[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_its_status_and_what_follows_the_head() {
        let answer = parse(b"HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n{\"x\":1}\r\n\r\n");
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.body.as_slice()), (503, &b"{\"x\":1}\r\n\r\n"[..]));
        assert!(parse(b"HTTP/1.0 200 OK\r\n").is_none(), "a head without an end");
        assert!(parse(b"nonsense\r\n\r\n").is_none());
    }
}
