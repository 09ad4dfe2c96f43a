-- Version 3: observed outcomes, and sums over scores and outcomes, kept up to date.
CREATE TABLE outcomes (
  assessment     uuid NOT NULL,
  horizon_months integer NOT NULL,
  scored_ms      bigint NOT NULL,
  defaulted      boolean NOT NULL,
  observed_ms    bigint NOT NULL,    -- the day's first millisecond
  reported_by    uuid NOT NULL,
  received_ms    bigint NOT NULL,
  PRIMARY KEY (assessment, horizon_months)
);

-- History entries that are not counted yet, or not as they are now. Whoever writes one adds a row
-- here, which nobody waits for; whoever counts takes them away, in one transaction with the sums.
CREATE TABLE uncounted (
  place     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id        uuid NOT NULL,
  scored_ms bigint NOT NULL,
  fresh     boolean NOT NULL         -- never counted before
);

-- Scores by day and bin of the model's reference distributions.
CREATE TABLE drift_counts (
  model_version bigint NOT NULL,
  day           bigint NOT NULL,     -- of scoring, days since 1970
  feature       text COLLATE "C" NOT NULL,  -- empty: the PD
  bin           integer NOT NULL,    -- -1: missing
  scores        bigint NOT NULL,
  PRIMARY KEY (model_version, day, feature, bin)
);

-- Decisions and outcomes by all that is asked about them. PDs and squared errors are sums in
-- units of 1e-9, so that taking away leaves nothing behind.
CREATE TABLE case_counts (
  model_version  bigint NOT NULL,
  horizon_months integer NOT NULL,   -- 0: counts decisions, whatever came of them
  month          bigint NOT NULL,    -- of scoring, months since the year 0
  branch         uuid NOT NULL,      -- nil: none
  risk_group     integer NOT NULL,   -- 0 for T1
  bin            integer NOT NULL,   -- of the PD's log-odds
  decision       text COLLATE "C" NOT NULL,  -- empty: none
  overridden     boolean NOT NULL,
  defaulted      boolean NOT NULL,
  scores         bigint NOT NULL,
  pd_sum         bigint NOT NULL,
  error_sum      bigint NOT NULL,
  PRIMARY KEY (model_version, horizon_months, month, branch, risk_group, bin, decision, overridden, defaulted)
);

-- What each history entry with a decision or an outcome adds to case_counts now.
CREATE TABLE counted_cases (
  id   uuid PRIMARY KEY,
  adds text NOT NULL                 -- JSON
);

INSERT INTO uncounted(id, scored_ms, fresh) SELECT id, scored_ms, true FROM history;

-- For those who copy the history as it arrives.
CREATE INDEX history_received ON history(received_ms, id);
