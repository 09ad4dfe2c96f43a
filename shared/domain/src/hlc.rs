//! The hybrid logical clock (Kulkarni et al., *Logical Physical Clocks*, 2014): wall time where
//! clocks agree, a counter where they do not, and the device as the last tie-breaker.

use crate::{DeviceId, Millis};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// How far ahead of the local clock a remote timestamp may pull ours: one day. Beyond it the
/// remote is taken as wrong and is not followed.
pub const MAX_DRIFT_MS: Millis = 24 * 60 * 60 * 1000;
/// The largest wall time, and the largest counter, that a timestamp may have: what fits the digits of
/// its text, which must sort as the timestamp compares.
const MAX_WALL: Millis = 9_999_999_999_999_999;
const MAX_COUNTER: u32 = 99_999;

/// One point in causal order. As text `0001790000000000.00003.<device>`, which sorts as it compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc {
    /// The largest wall time seen, in milliseconds.
    pub wall: Millis,
    /// How many timestamps share that wall time before this one.
    pub counter: u32,
    /// Who made it.
    pub node: DeviceId,
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}.{:05}.{}", self.wall, self.counter, self.node)
    }
}

/// A text that is not a timestamp.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a timestamp of the form wall.counter.device")]
pub struct ParseHlcError(String);

impl FromStr for Hlc {
    type Err = ParseHlcError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.splitn(3, '.');
            let wall: Millis = parts.next()?.parse().ok().filter(|wall| (0..=MAX_WALL).contains(wall))?;
            let counter = parts.next()?.parse().ok().filter(|counter| *counter <= MAX_COUNTER)?;
            let node = parts.next()?.parse().ok()?;
            Some(Hlc { wall, counter, node })
        };
        parse().ok_or_else(|| ParseHlcError(text.chars().take(80).collect()))
    }
}

impl Serialize for Hlc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hlc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::read::parsed(deserializer)
    }
}

/// The state of one device's clock; kept in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    last: Hlc,
}

impl Clock {
    /// A clock that has seen nothing.
    pub fn new(node: DeviceId) -> Self {
        Clock { last: Hlc { wall: 0, counter: 0, node } }
    }

    /// A clock that goes on from the last timestamp it made or saw.
    pub fn resume(last: Hlc, node: DeviceId) -> Self {
        Clock { last: Hlc { node, ..last } }
    }

    /// The last timestamp made or seen.
    pub fn last(&self) -> Hlc {
        self.last
    }

    /// A timestamp above every one made or seen so far, whatever the wall clock says.
    pub fn tick(&mut self, now: Millis) -> Hlc {
        let now = now.clamp(0, MAX_WALL);
        self.last = if now > self.last.wall {
            Hlc { wall: now, counter: 0, ..self.last }
        } else {
            self.after(self.last.wall, self.last.counter)
        };
        self.last
    }

    /// Takes note of a timestamp from elsewhere. One that is further ahead than [`MAX_DRIFT_MS`]
    /// is not followed: a single clock that is a year off must not drag every other along.
    pub fn observe(&mut self, seen: Hlc, now: Millis) {
        if seen.wall <= now.saturating_add(MAX_DRIFT_MS)
            && (seen.wall, seen.counter) > (self.last.wall, self.last.counter)
        {
            self.last = Hlc { wall: seen.wall, counter: seen.counter, ..self.last };
        }
    }

    fn after(&self, wall: Millis, counter: u32) -> Hlc {
        if counter < MAX_COUNTER {
            Hlc { wall, counter: counter + 1, ..self.last }
        } else {
            Hlc { wall: wall.saturating_add(1), counter: 0, ..self.last }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u128) -> DeviceId {
        DeviceId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn ticks_rise_though_the_wall_clock_steps_back() {
        let mut clock = Clock::new(node(1));
        let first = clock.tick(1_000);
        let second = clock.tick(400);
        assert!(second > first);
        assert!(clock.tick(2_000) > second);
    }

    #[test]
    fn follows_a_peer_but_not_one_that_is_a_year_off() {
        let mut clock = Clock::new(node(1));
        clock.observe(Hlc { wall: 5_000, counter: 7, node: node(2) }, 1_000);
        assert_eq!(clock.tick(1_000), Hlc { wall: 5_000, counter: 8, node: node(1) });
        let year = 365 * MAX_DRIFT_MS;
        clock.observe(Hlc { wall: year, counter: 0, node: node(2) }, 1_000);
        assert!(clock.tick(1_000).wall < year);
    }

    #[test]
    fn text_sorts_as_it_compares_and_reads_back() {
        let a = Hlc { wall: 999, counter: 2, node: node(9) };
        let b = Hlc { wall: 10_000, counter: 1, node: node(1) };
        assert!(a < b && a.to_string() < b.to_string());
        assert_eq!(a.to_string().parse::<Hlc>().unwrap(), a);
        assert!("1.2".parse::<Hlc>().is_err());
    }
}
