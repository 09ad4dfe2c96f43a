-- Files of clients, in the pieces in which they came; what a file is, is in the client's record.
CREATE TABLE files (
  client   BLOB NOT NULL,
  sha256   BLOB NOT NULL,
  received INTEGER NOT NULL,         -- bytes, from its beginning
  whole_ms INTEGER,                  -- when it was found to be what its hash says
  PRIMARY KEY (client, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE file_pieces (
  client BLOB NOT NULL,
  sha256 BLOB NOT NULL,
  start  INTEGER NOT NULL,
  bytes  BLOB NOT NULL,
  PRIMARY KEY (client, sha256, start)
) STRICT;
