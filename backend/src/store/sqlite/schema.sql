-- Version 1. Times are milliseconds since 1970, UTC. Ids are 16 bytes, hashes 32.
CREATE TABLE branches (
  id    BLOB PRIMARY KEY,
  name  TEXT NOT NULL UNIQUE,
  seq   INTEGER NOT NULL DEFAULT 0  -- the last place given out in the branch's order of changes
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  id            BLOB PRIMARY KEY,
  username      TEXT NOT NULL,
  username_key  TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL,
  role          TEXT NOT NULL,
  branch        BLOB REFERENCES branches(id),
  password_hash TEXT NOT NULL,
  disabled_ms   INTEGER,
  created_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_branch ON users(branch);

CREATE TABLE devices (
  id          BLOB PRIMARY KEY,
  user        BLOB NOT NULL REFERENCES users(id),
  name        TEXT NOT NULL,
  platform    TEXT NOT NULL,
  enrolled_ms INTEGER NOT NULL,
  seen_ms     INTEGER NOT NULL,
  drift_ms    INTEGER,              -- the device's clock minus ours at its last push
  head_seq    INTEGER NOT NULL DEFAULT 0,
  head_hash   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE families (
  id         BLOB PRIMARY KEY,
  user       BLOB NOT NULL REFERENCES users(id),
  device     BLOB REFERENCES devices(id),
  opened_ms  INTEGER NOT NULL,
  revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX families_user ON families(user);

CREATE TABLE refresh_tokens (
  hash       BLOB PRIMARY KEY,      -- SHA-256; the token itself is never stored
  family     BLOB NOT NULL REFERENCES families(id),
  issued_ms  INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms    INTEGER,
  successor  BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
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
  PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_waiting ON events(waits_id) WHERE waits_id IS NOT NULL;
CREATE INDEX events_quarantined ON events(branch) WHERE quarantined = 1;

CREATE TABLE records (
  kind   TEXT NOT NULL,
  id     BLOB NOT NULL,
  branch BLOB NOT NULL,
  seq    INTEGER NOT NULL,          -- the place of its last change in the branch's order
  owner  BLOB NOT NULL,
  client BLOB NOT NULL,
  body   TEXT NOT NULL,             -- JSON
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_branch ON records(branch, seq);
CREATE INDEX records_owner ON records(branch, owner, seq);
CREATE INDEX records_client ON records(client);

-- Records that left somebody's portfolio.
CREATE TABLE purges (
  user   BLOB NOT NULL,
  kind   TEXT NOT NULL,
  id     BLOB NOT NULL,
  branch BLOB NOT NULL,
  seq    INTEGER NOT NULL,
  PRIMARY KEY (user, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX purges_user ON purges(user, branch, seq);

CREATE TABLE models (
  version      INTEGER PRIMARY KEY,
  id           TEXT NOT NULL,
  sha256       TEXT NOT NULL,
  bytes        BLOB NOT NULL,
  published_ms INTEGER NOT NULL,
  published_by TEXT NOT NULL
) STRICT;

CREATE TABLE history (
  id            BLOB PRIMARY KEY,
  scored_ms     INTEGER NOT NULL,
  received_ms   INTEGER NOT NULL,
  client        BLOB,
  client_ref    TEXT,
  officer       BLOB NOT NULL,
  branch        BLOB,
  risk_group    TEXT NOT NULL,
  model_version INTEGER NOT NULL,
  body          TEXT NOT NULL       -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX history_time ON history(scored_ms DESC, id DESC);
CREATE INDEX history_branch ON history(branch, scored_ms DESC, id DESC);
CREATE INDEX history_officer ON history(officer, scored_ms DESC, id DESC);
CREATE INDEX history_client ON history(client, scored_ms DESC, id DESC);
CREATE INDEX history_client_ref ON history(client_ref, scored_ms DESC, id DESC) WHERE client_ref IS NOT NULL;
