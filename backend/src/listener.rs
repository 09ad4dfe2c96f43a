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

/// Files that the server opens besides connections to the API: its own, those of a database, metrics.
const OTHER_FILES: usize = 128;

/// How many connections to take of so many that are wanted: where the system lets the process open fewer
/// files, some are left for the database and for metrics.
pub fn within_files(wanted: usize) -> usize {
    // Only Linux says it here; elsewhere the configuration has to be right.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let Some(files) = open_files(&limits) else { return wanted };
    let most = files.saturating_sub(OTHER_FILES).max(1);
    if wanted > most {
        tracing::warn!(
            wanted,
            taken = most,
            files,
            "`limits.connections` is more than the process may open (LimitNOFILE)"
        );
    }
    wanted.min(most)
}

/// The soft limit in the text of `/proc/self/limits`; none when there is no limit.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

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
        // Only this loop takes room: what there is now is still there when somebody comes.
        drop(self.room.acquire().await.map_err(io::Error::other)?);
        let (stream, address) = self.listener.accept().await?;
        let permit = self.room.clone().acquire_owned().await.map_err(io::Error::other)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_limit_is_read() {
        let text = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max processes             127374               127374               processes\n\
                     Max open files            {soft}                 524288               files\n"
            )
        };
        assert_eq!(open_files(&text("1024")), Some(1024));
        assert_eq!(open_files(&text("unlimited")), None);
        assert_eq!(open_files(""), None);
        // Here and now: never more than wanted, and never none.
        assert_eq!(within_files(1), 1);
        assert!((1..=usize::MAX).contains(&within_files(usize::MAX)));
    }
}
