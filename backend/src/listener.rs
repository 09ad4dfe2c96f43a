//! Connections to the API, so many at a time: those beyond it wait in the system's queue, without costing
//! the server a file or memory, until one of the others ends.

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

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

/// Takes connections while there is room, until it is closed.
#[derive(Debug)]
pub struct Counting {
    address: SocketAddr,
    listener: Mutex<Option<Arc<TcpListener>>>,
    room: Arc<Semaphore>,
    door: Door,
}

/// For how long handshakes that have begun may end after the server was told to stop.
const HANDSHAKES: Duration = Duration::from_millis(100);

/// For how long a connection that was taken may bring its first bytes when the server stops.
const FIRST_BYTES: Duration = Duration::from_millis(500);

/// Closes a listener and lets in who was at the door. To the other end a connection is there as soon as the system
/// made it: one that is then dropped, taken or not, loses a request that nobody refused.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<Doorway>);

#[derive(Debug, Default)]
struct Doorway {
    /// Since when it closes.
    closing: OnceLock<Instant>,
    close: Notify,
    closed: Notify,
    /// Connections that have brought nothing yet.
    silent: AtomicUsize,
    spoke: Notify,
}

impl Door {
    /// Returns when nobody new comes in, and everybody who did has said something or had time to.
    pub async fn close(&self) {
        let Doorway { closing, close, closed, silent, spoke } = self.0.as_ref();
        closing.get_or_init(Instant::now);
        close.notify_one();
        // It ends by itself unless the listener failed and nobody takes connections any more.
        let _ = tokio::time::timeout(2 * HANDSHAKES, closed.notified()).await;
        let emptied = async {
            loop {
                let said = spoke.notified();
                if silent.load(Ordering::Acquire) == 0 {
                    return;
                }
                said.await;
            }
        };
        let _ = tokio::time::timeout(FIRST_BYTES, emptied).await;
    }
}

impl Doorway {
    /// Returns when the listener may close without anybody at it: what comes from now on is turned away, and
    /// what had come has had time to be taken.
    async fn empty(&self, listener: &TcpListener) {
        let since = loop {
            match self.closing.get() {
                Some(since) => break *since,
                None => self.close.notified().await,
            }
        };
        turn_away(listener);
        tokio::time::sleep_until(since + HANDSHAKES).await;
    }
}

/// Has the system drop packets that ask for a new connection, and no others. Who sent one asks again a second later, as
/// after any loss, and then learns that nobody listens. Without it, a connection that is made in the moment between
/// the last look and the close is reset.
#[cfg(target_os = "linux")]
fn turn_away(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};
    // Classic BPF (linux/bpf_common.h) over the TCP header: byte 13 holds its flags, and SYN is 2 (RFC 9293, 3.1).
    const LOAD_BYTE_AT: u16 = 0x30;
    const JUMP_IF_ANY_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let filter = [
        SockFilter::new(LOAD_BYTE_AT, 0, 0, 13),
        SockFilter::new(JUMP_IF_ANY_SET, 0, 1, 2),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(%error, "new connections cannot be turned away before the listener closes");
    }
}

/// Only Linux lets a listener do this.
#[cfg(not(target_os = "linux"))]
fn turn_away(_: &TcpListener) {}

/// One that has brought nothing yet.
#[derive(Debug)]
struct Silent(Arc<Doorway>);

impl Silent {
    fn new(doorway: Arc<Doorway>) -> Silent {
        doorway.silent.fetch_add(1, Ordering::AcqRel);
        Silent(doorway)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.0.silent.fetch_sub(1, Ordering::AcqRel);
        self.0.spoke.notify_one();
    }
}

impl Counting {
    /// Of a listener that is bound.
    ///
    /// # Errors
    /// When the system does not let it be asked without blocking.
    pub fn new(listener: std::net::TcpListener, room: Arc<Semaphore>) -> io::Result<Counting> {
        listener.set_nonblocking(true)?;
        Counting::over(TcpListener::from_std(listener)?, room)
    }

    fn over(listener: TcpListener, room: Arc<Semaphore>) -> io::Result<Counting> {
        let address = listener.local_addr()?;
        Ok(Counting { address, listener: Mutex::new(Some(Arc::new(listener))), room, door: Door::default() })
    }

    /// Closes it.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    fn open(&self) -> Option<Arc<TcpListener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next connection, once there is room for it.
    async fn next(&self, listener: &TcpListener) -> io::Result<(Counted, Peer)> {
        drop(self.room.acquire().await.map_err(io::Error::other)?);
        let (stream, address) = listener.accept().await?;
        // Only this loop takes room: what there was is still there.
        let permit = self.room.clone().try_acquire_owned().map_err(io::Error::other)?;
        let silent = Some(Silent::new(self.door.0.clone()));
        Ok((Counted { stream, silent, _permit: permit }, Peer(address)))
    }
}

impl AddrListener<Counted, Peer> for Counting {
    async fn bind_to(peer: Peer) -> io::Result<Self> {
        let room = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Counting::over(TcpListener::bind(peer.0).await?, room)
    }

    async fn accept_stream(&self) -> io::Result<(Counted, Peer)> {
        let doorway = &self.door.0;
        let Some(listener) = self.open() else { return std::future::pending().await };
        tokio::select! {
            // Those first who are there already.
            biased;
            taken = self.next(&listener) => taken,
            () = doorway.empty(&listener) => {
                self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
                drop(listener);
                doorway.closed.notify_one();
                std::future::pending().await
            }
        }
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        Ok(Peer(self.address))
    }
}

/// A connection that makes room when it ends.
#[derive(Debug)]
pub struct Counted {
    stream: TcpStream,
    silent: Option<Silent>,
    _permit: OwnedSemaphorePermit,
}

impl Counted {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.as_mut().inner().poll_read(cx, buf);
        if read.is_ready() {
            self.silent = None;
        }
        read
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
