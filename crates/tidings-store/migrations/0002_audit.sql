CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    written_ms BIGINT NOT NULL,
    node TEXT NOT NULL,
    version TEXT NOT NULL,
    request TEXT,
    actor_kind TEXT NOT NULL,
    actor TEXT,
    org TEXT,
    address TEXT,
    action TEXT NOT NULL,
    object TEXT,
    result TEXT NOT NULL,
    reason TEXT,
    old_value TEXT,
    new_value TEXT,
    previous BYTEA NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_by_org ON audit (org, seq);
CREATE INDEX audit_by_time ON audit (written_ms);

-- One row: the newest entry, and the last one that retention took away.
CREATE TABLE audit_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    anchor_seq BIGINT NOT NULL,
    anchor_hash BYTEA NOT NULL
);
