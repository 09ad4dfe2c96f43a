//! The partitions of the history: one per month of scoring.
//!
//! They are made when the first score of a month arrives, by whichever server receives it. Only
//! months that an honest clock can give get one; the rest share the default partition, from which
//! rows are moved out when their month comes.

use super::{PostgresStore, database};
use crate::store::{Millis, Result};
use std::sync::PoisonError;
use time::{Date, Month as Name, OffsetDateTime};

/// The key of the advisory lock under which one server makes a partition: "months".
const LOCK: i64 = 0x6d6f_6e74_6873;

/// The first year with partitions: no assessment was made with this product before.
const FIRST_YEAR: i32 = 2020;

/// How far ahead of the server a clock may be, and its month still be made: two days.
const AHEAD_MS: Millis = 2 * 24 * 3600 * 1000;

/// A calendar month, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: i32,
    month: u8,
}

impl Month {
    /// The month of a time, if it may have a partition when the server's clock says `now`.
    pub fn of(at: Millis, now: Millis) -> Option<Month> {
        if at > now.saturating_add(AHEAD_MS) {
            return None;
        }
        let date = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).ok()?;
        let month = Month { year: date.year(), month: date.month().into() };
        (month.year >= FIRST_YEAR).then_some(month)
    }

    fn next(self) -> Month {
        if self.month == 12 {
            Month { year: self.year + 1, month: 1 }
        } else {
            Month { year: self.year, month: self.month + 1 }
        }
    }

    /// Its first millisecond.
    fn start(self) -> Option<Millis> {
        let date = Date::from_calendar_date(self.year, Name::try_from(self.month).ok()?, 1).ok()?;
        Some(date.midnight().assume_utc().unix_timestamp() * 1000)
    }

    fn table(self) -> String {
        format!("history_{:04}_{:02}", self.year, self.month)
    }
}

impl PostgresStore {
    /// Makes the partitions that these times of scoring need.
    pub(super) async fn ensure_months(
        &self,
        times: impl IntoIterator<Item = Millis>,
        now: Millis,
    ) -> Result<()> {
        let mut wanted: Vec<Month> = times.into_iter().filter_map(|at| Month::of(at, now)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|month| !self.known_months().contains(month));
        for month in wanted {
            self.make_month(month).await?;
            self.known_months().insert(month);
        }
        Ok(())
    }

    fn known_months(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeSet<Month>> {
        self.months.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_month(&self, month: Month) -> Result<()> {
        let doing = "make a partition of the history";
        let failed = |e| database(doing, e);
        let (Some(start), Some(end)) = (month.start(), month.next().start()) else { return Ok(()) };
        let table = month.table();
        let mut client = self.client().await?;
        let t = client.transaction().await.map_err(failed)?;
        t.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(failed)?;
        let there = t.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await.map_err(failed)?;
        if there.try_get(0).map_err(failed)? {
            return Ok(());
        }
        t.batch_execute(&format!(
            "LOCK TABLE history_other IN ACCESS EXCLUSIVE MODE; \
             CREATE TABLE {table} (LIKE history INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
             WITH moved AS (DELETE FROM history_other WHERE scored_ms >= {start} AND scored_ms < {end} RETURNING *) \
             INSERT INTO {table} SELECT * FROM moved; \
             ALTER TABLE history ATTACH PARTITION {table} FOR VALUES FROM ({start}) TO ({end});"
        ))
        .await
        .map_err(failed)?;
        t.commit().await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_months_of_honest_clocks_get_a_partition() {
        let now = 1_795_400_000_000; // 2026-11-23
        assert_eq!(Month::of(now, now), Some(Month { year: 2026, month: 11 }));
        assert_eq!(Month::of(now + AHEAD_MS + 1, now), None, "the future");
        assert_eq!(Month::of(0, now), None, "1970");
        assert_eq!(Month::of(Millis::MIN, now), None);
        assert_eq!(Month::of(Millis::MAX, now), None);
        let december = Month { year: 2026, month: 12 };
        assert_eq!(december.next(), Month { year: 2027, month: 1 });
        assert_eq!(december.start(), Some(1_796_083_200_000));
    }
}
