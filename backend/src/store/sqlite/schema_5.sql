-- Version 5: other systems with secrets and scopes, the token of the first start, and who did what.
ALTER TABLE users ADD COLUMN scopes TEXT NOT NULL DEFAULT '';  -- names with spaces between; of services alone
UPDATE users SET scopes = 'predict history:read outcomes:write' WHERE role = 'service';
-- They had passwords, as people do. Now they have secrets.
UPDATE users SET password_hash = '' WHERE role = 'service';
UPDATE families SET revoked_ms = opened_ms
WHERE revoked_ms IS NULL AND user IN (SELECT id FROM users WHERE role = 'service');

CREATE TABLE service_secrets (
  id         BLOB PRIMARY KEY,
  user       BLOB NOT NULL REFERENCES users(id),
  hash       BLOB NOT NULL UNIQUE,  -- SHA-256; the secret itself is never stored
  made_ms    INTEGER NOT NULL,
  used_ms    INTEGER,
  revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX service_secrets_user ON service_secrets(user);

CREATE TABLE setup_tokens (
  hash       BLOB PRIMARY KEY,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  seq  INTEGER PRIMARY KEY,
  hash BLOB NOT NULL,
  text TEXT NOT NULL                -- JSON, exactly as it was hashed
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
