-- Version 11: a device that has nothing yet takes a portfolio in the order of keys. With who it is about and when it was
-- made, so that what is not wanted is passed over without reading it.
CREATE INDEX records_key ON records(branch, kind, owner, id, client, hlc);
