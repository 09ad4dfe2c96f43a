//! The time of a simulated world: the machine's, and what passed on slow links besides.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use vereda_domain::Millis;

/// One for everybody in a world; the clocks of devices and of the server are set away from it.
#[derive(Debug, Clone, Default)]
pub struct Time {
    passed: Arc<AtomicI64>,
    server: Arc<AtomicI64>,
}

impl Time {
    /// The true time.
    pub fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let machine = Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX);
        machine.saturating_add(self.passed.load(Ordering::SeqCst))
    }

    /// Lets so many milliseconds pass.
    pub fn pass(&self, ms: Millis) {
        self.passed.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the server's clock so far from the true time.
    pub fn set_server(&self, offset: Millis) {
        self.server.store(offset, Ordering::SeqCst);
    }

    /// What the server's clock shows.
    pub fn server_now(&self) -> Millis {
        self.now().saturating_add(self.server.load(Ordering::SeqCst))
    }
}
