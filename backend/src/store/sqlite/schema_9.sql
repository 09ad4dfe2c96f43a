-- Version 9: where a new score is counted for drift, so that nobody has to read it again to count it; which
-- assessments are not the last of their client, so that a new device can have those later.
ALTER TABLE uncounted ADD COLUMN model_version INTEGER;  -- by which its places are; none: look at the entry
ALTER TABLE uncounted ADD COLUMN places BLOB;            -- as insight/count.rs packs them

-- Scores of other systems have neither client nor branch, and need no place in these.
DROP INDEX history_branch;
CREATE INDEX history_branch ON history(branch, scored_ms DESC, id DESC) WHERE branch IS NOT NULL;
DROP INDEX history_client;
CREATE INDEX history_client ON history(client, scored_ms DESC, id DESC) WHERE client IS NOT NULL;

ALTER TABLE records ADD COLUMN hlc TEXT;                            -- of an assessment
ALTER TABLE records ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0;  -- an assessment with a later one of its client
UPDATE records SET hlc = json_extract(body, '$.hlc') WHERE kind = 'assessment' AND body <> '';
-- Which assessment is the last is found without reading one.
CREATE INDEX records_assessed ON records(client, hlc, superseded) WHERE kind = 'assessment';
UPDATE records SET superseded = 1 WHERE kind = 'assessment'
AND hlc < (SELECT max(o.hlc) FROM records o WHERE o.client = records.client AND o.kind = 'assessment');
DROP INDEX records_branch;
CREATE INDEX records_branch ON records(branch, seq, superseded);
DROP INDEX records_owner;
CREATE INDEX records_owner ON records(branch, owner, seq, superseded);
