-- Version 12: where the sequence of a branch leapt when a server started. No change of this history has a place strictly
-- between the two: whoever names one has it from a server that was set back to a backup since.
CREATE TABLE leaps (
  branch   BLOB NOT NULL REFERENCES branches(id),
  from_seq INTEGER NOT NULL,  -- the last place that was given out
  to_seq   INTEGER NOT NULL,  -- where the sequence stands instead
  PRIMARY KEY (branch, from_seq)
) STRICT, WITHOUT ROWID;
