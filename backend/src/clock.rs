//! The server's clock, and times as text.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use vereda_domain::Millis;

/// Milliseconds since 1970, UTC. Every time that the server tells or compares is this one.
pub fn now_ms() -> Millis {
    #[cfg(any(debug_assertions, feature = "simulation"))]
    if let Some(now) = simulated::now() {
        return now;
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// A clock that a simulation sets. Optimised builds have it only with the feature `simulation`, which no
/// server has.
#[doc(hidden)]
#[cfg(any(debug_assertions, feature = "simulation"))]
pub mod simulated {
    use std::cell::RefCell;
    use std::sync::Arc;
    use vereda_domain::Millis;

    /// Tells the time.
    pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

    thread_local! {
        static CLOCK: RefCell<Option<Clock>> = const { RefCell::new(None) };
    }

    /// What runs on this thread has this clock from now on: a simulated world has threads of its own, so
    /// that several may go on in one process.
    pub fn set(clock: Clock) {
        CLOCK.with_borrow_mut(|set| *set = Some(clock));
    }

    pub(super) fn now() -> Option<Millis> {
        CLOCK.with_borrow(|clock| clock.as_ref().map(|clock| clock()))
    }
}

/// RFC 3339, UTC, milliseconds. Times beyond the years 0 to 9999 are given as the nearest of those.
pub fn rfc3339(ms: Millis) -> String {
    let nearest = ms.clamp(-62_167_219_200_000, 253_402_300_799_999);
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nearest) * 1_000_000)
        .ok()
        .and_then(|at| at.format(format).ok())
        .unwrap_or_default()
}

/// A time as somebody wrote it: RFC 3339, or milliseconds since 1970.
pub fn parse_time(text: &str) -> Option<Millis> {
    if let Ok(ms) = text.parse::<Millis>() {
        return Some(ms);
    }
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
    Millis::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_and_read_back() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_790_000_000_123), "2026-09-21T14:13:20.123Z");
        assert_eq!(parse_time("2026-09-21T14:13:20.123Z"), Some(1_790_000_000_123));
        assert_eq!(parse_time("2026-09-21T09:13:20.123-05:00"), Some(1_790_000_000_123));
        assert_eq!(parse_time("1790000000123"), Some(1_790_000_000_123));
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(rfc3339(Millis::MAX), "9999-12-31T23:59:59.999Z");
    }
}
