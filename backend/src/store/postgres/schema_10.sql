-- Version 10: which assessment is the last of its client is seen when somebody asks for changes. Noting it at each
-- assessment wrote the long row of the one before once more, with its places in three indexes.
DROP INDEX records_assessed;
DROP INDEX records_branch;
DROP INDEX records_owner;
DROP INDEX records_client;
ALTER TABLE records DROP COLUMN superseded;
-- With who it is about and when it was made, so that what is not wanted is passed over without reading it.
CREATE INDEX records_branch ON records(branch, seq, client, hlc);
CREATE INDEX records_owner ON records(branch, owner, seq, client, hlc);
CREATE INDEX records_client ON records(client, hlc);
