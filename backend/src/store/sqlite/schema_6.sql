-- Version 6: long rows have rowids. In a table by key alone, what is over a quarter of a page takes pages of its own, and
-- each step of a search for a key reads them. A start after the update takes some seconds for each GB.
CREATE TABLE events_6 (
  device      BLOB NOT NULL REFERENCES devices(id),
  seq         INTEGER NOT NULL,
  hash        BLOB NOT NULL,
  text        TEXT NOT NULL,        -- exactly as received
  branch      BLOB NOT NULL,
  received_ms INTEGER NOT NULL,
  rank        TEXT NOT NULL,
  outcome     TEXT NOT NULL,        -- JSON
  quarantined INTEGER NOT NULL,
  key_kind    TEXT,
  key_id      BLOB,
  waits_kind  TEXT,
  waits_id    BLOB,
  drift_ms    INTEGER,
  PRIMARY KEY (device, seq)
) STRICT;
INSERT INTO events_6 SELECT device, seq, hash, text, branch, received_ms, rank, outcome, quarantined, key_kind, key_id,
  waits_kind, waits_id, drift_ms FROM events ORDER BY device, seq;
DROP TABLE events;
ALTER TABLE events_6 RENAME TO events;
CREATE INDEX events_waiting ON events(waits_id) WHERE waits_id IS NOT NULL;
CREATE INDEX events_quarantined ON events(branch) WHERE quarantined = 1;

CREATE TABLE records_6 (
  kind   TEXT NOT NULL,
  id     BLOB NOT NULL,
  branch BLOB NOT NULL,
  seq    INTEGER NOT NULL,
  owner  BLOB NOT NULL,
  client BLOB NOT NULL,
  body   TEXT NOT NULL,             -- JSON
  PRIMARY KEY (kind, id)
) STRICT;
-- In the order in which they are pulled.
INSERT INTO records_6 SELECT kind, id, branch, seq, owner, client, body FROM records ORDER BY branch, seq;
DROP TABLE records;
ALTER TABLE records_6 RENAME TO records;
CREATE INDEX records_branch ON records(branch, seq);
CREATE INDEX records_owner ON records(branch, owner, seq);
CREATE INDEX records_client ON records(client);

CREATE TABLE history_6 (
  id            BLOB NOT NULL PRIMARY KEY,
  scored_ms     INTEGER NOT NULL,
  received_ms   INTEGER NOT NULL,
  client        BLOB,
  client_ref    TEXT,
  officer       BLOB NOT NULL,
  branch        BLOB,
  risk_group    TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  body          TEXT NOT NULL       -- JSON
) STRICT;
INSERT INTO history_6 SELECT id, scored_ms, received_ms, client, client_ref, officer, branch, risk_group, model_version,
  body FROM history ORDER BY received_ms, id;
DROP TABLE history;
ALTER TABLE history_6 RENAME TO history;
CREATE INDEX history_time ON history(scored_ms DESC, id DESC);
CREATE INDEX history_branch ON history(branch, scored_ms DESC, id DESC);
CREATE INDEX history_officer ON history(officer, scored_ms DESC, id DESC);
CREATE INDEX history_client ON history(client, scored_ms DESC, id DESC);
CREATE INDEX history_client_ref ON history(client_ref, scored_ms DESC, id DESC) WHERE client_ref IS NOT NULL;
CREATE INDEX history_received ON history(received_ms, id);
