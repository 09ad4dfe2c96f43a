-- Version 5: other systems with secrets and scopes, the token of the first start, and who did what.
ALTER TABLE users ADD COLUMN scopes text NOT NULL DEFAULT '';  -- names with spaces between; of services alone
UPDATE users SET scopes = 'predict history:read outcomes:write' WHERE role = 'service';
-- They had passwords, as people do. Now they have secrets.
UPDATE users SET password_hash = '' WHERE role = 'service';
UPDATE families SET revoked_ms = opened_ms
WHERE revoked_ms IS NULL AND "user" IN (SELECT id FROM users WHERE role = 'service');

CREATE TABLE service_secrets (
  id         uuid PRIMARY KEY,
  "user"     uuid NOT NULL REFERENCES users(id),
  hash       bytea NOT NULL UNIQUE,  -- SHA-256; the secret itself is never stored
  made_ms    bigint NOT NULL,
  used_ms    bigint,
  revoked_ms bigint
);
CREATE INDEX service_secrets_user ON service_secrets("user");

CREATE TABLE setup_tokens (
  hash       bytea PRIMARY KEY,
  expires_ms bigint NOT NULL
);

CREATE TABLE audit (
  seq  bigint PRIMARY KEY,
  hash bytea NOT NULL,
  text text NOT NULL                 -- JSON, exactly as it was hashed
);
-- The end of the log: whoever adds to it holds this row until the transaction ends.
CREATE TABLE audit_head (
  one  boolean PRIMARY KEY DEFAULT true CHECK (one),
  seq  bigint NOT NULL,
  hash bytea NOT NULL
);
INSERT INTO audit_head(seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));
CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to();
