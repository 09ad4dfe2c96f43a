-- Pictures and signatures, named by the SHA-256 of their bytes. `sent` 0: the server does not have it
-- yet, and it stays; 1: it is a copy, which may go to make room.
CREATE TABLE files (
    client TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    media  TEXT NOT NULL,
    length INTEGER NOT NULL,
    bytes  BLOB NOT NULL,
    sent   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (client, sha256)
) STRICT;
CREATE INDEX files_waiting ON files (at, client, sha256) WHERE sent = 0;
CREATE INDEX files_copies ON files (at, length) WHERE sent = 1;
