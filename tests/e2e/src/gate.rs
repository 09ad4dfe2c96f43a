//! A way to the server that can be closed for some of what is asked.

use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes requests on, but holds those back that name something, after the first few of them.
pub struct Gate {
    url: String,
    open: watch::Sender<bool>,
    held: watch::Receiver<u32>,
    task: tokio::task::JoinHandle<()>,
}

impl Gate {
    /// Before this server, for requests in whose head `named` stands, once `free` of them have passed.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn before(server: &str, named: &'static str, free: u32) -> anyhow::Result<Gate> {
        let server = server.strip_prefix("http://").context("a server without TLS")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (open, opened) = watch::channel(false);
        let (hold, held) = watch::channel(0);
        let way = Arc::new(Way { named, free: AtomicU32::new(free), opened, hold });
        let task = tokio::spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                let (way, server) = (way.clone(), server.clone());
                tokio::spawn(async move {
                    // Either side may go away; the other then sees it.
                    let _ = way.pass(device, &server).await;
                });
            }
        });
        Ok(Gate { url, open, held, task })
    }

    /// What a device takes for the server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until a request is held back.
    ///
    /// # Errors
    /// When none comes.
    pub async fn holds(&mut self) -> anyhow::Result<()> {
        let wait = self.held.wait_for(|held| *held > 0);
        tokio::time::timeout(crate::LIMIT, wait).await.context("no request was held back")??;
        Ok(())
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Way {
    named: &'static str,
    free: AtomicU32,
    opened: watch::Receiver<bool>,
    hold: watch::Sender<u32>,
}

impl Way {
    async fn pass(&self, mut device: TcpStream, server: &str) -> std::io::Result<()> {
        let mut server = TcpStream::connect(server).await?;
        let (mut from_device, mut to_device) = device.split();
        let (mut from_server, mut to_server) = server.split();
        let asks = async {
            let mut bytes = vec![0; 64 * 1024];
            loop {
                // A request without a body comes in one piece on the loopback.
                let n = from_device.read(&mut bytes).await?;
                if n == 0 {
                    return to_server.shutdown().await;
                }
                let piece = bytes.get(..n).unwrap_or_default();
                if piece.windows(self.named.len()).any(|window| window == self.named.as_bytes()) {
                    self.wait().await;
                }
                to_server.write_all(piece).await?;
            }
        };
        tokio::select! {
            asked = asks => asked,
            answered = copy(&mut from_server, &mut to_device) => answered.map(|_| ()),
        }
    }

    async fn wait(&self) {
        let take = |free: u32| free.checked_sub(1);
        if self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            return;
        }
        self.hold.send_modify(|held| *held += 1);
        // Whoever closes the gate for good has gone.
        let _ = self.opened.clone().wait_for(|open| *open).await;
        self.hold.send_modify(|held| *held -= 1);
    }
}
