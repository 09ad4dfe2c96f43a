-- Chains that forked, since this store was set back to a backup: evidence, as they were.
CREATE TABLE old_events (
    device TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    hash   TEXT NOT NULL,
    text   TEXT NOT NULL,
    status INTEGER NOT NULL,
    detail TEXT,
    PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;

-- Changes that this version cannot read: tried again by the next one. By the hash of their text.
CREATE TABLE unread (hash TEXT PRIMARY KEY, text TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
