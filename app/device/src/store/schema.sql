-- Schema 1. Times are milliseconds since 1970, ids are UUIDs as text, documents are JSON.

-- One value each: who, where, the session, the clock, the cursor, the last receipt.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- This device's chain. `text` is what was hashed and is what is sent. Nothing here is ever changed
-- but status and detail: 0 waits, 1 is stored at the server, 2 was put aside there.
CREATE TABLE events (
    seq    INTEGER PRIMARY KEY,
    hash   TEXT NOT NULL,
    text   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    client TEXT NOT NULL,
    record TEXT NOT NULL,
    status INTEGER NOT NULL DEFAULT 0,
    detail TEXT
) STRICT;
CREATE INDEX events_open ON events (status, seq) WHERE status <> 1;
CREATE INDEX events_waiting_client ON events (client) WHERE status = 0;
CREATE INDEX events_record ON events (record);

-- What the events of everybody add up to, as pulled and folded. With rowids, since rows are long: in a
-- table by key alone, what is over a quarter of a page takes pages of its own, and all of a portfolio
-- twice the room. Stores that were made without them keep theirs, and work as well.
CREATE TABLE records (kind TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, id))
    STRICT;
-- Records that are not for this user any more but that something here still hangs on.
CREATE TABLE purges (kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;

-- Projections: what screens read, made from `records` in the same transaction.
CREATE TABLE clients (
    n            INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    document     TEXT NOT NULL,
    document_key TEXT NOT NULL,
    phone        TEXT NOT NULL,
    phone_key    TEXT NOT NULL,
    place        TEXT NOT NULL,
    officer      TEXT NOT NULL,
    conflict     INTEGER NOT NULL
) STRICT;
CREATE INDEX clients_name ON clients (name_key, n);
CREATE INDEX clients_document ON clients (document_key);
CREATE INDEX clients_phone ON clients (phone_key);
CREATE VIRTUAL TABLE clients_words USING fts5 (
    name, document, phone, place, tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3 4'
);

CREATE TABLE assessments (
    id            TEXT PRIMARY KEY,
    client        TEXT NOT NULL,
    officer       TEXT NOT NULL,
    hlc           TEXT NOT NULL,
    at            INTEGER NOT NULL,
    risk_group    INTEGER NOT NULL,
    probability   REAL NOT NULL,
    model_version INTEGER NOT NULL,
    model_sha256  TEXT NOT NULL,
    decision      TEXT,
    rank          TEXT,
    overridden    INTEGER NOT NULL,
    mismatch      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX assessments_client ON assessments (client, hlc);
CREATE INDEX assessments_time ON assessments (at, id);
CREATE INDEX assessments_model ON assessments (model_sha256, model_version);

-- Unfinished interviews; they never leave the device.
CREATE TABLE drafts (
    id           TEXT PRIMARY KEY,
    client       TEXT NOT NULL UNIQUE,
    model_sha256 TEXT NOT NULL,
    focus        TEXT,
    saved_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE draft_fields (
    draft    TEXT NOT NULL REFERENCES drafts (id) ON DELETE CASCADE,
    field    TEXT NOT NULL,
    value    TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (draft, field)
) STRICT, WITHOUT ROWID;

-- Bundles that were accepted. One at most is active.
CREATE TABLE models (
    sha256       TEXT PRIMARY KEY,
    id           TEXT NOT NULL,
    version      INTEGER NOT NULL,
    bytes        BLOB NOT NULL,
    golden       INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('active', 'previous', 'kept')),
    activated_at INTEGER
) STRICT;
CREATE UNIQUE INDEX models_active ON models (state) WHERE state = 'active';
-- What the server announced and what became of it.
CREATE TABLE model_updates (
    n       INTEGER PRIMARY KEY,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    sha256  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
-- Versions that an assessment names and that could not be fetched: not asked for again at once.
CREATE TABLE missing_models (sha256 TEXT PRIMARY KEY, tried_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE sync_log (
    n        INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    took_ms  INTEGER NOT NULL,
    sent     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    error    TEXT
) STRICT;
