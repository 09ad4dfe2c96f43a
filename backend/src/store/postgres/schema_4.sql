-- Files of clients, in the pieces in which they came; what a file is, is in the client's record.
CREATE TABLE files (
  client   uuid NOT NULL,
  sha256   bytea NOT NULL,
  received bigint NOT NULL,          -- bytes, from its beginning
  whole_ms bigint,                   -- when it was found to be what its hash says
  PRIMARY KEY (client, sha256)
);
CREATE TABLE file_pieces (
  client uuid NOT NULL,
  sha256 bytea NOT NULL,
  start  bigint NOT NULL,
  bytes  bytea NOT NULL,
  PRIMARY KEY (client, sha256, start)
);
