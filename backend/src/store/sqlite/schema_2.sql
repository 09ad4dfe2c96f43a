-- Version 2: devices that were revoked or that go on from a forked chain; each event's drift.
ALTER TABLE devices ADD COLUMN revoked_ms INTEGER;  -- since then it only delivers what was captured
ALTER TABLE devices ADD COLUMN follows BLOB REFERENCES devices(id);  -- whose chain it goes on from, after a fork
ALTER TABLE events ADD COLUMN drift_ms INTEGER;     -- the device's clock minus ours when it arrived; not known of older ones
