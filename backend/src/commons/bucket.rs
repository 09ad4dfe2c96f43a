//! Allowances that fill up again: the generic cell rate algorithm (ITU-T I.371), in whole microseconds.
//!
//! All that is kept of one is the moment at which it will be full again; before it, so many microseconds
//! are owed. A unit costs one gap, and no more may be owed than all units together.

use std::time::Duration;

/// An allowance of so many units, which is whole again a window after it was used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose it is.
    pub key: String,
    /// How many units there are when nothing is owed; at least 1.
    pub quota: u32,
    /// How long until they are all there again.
    pub window: Duration,
}

/// What came of asking for a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Whether it was there.
    pub taken: bool,
    /// How long until the allowance is whole, in microseconds.
    pub owed_us: u64,
}

impl Bucket {
    /// What one unit costs, in microseconds.
    pub fn gap_us(&self) -> u64 {
        let window = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX);
        (window / u64::from(self.quota.max(1))).max(1)
    }

    /// What may be owed at most, in microseconds.
    pub fn room_us(&self) -> u64 {
        self.gap_us().saturating_mul(u64::from(self.quota))
    }

    /// Asks for a unit when so much is owed.
    pub(super) fn spend(&self, owed_us: u64) -> Spent {
        // More than that is owed only when a clock was set back, or the quota was made smaller.
        let owed_us = owed_us.min(self.room_us());
        let after = owed_us + self.gap_us();
        if after > self.room_us() {
            Spent { taken: false, owed_us }
        } else {
            Spent { taken: true, owed_us: after }
        }
    }

    /// How many units are left.
    pub fn left(&self, spent: Spent) -> u32 {
        let used = spent.owed_us.div_ceil(self.gap_us());
        self.quota.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// How long until there is a unit again.
    pub fn wait(&self, spent: Spent) -> Duration {
        Duration::from_micros((spent.owed_us + self.gap_us()).saturating_sub(self.room_us()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_fills_evenly() {
        for (quota, seconds) in [(1, 60), (3, 60), (7, 60), (12_000, 60), (600_000, 60), (1_000_000, 1)] {
            let bucket = Bucket { key: String::new(), quota, window: Duration::from_secs(seconds) };
            let mut owed = 0;
            for left in (0..quota).rev() {
                let spent = bucket.spend(owed);
                assert!(spent.taken, "{quota} in {seconds} s, {left} left");
                assert_eq!((bucket.left(spent), bucket.wait(spent).is_zero()), (left, left > 0));
                owed = spent.owed_us;
            }
            assert!(owed <= seconds * 1_000_000);
            let refused = bucket.spend(owed);
            assert_eq!(refused, Spent { taken: false, owed_us: owed });
            let wait = bucket.wait(refused);
            assert_eq!(wait.as_micros(), u128::from(bucket.gap_us()));
            // A moment too early, and on time.
            let wait = u64::try_from(wait.as_micros()).unwrap();
            assert!(!bucket.spend(owed - (wait - 1)).taken);
            assert!(bucket.spend(owed - wait).taken);
            assert!(bucket.spend(u64::MAX).owed_us <= bucket.room_us());
        }
    }
}
