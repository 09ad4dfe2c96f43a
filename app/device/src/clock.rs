//! The device's clock, given from outside so that tests can set it wrong.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use vereda_domain::Millis;

/// Tells the device's time.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl std::fmt::Debug for WallClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WallClock({})", self.now())
    }
}

impl WallClock {
    /// The system's.
    pub fn system() -> Self {
        WallClock::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
        })
    }

    /// Another one.
    pub fn new(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        WallClock(Arc::new(now))
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> Millis {
        (self.0)()
    }
}
