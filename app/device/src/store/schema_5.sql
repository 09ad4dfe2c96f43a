-- Schema 5: lists show the last score of each client, and a year of scores lies all over its table: the index has all
-- that a list shows.
DROP INDEX assessments_client;
CREATE INDEX assessments_client ON assessments (client, hlc, id, risk_group, probability, at, decision);
