-- Schema 6: a record is kept packed (see `packed.rs`), and `json` is empty then. What was kept as text before stays so
-- until it changes: writing a large portfolio once more, when a store is opened, takes long, and room that a phone may not have.
ALTER TABLE records ADD COLUMN packed BLOB;
