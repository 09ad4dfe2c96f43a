-- Version 3: observed outcomes, and sums over scores and outcomes, kept up to date.
CREATE TABLE outcomes (
  assessment     BLOB NOT NULL,
  horizon_months INTEGER NOT NULL,
  scored_ms      INTEGER NOT NULL,
  defaulted      INTEGER NOT NULL,
  observed_ms    INTEGER NOT NULL,   -- the day's first millisecond
  reported_by    BLOB NOT NULL,
  received_ms    INTEGER NOT NULL,
  PRIMARY KEY (assessment, horizon_months)
) STRICT, WITHOUT ROWID;

-- History entries that are not counted yet, or not as they are now. Whoever writes one adds a row
-- here; whoever counts takes them away, in one transaction with the sums.
CREATE TABLE uncounted (
  place     INTEGER PRIMARY KEY,
  id        BLOB NOT NULL,
  scored_ms INTEGER NOT NULL,
  fresh     INTEGER NOT NULL         -- never counted before
) STRICT;

-- Scores by day and bin of the model's reference distributions.
CREATE TABLE drift_counts (
  model_version INTEGER NOT NULL,
  day           INTEGER NOT NULL,    -- of scoring, days since 1970
  feature       TEXT NOT NULL,       -- empty: the PD
  bin           INTEGER NOT NULL,    -- -1: missing
  scores        INTEGER NOT NULL,
  PRIMARY KEY (model_version, day, feature, bin)
) STRICT, WITHOUT ROWID;

-- Decisions and outcomes by all that is asked about them. PDs and squared errors are sums in
-- units of 1e-9, so that taking away leaves nothing behind.
CREATE TABLE case_counts (
  model_version  INTEGER NOT NULL,
  horizon_months INTEGER NOT NULL,   -- 0: counts decisions, whatever came of them
  month          INTEGER NOT NULL,   -- of scoring, months since the year 0
  branch         BLOB NOT NULL,      -- nil: none
  risk_group     INTEGER NOT NULL,   -- 0 for T1
  bin            INTEGER NOT NULL,   -- of the PD's log-odds
  decision       TEXT NOT NULL,      -- empty: none
  overridden     INTEGER NOT NULL,
  defaulted      INTEGER NOT NULL,
  scores         INTEGER NOT NULL,
  pd_sum         INTEGER NOT NULL,
  error_sum      INTEGER NOT NULL,
  PRIMARY KEY (model_version, horizon_months, month, branch, risk_group, bin, decision, overridden, defaulted)
) STRICT, WITHOUT ROWID;

-- What each history entry with a decision or an outcome adds to case_counts now.
CREATE TABLE counted_cases (
  id   BLOB PRIMARY KEY,
  adds TEXT NOT NULL                 -- JSON
) STRICT, WITHOUT ROWID;

INSERT INTO uncounted(id, scored_ms, fresh) SELECT id, scored_ms, 1 FROM history;

-- For those who copy the history as it arrives.
CREATE INDEX history_received ON history(received_ms, id);
