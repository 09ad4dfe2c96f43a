-- Version 7: clients whose data was erased. Their records stay as rows without a body.
CREATE TABLE erasures (
  client    uuid PRIMARY KEY,
  branch    uuid NOT NULL,
  erased_ms bigint NOT NULL,
  swept_ms  bigint,
  events    bigint NOT NULL DEFAULT 0,  -- that lost their text so far
  at_device uuid,                     -- up to here the events were gone through
  at_seq    bigint
);
CREATE INDEX erasures_unswept ON erasures(erased_ms) WHERE swept_ms IS NULL;
ALTER TABLE purges ADD COLUMN erased boolean NOT NULL DEFAULT false;  -- nobody has the record any more
