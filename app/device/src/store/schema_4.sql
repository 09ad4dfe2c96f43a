-- Schema 4: of a record that is nobody's any more, since the data of its client was erased, nothing here waits but
-- what has to be sent.
ALTER TABLE purges ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
