//! How many connections one address has, and no more.
//!
//! A connection beyond the limit is closed before anything is read of it, so
//! that strangers cannot use up the files and the memory that the fleet needs.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::warn;

/// Whose connections are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Nobody's: all callers are of this machine.
    Nobody,
    /// Everybody's, up to so many from one address.
    UpTo(u32),
}

/// The connections that `incoming` brings, without those beyond the limit.
pub(crate) fn limited<S>(incoming: S, counted: Counted) -> Limited<S> {
    Limited { incoming, counted, places: Places::default() }
}

/// A stream of connections of which no address has too many.
#[derive(Debug)]
pub(crate) struct Limited<S> {
    incoming: S,
    counted: Counted,
    places: Places,
}

impl<S> Stream for Limited<S>
where
    S: Stream<Item = io::Result<TcpStream>> + Unpin,
{
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let stream = match ready!(Pin::new(&mut self.incoming).poll_next(context)) {
                Some(Ok(stream)) => stream,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            let Counted::UpTo(most) = self.counted else {
                return Poll::Ready(Some(Ok(Connection { stream, _place: None })));
            };
            // A peer that has gone already has no address, and no use for a connection.
            let Ok(peer) = stream.peer_addr() else { continue };
            if let Some(place) = self.places.take(peer.ip().to_canonical(), most) {
                return Poll::Ready(Some(Ok(Connection { stream, _place: Some(place) })));
            }
        }
    }
}

/// A connection, counted for as long as it is there.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    _place: Option<Place>,
}

/// How many connections each address has that has one.
#[derive(Debug, Default, Clone)]
struct Places {
    taken: Arc<Mutex<HashMap<IpAddr, Taken>>>,
}

#[derive(Debug, Default)]
struct Taken {
    count: u32,
    /// Whether the log says already that it asks for too many.
    told: bool,
}

/// A connection's place among those of its address.
#[derive(Debug)]
struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Taken>> {
        // Each step below is one change of a number, so a panic leaves it whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, address: IpAddr, most: u32) -> Option<Place> {
        let mut places = self.lock();
        let taken = places.entry(address).or_default();
        if taken.count >= most {
            if !taken.told {
                taken.told = true;
                warn!(phase = "auth", %address, most, "more connections than the limit: closed");
            }
            return None;
        }
        taken.count += 1;
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        if let Some(taken) = places.get_mut(&self.address) {
            taken.count -= 1;
            taken.told = false;
            if taken.count == 0 {
                places.remove(&self.address);
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use tokio_stream::StreamExt as _;
    use tokio_stream::wrappers::TcpListenerStream;

    use super::*;

    /// Whether the other side has closed, which it says by the end of the stream.
    async fn is_closed(stream: &mut TcpStream) -> bool {
        matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
    }

    #[tokio::test]
    async fn an_address_has_so_many_connections_and_gets_another_when_one_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = limited(TcpListenerStream::new(listener), Counted::UpTo(2));
        let connect = || TcpStream::connect(address);
        let _callers = [connect().await.unwrap(), connect().await.unwrap()];
        let first = incoming.next().await.unwrap().unwrap();
        let _second = incoming.next().await.unwrap().unwrap();
        let mut third = connect().await.unwrap();
        tokio::select! {
            biased;
            _ = incoming.next() => panic!("a third one"),
            closed = is_closed(&mut third) => assert!(closed, "it hears nothing at all"),
        }
        drop(first);
        let _fourth = connect().await.unwrap();
        assert!(incoming.next().await.unwrap().is_ok(), "there is a place again");
        assert_eq!(incoming.places.lock()[&address.ip()].count, 1, "the last one was not kept");
    }

    #[tokio::test]
    async fn where_nobody_is_counted_there_is_no_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = limited(TcpListenerStream::new(listener), Counted::Nobody);
        for _ in 0..20 {
            let _caller = TcpStream::connect(address).await.unwrap();
            let connection = incoming.next().await.unwrap().unwrap();
            assert_eq!(connection.connect_info().local_addr(), Some(address));
        }
        assert!(incoming.places.lock().is_empty());
    }
}
