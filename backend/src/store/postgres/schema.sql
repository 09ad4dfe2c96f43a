-- Version 1. Times are milliseconds since 1970, UTC. Names compare by bytes, as they do on SQLite.
CREATE TABLE branches (
  id    uuid PRIMARY KEY,
  name  text COLLATE "C" NOT NULL UNIQUE,
  seq   bigint NOT NULL DEFAULT 0  -- the last place given out in the branch's order of changes
);

CREATE TABLE users (
  id            uuid PRIMARY KEY,
  username      text NOT NULL,
  username_key  text COLLATE "C" NOT NULL UNIQUE,
  name          text COLLATE "C" NOT NULL,
  role          text NOT NULL,
  branch        uuid REFERENCES branches(id),
  password_hash text NOT NULL,
  disabled_ms   bigint,
  created_ms    bigint NOT NULL
);
CREATE INDEX users_branch ON users(branch);

CREATE TABLE devices (
  id          uuid PRIMARY KEY,
  "user"      uuid NOT NULL REFERENCES users(id),
  name        text NOT NULL,
  platform    text NOT NULL,
  enrolled_ms bigint NOT NULL,
  seen_ms     bigint NOT NULL,
  drift_ms    bigint,              -- the device's clock minus ours at its last push
  head_seq    bigint NOT NULL DEFAULT 0,
  head_hash   bytea NOT NULL
);

CREATE TABLE families (
  id         uuid PRIMARY KEY,
  "user"     uuid NOT NULL REFERENCES users(id),
  device     uuid REFERENCES devices(id),
  opened_ms  bigint NOT NULL,
  revoked_ms bigint
);
CREATE INDEX families_user ON families("user");

CREATE TABLE refresh_tokens (
  hash       bytea PRIMARY KEY,    -- SHA-256; the token itself is never stored
  family     uuid NOT NULL REFERENCES families(id),
  issued_ms  bigint NOT NULL,
  expires_ms bigint NOT NULL,
  used_ms    bigint,
  successor  bytea
);
CREATE INDEX refresh_tokens_family ON refresh_tokens(family);

CREATE TABLE events (
  device      uuid NOT NULL REFERENCES devices(id),
  seq         bigint NOT NULL,
  hash        bytea NOT NULL,
  text        text NOT NULL,       -- exactly as received: json columns would rewrite it
  branch      uuid NOT NULL,
  received_ms bigint NOT NULL,
  rank        text NOT NULL,
  outcome     text NOT NULL,       -- JSON
  quarantined boolean NOT NULL,
  key_kind    text,
  key_id      uuid,
  waits_kind  text,
  waits_id    uuid,
  PRIMARY KEY (device, seq)
);
CREATE INDEX events_waiting ON events(waits_id) WHERE waits_id IS NOT NULL;
CREATE INDEX events_quarantined ON events(branch) WHERE quarantined;

CREATE TABLE records (
  kind   text NOT NULL,
  id     uuid NOT NULL,
  branch uuid NOT NULL,
  seq    bigint NOT NULL,          -- the place of its last change in the branch's order
  owner  uuid NOT NULL,
  client uuid NOT NULL,
  body   text NOT NULL,            -- JSON
  PRIMARY KEY (id, kind)
);
CREATE INDEX records_branch ON records(branch, seq);
CREATE INDEX records_owner ON records(branch, owner, seq);
CREATE INDEX records_client ON records(client);

-- Records that left somebody's portfolio.
CREATE TABLE purges (
  "user" uuid NOT NULL,
  kind   text NOT NULL,
  id     uuid NOT NULL,
  branch uuid NOT NULL,
  seq    bigint NOT NULL,
  PRIMARY KEY ("user", id, kind)
);
CREATE INDEX purges_user ON purges("user", branch, seq);

CREATE TABLE models (
  version      bigint PRIMARY KEY,
  id           text NOT NULL,
  sha256       text NOT NULL,
  bytes        bytea NOT NULL,
  published_ms bigint NOT NULL,
  published_by text NOT NULL
);

-- One partition per month of scoring, made when the first score of the month arrives (see
-- partitions.rs), and one for times that no honest clock gives.
CREATE TABLE history (
  id            uuid NOT NULL,
  scored_ms     bigint NOT NULL,
  received_ms   bigint NOT NULL,
  client        uuid,
  client_ref    text,
  officer       uuid NOT NULL,
  branch        uuid,
  risk_group    text NOT NULL,
  model_version bigint NOT NULL,
  body          text NOT NULL,     -- JSON
  PRIMARY KEY (id, scored_ms)
) PARTITION BY RANGE (scored_ms);
CREATE INDEX history_time ON history(scored_ms DESC, id DESC);
CREATE INDEX history_branch ON history(branch, scored_ms DESC, id DESC);
CREATE INDEX history_officer ON history(officer, scored_ms DESC, id DESC);
CREATE INDEX history_client ON history(client, scored_ms DESC, id DESC);
CREATE INDEX history_client_ref ON history(client_ref, scored_ms DESC, id DESC) WHERE client_ref IS NOT NULL;
CREATE TABLE history_other PARTITION OF history DEFAULT;
