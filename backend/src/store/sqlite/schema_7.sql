-- Version 7: clients whose data was erased. Their records stay as rows without a body.
CREATE TABLE erasures (
  client    BLOB PRIMARY KEY,
  branch    BLOB NOT NULL,
  erased_ms INTEGER NOT NULL,
  swept_ms  INTEGER,
  events    INTEGER NOT NULL DEFAULT 0,  -- that lost their text so far
  at_device BLOB,                     -- up to here the events were gone through
  at_seq    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX erasures_unswept ON erasures(erased_ms) WHERE swept_ms IS NULL;
ALTER TABLE purges ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;  -- nobody has the record any more
