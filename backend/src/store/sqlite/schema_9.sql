-- Version 9: where a new score is counted for drift, so that nobody has to read it again to count it.
ALTER TABLE uncounted ADD COLUMN model_version INTEGER;  -- by which its places are; none: look at the entry
ALTER TABLE uncounted ADD COLUMN places BLOB;            -- as insight/count.rs packs them

-- Scores of other systems have neither client nor branch, and need no place in these.
DROP INDEX history_branch;
CREATE INDEX history_branch ON history(branch, scored_ms DESC, id DESC) WHERE branch IS NOT NULL;
DROP INDEX history_client;
CREATE INDEX history_client ON history(client, scored_ms DESC, id DESC) WHERE client IS NOT NULL;
