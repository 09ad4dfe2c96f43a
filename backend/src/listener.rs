//! Connections to the API, so many at a time: those beyond it wait in the system's queue, without costing
//! the server a file or memory, until one of the others ends.

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The other end of a connection that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl Address for Peer {
    type Stream = Counted;
    type Listener = Counting;
}

impl Connected<Peer> for Peer {
    fn connect_info(peer: Peer) -> Peer {
        peer
    }
}

/// Takes connections while there is room.
#[derive(Debug)]
pub struct Counting {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Counting {
    /// Of a listener that is bound.
    ///
    /// # Errors
    /// When the system does not let it be asked without blocking.
    pub fn new(listener: std::net::TcpListener, room: Arc<Semaphore>) -> io::Result<Counting> {
        listener.set_nonblocking(true)?;
        Ok(Counting { listener: TcpListener::from_std(listener)?, room })
    }
}

impl AddrListener<Counted, Peer> for Counting {
    async fn bind_to(peer: Peer) -> io::Result<Self> {
        let room = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Ok(Counting { listener: TcpListener::bind(peer.0).await?, room })
    }

    async fn accept_stream(&self) -> io::Result<(Counted, Peer)> {
        let permit = self.room.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = self.listener.accept().await?;
        Ok((Counted { stream, _permit: permit }, Peer(address)))
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        self.listener.local_addr().map(Peer)
    }
}

/// A connection that makes room when it ends.
#[derive(Debug)]
pub struct Counted {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl Counted {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
