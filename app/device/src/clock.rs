//! The device's clocks, given from outside so that tests can set them wrong.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use vereda_domain::Millis;

type Tells = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Tells the device's time, and how long the machine has been running.
#[derive(Clone)]
pub struct WallClock {
    now: Tells,
    uptime: Tells,
}

/// One moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Milliseconds since 1970, as somebody may have set it.
    pub now: Millis,
    /// Milliseconds since the machine was started; nobody sets it.
    pub uptime: Millis,
}

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

    /// Another one for the time; the system's for how long it has been running.
    pub fn new(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        WallClock { now: Arc::new(now), uptime: Arc::new(uptime) }
    }

    /// The same time, with another clock for how long the machine has been running.
    pub fn with_uptime(self, uptime: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        WallClock { uptime: Arc::new(uptime), ..self }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> Millis {
        (self.now)()
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { now: self.now(), uptime: (self.uptime)() }
    }
}

/// Milliseconds since the machine was started, sleep included.
#[cfg(unix)]
fn uptime() -> Millis {
    use rustix::time::{ClockId, clock_gettime};
    // On Apple's systems the monotonic clock goes on in sleep.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let time = clock_gettime(ClockId::Boottime);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let time = clock_gettime(ClockId::Monotonic);
    // The fields' widths differ between systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let ms = (time.tv_sec as Millis).saturating_mul(1000) + time.tv_nsec as Millis / 1_000_000;
    ms
}

/// Milliseconds since this was first asked: a restart of the app then counts as one of the machine,
/// which makes waits longer, never shorter.
#[cfg(not(unix))]
fn uptime() -> Millis {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    Millis::try_from(START.elapsed().as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_clock_goes_on_whatever_the_time_is_set_to() {
        let clock = WallClock::new(|| 0);
        let before = clock.moment().uptime;
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < 5 {
            std::hint::spin_loop();
        }
        let passed = clock.moment().uptime - before;
        assert!(before > 0 && passed >= 4, "{before} {passed}");
        assert_eq!(clock.now(), 0);
    }
}
